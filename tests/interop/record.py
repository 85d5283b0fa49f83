#!/usr/bin/python3
"""Records what real clients send and what they are answered: golden bytes for the unit tests.

usage: record.py            writes tests/golden/kcat.txt and tests/golden/python-kafka.txt

A proxy stands between a client and a broker, which advertises the proxy's port. Of each request,
version and kind of payload the first is kept, with its response. One line a frame:
    request|response API VERSION HEX        (without the size prefix)
tests/unit/client/wire/golden_test.c decodes each and encodes it again."""
import os
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import KCAT, PYTHON, ROOT, Node, free_port, run

NAMES = {0: "produce", 1: "fetch", 2: "list_offsets", 3: "metadata", 18: "api_versions",
         22: "init_producer_id"}


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def read_frame(sock):
    size = read_exactly(sock, 4)
    return read_exactly(sock, struct.unpack(">i", size)[0])


class Proxy:
    def __init__(self, port, target):
        self.target, self.frames, self.lock = target, [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            broker = socket.create_connection(("127.0.0.1", self.target))
            waiting = {}
            threading.Thread(target=self.requests, args=(client, broker, waiting),
                             daemon=True).start()
            threading.Thread(target=self.responses, args=(client, broker, waiting),
                             daemon=True).start()

    def requests(self, client, broker, waiting):
        try:
            while True:
                frame = read_frame(client)
                key, version, correlation = struct.unpack_from(">hhi", frame)
                with self.lock:
                    waiting[correlation] = (key, version, frame)
                broker.sendall(struct.pack(">i", len(frame)) + frame)
        except (EOFError, OSError):
            broker.close()

    def responses(self, client, broker, waiting):
        try:
            while True:
                frame = read_frame(broker)
                correlation = struct.unpack_from(">i", frame)[0]
                with self.lock:
                    self.frames.append(waiting.pop(correlation) + (frame,))
                client.sendall(struct.pack(">i", len(frame)) + frame)
        except (EOFError, OSError):
            client.close()


def kind_of(key, request, response):
    """Frames of one kind are alike: by codec of the first batch, by whether records came."""
    for data in (request, response) if key in (0, 1) else ():
        for at in range(len(data) - 61):
            # Magic 2 with a whole batch before it: length fits, attributes are a codec's.
            length = struct.unpack_from(">i", data, at + 8)[0]
            if data[at + 16] == 2 and 49 <= length <= len(data) - at - 12 and \
                    data[at:at + 8] < b"\0\0\0\0\0\1" and data[at + 21] == 0 and data[at + 22] < 5:
                return data[at + 22]
    return -1


def write(path, about, frames):
    seen = set()
    with open(path, "w") as out:
        out.write("# %s\n# recorded by tests/interop/record.py\n" % about)
        for key, version, request, response in frames:
            kind = (key, version, kind_of(key, request, response))
            if key not in NAMES or kind in seen or len(request) + len(response) > 4000:
                continue
            seen.add(kind)
            out.write("request %s %d %s\n" % (NAMES[key], version, request.hex()))
            out.write("response %s %d %s\n" % (NAMES[key], version, response.hex()))
    print("%s: %d frames, %d bytes" % (path, 2 * len(seen), os.path.getsize(path)))


LINES = b"".join(b"%d:the record of number %d of many that look alike\n" % (n, n) for n in range(9))

PYTHON_CLIENT = """
import sys
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
for codec in (None, "gzip", "snappy", "lz4"):
    name = "golden-" + str(codec)
    producer = KafkaProducer(bootstrap_servers=sys.argv[1], acks="all", compression_type=codec,
                             linger_ms=100)
    for n in range(9):
        producer.send(name, key=b"%d" % n, value=b"the record of number %d, all alike" % n,
                      headers=[("h", b"x")])
    producer.flush(20)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=sys.argv[1], consumer_timeout_ms=800,
                             auto_offset_reset="earliest", enable_auto_commit=False)
    consumer.assign([TopicPartition(name, 0)])
    assert len(list(consumer)) == 9
    consumer.end_offsets([TopicPartition(name, 0)])
    consumer.close()
"""


def record(name, drive):
    port = free_port()
    node = Node("golden-" + name, ["--listen", "127.0.0.1:%d" % free_port(), "--set",
                                   "advertised.listeners=PLAINTEXT://127.0.0.1:%d" % port]).start()
    proxy = Proxy(port, node.port)
    drive("127.0.0.1:%d" % port)
    node.kill()
    return proxy.frames


def drive_kcat(address):
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        for idempotent in ("false", "true"):
            done = run([KCAT, "-b", address, "-t", "golden-" + codec, "-P", "-K", ":", "-z", codec,
                        "-H", "h=x", "-X", "enable.idempotence=" + idempotent], stdin=LINES)
            assert done.code == 0, done.errors
        done = run([KCAT, "-b", address, "-t", "golden-" + codec, "-C", "-e", "-q", "-o",
                    "beginning", "-X", "fetch.wait.max.ms=50"])
        assert done.code == 0 and done.out.count(b"\n") == 18, done.errors


def drive_python(address):
    done = run([PYTHON, "-c", PYTHON_CLIENT, address])
    assert done.code == 0, done.errors


if __name__ == "__main__":
    golden = os.path.join(ROOT, "tests", "golden")
    version = subprocess.run([KCAT, "-V"], stdout=subprocess.PIPE).stdout.decode()
    version = [line for line in version.splitlines() if line.startswith("Version")][0]
    write(os.path.join(golden, "kcat.txt"), "kcat. " + version, record("kcat", drive_kcat))
    version = run([PYTHON, "-c", "import kafka; print(kafka.__version__)"]).text.strip()
    write(os.path.join(golden, "python-kafka.txt"), "python3-kafka " + version,
          record("python", drive_python))
