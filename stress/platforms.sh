#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The platforms: compilers, C libraries, processors, pages, address spaces.
#
#   sh stress/platforms.sh [--list] [--markdown FILE] [CELL]...
#
# Builds what each cell needs, runs its tests and prints a table, as Markdown
# too into FILE. Without cells: all of them. Installs what is missing first
# (cmake/bootstrap.sh, group platforms). A cell is "passed", "FAILED", or "not
# run" with the reason; what its tests wrote is in build/log/platform-CELL.log.
# Exit code 1 if a cell failed. docs/platforms.md says what the cells are for.

set -u

usage="usage: sh stress/platforms.sh [--list] [--markdown FILE] [CELL]..."
all_cells="gcc-glibc-shared gcc-glibc-static clang-glibc-shared clang-glibc-static
    gcc-musl-shared gcc-musl-static clang-musl-shared clang-musl-static
    aarch64-shared aarch64-static pages-16k pages-64k address-39-bit address-47-bit
    classic window-64m"

# Of the tests of a build, those that have to do with the platform.
labels='unit|api|misuse|stress|life|cxx|traps|platform'
# qemu runs one program: it cannot start others by itself, nor be traced; it does not survive a
# fork of a program that has several threads; resident memory is its own, too.
not_under_qemu='fork|programs-started|end-by|set-(user|group)|load|linked|trap|in-handler'
not_under_qemu="$not_under_qemu|one-after|many-threads|(first|many)-call|calls-in-every|os_double"
not_under_qemu="$not_under_qemu|static-program.(threads|end)|process_start|core-file|settings-file"
# musl loads no library with such thread-local storage late, unloads none, and has no pvalloc of its
# own; after a raw fork, which the traps use, its abort() ends the parent.
not_on_musl='life.loaded|preloaded-into|linked-after-the-c-library|trap.(interrupted|fork_inside)'

# cell CELL: sets what the cell is. What is empty is not asked for.
cell()
{
    preset='' double='' only='' without='' packages=''
    case $1 in
    gcc-glibc-*) preset=gcc what="x86-64, gcc, glibc" ;;
    clang-glibc-*) preset=clang what="x86-64, clang, glibc" ;;
    gcc-musl-*) preset=musl what="x86-64, gcc, musl" packages=musl
        without=$not_on_musl ;;
    clang-musl-*) preset=musl-clang what="x86-64, clang, musl" packages=musl
        without=$not_on_musl ;;
    aarch64-*) preset=aarch64 what="aarch64, gcc, glibc, under qemu" without=$not_under_qemu
        packages="qemu-user libc6-dev-arm64-cross" ;;
    pages-16k) double="page_bytes=16384" what="pages of 16 KiB" ;;
    pages-64k) double="page_bytes=65536" what="pages of 64 KiB, units of 32 KiB" ;;
    address-39-bit) double="address_bits=39" what="addresses below 2^39" ;;
    address-47-bit) double="address_bits=47" what="addresses up to 2^47" ;;
    classic) preset=classic what="preset classic: units of 4 KiB, assertions" ;;
    window-64m) preset=small-window what="a window of 64 MiB, assertions" ;;
    *) return 1 ;;
    esac
    case $1 in
    *-shared) without="static${without:+|$without}" what="$what, shared" ;;
    *-static) only=static what="$what, static" ;;
    esac
    [ -z "$double" ] || preset=double what="$what (os double, assertions)"
}

# Why the cell cannot be built or run here; nothing: it can.
reason()
{
    case $preset in
    aarch64) tools="aarch64-linux-gnu-gcc qemu-aarch64" ;;
    clang) tools=clang ;;
    musl) tools=musl-gcc ;;
    musl-clang) tools="clang musl-gcc" ;; # the second for musl's own files
    *) tools=gcc ;;
    esac
    machine=$(uname -m)
    [ "$preset" = aarch64 ] || [ "$machine" = x86_64 ] ||
        { echo "this machine is $machine, not x86-64"; return; }
    for tool in $tools cmake ninja; do
        command -v "$tool" >/dev/null || { echo "$tool is missing"; return; }
    done
}

version_of()
{
    dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo unknown
}

# The compiler and what else the result depends on.
versions()
{
    case $preset in
    aarch64) compiler=aarch64-linux-gnu-gcc ;;
    clang | musl-clang) compiler=clang ;;
    *) compiler=gcc ;;
    esac
    text="${compiler##*-} $($compiler --version | sed -n '1s/.* \([0-9][0-9.]*\).*/\1/p')"
    for package in ${packages:-libc6-dev}; do
        text="$text, $package $(version_of "$package")"
    done
    echo "$text"
}

progress()
{
    printf '[%4d s] %s\n' $(($(date +%s) - started)) "$*"
}

# A preset is built once; `built` and `broken` are lists of them.
build()
{
    case " $built " in *" $preset "*) return 0 ;; esac
    case " $broken " in *" $preset "*) return 1 ;; esac
    log=$logs/platform-build-$preset.log
    progress "building $preset"
    if cmake --preset "$preset" >"$log" 2>&1 </dev/null &&
        cmake --build --preset "$preset" --parallel "$jobs" >>"$log" 2>&1 </dev/null; then
        built="$built $preset"
        return 0
    fi
    broken="$broken $preset"
    progress "$preset does not build; the end of $log:"
    tail -n 20 "$log"
    return 1
}

# count ATTRIBUTE: of the test suite in ctest's report.
count()
{
    sed -n '/<testsuite/,/>/s/.*[[:space:]]'"$1"'="\([0-9]*\)".*/\1/p' "$report" | head -n 1
}

# Sets result and figures.
run()
{
    log=$PWD/$logs/platform-$1.log report=$PWD/$logs/platform-$1.xml
    rm -f "$report"
    set -- ctest --preset "$preset" --parallel "$jobs" -L "$labels" --output-junit "$report"
    [ -z "$only" ] || set -- "$@" -R "$only"
    [ -z "$without" ] || set -- "$@" -E "$without"
    status=0
    env ${double:+"POOLMALLOC_OS_DOUBLE=$double"} "$@" >"$log" 2>&1 </dev/null || status=$?
    tests=0 failures=0 skipped=0
    if [ -s "$report" ]; then
        tests=$(count tests) failures=$(count failures)
        skipped=$(($(count skipped) + $(count disabled)))
    fi
    passed=$((tests - failures - skipped))
    result=passed
    # Tests that are all skipped prove nothing.
    if [ "$status" -ne 0 ] || [ "$failures" -ne 0 ] || [ "$passed" -le 0 ]; then
        result=FAILED
        sed -n '/tests passed/,$p' "$log"
        echo "see $log"
    fi
    figures="$passed passed, $failures failed, $skipped skipped"
}

one_cell()
{
    name=$1
    cell "$name"
    begun=$(date +%s)
    figures="" result="not run"
    why=$(reason)
    if [ -n "$why" ]; then
        figures=$why
    elif ! build; then
        result=FAILED figures="does not build"
    else
        progress "$name"
        run "$name"
    fi
    [ "$result" != FAILED ] || failed_cells=$((failed_cells + 1))
    progress "$name: $result ($figures)"
    with=
    [ -n "$why" ] || with=$(versions)
    echo "$name|$what|$result|$figures|$with|$(($(date +%s) - begun))" >>"$table"
}

list_cells()
{
    for name in $all_cells; do
        cell "$name" && printf '%-20s %s\n' "$name" "$what"
    done
}

markdown_table()
{
    echo "| cell | what | result | tests | with |"
    echo "|---|---|---|---|---|"
    awk -F'|' '{ printf "| `%s` | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5 }' "$table"
}

markdown='' chosen=''
while [ $# -gt 0 ]; do
    case $1 in
    --list) list_cells; exit 0 ;;
    --markdown)
        [ $# -ge 2 ] || { echo "$usage" >&2; exit 2; }
        markdown=$2
        shift
        ;;
    --help) echo "$usage"; list_cells; exit 0 ;;
    *)
        cell "$1" || { echo "no cell \"$1\"; --list names them" >&2; echo "$usage" >&2; exit 2; }
        chosen="$chosen $1"
        ;;
    esac
    shift
done

case $markdown in '' | /*) ;; *) markdown=$PWD/$markdown ;; esac
cd "$(dirname "$0")/.." || exit 1
logs=build/log jobs=$(nproc) started=$(date +%s) built='' broken='' failed_cells=0
mkdir -p "$logs" || exit 1
table=$(mktemp) || exit 1
trap 'rm -f "$table"' EXIT
trap 'exit 1' INT TERM HUP
sh cmake/bootstrap.sh build test platforms ||
    progress "not all packages could be installed: cells that need them are not run"
for name in ${chosen:-$all_cells}; do
    one_cell "$name"
done
echo
awk -F'|' '{ printf "%-20s %-8s %s (%s; %s s)\n", $1, $3, $4, $5, $6 }' "$table"
[ -z "$markdown" ] || markdown_table >"$markdown"
[ "$failed_cells" -eq 0 ]
