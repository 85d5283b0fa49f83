#!/bin/sh
# Our producer and librdkafka's against our broker, by turns: records per CPU second of the client,
# the ratio inside each pair, the median of the pairs with its quartiles. `make bench-producer`.
# usage: producer.sh BUILD_DIR     PRODUCER_PAIRS, PRODUCER_MB, PRODUCER_PORT change the sizes
set -u
build=$1
pairs=${PRODUCER_PAIRS:-9}
mb=${PRODUCER_MB:-200}
port=${PRODUCER_PORT:-18140}
where=$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")
work=$(mktemp -d "$where/gregor-producer.XXXXXX")
broker=
stop() { [ -z "$broker" ] || { kill "$broker" && wait "$broker"; } 2>/dev/null; broker=; }
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
fail() { echo "bench: $*" >&2; exit 1; }

[ -x "$build/bench-producer-rdkafka" ] || fail "librdkafka-dev is not installed: nothing to compare with"

# A new broker for each run: its files are in memory and would fill it.
run() { # PROGRAM RECORDS SIZE ACKS: records per CPU second
    "$build/gregor-broker" --data-dir "$work/data" --listen "127.0.0.1:$port" \
        >"$work/out" 2>"$work/err" </dev/null &
    broker=$!
    for _ in $(seq 200); do grep -q '^ready' "$work/out" && break; sleep 0.05; done
    "$build/gregor" -b "127.0.0.1:$port" topics create bench >/dev/null || fail "no topic"
    timeout 120 "$build/bench-producer-$1" "127.0.0.1:$port" bench "$2" "$3" "$4" >"$work/line" ||
        fail "$1 failed"
    stop
    rm -rf "$work/data"
    awk '{ print $1 }' "$work/line"
}

for size in 100 1024; do
    for acks in all 1; do
        records=$((mb * 1000000 / (size + 60)))
        : >"$work/ratios"
        : >"$work/ours"
        for i in $(seq "$pairs"); do
            if [ $((i % 2)) -eq 0 ]; then
                ours=$(run gregor "$records" "$size" "$acks")
                theirs=$(run rdkafka "$records" "$size" "$acks")
            else
                theirs=$(run rdkafka "$records" "$size" "$acks")
                ours=$(run gregor "$records" "$size" "$acks")
            fi
            [ -n "$ours" ] && [ -n "$theirs" ] || exit 1
            awk -v a="$ours" -v b="$theirs" 'BEGIN { print a / b }' >>"$work/ratios"
            echo "$ours" >>"$work/ours"
        done
        sort -n "$work/ratios" | awk -v size="$size" -v acks="$acks" -v pairs="$pairs" \
            -v ours="$(sort -n "$work/ours" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')" '
            { v[NR] = $1 }
            END { printf "{\"case\":\"producer\",\"size\":%d,\"acks\":\"%s\",\"pairs\":%d," \
                "\"records_per_cpu_s\":%.0f,\"ratio_to_librdkafka\":%.3f,\"quartiles\":[%.3f,%.3f]," \
                "\"bar\":\">= 1\",\"met\":\"%s\"}\n", size, acks, pairs, ours, v[int((NR + 1) / 2)],
                v[int((NR + 3) / 4)], v[int((3 * NR + 3) / 4)], (v[int((NR + 1) / 2)] >= 1) ? "yes" : "no" }'
    done
done
