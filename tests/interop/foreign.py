"""Directories that Apache Kafka wrote: a node of ours starts on them, serves what they hold, and goes
on with them. tests/golden/kafka-*.tar.xz are single nodes, formatted by Kafka's StorageTool and
stopped in order: plain-0 (200 records in four segments), keys-0 (compacted), txn-0 (twelve
transactions of five records in three segments, every third aborted, and one left open), the log of
the transaction coordinator, and a metadata log with a metadata transaction (4.0) or the record of a
migration (3.9). Where Kafka itself can be had, it opens again what we left."""
import os
import tarfile

from apache import Kafka, need_kafka
from harness import ROOT, WORK, Node, check, free_port, gregor, kcat, need, need_equal

VERSIONS = ("3.9.0", "4.0.0")


def unpacked(version, name):
    """Properties and port of a node on a fresh copy of the directory."""
    port, controller = free_port(), free_port()
    place = os.path.join(WORK, name)
    os.makedirs(place, exist_ok=True)
    with tarfile.open(os.path.join(ROOT, "tests", "golden", "kafka-%s.tar.xz" % version)) as tar:
        tar.extractall(place)
    path = os.path.join(WORK, name + ".properties")
    with open(path, "w") as out:
        out.write("process.roles=broker,controller\nnode.id=1\n"
                  "listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d\n"
                  "controller.listener.names=CONTROLLER\n"
                  "controller.quorum.voters=1@127.0.0.1:%d\nlog.dirs=%s\n"
                  "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=1\n"
                  "transaction.state.log.num.partitions=1\n"
                  "transaction.state.log.replication.factor=1\n"
                  "transaction.state.log.min.isr=1\n"
                  % (port, controller, controller, os.path.join(place, "data")))
    return path, port


def read(port, topic, *options):
    done = kcat("-C", "-b", "127.0.0.1:%d" % port, "-t", topic, "-p", "0", "-e", "-q", *options)
    need(done.code == 0, "kcat -C %s: %s" % (topic, done.errors[-300:]))
    return done.text.split()


def kept():
    return ["kept-%d-%d" % (t, i) for t in range(12) if t % 3 != 1 for i in range(5)]


def need_all(port, plain):
    need_equal(read(port, "plain"), ["plain-%d" % n for n in range(200)] + plain, "plain-0")
    need_equal(read(port, "txn", "-X", "isolation.level=read_committed"), kept(),
               "txn-0, read_committed")
    keys = dict(line.split("=") for line in read(port, "keys", "-f", "%k=%s\n"))
    need_equal(keys, {"k%d" % k: "v%d" % (15 + k) for k in range(5)}, "the newest of keys-0")


@check("directories that Kafka 3.9 and 4.0 wrote open here, are served whole and written on")
def opened():
    for version in VERSIONS:
        properties, port = unpacked(version, "foreign-" + version)
        node = Node("foreign-" + version, [properties], port).start()
        need_all(port, [])
        everything = read(port, "txn", "-X", "isolation.level=read_uncommitted")
        need_equal(len(everything), 61, "records of txn-0, read_uncommitted")
        own = gregor(node.address, "consume", "txn", "--from", "beginning", "--exit-at-end",
                     "--set", "isolation.level=read_committed")
        need_equal(own.text.split(), kept(), "txn-0 through our consumer: %s" % own.errors[-200:])
        done = kcat("-P", "-b", node.address, "-t", "plain", "-p", "0", "-X",
                    "enable.idempotence=true", stdin=b"more\n")
        need(done.code == 0, "kcat -P: %s" % done.errors[-300:])
        need_all(port, ["more"])
        need_equal(node.term(), 0, "exit code")
        node.start()
        need_all(port, ["more"])
        node.kill()
        node.start()
        need_all(port, ["more"])
        need_equal(node.term(), 0, "exit code")


@check("a directory that Kafka 4.0 wrote goes to us and back, transactions and all")
def and_back():
    need_kafka()
    properties, port = unpacked("4.0.0", "foreign-back")
    node = Node("foreign-back", [properties], port).start()
    done = kcat("-P", "-b", node.address, "-t", "plain", "-p", "0", stdin=b"ours\n")
    need(done.code == 0, "kcat -P: %s" % done.errors[-300:])
    need_equal(node.term(), 0, "exit code")
    with Kafka("foreign-back", properties):
        need_all(port, ["ours"])
        done = kcat("-P", "-b", "127.0.0.1:%d" % port, "-t", "plain", "-p", "0", stdin=b"theirs\n")
        need(done.code == 0, "kcat -P: %s" % done.errors[-300:])
    node.start()
    need_all(port, ["ours", "theirs"])
    need_equal(node.term(), 0, "exit code")
