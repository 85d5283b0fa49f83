#!/usr/bin/env python3
"""Mutation score of the simulator: is each one-line defect of tests/mutants/ found, by what, how soon?

usage: run.py [--seconds N] [--history-seconds N] [--oracles all|history|both] [--wall MINUTES]
              [--jobs N] [--mechanical N] [--score FILE] [--again] [--older] [--skip-unchanged]
              [--recall FILE]
              [PATTERN...]

The defects are the patches of this folder; with --mechanical, instead, N that are drawn by the tree
hash of broker/ (mechanical.py). A survivor whose every run had the very events of the unchanged tree
is told as `same`: it made no difference anywhere, so no oracle had anything to see.

The tree and its build are copied once to build/mutants/, so that one can go on editing; of each mutant
one object and the link are rebuilt there. A campaign is scenarios/*.yaml, seeds 1, 2, ... interleaved over the scenarios, those
first whose run of seed 1 costs the unchanged tree least, until the first run that convicts or until
the mutant has used its CPU seconds: every scenario is met once before any is met twice.

What convicts: FAIL, STUCK and CRASH (an assertion, a leak). Not: UNEXERCISED, INCONCLUSIVE, a run
that is cut off. With `history` only verdicts that need nothing but what clients saw count: the
oracles of class H, and expectations about what was acknowledged and read.

Each outcome is added to build/mutants/results.jsonl under a hash of broker/ client/ sim/ scenarios/.
While that stands, a killed mutant is not judged again, and a survivor goes on where it stopped if it
is given more seconds than before; --again forgets what was found. With --older a mutant that was killed
in an earlier state, and has no outcome in this one, is not judged again; the hash of that state
stands in its row: for a tree to which only scenarios were added since.

With --recall a campaign that has convicted nobody after RECALL_SECONDS makes the runs that convicted
this mutant in the tables of that file, before it goes on. One that convicts again is an outcome: the
campaign would have met it too, after at most so many CPU seconds as the unchanged tree takes for all
runs before it. The table gives that sum, with `<=`; it is seldom what was spent.

Exit: 0 the campaign ran; 1 a mutant does not apply or build, or the unchanged tree is convicted; the
score itself is no failure.
"""
import argparse
import fnmatch
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mechanical
import recall
import score

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "mutants"
TREE = WORK / "tree"
BIN = WORK / "bin"
PROGRAM = "build/release/gregor-sim"
JUDGED = ("broker", "client", "sim", "scenarios")  # what an outcome depends on
CLIENT_TERMS = ("acked", "lost_acked", "read(", "sent(")
RUN_SECONDS = 15  # of CPU, that one run has at least: a mutant may loop, up to stop.events
SEEDS_MAX = 10000
RECALL_SECONDS = 1  # of the campaign, before earlier convictions are asked for


def tree_files():
    """Names of what belongs to the tree, committed or not."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, check=True, capture_output=True).stdout.split(b"\0")
    return sorted(name for name in map(os.fsdecode, filter(None, listed)) if (ROOT / name).is_file())


def state_of(files):
    """What stands in the folders that decide an outcome."""
    digest = hashlib.sha256()
    for name in files:
        if name.split("/")[0] in JUDGED and Path(name).suffix in (".c", ".h", ".yaml"):
            digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes())
    return digest.hexdigest()[:16]


def prepare_tree(files):
    """Source as it stands here, with the build that is there already, so that make has little to do."""
    fresh = not (TREE / "build/release").is_dir()
    for name in files:
        copy = TREE / name
        if copy.is_file() and copy.read_bytes() == (ROOT / name).read_bytes():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy)
        if not fresh:
            os.utime(copy)  # younger than what was made of the one before
    known = set(files)
    for folder in JUDGED + ("reports", "tests/mutants"):
        for copy in sorted((TREE / folder).rglob("*.*")):
            if copy.is_file() and copy.relative_to(TREE).as_posix() not in known:
                copy.unlink()
    if fresh and (ROOT / "build/release").is_dir():
        (TREE / "build").mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", str(ROOT / "build/release"), str(TREE / "build")], check=True)
    make()
    BIN.mkdir(parents=True, exist_ok=True)
    (WORK / "out").mkdir(exist_ok=True)


def make():
    done = subprocess.run(["make", "--no-print-directory", "-s", PROGRAM], cwd=TREE,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)


def build(patch):
    """The program of this mutant (None: of the unchanged tree); the tree is as before afterwards."""
    program = BIN / (patch.stem if patch else "unchanged")
    if patch is None:
        shutil.copy2(TREE / PROGRAM, program)
        return program
    touched = re.findall(r"^\+\+\+ b/(\S+)", patch.read_text(), re.M)
    objects = [TREE / "build/release/obj" / Path(name).with_suffix(".o") for name in touched]
    kept = [path.read_bytes() for path in objects]
    sources = [(TREE / name).read_bytes() for name in touched]
    # Not as part of the repository around it: paths are those of the tree.
    env = dict(os.environ, GIT_CEILING_DIRECTORIES=str(WORK))
    done = subprocess.run(["git", "apply", "-v", str(patch)], cwd=TREE, env=env,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{patch.name} does not apply: {done.stderr}")
    try:
        make()
        shutil.copy2(TREE / PROGRAM, program)
    except RuntimeError as error:
        raise RuntimeError(f"{patch.name} does not build: {error}") from error
    finally:
        # The object as it was, younger than its source and than the archive it goes into.
        for name, source, path, content in zip(touched, sources, objects, kept):
            (TREE / name).write_bytes(source)
            path.write_bytes(content)
    return program


def run_once(program, scenario, seed, history, left=0):
    """(verdict, check, text, virtual seconds, CPU seconds, hash) of one run; so many seconds are left."""
    most = int(max(RUN_SECONDS, left + 1))
    command = [str(program), "run", str(scenario), "--seed", str(seed), "--trace", "none",
               "--jobs", "1", "--out", str(WORK / "out" / program.name)]
    if history:
        command.append("--only-history")
    child = subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, errors="replace",
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (most, most)))
    errors = []
    reader = threading.Thread(target=lambda: errors.append(child.stderr.read()))
    reader.start()
    out = child.stdout.read()
    reader.join()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    words = out.split()
    verdict = words[0] if words else "CUT"
    virtual = re.search(r" virtual=([0-9.]+)s", out)
    check = re.search(r" check=(\S+)", out)
    first = next((line.strip() for line in errors[0].splitlines()
                  if line.strip() and not line.startswith("gregor-sim:")), "")
    trace = re.search(r" hash=(\S+)", out)
    shutil.rmtree(WORK / "out" / program.name, ignore_errors=True)
    return (verdict, check.group(1) if check else "", first,
            float(virtual.group(1)) if virtual else 0.0, usage.ru_utime + usage.ru_stime,
            trace.group(1) if trace else "")


def history_oracles():
    """Ids of the oracles that need nothing but what clients saw."""
    rows = (ROOT / "sim/check/check_list.h").read_text()
    return set(re.findall(r"X\((\w+), \"[^\"]*\", HISTORY,", rows))


HISTORY_ORACLES = history_oracles()


def convicts(verdict, check, text, history):
    if verdict not in ("FAIL", "STUCK", "CRASH"):
        return False
    if not history:
        return True
    if check in HISTORY_ORACLES:
        return True
    return check.startswith("expect") and any(term in text for term in CLIENT_TERMS)


class Kept:
    """A dictionary in a file of lines, each one more entry: what an interrupted campaign leaves."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.entries = {}
        if path.is_file():
            for line in path.read_text().splitlines():
                key, value = json.loads(line)
                self.entries[key] = value

    def get(self, key):
        with self.lock:
            return self.entries.get(key)

    def newest_first(self):
        with self.lock:
            return reversed(list(self.entries))

    def put(self, key, value):
        with self.lock:
            self.entries.pop(key, None)  # the newest stands last
            self.entries[key] = value
            with self.path.open("a") as file:
                print(json.dumps([key, value]), file=file)


def by_cost(unchanged, scenarios, costs):
    """Cheapest first: CPU seconds of seed 1, kept from one call to the next while a file is as it was."""
    found = {}
    for scenario in scenarios:
        key = scenario.stem + " " + hashlib.sha256(scenario.read_bytes()).hexdigest()[:16]
        if costs.get(key) is None:
            costs.put(key, round(run_once(unchanged, scenario, 1, False)[4], 2))
        found[scenario] = costs.get(key)
    return sorted(scenarios, key=lambda scenario: (found[scenario], scenario.stem)), found


def campaign(program, scenarios, seconds, history, before, unchanged_hash):
    """The outcome, a dictionary. `before`: the one of a shorter campaign that killed nothing."""
    got = dict(before or {"killed": False, "cpu": 0.0, "virtual": 0.0, "runs": 0, "same": True})
    for turn in range(got["runs"], SEEDS_MAX * len(scenarios)):
        if got["cpu"] >= seconds:
            break
        scenario = scenarios[turn % len(scenarios)]
        seed = turn // len(scenarios) + 1
        verdict, check, text, virtual, cpu, trace = run_once(program, scenario, seed, history,
                                                             seconds - got["cpu"])
        got["cpu"] = round(got["cpu"] + cpu, 3)
        got["virtual"] = round(got["virtual"] + virtual, 1)
        got["runs"] += 1
        if convicts(verdict, check, text, history):
            got.update(killed=True, verdict=verdict, check=check or verdict, text=text,
                       scenario=scenario.stem, seed=seed)
            break
        got["same"] = got["same"] and trace == unchanged_hash(scenario, seed)
    got["seconds"] = seconds
    return got


def recalled(program, scenarios, costs, rows, history, before):
    """The outcome, with what the campaign would take at most; None: none of these runs convicts."""
    of_name = {scenario.stem: scenario for scenario in scenarios}
    for name, seed in rows:
        if name not in of_name:
            continue
        scenario = of_name[name]
        verdict, check, text, virtual, cpu, _ = run_once(program, scenario, seed, history)
        if convicts(verdict, check, text, history):
            runs, seconds = recall.reached(scenarios, costs, scenario, seed)
            return dict(before, killed=True, verdict=verdict, check=check or verdict, text=text,
                        scenario=name, seed=seed, runs=runs + 1, cpu=round(seconds + cpu, 3),
                        virtual=virtual, most=True, same=False)
    return None


def answered(got, seconds):
    """Whether nothing new would come of asking with so many seconds."""
    return got is not None and (got["killed"] or got["cpu"] >= seconds)


def arguments():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--oracles", choices=["all", "history", "both"], default="both")
    options.add_argument("--history-seconds", type=float)
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--wall", type=float, default=float("inf"),
                         help="minutes after which no further mutant is begun")
    options.add_argument("--mechanical", type=int, default=0)
    options.add_argument("--score", type=Path)
    options.add_argument("--again", action="store_true")
    options.add_argument("--older", action="store_true")
    options.add_argument("--skip-unchanged", action="store_true")
    options.add_argument("--recall", type=Path)
    options.add_argument("patterns", nargs="*")
    return options.parse_args()


def main():
    options = arguments()
    end = time.monotonic() + 60 * options.wall
    files = tree_files()
    state = state_of(files)
    prepare_tree(files)
    if options.mechanical:
        patches = mechanical.draw(TREE, options.mechanical, WORK / "mechanical")
    else:
        patches = sorted((TREE / "tests/mutants").glob("*.patch"))
    patches = [p for p in patches
               if not options.patterns or any(fnmatch.fnmatch(p.stem, w) for w in options.patterns)]
    unchanged = build(None)
    scenarios, costs = by_cost(unchanged, sorted((TREE / "scenarios").rglob("*.yaml")),
                               Kept(WORK / "costs.jsonl"))
    earlier = recall.rows(options.recall) if options.recall else {}
    results = Kept(WORK / "results.jsonl")
    hashes = Kept(WORK / "hashes.jsonl")

    def unchanged_hash(scenario, seed):
        key = f"{state} {scenario.stem} {seed}"
        if hashes.get(key) is None:
            hashes.put(key, run_once(unchanged, scenario, seed, False)[5])
        return hashes.get(key)

    if not options.skip_unchanged and results.get(f"{state} unchanged") is None:
        got = campaign(unchanged, scenarios, min(options.seconds, 60), False, None, lambda *_: "")
        if got["killed"]:
            print(f"the unchanged tree is convicted: {got}", file=sys.stderr)
            return 1
        results.put(f"{state} unchanged", got)
        print(f"unchanged: {got['runs']} runs pass", flush=True)

    sections = []
    for history in {"all": [False], "history": [True], "both": [False, True]}[options.oracles]:
        seconds = (options.history_seconds or options.seconds) if history else options.seconds
        sections.append(("Client histories only" if history else "All oracles", seconds, history))

    def key_of(patch, history):
        body = hashlib.sha256(re.sub(rb"(?m)^# .*\n", b"", patch.read_bytes())).hexdigest()[:16]
        return f"{state} {patch.stem} {body} {'history' if history else 'all'}"

    forgotten = set()
    if options.again:
        forgotten = {key_of(patch, history) for patch in patches for _, _, history in sections}

    def known(patch, history):
        key = key_of(patch, history)
        got = None if key in forgotten else results.get(key)
        if got is not None or not options.older:
            return got
        for old in results.newest_first():  # the same patch, whatever stood around it
            if old.split()[1:] == key.split()[1:] and results.get(old)["killed"]:
                return dict(results.get(old), state=old.split()[0])
        return None

    def judge(patch, program):
        """A campaign with each set of oracles, as far as time allows."""
        for _, seconds, history in sections:
            if answered(known(patch, history), seconds) or time.monotonic() > end:
                continue
            key = key_of(patch, history)
            got = None if key in forgotten else results.get(key)
            if patch.stem in earlier:
                if not answered(got, RECALL_SECONDS):
                    got = campaign(program, scenarios, min(seconds, RECALL_SECONDS), history, got,
                                   unchanged_hash)
                if not got["killed"]:
                    got = recalled(program, scenarios, costs, earlier[patch.stem], history, got) or got
            if not answered(got, seconds):
                got = campaign(program, scenarios, seconds, history, got, unchanged_hash)
            how = f"{got['check']} {got['scenario']} {got['seed']}" if got["killed"] else "-"
            print(f"{patch.stem:<34} {'history' if history else 'all':<8} {how} {got['cpu']:.1f}",
                  flush=True)
            forgotten.discard(key)
            results.put(key, got)
        program.unlink(missing_ok=True)

    # One is built while others are judged.
    bad = 0
    refused = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        waiting = []
        for patch in patches:
            if all(answered(known(patch, history), seconds) for _, seconds, history in sections):
                continue
            while len([one for one in waiting if not one.done()]) > options.jobs:
                time.sleep(0.1)  # built ahead: one
            if time.monotonic() > end:
                break
            try:
                waiting.append(pool.submit(judge, patch, build(patch)))
            except RuntimeError as error:
                if options.mechanical:  # one that the compiler refuses is no question
                    print(f"{patch.stem:<34} not built")
                    refused += 1
                    continue
                print(error, file=sys.stderr)
                bad = 1
        for one in waiting:
            one.result()
    outs = [sys.stdout]
    if options.score:
        outs.append(options.score.open("w"))
        print("Made by: tests/mutants/run.py " + " ".join(sys.argv[1:]), file=outs[1])
    for out in outs:
        print(f"State {state} of {' '.join(JUDGED)}; scenarios: {len(scenarios)}", file=out)
        for title, seconds, history in sections:
            rows = [(patch.stem, score.head_of(patch), known(patch, history)) for patch in patches]
            rows = [row for row in rows if row[2] is not None]
            score.table(rows, title, f"{seconds:g}", out)
            score.classes(rows, out)
            if len(rows) + refused < len(patches):
                print(f"  {len(patches) - len(rows) - refused} of {len(patches)} not judged", file=out)
        if refused:
            print(f"  {refused} mutants were refused by the compiler", file=out)
    return bad


if __name__ == "__main__":
    sys.exit(main())
