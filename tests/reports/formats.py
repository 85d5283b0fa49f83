"""Exports of gregor-sim render."""
import json
import os
import re
import shutil
import subprocess
import xml.dom.minidom

import trace_reader


def need(condition, text):
    if not condition:
        raise AssertionError(text)


def render(sim, *arguments, env=None, code=0):
    done = subprocess.run([sim, "render"] + list(arguments), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, env=env)
    need(done.returncode == code, "render %s: %d %s" %
         (" ".join(arguments), done.returncode, done.stderr.decode()))
    return done.stdout.decode()


def perfetto(sim, directory, out):
    """Valid JSON, sorted, everything named, what must nest nests, arrows have both ends."""
    render(sim, directory, "--format", "perfetto", "--out", out)
    with open(os.path.join(out, "trace.json"), encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    body = [e for e in events if e["ph"] != "M"]
    need(events[:len(events) - len(body)] == [e for e in events if e["ph"] == "M"], "metadata first")
    need(all(a["ts"] <= b["ts"] for a, b in zip(body, body[1:])), "events are not sorted")
    processes = {e["pid"] for e in events if e["name"] == "process_name"}
    threads = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    need(all(e["pid"] in processes for e in body), "a process without a name")
    need(all((e["pid"], e["tid"]) in threads for e in body if e["ph"] not in "C"),
         "a track without a name")
    open_ops, flows = {}, {}
    for event in body:
        if event["ph"] in "be":
            key = (event["cat"], event["id"])
            need((event["ph"] == "b") == (key not in open_ops), "b and e of %s" % (key,))
            if event["ph"] == "b":
                open_ops[key] = event
            else:
                need(open_ops.pop(key)["ts"] <= event["ts"], "an end before its begin")
        if event["ph"] in "sf":
            flows.setdefault(event["id"], []).append(event["ph"])
    need(not open_ops, "operations that never end: %s" % list(open_ops)[:3])
    need(all(sorted(halves) == ["f", "s"] for halves in flows.values()), "an arrow with one end")
    tracks = {}
    for event in body:
        if event["ph"] == "X" and event["cat"] == "leadership":
            last = tracks.get((event["pid"], event["tid"]), 0)
            need(event["ts"] >= last - 0.001, "two roles at one time")
            tracks[(event["pid"], event["tid"])] = event["ts"] + event["dur"]
    source = list(trace_reader.read(os.path.join(directory, "trace.bin")))
    sent = {e.fields["value"] for e in source if e.kind == "client.send"}
    acked = sum(1 for e in source if e.kind == "client.acked" and e.fields["value"] in sent)
    need(sum(1 for e in body if e["ph"] == "b" and e["name"].endswith(": acknowledged")) == acked,
         "acknowledged operations: not the trace's %d" % acked)
    leads = sum(1 for e in source if e.kind == "replica.role" and e.fields["role"] == 2)
    need(sum(1 for e in body if e["ph"] == "X" and e["name"].startswith("leads")) <= leads,
         "more leaderships than the trace tells")


def figures(sim, directory, out):
    """--format svg and dot: the same figures, well-formed; a window and nodes are honoured."""
    svg, dot = os.path.join(out, "svg"), os.path.join(out, "dot")
    render(sim, directory, "--format", "svg", "--out", svg)
    render(sim, directory, "--format", "dot", "--out", dot)
    names = {os.path.splitext(name)[0] for name in os.listdir(dot)}
    need({"spacetime", "gantt", "storyboard"} <= names, "figures: %s" % names)
    need(not any(name.endswith(".svg") for name in os.listdir(dot)), "--format dot draws")
    for name in names:
        xml.dom.minidom.parse(os.path.join(svg, name + ".svg"))
        with open(os.path.join(svg, name + ".dot"), "rb") as a, \
                open(os.path.join(dot, name + ".dot"), "rb") as b:
            need(a.read() == b.read(), "%s.dot differs" % name)


def same_bytes(sim, directory, out):
    """Same trace, same bytes, wherever it lies and whenever it is drawn."""
    files = []
    for copy in ("a", "b"):
        where = os.path.join(out, copy)
        render(sim, directory, "--out", where)
        files.append({name: open(os.path.join(where, name), "rb").read()
                      for name in sorted(os.listdir(where)) if not name.endswith(".svg")})
    need(files[0].keys() == files[1].keys(), "other files")
    for name in files[0]:
        need(files[0][name] == files[1][name], "%s differs" % name)
    need(b"index.html" in "".join(files[0]).encode(), "no page")


def text(sim, directory):
    """80 columns are kept, wide ones used; no colour without a terminal; the time is first."""
    narrow = render(sim, directory, "--format", "text", "--columns", "80")
    wide = render(sim, directory, "--format", "text")
    ascii_only = render(sim, directory, "--format", "text", "--ascii")
    for line in narrow.splitlines():
        need(len(line) <= 80 or line.startswith("gregor-sim"), "%d columns: %s" % (len(line), line))
    need("\x1b" not in narrow + wide, "colour without a terminal")
    need(max(map(len, wide.splitlines())) > 120, "nothing is wide")
    lanes = ascii_only.split("\n\n")[0]
    need(not re.search("[\u2500-\u257f]", lanes), "drawing characters in ASCII")
    for line in wide.splitlines()[1:]:
        if line[:1].isdigit():
            need(re.match(r"[0-9]+\.[0-9]{3} ", line), "the time is not first: " + line)


def colours(sim, directory):
    """On a terminal there is colour, with NO_COLOR there is none."""
    import pty
    for no_colour in ("", "1"):
        main, side = pty.openpty()
        env = dict(os.environ, NO_COLOR=no_colour, LC_ALL="C.UTF-8")
        process = subprocess.Popen([sim, "render", directory, "--format", "text"], stdout=side,
                                   stderr=subprocess.DEVNULL, env=env)
        os.close(side)
        said = b""
        while True:
            try:
                piece = os.read(main, 65536)
            except OSError:
                break
            if not piece:
                break
            said += piece
        process.wait(timeout=30)
        os.close(main)
        need((b"\x1b[" in said) == (no_colour == ""), "colour with NO_COLOR=%r" % no_colour)


def window(sim, directory):
    """Nothing outside of what was asked for."""
    said = render(sim, directory, "--format", "text", "--window", "10s..20s", "--nodes", "1,2")
    times = [float(line.split()[0]) for line in said.splitlines() if re.match(r"[0-9]+\.[0-9]{3} ", line)]
    need(times and min(times) >= 10 and max(times) <= 20, "moments %s" % times[:3])
    need("node-3" not in said.splitlines()[0], "a node nobody asked for has a lane")


def follow(sim, directory):
    """One record's life holds every event of the trace that is about it, in order."""
    source = list(trace_reader.read(os.path.join(directory, "trace.bin")))
    acked = [e for e in source if e.kind == "client.acked" and e.fields["offset"] >= 0]
    chosen = acked[len(acked) // 3]
    topic, partition, offset = (chosen.fields[k] for k in ("topic", "partition", "offset"))
    name = next(e.text for e in source if e.kind == "topic.known" and e.fields["topic"] == topic)
    said = render(sim, directory, "--follow", "%s-%d@%d" % (name, partition, offset))
    wanted = []
    for event in source:
        f = event.fields
        if f.get("topic") != topic or f.get("partition") != partition:
            continue
        word = {"client.acked": "acked" if f.get("offset") == offset else None,
                "client.send": "sends" if f.get("value") == chosen.fields["value"] else None,
                "client.read": "reads" if f.get("offset") == offset else None,
                "log.appended": "log" if f.get("base_offset", 1) <= offset <= f.get("last_offset", 0)
                else None,
                "replica.hw": "hw" if f.get("old", 1) <= offset < f.get("new", 0) else None,
                "log.truncated": "CUT" if f.get("new_end", 1) <= offset < f.get("old_end", 0)
                else None}.get(event.kind)
        if word is not None:
            wanted.append(("%d.%06d" % (event.time_ns // 10**9, event.time_ns // 1000 % 10**6), word))
    told = [(line.split()[0], line[42:50].strip()) for line in said.splitlines()[1:-1]]
    told = [line for line in told if line[1] in ("sends", "acked", "reads", "log", "hw", "CUT")]
    need(len(wanted) > 5, "the record's life has %d events" % len(wanted))
    need(told == wanted, "the page tells %s, the trace %s" % (told[:8], wanted[:8]))
    render(sim, directory, "--follow", "%s-%d@%d" % (name, partition, 10**12), code=2)


def why(sim, directory):
    """The event that decided it, the probes that found it, and the chain: text, DOT, page agree."""
    done = subprocess.run([sim, "why", directory], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=100)
    said = done.stdout.decode()
    need(done.returncode == 0, "why: exit %d: %s" % (done.returncode, done.stderr.decode()))
    points = re.findall(r"^ +([0-9]+) +([0-9]+) of ([0-9]+)(  unavoidable)?", said, re.M)
    need(len(points) > 5, "why asked %d times" % len(points))
    at = next((i for i, p in enumerate(points) if p[3]), 0)
    need(points[at][3] or "nothing in this run decided it" in said, "neither decided nor not")
    if at > 0:
        need(int(points[at][0]) == int(points[at - 1][0]) + 1, "not found to the event")
        need(int(points[at - 1][1]) < int(points[at - 1][2]), "it was unavoidable before")
    need(all(p[1] == p[2] for p in points[at:]), "it was avoidable later")
    need(int(points[at][2]) >= 40, "it was not asked again")
    with open(os.path.join(directory, "why.dot"), encoding="utf-8") as file:
        marks = len(re.findall('id="why-e', file.read()))
    chain = said.split("leads from there")[1].splitlines()[1:]
    chain = [line for line in chain if re.match(r" +[0-9]+\.[0-9]{6} ", line)]
    need(marks == len(chain) and 1 <= marks <= 50, "%d marks, %d events" % (marks, len(chain)))
    with open(os.path.join(directory, "why.html"), encoding="utf-8") as file:
        page = file.read()
    for event, failed, of, _ in points:
        cells = "".join('<td class="n">%s</td>' % "{:,}".format(int(n)).replace(",", "\u202f")
                        for n in (event, failed, of))
        need(cells in page, "the page lacks the point %s" % cells)
    for line in chain:
        moment, words = re.match(r" +([0-9]+\.[0-9]{3})[0-9]{3} +(?:node [0-9]+ +)?(.*)$", line).groups()
        need(moment in page and words.split("&")[0] in page, "the page lacks %r" % line)


def compare(sim, one, other, out):
    """Two runs: the page says what the text says; a run and itself are the same."""
    done = subprocess.run([sim, "diff", one, other, "--out", out], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60)
    said = done.stdout.decode()
    need(done.returncode == 1, "diff: exit %d" % done.returncode)
    with open(os.path.join(out, "compare.html"), encoding="utf-8") as file:
        page = file.read()
    rows = dict(re.findall(r'<tr data-node="(-?[0-9]+)"><th scope="row">[^<]*</th>(.*?)</tr>', page))
    spread = re.findall(r"(?:node ([0-9]+)|the simulator) +([0-9]+) agree, ([0-9]+) only in one, "
                        "([0-9]+) only in other", said)
    need(len(spread) > 3, said)
    for node, agree, left, right in spread:
        cells = "".join('<td class="n">%s</td>' % "{:,}".format(int(n)).replace(",", "\u202f")
                        for n in (agree, left, right))
        need(cells in rows[node or "-1"], "node %s: the page lacks %s" % (node, cells))
    need("They part at" in page and page.count('class="fig"') == 3, "three figures")
    turns = re.search("([0-9]+) turns in both .*?, ([0-9]+) only in the left run, ([0-9]+) only", page)
    listed = re.search("<pre>(.*?)</pre>", page, re.S).group(1).splitlines()
    both = sum(1 for line in listed if line.startswith("   ") or re.match("  [0-9]", line))
    both += sum(int(n) - 1 for n in re.findall("([0-9]+) the same\n", "\n".join(listed) + "\n"))
    need([int(n) for n in turns.groups()] == [both, sum(1 for x in listed if x.startswith("&lt;") or
                                                        x.startswith("< ")),
                                              sum(1 for x in listed if x.startswith("> "))],
         "turns %s" % (turns.groups(),))
    again = subprocess.run([sim, "diff", one, one], stdout=subprocess.PIPE, timeout=60)
    need(again.returncode == 0 and b"the same" in again.stdout, "a run and itself differ")


def no_graphviz(sim, directory, out):
    """Everything but pictures, and what to install."""
    done = subprocess.run([sim, "render", directory, "--out", out], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, env={"PATH": "/nonexistent"})
    need(done.returncode == 0, "exit %d" % done.returncode)
    need(b"apt-get install graphviz" in done.stderr, "stderr does not say what to install")
    with open(os.path.join(out, "index.html"), encoding="utf-8") as file:
        page = file.read()
    need("apt-get install graphviz" in page and "<svg" not in page, "the page does not say it")
    need("<details open>" in page and 'id="replicas"' in page and 'id="moments"' in page,
         "the page lacks what needs no pictures")


def several(sim, one, other, real, out):
    """Runs: a page each and an index over them, also of two runs of one name; with --out alone.
    They are not mixed with what real processes told."""
    twin = os.path.join(out, "twin", os.path.basename(one))
    shutil.copytree(one, twin)
    before = os.path.getmtime(os.path.join(twin, "index.html"))
    render(sim, twin, one, "--format", "text")
    need(not os.path.exists(os.path.join(out, "twin", "index.html")), "an index without --out")
    need(os.path.getmtime(os.path.join(twin, "index.html")) == before, "text touches a page")
    pages = os.path.join(out, "pages")
    said = render(sim, one, other, twin, "--out", pages).split()
    with open(os.path.join(pages, "index.html"), encoding="utf-8") as file:
        index = file.read()
    links = re.findall('<a href="([^"]+/index.html)" class="cell', index)
    name = os.path.basename(one)
    need(sorted(links) == sorted([name + "/index.html", os.path.basename(other) + "/index.html",
                                  name + "~2/index.html"]), "the index links to %s" % links)
    need(len(said) == 4 and said[-1] == os.path.join(pages, "index.html"), "said %s" % said)
    for link in links:
        need(os.path.exists(os.path.join(pages, link)), "no page %s" % link)
    with open(os.path.join(pages, name, "index.html"), "rb") as a, \
            open(os.path.join(pages, name + "~2", "index.html"), "rb") as b:
        need(a.read() == b.read(), "the pages of equal runs differ")
    failed = sum(1 for d in (one, other, one) if "\noutcome FAIL" in
                 open(os.path.join(d, "facts.txt"), encoding="utf-8").read())
    need("<h1>%d of 3 runs passed</h1>" % (3 - failed) in index, "how many passed")
    judged = [sum(int(line.split()[3]) for d in (one, other, one)
                  for line in open(os.path.join(d, "facts.txt"), encoding="utf-8")
                  if line.startswith("check %s " % check)) for check in ("R6", "R17")]
    for check, times in zip(("R6", "R17"), judged):
        cell = re.search("<td>%s</td>.*?<td class=\"n\">([^<]*)<" % check, index, re.S).group(1)
        need(cell == ("{:,}".format(times).replace(",", "\u202f") if times else "not exercised"),
             "%s was judged %s" % (check, cell))
    for mixed in ([one, real], [os.path.join(real, "trace.bin"), one]):
        done = subprocess.run([sim, "render"] + mixed + ["--out", os.path.join(out, "mixed")],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        need(done.returncode == 2 and not done.stdout and len(done.stderr.splitlines()) == 1,
             "a run beside a real process: %d %r" % (done.returncode, done.stderr))
    trace = os.path.join(real, "trace.bin")
    for traces in ([trace, trace], [real, trace]):  # of one cluster: one timeline
        said = render(sim, *traces, "--out", os.path.join(out, "merged"))
        need(said.startswith("2 traces, ") and said.endswith("merged/index.html\n"), said)


def wrong_use(sim, directory):
    for arguments in (["--format", "pdf", directory], ["--window", "5..", "--follow", "x", directory],
                      ["--window", "9..5", directory], [], ["/nonexistent"], ["--nodes", "a", directory],
                      ["--follow", "orders-0@5", "--format", "html", directory],
                      ["--partition", "nobody-7", "--format", "text", directory]):
        done = subprocess.run([sim, "render"] + arguments, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60)
        need(done.returncode == 2, "render %s: exit %d" % (arguments, done.returncode))
        need(len(done.stderr.decode().splitlines()) == 1 and not done.stdout,
             "render %s says %r" % (arguments, done.stderr))
