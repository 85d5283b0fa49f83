"""Every number of a page against the trace it was drawn from, by a reader and rules that share
nothing with the renderer."""
import html.parser
import os
import re

import audit
import replay
import sentences
import trace_reader

NARROW = "\u202f"  # between groups of digits


class Page(html.parser.HTMLParser):
    """A page as rows of cells: [{tag, attributes, text}], with the parts by which they are found."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.elements = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "attrs": dict(attrs), "text": "", "own": "", "claimed": False,
                   "parents": list(self.stack)}
        self.elements.append(element)
        if tag not in ("meta", "br", "link", "path", "polygon", "ellipse", "polyline"):
            self.stack.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append({"tag": tag, "attrs": dict(attrs), "text": "", "own": "",
                              "claimed": False, "parents": list(self.stack)})

    def handle_endtag(self, tag):
        while self.stack:
            if self.stack.pop()["tag"] == tag:
                return

    def handle_data(self, data):
        for element in self.stack:
            element["text"] += data
        if self.stack:
            self.stack[-1]["own"] += data

    def within(self, element, tag):
        return [e for e in self.elements if e["tag"] == tag and any(p is element for p in e["parents"])]

    def by_id(self, name):
        for element in self.elements:
            if element["attrs"].get("id") == name:
                return element
        return None

    def by_class(self, name, tag=None):
        return [e for e in self.elements if name in e["attrs"].get("class", "").split()
                and (tag is None or e["tag"] == tag)]


def number(text):
    return int(re.sub("[%s\u00a0 ]" % NARROW, "", text))


def milliseconds(time_ns):
    """As pages write moments: seconds with three digits, cut."""
    return "%d.%03d" % (time_ns // 10**9, time_ns // 10**6 % 1000)


class Checked:
    """One page beside its trace. `compared` counts the numbers that were."""

    def __init__(self, directory):
        self.directory = directory
        self.name = os.path.basename(directory.rstrip("/"))
        self.events = list(trace_reader.read(os.path.join(directory, "trace.bin")))
        with open(os.path.join(directory, "index.html"), encoding="utf-8") as file:
            self.page = Page(file.read())
        self.by_number = {event.number: event for event in self.events}
        self.nodes = {e.fields["node"]: e.text for e in self.events if e.kind == "sim.node"}
        self.violation = next((e for e in self.events if e.kind == "sim.violation"), None)
        self.finished = next((e.time_ns for e in self.events
                              if e.kind == "sim.phase" and e.fields["phase"] == 3), None)
        self.facts = {}
        for element in self.page.elements:
            if element["tag"] == "dt":
                name = element["text"]
            elif element["tag"] == "dd":
                self.facts[name] = element["text"]
        self.compared = 0

    def equal(self, got, wanted, what):
        self.compared += 1
        if got != wanted:
            raise AssertionError("%s: %s: the page says %r, the trace %r" % (self.name, what, got, wanted))

    def count(self, kind):
        return sum(1 for e in self.events if e.kind == kind)

    # ---- parts of a page

    def check_facts(self):
        facts = self.facts
        faults = sum(1 for e in self.events if e.kind == "sim.fault" and e.fields["on"] != 0
                     and not e.text.startswith("start of"))
        self.equal(number(facts["records sent"]), self.count("client.send"), "records sent")
        self.equal(number(facts["acknowledged"]), self.count("client.acked"), "acknowledged")
        self.equal(number(facts["faults injected"]), faults, "faults injected")
        failed = self.count("client.failed")
        self.equal(number(facts.get("failed or unknown", "0")), failed, "failed")
        if "events in the trace" in facts:
            self.equal(number(facts["events in the trace"]), len(self.events), "events")
        self.equal(facts["virtual time"], milliseconds(self.events[-1].time_ns) + " s", "virtual time")
        left = self.page.by_id("leftout")
        if left is not None:
            said = [number(n) for n in re.findall("[0-9][0-9%s]*" % NARROW,
                                                  left["text"].replace(self.facts["told here"], ""))]
            outside = re.search("([0-9%s]+) lie outside" % NARROW, left["text"])
            self.equal(said[0], len(self.events), "events of which some are shown")
            self.equal(said[1], said[2] + said[3] + (number(outside.group(1)) if outside else 0),
                       "changes: shown and left out")

    def check_verdict(self):
        verdict = self.page.by_class("verdict")[0]["text"]
        if self.violation is None:
            found = re.search("([0-9%s]+) records were acknowledged" % NARROW, verdict)
            self.equal(number(found.group(1)), self.count("client.acked"), "verdict")
            return
        f = self.violation.fields
        self.equal(re.search("At ([0-9.]+) s", verdict).group(1), milliseconds(self.violation.time_ns),
                   "moment of the violation")
        self.equal(self.nodes.get(f["node"], "") in verdict, True, "node of the violation")
        if f["offset"] > 0:
            self.equal("offset %d" % f["offset"] in verdict, True, "offset of the violation")
        if f["epoch"] >= 0:
            self.equal("epoch %d" % f["epoch"] in verdict, True, "epoch of the violation")

    def world_at_the_end(self):
        topic, partition = self.facts["told here"].rsplit("-", 1)
        ids = replay.topics(self.events)
        world = replay.World(ids.get(topic, 0), int(partition), replay.is_real(self.events))
        for event in self.events:
            if event is self.violation or (self.violation is None and self.finished is not None
                                           and event.time_ns > self.finished):
                break
            world.take(event)
        return world

    def check_replicas(self):
        table = self.page.by_id("replicas")
        if table is None:
            return
        world = self.world_at_the_end()
        words = ("no leader known", "follows", "leads", "offline", "candidate", "resigned")
        rows = [row for row in self.page.within(table, "tr") if "data-node" in row["attrs"]]
        known = sorted(n for n, r in world.replicas.items() if r.known)
        self.equal(sorted(int(row["attrs"]["data-node"]) for row in rows), known, "replicas")
        for row in rows:
            node = int(row["attrs"]["data-node"])
            replica = world.replicas[node]
            cells = []
            for cell in self.page.within(row, "td"):
                bold = self.page.within(cell, "b")
                cells.append(bold[0]["text"] if bold else cell["text"])
            role = "%s e%d" % (words[replica.role], replica.epoch) if replica.up else "down"
            self.equal(cells[0], role, "role of %d" % node)
            self.equal(int(cells[1]), replica.start, "log start of %d" % node)
            self.equal(int(cells[2]), replica.hw, "high watermark of %d" % node)
            self.equal(int(cells[3]), replica.end, "log end of %d" % node)
            if len(cells) == 6 and world.isr is not None:
                self.equal(cells[4], "in" if node in world.isr else "out", "ISR of %d" % node)
            runs = ", ".join("%s from %d" % ("e%d" % e if e >= 0 else "?", start)
                             for start, e in replica.runs[-3:])
            self.equal(cells[-1].replace("\u2026 ", ""), runs, "epochs of %d" % node)

    def check_moments(self):
        for row in self.page.by_class("moment", "tr"):
            event = self.by_number[int(row["attrs"]["data-event"])]
            cells = self.page.within(row, "td")
            self.equal(cells[0]["text"], milliseconds(event.time_ns), "a key moment")
            self.check_words(cells[2]["text"], event)

    def check_words(self, words, event):
        f = event.fields
        wanted = {
            "log.appended": lambda: ["#%d" % f["base_offset"]] + (
                ["#%d" % f["last_offset"]] if f["last_offset"] > f["base_offset"] else []),
            "log.truncated": lambda: ["back to %d" % f["new_end"]] if f["new_end"] < f["old_end"] else [],
            "log.opened": lambda: ["end %d" % f["log_end"]],
            "replica.hw": lambda: ["HW %d" % f["new"]],
            "replica.role": lambda: ["epoch %d" % f["leader_epoch"]] if f["role"] in (1, 2) else [],
            "controller.partition": lambda: ["epoch %d" % f["leader_epoch"]],
            "controller.active": lambda: ["epoch %d" % f["epoch"]],
            "client.acked": lambda: ["#%d" % f["offset"]],
            "sim.fault": lambda: [event.text],
            "sim.step": lambda: [event.text],
            "sim.violation": lambda: [event.text[:200]],
        }.get(event.kind, lambda: [])()
        for piece in wanted:
            self.equal(piece in words, True, "%r in %r" % (piece, words))

    def check_times(self):
        """Moments that only a list tells: each is that of some event."""
        known = {milliseconds(e.time_ns) for e in self.events}
        for item in self.page.elements:
            if item["tag"] == "li" and any("led" in p["attrs"].get("class", "") for p in item["parents"]):
                self.equal(item["text"].split()[0] in known, True, "the moment " + item["text"][:40])

    def check_fault_plan(self):
        begins = {}
        for event in self.events:
            if event.kind == "sim.fault" and event.fields["on"] != 0:
                begins.setdefault((milliseconds(event.time_ns), event.text), event)
        ends = [e for e in self.events if e.kind == "sim.fault" and e.fields["on"] == 0]
        listed = 0
        for item in self.page.elements:
            if item["tag"] != "li":
                continue
            found = re.match(r"([0-9.]+) (.*?)(?:, for ([0-9.]+) (s|ms|us)|, to the end)?$", item["text"])
            if not found or (found.group(1), found.group(2)) not in begins:
                continue
            listed += 1
            event = begins[(found.group(1), found.group(2))]
            end = next((e for e in ends if e.number > event.number and e.fields["fault"] ==
                        event.fields["fault"] and e.fields["target"] == event.fields["target"]), None)
            if found.group(3) and end is not None:
                self.equal("%s %s" % found.group(3, 4), sentences.duration(end.time_ns - event.time_ns),
                           "length of " + event.text)
        wanted = sum(1 for _, text in begins if not text.startswith("start of"))
        self.equal(listed >= min(wanted, 60), True, "%d faults listed of %d" % (listed, wanted))

    def check_clients(self):
        about = self.page.by_id("clients-about")
        if about is None:
            return
        sent, ok, slowest = {}, 0, 0
        horizon = self.finished if self.finished is not None else self.events[-1].time_ns
        for event in self.events:
            if event.kind == "client.send":
                sent.setdefault(event.fields["value"], event.time_ns)
            elif event.kind == "client.acked" and event.fields["value"] in sent:
                if sent[event.fields["value"]] > horizon:
                    continue
                ok += 1
                slowest = max(slowest, event.time_ns - sent[event.fields["value"]])
        found = re.match("([0-9%s]+) records acknowledged, the slowest after ([0-9.]+) (s|ms|us)" % NARROW,
                         about["text"])
        self.equal(number(found.group(1)), ok, "acknowledged in the figure of the clients")
        self.equal("%s %s" % found.group(2, 3), sentences.duration(slowest), "the slowest")

    def check_chips(self):
        """LEO and HW beside the lanes: the state when the last event of that moment was taken."""
        figure = self.page.by_id("spacetime")
        if figure is None:
            return
        topic, partition = self.facts["told here"].rsplit("-", 1)
        world = replay.World(replay.topics(self.events).get(topic, 0), int(partition), replay.is_real(self.events))
        chips = []
        for element in self.page.elements:
            found = re.match("spacetime-e([0-9]+)$", element["attrs"].get("id", ""))
            if found and "chip" in element["attrs"].get("class", ""):
                chips.append((self.by_number[int(found.group(1))], element["text"]))
        wanted = {}
        for event, text in chips:
            wanted.setdefault((event.time_ns, event.node), []).append(text)
        last = {}
        for event in self.events:
            if (event.time_ns, event.node) in wanted:
                last[(event.time_ns, event.node)] = event.number
        for event in self.events:
            world.take(event)
            key = (event.time_ns, event.node)
            if last.get(key) != event.number:
                continue
            replica = world.of(event.node)
            for text in wanted[key]:
                for word, value in re.findall("(LEO|HW|start) ([0-9]+)", text):
                    now = {"LEO": replica.end, "HW": replica.hw, "start": replica.start}[word]
                    self.equal(int(value), now, "%s beside the lane of %d at %d" %
                               (word, event.node, event.time_ns))

    def all(self):
        self.check_facts()
        self.check_verdict()
        self.check_replicas()
        self.check_moments()
        self.check_times()
        self.check_fault_plan()
        self.check_clients()
        self.check_chips()
        return self.compared + audit.Audit(self).all()
