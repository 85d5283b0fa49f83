"""Where earlier campaigns convicted a mutant: what `run.py --recall FILE` asks before it searches."""
import re
from pathlib import Path

ROW = re.compile(r"(\S+) +\S+ +killed +\S+ +(\S+), (\d+)\b")


def rows(path):
    """{mutant: [(scenario, seed)]}, in the order of the file, of the rows of a table that say killed."""
    found = {}
    for name, scenario, seed in ROW.findall(Path(path).read_text()):
        found.setdefault(name, [])
        if (scenario, int(seed)) not in found[name]:
            found[name].append((scenario, int(seed)))
    return found


def reached(scenarios, costs, scenario, seed):
    """(runs, CPU seconds) that a campaign makes before it meets this run, if each costs what the
    unchanged tree's run of seed 1 does."""
    at = scenarios.index(scenario)
    return ((seed - 1) * len(scenarios) + at,
            (seed - 1) * sum(costs[one] for one in scenarios) +
            sum(costs[one] for one in scenarios[:at]))
