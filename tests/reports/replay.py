"""Where everybody stands, folded from a trace: rules of its own, for comparing with pages."""
import re


class Replica:
    def __init__(self):
        self.known = False
        self.up = True
        self.role = 0
        self.epoch = -1
        self.start = self.end = self.hw = 0
        self.runs = []  # (first offset, epoch)

    def cut(self, end):
        self.end = end
        self.runs = [run for run in self.runs if run[0] < end]
        if not self.runs and self.start < end:
            self.runs = [(self.start, -1)]
        self.hw = min(self.hw, end)

    def epoch_at(self, offset):
        """Leader epoch of the record there; -1 unknown, -2 none."""
        if not self.start <= offset < self.end:
            return -2
        epoch = -1
        for first, of_run in self.runs:
            if first <= offset:
                epoch = of_run
        return epoch

    def append(self, base, last, epoch):
        previous = self.runs[-1][1] if self.runs else None
        self.runs = [run for run in self.runs if run[0] < base]
        if not self.runs and not self.known:
            self.start = base
        if not self.runs and self.start < base:
            self.runs = [(self.start, -1)]
        if not self.runs or previous != epoch:
            self.runs.append((base, epoch))
        self.end = last + 1


class World:
    """Of one partition."""

    def __init__(self, topic, partition, real=False):
        self.topic, self.partition, self.real = topic, partition, real
        self.replicas = {}
        self.isr = None

    def of(self, node):
        return self.replicas.setdefault(node, Replica())

    def take(self, event):
        f = event.fields
        if event.kind == "sim.down":
            replica = self.of(f["node"])
            replica.up, replica.role, replica.epoch = False, 0, -1
            return True
        if event.kind == "node.stopped" and self.real:  # a real process says it itself
            replica = self.of(event.node)
            replica.up, replica.role, replica.epoch = False, 0, -1
            return True
        if event.kind == "sim.up":
            self.of(f["node"]).up = True
            return False
        if self.topic == 0 and event.kind in ("raft.hw", "raft.state"):
            replica = self.of(event.node)
            replica.known = True
            if event.kind == "raft.hw":
                replica.hw = f["new"]
            else:
                replica.role, replica.epoch = (0, 4, 4, 2, 1, 5)[f["new"]], f["epoch"]
            return True
        if f.get("topic") != self.topic or f.get("partition") != self.partition:
            return False
        replica = self.of(event.node)
        if event.kind == "replica.role":
            replica.role, replica.epoch = f["role"], f["leader_epoch"]
        elif event.kind == "replica.hw":
            replica.hw = f["new"]
        elif event.kind == "log.appended":
            replica.append(f["base_offset"], f["last_offset"], f["epoch"])
        elif event.kind == "log.truncated":
            replica.cut(f["new_end"])
        elif event.kind == "log.opened":
            replica.start = f["log_start"]
            replica.hw = max(f["hw"], f["log_start"])
            replica.cut(f["log_end"])
        elif event.kind == "log.start":
            replica.start = f["new"]
            return True
        elif event.kind == "replica.isr":
            if f["committed"] == 0:
                return False
            self.isr = {int(word) for word in event.text.split(",") if word}
            return True
        elif event.kind == "controller.partition":
            found = re.search(r"isr ([0-9,]*)", event.text)
            self.isr = {int(word) for word in found.group(1).split(",") if word} if found else set()
            return True
        else:
            return False
        replica.known = True
        return True


def is_real(events):
    return not any(e.kind == "sim.started" for e in events)


def topics(events):
    names = {}
    for event in events:
        if event.kind == "topic.known" and event.text:
            names.setdefault(event.text, event.fields["topic"])
    return names
