#!/usr/bin/python3
"""How long a failover takes, with default timeouts, over some hundred seeds of the simulator; the bars.

usage: failover.py [--seeds N] [--sim PROGRAM] [--jobs N]

  broker       the leader of a partition is killed: until another leads
  both         so is a node that is that and the active controller at once
  controller   the active controller is killed: until another is active

Each run ends itself by `fail` at the event; its line on stderr tells the time since the cluster stood,
and the moment of the kill is written into the scenario. Virtual time: the machine does not matter.
Exit: 0 all bars hold, 1 one does not or a run could not be measured.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SESSION, SLACK, FETCH, ELECTION = 9.0, 0.2, 2.0, 2.0  # defaults; an election: up to twice its timeout
CONTROLLER = FETCH + 2 * ELECTION

HEAD = """gregor: 1
name: %(case)s
stop: {time: 60s}
cluster: {%(cluster)s}
topics:
  orders: {partitions: 6, replicas: 3, config: {min.insync.replicas: 2}}
workload:
  - {producer: p1, topic: orders, acks: all, idempotent: true, rate: 20/s}
steps:
"""
LED = """  - at: %(at)dms
    as: {old: %(who)s}
    do: {crash: {node: $old, how: kill}}
  - when: exists leader(orders-0) and leader(orders-0) != $old
    within: 40s
    do: {fail: measured}
"""
MOVE = """  - at: 5s
    as: {c: active controller}
    do: {reassign: {partition: orders-0, to: brokers, first: $c}}
  - after: 500ms
    do: {elect: {partition: orders-0, how: preferred}}
"""
ACTIVE = """  - at: %(at)dms
    as: {old: active controller}
    do: {crash: {node: $old, how: kill}}
  - when: exists active controller and active controller != $old
    within: 40s
    do: {fail: measured}
"""
CASES = {
    "broker": (HEAD + LED, "controllers: 3, brokers: 3", "leader(orders-0)"),
    "both": (HEAD + MOVE + LED, "combined: true, controllers: 3, brokers: 3", "active controller"),
    "controller": (HEAD + ACTIVE, "controllers: 3, brokers: 3", ""),
}


def measure(sim, directory, case, seed):
    text, cluster, who = CASES[case]
    at = 7000 + seed * 37 % 4000
    path = os.path.join(directory, "%s-%d.yaml" % (case, seed))
    with open(path, "w") as out:
        out.write(text % {"case": case, "cluster": cluster, "who": who, "at": at})
    done = subprocess.run([sim, "run", path, "--seed", str(seed), "--trace", "none", "--out",
                           os.path.join(directory, "out-%s-%d" % (case, seed))],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, cwd=ROOT)
    found = re.search(rb"phase safety, ([0-9.]+) s", done.stdout)
    if b"measured" not in done.stdout or not found:
        sys.exit("%s, seed %d: not measured: %s" % (case, seed, done.stdout[-400:]))
    return float(found.group(1)) - at / 1000.0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--sim", default=os.path.join(ROOT, "build", "gregor-sim"))
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    bars = {"broker": (None, SESSION + SLACK), "both": (None, SESSION + SLACK + CONTROLLER),
            "controller": (2.5, CONTROLLER)}
    good = True
    with tempfile.TemporaryDirectory() as directory:
        for case, (median_bar, bar) in bars.items():
            with ThreadPoolExecutor(arguments.jobs) as pool:
                took = sorted(pool.map(lambda seed: measure(arguments.sim, directory, case, seed),
                                       range(1, arguments.seeds + 1)))
            median, high = took[len(took) // 2], took[min(len(took) - 1, len(took) * 99 // 100)]
            worst = high if case == "controller" else took[-1]
            holds = worst <= bar and (median_bar is None or median < median_bar)
            good = good and holds
            print("%-10s %d seeds: median %.3f s%s, p99 %.3f s, longest %.3f s (bar %.1f s): %s" %
                  (case, len(took), median, "" if median_bar is None else " (bar %.1f s)" % median_bar,
                   high, took[-1], bar, "holds" if holds else "MISSED"), flush=True)
    sys.exit(0 if good else 1)


main()
