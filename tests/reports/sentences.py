"""What each event of a trace says about one partition, in the words of the pages: rules of its own,
for comparing. And what the labels of messages, faults and groups may say."""
import re

import replay

PHASES = {1: "The safety phase begins", 2: "All faults are mended: the liveness phase begins",
          3: "The run ends"}
DOWN = {1: "killed", 2: "power loss", 3: "stopped"}


def run(first, end):
    return "#%d" % first if end - first <= 1 else "#%d\u2013#%d" % (first, end - 1)


def duration(ns):
    us = ns // 1000
    if us < 1000:
        return "%d us" % us
    if us < 1000000:
        return "%d ms" % (us // 1000)
    return "%d.%d s" % (us // 1000000, us // 100000 % 10)


def seconds(ns):
    return "%d.%03d" % (ns // 10**9, ns // 10**6 % 1000)


def plain(text):
    """Nodes that nobody named are called after what they do: here all the same."""
    text = re.sub(r"\s+", " ", text.replace("\u00a0", " ")).strip()
    return re.sub(r"(?i)\b(broker|controller|client|node) (?=\d)", "node ", text)


class Teller:
    """Walks over a trace; `said` holds number -> sentence, `at` milliseconds -> sentences."""

    def __init__(self, events, topic, partition):
        self.names = {e.fields["node"]: e.text for e in events if e.kind == "sim.node" and e.text}
        clients = {e.fields["node"] for e in events if e.kind == "sim.node" and e.fields["kind"] == 4}
        controllers = {e.fields["node"] for e in events
                       if e.kind == "sim.node" and e.fields["kind"] == 2}
        self.order = lambda n: (0 if n in clients else 2 if n in controllers else 1, n)
        self.world = replay.World(topic, partition, replay.is_real(events))
        self.said, self.at, self.states = {}, {}, {}
        self.labels, self.ack = set(), None
        for event in events:
            self._event(event)

    def name(self, node):
        return self.names.get(node, "node %d" % node) if node >= 0 else "nobody"

    def _tell(self, event, text, node=None):
        if node is not None:
            name = self.name(node)
            text = name[:1].upper() + name[1:] + text
        self.said[event.number] = plain(text)
        self.at.setdefault(seconds(event.time_ns), set()).add(plain(text))

    def _ids(self, text):
        ids = [int(n) for n in text.split(",") if n]
        return " ".join(str(n) for n in sorted(ids, key=self.order)) or "none"

    def _state(self, event):
        key = (seconds(event.time_ns), event.node)
        r = self.world.of(event.node)
        self.states.setdefault(key, set()).add((r.epoch, r.hw, r.end))

    def _loses(self, node, to):
        epoch = self.world.of(node).epoch_at(to)
        return any(r.known and r.hw > to and r.epoch_at(to) == epoch
                   for r in self.world.replicas.values())

    def _event(self, event):
        f, kind = event.fields, event.kind
        told = getattr(self, "_" + kind.replace(".", "_"), None)
        here = f.get("topic") == self.world.topic and f.get("partition") == self.world.partition
        if told is not None and (here or not {"topic", "partition"} <= f.keys() or
                                 kind == "sim.violation"):
            told(event, f)
        changed = self.world.take(event)
        if event.node >= 0 and (changed or here):
            self._state(event)

    def _replica_role(self, event, f):
        replica, e = self.world.of(event.node), f["leader_epoch"]
        words = {2: " leads epoch %d" % e + (", from #%d" % replica.end if replica.known else ""),
                 1: " follows %s, epoch %d" % (self.name(f["leader"]), e),
                 3: " has the partition offline", 0: " knows no leader, epoch %d" % e}
        self._tell(event, words[f["role"]], event.node)
        self.labels.add("e%d: leader %d" % (e, f["leader"]))

    def _raft_state(self, event, f):
        if self.world.topic != 0:
            return
        replica, e = self.world.of(event.node), f["epoch"]
        words = {3: " leads epoch %d" % e + (", from #%d" % replica.end if replica.known else ""),
                 4: " follows %s, epoch %d" % (self.name(f["leader"]), e),
                 1: " stands for election, epoch %d" % e, 2: " stands for election, epoch %d" % e,
                 5: " resigns in epoch %d" % e, 0: " knows no leader, epoch %d" % e}
        self._tell(event, words[f["new"]], event.node)
        self.labels.update(("vote, e%d" % e, "e%d: leader %d" % (e, f["leader"])))

    def _hw(self, event, new):
        leads = self.world.of(event.node).role == 2
        self._tell(event, "All of the ISR have them: HW %d" % new if leads else " learns HW %d" % new,
                   None if leads else event.node)
        self.labels.add("HW %d" % new)

    def _replica_hw(self, event, f):
        self._hw(event, f["new"])

    def _raft_hw(self, event, f):
        if self.world.topic == 0:
            self._hw(event, f["new"])

    def _log_appended(self, event, f):
        records = run(f["base_offset"], f["last_offset"] + 1)
        if self.world.of(event.node).role == 2:
            self._tell(event, "%s appended by the leader of epoch %d" % (records, f["epoch"]))
        else:
            self._tell(event, " has %s of epoch %d" % (records, f["epoch"]), event.node)
        self.labels.update((records, "Produce " + records))

    def _log_truncated(self, event, f):
        if f["new_end"] >= f["old_end"]:
            self._tell(event, " has nothing to cut at %d" % f["new_end"], event.node)
            return
        one = f["old_end"] - f["new_end"] == 1
        goes = " goes" if one else " go"
        if self._loses(event.node, f["new_end"]):
            goes += ", and it was committed" if one else ", and they were committed"
        self._tell(event, " cuts its log back to %d: %s%s" %
                   (f["new_end"], run(f["new_end"], f["old_end"]), goes), event.node)

    def _log_opened(self, event, f):
        self._tell(event, " opens its log: end %d, HW %d" % (f["log_end"], f["hw"]), event.node)

    def _log_start(self, event, f):
        self._tell(event, " lets go of what is below #%d" % f["new"], event.node)

    def _replica_isr(self, event, f):
        if f["committed"]:
            self._tell(event, "ISR %s, as %s learns" % (event.text, self.name(event.node)))

    def _replica_diverged(self, event, f):
        self._tell(event, " is told: epoch %d ends at %d" % (f["diverging_epoch"], f["diverging_end"]),
                   event.node)
        self.labels.add("e%d ends at %d" % (f["diverging_epoch"], f["diverging_end"]))

    def _replica_remote(self, event, f):
        self.labels.add("Fetch from %d" % f["log_end"])

    def _raft_fetched(self, event, f):
        self.labels.add("Fetch from %d" % f["offset"])

    def _controller_partition(self, event, f):
        isr = re.search("isr ([0-9,]*)", event.text).group(1)
        self._tell(event, " decides: %s leads epoch %d, ISR %s" % (
            self.name(f["leader"]), f["leader_epoch"], self._ids(isr)), event.node)

    def _controller_active(self, event, f):
        self._tell(event, " is the active controller, epoch %d" % f["epoch"], event.node)

    def _controller_renounced(self, event, f):
        self._tell(event, " is no longer the active controller", event.node)

    def _sim_up(self, event, f):
        self._tell(event, " starts again" if f["incarnation"] > 1 else " starts", f["node"])

    def _sim_down(self, event, f):
        self._tell(event, " goes down: " + DOWN.get(f["how"], "down"), f["node"])

    def _node_stopped(self, event, f):
        if not self.names:
            self._tell(event, " goes down: stopped", event.node)

    def _sim_fault(self, event, f):
        word = "Mended" if event.text.startswith("start of") else "Fault" if f["on"] else "Fault ends"
        self._tell(event, "%s: %s" % (word, event.text))

    def _sim_step(self, event, f):
        self._tell(event, "Step: " + event.text)

    def _sim_phase(self, event, f):
        self._tell(event, PHASES[f["phase"]])

    def _sim_violation(self, event, f):
        self._tell(event, event.text)
        self.at[seconds(event.time_ns)].add(plain("VIOLATION: " + event.text))

    def _client_acked(self, event, f):
        if f["offset"] < 0:
            return
        last, self.ack = self.ack, (event, f["offset"], f["offset"] + 1)
        if last and last[2] == f["offset"] and last[0].time_ns == event.time_ns and \
                last[0].node == event.node:
            self.ack = (last[0], last[1], f["offset"] + 1)
        records = run(self.ack[1], self.ack[2])
        self._tell(self.ack[0], " has the acknowledgement of " + records, event.node)
        self.labels.add("ack " + records)

    def _client_failed(self, event, f):
        self._tell(event, " is refused:" if f["definite"] else " does not know the outcome:",
                   event.node)


class Faults:
    """Stretches of time in which something was wrong: (words, begin, possible ends)."""

    def __init__(self, events):
        self.items = []
        end = events[-1].time_ns
        for at, event in enumerate(events):
            f = event.fields
            if event.kind == "sim.fault" and f["on"] and not event.text.startswith("start of"):
                ends = [e.time_ns for e in events[at:] if
                        (e.kind == "sim.fault" and not e.fields["on"] and
                         (e.fields["target"] == f["target"] or e.text.startswith("heal"))) or
                        (e.kind in ("sim.up", "sim.down") and e.fields["node"] == f["target"]) or
                        (e.kind == "sim.phase" and e.fields["phase"] >= 2)]
                self.items.append((event.text, event.time_ns, ends + [end]))
            elif event.kind == "sim.down":
                ends = [e.time_ns for e in events[at:]
                        if e.kind == "sim.up" and e.fields["node"] == f["node"]]
                self.items.append((DOWN.get(f["how"], "down"), event.time_ns, ends[:1] + [end]))
        self.lengths = {duration(e - begin) for _, begin, ends in self.items for e in ends}
        self.begins = {seconds(begin) for _, begin, _ in self.items}
        self.ends = {seconds(e) for _, _, ends in self.items for e in ends}
        self.texts = {text for text, _, _ in self.items}
