"""The front ends with the names of Kafka's scripts: the commands of its quick start, and those that
people type most."""
import os
import re
import tempfile

from harness import ROOT, check, need, need_equal, run, single


def script(name, node, *arguments, **options):
    return run([os.path.join(ROOT, "client/cli/kafka-%s.sh" % name), *arguments,
                "--bootstrap-server", node.address], **options)


def fine(name, node, *arguments, **options):
    done = script(name, node, *arguments, **options)
    need(done.code == 0, "kafka-%s.sh %s: code %d, %s" % (name, " ".join(arguments), done.code,
                                                          done.errors))
    return done.text


def refused(word, name, node, *arguments):
    done = script(name, node, *arguments)
    need_equal(done.code, 2, "kafka-%s.sh %s" % (name, " ".join(arguments)))
    need(word in done.errors and len(done.errors.splitlines()) == 1, "says: " + done.errors)


@check("scripts: Kafka's quick start: create and describe a topic, write and read events")
def quick_start():
    node = single("scripts").start()
    text = fine("topics", node, "--create", "--topic", "quickstart-events")
    need_equal(text, "Created topic quickstart-events.\n", "create")
    text = fine("topics", node, "--describe", "--topic", "quickstart-events")
    need(re.match(r"Topic: quickstart-events\tTopicId: \S{22}\tPartitionCount: 1\t"
                  r"ReplicationFactor: 1\tConfigs: \n"
                  r"\tTopic: quickstart-events\tPartition: 0\tLeader: 1\tReplicas: 1\tIsr: 1\n$",
                  text), "describe: " + text)
    fine("console-producer", node, "--topic", "quickstart-events",
         stdin=b"This is my first event\nThis is my second event\n")
    done = script("console-consumer", node, "--topic", "quickstart-events", "--from-beginning",
                  "--timeout-ms", "1000")
    need_equal(done.text, "This is my first event\nThis is my second event\n", "consume")
    need("Processed a total of 2 messages" in done.errors, "summary: " + done.errors)


@check("scripts: kafka-topics.sh creates, alters, lists, deletes, with its switches")
def topics():
    node = single("scripts-topics").start()
    fine("topics", node, "--create", "--topic", "t", "--partitions", "3", "--replication-factor",
         "1", "--config", "retention.ms=1000", "--config", "cleanup.policy=compact")
    need(script("topics", node, "--create", "--topic", "t").code == 1, "a second create")
    fine("topics", node, "--create", "--topic", "t", "--if-not-exists")
    fine("topics", node, "--alter", "--topic", "t", "--partitions", "5")
    text = fine("topics", node, "--describe", "--topic", "t")
    need("PartitionCount: 5" in text and "retention.ms=1000" in text and
         "cleanup.policy=compact" in text, "describe: " + text)
    fine("topics", node, "--create", "--topic", "u")
    need_equal(fine("topics", node, "--list"), "t\nu\n", "list")
    fine("topics", node, "--delete", "--topic", "t,u")
    fine("topics", node, "--delete", "--topic", "t", "--if-exists")
    need_equal(fine("topics", node, "--list"), "", "list")
    refused("--topic", "topics", node, "--create")
    refused("--list", "topics", node)
    refused("--under-replicated", "topics", node, "--describe", "--under-replicated-partitions")


@check("scripts: kafka-console-producer.sh with keys, kafka-console-consumer.sh and what it prints")
def console():
    node = single("scripts-console").start()
    fine("topics", node, "--create", "--topic", "c")
    fine("console-producer", node, "--topic", "c", "--property", "parse.key=true", "--property",
         "key.separator=:", "--producer-property", "acks=1", "--compression-codec", "lz4",
         stdin=b"k1:v1\nk2:v2\nk3:v3\n")
    fine("console-producer", node, "--topic", "c", stdin=b"no key\n")
    text = fine("console-consumer", node, "--topic", "c", "--from-beginning", "--max-messages", "4",
                "--property", "print.key=true", "--property", "print.offset=true", "--property",
                "print.partition=true")
    need_equal(text, "Partition:0\tOffset:0\tk1\tv1\nPartition:0\tOffset:1\tk2\tv2\n"
               "Partition:0\tOffset:2\tk3\tv3\nPartition:0\tOffset:3\tnull\tno key\n", "printed")
    text = fine("console-consumer", node, "--topic", "c", "--partition", "0", "--offset", "2",
                "--max-messages", "1")
    need_equal(text, "v3\n", "from an offset")
    text = fine("console-consumer", node, "--topic", "c", "--from-beginning", "--max-messages", "1",
                "--property", "print.timestamp=true", "--property", "print.headers=true")
    need(re.match(r"CreateTime:\d+\tNO_HEADERS\tv1\n$", text), "time and headers: " + text)
    refused("--offset", "console-consumer", node, "--topic", "c", "--offset", "2")


@check("scripts: the tuning options of the console clients do what they say, or are refused")
def tuning():
    node = single("scripts-tuning").start()
    fine("topics", node, "--create", "--topic", "t")
    fine("console-producer", node, "--topic", "t", "--sync", "--batch-size", "100", "--timeout",
         "1", "--request-required-acks", "1", "--request-timeout-ms", "5000",
         "--message-send-max-retries", "2", "--retry-backoff-ms", "10", "--max-block-ms", "9000",
         "--max-memory-bytes", "1000000", "--metadata-expiry-ms", "60000", stdin=b"1\n2\n3")
    text = fine("console-consumer", node, "--topic", "t", "--consumer-property",
                "auto.offset.reset=earliest", "--consumer-property", "fetch.max.bytes=1000",
                "--isolation-level", "read_uncommitted", "--max-messages", "3")
    need_equal(text, "1\n2\n3\n", "one at a time, in order")
    with tempfile.NamedTemporaryFile("w", suffix=".properties") as file:
        file.write("group.id=fromfile\nauto.offset.reset=earliest\n")
        file.flush()
        fine("console-consumer", node, "--topic", "t", "--consumer.config", file.name,
             "--max-messages", "3")
    need("fromfile" in fine("consumer-groups", node, "--list", "--timeout", "8000"), "group.id")
    for what, *options in [("batch.size", "--batch-size", "many"), ("acks", "--producer-property",
                           "acks=2"), ("retention", "--producer-property", "retention=3")]:
        refused(what, "console-producer", node, "--topic", "t", *options)
    # A record that can never fit: the option has reached the accumulator.
    done = script("console-producer", node, "--topic", "t", "--max-memory-bytes", "1000",
                  stdin=b"x" * 5000)
    need(done.code == 1 and "not written" in done.errors, "too large: " + done.errors)


@check("scripts: kafka-consumer-groups.sh lists, describes, resets and deletes")
def groups():
    node = single("scripts-groups").start()
    fine("topics", node, "--create", "--topic", "g")
    fine("console-producer", node, "--topic", "g", stdin=b"a\nb\nc\n")
    fine("console-consumer", node, "--topic", "g", "--group", "mine", "--from-beginning",
         "--max-messages", "2")
    need_equal(fine("consumer-groups", node, "--list"), "mine\n", "list")
    text = fine("consumer-groups", node, "--describe", "--group", "mine")
    need(re.search(r"^mine +g +0 +2 +3 +1 ", text, re.M), "describe: " + text)
    text = fine("consumer-groups", node, "--reset-offsets", "--group", "mine", "--topic", "g",
                "--to-earliest", "--execute")
    need(re.search(r"^mine +g +0 +0$", text, re.M), "reset: " + text)
    text = fine("console-consumer", node, "--topic", "g", "--group", "mine", "--max-messages", "3")
    need_equal(text, "a\nb\nc\n", "again from the beginning")
    fine("consumer-groups", node, "--delete", "--group", "mine")
    need_equal(fine("consumer-groups", node, "--list"), "", "list")
    refused("--group", "consumer-groups", node, "--describe")


@check("scripts: kafka-configs.sh adds, describes and takes away")
def configs():
    node = single("scripts-configs").start()
    fine("topics", node, "--create", "--topic", "s")
    fine("configs", node, "--alter", "--entity-type", "topics", "--entity-name", "s",
         "--add-config", "retention.ms=5000,segment.bytes=1048576")
    text = fine("configs", node, "--describe", "--topic", "s")
    need("retention.ms=5000" in text and "segment.bytes=1048576" in text, "describe: " + text)
    fine("configs", node, "--alter", "--topic", "s", "--delete-config", "retention.ms")
    text = fine("configs", node, "--describe", "--topic", "s")
    need("retention.ms" not in text and "segment.bytes" in text, "describe: " + text)
    refused("users", "configs", node, "--describe", "--entity-type", "users")
