#!/bin/sh
# The behaviour of this tree, as hashes of a few runs (simulation.md 2.4): tests/golden/runs.txt says
# what they were when somebody meant them to be so. Another hash is another behaviour: meant (then
# `make golden`), or of this compiler or machine; the rolling hashes say behind which event it began.
# usage: golden_runs.sh check|write PROGRAM
#
# A line: scenario, seed, events, hash, then "EVENT:HASH" of up to 16 places on the way.
set -u
table=tests/golden/runs.txt
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# One line of the table from a run of today.
line_of() {
    "$program" run "scenarios/$1.yaml" --seed "$2" --trace none --jobs 1 --plan --out "$dir" \
        >/dev/null 2>&1
    awk -v scenario="$1" -v seed="$2" '
        /^events / { events = $2 }
        /^hash / { hash = $2 }
        /^checkpoints / {
            each = int((NF - 3) / 16) + 1
            for (i = each; i + 2 <= NF; i += each) places = places " " i * 2 ^ $2 ":" $(i + 2)
            print scenario, seed, events, hash places
            exit
        }' "$dir/$1-$2/plan.gplan"
}

# Behind which event two lines part.
parted() {
    printf '%s\n%s\n' "$1" "$2" | awk '
        NR == 1 { for (i = 5; i <= NF; i++) was[$i] = 1; next }
        {
            for (i = 5; i <= NF && ($i in was); i++) { split($i, place, ":"); equal = place[1] }
            print equal + 0
        }'
}

mode=$1 program=$2
[ "$mode" = write ] && : >"$dir/table"
changed=0 rows=0
while read -r scenario seed rest; do
    now=$(line_of "$scenario" "$seed")
    rows=$((rows + 1))
    if [ "$mode" = write ]; then
        echo "$now" >>"$dir/table"
    elif [ "$now" != "$scenario $seed $rest" ]; then
        changed=$((changed + 1))
        echo "golden: $scenario seed $seed behaves otherwise, from behind event" \
            "$(parted "$scenario $seed $rest" "$now") on"
    fi
done <"$table"
if [ "$mode" = write ]; then
    cp "$dir/table" "$table"
    echo "golden: $rows runs written to $table"
    exit 0
fi
echo "golden: $rows runs, $changed of them changed"
[ "$changed" -eq 0 ] || echo "golden: when that is meant: make golden, and say why in the commit"
[ "$changed" -eq 0 ]
