"""Bytes that no client sends: the broker answers or closes that connection, and goes on."""
import os
import random
import socket
import struct
import time

from harness import LONG, check, gregor, kcat, need, need_equal, single, until

SEED = 20261121


def connect(node):
    sock = socket.create_connection(("127.0.0.1", node.port), timeout=5)
    sock.settimeout(5)
    return sock


def frame(body):
    return struct.pack(">i", len(body)) + body


def header(key, version, correlation=7, client=b"hostile"):
    return struct.pack(">hhih", key, version, correlation, len(client)) + client


def receive(sock):
    """One whole frame, or None at the end of the stream."""
    data = b""
    while len(data) < 4 or len(data) < 4 + struct.unpack(">i", data[:4])[0]:
        try:
            more = sock.recv(65536)
        except ConnectionResetError:
            return None
        if not more:
            return None
        data += more
    return data[4:]


def need_closed(sock, what):
    try:
        answer = receive(sock)
    except socket.timeout:
        need(False, what + ": the connection stays open without an answer")
    need(answer is None, what + ": answered with %r" % answer)


def need_serving(node):
    need(node.alive(), "the broker ended: " + node.last_errors())
    done = gregor(node.address, "--timeout", "10", "topics", "list", limit=20)
    need(done.code == 0, "it serves no more: " + done.errors)


@check("ApiVersions v99 is answered in the form of v0 with error 35, and the connection goes on")
def api_versions():
    node = single("versions").start()
    with connect(node) as sock:
        sock.sendall(frame(header(18, 99) + b"\0\x05kcat\x04x\0"))
        answer = receive(sock)
        need(answer is not None, "closed")
        correlation, error, count = struct.unpack_from(">ihi", answer)
        need_equal((correlation, error), (7, 35), "correlation and error")
        need_equal(len(answer), 10 + 6 * count, "length of the v0 form")
        sock.sendall(frame(header(18, 0, 8)))
        answer = receive(sock)
        need(answer is not None, "closed after v99")
        correlation, error, count = struct.unpack_from(">ihi", answer)
        need_equal((correlation, error, len(answer)), (8, 0, 10 + 6 * count), "the answer to v0")
        ranges = {struct.unpack_from(">hhh", answer, 10 + 6 * i)[0] for i in range(count)}
        need({0, 1, 2, 3, 18, 19, 20, 22} <= ranges, "the keys: %s" % sorted(ranges))


@check("unknown api keys and versions, huge, negative and zero lengths, truncated frames: closed; "
       "the broker goes on")
def by_hand():
    node = single("hand").start()
    for what, data in (
            ("an unknown api key", frame(header(9999, 0))),
            ("a negative api key", frame(header(-1, 0))),
            ("an unknown version of Metadata", frame(header(3, 99))),
            ("a negative version", frame(header(3, -1))),
            ("a request only for controllers", frame(header(52, 1) + b"\0" * 20)),
            ("a negative length", struct.pack(">i", -1)),
            ("the smallest length", struct.pack(">i", -2147483648)),
            ("a huge length", struct.pack(">i", 2147483647) + b"x" * 100),
            ("a length of zero", struct.pack(">i", 0)),
            ("a header cut off", frame(b"\0\x03")),
            ("a client id longer than its frame", frame(struct.pack(">hhih", 3, 1, 1, 30000))),
            ("an array longer than its frame", frame(header(3, 1) + struct.pack(">i", 0x7fffffff))),
            ("a request of another protocol", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
            ("the hello of TLS", bytes.fromhex("16030100c8010000c40303") + b"x" * 300)):
        with connect(node) as sock:
            sock.sendall(data)
            need_closed(sock, what)
    # What is only begun is waited for, and forgotten when its sender goes.
    for begun in (b"\0", b"\0\0\0\x20", frame(header(3, 1) + b"\0" * 50)[:-10],
                  struct.pack(">i", 50000000) + b"x" * 1000):
        with connect(node) as sock:
            sock.sendall(begun)
            time.sleep(0.05)
    need_serving(node)


def a_request(rng):
    """Now plain noise, now a well-formed header with noise behind it, now a good request bent."""
    kind = rng.randrange(6)
    noise = rng.randbytes(rng.choice((0, 1, 7, 50, 400, 5000)))
    if kind == 0:
        return noise
    if kind == 1:
        return frame(noise)
    if kind == 2:
        return struct.pack(">i", rng.choice((-1, 0, 1, 13, 1 << 20, 1 << 30, 0x7fffffff))) + noise
    key = rng.choice((0, 1, 2, 3, 18, 19, 20, 22, 23, 52, 53, 54, 55, 56, 59, 62, 63, rng.randrange(100)))
    version = rng.randrange(-1, 19)
    if kind == 3:
        return frame(header(key, version) + noise)
    if kind == 4:
        body = bytearray(header(key, version) + bytes(rng.randrange(60)))
    else:
        body = bytearray(header(3, 4) + struct.pack(">ih", 1, 3) + b"fuz" + b"\1")
    for _ in range(rng.randrange(1, 4)):
        body[rng.randrange(len(body))] = rng.randrange(256)
    return frame(bytes(body))


@check("random bytes for some seconds, seed %d: the broker goes on, memory and descriptors return"
       % SEED)
def fuzz():
    node = single("fuzz").start()
    done = kcat("-b", node.address, "-t", "fuz", "-P", "-X", "acks=all", stdin=b"kept\n")
    need(done.code == 0, done.errors)
    rng = random.Random(SEED)

    def descriptors():
        return len(os.listdir("/proc/%d/fd" % node.process.pid))

    def some(seconds):
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            socks = []
            for _ in range(20):
                sock = connect(node)
                socks.append(sock)
                try:
                    for _ in range(rng.randrange(1, 4)):
                        sock.sendall(a_request(rng))
                        count += 1
                except OSError:
                    pass  # closed already: as it should be
            for sock in socks:
                if rng.randrange(2):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
            need(node.alive(), "it ended after %d requests: %s" % (count, node.last_errors()))
        return count

    before = descriptors()
    some(3)
    warm = node.rss_kib()
    count = some(60 if LONG else 7)
    need(count > 500, "only %d requests in that time" % count)
    need_serving(node)
    until("descriptors return to %d" % before, lambda: descriptors() <= before + 2, 15)
    grown = node.rss_kib() - warm
    need(grown < 16384, "memory grew by %d KiB over %d requests" % (grown, count))
    done = kcat("-b", node.address, "-t", "fuz", "-C", "-e", "-q", "-c", "1")
    need_equal(done.out, b"kept\n", "the record from before")
    need_equal(node.term(15), 0, "exit code (everything was given back)")
