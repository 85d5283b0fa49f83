#!/bin/sh
# Cost of metadata: instructions that the change of one partition takes in a cluster of 10 and of
# 100,000 partitions, counted by callgrind. The bar: a ratio of at most 1.2.
# usage: metadata.sh BUILD_DIR
set -eu
build=$1
changes=2000
out=$(mktemp)
trap 'rm -f "$out"' EXIT

count() {
    valgrind --tool=callgrind --callgrind-out-file="$out" --collect-atstart=no \
        --toggle-collect=change_partitions "$build/bench-metadata" "$1" $changes 2>/dev/null
    sed -n 's/^summary: //p; s/^totals: //p' "$out" | head -1
}

small=$(count 10)
large=$(count 100000)
awk -v s="$small" -v l="$large" -v n=$changes 'BEGIN {
    printf "{\"case\":\"metadata\",\"instructions_10\":%.0f,\"instructions_100000\":%.0f,", s / n, l / n
    printf "\"ratio\":%.3f,\"bar\":1.2}\n", l / s }'
