#!/bin/sh
# Two bars of the simulator: bytes of trace per event delivered (at most 32 in the ring), and the
# share of the CPU time that the oracles take (at most 30 %), as the median of paired runs.
# usage: sim_trace.sh PROGRAM [PAIRS]
set -u
sim=$1 pairs=${2:-5}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
scenario=scenarios/leader-power-loss.yaml

"$sim" run $scenario --seeds 1..5 --trace full --plan --out "$dir" >"$dir/lines" 2>/dev/null
events=$(sed -n 's/.*events=\([0-9]*\).*/\1/p' "$dir/lines" | awk '{s += $1} END {print s}')
bytes=$(cat "$dir"/*/trace.bin | wc -c)
traced=$(for d in "$dir"/*/; do "$sim" diff "$d" "$d"; done | sed -n 's/^the same \([0-9]*\) events/\1/p' | awk '{s += $1} END {print s}')
plans=$(cat "$dir"/*/plan.gplan | wc -c)
echo "trace: $bytes bytes, $events events delivered, $((bytes / events)) bytes an event (bar: 32)"
echo "trace: $traced events traced, $((bytes / traced)) bytes each"
echo "plan:  $plans bytes, $((plans / events)) bytes an event"

cpu() { # user time in ms of a run without pages, plans and traces
    python3 - "$@" <<'PY'
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(int(1000 * (used.ru_utime + used.ru_stime)))
PY
}
run="$sim run $scenario --seeds 1..20 --jobs 1 --trace none --out $dir/out"
for i in $(seq "$pairs"); do
    all=$(cpu $run)
    none=$(cpu $run --no-checks)
    echo $((100 * (all - none) / all))
done | sort -n | awk '{v[NR] = $1} END {print "oracles: " v[int((NR + 1) / 2)] " % of the CPU time (bar: 30)"}'
