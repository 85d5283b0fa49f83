#!/usr/bin/env python3
"""How small does `gregor-sim shrink` make the failures of planted defects, and do they last?

usage: shrink.py [--defects FILE] [--keep] [--jobs N] [PATTERN...]

Each row of the list (tests/bench/shrink.txt: defect, scenario, seed) is a patch of tests/mutants/ that
the scenario, rough-weather or a swarm, convicts with this seed. The defect is built, failed once,
shrunk, and the result is run 20 times as it is (exact) and replayed by its anchors with 20 other
seeds (semantic). Bars: median of at most 4 steps, under 60 CPU seconds each, 20 of 20 exact, at
least 15 of 20 semantic.

Exit: 0 all bars are met; 1 not all; 2 a defect does not fail as listed.
"""
import argparse
import fnmatch
import re
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "mutants"))
import run as mutants  # noqa: E402

WORK = ROOT / "build" / "shrink"
SEEDS = 20


def call(*command):
    """(status, stdout, CPU seconds)"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (done.returncode, done.stdout,
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measure(name, scenario, seed):
    """One row: dictionary, or a sentence why not."""
    work = WORK / name
    work.mkdir(parents=True, exist_ok=True)
    program = mutants.build(mutants.TREE / "tests/mutants" / f"{name}.patch")
    call(program, "run", f"scenarios/{scenario}.yaml", "--seed", seed, "--trace", "none", "--out", work)
    left = work / f"{scenario}-{seed}"
    if not (left / "plan.gplan").is_file():
        return "does not fail"
    plan = (left / "plan.gplan").read_text()
    signature = re.search(r"^signature (.*)$", plan, re.M).group(1)
    faults = int(re.search(r"^faults (\d+)$", plan, re.M).group(1))
    small = work / "small.yaml"
    status, out, cpu = call(program, "shrink", left, "--out", small)
    if status != 0:
        return f"cannot be shrunk: {signature}"
    steps = int(re.search(r"^shrink: (\d+) faults of", out, re.M).group(1))
    tried = int(re.search(r" (\d+) candidates", out).group(1))
    shrunk = f"{scenario}-shrunk"
    exact = 0
    again = work / "again"
    for _ in range(SEEDS):
        call(program, "run", small, "--seed", seed, "--trace", "none", "--out", again)
        got = (again / f"{shrunk}-{seed}" / "plan.gplan").read_text(errors="replace")
        exact += f"\nsignature {signature}\n" in got
    semantic = 0
    for other in range(7001, 7001 + SEEDS):
        _, out, _ = call(program, "replay", again / f"{shrunk}-{seed}", "--mode", "semantic",
                         "--seed", other)
        semantic += "the same failure" in out
    program.unlink()
    lines = sum(1 for line in small.read_text().splitlines() if not line.startswith("#"))
    return {"signature": signature, "faults": faults, "steps": steps, "lines": lines, "tried": tried,
            "cpu": cpu, "exact": exact, "semantic": semantic}


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--defects", type=Path, default=Path(__file__).with_suffix(".txt"))
    options.add_argument("patterns", nargs="*")
    options = options.parse_args()
    mutants.prepare_tree(mutants.tree_files())
    rows = []
    broken = 0
    form = "{:<30} {:<20} {:<24} {:>6} {:>5} {:>5} {:>5} {:>6} {:>6} {:>8}"
    print(form.format("defect", "from", "signature", "faults", "steps", "lines", "tried", "CPU s", "exact", "semantic"))
    for line in options.defects.read_text().splitlines():
        name, scenario, seed = (line.split() + ["", "", ""])[:3]
        if not name or name.startswith("#"):
            continue
        if options.patterns and not any(fnmatch.fnmatch(name, p) for p in options.patterns):
            continue
        got = measure(name, scenario, seed)
        if isinstance(got, str):
            print(f"{name:<30} {scenario} {seed}: {got}", flush=True)
            broken += 1
            continue
        rows.append(got)
        print(form.format(name, f"{scenario} {seed}", got["signature"][:24], got["faults"], got["steps"],
                          got["lines"], got["tried"], f"{got['cpu']:.1f}", got["exact"], got["semantic"]),
              flush=True)
    if not rows:
        return 2
    bars = [("median steps", statistics.median(r["steps"] for r in rows), "<=", 4),
            ("most CPU seconds", max(r["cpu"] for r in rows), "<", 60),
            ("fewest exact", min(r["exact"] for r in rows), ">=", SEEDS),
            ("fewest semantic", min(r["semantic"] for r in rows), ">=", 15)]
    met = True
    for what, value, how, bar in bars:
        good = {"<=": value <= bar, "<": value < bar, ">=": value >= bar}[how]
        met = met and good
        print(f"{what}: {value:g} (bar {how} {bar}){'' if good else ' NOT MET'}")
    enough = sum(r["semantic"] >= 15 for r in rows)
    print(f"{len(rows)} defects, {enough} with at least 15 of {SEEDS} semantic, {broken} not measured")
    return 2 if broken else 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
