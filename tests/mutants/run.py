#!/usr/bin/env python3
"""Mutation score of the simulator: is each one-line defect of tests/mutants/ found, by what, how soon?

usage: run.py [--seconds N] [--history-seconds N] [--oracles all|history|both] [--jobs N]
              [--wall MINUTES] [--mechanical N] [--score FILE] [--skip-unchanged] [PATTERN...]

The defects are the patches of this folder and, with --mechanical, N more that are drawn by the tree
hash of broker/ (mechanical.py). A survivor whose every run had the very events of the unchanged tree
is told as `same`: it made no difference anywhere, so no oracle had anything to see.

The tree and its build are copied once to build/mutants/; of each mutant one object and the link are
rebuilt there. A campaign is scenarios/*.yaml, seeds 1, 2, ... interleaved over the scenarios, those
first whose run of seed 1 costs the unchanged tree least, until the first run that convicts or until
the mutant has used its CPU seconds.

What convicts: FAIL, STUCK and CRASH (an assertion, a leak). Not: UNEXERCISED, INCONCLUSIVE, a run
that is cut off. With `history` only verdicts that need nothing but what clients saw count: the
oracles of class H, and expectations about what was acknowledged and read.

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
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mechanical

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "mutants"
WORK = ROOT / "build" / "mutants"
TREE = WORK / "tree"
BIN = WORK / "bin"
PROGRAM = "build/release/gregor-sim"
CLIENT_TERMS = ("acked", "lost_acked", "read(", "sent(")
RUN_SECONDS = 60  # of CPU, one run: a mutant may loop
SEEDS_MAX = 10000


def head_of(patch):
    """The lines `# key: value` above the diff."""
    head = {}
    for line in patch.read_text().splitlines():
        if not line.startswith("# "):
            break
        key, colon, value = line[2:].partition(": ")
        if colon and re.fullmatch(r"[a-z]+", key):
            head[key] = value
            last = key
        else:
            head[last] += " " + line[2:].strip()
    return head


def prepare_tree():
    """Source as it stands here, with the build that is there already, so that make has little to do."""
    files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           cwd=ROOT, check=True, capture_output=True).stdout.split(b"\0")
    shutil.rmtree(TREE, ignore_errors=True)
    for name in filter(None, map(os.fsdecode, files)):
        if not (ROOT / name).is_file():
            continue
        (TREE / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, TREE / name)
    (TREE / "build").mkdir(parents=True, exist_ok=True)
    if (ROOT / "build/release").is_dir():
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
    # Not as part of the repository around it: paths are those of the tree.
    env = dict(os.environ, GIT_CEILING_DIRECTORIES=str(WORK))
    done = subprocess.run(["git", "apply", "-v", str(patch)], cwd=TREE, env=env,
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{patch.name} does not apply: {done.stderr}")
    touched = re.findall(r"^\+\+\+ b/(\S+)", patch.read_text(), re.M)
    objects = [TREE / "build/release/obj" / Path(name).with_suffix(".o") for name in touched]
    kept = [path.read_bytes() for path in objects]
    try:
        make()
        shutil.copy2(TREE / PROGRAM, program)
    except RuntimeError as error:
        raise RuntimeError(f"{patch.name} does not build: {error}") from error
    finally:
        # The object as it was, younger than its source and than the archive it goes into.
        for name, path, content in zip(touched, objects, kept):
            shutil.copy2(ROOT / name, TREE / name)
            path.write_bytes(content)
    return program


def limit_cpu():
    resource.setrlimit(resource.RLIMIT_CPU, (RUN_SECONDS, RUN_SECONDS))


def run_once(program, scenario, seed, history):
    """(verdict, check, text, virtual seconds, CPU seconds, hash) of one run."""
    command = [str(program), "run", str(scenario), "--seed", str(seed), "--trace", "none",
               "--jobs", "1", "--out", str(WORK / "out" / program.name)]
    if history:
        command.append("--only-history")
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, preexec_fn=limit_cpu)
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
    return (verdict, check.group(1) if check else "", first,
            float(virtual.group(1)) if virtual else 0.0, usage.ru_utime + usage.ru_stime,
            trace.group(1) if trace else "")


def convicts(verdict, check, text, history):
    if verdict not in ("FAIL", "STUCK", "CRASH"):
        return False
    if not history:
        return True
    if check.startswith("C") or check == "R34":
        return True
    return check.startswith("expect") and any(term in text for term in CLIENT_TERMS)


HASHES = {}  # of the unchanged tree: (scenario, seed) -> hash, as far as they were asked for
HASHES_LOCK = threading.Lock()


def unchanged_hash(scenario, seed):
    with HASHES_LOCK:
        if (scenario, seed) not in HASHES:
            HASHES[scenario, seed] = run_once(BIN / "unchanged", scenario, seed, False)[5]
        return HASHES[scenario, seed]


def by_cost(unchanged, scenarios):
    """Cheapest first: CPU seconds of seed 1, kept from one call to the next while a file is as it was."""
    kept = WORK / "costs.json"
    known = json.loads(kept.read_text()) if kept.is_file() else {}
    costs = {}
    for scenario in scenarios:
        key = scenario.stem + " " + hashlib.sha256(scenario.read_bytes()).hexdigest()
        if key not in known:
            known[key] = round(run_once(unchanged, scenario, 1, False)[4], 2)
        costs[scenario] = known[key]
    kept.write_text(json.dumps(known, indent=1))
    return sorted(scenarios, key=lambda scenario: (costs[scenario], scenario.stem))


def same_as_unchanged(hashes):
    """Whether no run of a survivor had other events than the unchanged tree."""
    return all(unchanged_hash(scenario, seed) == got for scenario, seed, got in hashes)


def campaign(program, scenarios, seconds, history):
    """Dictionary of the outcome."""
    cpu = virtual = 0.0
    runs = 0
    hashes = []
    for seed in range(1, SEEDS_MAX):
        for scenario in scenarios:
            verdict, check, text, run_virtual, run_cpu, trace = run_once(program, scenario, seed,
                                                                         history)
            hashes.append((scenario, seed, trace))
            cpu += run_cpu
            virtual += run_virtual
            runs += 1
            if convicts(verdict, check, text, history):
                return {"killed": True, "verdict": verdict, "check": check or verdict, "text": text,
                        "scenario": scenario.stem, "seed": seed, "cpu": cpu, "virtual": virtual,
                        "runs": runs}
            if cpu >= seconds:
                break
        if cpu >= seconds:
            break
    return {"killed": False, "cpu": cpu, "virtual": virtual, "runs": runs,
            "same": same_as_unchanged(hashes)}


def table(rows, title, seconds, out):
    print(f"\n{title}, at most {seconds} CPU s a mutant\n", file=out)
    form = "{:<34} {:<11} {:<10} {:<14} {:<26} {:>8} {:>10} {:>5}"
    print(form.format("mutant", "class", "result", "by", "scenario, seed", "CPU s", "virtual s",
                      "runs"), file=out)
    for name, head, got in rows:
        result = "killed" if got["killed"] else "survived"
        if not got["killed"] and got["same"]:
            result = "same"
        if not got["killed"] and "equivalent" in head:
            result = "equivalent"
        where = f"{got['scenario']}, {got['seed']}" if got["killed"] else ""
        by = got["check"] if got["killed"] else ""
        print(form.format(name, head["class"], result, by, where, f"{got['cpu']:.2f}",
                          f"{got['virtual']:.0f}", got["runs"]), file=out)


def score(rows, out):
    classes = {}
    for _, head, got in rows:
        if not got["killed"] and "equivalent" in head:
            continue
        classes.setdefault(head["class"], []).append(got["killed"])
    print(file=out)
    for name in sorted(classes):
        got = classes[name]
        print(f"  {name:<11} {sum(got):>3} of {len(got)}", file=out)
    every = [killed for got in classes.values() for killed in got]
    equal = sum(1 for _, head, got in rows if not got["killed"] and "equivalent" in head)
    print(f"  {'all':<11} {sum(every):>3} of {len(every)}"
          + (f" ({equal} equivalent left out)" if equal else ""), file=out)
    times = [got["cpu"] for _, _, got in rows if got["killed"]]
    if times:
        print(f"  median time to kill {statistics.median(times):.2f} CPU s, "
              f"longest {max(times):.2f}", file=out)
    out.flush()


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=600)
    options.add_argument("--oracles", choices=["all", "history", "both"], default="both")
    options.add_argument("--history-seconds", type=float)
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--wall", type=float, default=float("inf"),
                         help="minutes after which no further mutant is begun")
    options.add_argument("--mechanical", type=int, default=0)
    options.add_argument("--score", type=Path)
    options.add_argument("--skip-unchanged", action="store_true")
    options.add_argument("patterns", nargs="*")
    options = options.parse_args()
    patches = sorted(HERE.glob("*.patch"))
    patches += mechanical.draw(ROOT, options.mechanical, WORK / "mechanical")
    patches = [p for p in patches
               if not options.patterns or any(fnmatch.fnmatch(p.stem, w) for w in options.patterns)]
    scenarios = sorted((ROOT / "scenarios").rglob("*.yaml"))
    bad = 0
    end = time.monotonic() + 60 * options.wall
    prepare_tree()
    unchanged = build(None)
    scenarios = by_cost(unchanged, scenarios)
    if not options.skip_unchanged:
        got = campaign(unchanged, scenarios, min(options.seconds, 60), False)
        if got["killed"]:
            print(f"the unchanged tree is convicted: {got}", file=sys.stderr)
            return 1
        print(f"unchanged: {got['runs']} runs pass", flush=True)

    sections = []
    for history in {"all": [False], "history": [True], "both": [False, True]}[options.oracles]:
        seconds = (options.history_seconds or options.seconds) if history else options.seconds
        sections.append(("Client histories only" if history else "All oracles", seconds, history))

    def judge(patch, program):
        """A campaign with each set of oracles. None: out of time."""
        if time.monotonic() > end:
            return None
        gots = []
        for _, seconds, history in sections:
            got = campaign(program, scenarios, seconds, history)
            how = f"{got['check']} {got['scenario']} {got['seed']}" if got["killed"] else "-"
            print(f"{patch.stem:<34} {'history' if history else 'all':<8} {how} {got['cpu']:.1f}",
                  flush=True)
            gots.append(got)
        program.unlink(missing_ok=True)
        return patch.stem, head_of(patch), gots

    # One is built while others are judged.
    with ThreadPoolExecutor(options.jobs) as pool:
        waiting = []
        refused = 0
        for patch in patches:
            if time.monotonic() > end:
                break
            try:
                waiting.append(pool.submit(judge, patch, build(patch)))
            except RuntimeError as error:
                if patch.parent != HERE:  # a mechanical one that the compiler refuses is no question
                    print(f"{patch.stem:<34} not built")
                    refused += 1
                    continue
                print(error, file=sys.stderr)
                bad = 1
        results = [got for got in (future.result() for future in waiting) if got is not None]
    outs = [sys.stdout]
    if options.score:
        outs.append(options.score.open("w"))
        print("Made by: tests/mutants/run.py " + " ".join(sys.argv[1:]), file=outs[1])
        print(f"scenarios: {len(scenarios)}", file=outs[1])
    for out in outs:
        for i, (title, seconds, _) in enumerate(sections):
            rows = [(name, head, gots[i]) for name, head, gots in results]
            table(rows, title, f"{seconds:g}", out)
            score(rows, out)
        if refused:
            print(f"  {refused} mechanical mutants were refused by the compiler", file=out)
        if len(results) + refused < len(patches):
            print(f"  {len(patches) - len(results) - refused} of {len(patches)} mutants were not judged", file=out)
    return bad


if __name__ == "__main__":
    sys.exit(main())
