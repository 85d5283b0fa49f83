#!/bin/sh
# Our producer and librdkafka's against our broker, by turns: records per CPU second of the client,
# the ratio inside each pair, the median of the pairs with its quartiles. `make bench-producer`.
#
# A round is one pair of every case, so that all cases see the same machine, and all of them have
# figures whenever it ends: after PRODUCER_PAIRS rounds (9), or, from the third on, with the round in
# which PRODUCER_SECONDS (180) are over. Each run has a broker of its own on a file system in memory,
# which the floor of both is: a disk would measure the disk.
# usage: producer.sh BUILD_DIR     PRODUCER_PAIRS, PRODUCER_SECONDS, PRODUCER_MB, PRODUCER_PORT
set -u
build=$1
pairs=${PRODUCER_PAIRS:-9}
seconds=${PRODUCER_SECONDS:-180}
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

run() { # PROGRAM RECORDS SIZE ACKS: $cost is records per CPU second
    "$build/gregor-broker" --data-dir "$work/data" --listen "127.0.0.1:$port" \
        >"$work/out" 2>"$work/err" </dev/null &
    broker=$!
    for _ in $(seq 200); do
        grep -q '^ready' "$work/out" && break
        kill -0 "$broker" 2>/dev/null || { cat "$work/err" >&2; fail "the broker did not start"; }
        sleep 0.05
    done
    timeout 30 "$build/gregor" -b "127.0.0.1:$port" topics create bench >/dev/null || fail "no topic"
    timeout 60 "$build/bench-producer-$1" "127.0.0.1:$port" bench "$2" "$3" "$4" >"$work/line" ||
        fail "$1 failed with $2 records of $3 bytes, acks=$4"
    stop
    rm -rf "$work/data"
    cost=$(awk '{ print $1 }' "$work/line")
}

pair() { # SIZE ACKS FIRST SECOND
    records=$((mb * 1000000 / ($1 + 60)))
    for program in "$3" "$4"; do
        run "$program" "$records" "$1" "$2"
        echo "$cost" >"$work/$program"
    done
    echo "$(cat "$work/gregor") $(cat "$work/rdkafka")" >>"$work/pairs-$1-$2"
}

began=$(date +%s)
for i in $(seq "$pairs"); do
    [ "$i" -le 3 ] || [ $(($(date +%s) - began)) -lt "$seconds" ] || break
    for size in 100 1024; do
        for acks in all 1; do
            if [ $((i % 2)) -eq 0 ]; then
                pair "$size" "$acks" gregor rdkafka
            else
                pair "$size" "$acks" rdkafka gregor
            fi
        done
    done
done

column() { awk -v n="$2" '{ print n == 0 ? $1 / $2 : $n }' "$1" | sort -n; }
middle() { awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
for size in 100 1024; do
    for acks in all 1; do
        file=$work/pairs-$size-$acks
        column "$file" 0 | awk -v size="$size" -v acks="$acks" \
            -v ours="$(column "$file" 1 | middle)" -v theirs="$(column "$file" 2 | middle)" '
            { v[NR] = $1 }
            END { m = v[int((NR + 1) / 2)]
                printf "{\"case\":\"producer\",\"size\":%d,\"acks\":\"%s\",\"pairs\":%d," \
                "\"records_per_cpu_s\":%.0f,\"librdkafka_records_per_cpu_s\":%.0f," \
                "\"ratio_to_librdkafka\":%.3f,\"quartiles\":[%.3f,%.3f]," \
                "\"bar\":\">= 1\",\"met\":\"%s\"}\n", size, acks, NR, ours, theirs, m,
                v[int((NR + 3) / 4)], v[int((3 * NR + 3) / 4)], (m >= 1) ? "yes" : "no" }'
    done
done
