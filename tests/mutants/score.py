"""Tables of run.py: a row a mutant, a line a class."""
import re
import statistics


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


def equivalent(head, got):
    """One that is said to be equivalent and is killed all the same, is not."""
    return not got["killed"] and "equivalent" in head


def table(rows, title, seconds, out):
    print(f"\n{title}, at most {seconds} CPU s a mutant\n", file=out)
    form = "{:<36} {:<11} {:<10} {:<14} {:<38} {:>8} {:>10} {:>5} {}"
    print(form.format("mutant", "class", "result", "by", "scenario, seed", "CPU s", "virtual s",
                      "runs", "").rstrip(), file=out)
    for name, head, got in rows:
        result = "killed"
        if equivalent(head, got):
            result = "equivalent"
        elif not got["killed"]:
            result = "same" if got["same"] else "survived"
        where = f"{got['scenario']}, {got['seed']}" if got["killed"] else ""
        by = got["check"] if got["killed"] else ""
        most = "<=" if got.get("most") else ""  # see --recall
        print(form.format(name, head["class"], result, by, where, f"{most}{got['cpu']:.2f}",
                          f"{got['virtual']:.0f}", got["runs"], got.get("state", "")).rstrip(),
              file=out)


def times(rows):
    """Median and longest time to kill, as text."""
    cpu = [got["cpu"] for _, _, got in rows if got["killed"]]
    if not cpu:
        return ""
    return f"median {statistics.median(cpu):>6.2f}  longest {max(cpu):>7.2f} CPU s to kill"


def classes(rows, out):
    counted = [row for row in rows if not equivalent(row[1], row[2])]
    print(file=out)
    for name in sorted({head["class"] for _, head, _ in counted}) + ["all"]:
        some = [row for row in counted if name in ("all", row[1]["class"])]
        killed = sum(row[2]["killed"] for row in some)
        share = f"{100 * killed / len(some):.1f} %" if name == "all" and some else ""
        print(f"  {name:<11} {killed:>3} of {len(some):>3}  {times(some)}  {share}".rstrip(),
              file=out)
    if len(rows) > len(counted):
        print(f"  {len(rows) - len(counted)} equivalent left out", file=out)
    out.flush()
