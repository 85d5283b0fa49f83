"""The gregor command against a broker: what it prints and how it ends."""
import os
import re

from harness import (BROKER, GREGOR, WORK, check, free_port, gregor, kcat, need, need_equal, run,
                     single, until)


def fine(node, *arguments, **options):
    done = gregor(node.address, *arguments, **options)
    need(done.code == 0, "gregor %s: code %d, %s" % (" ".join(arguments), done.code, done.errors))
    return done.text


def ends(code, done, *words):
    need_equal(done.code, code, "exit code (%s)" % done.errors.strip())
    lines = done.errors.strip().splitlines()
    need(len(lines) == 1, "not one line: %r" % done.errors)
    for word in words:
        need(word in lines[0], "no %r in: %s" % (word, lines[0]))


@check("gregor: topics create, list, describe, delete; cluster describe")
def topics():
    node = single("topics").start()
    need_equal(fine(node, "topics", "list"), "", "no topics")
    fine(node, "topics", "create", "b", "--partitions", "3")
    fine(node, "topics", "create", "a", "--config", "max.message.bytes=1000")
    need_equal(fine(node, "topics", "list"), "a\nb\n", "two topics")
    text = fine(node, "topics", "describe", "b")
    need(re.match(r"Topic: b\tTopicId: \S{22}\tPartitionCount: 3\tReplicationFactor: 1\tConfigs: \n"
                  r"(\tTopic: b\tPartition: [012]\tLeader: 1\tReplicas: 1\tIsr: 1\n){3}$", text),
         "describe: " + text)
    text = fine(node, "cluster", "describe")
    need("Brokers: 1" in text and "Port: %d" % node.port in text, "cluster describe: " + text)
    fine(node, "topics", "delete", "a", "b")
    need_equal(fine(node, "topics", "list"), "", "no topics again")


@check("gregor: produce and consume, --partition, -k, --file, --from, --count, --exit-at-end, "
       "--format")
def records():
    node = single("records").start()
    fine(node, "topics", "create", "r", "--partitions", "2")
    lines = "".join("k%d:value %d\n" % (n, n) for n in range(1000))
    fine(node, "produce", "r", "-k", ":", "--partition", "1", stdin=lines.encode())
    got = fine(node, "consume", "r", "--from", "beginning", "--exit-at-end", "--partition", "1")
    need_equal(got, "".join("value %d\n" % n for n in range(1000)), "all")
    got = fine(node, "consume", "r", "--partition", "1", "--from", "990", "--exit-at-end")
    need_equal(got, "".join("value %d\n" % n for n in range(990, 1000)), "from an offset")
    got = fine(node, "consume", "r", "--partition", "1", "--from", "5", "--count", "2",
               "--format", "%p %o %k=%s\n")
    need_equal(got, "1 5 k5=value 5\n1 6 k6=value 6\n", "a format")
    got = fine(node, "consume", "r", "--partition", "1", "--from", "end", "--exit-at-end")
    need_equal(got, "", "from the end")
    path = os.path.join(WORK, "lines")
    with open(path, "w") as out:
        out.write("one\ntwo\nthree")
    fine(node, "produce", "r", "--acks", "1", "--partition", "0", "--file", path)
    got = fine(node, "consume", "r", "--partition", "0", "--from", "beginning", "--exit-at-end")
    need_equal(got, "one\ntwo\nthree\n", "a file")
    fine(node, "produce", "r", "--acks", "0", "--partition", "0", stdin=b"four\n")
    got = fine(node, "consume", "r", "--partition", "0", "--from", "3", "--count", "1")
    need_equal(got, "four\n", "acks=0")
    done = kcat("-b", node.address, "-t", "r", "-p", "1", "-C", "-e", "-q", "-f", "%k:%s\n")
    need_equal(done.text, lines, "what kcat reads")


@check("gregor: configs describe and alter, topics alter, cluster quorum, log-dirs, elect; retention")
def settings():
    node = single("settings", "--set", "log.retention.check.interval.ms=200",
                  "--set", "log.segment.delete.delay.ms=200").start()
    fine(node, "topics", "create", "s", "--config", "segment.bytes=20000")
    need_equal(fine(node, "configs", "describe", "topic", "s"),
               "file.delete.delay.ms=200\tserver.properties\nmin.insync.replicas=1\tall brokers\nsegment.bytes=20000\ttopic\n", "before")
    ends(1, gregor(node.address, "configs", "alter", "topic", "s", "--set",
                   "cleanup.policy=shrink"), "INVALID_CONFIG")
    ends(1, gregor(node.address, "configs", "alter", "topic", "t", "--set", "retention.ms=1"),
         "UNKNOWN_TOPIC_OR_PARTITION")
    ends(2, gregor(node.address, "configs", "alter", "topic", "s"))
    for _ in range(4):
        fine(node, "produce", "s", "--partition", "0", stdin=b"0123456789\n" * 3000)
    size = int(re.search(r"s-0\tSize: (\d+)", fine(node, "cluster", "log-dirs")).group(1))
    need(size > 100000, "a log of %d bytes" % size)
    fine(node, "configs", "alter", "topic", "s", "--set", "retention.bytes=50000")
    need("retention.bytes=50000" in fine(node, "topics", "describe", "s"), "describe")
    until("the log is small", lambda: int(re.search(
        r"s-0\tSize: (\d+)", fine(node, "cluster", "log-dirs")).group(1)) < 80000)
    done = kcat("-b", node.address, "-t", "s", "-p", "0", "-C", "-o", "beginning", "-e", "-q",
                "-f", "%o\n")
    first = int(done.text.split()[0])
    need(first > 1000 and done.text.split()[-1] == "11999", "from %d on" % first)
    fine(node, "configs", "alter", "topic", "s", "--delete", "retention.bytes")
    need("retention" not in fine(node, "configs", "describe", "topic", "s"), "deleted")
    fine(node, "configs", "alter", "broker", "--set", "log.retention.ms=86400000")
    need("retention.ms=86400000\tall brokers" in fine(node, "configs", "describe", "topic", "s"),
         "the default of all brokers")
    need("log.retention.ms=86400000\tall brokers" in fine(node, "configs", "describe", "broker", "1"),
         "the broker's own view")
    fine(node, "topics", "alter", "s", "--partitions", "3")
    need("PartitionCount: 3" in fine(node, "topics", "describe", "s"), "three partitions")
    ends(1, gregor(node.address, "topics", "alter", "s", "--partitions", "2"), "INVALID_PARTITIONS")
    need(fine(node, "cluster", "quorum").startswith("Leader: 1\tEpoch: "), "quorum")
    need_equal(fine(node, "cluster", "elect"), "", "nothing to elect")
    need_equal(fine(node, "cluster", "elect", "s", "0"), "s-0\tELECTION_NOT_NEEDED\n", "one")


@check("gregor: exit codes and one line each for what goes wrong")
def exit_codes():
    node = single("codes").start()
    fine(node, "topics", "create", "here")
    ends(1, gregor(node.address, "topics", "create", "here"), "TOPIC_ALREADY_EXISTS")
    ends(1, gregor(node.address, "topics", "delete", "gone"), "UNKNOWN_TOPIC_OR_PARTITION")
    ends(1, gregor(node.address, "topics", "describe", "gone"), "gone")
    ends(1, gregor(node.address, "topics", "create", "t", "--replicas", "2"),
         "INVALID_REPLICATION_FACTOR")
    ends(1, gregor(node.address, "topics", "create", "a/b"), "INVALID_TOPIC_EXCEPTION")
    ends(1, gregor(node.address, "topics", "create", "t", "--config", "no.such=1"),
         "INVALID_CONFIG")
    ends(1, gregor(node.address, "--timeout", "3", "consume", "gone", "--from", "beginning",
                   "--exit-at-end"))
    ends(1, gregor("127.0.0.1:%d" % free_port(), "--timeout", "2", "topics", "list"))
    ends(2, gregor(node.address, "topics", "create"))
    ends(2, gregor(node.address, "topics", "create", "t", "--partitions", "x"), "--partitions")
    ends(2, gregor(node.address, "nothing"), "nothing")
    ends(2, gregor(node.address, "consume", "here", "--from", "yesterdayish"))
    ends(2, gregor("nonsense:port", "topics", "list"), "nonsense:port")
    ends(2, gregor(node.address))
    for program in (GREGOR, BROKER):
        for option in ("--help", "--version"):
            done = run([program, option])
            need(done.code == 0 and done.text and not done.errors, "%s %s" % (program, option))


@check("gregor: bench produce and consume say what they did; txn says what is missing")
def bench():
    node = single("bench").start()
    fine(node, "topics", "create", "x", "--partitions", "2")
    text = fine(node, "bench", "produce", "x", "--records", "20000", "--size", "50",
                "--compression", "lz4")
    need(re.match(r"sent 20000 records, 1\.0 MB, in \d+\.\d\d s: \d+ records/s, \d+\.\d MB/s; "
                  r"\d+ records per CPU second\nlatency ms: p50 \d+\.\d\d, p95 ", text), text)
    text = fine(node, "bench", "consume", "x", "--records", "20000")
    need(re.match(r"read 20000 records, 1\.0 MB, in ", text), text)
    ends(2, gregor(node.address, "bench", "produce", "x", "--set", "linger=5"), "linger.ms")
    ends(1, gregor(node.address, "txn", "list"), "transactions")


@check("gregor consume --group-protocol consumer: reads, commits, resumes, is described and deleted, "
       "on one node that asks for min.insync.replicas=2")
def consumer_protocol():
    node = single("kip848", "--set", "min.insync.replicas=2").start()
    need_equal(gregor(node.address, "topics", "create", "t", "--partitions", "3").code, 0, "create")
    for first in (0, 100):
        gregor(node.address, "produce", "t",
               stdin="".join("%d\n" % n for n in range(first, first + 100)).encode())
        done = gregor(node.address, "consume", "t", "-g", "g", "--group-protocol", "consumer",
                      "--from", "beginning", "--count", "100")
        need_equal(sorted(int(line) for line in done.text.split()), list(range(first, first + 100)),
                   "what is read from %d on" % first)
    done = gregor(node.address, "groups", "describe", "g", "--state")
    need("uniform" in done.text and "Empty" in done.text, done.text + done.errors)
    need_equal(gregor(node.address, "groups", "delete", "g").code, 0, "delete")
    need(gregor(node.address, "groups", "describe", "g").code != 0, "it is still there")
