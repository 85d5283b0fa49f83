"""Real processes for the interop checks: start, kill, restart nodes; run clients; read logs.

Python 3 and its standard library only. Every program runs with a time limit, every node that was
started is killed at the end. One check prints one line; main() closes with "N passed, N failed".
"""
import atexit
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("GREGOR_BUILD", os.path.join(ROOT, "build"))
BROKER = os.path.join(BUILD, "gregor-broker")
GREGOR = os.path.join(BUILD, "gregor")
KCAT = shutil.which("kcat")
# Debian's python3-kafka belongs to Debian's python3, whichever runs this file.
PYTHON = "/usr/bin/python3"
LONG = os.environ.get("INTEROP_LONG") == "1"

WORK = tempfile.mkdtemp(prefix="gregor-interop-")
_nodes = []


def _clean():
    for node in list(_nodes):
        node.kill()
    if os.environ.get("INTEROP_KEEP") != "1":
        shutil.rmtree(WORK, ignore_errors=True)


atexit.register(_clean)


class Failed(Exception):
    """A check that does not hold; the text is its line."""


class Skipped(Exception):
    """A check whose client or privilege is missing."""


def need(condition, text):
    if not condition:
        raise Failed(text)


def need_equal(got, wanted, what):
    if got != wanted:
        raise Failed("%s: %s is not %s" % (what, _short(got), _short(wanted)))


def _short(value):
    text = repr(value)
    return text if len(text) <= 300 else text[:150] + " ... " + text[-150:]


def need_kcat():
    if KCAT is None:
        raise Skipped("kcat is not installed")


def need_python_kafka():
    if not os.path.exists(PYTHON) or run([PYTHON, "-c", "import kafka"]).code != 0:
        raise Skipped("python3-kafka is not installed")


# ---- programs ------------------------------------------------------------------------------------

class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def text(self):
        return self.out.decode("utf-8", "replace")

    @property
    def errors(self):
        return self.err.decode("utf-8", "replace")


def run(command, stdin=b"", limit=60, cwd=None):
    """Runs to its end; a program that outlives its limit is a failure of the check."""
    try:
        done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=limit, cwd=cwd or WORK)
    except subprocess.TimeoutExpired:
        raise Failed("%s: not done after %d s" % (" ".join(command[:6]), limit))
    return Result(done.returncode, done.stdout, done.stderr)


def kcat(*arguments, **options):
    need_kcat()
    return run([KCAT] + list(arguments), **options)


def gregor(bootstrap, *arguments, **options):
    return run([GREGOR, "-b", bootstrap] + list(arguments), **options)


def until(what, condition, limit=20.0, pause=0.05):
    """Waits for a condition of other processes; its value."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed("%s: not within %g s" % (what, limit))
        time.sleep(pause)


_next_port = [int(os.environ.get("INTEROP_PORT", "19200"))]


def free_port():
    """A port of our own range, so that runs beside each other can be kept apart."""
    while True:
        port = _next_port[0]
        _next_port[0] += 1
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


# ---- nodes ---------------------------------------------------------------------------------------

class Node:
    """One gregor-broker process: its arguments, its directory, its output files."""

    def __init__(self, name, arguments, port=0, cwd=None, env=None, preexec=None):
        self.name, self.arguments, self.port = name, arguments, port
        self.cwd = cwd or os.path.join(WORK, name)
        self.preexec = preexec
        os.makedirs(self.cwd, exist_ok=True)
        self.process = None
        self.runs = 0

    def launch(self):
        self.runs += 1
        base = os.path.join(WORK, "%s.%d" % (self.name, self.runs))
        self.out_path, self.err_path = base + ".out", base + ".err"
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen([BROKER] + self.arguments, stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=err, cwd=self.cwd,
                                            preexec_fn=self.preexec)
        if self not in _nodes:
            _nodes.append(self)
        return self

    def start(self, limit=20.0):
        self.launch()
        self.wait_ready(limit)
        return self

    def ready_line(self):
        with open(self.out_path) as out:
            text = out.read()
        return text if text.endswith("\n") else ""

    def wait_ready(self, limit=20.0):
        def ready():
            if self.process.poll() is not None:
                raise Failed("%s ended with %d: %s" % (self.name, self.process.returncode,
                                                       self.last_errors()))
            return self.ready_line()
        line = until("%s is ready" % self.name, ready, limit)
        match = re.match(r"ready (\S+):(\d+) node=(\d+)\n", line)
        need(match, "no ready line but %r" % line)
        self.port = int(match.group(2))

    def errors(self):
        with open(self.err_path, errors="replace") as err:
            return err.read()

    def last_errors(self):
        return self.errors().strip()[-400:]

    def plain_errors(self):
        """What the process says to people: without trace lines."""
        return [line for line in self.errors().splitlines()
                if not re.match(r"\d{4}-\d\d-\d\dT", line)]

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def wait(self, limit=20.0):
        try:
            return self.process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            raise Failed("%s still runs after %g s" % (self.name, limit))

    def kill(self):
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def term(self, limit=30.0):
        self.process.send_signal(signal.SIGTERM)
        return self.wait(limit)

    def rss_kib(self):
        with open("/proc/%d/status" % self.process.pid) as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    @property
    def address(self):
        return "127.0.0.1:%d" % self.port


def single(name, *arguments, **options):
    """A node with no configuration but a free port."""
    port = free_port()
    return Node(name, ["--listen", "127.0.0.1:%d" % port] + list(arguments), port, **options)


class Cluster:
    """Nodes with a properties file each: combined, or brokers and controllers apart."""

    def __init__(self, name, brokers=3, controllers=0, cluster_id=None, extra="", directories=1):
        self.name, self.cluster_id = name, cluster_id or "interop-" + name
        self.directory = os.path.join(WORK, name)
        os.makedirs(self.directory)
        self.nodes, self.data, self.files = {}, {}, {}
        combined = controllers == 0
        voters = list(range(1, brokers + 1)) if combined else \
            list(range(101, 101 + controllers))
        ports = {voter: free_port() for voter in voters}
        self.voters = ",".join("%d@127.0.0.1:%d" % (voter, ports[voter]) for voter in voters)
        self.brokers = list(range(1, brokers + 1))
        self.controllers = voters
        for node in sorted(set(self.brokers + voters)):
            port = free_port() if node in self.brokers else 0
            listeners = []
            if node in self.brokers:
                listeners.append("PLAINTEXT://127.0.0.1:%d" % port)
            if node in voters:
                listeners.append("CONTROLLER://127.0.0.1:%d" % ports[node])
            roles = [role for role, holds in (("broker", node in self.brokers),
                                              ("controller", node in voters)) if holds]
            self.data[node] = os.path.join(self.directory, "data%d" % node)
            self.files[node] = os.path.join(self.directory, "node%d.properties" % node)
            with open(self.files[node], "w") as out:
                out.write("process.roles=%s\nnode.id=%d\nlisteners=%s\n"
                          "controller.listener.names=CONTROLLER\n"
                          "controller.quorum.voters=%s\nlog.dirs=%s\n%s" %
                          (",".join(roles), node, ",".join(listeners), self.voters,
                           ",".join(self.log_dirs(node, directories)), extra))
            self.nodes[node] = Node("%s-%d" % (name, node), [self.files[node]], port)

    def log_dirs(self, node, count):
        return [self.data[node]] + ["%s-%d" % (self.data[node], n) for n in range(2, count + 1)]

    def format(self):
        for node in self.nodes:
            done = run([BROKER, "format", "--cluster-id", self.cluster_id, self.files[node]])
            need(done.code == 0, "format of node %d: %s" % (node, done.errors))

    def start(self):
        self.format()
        for node in self.nodes.values():
            node.launch()
        for number in self.brokers:
            self.nodes[number].wait_ready()
        return self

    @property
    def bootstrap(self):
        return ",".join(self.nodes[node].address for node in self.brokers)

    def describe(self, topic):
        """{partition: (leader, replicas, isr)}, or None while the cluster cannot say."""
        done = gregor(self.bootstrap, "--timeout", "5", "topics", "describe", topic, limit=20)
        if done.code != 0:
            return None
        found = {}
        for line in done.text.splitlines():
            match = re.search(r"Partition: (\d+)\s+Leader: (-?\d+|none)\s+Replicas: (\S+)"
                              r"\s+Isr: (\S*)", line)
            if match:
                numbers = [[int(n) for n in group.split(",") if re.match(r"-?\d+$", n)]
                           for group in match.group(3, 4)]
                leader = match.group(2)
                found[int(match.group(1))] = (-1 if leader == "none" else int(leader),
                                              numbers[0], sorted(numbers[1]))
        return found

    def leader(self, topic, partition=0):
        state = self.describe(topic)
        return state[partition][0] if state and partition in state else -1

    def wait_isr(self, topic, size, limit=40.0):
        def whole():
            state = self.describe(topic)
            return state and all(len(isr) == size and leader >= 0
                                 for leader, _, isr in state.values())
        until("in-sync replicas of %s are %d" % (topic, size), whole, limit, 0.2)

    def wait_led(self, topic, limit=30.0):
        def led():
            state = self.describe(topic)
            return state and all(leader >= 0 and self.nodes[leader].alive()
                                 for leader, _, _ in state.values())
        until("all partitions of %s are led" % topic, led, limit, 0.1)

    def stop(self):
        for node in self.nodes.values():
            node.kill()


# ---- logs ----------------------------------------------------------------------------------------

def batches(directory):
    """(base offset, last offset, bytes) of every whole batch of a partition's directory."""
    found = []
    for name in sorted(os.listdir(directory)):
        if not name.endswith(".log"):
            continue
        with open(os.path.join(directory, name), "rb") as segment:
            data = segment.read()
        at = 0
        while at + 61 <= len(data):
            base, length = struct.unpack_from(">qi", data, at)
            if length < 49 or at + 12 + length > len(data):
                break
            delta = struct.unpack_from(">i", data, at + 23)[0]
            found.append((base, base + delta, data[at:at + 12 + length]))
            at += 12 + length
    return found


def need_equal_logs(cluster, topic, partitions):
    """All replicas hold the same batches: by our own reading of the files, and by dump-log's."""
    dump_log = "dump-log" in run([BROKER, "--help"]).text
    for partition in range(partitions):
        places = {node: os.path.join(cluster.data[node], "%s-%d" % (topic, partition))
                  for node in cluster.brokers}
        places = {node: place for node, place in places.items() if os.path.isdir(place)}
        need(len(places) > 1, "%s-%d has %d replicas on disk" % (topic, partition, len(places)))
        logs = {node: batches(place) for node, place in places.items()}
        first = min(logs)
        for node in sorted(logs):
            need_equal(len(logs[node]), len(logs[first]),
                       "batches of %s-%d on nodes %d and %d" % (topic, partition, node, first))
            for mine, other in zip(logs[node], logs[first]):
                need(mine == other, "%s-%d differs on nodes %d and %d at offset %d" %
                     (topic, partition, node, first, mine[0]))
        if dump_log:
            done = run([BROKER, "dump-log", "--compare"] + sorted(places.values()))
            need(done.code == 0 and "\nsame " in done.text,
                 "dump-log --compare: code %d, %s%s" % (done.code, done.text, done.errors))


# ---- checks --------------------------------------------------------------------------------------

_checks = []


def check(text):
    def add(function):
        _checks.append((text, function))
        return function
    return add


def main(only=None):
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for text, function in _checks:
        if only and not any(word in text or word in function.__module__ for word in only):
            continue
        began = time.monotonic()
        try:
            function()
            verdict, why = "passed", ""
        except Skipped as skipped:
            verdict, why = "skipped", ": %s" % skipped
        except Failed as failed:
            verdict, why = "failed", ": %s" % failed
        except Exception:  # a mistake of the check is a failure too
            verdict, why = "failed", ": " + traceback.format_exc().strip().replace("\n", " | ")
        counts[verdict] += 1
        print("%-7s %s%s (%.1f s)" % (verdict, text, why, time.monotonic() - began), flush=True)
        for node in list(_nodes):
            node.kill()
            _nodes.remove(node)
    if counts["skipped"]:
        print("%d skipped" % counts["skipped"])
    print("%d passed, %d failed" % (counts["passed"], counts["failed"]), flush=True)
    return 1 if counts["failed"] else 0
