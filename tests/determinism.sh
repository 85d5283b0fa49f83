#!/bin/sh
# One scenario, one seed, one hash: the same lines from every build of the simulator, in any
# environment and address layout; different seeds give different hashes (architecture: truth).
# usage: determinism.sh SEEDS SCENARIO PROGRAM...      (SEEDS as in 1..5)
set -u
seeds=$1 scenario=$2
shift 2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
ok() { passed=$((passed + 1)); }
bad() { failed=$((failed + 1)); echo "determinism: $1"; }

# The line without the wall clock; the first program is run twice: plainly, and in another
# directory, environment, locale, time zone, malloc fill and without address randomisation.
run() { "$@" --trace none --jobs 1 --out "$dir/out" 2>/dev/null | cut -f 1; }
first=$(realpath "$1") file=$(realpath "$scenario")
run "$first" run "$file" --seeds "$seeds" >"$dir/base"
lines=$(grep -c 'hash=' "$dir/base")
[ "$lines" -gt 0 ] && ok || bad "no run of $scenario gave a hash"
(
    cd "$dir" && env -i PATH="$PATH" LC_ALL=C.UTF-8 TZ=Asia/Tokyo MALLOC_PERTURB_=165 \
        PADDING="$(head -c 3000 /dev/zero | tr '\0' x)" setarch "$(uname -m)" -R \
        "$first" run "$file" --seeds "$seeds" --trace none --jobs 1 --out "$dir/out" 2>/dev/null | cut -f 1
) >"$dir/other"
cmp -s "$dir/base" "$dir/other" && ok || {
    bad "another environment, another run:"
    diff "$dir/base" "$dir/other" | head -6
}
shift
for program in "$@"; do
    run "$program" run "$file" --seeds "$seeds" >"$dir/other"
    cmp -s "$dir/base" "$dir/other" && ok || {
        bad "$program differs:"
        diff "$dir/base" "$dir/other" | head -6
    }
done
distinct=$(sed -n 's/.*hash=\([0-9a-f]*\).*/\1/p' "$dir/base" | sort -u | wc -l)
[ "$distinct" = "$lines" ] && ok || bad "$lines seeds gave only $distinct hashes"
echo "determinism of $(basename "$scenario"): $lines seeds, $passed passed, $failed failed"
[ "$failed" -eq 0 ]
