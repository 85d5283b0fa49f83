#!/bin/sh
# The structural checks of the house (README.md, "invariants that are absences"). They read the
# object files of a plain build and the sources, and print what breaks a rule; silence is success.
# usage: lint.sh BUILD_DIR      (as in build/release)
set -u
build=$1
objects=$build/obj
bad=0
fail() { bad=1; printf 'lint: %s\n' "$1"; shift; [ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/    /' | head -20; }

# The core: what is simulated and deployed alike.
core=$(find "$objects/client" "$objects/broker" "$build/obj-gen" "$objects/gen" -name '*.o' 2>/dev/null |
    grep -vE '/client/(posix|cli|wire/gen)/|/client/gregor[a-z_]*\.o$|/broker/main\.o$')
[ -n "$core" ] || fail 'no core objects found; build first'

# 1. It reaches the world only through client/world: no undefined symbol but its own, the memory
#    functions, the assertion hook and the entry points of the compression libraries.
nm -g --defined-only $core | awk 'NF==3{print $3}' | sort -u >"$build/lint.defined"
allowed='^(memcpy|memset|memcmp|memmove|memchr|strlen|strcmp|strncmp|assert_failed|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail|__(memcpy|memset|memmove)_chk|deflate.*|inflate.*|crc32|LZ4F_.*|LZ4_.*|ZSTD_.*|snappy_.*)$'
out=$(nm -u $core | awk 'NF==2{print $2}' | sort -u | grep -vxF -f "$build/lint.defined" | grep -vE "$allowed")
[ -z "$out" ] || fail 'the core calls outside client/world:' "$out"

# 2. No hidden state: nothing writable at file scope, no static local.
out=$(size -A $core | awk '/:$/{file=$1} /^[^ ]*\.o/{file=$1} ($1==".data"||$1==".bss")&&$2>0{print file, $1, $2}')
[ -z "$out" ] || fail 'writable data in the core:' "$out"

# 3. A call names its file: every global symbol of x.o begins with x_ or the name of its folder.
out=$(for o in $core; do
    stem=$(basename "$o" .o); folder=$(basename "$(dirname "$o")"); one=${stem%%_*}
    nm -g --defined-only "$o" | awk -v s="$stem" -v f="$folder" -v p="$one" -v o="$o" \
        'NF==3 && $2 ~ /[TtDdRrBb]/ && index($3, s)!=1 && index($3, f "_")!=1 && index($3, p)!=1 {print o ": " $3}'
done)
[ -z "$out" ] || fail 'symbols that do not name their file:' "$out"

# 4. Layers: client <- broker <- sim <- tests; posix only from main files and glue.
sources=$(git ls-files '*.c' '*.h')
out=$(printf '%s\n' "$sources" | grep '^client/' | xargs -r grep -nE '#include "(broker|sim|reports|tests)/')
[ -z "$out" ] || fail 'client/ includes upwards:' "$out"
out=$(printf '%s\n' "$sources" | grep '^broker/' | xargs -r grep -nE '#include "(sim|reports|tests)/')
[ -z "$out" ] || fail 'broker/ includes upwards:' "$out"
out=$(printf '%s\n' "$sources" | grep -E '^client/base/' | xargs -r grep -nE '#include "client/(world|wire|posix)/|#include "client/[a-z_]+\.h"')
[ -z "$out" ] || fail 'client/base includes upwards:' "$out"
out=$(printf '%s\n' "$sources" | grep -vE '^(client/(posix|cli)/|client/gregor|broker/main\.c|sim/main\.c|sim/serve|tests/)' |
    xargs -r grep -nE '#include "client/posix/')
[ -z "$out" ] || fail 'client/posix included from the core:' "$out"
out=$(printf '%s\n' "$sources" | grep '^reports/' | xargs -r grep -nE '#include "(broker|sim|client/(posix|wire))/|#include "client/[a-z_]+\.h"')
[ -z "$out" ] || fail 'reports/ knows more than the trace format:' "$out"

# 5. Words that do not occur.
core_sources=$(printf '%s\n' "$sources" | grep -E '^(client|broker)/' | grep -vE '^client/(posix|cli|wire/gen)/|^client/gregor|^broker/main\.c')
# (calls are found by their symbols, above; these leave none behind)
out=$(printf '%s\n' "$core_sources" | xargs -r grep -nE '(^|[^a-z_])(float|double|assert\(|alloca\()' |
    grep -vE '^[^:]+:[0-9]+: *(\*|/\*|//)')
[ -z "$out" ] || fail 'words that the core does not use:' "$out"
out=$(printf '%s\n' "$sources" | xargs -r grep -nE '\b(TODO|FIXME|XXX|HACK)\b')
[ -z "$out" ] || fail 'left-over marks:' "$out"
out=$(printf '%s\n' "$sources" | xargs -r grep -nP '\t| +$')
[ -z "$out" ] || fail 'tabs or trailing blanks:' "$out"
out=$(printf '%s\n' "$sources" | grep -v '/trace_table.h$' | xargs -r awk 'length($0) > 100 {print FILENAME ":" FNR ": " length($0) " columns"}')
[ -z "$out" ] || fail 'lines over 100 columns:' "$out"

# 6. One draw per statement: the order of evaluation of arguments is the compiler's.
out=$(printf '%s\n' "$core_sources $(printf '%s\n' "$sources" | grep '^sim/')" | xargs -r grep -nE 'rng_[a-z0-9_]+\([^:?]*[^_a-z]rng_(u64|below|range|chance|exponential)\(')
[ -z "$out" ] || fail 'two draws in one statement:' "$out"

# 7. Formatting.
if command -v clang-format >/dev/null 2>&1; then
    out=$(printf '%s\n' "$sources" | xargs -r clang-format --dry-run 2>&1 | grep -E 'warning' | cut -d: -f1 | sort | uniq -c)
    [ -z "$out" ] || fail 'not formatted (make format):' "$out"
fi

# 8. Each mutant still applies, and says what it is (tests/mutants/README.md).
for patch in tests/mutants/*.patch; do
    out=$(git apply --check "$patch" 2>&1) || fail "$patch does not apply:" "$out"
    for key in name class defect source; do
        grep -q "^# $key: ." "$patch" || fail "$patch: no line '# $key: ...'"
    done
    [ "$(sed -n 's/^# name: //p' "$patch").patch" = "$(basename "$patch")" ] || fail "$patch: is not its name"
done

# 9. What shows each known hole of storage closed is there (broker/log/README.md).
out=$(python3 tests/check_holes.py) || fail 'the table of holes:' "$out"

# 10. The top level is what README.md draws, and dot-files.
out=$(git ls-files | cut -d/ -f1 | sort -u | grep -vxE 'Makefile|README\.md|sim|broker|client|scenarios|reports|tests|\..*')
[ -z "$out" ] || fail 'at the top level, and not of it:' "$out"

[ $bad -eq 0 ] && echo "lint: clean ($(printf '%s\n' "$core" | wc -l) core objects, $(printf '%s\n' "$sources" | wc -l) sources)"
exit $bad
