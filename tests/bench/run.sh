#!/bin/sh
# The benchmarks of `make bench`: CPU time, memory and time to start, never rates. One JSON line a
# case, then a table with the bars. Nothing fails by a figure; exit 1 only when something breaks.
# usage: run.sh BUILD_DIR          BENCH_PAIRS, BENCH_MB, BENCH_PORT, BENCH_CASES change the sizes
#
# Broker and floor get the same load by turns; the ratio is taken inside a pair and the median of
# the pairs reported (performance.md 8), over the loopback. Both files grow on the same file system:
# in memory, where the difference is largest; the case produce-disk repeats it in the build directory.
# Pages are warmed before each run. A warning about a shared machine stands in the quartiles.
set -u
build=$1
here=$(dirname "$0")
pairs=${BENCH_PAIRS:-11}
mb=${BENCH_MB:-128}
port=${BENCH_PORT:-18100}
cases=${BENCH_CASES:-"start idle produce produce-all produce-disk consume sim"}
load=$build/bench-load
where=${BENCH_DIR:-$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")}
work=$(mktemp -d "$where/gregor-bench.XXXXXX")
data=$work/data # of the broker
disk=$build/bench-data
table=$work/table
broker= floor=

stop() {
    for pid in $broker $floor; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
    broker= floor=
}
trap 'stop; rm -rf "$work" "$disk"' EXIT
trap 'exit 1' HUP INT PIPE TERM
fail() { echo "bench: $*" >&2; exit 1; }

# quartiles of the numbers on stdin: "median lower upper"
quartiles() {
    sort -n | awk '{ v[NR] = $1 } END {
        if (NR == 0) exit 1
        print q(0.5), q(0.25), q(0.75) }
        function q(p,  at, low) { at = 1 + (NR - 1) * p; low = int(at)
            return sprintf("%.4g", v[low] + (at - low) * (v[low + (low < NR)] - v[low])) }'
}

# result CASE UNIT MEASURED SENSE BAR [JSON FIELDS]: SENSE is "<" or ">", or nothing without a bar
result() {
    met=$(awk -v m="$3" -v b="$5" -v s="$4" \
        'BEGIN { print s == "" ? "" : (s == "<" ? m <= b : m >= b) ? "yes" : "no" }')
    printf '{"case":"%s","unit":"%s","measured":%s%s%s}\n' "$1" "$2" "$3" \
        "${4:+,\"bar\":\"$4 $5\",\"met\":\"$met\"}" "${6:+,$6}"
    printf '%-16s %10s %-38s %1s %-6s %s\n' "$1" "$3" "$2" "$4" "$5" "$met" >>"$table"
}

field() { sed -n "s/^$1:[[:space:]]*\([0-9]*\) kB/\1/p" "/proc/$2/status"; }

await() { # FILE: its line "ready"
    for _ in $(seq 200); do
        grep -q '^ready' "$1" 2>/dev/null && return
        sleep 0.05
    done
    fail "not ready: $1"
}

start_broker() {
    "$build/gregor-broker" --data-dir "$data" --listen "127.0.0.1:$port" \
        >"$work/broker.out" 2>"$work/broker.err" </dev/null &
    broker=$!
    await "$work/broker.out"
    "$build/gregor" -b "127.0.0.1:$port" topics create bench >/dev/null || fail "no topic"
}

start_floor() {
    "$build/bench-floor" $((port + 1)) "$data/floor" >"$work/floor.out" </dev/null &
    floor=$!
    await "$work/floor.out"
}

bench_start() {
    for i in $(seq 20); do
        "$load" start $((port + 2)) "$work/start-$i" "$build/gregor-broker" || fail "start"
    done >"$work/start"
    set -- $(quartiles <"$work/start")
    result start "ms from exec to ready" "$1" "<" 50 "\"runs\":20,\"quartiles\":[$2,$3]"
}

bench_idle() {
    start_broker
    sleep 1
    result idle-memory "MB resident" \
        "$(field VmRSS $broker | awk '{ printf "%.2f", $1 / 1000 }')" "<" 20
    result idle-cpu "% of a CPU over 10 s" \
        "$("$load" cpu $broker 10 | awk '{ printf "%.3f", $1 / 100 }')" "" ""
    stop
    rm -rf "$data"
}

# A load on one of the two, right after as many pages were written and given back: what the host
# charges for fresh ones is not ours (performance.md 8).
measured() { # PORT PID ACKS
    head -c "$mb"M /dev/zero >"$data/pages" && rm "$data/pages"
    "$load" produce "$1" "$2" "$mb" "$3" || fail "produce"
}

# produce CASE ACKS
bench_produce() {
    start_broker
    start_floor
    "$load" produce $port $broker 32 "$2" >/dev/null || fail "$1: warm up"
    : >"$work/pairs"
    for i in $(seq "$pairs"); do
        if [ $((i % 2)) = 0 ]; then
            f=$(measured $((port + 1)) $floor "$2") && b=$(measured $port $broker "$2") || exit 1
        else
            b=$(measured $port $broker "$2") && f=$(measured $((port + 1)) $floor "$2") || exit 1
        fi
        echo "$b $f" >>"$work/pairs"
    done
    set -- "$1" $(awk '{ print $1 / $2 }' "$work/pairs" | quartiles) \
        $(cut -d' ' -f1 "$work/pairs" | quartiles) $(cut -d' ' -f2 "$work/pairs" | quartiles)
    result "$1" "x the floor's CPU per GB" "$2" "<" 2.5 "\"quartiles\":[$3,$4],\"pairs\":$pairs,\"mb\":$mb,\
\"cpu_s_per_gb\":$5,\"floor_cpu_s_per_gb\":$8,\"peak_mb\":$(($(field VmHWM $broker) / 1000))"
    stop
    rm -rf "$data"
}

# What produce left, read from the tail (the cache of received buffers) and from the page cache.
bench_consume() {
    start_broker
    "$load" produce $port $broker "$mb" 1 >/dev/null || fail "consume: produce"
    for i in $(seq "$pairs"); do
        "$load" consume $port $broker 3 || fail "consume: tail"
    done >"$work/tail"
    for i in $(seq "$pairs"); do
        "$load" consume $port $broker "$mb" || fail "consume: all"
    done >"$work/all"
    set -- $(quartiles <"$work/tail")
    result consume-tail "CPU s per GB, last 3 MB" "$1" "" "" "\"quartiles\":[$2,$3]"
    set -- $(quartiles <"$work/all")
    result consume-replay "CPU s per GB, last $mb MB" "$1" "" "" "\"quartiles\":[$2,$3]"
    stop
    rm -rf "$data"
}

# CPU seconds of one run of the simulator; its lines in $work/sim.out
sim_cpu() {
    "$load" run "$build/gregor-sim" run "$@" --trace ring --no-fork --out "$work/report" \
        >"$work/sim.out" 2>"$work/sim.err" || { cat "$work/sim.out" "$work/sim.err" >&2; fail "sim"; }
    sed -n 's/^cpu \([0-9.]*\) peak_kb .*/\1/p' "$work/sim.out"
}

sim_median() { # FILE
    for i in 1 2 3; do sim_cpu "$1"; done | quartiles
}

bench_sim() {
    [ -x "$build/gregor-sim" ] || { echo "no gregor-sim: its cases are left out" >&2; return; }
    set -- $(sim_median "$here/sim-records.yaml") $(sim_median "$here/sim-idle.yaml")
    result sim-records "CPU s per million records" "$(echo "$1" | awk '{ printf "%.2f", $1 / 0.2 }')" "" "" \
        "\"run_cpu_s\":$1"
    result sim-speed "virtual s per CPU s, 1,000 records/s" \
        "$(echo "$1" | awk '{ printf "%.0f", 200 / $1 }')" ">" 100
    result sim-idle "CPU s per idle virtual hour" "$4" "" ""
    sim_cpu "$here/sim-memory.yaml" >/dev/null
    result sim-memory "MB peak, 100,000 records of 100 B" \
        "$(sed -n 's/.* peak_kb \([0-9]*\)$/\1/p' "$work/sim.out" | awk '{ printf "%.1f", $1 / 1000 }')" "<" 100
}

for case in $cases; do
    case $case in
    start) bench_start ;;
    idle) bench_idle ;;
    produce) bench_produce produce 1 ;;
    produce-all) bench_produce produce-all -1 ;;
    produce-disk)
        data=$disk
        bench_produce produce-disk 1
        data=$work/data
        ;;
    consume) bench_consume ;;
    sim) bench_sim ;;
    *) fail "no case $case" ;;
    esac
done
echo
printf '%-16s %10s %-38s %-8s %s\n' case measured unit bar met
cat "$table"
