"""SIGTERM, the ready line, port 0."""
import re
import subprocess
import time

from harness import (KCAT, Cluster, Node, check, gregor, kcat, need, need_equal, single)


@check("port 0: the ready line names the port, and the node serves there at once")
def port_zero():
    node = Node("zero", ["--listen", "127.0.0.1:0"]).start()
    with open(node.out_path) as out:
        need(re.match(r"ready 127\.0\.0\.1:\d+ node=1\n$", out.read()), "the ready line")
    need(node.port > 0, "port %d" % node.port)
    done = gregor(node.address, "topics", "create", "t")
    need(done.code == 0, done.errors)
    done = gregor(node.address, "produce", "t", stdin=b"x\n")
    need(done.code == 0, done.errors)
    done = gregor(node.address, "cluster", "describe")
    need("Port: %d" % node.port in done.text, "the advertised port: " + done.text)


@check("SIGTERM: one node ends with 0 within 5 s, also with clients connected; the next start is "
       "clean")
def one_node():
    node = single("term").start()
    done = gregor(node.address, "topics", "create", "t")
    need(done.code == 0, done.errors)
    done = kcat("-b", node.address, "-t", "t", "-P", stdin=b"a\nb\n")
    need(done.code == 0, done.errors)
    consumer = subprocess.Popen([KCAT, "-b", node.address, "-t", "t", "-C", "-q"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        need_equal(node.term(5), 0, "exit code with a consumer connected")
    finally:
        consumer.kill()
        consumer.wait()
    node.start()
    need("clean=1" in node.errors(), "the next start is not a clean one")
    node.process.send_signal(15)
    node.process.send_signal(15)
    need_equal(node.wait(5), 0, "exit code after two SIGTERM")


@check("SIGTERM: three nodes of a cluster at once, each ends with 0")
def all_at_once():
    cluster = Cluster("terms").start()
    done = gregor(cluster.bootstrap, "topics", "create", "t", "--partitions", "3", "--replicas",
                  "3")
    need(done.code == 0, done.errors)
    for node in cluster.nodes.values():
        node.process.send_signal(15)
    for number, node in cluster.nodes.items():
        need_equal(node.wait(45), 0, "exit code of node %d" % number)


@check("SIGTERM without a quorum: the last of three ends with 0 after a bounded wait")
def without_quorum():
    cluster = Cluster("lonely", extra="controlled.shutdown.max.wait.ms=5000\n")
    cluster.start()
    done = gregor(cluster.bootstrap, "topics", "create", "t", "--partitions", "3", "--replicas",
                  "3")
    need(done.code == 0, done.errors)
    cluster.nodes[1].kill()
    cluster.nodes[2].kill()
    began = time.monotonic()
    need_equal(cluster.nodes[3].term(40), 0, "exit code")
    need(time.monotonic() - began < 30, "it took %.1f s" % (time.monotonic() - began))


@check("SIGTERM before a quorum ever was: code 0, soon")
def never_joined():
    cluster = Cluster("early")
    cluster.format()
    node = cluster.nodes[1].launch()
    time.sleep(1.5)
    need(node.ready_line() == "", "ready without a quorum: " + node.ready_line())
    need(node.alive(), "it ended: " + node.last_errors())
    need_equal(node.term(20), 0, "exit code")
