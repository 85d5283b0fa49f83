#!/bin/sh
# Draws the gallery: `make gallery`. Two runs of the library, and a loss that no healthy build has.
#   make.sh BUILD REPORT-TRACES
set -e
here=$(dirname "$0")
build=$1
traces=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$build/gregor-sim" run scenarios/leader-paused.yaml scenarios/leader-cut-off.yaml --seed 3 \
    --trace full --quiet --out "$work" > "$work/runs.txt"
"$traces" "$work/made"
paused=$work/leader-paused-3
for run in "$paused" "$work/leader-cut-off-3" "$work/made/loss"; do
    "$build/gregor-sim" render "$run" --format svg --out "$run/figures" > "$work/said.txt"
done
cp "$work/made/loss/figures/spacetime.svg" "$here/loss.svg"
cp "$work/made/loss/figures/storyboard.svg" "$here/loss-logs.svg"
cp "$paused/figures/spacetime.svg" "$here/paused-leader.svg"
cp "$paused/figures/clients.svg" "$here/paused-leader-clients.svg"
cp "$work/leader-cut-off-3/figures/topology.svg" "$here/cut-off-leader.svg"
"$build/gregor-sim" render "$paused" --follow orders-0@262 > "$here/one-record.txt"
du -cb "$here"/*.svg "$here"/*.txt | tail -1
