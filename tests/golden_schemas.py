#!/usr/bin/env python3
"""Writes tests/golden/schemas.txt: for every version of every api that client/wire/schema serves, a
request and a response as Kafka's own message schemas say, by an encoder that knows nothing of ours.

usage: golden_schemas.py [DIRECTORY...]      as check_schemas.py; nothing is written without one

Values follow from the names of the fields: different everywhere, never a default in a tagged field,
here and there null. golden_test decodes each frame and encodes it to the same bytes, and misses
what is told in ApiVersions and has no frame."""
import os
import struct
import sys
import uuid
import zlib

import check_schemas

GOLDEN = os.path.join(check_schemas.ROOT, "tests", "golden", "schemas.txt")
INTS = {"int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q"}
API_VERSIONS = 18


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def length(count, flexible, form):
    """Of what may be null (None): one more and as a varint where flexible."""
    if flexible:
        return varint(0 if count is None else count + 1)
    return struct.pack(form, -1 if count is None else count)


def scalar(field, draw, flexible, null):
    if field.kind == "bool":
        return bytes([draw % 2])
    if field.kind in INTS:
        return struct.pack(INTS[field.kind], 2 + draw % 99)
    if field.kind == "uuid":
        return uuid.uuid5(uuid.NAMESPACE_OID, str(draw)).bytes
    form = ">h" if field.kind == "string" else ">i"
    if null:
        return length(None, flexible, form)
    text = f"{field.name[:9]}-{draw % 1000}".encode()
    return length(len(text), flexible, form) + text


def value(field, path, version, flexible, tagged):
    draw = zlib.crc32(f"{path}/{version}".encode())
    null = check_schemas.inside(version, field.nullable) and not tagged and draw % 5 == 0
    if tagged and field.kind == "bool":
        draw |= 1
    if not field.array:
        if field.fields is None:
            return scalar(field, draw, flexible, null)
        there = b""
        if check_schemas.inside(version, field.nullable):
            there = b"\xff" if null else b"\x01"
        return there if null else there + fields_of(field.fields, path, version, flexible)
    if null:
        return length(None, flexible, ">i")
    count = 2 if path.count("/") < 3 else 1
    out = length(count, flexible, ">i")
    for i in range(count):
        name = f"{path}[{i}]"
        if field.fields is None:
            out += scalar(field, zlib.crc32(name.encode()), flexible, False)
        else:
            out += fields_of(field.fields, name, version, flexible)
    return out


def fields_of(fields, path, version, flexible):
    out, tags = b"", []
    for field in fields:
        if not check_schemas.inside(version, field.versions):
            continue
        tagged = check_schemas.inside(version, field.tagged)
        encoded = value(field, f"{path}/{field.name}", version, flexible, tagged)
        if tagged:
            tags.append((field.tag, encoded))
        else:
            out += encoded
    if flexible:
        out += varint(len(tags))
        for tag, encoded in sorted(tags):
            out += varint(tag) + varint(len(encoded)) + encoded
    return out


def frame(message, key, version, request):
    flexible = check_schemas.inside(version, message.flexible)
    if request:
        head = struct.pack(">hhih", key, version, 1000 + version, 5) + b"kafka"
        head += b"\x00" if flexible else b""
    else:
        head = struct.pack(">i", 1000 + version)
        head += b"\x00" if flexible and key != API_VERSIONS else b""
    return head + fields_of(message.fields, message.name, version, flexible)


def main():
    directories = [d for d in sys.argv[1:] or [check_schemas.DEFAULT] if os.path.isdir(d)]
    if not directories:
        print("golden_schemas: no directory of Kafka's schemas")
        return 1
    theirs = check_schemas.read_theirs(directories)
    lines = ["# Made from Kafka's message schemas by tests/golden_schemas.py: direction, api, version, frame."]
    for name in sorted(os.listdir(check_schemas.SCHEMAS)):
        if not name.endswith(".txt"):
            continue
        for ours, direction in zip(check_schemas.read_ours(os.path.join(check_schemas.SCHEMAS, name)),
                                   ("request", "response")):
            for version in range(ours.versions[0], ours.versions[1] + 1):
                found = [m for _, m in theirs.get(ours.name, [])
                         if check_schemas.inside(version, m.versions)]
                if not found:
                    print(f"golden_schemas: no {ours.name} v{version}")
                    return 1
                data = frame(found[0], ours.number, version, direction == "request")
                lines.append(f"{direction} {name[:-4]} {version} {data.hex()}")
    with open(GOLDEN, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    print(f"golden_schemas: {len(lines) - 1} frames")
    return 0


if __name__ == "__main__":
    sys.exit(main())
