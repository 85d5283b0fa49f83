#!/bin/sh
# Our own member (gregor consume -g) in one group with a foreign one (kcat -G, librdkafka), range
# assignor, on one real broker: sharing, takeover of a killed member by either, leaving in order,
# resuming at commits, and what gregor groups says and does meanwhile. One line per check.
# usage: groups_mixed.sh [BUILD_DIR] [PORT]       exit 0: all held; 77: no kcat here
set -u
build=${1:-build}
port=${2:-16200}
command -v kcat >/dev/null 2>&1 || { echo "groups_mixed: skipped, no kcat"; exit 77; }
work=$(mktemp -d)
pids=
bad=0
kill_hard() { # the process is timeout(1); its only child is what matters
    pkill -9 -P "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}
cleanup() {
    for p in $pids; do kill_hard "$p"; done
    [ $bad -eq 0 ] && rm -rf "$work" || echo "logs: $work"
}
trap cleanup EXIT
check() { # NAME CONDITION...
    name=$1; shift
    if "$@"; then echo "ok       $name"; else echo "FAILED   $name"; bad=1; fi
}
until_true() { # SECONDS CONDITION...
    left=$(($1 * 5)); shift
    while ! "$@"; do left=$((left - 1)); [ $left -gt 0 ] || return 1; sleep 0.2; done
}
bootstrap=127.0.0.1:$port
gregor() { timeout 20 "$build/gregor" -b "$bootstrap" --timeout 8 "$@"; }

timeout 170 "$build/gregor-broker" --data-dir "$work/data" --listen "$bootstrap" \
    --set group.initial.rebalance.delay.ms=300 >"$work/broker.log" 2>&1 &
pids="$pids $!"
until_true 10 grep -q '^ready' "$work/broker.log"
check "a topic of four partitions" gregor topics create orders --partitions 4

ours() { # NAME
    timeout 160 "$build/gregor" -b "$bootstrap" consume orders -g g --from beginning \
        --assignor range --session-timeout 6000 --format '%p %o %s\n' >"$work/$1.out" 2>"$work/$1.err" &
    eval "member_$1=$!"
    pids="$pids $!"
}
foreign() { # NAME
    timeout 160 kcat -b "$bootstrap" -G g -X auto.offset.reset=earliest -X session.timeout.ms=6000 \
        -X auto.commit.interval.ms=200 -X partition.assignment.strategy=range -u \
        -f '%p %o %s\n' orders >"$work/$1.out" 2>"$work/$1.err" &
    eval "member_$1=$!"
    pids="$pids $!"
}
produce() { # FIRST LAST
    for p in 0 1 2 3; do
        seq "$1" "$2" | sed "s/^/v$p-/" | gregor produce orders --partition $p || return 1
    done
}
read_count() { [ "$(cat "$work"/*.out | awk '{print $3}' | sort -u | wc -l)" -ge "$1" ]; }
read_lines() { [ "$(cat "$work"/*.out | wc -l)" -eq "$1" ]; }
has() { # CLIENT PARTITIONS
    gregor groups describe g 2>/dev/null | awk -v c="$1" '$NF == c {n++} END {exit n != '"$2"'}'
}
lag() { gregor groups describe g 2>/dev/null | awk 'NR > 1 {n += $6} END {exit n != '"$1"'}'; }

check "records are produced" produce 1 10
ours a
foreign k
share() { has gregor 2 && has rdkafka 2; }
check "our member and kcat share four partitions, two each" until_true 30 share
check "together they read everything" until_true 20 read_count 40
check "each record once" read_lines 40
check "gregor groups list names the group" sh -c "timeout 20 $build/gregor -b $bootstrap groups list | grep -qx g"
check "its lag goes to nothing" until_true 15 lag 0
refused() { ! gregor groups delete g >/dev/null 2>&1; }
check "a group with members is not deleted" refused

kill_hard "$member_k"
check "kcat is killed: after its session our member has all four" until_true 30 has gregor 4
check "records are produced" produce 11 20
check "and our member reads them" until_true 20 read_count 80
foreign k2
check "kcat comes back: two each" until_true 30 share
check "the lag is nothing" until_true 15 lag 0
kill_hard "$member_a"
check "ours is killed: kcat has all four" until_true 30 has rdkafka 4
check "records are produced" produce 21 25
check "and kcat reads them" until_true 20 read_count 100

ours b
check "ours comes back: two each" until_true 30 share
kill "$member_k2"; wait "$member_k2" 2>/dev/null
check "kcat leaves in order: ours has all at once" until_true 4 has gregor 4
kill "$member_b"; wait "$member_b" 2>/dev/null
gone() { gregor groups describe g --state | grep -q ' Empty '; }
check "ours leaves in order on SIGTERM: the group is empty at once" until_true 2 gone
check "all is committed" lag 0
check "offsets are moved back" gregor groups reset-offsets g --topic orders:0,1 --shift-by -3 --execute
check "and the lag says so" lag 6
ours c
again() { [ "$(wc -l <"$work/c.out")" -eq 6 ]; }
check "a member reads those again, and nothing else" until_true 20 again
kill "$member_c"; wait "$member_c" 2>/dev/null
check "the empty group is deleted" until_true 5 gregor groups delete g
absent() { ! gregor groups describe g >/dev/null 2>&1; }
check "and is gone" absent
check "no broker complained" sh -c "! grep -qE 'assert|BUG|node\.error' $work/broker.log"
exit $bad
