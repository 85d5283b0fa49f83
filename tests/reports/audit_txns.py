"""The audit's part for transactions, by rules of its own: per partition the log as its leaders wrote
it (what a new leader does not have is cut off), in which a producer's first record and its next
marker are one transaction's."""
import re

from sentences import duration, plain, seconds

MARGIN_NS, LEFT, WIDTH = 20000000, 1900, 8400
WORDS = {0: "open", 1: "committed", 2: "aborted"}


class Log:
    """One partition: what is in it of transactions, and how far its readers may read."""

    def __init__(self):
        self.entries, self.lost = [], []  # (leader epoch, offset, time, producer, epoch, step, number)
        self.epoch, self.samples, self.hw_epoch = -1, [], -1
        self.reached = (-1, -1)

    def take(self, event):
        f = event.fields
        at = (f["leader_epoch"], f["offset"])
        if at > self.reached:
            self.reached = at
            self.entries.append(at + (event.time_ns, f["producer"], f["epoch"], f["step"], event.number))

    def lead(self, event):
        epoch, start = event.fields["leader_epoch"], event.fields["start_offset"]
        if self.entries and epoch > self.reached[0]:
            self.lost += [e for e in self.entries if e[1] >= start]
            self.entries = [e for e in self.entries if e[1] < start]
            self.reached = (epoch, start - 1)

    def pairs(self):
        """(producer, epoch) -> [(first record, marker or None)]"""
        begun, found = {}, []
        for entry in self.entries:
            if entry[5] == 0:
                begun[entry[3]] = entry
            elif entry[3] in begun:
                found.append((begun.pop(entry[3]), entry))
        return found + [(entry, None) for entry in begun.values()]

    def advance(self, event):
        """At the leader: every record below is in; those of a transaction without a marker, or with
        one that is not replicated yet, are not to be read, nor what follows them."""
        f = event.fields
        if not (self.entries or self.lost) or f["role"] != 2 or f["leader_epoch"] < self.hw_epoch:
            return
        self.hw_epoch = f["leader_epoch"]
        begun, stable = {}, f["new"]
        for entry in self.entries[-200:]:
            if entry[5] == 0:
                begun[entry[3]] = entry[1]
            elif entry[3] in begun:
                first = begun.pop(entry[3])
                if entry[1] >= f["new"]:
                    stable = min(stable, first)
        self.samples.append((event.time_ns, f["new"], min([stable] + list(begun.values()))))


class Transactions:
    """Mixed into the audit."""

    def fold(self):
        logs, asked, self.clients, self.reads = {}, {}, {}, []
        for event in self.events:
            f = event.fields
            key = (f.get("topic"), f.get("partition"))
            if event.kind == "log.txn":
                logs.setdefault(key, Log()).take(event)
            elif event.kind == "replica.leading" and key in logs:
                logs[key].lead(event)
            elif event.kind == "replica.hw" and key in logs:
                logs[key].advance(event)
            elif event.kind == "read.served" and key in logs and f["consumer"]:
                self.reads.append((event, logs[key].samples[-1] if logs[key].samples else None))
            elif event.kind == "client.txn" and f["producer"] >= 0:
                self.clients[f["producer"]] = event.node
                asked.setdefault((f["producer"], f["epoch"]), {}).setdefault(f["step"], event)
        self.logs, self.txns = logs, {}
        for key, log in logs.items():
            for first, marker in log.pairs():
                self.txns.setdefault((first[3], first[4]), {})[key] = (first, marker)
            for entry in log.lost:
                if entry[5] == 0:
                    self.txns.setdefault((entry[3], entry[4]), {}).setdefault(key, (entry, False))
        for name in asked:
            self.txns.setdefault(name, {})
        self.asked = asked
        self.told_first = {}
        for event in self.events:
            if event.kind == "log.txn" and event.fields["step"] == 0:
                self.told_first.setdefault((event.fields["producer"], event.fields["epoch"]), event)

    def decided(self, name):
        steps = self.asked.get(name, {})
        return steps.get(1) or steps.get(2)

    def result(self, name):
        ends = [marker for _, marker in self.txns[name].values() if marker is not False]
        if None in ends:
            return 0
        last = self.decided(name)
        return ends[-1][5] if ends else last.fields["step"] if last else 0

    def begin(self, name):
        return min([e.time_ns for e in self.asked.get(name, {}).values()] +
                   ([self.told_first[name].time_ns] if name in self.told_first else []))

    def end(self, name, horizon):
        if self.result(name) == 0:
            return horizon
        last = self.decided(name)
        return max([self.begin(name)] + ([last.time_ns] if last else []) +
                   [marker[2] for _, marker in self.txns[name].values() if marker])

    def part_name(self, key):
        names = {e.fields["topic"]: e.text for e in self.events if e.kind == "topic.known" and e.text}
        return "%s-%d" % (names.get(key[0], "topic %x" % (key[0] % 2**64)), key[1])

    def producer_name(self, producer):
        node = self.clients.get(producer)
        return self.teller.name(node) if node is not None else "producer %d" % producer

    def inside(self, name, begin, end):
        return self.begin(name) <= end and self.end(name, end) >= begin

    def longest(self):
        return max(self.txns, key=lambda n: (self.result(n) == 0, self.end(n, self.end_ns) -
                                             self.begin(n), -self.begin(n)))

    def close_window(self):
        name = self.longest()
        begin, end = self.begin(name), self.end(name, self.end_ns)
        margin = max((end - begin) // 2, MARGIN_NS)
        return max(begin - margin, self.begin_ns), min(end + margin, self.end_ns)

    # ---- the table

    def longest_table(self):
        section = self.page.by_id("longest")
        if not any(e.kind in ("log.txn", "client.txn") for e in self.events):
            self.need(section is None and self.page.by_id("transactions") is None,
                      "a word of transactions where there are none")
            return
        self.fold()
        for event, sample in self.reads:  # what readers were given is below what is stable
            if sample is not None and event.fields["limit"] < event.fields["hw"]:
                stable = {s[2] for s in self.logs[(event.fields["topic"], event.fields["partition"])]
                          .samples if abs(s[0] - event.time_ns) < 10**9}
                self.need(event.fields["limit"] in stable, "a reader's limit %d" % event.fields["limit"])
        if not self.txns:
            return
        results = [self.result(name) for name in self.txns]
        counts = re.match(r"([0-9\u202f]+) were committed, ([0-9\u202f]+) aborted; ([0-9\u202f]+) are open",
                          self.page.within(section, "p")[0]["text"])
        self.need([int(n.replace("\u202f", "")) for n in counts.groups()] ==
                  [results.count(1), results.count(2), results.count(0)], counts.group(0))
        self.claim(self.page.within(section, "p")[0])
        rows = [r for r in self.page.within(section, "tr") if "data-event" in r["attrs"]]
        self.need(len(rows) == min(6, len(self.txns)), "%d transactions are told" % len(rows))
        told = [self.transaction(row) for row in rows]
        self.need(self.longest() in told, "the longest, %s, is not told" % (self.longest(),))

    def transaction(self, row):
        moment, who, words = [c["text"] for c in self.page.within(row, "td")]
        head, _, rest = words.partition(": ")
        found = re.match(r"Producer ([0-9]+), epoch ([0-9]+), (is open|committed|aborted)"
                         r"(?: after ([0-9.]+ (?:s|ms|us)))?(?:, decided to (commit|abort) at ([0-9.]+))?$",
                         head)
        self.need(found is not None, "a transaction %r" % words)
        name = (int(found.group(1)), int(found.group(2)))
        self.need(name in self.txns, "no transaction %s" % (name,))
        result, decided = self.result(name), self.decided(name)
        self.need(found.group(3).replace("is ", "") == WORDS[result], words)
        self.need(moment == seconds(self.begin(name)), words + " at " + moment)
        self.need(not who or who == self.producer_name(name[0]), who)
        if result:
            length = self.end(name, self.end_ns) - self.begin(name)
            self.need(found.group(4) == duration(length), words)
        self.need((found.group(6) is None) == (decided is None) and (decided is None or (
            found.group(6) == seconds(decided.time_ns) and
            found.group(5) == ("commit", "abort")[decided.fields["step"] - 1])), words)
        wanted = set()
        for key, (first, marker) in self.txns[name].items():
            end = ", %s marker #%d at %s" % (("commit", "abort")[marker[5] - 1], marker[1],
                                             seconds(marker[2])) if marker else \
                ", no marker" if marker is None else ", lost with its leader"
            wanted.add("%s from #%d%s" % (self.part_name(key), first[1], end))
        self.need(wanted == set(filter(None, rest.split("; "))), "%r, the trace %r" % (rest, wanted))
        self.claim(row)
        return name

    # ---- the figure

    def beside(self, text, names, below):
        """The label of the row: `below` points above the text."""
        y = float(text["attrs"]["y"]) - below
        near = [t for t in self.in_figure("transactions") if plain(t["own"]) in names and
                abs(float(t["attrs"]["y"]) - y) < 4]
        self.need(len(near) == 1, "%d labels beside %r" % (len(near), text["own"]))
        return names[plain(near[0]["own"])]

    def held(self, key):
        """The most that ever waited in the window of the figure."""
        return max([s[1] - s[2] for s in self.logs[key].samples if s[0] <= self.end_ns], default=0)

    def stable_moves(self, key, begin, end):
        values, first = [], None
        for time_ns, _, stable in self.logs[key].samples:
            if time_ns > end:
                break
            first = stable if time_ns < begin or first is None else first
            values.append(stable)
        return first, values[-1]

    def too_short(self, begin, end):
        """Those that begin where the bar before still stands."""
        def x(moment):
            return LEFT + min(max(moment - begin, 0), end - begin) * WIDTH // max(end - begin, 1000)
        missing = 0
        for producer in {n[0] for n in self.txns}:
            last = 0
            for name in sorted((n for n in self.txns if n[0] == producer and self.inside(n, begin, end)),
                               key=self.begin):
                if name != self.longest() and x(self.begin(name)) < last:
                    missing += 1
                    continue
                last = max(x(self.end(name, end)), x(self.begin(name)) + 24)
        return missing

    def transactions(self):
        if self.page.by_id("transactions") is None or not getattr(self, "txns", None):
            return
        begin, end = self.close_window()
        name = self.longest()
        producers = {plain(self.producer_name(p)): p for p in {n[0] for n in self.txns}}
        parts = {plain(self.part_name(k)): k for k in self.logs}
        heading = next(t for t in self.in_figure("transactions") if t["own"].startswith("Around the"))
        said = "Around the longest: %s, epoch %d, %s" % (self.producer_name(name[0]), name[1],
                                                         WORDS[self.result(name)])
        if self.result(name):
            said += " after " + duration(self.end(name, self.end_ns) - self.begin(name))
        self.need(plain(heading["own"]) == plain(said), "%r, the trace %r" % (heading["own"], said))
        self.claim(heading)
        below = float(heading["attrs"]["y"])
        whole = (self.begin_ns, self.end_ns)
        for text in self.in_figure("transactions"):
            if re.match(r"[0-9]+\.[0-9]{3}$", text["own"]) and float(text["attrs"]["y"]) > below:
                self.begin_ns, self.end_ns = begin, end
                self.tick(text, LEFT / 10, WIDTH / 10)
                self.begin_ns, self.end_ns = whole
                self.claim(text)

        def special(text, own):
            counts = re.match("([0-9\u202f]+) committed, ([0-9\u202f]+) aborted(?:, ([0-9\u202f]+) open)?$", own)
            if counts:
                producer = self.beside(text, producers, 10.5)
                results = [self.result(n) for n in self.txns if n[0] == producer and
                           self.inside(n, *whole)]
                return [int((n or "0").replace("\u202f", "")) for n in counts.groups()] == \
                    [results.count(1), results.count(2), results.count(0)]
            found = re.match("at most ([0-9]+) wait$", own)
            if found:
                return int(found.group(1)) == self.held(self.beside(text, parts, 11))
            found = re.match("LSO ([0-9]+) to ([0-9]+)$", own)
            if found:
                return tuple(int(n) for n in found.groups()) == \
                    self.stable_moves(self.beside(text, parts, 11), begin, end)
            found = re.match("e([0-9]+)(?: (committed|aborted|open))?$", own)
            if found:
                return any(n[1] == int(found.group(1)) and
                           found.group(2) in (None, WORDS[self.result(n)]) and
                           self.inside(n, begin, end) for n in self.txns)
            found = re.match("#([0-9]+)(?: to (commit|abort) marker #([0-9]+)|, no marker|, lost with its "
                             "leader)$", own)
            if found:
                first, marker = self.txns[name][self.beside(text, parts, 0)]
                return first[1] == int(found.group(1)) and (
                    own.endswith("marker #%d" % marker[1]) and
                    found.group(2) == ("commit", "abort")[marker[5] - 1] if marker else
                    own.endswith("no marker" if marker is None else "leader"))
            found = re.match("([0-9]+) more transactions are too short", own)
            if found:
                return int(found.group(1)) == self.too_short(begin, end)
            return plain(own) in parts or plain(own) in producers

        self.chart("transactions", LEFT / 10, WIDTH / 10, special)
