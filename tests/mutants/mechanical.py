"""Mechanical mutants of broker/: one small edit each, drawn by the tree hash of broker/, so that every
state of the broker is asked other questions and the same state the same ones.

Kinds of edits, on one line of code inside of a function:

  drop-call      a call whose result nobody uses is not made
  skip-sync      the same, of a call that makes something durable
  flip-compare   < and <=, > and >=, == and != change places
  negate         if (x) becomes if (!(x))
  swap-logic     && and || change places
  off-by-one     + 1 or - 1 is left out

Assertions, traces and comments are left alone: to drop those is no defect of behaviour.
"""
import difflib
import hashlib
import random
import re
import subprocess
from pathlib import Path

# What says something and does nothing.
SILENT = re.compile(r"\b(ASSERT|IMPOSSIBLE|TRACE\w*|trace_\w+|text_\w+|MARK)\s*\(")
CALL = re.compile(r"^(\s+(?:if \(.*\) )?)(?:\(void\)\s*)?([a-z]\w*)\((.*)\);$")
SYNC = re.compile(r"sync|flush|SYNC")
COMPARE = {" < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > ", " == ": " != ", " != ": " == "}
LOGIC = {" && ": " || ", " || ": " && "}


def edits(line):
    """Every (kind, changed line) of one line of code."""
    call = CALL.match(line)
    if SILENT.search(line) or line.lstrip().startswith(("*", "/*", "#", "//")):
        return
    if call and call.group(2) not in ("if", "while", "for", "switch", "return", "sizeof"):
        kind = "skip-sync" if SYNC.search(call.group(2) + call.group(3)) else "drop-call"
        yield kind, f"{call.group(1)}(void)0;"
    for table, kind in ((COMPARE, "flip-compare"), (LOGIC, "swap-logic")):
        for old, new in table.items():
            if line.count(old) == 1 and "for (" not in line:
                yield kind, line.replace(old, new)
    negate = re.match(r"^(\s+(?:\} else )?if \()(.*)(\) (?:\{|return[^;]*;|continue;|break;))$", line)
    if negate and negate.group(2).count("(") == negate.group(2).count(")"):
        yield "negate", f"{negate.group(1)}!({negate.group(2)}){negate.group(3)}"
    if re.search(r" [+-] 1[;),\]]", line) and "for (" not in line:
        yield "off-by-one", re.sub(r" [+-] 1([;),\]])", r"\1", line, count=1)


def sites(root):
    """Every edit there is, as (path, line number, kind, changed line), in a fixed order."""
    for path in sorted((root / "broker").rglob("*.c")):
        if path.name in ("main.c", "dump_command.c", "dump.c"):
            continue  # programs for people: no simulator runs them
        inside = False
        for number, line in enumerate(path.read_text().splitlines()):
            if line.startswith("{"):
                inside = True
            elif line.startswith("}"):
                inside = False
            elif inside:
                for kind, changed in edits(line):
                    yield path, number, kind, changed


def tree_hash(root):
    """Of broker/ as it stands here, committed or not."""
    digest = hashlib.sha256()
    for path in sorted((root / "broker").rglob("*.[ch]")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def draw(root, count, where):
    """Writes `count` patches to the folder `where` and returns them, kinds in turn."""
    dice = random.Random(tree_hash(root))
    kinds = {}
    for site in sites(root):
        kinds.setdefault(site[2], []).append(site)
    for kind in kinds.values():
        dice.shuffle(kind)
    where.mkdir(parents=True, exist_ok=True)
    for old in where.glob("*.patch"):
        old.unlink()
    patches = []
    while len(patches) < count and any(kinds.values()):
        for kind in sorted(kinds):
            if not kinds[kind] or len(patches) == count:
                continue
            path, number, _, changed = kinds[kind].pop()
            old = path.read_text().splitlines(keepends=True)
            new = list(old)
            new[number] = changed + "\n"
            name = path.relative_to(root).as_posix()
            diff = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
            patch = where / f"{kind}-{path.stem}-{number + 1}.patch"
            patch.write_text(f"# name: {patch.stem}\n# class: mechanical\n"
                             f"# defect: {kind}: {old[number].strip()}\n"
                             f"# source: tree {tree_hash(root)[:12]}\n" + "".join(diff))
            patches.append(patch)
    return patches
