"""Three processes with three server.properties: failover, whole again, equal logs; separate roles."""
import collections
import os
import subprocess
import threading
import time

from harness import (KCAT, Cluster, check, gregor, kcat, need, need_equal, need_equal_logs,
                     need_kcat, run)


class Load:
    """kcat producing numbered lines, acks=all and idempotent, a slice at a time, until told to end.
    Its delivery reports are silent: kcat ends with 0 only when every record was acknowledged."""

    def __init__(self, bootstrap, topic, partition=None, rate=4000):
        need_kcat()
        command = [KCAT, "-b", bootstrap, "-t", topic, "-P", "-X", "acks=all", "-X",
                   "enable.idempotence=true", "-X", "linger.ms=5", "-E"]
        if partition is not None:
            command += ["-p", str(partition)]
        else:
            command += ["-K", ":"]
        self.keyed = partition is None
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE)
        self.count, self.rate, self.ending = 0, rate, False
        self.thread = threading.Thread(target=self._feed, daemon=True)
        self.thread.start()
        self.errors = b""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        self.errors = self.process.stderr.read()

    def _feed(self):
        while not self.ending:
            block = []
            for _ in range(self.rate // 20):
                n = self.count
                block.append(b"%d:%d\n" % (n % 97, n) if self.keyed else b"%d\n" % n)
                self.count += 1
            try:
                self.process.stdin.write(b"".join(block))
                self.process.stdin.flush()
            except BrokenPipeError:
                return
            time.sleep(0.05)

    def end(self, limit=90):
        self.ending = True
        self.thread.join(limit)
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "not done after %d s" % limit
        self.reader.join(5)
        need(code == 0, "the producer: %s, %s" % (code, self.errors[-400:]))
        need(self.count > 0, "nothing was produced")


def need_once_in_order(cluster, topic, partitions, load):
    """Every number once; rising per partition (per key would be enough: one producer, more holds)."""
    seen = collections.Counter()
    for partition in range(partitions):
        done = kcat("-b", cluster.bootstrap, "-t", topic, "-p", str(partition), "-C", "-e", "-q",
                    "-o", "beginning", "-X", "fetch.wait.max.ms=50", limit=120)
        need(done.code == 0, "consuming partition %d: %s" % (partition, done.errors))
        numbers = [int(line) for line in done.out.split()]
        last = -1
        for number in numbers:
            need(number > last, "partition %d: %d comes after %d" % (partition, number, last))
            last = number
        seen.update(numbers)
    missing = [n for n in range(load.count) if n not in seen]
    need(not missing, "%d acknowledged records are lost, the first %s" %
         (len(missing), missing[:5]))
    need_equal(len(seen), load.count, "distinct records")
    need_equal(sum(seen.values()), load.count, "records")


def kill_a_leader(cluster, partitions):
    done = gregor(cluster.bootstrap, "topics", "create", "t", "--partitions", str(partitions),
                  "--replicas", "3")
    need(done.code == 0, "create: %d, %s" % (done.code, done.errors))
    cluster.wait_isr("t", 3)
    load = Load(cluster.bootstrap, "t")
    time.sleep(2)
    leader = cluster.leader("t")
    cluster.nodes[leader].kill()
    cluster.wait_led("t")
    need(cluster.leader("t") != leader, "node %d still leads" % leader)
    time.sleep(2)
    load.end()
    need_once_in_order(cluster, "t", partitions, load)
    state = cluster.describe("t")
    need(all(leader not in isr for _, _, isr in state.values()),
         "the dead node %d is in sync: %s" % (leader, state))
    cluster.nodes[leader].start()
    cluster.wait_isr("t", 3)
    need_equal_logs(cluster, "t", partitions)
    need_once_in_order(cluster, "t", partitions, load)


@check("three nodes, combined roles: leader killed with kill -9 under an idempotent load, nothing "
       "lost or twice, in order; whole again after its restart, logs equal")
def combined():
    kill_a_leader(Cluster("combined").start(), 3)


@check("one controller and three brokers: the same")
def one_controller():
    kill_a_leader(Cluster("apart1", controllers=1).start(), 3)


@check("three controllers and three brokers: the same, and with the active controller killed")
def three_controllers():
    cluster = Cluster("apart3", controllers=3).start()
    kill_a_leader(cluster, 3)
    active = max(cluster.controllers, key=lambda node: (
        cluster.nodes[node].errors().rfind("controller.active"), node))
    for node in cluster.controllers:
        if "controller.active" in cluster.nodes[node].errors():
            active = node
    cluster.nodes[active].kill()
    done = gregor(cluster.bootstrap, "topics", "create", "after", "--partitions", "3",
                  "--replicas", "3", limit=60)
    need(done.code == 0, "create with another controller: %s" % done.errors)
    cluster.wait_isr("after", 3)
    cluster.nodes[active].launch()
    done = gregor(cluster.bootstrap, "topics", "delete", "after", limit=60)
    need(done.code == 0, "delete: %s" % done.errors)


@check("three nodes, all killed at once with kill -9 and started again: all that was acknowledged "
       "is there")
def all_at_once():
    cluster = Cluster("all").start()
    done = gregor(cluster.bootstrap, "topics", "create", "t", "--partitions", "3", "--replicas",
                  "3")
    need(done.code == 0, done.errors)
    load = Load(cluster.bootstrap, "t")
    time.sleep(2)
    load.end()
    for node in cluster.nodes.values():
        node.kill()
    for node in cluster.nodes.values():
        node.launch()
    for node in cluster.nodes.values():
        node.wait_ready()
    cluster.wait_isr("t", 3)
    need_once_in_order(cluster, "t", 3, load)
    need_equal_logs(cluster, "t", 3)


@check("three nodes, stopped one after the other under load with SIGTERM: each ends with 0, nothing "
       "is lost")
def rolling():
    cluster = Cluster("rolling").start()
    done = gregor(cluster.bootstrap, "topics", "create", "t", "--partitions", "3", "--replicas",
                  "3")
    need(done.code == 0, done.errors)
    cluster.wait_isr("t", 3)
    load = Load(cluster.bootstrap, "t")
    time.sleep(1)
    for number, node in cluster.nodes.items():
        code = node.term()
        need(code == 0, "node %d ended with %d: %s" % (number, code, node.last_errors()))
        node.start()
        cluster.wait_isr("t", 3)
    load.end()
    need_once_in_order(cluster, "t", 3, load)
    need_equal_logs(cluster, "t", 3)
