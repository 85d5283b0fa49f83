"""What an operator does wrong or a machine lacks: one clear line, the right code, nothing damaged."""
import os
import socket
import subprocess
import time

from harness import (BROKER, WORK, Cluster, Node, Skipped, check, free_port, gregor, kcat, need,
                     need_equal, run, single, until)

ADDRESS_OF_NOBODY = "127.0.0.1:1"


def refused(done, code, *words):
    """A program that ended: its code, and exactly one line that says the words."""
    lines = [line for line in done.errors.splitlines() if not line[:4].isdigit()
             and "warning:" not in line]
    need_equal(done.code, code, "exit code (%s)" % done.errors.strip()[-300:])
    need(len(lines) == 1, "not one line but %d: %r" % (len(lines), lines))
    for word in words:
        need(word in lines[0], "no %r in: %s" % (word, lines[0]))


def snapshot(directory):
    found = {}
    for path, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                found[os.path.join(path, name)] = file.read()
    return found


def properties(name, text):
    path = os.path.join(WORK, name + ".properties")
    with open(path, "w") as out:
        out.write(text)
    return path


class SmallDisk:
    """A tmpfs of some size, mounted for a check."""

    def __init__(self, name, size):
        self.path = os.path.join(WORK, name)
        os.makedirs(self.path)
        if run(["mount", "-t", "tmpfs", "-o", "size=%s" % size, "tmpfs", self.path]).code != 0:
            raise Skipped("no right to mount a small tmpfs")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        run(["umount", "-l", self.path])

    def fill(self):
        with open(os.path.join(self.path, "ballast"), "ab", buffering=0) as out:
            for size in (65536, 4096, 512, 1):
                try:
                    while out.write(b"\0" * size) == size:
                        pass
                except OSError:
                    pass

    def free(self):
        os.unlink(os.path.join(self.path, "ballast"))


@check("a full disk at format and at the first start: one line, code 1; works once there is room")
def full_at_start():
    with SmallDisk("full-start", "1m") as disk:
        disk.fill()
        data = os.path.join(disk.path, "data")
        config = properties("full-start", "process.roles=broker,controller\nnode.id=1\n"
                            "listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d\n"
                            "controller.listener.names=CONTROLLER\n"
                            "controller.quorum.voters=1@127.0.0.1:%d\nlog.dirs=%s\n" %
                            (free_port(), 19999, 19999, data))
        refused(run([BROKER, "format", "--cluster-id", "x", config]), 1, "space")
        refused(run([BROKER, "--listen", "127.0.0.1:0", "--data-dir", data]), 1, "space")
        disk.free()
        node = Node("full-start", ["--listen", "127.0.0.1:0", "--data-dir", data]).start()
        need(node.term() == 0, "SIGTERM")


@check("a disk that fills while running: produce is refused with a retriable error and resumes; "
       "nothing acknowledged is lost")
def full_while_running():
    with SmallDisk("full-run", "24m") as disk:
        data = os.path.join(disk.path, "data")
        node = single("full-run", "--data-dir", data).start()
        done = gregor(node.address, "topics", "create", "f")
        need(done.code == 0, done.errors)
        done = kcat("-b", node.address, "-t", "f", "-P", "-X", "acks=all", stdin=b"before\n")
        need(done.code == 0, done.errors)
        disk.fill()
        payload = b"".join(b"%d %s\n" % (n, b"x" * 1000) for n in range(2000))
        done = kcat("-b", node.address, "-t", "f", "-P", "-X", "acks=all", "-X", "retries=2", "-X",
                    "message.timeout.ms=4000", stdin=payload, limit=40)
        need(done.code != 0, "produced onto a full disk")
        need(node.alive(), "the broker ended: " + node.last_errors())
        done = kcat("-b", node.address, "-t", "f", "-C", "-e", "-q", "-c", "1")
        need_equal(done.out, b"before\n", "read while full")
        waiting = subprocess.Popen(["kcat", "-b", node.address, "-t", "f", "-P", "-X", "acks=all",
                                    "-X", "enable.idempotence=true"], stdin=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        waiting.stdin.write(b"".join(b"after %d %s\n" % (n, b"y" * 1000) for n in range(500)))
        waiting.stdin.close()
        time.sleep(2)
        need(waiting.poll() is None, "an idempotent producer gave up on a full disk")
        disk.free()
        try:
            code = waiting.wait(30)
        except subprocess.TimeoutExpired:
            waiting.kill()
            code = "still running"
        need_equal(code, 0, "the producer that waited")

        def after():
            done = kcat("-b", node.address, "-t", "f", "-C", "-e", "-q")
            need(done.code == 0, done.errors)
            return [int(line.split()[1]) for line in done.out.splitlines()
                    if line.startswith(b"after")]
        need_equal(after(), list(range(500)), "records after there was room again")
        node.kill()
        node.start()
        need_equal(after(), list(range(500)), "records after kill -9")


@check("a data directory that cannot be read: one line, code 1, nothing changed")
def unreadable():
    directory = os.path.join(WORK, "unreadable")
    with open(directory, "w") as out:
        out.write("a file, not a directory")
    refused(run([BROKER, "--listen", "127.0.0.1:0", "--data-dir", directory]), 1, directory)
    with open(directory) as kept:
        need_equal(kept.read(), "a file, not a directory", "the file")
    if os.getuid() != 0:
        return
    node = single("unreadable-node").start()
    need(node.term() == 0, "SIGTERM")
    data = os.path.join(node.cwd, "gregor-data")
    before = snapshot(data)
    os.chmod(WORK, 0o755)
    os.chmod(node.cwd, 0o755)
    os.chmod(data, 0)

    def drop():
        os.setgid(65534)
        os.setuid(65534)
    try:
        done = subprocess.run([BROKER, "--listen", "127.0.0.1:0", "--data-dir", data],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=20, preexec_fn=drop)
    except PermissionError:
        raise Skipped("the program cannot be run by nobody")
    finally:
        os.chmod(data, 0o755)

    class Done:
        code, errors = done.returncode, done.stderr.decode()
    refused(Done, 1, data, "ermission")
    need_equal(snapshot(data), before, "the directory")


@check("a port in use: one line with the address, code 1; the directory is fine afterwards")
def port_in_use():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = "127.0.0.1:%d" % holder.getsockname()[1]
        data = os.path.join(WORK, "port")
        refused(run([BROKER, "--listen", address, "--data-dir", data]), 1, address, "in use")
    node = Node("port-node", ["--listen", address, "--data-dir", data]).start()
    need(node.term() == 0, "SIGTERM")


@check("a directory locked by another process: one line, code 1; the other goes on")
def locked():
    node = single("locked").start()
    data = os.path.join(node.cwd, "gregor-data")
    refused(run([BROKER, "--listen", "127.0.0.1:0", "--data-dir", data]), 1, data, "lock")
    need(kcat("-b", node.address, "-L").code == 0, "the first node does not answer")


@check("an unformatted directory in a cluster, and a formatted one formatted again: one line, "
       "code 1")
def unformatted():
    cluster = Cluster("unformatted", brokers=1)
    refused(run([BROKER, cluster.files[1]]), 1, "format")
    need(not snapshot(cluster.data[1]), "something was written")
    cluster.format()
    before = snapshot(cluster.data[1])
    refused(run([BROKER, "format", "--cluster-id", "other", cluster.files[1]]), 1, "formatted")
    need_equal(snapshot(cluster.data[1]), before, "the directory")


@check("a directory of another node: one line, code 1, nothing changed")
def other_node():
    cluster = Cluster("other-node", brokers=1)
    cluster.format()
    before = snapshot(cluster.data[1])
    done = run([BROKER, cluster.files[1], "--set", "node.id=2", "--set",
                "controller.quorum.voters=2@127.0.0.1:%d" % free_port()])
    refused(done, 1, "node")
    need_equal(snapshot(cluster.data[1]), before, "the directory")


@check("a node of another cluster that tries to join: it says INCONSISTENT_CLUSTER_ID in one line "
       "and ends with 1; the cluster goes on")
def foreign_cluster():
    cluster = Cluster("home").start()
    for number in (3,):
        cluster.nodes[number].kill()
    # Node 3 has the data of some other cluster.
    foreign = os.path.join(WORK, "foreign")
    for extra, roles in (("", "broker,controller"),):
        text = open(cluster.files[3]).read().replace(cluster.data[3], foreign)
        config = properties("foreign", text)
        done = run([BROKER, "format", "--cluster-id", "elsewhere", config])
        need(done.code == 0, done.errors)
        refused(run([BROKER, config], limit=30), 1, "INCONSISTENT_CLUSTER_ID")
    # A broker without a vote.
    port = free_port()
    config = properties("stranger", "process.roles=broker\nnode.id=9\n"
                        "listeners=PLAINTEXT://127.0.0.1:%d\ncontroller.listener.names=CONTROLLER\n"
                        "controller.quorum.voters=%s\nlog.dirs=%s\n" %
                        (port, cluster.voters, foreign + "9"))
    done = run([BROKER, "format", "--cluster-id", "elsewhere", config])
    need(done.code == 0, done.errors)
    refused(run([BROKER, config], limit=30), 1, "INCONSISTENT_CLUSTER_ID")
    done = gregor(cluster.bootstrap, "topics", "create", "still", "--replicas", "2")
    need(done.code == 0, "the cluster does not go on: " + done.errors)
    cluster.nodes[3].start()


@check("wrong configuration: code 2, file and line, what is wrong")
def wrong_config():
    good = ("process.roles=broker,controller\nnode.id=1\n"
            "listeners=PLAINTEXT://127.0.0.1:19998,CONTROLLER://127.0.0.1:19999\n"
            "controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@127.0.0.1:19999\n"
            "log.dirs=%s\n" % os.path.join(WORK, "never"))
    for at, (bad, word) in enumerate((
            ("node.id=x\n", "node.id"), ("num.partitions=0\n", "num.partitions"),
            ("log.segment.bytes=-5\n", "log.segment.bytes"),
            ("process.roles=broker,king\n", "process.roles"),
            ("listeners=PLAINTEXT://127.0.0.1:99999\n", "listeners"),
            ("controller.quorum.voters=1@\n", "controller.quorum.voters"))):
        path = properties("wrong%d" % at, good + bad)
        refused(run([BROKER, path]), 2, path + ":7:", word)
    for at, (key, word) in enumerate((("node.id", "node.id"), ("listeners", "listener"),
                                      ("process.roles", "process.roles"))):
        text = "".join(line + "\n" for line in good.splitlines() if not line.startswith(key))
        path = properties("lacking%d" % at, text)
        refused(run([BROKER, path]), 2, path, word)
    refused(run([BROKER, os.path.join(WORK, "no-such-file")]), 2, "no-such-file")
    refused(run([BROKER, "--no-such-option"]), 2, "--no-such-option")
    refused(run([BROKER, "--listen", "nowhere"]), 2, "nowhere")
    refused(run([BROKER, "--set", "node.id=x"]), 2, "node.id")
    path = properties("unknown", good + "no.such.key=1\n")
    done = run([BROKER, path])  # not formatted: ends at once
    need("warning" in done.errors and "no.such.key" in done.errors, "no warning: " + done.errors)
    need(not os.path.exists(os.path.join(WORK, "never")), "a directory was made")
