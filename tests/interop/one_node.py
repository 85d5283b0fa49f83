"""One node with no configuration, and the clients that Debian ships."""
import os

from harness import (PYTHON, Failed, check, gregor, kcat, need, need_equal, need_kcat,
                     need_python_kafka, run, single)

RECORDS = 100000
LINES = b"".join(b"%d the record of number %d\n" % (n, n * 7919) for n in range(RECORDS))
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def produce(node, topic, *options):
    done = kcat("-b", node.address, "-t", topic, "-P", "-X", "acks=all", *options, stdin=LINES)
    need(done.code == 0, "kcat -P: code %d, %s" % (done.code, done.errors))


def need_all(node, topic, what):
    done = kcat("-b", node.address, "-t", topic, "-p", "0", "-C", "-e", "-q", "-o", "beginning",
                "-X", "fetch.wait.max.ms=50")
    need(done.code == 0, "kcat -C %s: code %d, %s" % (what, done.code, done.errors))
    need_equal(done.out, LINES, "records %s" % what)


@check("one node, no configuration: kcat lists it")
def listed():
    node = single("list").start()
    done = kcat("-b", node.address, "-L")
    need(done.code == 0, done.errors)
    need("1 brokers" in done.text and node.address in done.text, "no broker in: " + done.text)


@check("one node: kcat produces and consumes %d records, plain and idempotent, with every codec, "
       "again after kill -9" % RECORDS)
def codecs():
    need_kcat()
    node = single("codecs").start()
    topics = []
    for codec in CODECS:
        for idempotent in ("false", "true"):
            topic = "%s-%s" % (codec, idempotent)
            produce(node, topic, "-X", "enable.idempotence=" + idempotent, "-z", codec)
            topics.append(topic)
    for topic in topics:
        need_all(node, topic, "of " + topic)
    node.kill()
    node.start()
    for topic in topics:
        need_all(node, topic, "of %s after kill -9" % topic)
    need(node.term() == 0, "SIGTERM: code %d" % node.process.returncode)
    node.start()
    for topic in topics[:2]:
        need_all(node, topic, "of %s after an orderly stop" % topic)


@check("one node: keys, headers, empty and null values, timestamps and partitions survive")
def shapes():
    need_kcat()
    node = single("shapes").start()
    done = gregor(node.address, "topics", "create", "s", "--partitions", "2")
    need(done.code == 0, done.errors)
    done = kcat("-b", node.address, "-t", "s", "-p", "1", "-P", "-K", ":", "-Z", "-H", "h=1",
                "-H", "g=two", stdin=b"k:v\nk2:\n:v3\n")
    need(done.code == 0, done.errors)
    done = kcat("-b", node.address, "-t", "s", "-p", "1", "-C", "-e", "-q", "-f",
                "%p %o %K %k %S %s %h|")
    need_equal(done.out, b"1 0 1 k 1 v h=1,g=two|1 1 2 k2 -1 NULL h=1,g=two|"
                         b"1 2 -1 NULL 2 v3 h=1,g=two|".replace(b"NULL", b""), "records")
    done = kcat("-b", node.address, "-t", "s", "-p", "1", "-C", "-e", "-q", "-o", "-1", "-f", "%s")
    need_equal(done.out, b"v3", "the last record by -o -1")
    done = kcat("-b", node.address, "-t", "s", "-p", "0", "-C", "-e", "-q")
    need_equal(done.out, b"", "the other partition")


PYTHON_CLIENT = """
import sys
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
address, count = sys.argv[1], int(sys.argv[2])
admin = KafkaAdminClient(bootstrap_servers=address)
names = []
for codec in sys.argv[3:]:
    name = "py-" + codec
    names.append(name)
    admin.create_topics([NewTopic(name, 1, 1)])
    producer = KafkaProducer(bootstrap_servers=address, acks="all",
                             compression_type=None if codec == "none" else codec)
    sent = [producer.send(name, key=b"k%d" % n, value=b"value %d" % n, headers=[("h", b"x")])
            for n in range(count)]
    producer.flush(30)
    assert [f.get(10).offset for f in sent] == list(range(count)), "offsets of " + name
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest",
                             consumer_timeout_ms=10000, enable_auto_commit=False)
    consumer.assign([TopicPartition(name, 0)])
    got = []
    for record in consumer:
        got.append(record)
        if len(got) == count:
            break
    assert [(r.offset, r.key, r.value) for r in got] == [
        (n, b"k%d" % n, b"value %d" % n) for n in range(count)], "records of " + name
    assert got[0].headers == [("h", b"x")]
    assert consumer.end_offsets([TopicPartition(name, 0)]) == {TopicPartition(name, 0): count}
    consumer.close()
assert set(names) <= set(admin.list_topics()), admin.list_topics()
admin.delete_topics(names[:1])
admin.close()
print("fine")
"""


@check("one node: python3-kafka creates, produces, consumes and deletes, with every codec it has")
def python_kafka():
    need_python_kafka()
    codecs_here = ["none", "gzip"]
    for module, codec in (("snappy", "snappy"), ("lz4.frame", "lz4"), ("zstandard", "zstd")):
        if run([PYTHON, "-c", "import " + module]).code == 0:
            codecs_here.append(codec)
    node = single("python").start()
    done = run([PYTHON, "-c", PYTHON_CLIENT, node.address, "10000"] + codecs_here, limit=120)
    need(done.code == 0 and done.text == "fine\n",
         "python3-kafka: code %d, %s" % (done.code, done.errors.strip()[-400:]))


@check("one node: many small and some large records, one of nearly max.message.bytes")
def large():
    need_kcat()
    node = single("large").start()
    for size in (1, 1000, 100000, 990000):
        path = os.path.join(node.cwd, "value%d" % size)
        value = (b"%d." % size * size)[:size]
        with open(path, "wb") as out:
            out.write(value)
        done = kcat("-b", node.address, "-t", "large", "-P", "-X", "acks=all", path)
        need(done.code == 0, "%d bytes: %s" % (size, done.errors))
    done = kcat("-b", node.address, "-t", "large", "-C", "-e", "-q", "-f", "%S ")
    need_equal(done.out, b"1 1000 100000 990000 ", "sizes")
    path = os.path.join(node.cwd, "too-large")
    with open(path, "wb") as out:
        out.write(b"x" * 1500000)
    done = kcat("-b", node.address, "-t", "large", "-P", "-X", "message.max.bytes=2000000",
                "-X", "message.timeout.ms=5000", path)
    need("too large" in done.errors.lower(), "1.5 MB is not refused as too large: " + done.errors)
    if not node.alive():
        raise Failed("the broker ended")
