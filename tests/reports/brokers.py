"""Three real processes that write traces: merged into one timeline, drawn and judged."""
import os
import re
import signal
import struct
import subprocess
import sys

import page_numbers
import trace_reader

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "interop"))


def need(condition, text):
    if not condition:
        raise AssertionError(text)


def command(*arguments, code=0):
    done = subprocess.run(list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    need(done.returncode == code, "%s: exit %d: %s%s" % (" ".join(arguments[:3]), done.returncode,
                                                        done.stdout.decode()[-600:],
                                                        done.stderr.decode()[-300:]))
    return done.stdout.decode()


def record(out):
    """A cluster's life: a topic, records, the death of a leader, more records. Its traces."""
    import harness

    cluster = harness.Cluster("traces")
    traces = []
    for number, node in cluster.nodes.items():
        path = os.path.join(out, "broker%d.trace" % number)
        node.arguments = list(node.arguments) + ["--trace", path]
        traces.append(path)
    cluster.start()
    done = harness.gregor(cluster.bootstrap, "topics", "create", "orders", "--partitions", "1",
                          "--replicas", "3")
    need(done.code == 0, "no topic: " + done.errors)
    cluster.wait_isr("orders", 3)
    lines = b"".join(b"%d\n" % i for i in range(300))
    for turn in range(2):
        done = harness.gregor(cluster.bootstrap, "produce", "orders", stdin=lines)
        need(done.code == 0, "not produced: " + done.errors)
        leader = cluster.leader("orders")
        if turn == 0 and harness.KCAT is not None:
            group = harness.run([harness.KCAT, "-b", cluster.bootstrap, "-G", "readers", "-X",
                                 "auto.offset.reset=earliest", "-c", "300", "-q", "orders"], limit=40)
            need(group.code == 0, "the group read nothing: " + group.errors)
        if all(node.alive() for node in cluster.nodes.values()):
            cluster.nodes[leader].term()
            cluster.wait_led("orders")
    done = harness.gregor(cluster.bootstrap, "consume", "orders", "--from", "beginning", "--exit-at-end")
    need(done.code == 0 and len(done.text.splitlines()) == 600, "not 600 records: " + done.errors)
    alive = [node for node in cluster.nodes.values() if node.alive()]
    for node in alive:
        node.process.send_signal(signal.SIGTERM)
    for node in alive:  # the last has no quorum any more, and gives it a while
        node.wait(90)
    return traces, harness.KCAT is not None


def skew(path, to, shift_ns, drift=0):
    """The same trace from a machine whose clock is off, and `drift` in a million too fast: the
    moments are in the blocks' heads."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    at = data.index(b"blck")
    begin = None
    while at + 20 <= len(data):
        size, = struct.unpack_from(">I", data, at + 4)
        time_ns, = struct.unpack_from(">Q", data, at + 12)
        begin = time_ns if begin is None else begin
        moved = time_ns + shift_ns + (time_ns - begin) * drift // 10**6
        struct.pack_into(">Q", data, at + 12, moved & (1 << 64) - 1)
        at += 20 + size
    with open(to, "wb") as file:
        file.write(data)


def causal(events):
    """Request and answer of every call in their order; how many calls there were at both ends."""
    order = ("rpc.sent", "rpc.received", "rpc.answered", "rpc.replied")
    calls = {}
    for event in events:
        if event.kind in order:
            key = (event.fields["conn"], event.fields["correlation"])
            calls.setdefault(key, []).append(order.index(event.kind))
    both = 0
    for key, steps in calls.items():
        need(steps == sorted(steps), "call %s: %s" % (key, [order[s] for s in steps]))
        both += 0 in steps and 1 in steps
    return both


def merged(sim, traces, out, group):
    said = command(sim, "render", *traces, "--out", out)
    need("messages with both ends" in said, said)
    events = list(trace_reader.read(os.path.join(out, "trace.bin")))
    need(all(a.time_ns <= b.time_ns for a, b in zip(events, events[1:])), "time goes back")
    need(causal(events) > 100, "only %d calls have both ends" % causal(events))
    need(len({e.node for e in events if e.node >= 0}) == 3, "not three nodes")
    need(len(events) == sum(len(list(trace_reader.read(t))) for t in traces), "events are missing")
    need(page_numbers.Checked(out).all() > 20, "no numbers")
    with open(os.path.join(out, "index.html"), encoding="utf-8") as file:
        page = file.read()
    need('id="replicas"' in page and "leads e" in page, "the page does not say who leads")
    if group:
        need(any(e.kind == "group.owned" and e.text.startswith("readers ") for e in events),
             "nobody is told to own a partition")
        need('id="groups"' in page, "no figure of the groups")


def judged(sim, traces, out):
    said = command(sim, "check", *traces)
    found = re.search("PASS ([0-9]+) oracles judged ([0-9]+) times", said)
    need(found and int(found.group(1)) > 15 and int(found.group(2)) > 1000, said)
    need("could not be judged" in said, said)
    # One clock five seconds ahead: found, put back, and nothing else changes.
    off = os.path.join(out, "ahead.trace")
    skew(traces[1], off, 5 * 10**9)
    said = command(sim, "check", traces[0], off, traces[2])
    moved = [int(n) for n in re.findall(r"moved by (-?[0-9]+) us", said)]
    far = [n for n in moved if abs(n) > 50000]  # the others agreed to a millisecond or so
    need(len(far) == 1 and abs(abs(far[0]) - 5 * 10**6) < 50000, "the clock: " + said)
    need("PASS" in said and "contradict" not in said, said)
    command(sim, "render", traces[0], off, traces[2], "--out", os.path.join(out, "ahead"))
    causal(trace_reader.read(os.path.join(out, "ahead", "trace.bin")))
    # All three off, and one of them drifting: no order of cause and effect is broken by it.
    wrong = []
    for number, (shift, drift) in enumerate(((0, 0), (-3600 * 10**9, 200), (7 * 10**8, -150))):
        wrong.append(os.path.join(out, "wrong%d.trace" % number))
        skew(traces[number], wrong[-1], shift, drift)
    said = command(sim, "check", *wrong)
    need("PASS" in said and "contradict" not in said, said)
    command(sim, "render", *wrong, "--out", os.path.join(out, "wrong"))
    need(causal(trace_reader.read(os.path.join(out, "wrong", "trace.bin"))) > 100, "calls")
    command(sim, "check", "/nonexistent", code=2)


def all_of_it(sim, out):
    os.makedirs(out, exist_ok=True)
    traces, group = record(out)
    merged(sim, traces, os.path.join(out, "merged"), group)
    judged(sim, traces, out)
