#!/bin/sh
# Proves: the generator refuses what is not in its language, naming file and line.
# usage: check_generator.sh WIREGEN
set -u
wiregen=$1
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

# refuse LINE WORDS SCHEMA: the message must name the line and contain the words.
refuse() {
    printf "$3" >"$dir/foo.txt"
    out=$("$wiregen" "$dir" "$dir/foo.txt" 2>&1)
    status=$?
    case "$status $out" in
    "2 $dir/foo.txt:$1: "*"$2"*) passed=$((passed + 1)) ;;
    *)
        failed=$((failed + 1))
        echo "not refused as expected ($2): $status $out"
        ;;
    esac
}

head='data foo serve 0-1 flexible 1\n'
refuse 2 'in no version' "$head    a int32 2+\n"
refuse 2 'not flexible' "$head    a int32 0+ tag 0\n"
refuse 2 'indent by 4' "$head  a int32 0+\n"
refuse 2 'no type and no struct' "$head    a int33 0+\n"
refuse 2 'cannot be null' "$head    a int32 0+ null 0+\n"
refuse 3 'second field' "$head    a int32 0+\n    a int32 0+\n"
refuse 2 'unknown word' "$head    a int32 0+ bogus\n"
refuse 4 'indented too far' "$head    a []x 0+\n        b int32 0+\n            c int32 0+\n"
refuse 2 'default missing' "$head    a int32 0+ =\n"
refuse 2 'range missing' "$head    a string 0+ null\n"
refuse 2 'not a default' "$head    a int32 0+ = 5x\n"
refuse 2 'not a default' "$head    a string 0+ = null\n"
refuse 3 'tag 0 is taken' "$head    a int32 1+ tag 0\n    b int32 1+ tag 0\n"
refuse 2 'not a version range' "$head    a int32 3-2\n"
refuse 2 'cannot be tagged' "$head    a records 1+ tag 0\n"
refuse 2 'no arrays' "$head    a []records 0+\n"
refuse 1 'file is not called' 'data bar serve 0-1 flexible 0\n    a int32 0+\n'
refuse 1 'flexible' 'data foo serve 0-1\n    a int32 0+\n'
refuse 2 'want: response' 'api foo key 1 serve 0-0 flexible 0 tier 0\nrequest\n'
refuse 1 'key and a tier' 'api foo serve 0-0 flexible 0\nrequest\nresponse\n'
refuse 1 'want: api' 'thing foo serve 0-0 flexible 0\n'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
