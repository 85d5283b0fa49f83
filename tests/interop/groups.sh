#!/bin/sh
# Consumer groups of a foreign client (kcat, librdkafka) on three real brokers: a group of three, one
# of them killed, commit and resume, the coordinator killed and restarted. One line per check.
# usage: groups.sh [BUILD_DIR] [FIRST_PORT]       exit 0: all held; 77: no kcat here
set -u
build=${1:-build}
port=${2:-16100}
command -v kcat >/dev/null 2>&1 || { echo "groups: skipped, no kcat"; exit 77; }
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

voters=
for id in 1 2 3; do voters=$voters${voters:+,}$id@127.0.0.1:$((port + 10 + id)); done
bootstrap=127.0.0.1:$((port + 1)),127.0.0.1:$((port + 2)),127.0.0.1:$((port + 3))
configure() {
    cat >"$work/$1.properties" <<EOF
node.id=$1
process.roles=broker,controller
listeners=PLAINTEXT://127.0.0.1:$((port + $1)),CONTROLLER://127.0.0.1:$((port + 10 + $1))
controller.listener.names=CONTROLLER
controller.quorum.voters=$voters
log.dirs=$work/data-$1
offsets.topic.num.partitions=6
group.initial.rebalance.delay.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
EOF
    timeout 10 "$build/gregor-broker" format --cluster-id MkU3OEVBNTcwNTJENDM2Qg "$work/$1.properties" >"$work/format-$1.log" 2>&1
}
start() {
    timeout 280 "$build/gregor-broker" "$work/$1.properties" >>"$work/broker-$1.log" 2>&1 &
    eval "broker_$1=$!"
    pids="$pids $!"
}
stop_hard() { eval "kill_hard \$broker_$1"; }
# A member that prints what it reads as PARTITION OFFSET VALUE.
member() {
    timeout 250 kcat -b "$bootstrap" -G g -X auto.offset.reset=earliest -X session.timeout.ms=6000 \
        -X auto.commit.interval.ms=200 -X partition.assignment.strategy=range -u \
        -f '%p %o %s\n' orders >"$work/member-$1.out" 2>"$work/member-$1.err" &
    eval "member_$1=$!"
    pids="$pids $!"
}
last_assigned() { sed -n 's/.*assigned: //p' "$work/member-$1.err" | tail -n 1 | grep -o '\[[0-9]*\]' | sort -u | wc -l; }
owns() { [ "$(last_assigned "$1")" -eq "$2" ]; }
all_read() { # COUNT
    [ "$(cat "$work"/member-*.out 2>/dev/null | awk '{print $3}' | sort -u | wc -l)" -ge "$1" ]
}
produce() { # FIRST LAST
    for p in 0 1 2 3 4 5; do
        seq "$1" "$2" | awk -v p=$p '{print "v" p "-" $1}' |
            timeout 30 kcat -b "$bootstrap" -P -t orders -p $p -X acks=all -X message.timeout.ms=20000 >/dev/null 2>&1 || return 1
    done
}

for id in 1 2 3; do configure $id && start $id; done
topic() { timeout 5 "$build/gregor" -b "$bootstrap" topics create orders --partitions 6 --replicas 3 >/dev/null 2>&1; }
topic_there() { timeout 5 kcat -b "$bootstrap" -L -t orders 2>/dev/null | grep -q 'with 6 partitions'; }
until_true 20 topic || true
check "three brokers, a topic of six partitions" until_true 10 topic_there
[ $bad -eq 0 ] || exit 1
check "records are produced" produce 1 10

member 1; member 2; member 3
three_share() { owns 1 2 && owns 2 2 && owns 3 2; }
check "a group of three shares six partitions, two each" until_true 30 three_share
check "the group reads everything" until_true 20 all_read 60

kill_hard "$member_3"
two_share() { owns 1 3 && owns 2 3; }
check "one killed: after its session the two others have three each" until_true 30 two_share
check "records are produced meanwhile" produce 11 20
check "and the two read them" until_true 20 all_read 120

sleep 1
kill "$member_1" "$member_2"; wait "$member_1" "$member_2" 2>/dev/null
check "records are produced while nobody reads" produce 21 25
mkdir "$work/first"; mv "$work"/member-*.out "$work/first/"
member 4
check "a new member resumes at the commits: it reads what is new" until_true 30 all_read 30
only_new() { ! awk '{print $3}' "$work/member-4.out" | grep -vqE -- '-(2[1-5])$'; }
check "and only what is new" only_new

coordinator=$(sed -n 's/.*group.coordinator partition=[0-9]* epoch=[0-9]* active=2 .*/&/p' "$work"/broker-*.log | wc -l)
check "the brokers loaded their partitions of __consumer_offsets" [ "$coordinator" -ge 6 ]
leader=$(grep -l ' group.state .* g$' "$work"/broker-*.log | tail -n 1 | sed 's/.*broker-\([0-9]\).log/\1/')
stop_hard "$leader"
left=$(for id in 1 2 3; do [ $id = "$leader" ] || printf '127.0.0.1:%d,' $((port + id)); done)
bootstrap=${left%,}
check "the coordinator is killed; produce goes on" until_true 40 produce 26 30
check "and the member reads on with another coordinator" until_true 40 all_read 60
sleep 1.5
kill "$member_4"; wait "$member_4" 2>/dev/null
check "more records" produce 31 32
mkdir "$work/second"; mv "$work"/member-*.out "$work/second/"
member 5
check "commits survived the coordinator: a new member reads what is new" until_true 40 all_read 12
late() { ! awk '{print $3}' "$work/member-5.out" | grep -vqE -- '-(2[6-9]|3[0-2])$'; }
check "nothing before the last life's commits comes again" late
start "$leader"
sleep 3
check "the old coordinator comes back: the group goes on" produce 33 34
check "and reads" until_true 40 all_read 24
no_bug() { ! grep -qE 'assert|BUG|node\.error' "$work"/broker-*.log; }
check "no broker complained" no_bug
exit $bad
