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

for name in default debug malloc malloc_debug pool pool_debug; do
    say $name | grep -q "^ *allocator *=* *$name\b" || fail "$name: the option does not say so"
    [ -z "$(say $name keep_bytes=1m | grep -v 'cannot be reached')" ] || fail "$name: says something"
done
say hardned | grep -q 'POOLMALLOC: value not understood in "hardned" ignored; allocator takes default|debug|malloc|malloc_debug|pool|pool_debug and stays "default" (default)' ||
    fail "an unknown name is not refused with the list"
say '' | grep -q "not understood" && fail "an empty name is refused"
# POOLMALLOC wins over the option.
say pool help,allocator=debug | grep -q "^ *allocator *=* *pool\b" || fail "the option wins"
echo "every name selects"
