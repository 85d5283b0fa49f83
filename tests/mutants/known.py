#!/usr/bin/env python3
"""Known failures of Kafka and its peers: does Gregor survive each, and would the scenario notice?

usage: known.py [WORD...]      scenarios/known-failures/*.yaml whose name has one of the words

Each file names in its header the `source`, the oracles that `guard` it, and the `mutant` (one of this
folder, or several) that brings the old behaviour back. It must pass with the seeds that it names;
with each mutant at least one of these seeds must be convicted. `mutant: none, WHY` says why there is
no such defect to plant.

Exit: 0 all is so; 1 something is not."""
import re
import sys
from pathlib import Path

import run

FOLDER = run.ROOT / "scenarios/known-failures"


def header(text, key):
    return re.search(rf"^# {key}: (.*)$", text, re.M).group(1)


def seeds_of(text):
    found = re.search(r"^seeds: \{from: (\d+), count: (\d+)\}$", text, re.M)
    return range(int(found.group(1)), int(found.group(1)) + int(found.group(2)))


def verdicts(program, scenario, seeds):
    return [run.run_once(program, scenario, seed, False)[:3] for seed in seeds]


def judge(path, unchanged):
    text = path.read_text()
    seeds = seeds_of(text)
    clean = verdicts(unchanged, path, seeds)
    good = all(verdict == "PASS" for verdict, _, _ in clean)
    print(f"{path.stem}: {header(text, 'source')}; guarded by {header(text, 'guard')}")
    if not good:
        print(f"  NOT SURVIVED: {clean}")
    if header(text, "mutant").startswith("none, "):
        print(f"  no mutant: {header(text, 'mutant')[6:]}")
        return good
    for name in header(text, "mutant").split():
        program = run.build(run.TREE / "tests/mutants" / f"{name}.patch")
        got = verdicts(program, path, seeds)
        program.unlink()
        by = [check or verdict for verdict, check, words in got
              if run.convicts(verdict, check, words, False)]
        print(f"  {name}: {'convicted by ' + ', '.join(sorted(set(by))) if by else 'NOT CONVICTED'}"
              f" ({len(by)} of {len(seeds)} seeds)", flush=True)
        good = good and bool(by)
    return good


def main():
    run.prepare_tree(run.tree_files())
    unchanged = run.build(None)
    paths = [path for path in sorted(FOLDER.glob("*.yaml"))
             if not sys.argv[1:] or any(word in path.stem for word in sys.argv[1:])]
    bad = [path.stem for path in paths if not judge(path, unchanged)]
    print(f"{len(paths) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
