#!/bin/sh
# Runs a campaign over the random scenarios with the seeds of this code and appends its line to
# scenarios/ledger/ledger.txt (README.md there). usage: add.sh COUNT [JOBS] [FILE.yaml...]
set -eu
count=$1
jobs=${2:-1}
shift
[ $# -gt 0 ] && shift
[ -z "$(git status --porcelain client broker sim)" ] || { echo 'client/ broker/ sim/ are not committed' >&2; exit 2; }
seed=$(sh scenarios/ledger/seed.sh)
code=$(printf 'commit=%s client=%s broker=%s sim=%s' "$(git rev-parse --short=12 HEAD)" \
    "$(git rev-parse --short=12 HEAD:client)" "$(git rev-parse --short=12 HEAD:broker)" \
    "$(git rev-parse --short=12 HEAD:sim)") # now: the campaign may outlast it
out=${LEDGER_OUT:-build/ledger}
mkdir -p "$out"
build/gregor-sim fuzz "$@" --seeds "$seed+$count" --jobs "$jobs" --keep-going --json "$out/runs.json" \
    --out "$out" >"$out/lines.txt" 2>"$out/report.txt" || true
sum() { grep -o "\"$1\":[0-9]*" "$out/runs.json" | awk -F: '{s+=$2} END{printf "%.0f", s}'; }
{
    printf '%s seeds=%s+%s' "$code" "$seed" "$count"
    printf ' runs=%s events=%s run_s=%s verdicts=' "$(wc -l <"$out/runs.json")" "$(sum events)" \
        "$(sum wall_ns | awk '{printf "%.0f", $1/1e9}')"
    grep -o '^{"verdict":"[A-Z]*"' "$out/runs.json" | cut -d'"' -f4 | sort | uniq -c |
        awk '{printf "%s%s:%s", sep, $2, $1; sep=","}'
    printf ' failing='
    grep -v '^{"verdict":"PASS"' "$out/runs.json" |
        sed -E 's/.*"scenario":"([^"]*)","seed":([0-9]+).*"check":"([^"]*)".*/\1\/\2\/\3/' |
        awk '{printf "%s%s", sep, $1; sep=","} END{if (NR==0) printf "none"}'
    printf ' idle=%s\n' "$(sed -n 's/^UNEXERCISED campaign idle=[0-9]* //p' "$out/lines.txt" | tr -d ' ' | grep . || echo none)"
} >>scenarios/ledger/ledger.txt
tail -1 scenarios/ledger/ledger.txt
