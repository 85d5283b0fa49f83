#!/bin/sh
# What a failure leaves behind outlives the code that it was found with: replay in its three modes,
# git bisect with a planted defect, a planted nondeterminism found and located, diff of two runs.
# usage: replay.sh BUILD-DIR      (of the programs; source and objects are copied, never changed)
set -u
build=$(realpath "$1") root=$(pwd)
sim=$root/build/gregor-sim
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "replay: $1"; }
expect() { # what, wanted status, status
    [ "$2" = "$3" ] && ok || bad "$1: exit $3, wanted is $2"
}
says() { # what, file, text
    grep -q -- "$3" "$2" && ok || { bad "$1 does not say \"$3\":"; head -5 "$2"; }
}

# ---- a failure, and what it leaves ----
cat >"$dir/hope.yaml" <<'YAML'
gregor: 1
name: hope
about: An expectation that cannot hold, behind faults.
stop: {time: 20s, events: 10M}
cluster: {controllers: 3, brokers: 3, config: {broker.session.timeout.ms: 6000}}
topics:
  orders: {partitions: 1, replicas: 3, config: {min.insync.replicas: 2}}
workload:
  - {producer: p1, topic: orders, acks: all, rate: 100/s}
steps:
  - at: 2s..4s
    do: {crash: {node: leader(orders-0), how: power_loss, unsynced: random}, then: {restart: {after: 1s..3s}}}
expect:
  - that: never leader(orders-0).leo > 800
YAML
"$sim" run "$dir/hope.yaml" --seed 7 --trace full --out "$dir/out" >"$dir/line" 2>/dev/null
expect "a false expectation" 1 $?
left=$dir/out/hope-7
for file in plan.gplan report.txt report.json scenario.yaml trace.bin; do
    [ -s "$left/$file" ] && ok || bad "no $file is left"
done
hash=$(sed -n 's/.*hash=\([0-9a-f]*\).*/\1/p' "$dir/line")
for mode in exact guided semantic; do
    "$sim" replay "$left" --mode $mode >"$dir/again" 2>/dev/null
    expect "replay $mode" 1 $?
    says "replay $mode" "$dir/again" "the same failure"
done
"$sim" replay "$left" --mode exact >/dev/null 2>"$dir/again"
says "how to see it again" "$dir/again" "again: gregor-sim run $left/scenario.yaml --seed"
says "how to see it again" "$dir/again" "or: gregor-sim replay $left\$"
"$sim" replay "$left/plan.gplan" --mode exact >/dev/null 2>"$dir/again"
says "how to see a plan again" "$dir/again" "again: gregor-sim replay $left/plan.gplan\$"
"$sim" replay "$left" --mode exact 2>/dev/null | grep -q "hash=$hash" && ok || bad "exact: another hash"
"$sim" replay "$left" --mode guided >"$dir/again" 2>/dev/null
says "replay guided" "$dir/again" " 0 of "
"$sim" replay "$left" --mode semantic --pinned --seed 99 >"$dir/again" 2>/dev/null
expect "the faults themselves, another seed" 1 $?
"$sim" replay "$left" --pinned --print >"$dir/pinned.yaml" && "$sim" lint "$dir/pinned.yaml" >/dev/null 2>&1
expect "the plan as a scenario" 0 $?

# ---- smaller ----
"$sim" shrink "$left" --out "$dir/small.yaml" >"$dir/again" 2>&1
expect "shrink" 0 $?
says "shrink" "$dir/again" "the same failure"
"$sim" lint "$dir/small.yaml" >/dev/null 2>&1
expect "lint of what is shrunk" 0 $?
"$sim" run "$dir/small.yaml" --trace none --out "$dir/out" >/dev/null 2>"$dir/again"
expect "run of what is shrunk" 1 $?
says "what is shrunk" "$dir/again" "leo > 800"
says "what is shrunk" "$dir/small.yaml" "^# Shows: FAIL expect never"
grep -q "^steps:" "$dir/small.yaml" && bad "shrink keeps faults that nobody needs" || ok
"$sim" shrink "$left" --out "$dir/same.yaml" >/dev/null 2>&1
cmp -s "$dir/small.yaml" "$dir/same.yaml" && ok || bad "shrink: another result of the same plan"
"$sim" shrink "$dir/none" >/dev/null 2>&1
expect "shrink without a plan" 2 $?

# ---- why ----
"$sim" why "$left" --runs 2 --out "$dir/why" >"$dir/again" 2>&1
expect "why" 0 $?
says "why" "$dir/again" "why: FAIL expect never"
says "why" "$dir/again" "leads from there to the violation"
grep -q "^digraph" "$dir/why/why.dot" && ok || bad "why draws nothing"

# ---- never a silent pass ----
sed 's/leo > 800$/leo > 80M/' "$left/plan.gplan" >"$dir/fixed.gplan"
sed 's/ when leader(orders-0).leo >= [0-9]*/ when leader(orders-0).leo >= 999999/' \
    "$dir/fixed.gplan" >"$dir/far.gplan"
"$sim" replay "$dir/far.gplan" --mode semantic --pinned >"$dir/again" 2>/dev/null
expect "an anchor that never comes" 125 $?
says "an anchor that never comes" "$dir/again" "no longer occurs"
for mode in guided semantic; do
    "$sim" replay "$dir/fixed.gplan" --mode $mode >"$dir/again" 2>/dev/null
    expect "a failure that is mended, $mode" 0 $?
    says "a failure that is mended, $mode" "$dir/again" "no failure"
done
sed 's/ anchor leader(orders-0)/ anchor leader(orders-9)/' "$dir/fixed.gplan" >"$dir/gone.gplan"
"$sim" replay "$dir/gone.gplan" --mode guided >"$dir/again" 2>/dev/null
expect "a run without the faults of its plan" 125 $?
says "a run without the faults of its plan" "$dir/again" "diverged at event"
sed 's/^hash .*/hash 0123456789abcdef/' "$left/plan.gplan" >"$dir/other.gplan"
"$sim" replay "$dir/other.gplan" --mode exact >"$dir/again" 2>/dev/null
expect "the same build, another hash" 5 $?
sed 's/^build .*/build 0123456789abcdef/; s/^hash .*/hash 0123456789abcdef/' "$left/plan.gplan" \
    >"$dir/foreign.gplan"
"$sim" replay "$dir/foreign.gplan" --mode exact >"$dir/again" 2>/dev/null
expect "another build, another hash" 125 $?
sed 's/^gregor-plan 1/gregor-plan 2/' "$left/plan.gplan" >"$dir/new.gplan"
"$sim" replay "$dir/new.gplan" >"$dir/again" 2>&1
expect "a plan that is too new" 2 $?
says "a plan that is too new" "$dir/again" "a plan of version 2; this program reads up to version 1"

# ---- diff ----
"$sim" run "$dir/hope.yaml" --seed 8 --trace full --out "$dir/out" >/dev/null 2>&1
"$sim" diff "$left" "$left" >"$dir/again"
expect "a run and itself" 0 $?
"$sim" diff "$left" "$dir/out/hope-8" >"$dir/again"
expect "two runs" 1 $?
says "two runs" "$dir/again" "first difference: on"
says "two runs" "$dir/again" "how it spreads:"

# ---- a tree of its own, with history ----
mkdir "$dir/tree"
git ls-files -z | xargs -0 cp -p --parents -t "$dir/tree"
mkdir "$dir/tree/build" && cp -a "$build" "$dir/tree/build/"
cd "$dir/tree" || exit 1
commit() { git add -A && git -c user.name=t -c user.email=t@t commit -qm "$1"; }
compile() { make --no-print-directory -s build/release/gregor-sim >"$dir/make" 2>&1 || { bad "no build"; tail -5 "$dir/make"; }; }
git -c init.defaultBranch=main init -q && printf 'build/\n' >.gitignore && commit "one"
good=$(git rev-parse HEAD)
printf '/* two */\n' >>broker/replica/follower.c && commit "two"
patch -p1 -s <"$root/tests/mutants/ack-before-isr-has-it.patch" && commit "three: the defect"
defect=$(git rev-parse HEAD)
printf '/* four */\n' >>broker/replica/follower.c && commit "four"
compile
build/release/gregor-sim run scenarios/leader-power-loss.yaml --seeds 1..20 --jobs 1 --trace ring --out "$dir/found" \
    >"$dir/lines" 2>/dev/null
seed=$(sed -n '/^FAIL/s/.* seed=\([0-9]*\).*/\1/p' "$dir/lines" | head -1)
[ -n "$seed" ] && ok || bad "20 seeds do not find the planted defect"
cat >"$dir/bisect" <<SH
#!/bin/sh
make --no-print-directory -s build/release/gregor-sim >/dev/null 2>&1 || exit 125
exec build/release/gregor-sim replay $dir/found/leader-power-loss-$seed --mode guided
SH
git bisect start HEAD "$good" >/dev/null 2>&1
git bisect run sh "$dir/bisect" >"$dir/bisected" 2>&1
says "git bisect" "$dir/bisected" "^$defect is the first bad commit"
git bisect reset >/dev/null 2>&1

# ---- a nondeterminism ----
git checkout -q "$good"
patch -p1 -s <"$root/tests/planted/address-decides.patch" && compile
# One of three brokers is asked: two processes agree now and then, twelve pairs hardly ever.
for try in 1 2 3 4 5 6 7 8 9 10 11 12; do
    build/release/gregor-sim run scenarios/steady-state.yaml --seed 1 --trace none \
        --check-determinism always --out "$dir/out" >"$dir/lines" 2>"$dir/again"
    status=$?
    [ $status -ne 0 ] && break
done
expect "an address that decides" 5 $status
says "an address that decides" "$dir/lines" "^NONDET"
says "an address that decides" "$dir/again" "first at"
says "an address that decides" "$dir/again" "  one:   event"
says "an address that decides" "$dir/again" "  other: event"
"$sim" run "$root/scenarios/steady-state.yaml" --seed 1 --trace none --check-determinism always \
    --out "$dir/out" >"$dir/lines" 2>"$dir/again"
expect "no address decides" 0 $?
"$sim" run "$root/scenarios/steady-state.yaml" --seed 1..8 --trace none --check-determinism always \
    --json "$dir/runs.json" --out "$dir/out" >"$dir/lines" 2>"$dir/again"
expect "a line of JSON a run" "8 8" "$(wc -l <"$dir/runs.json") $(grep -c '^{"verdict":"PASS".*}$' "$dir/runs.json")"

# ---- the oracles on a trace say what they said in the run ----
for seed in 2 3 5 7; do
    "$sim" run "$root/scenarios/swarm-groups.yaml" --seed $seed --trace full --out "$dir/judged" >/dev/null 2>&1
    expect "a swarm of groups, seed $seed" 0 $?
    "$sim" check "$dir/judged/swarm-groups-$seed/trace.bin" >"$dir/again" 2>/dev/null
    expect "its trace, seed $seed" 0 $?
done

echo "replay: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
