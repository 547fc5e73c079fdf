#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each name of POOLMALLOC selects, in a program under preload, and an unknown one is refused with
# the list. Usage: names.sh LIBRARY
set -eu
library=$1
unset POOLMALLOC POOLMALLOC_OPTIONS

fail() {
    echo "names.sh: $*" >&2
    exit 1
}

# What the option says, and whatever else is on stderr.
say() {
    POOLMALLOC=$1 POOLMALLOC_OPTIONS=${2:-help} LD_PRELOAD=$library /bin/true 2>&1
}

# has NAME TEXT [OPTIONS]: what is said of POOLMALLOC=NAME contains the text.
has() {
    say "$1" "${3:-help}" >"$out"
    grep -qF -- "$2" "$out"
}

out=$(mktemp)
trap 'rm -f "$out"' EXIT
names="default debug malloc malloc_debug pool pool_debug hardened"
for name in $names; do
    has "$name" "allocator=$name (environment)" || fail "$name: the option does not say so"
    say "$name" keep_bytes=1m >"$out"
    grep -v "cannot be reached" "$out" && fail "$name: says something"
done

# The library's constructor comes before the C library's, which must not start without arguments.
for name in $names; do
    POOLMALLOC=$name POOLMALLOC_OPTIONS=trace=4,profile=on LD_PRELOAD=$library \
        setsid >"$out" 2>&1 || true
    grep -q '^setsid: ' "$out" || fail "$name: the program does not know its name"
done

list=$(echo "$names" | tr ' ' '|')
refusal="POOLMALLOC: value not understood in \"hardned\" ignored; allocator takes $list and stays"
has hardned "$refusal \"default\" (default)" ||
    fail "an unknown name is not refused with the list"
has '' "not understood" && fail "an empty name is refused"
has pool "allocator=pool (environment)" help,allocator=debug || fail "the option wins"
echo "every name selects"
