#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Has spin search one of the models here, to the end.
#
# Usage: run.sh MODEL [holds|refuted|terminates|loops [NAME]]
#   holds       (the default) no assertion fails, no process hangs, in no order of steps; and all
#               statements of the model were reached but those marked as unreached
#   refuted     built with -DNAME, a mutant or a witness, an assertion fails or a process hangs
#   terminates  no endless run: nobody waits for another one in a loop
#   loops       built with -DNAME, there is an endless run
# NAME may also be a variant, which holds.
# Exit status 77: spin or gcc is not here.

set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
skipped=77
depth=100000
limit_mib=1900
steps_shown=40

skip() {
    echo "run.sh: skipped: $*"
    exit $skipped
}

fail() {
    echo "run.sh: $model${name:+ with $name}: $*"
    exit 1
}

build() {
    # One file, so that spin's line numbers mean something; comments stay, for the marks.
    # As atomic, not d_step, so that spin looks into them for what was reached.
    whole=d_step
    [ "$expect$name" != holds ] || whole=atomic
    gcc -E -P -C -x c -Dd_step=$whole ${name:+"-D$name"} "$here/$model.pml" >"$model.pml" ||
        fail "the preprocessor fails"
    spin -a "$model.pml" >spin.out 2>&1 || {
        cat spin.out
        fail "spin does not take the model"
    }
    case $expect in
    terminates | loops) search=-DNP ;;
    *) search=-DSAFETY ;;
    esac
    # What a model needs beyond that stands in its own text.
    options=$(sed -n 's/.*run.sh compiles with: \(-[A-Z0-9]*\).*/\1/p' "$model.pml")
    # Not optimised: compiling takes longer than the search.
    # shellcheck disable=SC2086 # perhaps no option
    gcc -O0 -w $search -DCOLLAPSE -DNOFAIR -DMEMLIM=$limit_mib $options -o pan pan.c ||
        fail "the verifier does not compile"
}

search() {
    case $expect in
    terminates | loops) set -- -l ;;
    *) set -- ;;
    esac
    # shellcheck disable=SC2046 # perhaps no option
    set -- "$@" $(sed -n 's/.*run.sh runs with: \(-[A-Z]*\).*/\1/p' "$model.pml")
    ./pan "-m$depth" -w22 "$@" >out 2>&1
    cat spin.out out | grep -E '^Depth|^pan:|errors:|states, stored|elapsed|memory usage$'
    ! grep -qE 'max search depth too small|reached -DMEMLIM|out of memory|hash-compact' out ||
        fail "the search was not complete"
    grep -q 'errors: [0-9]' out || {
        cat out
        fail "no result"
    }
}

show_trail() {
    echo "The last $steps_shown steps to the error (lines of the preprocessed model, README.md):"
    spin -t -p "$model.pml" >trail 2>&1
    names='w|seen|next|left|p|b|n|head|tail|mask|item|result|found|live_now|ok|adopts|locked'
    forget='\[('$names') = 0'
    grep -E '^ *[0-9]+:|spin:' trail | grep -vE "$forget" | tail -n $steps_shown | sed 's/	/ /g'
}

# Statements that were never reached, in no place where their inline is used, and that no mark
# excuses. A mark in a line excuses the line, in the first line of an inline all of it.
unreached() {
    # Of each process: two may have a state of the same number.
    ./pan -d | awk '/^proctype|^init/ { process = $2 } { print process " " $0 }' |
        sed -n "s/^\([^ ]*\)[^a-z]*state *\([0-9]*\) .*$model\.pml:\([0-9]*\) => /\1 \2	\3	/p" |
        sort -u | cut -f 2- >statements
    sed -n "s/.*$model\.pml:\([0-9]*\), state [0-9]*, \"\(.*\)\"\$/\1	\2/p" out >missed
    awk -v model="$model" '
        FILENAME == "statements" { all[$0]++; next }
        FILENAME == "missed" { if (++missed[$0] == all[$0]) unreached[$1] = 1; next }
        { marked = $0 ~ "unreached in [a-z, ]*" model "[^a-z]" }
        /^inline/ { whole = marked }
        /^proctype|^init/ { whole = 0 }
        (FNR in unreached) && !marked && !whole { print FNR ": " $0 }
    ' statements missed "$model.pml"
}

check_holds() {
    grep -q 'errors: 0' out || {
        show_trail
        fail "the model is refuted"
    }
    grep -q 'Warning: Search not completed' out && fail "the search was not complete"
    [ "$expect" = holds ] && [ -z "$name" ] || return 0
    grep -q '^unreached in' out || fail "spin does not say what it reached"
    left=$(unreached)
    [ -z "$left" ] || {
        echo "$left"
        fail "never reached, and not marked so"
    }
}

check_refuted() {
    grep -q 'errors: 1' out || fail "spin finds nothing wrong with it"
    case $expect in
    refuted) grep -qE '^pan:[0-9]+: (assertion violated|invalid end state)' out ;;
    loops) grep -qE '^pan:[0-9]+: non-progress cycle' out ;;
    esac || fail "it fails, but not as it should"
}

model=${1:?which model}
expect=${2:-holds}
name=${3:-}
[ -f "$here/$model.pml" ] || fail "there is no such model"
command -v spin >/dev/null 2>&1 || skip "spin is not installed"
command -v gcc >/dev/null 2>&1 || skip "gcc, which compiles what spin generates, is not installed"
if [ -n "$name" ] && ! grep -q "$name\b" "$here/$model.pml" "$here"/*.inc; then
    fail "nothing is called $name"
fi

directory=$(mktemp -d) || exit 1
trap 'rm -rf "$directory"' EXIT
trap 'exit 1' INT TERM HUP
cd "$directory" || exit 1
build
search
case $expect in
holds | terminates) check_holds ;;
refuted | loops) check_refuted ;;
*) fail "no such expectation: $expect" ;;
esac
echo "run.sh: $model${name:+ with $name} $expect"
