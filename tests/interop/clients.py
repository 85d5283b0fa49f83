"""Foreign clients, unmodified, against three real processes: each produces while a leader is killed,
reads in a group of which a member is killed, comes back to what it committed, and administers. Their
packages are fetched once, to build/interop/; what cannot be reached is skipped by name."""
import os
import re
import shutil
import signal
import subprocess

import apache
from harness import (PYTHON, ROOT, WORK, Cluster, Failed, Skipped, check, gregor, need, need_equal,
                     need_kcat, run, until)

DRIVERS = os.path.join(ROOT, "tests", "interop", "drivers")
PLACE = os.path.join(ROOT, "build", "interop")


def fetched(name, tool, *commands, limit=300):
    """The folder of a client, after its packages came; Skipped when they cannot be reached."""
    place = os.path.join(PLACE, name)
    if shutil.which(tool) is None:
        raise Skipped("%s is not installed" % tool)
    if os.path.exists(os.path.join(place, "whole")):
        return place
    os.makedirs(place, exist_ok=True)
    for command in commands:
        try:
            done = run(command, cwd=place, limit=limit)
        except Failed as failed:
            raise Skipped("%s could not be fetched: %s" % (name, failed))
        if done.code != 0:
            raise Skipped("%s could not be fetched: %s" % (name, done.errors.strip()[-160:]))
    open(os.path.join(place, "whole"), "w").close()
    return place


def node_client(package, driver):
    place = fetched(package.strip("@").replace("/", "-"), "npm", ["npm", "init", "-y"],
                    ["npm", "install", "--no-audit", "--no-fund", package])
    shutil.copy(os.path.join(DRIVERS, driver), place)
    return ["node", os.path.join(place, driver)]


def node_librdkafka():
    """Its library is fetched with it, or else built, against the libraries of this machine: those that
    it would build itself come from elsewhere. With two compilers, not with as many as it has files."""
    package = "@confluentinc/kafka-javascript"
    place = fetched("confluentinc-kafka-javascript", "npm", ["npm", "init", "-y"],
                    ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", package],
                    ["sed", "-i", 's/"make", "-j", /"make", "-j2", /',
                     "node_modules/%s/deps/librdkafka.gyp" % package],
                    ["env", "CKJS_LINKING=dynamic", "npm", "rebuild", package], limit=900)
    shutil.copy(os.path.join(DRIVERS, "confluentinc.mjs"), place)
    return ["node", os.path.join(place, "confluentinc.mjs")]


def debian_client(module, driver):
    """A client that is a package of Debian, for Debian's Python."""
    if not os.path.exists(PYTHON) or run([PYTHON, "-c", "import " + module]).code != 0:
        raise Skipped("%s is not installed" % module)
    return [PYTHON, os.path.join(DRIVERS, driver)]


def kcat_client():
    need_kcat()
    return [PYTHON, os.path.join(DRIVERS, "kcat_client.py")]


def python_client(package, driver):
    place = fetched(package, "python3", ["python3", "-m", "venv", "env"],
                    [os.path.join("env", "bin", "pip"), "install", "-q", package])
    return [os.path.join(place, "env", "bin", "python"), os.path.join(DRIVERS, driver)]


def go_client(driver):
    place = os.path.join(PLACE, "go-" + driver)
    os.makedirs(place, exist_ok=True)
    shutil.copy(os.path.join(DRIVERS, driver, "main.go"), place)
    if not os.path.exists(os.path.join(place, "go.mod")):
        with open(os.path.join(place, "go.mod"), "w") as out:
            out.write("module interop\n\ngo 1.24\n")
    fetched("go-" + driver, "go", ["go", "mod", "tidy"])
    done = run(["go", "build", "-o", "driver", "."], cwd=place, limit=300)  # main.go may be newer
    need(done.code == 0, "go build: %s" % done.errors[-600:])
    return [os.path.join(place, "driver")]


def java_client():
    jars = apache.need_kafka()
    place = os.path.join(PLACE, "java")
    if shutil.which("javac") is None:
        raise Skipped("javac is not installed")
    os.makedirs(place, exist_ok=True)
    done = run(["javac", "-cp", jars, "-d", place, os.path.join(DRIVERS, "Driver.java")], limit=120)
    need(done.code == 0, done.errors[-600:])
    return ["java", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp",
            jars + ":" + place, "Driver"]


# What the drivers say of each.
ADMIN = {
    "create, delete topics": {"partitions": "3", "deleted": "true"},
    "alter, describe configs": {"config": "123456"},
    "offsets by time": {"acked": "300", "middle": "300", "end": "600"},
    "delete records": {"low": "5"},
    "list, describe groups": {"listed": "true", "group": "Empty"},
}
IDEMPOTENT = "idempotent"
# Title, command, and what the client has no call for.
CLIENTS = (
    ("kcat", kcat_client, ("create, delete topics", "alter, describe configs", "delete records",
                           "list, describe groups")),
    ("python3-confluent-kafka", lambda: debian_client("confluent_kafka", "confluent.py"),
     ("delete records",)),
    ("python3-kafka", lambda: debian_client("kafka", "kafka_python.py"),
     (IDEMPOTENT, "delete records")),
    ("the Java client", java_client, ()),
    ("confluent-kafka for Python", lambda: python_client("confluent-kafka", "confluent.py"), ()),
    ("the Java client, group.protocol=consumer",
     lambda: ["env", "GROUP_PROTOCOL=consumer"] + java_client(), ()),
    ("confluent-kafka, group.protocol=consumer",
     lambda: ["env", "GROUP_PROTOCOL=consumer"] + python_client("confluent-kafka", "confluent.py"),
     ()),
    ("aiokafka", lambda: python_client("aiokafka", "aiokafka_client.py"), ()),
    ("kafkajs", lambda: node_client("kafkajs", "kafkajs.mjs"), ()),
    ("@platformatic/kafka", lambda: node_client("@platformatic/kafka", "platformatic.mjs"), ()),
    ("@confluentinc/kafka-javascript", node_librdkafka, ("alter, describe configs",)),
    ("franz-go", lambda: go_client("franz"), ()),
    ("sarama", lambda: go_client("sarama"), ()),
)
README = os.path.join(ROOT, "tests", "interop", "README.md")


def table():
    """What README.md shows: each client and what it is asked for."""
    head = ["client", "leader killed", "group of three, one killed", "resume"] + list(ADMIN)
    rows = [head, ["---"] * len(head)]
    for title, _, lacks in CLIENTS:
        rows.append([title, "nothing lost" if IDEMPOTENT in lacks else "each once, in order",
                     "yes", "yes"] + ["-" if name in lacks else "yes" for name in ADMIN])
    return "".join("| %s |\n" % " | ".join(row) for row in rows)


@check("clients: the table of README.md is what they are asked")
def told():
    with open(README) as file:
        need(table() in file.read(), "tests/interop/README.md lacks this table:\n" + table())


# Of groups by KIP-848, where clients cannot choose.
SESSIONS = "group.consumer.session.timeout.ms=6000\ngroup.consumer.heartbeat.interval.ms=500\n"


class Driver:
    """A driver that runs beside the check."""

    def __init__(self, command, name):
        self.path = os.path.join(WORK, name + ".out")
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT, cwd=WORK)

    def text(self):
        with open(self.path, errors="replace") as out:
            return out.read()

    def values(self):
        return [int(word) for word in re.findall(r"^v (\d+)$", self.text(), re.M)]

    def fine(self):
        need(self.process.poll() in (None, 0), "ended: %s" % self.text()[-500:])
        return True

    def end(self, limit):
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed("not done after %d s: %s" % (limit, self.text()[-300:]))
        need(code == 0, "ended with %d: %s" % (code, self.text()[-500:]))

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


def failover(driver, cluster, lacks):
    """1,000 records while the leader of partition 0 is killed: all there, each key in order, once.
    A producer without idempotence may have sent again what was there."""
    need_equal(gregor(cluster.bootstrap, "topics", "create", "load", "--partitions", "3",
                      "--replicas", "3", "--config", "min.insync.replicas=2").code, 0, "create")
    cluster.wait_isr("load", 3)
    producer = Driver(driver + [cluster.bootstrap, "produce", "load", "1000", "30"], "load")
    try:
        until("some records are there",
              lambda: producer.fine() and records_in(cluster, "load") > 150, 120, 0.2)
        victim = cluster.leader("load")
        cluster.nodes[victim].kill()
        producer.end(120)
    finally:
        producer.kill()
    cluster.nodes[victim].start()
    cluster.wait_isr("load", 3)
    done = gregor(cluster.bootstrap, "consume", "load", "--from", "beginning", "--exit-at-end")
    got = [int(line) for line in done.text.split()]
    if IDEMPOTENT in lacks:
        got = list(dict.fromkeys(got))
    need_equal(sorted(got), list(range(1000)), "records after the failover")
    for key in range(17):
        mine = [n for n in got if n % 17 == key]
        need_equal(mine, sorted(mine), "order of key %d" % key)


def records_in(cluster, topic):
    done = gregor(cluster.bootstrap, "consume", topic, "--from", "beginning", "--exit-at-end")
    return len(done.text.split())


def group_of_three(driver, cluster, _):
    """Three members share three partitions, one is killed: the others read what it would have."""
    members = [Driver(driver + [cluster.bootstrap, "consume", "load", "group", "15"],
                      "member%d" % n) for n in range(3)]
    try:
        until("a member reads", lambda: any(member.values() for member in members), 120, 0.1)
        until("all are assigned", lambda: all("assigned" in m.text() for m in members), 120, 0.1)
        members[0].kill()
        done = gregor(cluster.bootstrap, "produce", "load",
                      stdin="".join("%d\n" % n for n in range(1000, 1300)).encode())
        need_equal(done.code, 0, "produce")
        for member in members[1:]:
            member.end(180)
        got = set(n for member in members for n in member.values())
        need_equal(sorted(set(range(1300)) - got), [], "what no member read")
    finally:
        for member in members:
            member.kill()


def resume(driver, cluster, _):
    """Who comes back reads on from the commits."""
    need_equal(gregor(cluster.bootstrap, "produce", "load", stdin=b"5000\n5001\n").code, 0, "produce")
    again = Driver(driver + [cluster.bootstrap, "consume", "load", "group", "8"], "again")
    try:
        again.end(120)
    finally:
        again.kill()
    need_equal(sorted(again.values()), [5000, 5001], "what is read after the commit")


def administer(driver, cluster, lacks):
    if "create, delete topics" in lacks:
        need_equal(gregor(cluster.bootstrap, "topics", "create", "own", "--partitions", "3",
                          "--replicas", "3").code, 0, "create")
        cluster.wait_isr("own", 3)
    done = run(driver + [cluster.bootstrap, "admin", "own", "group"], limit=180)
    need(done.code == 0, "admin ended with %d: %s" % (done.code, (done.text + done.errors)[-600:]))
    said = dict(line.split(" ", 1) for line in done.text.splitlines() if " " in line)
    for name, values in ADMIN.items():
        for value, wanted in values.items():
            need_equal(said.get(value), None if name in lacks else wanted, value)


def client_checks(title, make, lacks):
    state = {}

    def part(text, function):
        @check("%s: %s" % (title, text))
        def run_part():
            driver = make()
            if "cluster" not in state:
                if text != "a leader is killed under an idempotent load":
                    raise Skipped("the cluster of the first part is not there")
                state["cluster"] = Cluster("client-" + re.sub(r"\W+", "-", title),
                                           extra=SESSIONS).start()
            cluster = state["cluster"]
            down = [node for node in cluster.nodes.values() if not node.alive()]
            for node in down:  # killed when the check before ended
                node.launch()
            for node in down:
                node.wait_ready()
            function(driver, cluster, lacks)
    part("a leader is killed under an idempotent load", failover)
    part("a group of three, one member killed", group_of_three)
    part("commits are resumed", resume)
    part("topics, settings, offsets by time, deleted records, groups", administer)


for _row in CLIENTS:
    client_checks(*_row)


def parts_of(driver):
    """Of each time that it was assigned: how many partitions."""
    return [len(re.findall(r"\d+", line))
            for line in re.findall(r"^assigned (.*)$", driver.text(), re.M)]


def tell(cluster, first, end):
    done = gregor(cluster.bootstrap, "produce", "moves",
                  stdin="".join("%d\n" % n for n in range(first, end)).encode())
    need_equal(done.code, 0, "produce")


@check("confluent-kafka: a group with a member of each protocol, the classic one leaves")
def migration():
    """The classic member is told again and again what it has (eager), the other one what is new."""
    driver = python_client("confluent-kafka", "confluent.py")
    cluster = Cluster("client-migration", extra=SESSIONS +
                      "group.consumer.migration.policy=bidirectional\n").start()
    need_equal(gregor(cluster.bootstrap, "topics", "create", "moves", "--partitions", "4",
                      "--replicas", "3").code, 0, "create")
    cluster.wait_isr("moves", 3)
    consume = [cluster.bootstrap, "consume", "moves", "moving"]
    members = [Driver(driver + consume + ["10"], "classic")]
    try:
        until("the classic member has all", lambda: parts_of(members[0])[-1:] == [4], 120, 0.1)
        tell(cluster, 0, 100)
        members.append(Driver(["env", "GROUP_PROTOCOL=consumer"] + driver + consume + ["60"],
                              "consumer"))
        until("they share", lambda: parts_of(members[0])[-1:] == [2] and
              sum(parts_of(members[1])) == 2, 120, 0.1)
        tell(cluster, 100, 300)
        until("all is read by either", lambda: set(range(300)) == set(
            members[0].values() + members[1].values()), 120, 0.1)
        need(members[1].values(), "the member of KIP-848 reads nothing")
        members[0].end(60)
        until("the other one has all", lambda: sum(parts_of(members[1])) == 4, 120, 0.1)
        tell(cluster, 300, 400)
        until("it reads all", lambda: set(range(300, 400)) <= set(members[1].values()), 120, 0.1)
        again = [n for n in range(100, 400)
                 if (members[0].values() + members[1].values()).count(n) != 1]
        need_equal(again, [], "records read again although nobody died")
    finally:
        for member in members:
            member.kill()
