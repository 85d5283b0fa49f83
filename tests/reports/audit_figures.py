"""The figures' part of the audit: each text of a figure against the trace."""
import base64
import re

from sentences import duration, plain, seconds

DIGIT = re.compile("[0-9]")
NUMBER = re.compile("[0-9]+")


def count_words(value):
    """As pages write numbers: a narrow blank every three digits."""
    return "{:,}".format(value).replace(",", "\u202f")


class Figures:
    """Mixed into the audit, which has the page, the events and the teller of sentences."""

    def in_figure(self, name):
        return [t for t in self.texts if any(p["attrs"].get("id") == name for p in t["parents"])]

    def group_of(self, text):
        return [p for p in text["parents"] if p["tag"] == "g"]

    def kind_of(self, text):
        words = set()
        for group in self.group_of(text):
            words |= set(group["attrs"].get("class", "").split())
        return words

    def event_of(self, text):
        for group in reversed(self.group_of(text)):
            found = re.search("-e([0-9]+)$", group["attrs"].get("id", ""))
            if found:
                return self.c.by_number[int(found.group(1))]
        return None

    def row_times(self, name):
        times = set()
        for element in self.page.elements:
            found = re.match(re.escape(name) + "-e([0-9]+)$", element["attrs"].get("id", ""))
            if found:
                times.add(self.c.by_number[int(found.group(1))].time_ns)
        return sorted(times)

    def about(self, name, text):
        """The line below a figure's heading is its description."""
        about = self.page.by_id(name + "-about")
        title = self.page.by_id(name + "-title")
        return text["own"] in (about["text"], title["text"])

    def spacetime(self, name):
        texts = self.in_figure(name)
        story = []
        rows = sorted((float(t["attrs"]["y"]), float(t["own"])) for t in texts
                      if re.match(r"[0-9]+\.[0-9]{3}$", t["own"]))
        self.need(rows == sorted(rows, key=lambda r: r[1]), "time does not run downwards in " + name)
        for text in texts:
            own, kinds = text["own"], self.kind_of(text)
            if not DIGIT.search(own):
                if "story" in kinds:
                    story.append(text)
                continue
            if self.about(name, text):
                span = re.search(r"from ([0-9.]+) s to ([0-9.]+) s", own)
                self.need(span and set(span.groups()) <= self.times, own)
                shown = re.search("([0-9]+) of ([0-9]+) changes shown", own)
                if shown:
                    left = self.page.by_id("leftout")["text"]
                    self.need(count_words(int(shown.group(1))) + " of them" in left, own)
            elif "story" in kinds:
                story.append(text)
                continue
            elif "message" in kinds:
                self.need(all(part in self.teller.labels or self.known_label(part)
                              for part in own.split(", ")) or own in self.teller.labels,
                          "a message with %r" % own)
            elif "chip" in kinds:
                self.chip(text, own)
            elif re.match(r"[0-9]+\.[0-9]{3}$", own):
                self.need(own in self.times, "%s beside a row" % own)
            elif re.match(r"e[0-9]+$", own):
                led = {s[0] for v in self.teller.states.values() for s in v}
                self.need(int(own[1:]) in led, "an epoch %s" % own)
            elif re.search("without a change|left out", own):
                self.gap(name, text)
            elif re.match(r"[a-z ]+, [0-9.]+ (s|ms|us)$", own):
                self.need(own.split(", ")[1] in self.faults.lengths, "a fault of %s" % own)
            else:
                self.need(self.is_name(own), "%r in %s" % (own, name))
            self.claim(text)
        self.story_lines(story)

    def known_label(self, part):
        return part in ("AlterPartition", "Register", "Heartbeat", "request") or part == "" or \
            self.is_name(part)

    def is_name(self, text):
        """Of a node, a group's member, a topic."""
        known = {e.text for e in self.events if e.kind in ("sim.node", "topic.known", "group.owned", "group.epochs")}
        known |= {self.teller.name(n) for n in {e.node for e in self.events}}
        known |= {"broker %d" % e.node for e in self.events} | {"controller %d" % e.node
                                                                for e in self.events}
        short = text.strip().rstrip("\u2605 \u2026")
        return any(short == k[:len(short)] or short in k.split() for k in known)

    def chip(self, text, own):
        event = self.event_of(text)
        found = re.match("ISR ([0-9 ]+|none)$", own)
        if found and event is not None:
            isr = re.search("(?:isr )?([0-9,]*)", event.text).group(1)
            self.need(own == "ISR " + self.teller._ids(isr), "%r, the trace %r" % (own, event.text))
        elif event is None:
            self.need(re.match(r"LEO [0-9]+ \u00b7 HW [0-9]+$", own), "a chip %r" % own)
            pair = tuple(int(n) for n in NUMBER.findall(own))
            known = {(s[2], s[1]) for v in self.teller.states.values() for s in v} | {(0, 0)}
            self.need(pair in known, "nobody ever stood at %r" % own)
        else:
            self.need(re.match(r"(LEO|HW|start) ", own), "a chip %r" % own)  # check_chips has it

    def gap(self, name, text):
        """Its length, and what was left out in it, lie between what the trace has there."""
        own, group = text["own"], None
        y = float(text["attrs"]["y"])
        for element in self.page.elements:
            if element["tag"] == "title" and element["text"].startswith(own + " ("):
                group = element["text"]
        self.need(group is not None, "no gap is %r" % own)
        spans = {e["text"] for e in self.page.elements if e["tag"] == "title" and
                 e["text"].startswith(own + " (")}
        good = False
        for span in spans:
            found = re.search(r"\(([0-9]+) to ([0-9]+) us\)$", span)
            first, last = int(found.group(1)), int(found.group(2))
            good = good or self.gap_is(own, first, last)
        self.need(good, "a gap %r at %.0f" % (own, y))

    def gap_is(self, own, first, last):
        inside = [e for e in self.events if first <= e.time_ns // 1000 <= last]
        if not inside or own.split(",")[0].split(" without")[0] not in (
                duration((last - first) * 1000), duration((last - first - 1) * 1000)):
            return False
        messages = re.search("([0-9]+) messages", own)
        # The ends are told in whole microseconds: what arrived in one of them may count or not.
        least = sum(1 for t in self.arrivals if first < t // 1000 < last)
        most = sum(1 for t in self.arrivals if first <= t // 1000 <= last)
        if not (least <= int(messages.group(1)) <= most if messages else least <= 1):
            return False
        hidden = re.search("([0-9]+) changes? left out", own)
        told = sum(1 for e in inside if e.number in self.teller.said or e.kind == "rpc.replied")
        return not hidden or int(hidden.group(1)) <= told

    def story_lines(self, lines):
        """Sentences, wrapped: the lines in their order are made of the sentences of the trace."""
        known = set(self.teller.said.values())
        open_text = ""
        for line in sorted(lines, key=lambda t: -float(t["attrs"]["y"]) * -1):
            own = plain(line["own"])
            both = plain(open_text + " " + own) if open_text else own
            cut = both.rstrip("\u2026").rstrip()
            if any(s.startswith(cut) for s in known) or "never arrives" in both or \
                    any(s.endswith(":") and cut.startswith(s) for s in known):
                open_text = "" if cut in known or both.endswith("\u2026") else both
            elif any(s.startswith(own.rstrip("\u2026")) for s in known) or \
                    re.match("The .* (from|to)", own):
                open_text = own
            else:
                self.need(False, "the story says %r" % both)
            self.compared += 1
            self.claim(line)

    def axis_time(self, x, left, width):
        """The moment at a place of a chart (points)."""
        return self.begin_ns + int((x - left) / width * (self.end_ns - self.begin_ns))

    def tick(self, text, left, width):
        moment = float(text["own"]) * 1e9
        there = self.axis_time(float(text["attrs"]["x"]), left, width)
        self.need(abs(moment - there) <= (self.end_ns - self.begin_ns) / width * 1.5,
                  "%s stands at %.3f" % (text["own"], there / 1e9))

    def chart(self, name, left, width, special):
        """What gantt, clients and groups have in common: heading, ticks, faults above."""
        for text in self.in_figure(name):
            own = text["own"]
            if not DIGIT.search(own) or text["claimed"]:
                continue
            if self.about(name, text):
                self.compared += 1
            elif re.match(r"[0-9]+\.[0-9]{3}$", own):
                self.tick(text, left, width)
            elif special(text, own):
                self.compared += 1
            elif "txt" in self.kind_of(text) and self.fault_words(own):
                self.compared += 1
            else:
                self.need(self.is_name(own), "%r in %s" % (own, name))
            self.claim(text)

    def fault_words(self, own):
        found = re.match(r"(.*?)(?:, ([0-9.]+ (?:s|ms|us)))?$", own)
        words = found.group(1).split(": ")[-1]
        if not any(t[:60] in (words[:60], found.group(1)[:60]) for t in self.faults.texts):
            return False
        self.need(found.group(2) is None or found.group(2) in self.faults.lengths, own)
        return True

    def gantt(self):
        ends = {s[2] for v in self.teller.states.values() for s in v}
        led = {s[0] for v in self.teller.states.values() for s in v}

        def special(text, own):
            found = re.match("(?:leads )?e([0-9]+)$", own)
            if found:
                return int(found.group(1)) in led
            return own.isdigit() and int(own) in ends

        self.chart("gantt", 110, 920, special)

    def storyboard(self):
        """Which frame a text is in, by its place; its numbers from the state at that moment."""
        frames = []
        for element in self.page.by_class("frame", "g"):
            path = next(p for p in self.page.elements if p["tag"] == "path" and element in p["parents"])
            numbers = [float(n) for n in re.findall(r"-?[0-9]+\.?[0-9]*", path["attrs"]["d"])]
            found = re.search("-e([0-9]+)$", element["attrs"].get("id", ""))
            frames.append({"x": (min(numbers[::2]), max(numbers[::2])),
                           "y": (min(numbers[1::2]), max(numbers[1::2])),
                           "event": self.c.by_number[int(found.group(1))] if found else None})
        for text in self.in_figure("storyboard"):
            if not DIGIT.search(text["own"]):
                continue
            if self.about("storyboard", text):
                self.claim(text)
                continue
            x, y = float(text["attrs"]["x"]), float(text["attrs"]["y"])
            inside = [f for f in frames
                      if f["x"][0] <= x <= f["x"][1] and f["y"][0] <= y <= f["y"][1]]
            self.need(len(inside) == 1, "%r is in %d frames" % (text["own"], len(inside)))
            frame = inside[0]
            frame.setdefault("texts", []).append(text)
        for frame in frames:
            if frame.get("texts"):
                self.frame(frame)

    def frame(self, frame):
        event = frame["event"]
        world = self.world_before(event.number + 1 if event else self.first_shown())
        offsets = {}
        captions = []
        for text in frame["texts"]:
            own, kinds = plain(text["own"]), self.kind_of(text)
            tip = [t["text"] for t in self.page.elements if t["tag"] == "title" and
                   any(p in t["parents"] for p in self.group_of(text)[-2:])]
            if "cell" in kinds:
                found = re.match(r"(.*), #([0-9]+)$", tip[0])
                node = next(n for n in world.replicas if self.teller.name(n)[:40] == found.group(1) or
                            plain(self.teller.name(n)) == plain(found.group(1)))
                self.need(own == "e%d" % world.of(node).epoch_at(int(found.group(2))),
                          "%s of %s" % (own, tip[0]))
                offsets[text["attrs"]["x"]] = int(found.group(2))
            elif "caption" in kinds:
                captions.append(text)
            elif re.match("LEO [0-9]+ \u00b7 HW [0-9]+$", own):
                pair = tuple(int(n) for n in NUMBER.findall(own))
                self.need(pair in {(r.end, r.hw) for r in world.replicas.values()}, "%r" % own)
            elif re.match(r"[0-9.]+ s\b", own):
                self.need(own.split()[0] in self.times, own)
                found = re.search("ISR ([0-9 ]+|none)$", own)
                self.need(not found or world.isr is None or found.group(1) == self.teller._ids(
                    ",".join(str(n) for n in world.isr)), own)
            elif not own.isdigit():
                self.need(self.is_name(text["own"]), "%r in a frame" % own)
            self.claim(text)
        heads = sorted((float(t["attrs"]["x"]), int(t["own"])) for t in frame["texts"]
                       if plain(t["own"]).isdigit() and "cell" not in self.kind_of(t))
        for x, number in heads:  # a column is 20 points wide
            first = (float(min(offsets, key=float)), offsets[min(offsets, key=float)]) if offsets \
                else heads[0]
            self.need(number - first[1] == round((x - first[0]) / 20), "offset %d" % number)
        words = plain(" ".join(t["own"] for t in captions))
        wanted = self.teller.said.get(event.number, "") if event else "Where the figure begins"
        said = re.sub("^[0-9]+ ", "", words).rstrip("\u2026").rstrip()
        self.need(not captions or wanted.startswith(said) or wanted.endswith(":"),
                  "a frame says %r, the trace %r" % (said, wanted))

    def first_shown(self):
        return min(int(m.group(1)) for m in (re.match("spacetime-e([0-9]+)$", e["attrs"].get("id", ""))
                                             for e in self.page.elements) if m)

    def topology(self):
        texts = self.in_figure("topology")
        if not texts:
            return
        title = self.page.by_id("topology-title")["text"]
        moment = re.search(r"at ([0-9.]+) s", title).group(1)
        self.need(moment in self.times, title)
        when = max(e.time_ns for e in self.events if seconds(e.time_ns) == moment)
        pairs = set()
        for moment_ns in {e.time_ns for e in self.events if seconds(e.time_ns) == moment}:
            world = self.worlds_at([moment_ns])[moment_ns]
            pairs |= {(r.epoch, r.end) for r in world.replicas.values()}
        for text in texts:
            own = text["own"]
            if not DIGIT.search(own):
                continue
            found = re.match("(?:leads|follows) e([0-9]+), LEO ([0-9]+)$", own)
            if found:
                self.need((int(found.group(1)), int(found.group(2))) in pairs, own)
            elif "story" in self.kind_of(text):
                for number in re.findall(r"[0-9]+\.[0-9]{3}", own):
                    self.need(number in self.faults.begins | self.faults.ends, own)
            elif not self.about("topology", text):
                self.need(self.is_name(own) or self.fault_words(own), "%r at %d" % (own, when))
            self.claim(text)

    def clients(self):
        scale = {"100 us", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s"}
        bins, first = {}, {}
        span = max(self.end_ns - self.begin_ns, 1000)
        for event in self.events:
            if event.kind == "client.send":
                first.setdefault(event.fields["value"], event.time_ns)
        for event in self.events:
            begin = first.get(event.fields.get("value")) if event.kind == "client.acked" else None
            if begin is not None and begin <= self.end_ns:
                at = (begin - self.begin_ns) * 9050 // span * 300 // 9051
                bins[at] = bins.get(at, 0) + 1

        def special(text, own):
            found = re.match("at most ([0-9]+)$", own)
            if found:
                self.need(int(found.group(1)) == max(bins.values(), default=1), own)
            return found or own in scale

        self.chart("clients", 125, 905, special)

    def groups(self):
        words = ("empty", "joining", "syncing", "stable", "dead")
        states = {"%s g%d, %d member%s" % (words[e.fields["new"]] if e.fields["new"] < 5 else "dead",
                                           e.fields["generation"], e.fields["members"],
                                           "" if e.fields["members"] == 1 else "s")
                  for e in self.events if e.kind == "group.state"}
        names = {e.fields["topic"]: e.text for e in self.events if e.kind == "topic.known" and e.text}
        owned = set()
        for event in self.events:  # of KIP-848
            if event.kind == "group.epochs":
                f = event.fields
                states.add("%s %d, %d member%s" % ("joining" if f["assignment"] < f["group"] else
                                                   "epoch", f["group"], f["members"],
                                                   "" if f["members"] == 1 else "s"))
            elif event.kind == "group.holds":
                _, member, topic = event.text.split(" ")[:3]
                number = int.from_bytes(base64.urlsafe_b64decode(topic + "==")[:8], "big", signed=True)
                owned |= {"%s-%d" % (names.get(number), event.fields["index"]), member[:24]}
        for event in self.events:
            if event.kind == "group.owned":
                _, member, topic = event.text.split(" ")[:3]
                owned |= {"%s-%d" % (topic, event.fields["index"]), member[:24]}
                if len(member) > 37 and member[-37] == "-":
                    owned.add("%s\u2026%s" % (member[:-37][:20], member[-36:-32]))

        def special(text, own):
            return own in states or own in owned or re.match("[0-9]+ more partitions", own)

        self.chart("groups", 190, 840, special)
