#!/usr/bin/env python3
"""The table of holes and disk faults in broker/log/README.md against the tree.

usage: check_holes.py                    every id is there, every name exists (silent when so)
       check_holes.py --run BUILD SIM    and every scenario and test program passes, and in one
                                         scenario of each DF row that fault has hit

Exit 0: so it is; 1: one line per error.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

README = "broker/log/README.md"
IDS = [f"H{i}" for i in range(1, 15)] + [f"DF{i}" for i in range(1, 22)]
UNSEEN = {"DF21"}  # the simulator has no such thing to inject


def rows():
    with open(README, encoding="utf-8") as file:
        for line in file:
            cells = [cell.strip() for cell in line.split("|")]
            if len(cells) == 5 and re.fullmatch(r"(H|DF)\d+", cells[1]):
                yield cells[1], re.findall(r"`([^`]+)`", cells[3])


def find(top, name):
    for folder, _, files in os.walk(top):
        if name in files:
            return os.path.join(folder, name)
    return None


def in_list(path, test):
    """Defined, and in the list that the program runs."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    body = text[text.find("int main("):]
    return re.search(rf"^static void {test}\(", text, re.M) and re.search(rf"\b{test}\b", body)


def check(table):
    bad = [f"{README}: no row for {id}" for id in IDS if id not in dict(table)]
    for id, names in table:
        evidence = 0
        for name in names:
            if name.endswith(".yaml"):
                there = find("scenarios", name) is not None
                evidence += 1
            elif name.endswith(".patch"):
                there = os.path.exists(os.path.join("tests/mutants", name))
            elif ":" in name:
                program, test = name.split(":")
                path = find("tests/unit", program + ".c")
                there = path is not None and in_list(path, test)
                evidence += 1
            else:
                continue
            if not there:
                bad.append(f"{README}: {id} names {name}, which is not there")
        if evidence == 0:
            bad.append(f"{README}: {id} has no scenario and no test")
    return bad


def run(table, build, sim):
    bad = []
    listed = subprocess.run([sim, "list", "faults"], check=True, capture_output=True, text=True)
    fault_names = {}
    for line in listed.stdout.splitlines():
        match = re.match(r"  (DF\d+) +(.+?) {2,}", line) or re.match(r"  (DF\d+) +(.+?) disk:", line)
        if match:
            fault_names.setdefault(match.group(1), set()).add(match.group(2).strip())
    hits, done = {}, {}
    for id, names in table:
        for name in names:
            if name.endswith(".patch") or (":" not in name and not name.endswith(".yaml")):
                continue
            key = name.split(":")[0]
            if key not in done:
                with tempfile.TemporaryDirectory() as out:
                    if name.endswith(".yaml"):
                        argv = [sim, "run", find("scenarios", name), "--out", out, "--json",
                                out + "/runs.json"]
                    else:
                        argv = [find(build + "/unit", key)]
                    done[key] = subprocess.run(argv, capture_output=True, timeout=600).returncode
                    if name.endswith(".yaml") and os.path.exists(out + "/runs.json"):
                        hits[key] = set()
                        for line in open(out + "/runs.json", encoding="utf-8"):
                            faults = json.loads(line).get("faults", {})
                            hits[key] |= {f for f, n in faults.items() if n["injected"] > 0}
            if done[key] != 0:
                bad.append(f"{id}: {name} ends with {done[key]}")
        if id.startswith("DF") and id not in UNSEEN:
            seen = set().union(*(hits.get(name, set()) for name in names))
            if not seen & fault_names.get(id, set()):
                bad.append(f"{id}: hit in none of its scenarios ({sorted(fault_names.get(id, []))})")
    print(f"holes: {len(table)} rows, {len(done)} scenarios and programs run, {len(bad)} wrong")
    return bad


def main():
    table = list(rows())
    bad = check(table)
    if not bad and len(sys.argv) == 4 and sys.argv[1] == "--run":
        bad = run(table, sys.argv[2], sys.argv[3])
    for line in bad:
        print(line)
    return 1 if bad else 0


sys.exit(main())
