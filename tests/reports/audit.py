"""Nothing on a page is unaccounted for: every text with a digit in it is recomputed from the trace
(or, for what the run alone knows, from facts.txt), and what no rule accounts for is an error."""
import copy
import os
import re

import audit_figures
import audit_txns
import replay
from audit_figures import DIGIT, count_words
from sentences import Faults, Teller, plain, seconds

def read_facts(directory):
    facts, path = {"check": [], "fault": [], "plan": None}, os.path.join(directory, "facts.txt")
    if not os.path.exists(path):
        return facts
    with open(path, encoding="utf-8") as file:
        text = file.read()
    head, _, plan = text.partition("\nplan\n")
    facts["plan"] = plan or None
    for line in head.splitlines()[1:]:
        key, _, value = line.partition(" ")
        if key in ("check", "fault"):
            facts[key].append(value)
        else:
            facts[key] = value
    return facts


def arrivals(events):
    """When messages were received of which the trace has the sending."""
    calls = {}
    for event in events:
        f = event.fields
        if event.kind == "sim.down":
            calls = {k: v for k, v in calls.items() if v[1] != f["node"]}
        if not event.kind.startswith("rpc."):
            continue
        key = (f["conn"], f["correlation"])
        state, sender = calls.get(key, (None, None))
        if event.kind == "rpc.sent":
            calls[key] = ("sent", event.node)
        elif event.kind == "rpc.received" and state == "sent":
            calls[key] = ("received", sender)
            yield event.time_ns
        elif event.kind == "rpc.answered" and state == "received":
            calls[key] = ("answered", sender)
        elif event.kind == "rpc.replied":
            if f["err"] == 0 and state == "answered":
                yield event.time_ns
            calls.pop(key, None)


class Audit(audit_figures.Figures, audit_txns.Transactions):
    def __init__(self, checked):
        self.c, self.page, self.events = checked, checked.page, checked.events
        self.compared = 0
        name = checked.facts.get("told here")
        topic, partition = name.rsplit("-", 1) if name else ("", -1)
        self.key = (replay.topics(self.events).get(topic, 0) if name else -1, int(partition))
        self.world = lambda: replay.World(*self.key, replay.is_real(self.events))
        self.teller = Teller(self.events, *self.key)
        self.faults = Faults(self.events)
        self.facts = read_facts(checked.directory)
        self.end_ns = checked.finished if checked.finished is not None else self.events[-1].time_ns
        self.begin_ns = self.events[0].time_ns
        self.times = {seconds(e.time_ns) for e in self.events}
        self.moving = [e for e in self.events if self.moves(e)]
        self.gaps = {e["text"] for e in self.page.elements
                     if e["tag"] == "title" and re.search("left out|without a change", e["text"])}
        self.arrivals = list(arrivals(self.events))
        self.texts = [e for e in self.page.elements if e["tag"] == "text"]

    def need(self, condition, what):
        self.compared += 1
        if not condition:
            raise AssertionError("%s: %s" % (self.c.name, what))

    def claim(self, element):
        element["claimed"] = True

    # ---- the state at a moment

    def moves(self, event):
        """Can it change where a replica stands?"""
        if event.kind.startswith(("log.", "replica.", "controller.partition")):
            return (event.fields.get("topic"), event.fields.get("partition")) == self.key
        return event.kind.startswith(("sim.up", "sim.down", "raft.", "node.stopped"))

    def world_before(self, number):
        """Where everybody stood before the event of this number."""
        world = self.world()
        for event in self.moving:
            if event.number >= number:
                break
            world.take(event)
        return world

    def worlds_at(self, moments):
        """One walk for many moments: {time: world just after it}; moments ascending."""
        world, found, left = self.world(), {}, sorted(set(moments), reverse=True)
        for event in self.moving:
            while left and event.time_ns > left[-1]:
                found[left.pop()] = copy.deepcopy(world)
            world.take(event)
        for moment in left:
            found[moment] = copy.deepcopy(world)
        return found

    # ---- lists and tables

    def sentence(self, words, moment, what):
        self.need(plain(words) in self.teller.at.get(moment, ()) or self.lost(words, moment) or
                  any(plain(words).startswith(s) and s.endswith(":")
                      for s in self.teller.at.get(moment, ())),
                  "%s: nothing at %s says %r" % (what, moment, words))

    def lost(self, words, moment):
        """A message that never arrives: its request or answer was sent, and is told here."""
        return "never arrives" in words and moment in self.times

    def lists(self):
        for item in self.page.elements:
            if item["tag"] != "li":
                continue
            moment, _, words = item["text"].partition(" ")
            parents = [p for p in item["parents"] if p["tag"] == "ol"]
            if parents and parents[-1]["attrs"].get("id") == "led":
                words, _, times = words.partition(" (\u00d7")
                self.sentence(words, moment, "what led to it")
                if times:
                    said = sum(1 for s in self.teller.said.values() if s == plain(words))
                    self.need(said >= int(times[:-1]) or "never arrives" in words, "said %s" % times)
            else:
                self.fault_item(moment, words)
            self.claim(item)

    def fault_item(self, moment, words):
        found = re.match(r"(.*?)(?:, for ([0-9.]+ (?:s|ms|us)))?(, to the end)?$", words)
        self.need(moment in self.faults.begins, "no fault begins at %s" % moment)
        gone = re.match(r"(.*) is gone \((.*)\)$", found.group(1))
        self.need((gone.group(2) if gone else found.group(1))[:90] in
                  {t[:90] for t in self.faults.texts}, "a fault %r" % words)
        self.need(not found.group(2) or found.group(2) in self.faults.lengths, "how long: " + words)

    def tables(self):
        for row in self.page.elements:
            if row["tag"] != "tr":
                continue
            cells = [c["text"] for c in self.page.within(row, "td")]
            table = [p for p in row["parents"] if p["tag"] == "table"][-1]
            section = [p for p in row["parents"] if p["tag"] == "section"]
            name = section[-1]["attrs"].get("id") if section else None
            if name == "longest":
                continue  # audit_txns
            if "moment" in row["attrs"].get("class", "").split():
                number = int(row["attrs"]["data-event"])
                wanted = self.teller.said.get(number)
                words = plain(cells[2])
                self.need(wanted is None and "never arrives" in words or words in
                          (wanted, plain("VIOLATION: " + (wanted or ""))) or
                          (wanted or "").endswith(":") and words.startswith(wanted),
                          "moment %d: %r, the trace %r" % (number, words, wanted))
                self.where(cells[1], self.c.by_number[number])
                self.claim(row)
            elif name == "checks" and cells:
                self.check_row(cells)
                self.claim(row)
            elif len(cells) == 6 and table["attrs"].get("id") != "replicas":
                self.fault_row(cells)
                self.claim(row)
            elif len(cells) == 2 and name is None:  # the last of each node
                self.sentence(cells[1], cells[0], "the last of a node")
                self.claim(row)

    def where(self, words, event):
        """The node of the event; before an arrow, who sent the message that brought it."""
        sender, arrow, node = words.rpartition(" \u2192 ")
        own = event.fields["node"] if event.kind in ("sim.up", "sim.down", "sim.violation") \
            else event.node
        wanted = self.teller.name(own) if own >= 0 and event.kind != "sim.fault" else ""
        self.need(plain(node) in (plain(wanted), "") or event.kind.startswith("rpc."),
                  "where: %r, the trace %r" % (words, wanted))
        asks = {e.node for e in self.events if e.kind == "rpc.sent" and e.fields["peer"] == own} | \
            {e.fields["peer"] for e in self.events if e.kind == "rpc.sent" and e.node == own}
        self.need(not arrow or event.kind.startswith("rpc.") or plain(sender) in
                  {plain(self.teller.name(n)) for n in asks}, "nobody like %r ever asked" % sender)

    def check_row(self, cells):
        wanted = [f.split(" ", 4) for f in self.facts["check"]]
        mine = [w for w in wanted if w[0] == cells[0]]
        self.need(mine, "check %s is not among the facts" % cells[0])
        judged, violated = int(mine[0][2]), int(mine[0][3])
        self.need(cells[2] == (count_words(judged) if judged else "not exercised"), "judged %s" % cells)
        self.need(cells[3] == count_words(violated), "violated %s" % cells)

    def fault_row(self, cells):
        for fact in self.facts["fault"]:
            head, _, numbers = fact.partition("\t")
            identity, _, word = head.partition(" ")
            if word == cells[0] and cells[1] in (identity, ""):
                asked, injected, weakened, refused = numbers.split()
                self.need(cells[2:] == [count_words(int(asked)), "never" if asked != "0" == injected
                                        else count_words(int(injected)), count_words(int(weakened)),
                                        count_words(int(refused))], "fault %s" % cells)
                return
        self.need(False, "fault %s is not among the facts" % cells)

    def replicas(self):
        """What is struck is how it was before the last change."""
        table = self.page.by_id("replicas")
        if table is None:
            return
        before, now = self.world(), self.world()
        last = 0
        stop = self.c.violation.number if self.c.violation else None
        for event in self.moving:
            if stop is not None and event.number >= stop or stop is None and event.time_ns > self.end_ns:
                break
            if now.take(event):
                last = event.number
        for event in self.moving:
            if event.number >= last:
                break
            before.take(event)
        for row in self.page.within(table, "tr"):
            if "data-node" not in row["attrs"]:
                continue
            node = int(row["attrs"]["data-node"])
            cells = self.page.within(row, "td")
            for cell, value in zip(cells[1:4], ("start", "hw", "end")):
                for struck in self.page.within(cell, "s"):
                    self.need(int(struck["text"]) == getattr(before.of(node), value),
                              "%s of %d before: %s" % (value, node, struck["text"]))
            for struck in self.page.within(cells[0], "s"):
                epoch = re.search(" e(-?[0-9]+)$", struck["text"])
                self.need(epoch is None or int(epoch.group(1)) == before.of(node).epoch,
                          "role of %d before: %s" % (node, struck["text"]))
        self.claim(table)

    def head(self):
        started = next((e for e in self.events if e.kind == "sim.started"), None)
        seed = self.facts.get("seed", str(started.fields["seed"]) if started else None)
        for element in self.page.elements:
            if element["tag"] in ("h1", "title") and not any(p["tag"] == "svg" for p in element["parents"]):
                self.need(seed is None or element["text"].endswith("seed %s" % seed), element["text"])
                self.claim(element)
            elif element["tag"] == "pre" and element["attrs"].get("class") == "command":
                self.need(element["text"] == self.facts.get("replay"), "the command")
                self.claim(element)
            elif element["tag"] == "dt":
                name = element["text"]
            elif element["tag"] == "dd":
                if name == "events delivered":
                    self.need(element["text"] == count_words(int(self.facts["events"])), name)
                if name == "run hash":
                    self.need(int(element["text"], 16) == int(self.facts["hash"], 16), name)
                self.claim(element)
        verdict = self.page.by_class("verdict")[0]
        if self.c.violation is not None:
            said = re.sub(r"^At .*?:(?= )", "", verdict["text"], count=1)
            text = self.facts.get("violation", self.c.violation.text)
            self.need(said.strip().startswith(text), "the violation: %r" % said)
            rest = said.strip()[len(text):]
            judged = re.search("Judged ([0-9\u202f]+) time", rest)
            if judged:
                mine = next(f for f in self.facts["check"] if f.split()[3] != "0").split(" ", 4)
                self.need(judged.group(1) == count_words(int(mine[2])), "judged: " + rest)
                self.need(", %s: " % mine[0] in rest, "the check: " + rest)
        self.claim(verdict)
        for element in self.page.elements:
            if element["tag"] == "p" and "checks judged" in element["text"]:
                idle = sum(1 for f in self.facts["check"] if f.split()[2] == "0")
                total = len(self.facts["check"])
                self.need(element["text"].startswith("%d of %d checks judged; %d had" % (
                    total - idle, total, idle)), element["text"])
                self.claim(element)

    def left_out(self):
        """How many were left out in each gap and in all; how many are shown, by their marks."""
        left = self.page.by_id("leftout")
        if left is None:
            return
        told = left["text"].replace(self.c.facts["told here"], "")
        said = [int(re.sub("\u202f", "", n)) for n in re.findall("[0-9][0-9\u202f]*", told)]
        gaps = 0
        for text in self.texts:
            found = re.search("([0-9]+) changes? left out", text["own"])
            gaps += int(found.group(1)) if found else 0
            found = re.search("; ([0-9]+) later ones", text["own"])
            last = int(found.group(1)) if found else 0
            gaps += last
        self.need(said[3] - gaps >= 0, "gaps tell of %d, the page of %d" % (gaps, said[3]))
        if not self.page.by_id("spacetime_2") and self.page.by_id("spacetime"):
            first = self.row_times("spacetime")[0]
            early = said[3] - gaps  # before the first row: nothing says how many, but the sum
            self.need(early == 0 or any(e.time_ns < first for e in self.events), "before the first row")
        self.need(self.changes(said[1]), "%d changes" % said[1])
        pictures = re.search("take ([0-9]+) pictures", told)
        parts = sum(1 for n in ("spacetime", "spacetime_2", "spacetime_3") if self.page.by_id(n))
        self.need(parts < 2 or int(pictures.group(1)) == parts, "%d pictures" % parts)
        self.claim(left)

    def changes(self, said):
        """Between what surely is a change of the partition and what may be one."""
        surely = {"replica.hw", "log.appended", "log.truncated", "log.opened", "log.start"}
        least = sum(1 for e in self.events if e.kind in surely and
                    (e.fields["topic"], e.fields["partition"]) == self.key and
                    e.time_ns <= self.end_ns)
        lost = sum(1 for e in self.events if e.kind == "rpc.sent") * 2
        lanes = len(self.page.elements)  # a node without a lane hides its own
        return said <= len(self.teller.said) + lost and (said >= least or lanes > 0)

    def timeline(self):
        for pre in self.page.elements:
            if pre["tag"] != "pre" or not any(p["tag"] == "details" for p in pre["parents"]):
                continue
            if "time   " not in pre["text"][:12]:
                self.need(self.facts["plan"] is not None and
                          pre["text"].strip() == self.facts["plan"].strip(), "the scenario")
                self.claim(pre)
                continue
            for line in pre["text"].splitlines()[1:]:
                self.timeline_line(line)
            self.claim(pre)

    def timeline_line(self, line):
        found = re.match(r"([0-9]+\.[0-9]{3}) +(.*)$", line)
        if not found:
            gap = re.match(r" +\S +([0-9.]+ (?:s|ms|us)(?:, [0-9]+ changes? left out)?)$", line)
            self.need(gap or not DIGIT.search(line), "the text timeline says %r" % line)
            if gap and self.gaps:
                self.need(any(g.startswith(gap.group(1)) for g in self.gaps), "a pause: " + line)
            return
        moment, rest = found.groups()
        known = self.teller.at.get(moment, set())
        flat = plain(rest)
        told = [s for s in known if flat.endswith(s)] or "never arrives" in flat or \
            any(s.endswith(":") and s in flat for s in known)
        self.need(told, "%s: nothing says %r" % (moment, flat))
        states = {s for (at, _), v in self.teller.states.items() if at == moment for s in v}
        if isinstance(told, list):
            flat = flat[:len(flat) - max(len(s) for s in told)]
            for hw, end in re.findall(r"\b([0-9]+)/([0-9]+)\b", flat):
                self.need((int(hw), int(end)) in {(s[1], s[2]) for s in states}, line)

    def all(self):
        self.head()
        self.lists()
        self.tables()
        self.replicas()
        for name in ("spacetime", "spacetime_2", "spacetime_3"):
            self.spacetime(name)
        self.left_out()
        self.gantt()
        if self.page.by_id("storyboard"):
            self.storyboard()
        self.topology()
        self.clients()
        self.groups()
        self.longest_table()
        self.transactions()
        self.timeline()
        for element in self.page.elements:
            own = element["own"].replace(self.c.facts.get("told here", "-"), "")
            if not DIGIT.search(own) or element["tag"] in ("style", "script", "desc"):
                continue
            svg = any(p["tag"] == "svg" for p in element["parents"])
            if element["tag"] == "title" and svg:  # what a mark says when pointed at
                continue
            claimed = element["claimed"] or any(p["claimed"] for p in element["parents"])
            self.need(claimed, "nothing accounts for <%s> %r" % (element["tag"], own))
        return self.compared
