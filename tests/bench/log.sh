#!/bin/sh
# The bars of the log (issue 4): figures beside their bars, met or missed; nothing fails by a figure.
# usage: log.sh BUILD_DIR      LOG_CASES, LOG_PAIRS, LOG_PARTITIONS, LOG_LARGE_MB, LOG_COMPACT_MB,
#                              BENCH_PORT, BENCH_DIR change the sizes; BENCH_FAST=1: about a minute
#
# CPU time of the process; pairs by turns, the median of their ratios. In memory (BENCH_DIR), where
# our own work shows most; `recover` in the build directory, on a device that syncs.
set -u
build=$1
fast=${BENCH_FAST:-}
pairs=${LOG_PAIRS:-$([ "$fast" ] && echo 5 || echo 11)}
mb=$([ "$fast" ] && echo 64 || echo 256)
large=${LOG_LARGE_MB:-$([ "$fast" ] && echo 2048 || echo 10240)}
compact=${LOG_COMPACT_MB:-$([ "$fast" ] && echo 256 || echo 1024)}
partitions=${LOG_PARTITIONS:-$([ "$fast" ] && echo 10000 || echo 100000)}
port=${BENCH_PORT:-18100}
cases=${LOG_CASES:-"append lookup recover compact partitions"}
where=${BENCH_DIR:-$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")}
work=$(mktemp -d "$where/gregor-log.XXXXXX")
disk=$build/bench-log-data
table=$work/table
bench=$build/bench-log
broker=

trap '[ -z "$broker" ] || kill -9 $broker 2>/dev/null; rm -rf "$work" "$disk"' EXIT
trap 'exit 1' HUP INT PIPE TERM
fail() { echo "bench: $*" >&2; exit 1; }

# values NAME: the figures of that name, from $work/out
values() { awk -v n="$1" '$1 == n { print $2 }' "$work/out"; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
greatest() { sort -n | tail -1; }

# result CASE MEASURED WHAT [SENSE BAR]
result() {
    met=$(awk -v m="$2" -v b="${5:-}" -v s="${4:-}" \
        'BEGIN { print s == "" ? "" : (s == "<=" ? m <= b : m >= b) ? "met" : "missed" }')
    printf '%-20s %10s %-52s %2s %-6s %s\n' "$1" "$2" "$3" "${4:-}" "${5:-}" "$met" | tee -a "$table"
}

run() { # ARGUMENTS of bench-log
    rm -rf "$work/data"
    mkdir "$work/data"
    "$bench" "$@" >"$work/out" || fail "bench-log $1"
    rm -rf "$work/data"
}

case_append() {
    run append "$work/data" "$mb" 65536 4 "$pairs"
    result append-64k "$(values ratio | median)" \
        "of bare gathered writes, 4 batches of 64 KiB a turn and a write" ">=" 0.75
    result append-64k-cpu "$(values log_s_per_gb | median)" \
        "CPU s per GB; the bare loop: $(values floor_s_per_gb | median)"
    run append "$work/data" "$mb" 65536 1 "$pairs"
    result append-64k-single "$(values ratio | median)" "the same, one batch a turn: a turn of the loop for each"
    run append "$work/data" "$mb" 1024 100 "$pairs"
    result append-100x1k "$(values ratio | median)" "of the same, 100 batches of 1 KiB a turn" ">=" 0.5
    result append-100x1k-cpu "$(values log_s_per_gb | median)" \
        "CPU s per GB; the bare loop: $(values floor_s_per_gb | median)"
}

case_lookup() {
    run lookup "$work/data" $((mb * 4)) 2000000
    result lookup "$(values lookup_us)" "us of CPU, 10 segments, $(values index_mb) MB of index in memory" "<=" 2
    echo "  reads of the disk when cold: counted by tests/unit/broker/log/log_read_test.c"
}

case_recover() {
    for size in 1024 "$large"; do
        rm -rf "$disk"
        "$bench" recover "$disk" "$size" >"$work/out" || fail "bench-log recover"
        result "recover-${size}m" "$(values read_mb)" \
            "MiB read at a start after kill -9, log of $(values log_mb) MB" "<=" 64
        result "recover-${size}m-wall" "$(values wall_s)" "s until it is open"
        rm -rf "$disk"
    done
}

case_compact() {
    run compact "$work/data" "$compact" $([ "$fast" ] && echo 1 || echo 3)
    result compact "$(values ratio | median)" "of the speed of reading, writing and syncing the $compact MB" ">=" 0.333
    result compact-wall "$(values ratio_wall | median)" "the same by the wall clock"
    result compact-kept "$(values ratio_tenth | median)" \
        "the same when the loop writes $(values kept | median) of it only"
    result compact-turn "$(values turn_cpu_ms | greatest)" "ms of CPU, the longest turn of the loop" "<=" 10
    result compact-turn-wall "$(values turn_wall_p999_ms | median)" "ms by the wall, 99.9 % of the turns"
    result compact-memory "$(values memory_mb | greatest)" \
        "MB, at most, with $(values appends_beside | median) appends beside it" "<=" 140
}

field() { sed -n "s/^$1:[[:space:]]*\([0-9]*\) kB/\1/p" "/proc/$broker/status"; }
cpu() { awk '{ sub(/.*\) /, ""); printf "%.2f", ($12 + $13) / 100 }' "/proc/$broker/stat"; }
cpu_system() { awk '{ sub(/.*\) /, ""); printf "%.2f", $13 / 100 }' "/proc/$broker/stat"; }
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }

start() { # sets $took
    begun=$(now)
    : >"$work/ready"
    "$build/gregor-broker" --data-dir "$work/many" --listen "127.0.0.1:$port" \
        >"$work/ready" 2>"$work/err" </dev/null &
    broker=$!
    until grep -q '^ready' "$work/ready"; do
        kill -0 $broker 2>/dev/null || { tail -3 "$work/err" >&2; fail "the broker ended"; }
        sleep 0.02
    done
    took=$(since "$begun")
}

stop() {
    kill "-$1" $broker
    wait $broker 2>/dev/null
    broker=
}

# Of the start: from the line of one state of the node to that of another, s.
between() {
    sed -n 's/^\([^ ]*\) I .*node.state old=\([0-9]*\) new=[0-9]* \([A-Z]*\)$/\3 \1/p' "$work/err" |
        awk -v a="$1" -v b="$2" '{ split($2, t, /[T:Z]/); s = t[2] * 3600 + t[3] * 60 + t[4] }
            $1 == a && !x { x = s } $1 == b { y = s } END { printf "%.2f", y - x }'
}

case_partitions() {
    per=1000
    start
    sleep 1
    empty=$(field VmRSS)
    for i in $(seq $((partitions / per))); do
        "$build/gregor" -b "127.0.0.1:$port" --timeout 60 topics create "t$i" --partitions $per \
            >/dev/null || fail "topic $i"
    done
    i=0
    while [ "$(ls "$work/many" | grep -c '^t')" -lt "$partitions" ]; do
        sleep 1
        i=$((i + 1))
        [ $i -lt 300 ] || fail "partitions are not made"
    done
    # One segment each, most of them with records.
    seq 2000 | sed 's/.*/key&:a value of the record/' >"$work/records"
    for i in $(seq $((partitions / per))); do
        "$build/gregor" -b "127.0.0.1:$port" produce "t$i" -k : <"$work/records" >/dev/null ||
            fail "produce"
    done
    begun=$(now)
    stop TERM
    result partitions-stop "$(since "$begun")" "s to stop in order, most of them written: each is saved and synced"
    start
    spent=$(cpu)
    system=$(cpu_system)
    load=$(cut -d' ' -f1 /proc/loadavg)
    sleep 1
    result partitions-start "$took" "s to ready, $partitions partitions, stopped in order" "<=" 10
    result partitions-open "$(between RECOVERING READY)" "s of it from registered to ready"
    result partitions-cpu "$spent" "s of CPU until then, ${system} of them in the system; load average $load" "<=" 10
    each=$((($(field VmRSS) - empty) * 1024 / partitions))
    result partitions-memory "$each" "bytes resident for one more idle partition, all told" "<=" 2048
    "$bench" sizes | awk -v all="$each" '{ n += $1; print "   " $0 }
        END { print "   " all - n " the rest: what the start and the metadata log took meanwhile" }'
    result partitions-files "$(ls "/proc/$broker/fd" | wc -l)" "descriptors open" "<=" 20000
    begun=$(now)
    stop TERM
    result partitions-stop-idle "$(since "$begun")" "s to stop in order, none of them written"
    start
    stop KILL
    start
    result partitions-unclean "$took" "s to ready after kill -9 (9 s of it a session runs out)"
    result partitions-reopen "$(between RECOVERING READY)" "s of it from registered to ready"
    stop TERM
    rm -rf "$work/many"
}

for case in $cases; do
    case $case in
    append | lookup | recover | compact | partitions) "case_$case" ;;
    *) fail "no case $case" ;;
    esac
done
