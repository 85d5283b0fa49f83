"""Apache Kafka itself on our directories and ours on its: the dump tool reads every file, the broker
opens what we wrote, goes on with it, and we open what it left. Its jars come by Maven, once, to
build/interop/; without java, mvn or the way there the checks are skipped."""
import os
import re
import shutil
import signal
import subprocess

from harness import (BROKER, Failed, Node, ROOT, Skipped, WORK, check, free_port, gregor, kcat, need,
                     need_equal, run, until)

VERSION = "4.0.0"
PLACE = os.path.join(ROOT, "build", "interop", "apache-kafka-" + VERSION)
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>gregor</groupId><artifactId>interop</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>%s</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId>
<version>%s</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId>
<version>1.7.36</version></dependency></dependencies></project>"""
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def need_kafka():
    """The class path of Apache Kafka."""
    jars = os.path.join(PLACE, "lib")
    if shutil.which("java") is None:
        raise Skipped("java is not installed")
    if not os.path.exists(os.path.join(PLACE, "whole")):
        if shutil.which("mvn") is None:
            raise Skipped("mvn is not installed")
        os.makedirs(PLACE, exist_ok=True)
        with open(os.path.join(PLACE, "pom.xml"), "w") as out:
            out.write(POM % (VERSION, VERSION))
        try:
            done = run(["mvn", "-q", "-B", "dependency:copy-dependencies",
                        "-DoutputDirectory=lib"], cwd=PLACE, limit=300)
        except Failed as failed:
            raise Skipped("Maven could not be reached: %s" % failed)
        if done.code != 0:
            raise Skipped("Maven could not be reached: %s" % done.text.strip()[-160:])
        open(os.path.join(PLACE, "whole"), "w").close()
    return os.path.join(jars, "*")


def dump(*arguments):
    """Kafka's DumpLogSegments; an error line of it is a failure."""
    done = run(["java", "-cp", need_kafka(), "kafka.tools.DumpLogSegments"] + list(arguments))
    need(done.code == 0 and "Exception" not in done.text + done.errors,
         "DumpLogSegments %s: %s" % (arguments[-1], (done.text + done.errors)[-600:]))
    return done.text


def node_files(name):
    """A combined node of one: the properties for us, and for Kafka, on one directory."""
    port, controller = free_port(), free_port()
    directory = os.path.join(WORK, name + "-data")
    path = os.path.join(WORK, name + ".properties")
    with open(path, "w") as out:
        out.write("process.roles=broker,controller\nnode.id=1\n"
                  "listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d\n"
                  "controller.listener.names=CONTROLLER\n"
                  "controller.quorum.voters=1@127.0.0.1:%d\nlog.dirs=%s\n"
                  "offsets.topic.replication.factor=1\noffsets.topic.num.partitions=5\n"
                  % (port, controller, controller, directory))
    return path, directory, port


class Kafka:
    """Apache Kafka's broker as a process."""

    def __init__(self, name, properties):
        self.out_path = os.path.join(WORK, name + ".kafka")
        with open(self.out_path, "wb") as out:
            self.process = subprocess.Popen(["java", "-Xmx512m", "-cp", need_kafka(), "kafka.Kafka",
                                             properties], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT, cwd=WORK)

    def __enter__(self):
        def started():
            need(self.process.poll() is None, "Kafka ended: %s" % self.output()[-600:])
            return "Kafka Server started" in self.output()
        try:
            until("Kafka has started", started, 60, 0.2)
        except Failed:
            self.process.kill()
            raise
        return self

    def output(self):
        with open(self.out_path, errors="replace") as out:
            return out.read()

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()


def numbers(first, last):
    return "".join("%d\n" % n for n in range(first, last)).encode()


def produce(port, topic, first, last, codec="none", partition=0):
    done = kcat("-P", "-b", "127.0.0.1:%d" % port, "-t", topic, "-p", str(partition), "-z", codec,
                "-X", "enable.idempotence=true", stdin=numbers(first, last))
    need(done.code == 0, "kcat -P: %s" % done.errors[-300:])


def need_read(port, topic, last, partition=0):
    done = kcat("-C", "-b", "127.0.0.1:%d" % port, "-t", topic, "-p", str(partition), "-e", "-q")
    need_equal(done.out, numbers(0, last), "what %s-%d holds" % (topic, partition))


def our_node(name):
    """A stopped node of ours with 1,500 records of every codec in several segments of t-0."""
    properties, directory, port = node_files(name)
    need_equal(run([BROKER, "format", "--cluster-id",
                    "hVWjN6WeShubhgSu5TV8hA", properties]).code, 0, "format")
    node = Node(name, [properties], port).start()
    done = gregor(node.address, "topics", "create", "t", "--config", "segment.bytes=4096")
    need_equal(done.code, 0, "create")
    for number, codec in enumerate(CODECS):
        produce(port, "t", number * 300, number * 300 + 300, codec)
    need_equal(node.term(), 0, "exit code")
    return properties, directory, port


@check("Apache Kafka's DumpLogSegments reads every file of a partition and of the metadata log")
def dumped():
    need_kafka()
    _, directory, _ = our_node("dumped")
    place = os.path.join(directory, "t-0")
    names = sorted(os.listdir(place))
    logs = [name for name in names if name.endswith(".log")]
    need(len(logs) > 1, "only one segment: %s" % names)
    text = dump("--deep-iteration", "--files",
                ",".join(os.path.join(place, name) for name in logs))
    need_equal(len(re.findall(r"^\| offset: ", text, re.M)), 1500, "records dumped")
    need("isvalid: false" not in text, "a batch that Kafka finds invalid")
    for ending in (".index", ".timeindex"):
        files = ",".join(os.path.join(place, name) for name in names if name.endswith(ending))
        text = dump("--files", files)
        need("Found" not in text and "ismatch" not in text, text[-600:])
    snapshots = [name for name in names if name.endswith(".snapshot")]
    text = dump("--files", os.path.join(place, snapshots[-1]))
    need_equal(len(re.findall(r"producerId: \d+ producerEpoch: 0 .* lastSequence: 299", text)), 5,
               "producers in %s" % snapshots[-1])
    text = dump("--cluster-metadata-decoder", "--files",
                os.path.join(directory, "__cluster_metadata-0", "0" * 20 + ".log"))
    for kind in ("REGISTER_BROKER_RECORD", "TOPIC_RECORD", "PARTITION_RECORD",
                 "PRODUCER_IDS_RECORD", "FEATURE_LEVEL_RECORD"):
        need('"type":"%s"' % kind in text, "no %s in the metadata log" % kind)


@check("Apache Kafka opens our directory, appends to it, and we open what it left")
def there_and_back():
    need_kafka()
    properties, _, port = our_node("there")
    with Kafka("there", properties):
        need_read(port, "t", 1500)
        produce(port, "t", 1500, 1700, "zstd")
        need_read(port, "t", 1700)
    node = Node("back", [properties], port).start()
    need_read(port, "t", 1700)
    produce(port, "t", 1700, 1800)
    need_read(port, "t", 1800)
    need_equal(node.term(), 0, "exit code")
    with Kafka("again", properties):
        need_read(port, "t", 1800)
