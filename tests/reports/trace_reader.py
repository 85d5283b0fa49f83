"""A reader of trace files that shares nothing with the renderer: for tests that recompute what a
page says. Standard library only; the format is that of client/world/trace_file.h:

    file    "gregortr" | version u32 | kinds u32 | per kind: name, fields (uvarint length + text)
            block ...
    block   "blck" u32 | payload bytes u32 | events u32 | time of the first event u64
            event ...
    event   head uvarint: kind * 4 + 2 (same time and node as before) + 1 (it has a text); unless the
            same: time since the previous one, uvarint, node, zig-zag difference; fields, zig-zag,
            as the difference to the last event of the kind in this block, of kinds with 4 or more
            only those with a bit in the byte before them; text
    text    uvarint: even: length * 2, bytes; odd: number * 2 + 1 of an earlier text of this block
            (the first 255 with bytes count from 0)

Version 1: kind, time, node and all fields always; text: length + 1 (0 none), bytes.

Numbers of fixed width are big-endian. The first event of a block has difference 0 to the time in
the block's head.
"""
import collections
import struct

Event = collections.namedtuple("Event", "number time_ns node kind fields text")


class Malformed(Exception):
    pass


def _wrap(value):
    """As the writer's 64-bit numbers do."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


class _Cursor:
    def __init__(self, data, at):
        self.data, self.at = data, at

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def zigzag(self):
        value = self.uvarint()
        return (value >> 1) ^ -(value & 1)

    def text(self, length):
        piece = bytes(self.data[self.at:self.at + length])
        self.at += length
        return piece.decode("utf-8", "replace")


def _event_text(cursor, version, texts):
    head = cursor.uvarint()
    if version == 1 and head == 0:
        return ""
    if version > 1 and head % 2 == 1:
        return texts[head // 2]
    text = cursor.text(head // 2 if version > 1 else head - 1)
    if text and len(texts) < 255:
        texts.append(text)
    return text


def read(path):
    """Yields every event of a file; a file cut inside a block ends at the cut."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:8] != b"gregortr":
        raise Malformed("%s: no trace file" % path)
    version, kind_count = struct.unpack_from(">II", data, 8)
    if version not in (1, 2):
        raise Malformed("%s: version %d" % (path, version))
    cursor = _Cursor(data, 16)
    kinds = []
    for _ in range(kind_count):
        name = cursor.text(cursor.uvarint())
        kinds.append((name, cursor.text(cursor.uvarint()).split()))
    number = 0
    at = cursor.at
    while at + 20 <= len(data):
        magic, size, events, time_ns = struct.unpack_from(">4sIIQ", data, at)
        if magic != b"blck":
            raise Malformed("%s: no block at %d" % (path, at))
        cursor = _Cursor(data, at + 20)
        at += 20 + size
        last, texts, node = {}, [], 0
        for _ in range(events):
            try:
                kind, flags = cursor.uvarint(), 1
                if version > 1:
                    kind, flags = kind // 4, kind % 4
                if flags < 2:
                    time_ns += cursor.uvarint()
                    node = cursor.zigzag() + (node if version > 1 else 0)
                name, names = kinds[kind]
                values = last.setdefault(kind, [0] * len(names))
                mask = -1
                if version > 1 and len(names) >= 4:
                    mask = cursor.data[cursor.at]
                    cursor.at += 1
                for i in range(len(names)):
                    if mask >> i & 1:
                        values[i] = _wrap(values[i] + cursor.zigzag())
                text = _event_text(cursor, version, texts) if flags & 1 else ""
            except IndexError:
                return
            number += 1
            yield Event(number, time_ns, node, name, dict(zip(names, values)), text)
