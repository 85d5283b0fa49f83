#!/bin/sh
# Runs each unit test program, shows what failed, and closes with one line over all of them.
# usage: run_unit.sh PROGRAM...
passed=0 failed=0 broken=
for program in "$@"; do
    out=$("$program" 2>&1) && status=0 || status=$?
    p=$(printf '%s\n' "$out" | sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' | tail -n 1)
    f=$(printf '%s\n' "$out" | sed -n 's/^\[  FAILED  \] \([0-9]*\) test.*/\1/p' | head -n 1)
    passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0}))
    if [ "$status" -ne 0 ] || [ -z "$p" ]; then
        [ -n "$f" ] && [ "$f" -gt 0 ] || failed=$((failed + 1))
        broken="$broken $program"
        printf '%s\n' "$out" | grep -v '^\[ *\(RUN\|OK\) *\]'
        echo "--- $program: exit $status"
    fi
done
[ -z "$broken" ] || echo "failed programs:$broken"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
