#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The command as its users meet it: what it prints, where, its exit status, and what a program that
# it runs finds.
#
#   command_test.sh COMMAND LIBRARY CC WHAT
#
# COMMAND and LIBRARY are those of the build; WHAT is one of the functions below that begin with
# test_. Exit status 77: it cannot be tried here; the output says why.

# shellcheck disable=SC2016 # what is in single quotes is for other shells
set -u

command=$1 library=$2 cc=$3 what=$4
soname=libpoolmalloc.so.0
skipped=77
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM HUP
here=$(cd "$(dirname "$0")" && pwd)
unset LD_PRELOAD LD_LIBRARY_PATH POOLMALLOC_OPTIONS
LC_ALL=C
export LC_ALL
failed=0

# expect STATUS WORDS...: runs them; output and errors go to files.
expect()
{
    wanted=$1
    shift
    "$@" >"$folder/output" 2>"$folder/errors" </dev/null
    status=$?
    [ "$status" = "$wanted" ] || wrong "status $status, not $wanted: $*"
}

wrong()
{
    echo "command_test.sh: $*"
    cat "$folder/output" "$folder/errors"
    failed=1
}

# What is in the files of the last run, whole lines and parts of them.
says() { grep -qF -- "$2" "$folder/$1" || wrong "not in its $1: $2"; }
prints() { [ "$(cat "$folder/output")" = "$1" ] || wrong "its output is not: $1"; }
silent() { [ ! -s "$folder/$1" ] || wrong "it should not have $1"; }

# Whether poolmalloc served the program, by its own counters.
served() { says errors "mallocs: "; }

test_usage()
{
    expect 2 "$command"
    says errors "poolmalloc: a command is missing"
    says errors "Try 'poolmalloc --help'"
    silent output
    expect 2 "$command" rum
    says errors "poolmalloc: unknown command 'rum'"
    expect 2 "$command" --rum
    says errors "poolmalloc: unrecognized option '--rum'"
    expect 2 "$command" ""
    expect 2 "$command" options more
    says errors "poolmalloc options: unexpected argument 'more'"
    says errors "Try 'poolmalloc options --help'"
    expect 2 "$command" options --more
    says errors "poolmalloc options: unrecognized option '--more'"
    for help in "--help" "run --help" "options --help" "stats --help" "top --help" \
        "report --help" "diff --help" "convert --help"; do
        # shellcheck disable=SC2086 # one word or two
        expect 0 "$command" $help
        says output "Usage: poolmalloc"
        silent errors
    done
    # Of the library it has the reader of snapshots, not an allocator that heeds options.
    expect 0 env POOLMALLOC_OPTIONS=help,stats_at_exit=stderr "$command" --version
    silent errors
    expect 0 "$command" --version
    grep -qx 'poolmalloc [0-9.]*' "$folder/output" || wrong "no version"
    for help in --help --version options; do
        expect 1 sh -c 'exec "$0" "$1" >/dev/full' "$command" $help
        says errors "write error: No space left on device"
    done
}

test_run()
{
    expect 0 "$command" run --options=stats_at_exit=stderr /bin/true
    served
    expect 0 "$command" run --options stats_at_exit=stderr -- true
    served
    expect 0 "$command" run -- printf '%s|' 'a b' '' --options=x -n
    prints 'a b||--options=x|-n|'
    silent errors
    expect 0 sh -c 'echo in | "$0" run cat' "$command"
    prints in
    # What the program starts, too. Both append to the file: many programs close stderr themselves.
    expect 0 "$command" run --options="stats_at_exit=$folder/stats" timeout 60 true
    [ "$(grep -c '^mallocs: ' "$folder/stats")" = 2 ] || wrong "not both were served"
}

test_environment()
{
    own=$(readlink -f "$(dirname "$library")")/$soname
    expect 0 "$command" run sh -c 'echo "$LD_PRELOAD,$LD_LIBRARY_PATH,$POOLMALLOC_OPTIONS"'
    prints "$own,,"
    echo 'int other;' | "$cc" -shared -fPIC -x c -o "$folder/other.so" - || wrong "no compiler"
    expect 0 env LD_PRELOAD="$folder/other.so" "$command" run sh -c 'echo "$LD_PRELOAD"'
    prints "$own:$folder/other.so"
    expect 0 env LD_PRELOAD= "$command" run sh -c 'echo "$LD_PRELOAD"'
    prints "$own"
    # Stacks need an unwinder, which is there before the program starts.
    expect 0 env LD_PRELOAD="$folder/other.so" "$command" run --debug sh -c 'echo "$LD_PRELOAD"'
    prints "$own:libgcc_s.so.1:$folder/other.so"
    expect 0 env POOLMALLOC_OPTIONS=keep_bytes=1m "$command" run --options=purge_delay_ms=5 \
        --options=keep_bytes=3m sh -c 'echo "$POOLMALLOC_OPTIONS"'
    prints keep_bytes=1m,purge_delay_ms=5,keep_bytes=3m
    expect 0 env POOLMALLOC_OPTIONS=keep_bytes=1m "$command" run --options= \
        sh -c 'echo "$POOLMALLOC_OPTIONS"'
    prints keep_bytes=1m
    expect 0 "$command" run --options=keepbytes=3m echo runs
    says errors 'unknown option "keepbytes=3m" ignored; the nearest is keep_bytes'
    prints runs
}

test_exit_status()
{
    expect 3 "$command" run sh -c 'exit 3'
    expect 143 sh -c '"$0" run sh -c "kill \$\$"; exit $?' "$command"
    expect 125 "$command" run
    says errors "poolmalloc run: a program is missing"
    expect 125 "$command" run --option
    expect 125 "$command" run --nonsense true
    says errors "poolmalloc run: unrecognized option '--nonsense'"
    expect 125 "$command" run --options
    says errors "option '--options' requires an argument"
    for program in no-such-program /no/such/program "" --nonsense; do
        expect 127 "$command" run -- "$program"
        says errors "poolmalloc run: '$program': No such file or directory"
    done
    echo text >"$folder/text"
    expect 126 "$command" run "$folder/text"
    says errors "': Permission denied"
    expect 126 "$command" run "$folder"
    printf '#!/no/such/interpreter\n' >"$folder/script"
    chmod 755 "$folder/script"
    expect 127 "$command" run "$folder/script"
}

# warns WORDS PROGRAM: runs it, and it is warned of; warns nothing PROGRAM: it is not.
warns()
{
    expect 0 "$command" run --options=stats_at_exit=stderr "$2"
    if [ "$1" = nothing ]; then
        served
        ! grep -q warning "$folder/errors" || wrong "a warning without need"
    else
        says errors "poolmalloc run: warning: '$2' $1: a preload has no effect"
        ! grep -q "^mallocs: " "$folder/errors" || wrong "$2 was served all the same"
    fi
}

test_warnings()
{
    echo '#include <stdlib.h>
        int main(void) { free(malloc(1)); return 0; }' >"$folder/main.c"
    "$cc" -o "$folder/plain" "$folder/main.c" || wrong "no compiler"
    warns nothing "$folder/plain"
    for kind in -static -static-pie; do
        if "$cc" $kind -o "$folder/static" "$folder/main.c" 2>"$folder/errors"; then
            warns "is linked statically" "$folder/static"
        fi
    done
    printf '#! %s\n' "$folder/static" >"$folder/script"
    printf '#!%s -\n' "$folder/plain" >"$folder/plain-script"
    chmod 755 "$folder/script" "$folder/plain-script"
    warns "is linked statically" "$folder/script"
    warns nothing "$folder/plain-script"
    (PATH=$folder:$PATH && warns "is linked statically" static && exit $failed) || failed=1

    # Files that are no programs, but look like it: the system says what is wrong with them.
    cp "$folder/plain" "$folder/other"
    printf '\026\000' | dd of="$folder/other" bs=1 seek=18 conv=notrunc 2>/dev/null # e_machine
    "$command" run "$folder/other" >"$folder/output" 2>"$folder/errors"
    says errors "is for another kind of processor"
    for bytes in 10 64 70; do
        head -c $bytes "$folder/plain" >"$folder/cut"
        chmod 755 "$folder/cut"
        "$command" run "$folder/cut" >"$folder/output" 2>"$folder/errors"
        ! grep -q warning "$folder/errors" || wrong "a warning of $bytes bytes"
    done
    printf '#!' >"$folder/cut"
    printf '#!%s\n' "$folder/cut" >"$folder/script"
    expect 126 "$command" run "$folder/script"
    ! grep -q warning "$folder/errors" || wrong "a warning of an empty interpreter"
    printf '#!%s\n' "$folder/script" >"$folder/script"
    expect 126 "$command" run "$folder/script"
}

# The flags of run: what the program finds in its environment, and what comes of it.
test_flags()
{
    cd "$folder" || exit 1
    words='echo "$POOLMALLOC,$POOLMALLOC_OPTIONS"'
    expect 0 "$command" run sh -c "$words"
    prints ,
    expect 0 "$command" run --debug sh -c "$words"
    prints debug,
    expect 0 env POOLMALLOC=pool "$command" run --hardened sh -c "$words"
    prints hardened,
    expect 0 "$command" run --options=keep_bytes=1m --stats --options=stats_page=off sh -c "$words"
    prints ",stats_page=on,stats_format=table,stats_at_exit=stderr,keep_bytes=1m,stats_page=off"
    expect 0 "$command" run --trace sh -c "$words"
    prints ",trace=16,trace_at_exit=$folder/poolmalloc.%p.snap"
    expect 0 "$command" run --trace=128 --output=/tmp/x sh -c "$words"
    prints ",trace=128,trace_at_exit=/tmp/x"
    expect 0 "$command" run --profile sh -c "$words"
    prints ",profile=on,profile_page=on,profile_at_exit=$folder/poolmalloc.%p.heap"
    expect 0 "$command" run --profile=64k --output=p.%p sh -c "$words"
    prints ",profile=64k,profile_page=on,profile_at_exit=$folder/p.%p"
    mkdir "$folder/a,b" # which a setting cannot have
    expect 0 sh -c 'cd "$1" && exec "$0" run --profile sh -c "$2"' "$command" "$folder/a,b" "$words"
    prints ",profile=on,profile_page=on,profile_at_exit=poolmalloc.%p.heap"
}

test_flags_work()
{
    cd "$folder" || exit 1
    echo '#include <stdlib.h>
        #include <string.h>
        int main(void) { char *volatile p = malloc(10); memset(p, 1, 11); free(p); return 0; }' \
        >over.c
    "$cc" -w -o over over.c || wrong "no compiler"
    expect 0 "$command" run --stats ./over
    says errors "# bytes in allocated blocks"
    expect 0 "$command" run --stats --output=table ./over
    silent errors
    grep -q "# bytes in allocated blocks" table || wrong "no table in the file"
    expect 0 "$command" run --profile=1 ./over
    silent errors
    grep -q "^heap profile: .*@ heap_v2/1$" poolmalloc.*.heap || wrong "no profile"
    expect 0 "$command" run --profile --output=profile ./over
    grep -q "^heap profile: .*@ heap_v2/524288$" profile || wrong "no profile"
    expect 0 "$command" run --trace=4 ./over
    silent errors
    head -n 1 poolmalloc.*.snap | grep -qx "poolmalloc snapshot 1" || wrong "no snapshot"
    grep -qx "traceback_limit 4" poolmalloc.*.snap || wrong "a snapshot of other stacks"
    expect 134 sh -c '"$0" run --hardened ./over; exit $?' "$command"
    says errors "bad canary"
    expect 0 "$command" run ./over
    expect 134 sh -c '"$0" run --debug ./over; exit $?' "$command"
    says errors "bad trailing pad byte"
}

test_flags_wrong()
{
    for flag in --trace=0 --trace=129 --trace=x --trace=; do
        expect 125 "$command" run "$flag" true
        says errors "is no number of frames: from 1 to 128"
        says errors "Try 'poolmalloc run --help'"
    done
    for flag in --profile=x --profile= --profile=1kk --profile=k --profile=-1; do
        expect 125 "$command" run "$flag" true
        says errors "is no size"
    done
    expect 125 "$command" run --debug --hardened true
    says errors "--debug and --hardened do not go together"
    expect 125 "$command" run --output=x true
    says errors "--output is for what --trace, --profile or --stats writes"
    expect 125 "$command" run --trace --stats --output=x true
    says errors "--output can take what one of"
    for path in "" a,b "$(printf '%0256d' 0)"; do
        expect 125 "$command" run --stats --output="$path" true
        says errors "cannot be written to"
    done
    expect 0 "$command" run --debug --debug true
}

# Only root can make a program somebody else's.
test_secure()
{
    if [ "$(id -u)" != 0 ]; then
        echo "skipped: only root can make a program somebody else's"
        exit $skipped
    fi
    chmod 755 "$folder"
    echo '#include <stdio.h>
        #include <stdlib.h>
        #include <sys/auxv.h>
        int main(void) { printf("%lu", getauxval(AT_SECURE)); free(malloc(1)); return 0; }' \
        >"$folder/main.c"
    "$cc" -o "$folder/user" "$folder/main.c" || wrong "no compiler"
    cp "$folder/user" "$folder/group"
    cp "$folder/user" "$folder/own"
    chown 65534 "$folder/user" && chgrp 65534 "$folder/group" || wrong "no other owner"
    chmod 4755 "$folder/user" "$folder/own" && chmod 2755 "$folder/group" || wrong "no such mode"
    if [ "$("$folder/user")" != 1 ]; then
        echo "skipped: the system gives a set-user-ID program in $folder no other rights"
        exit $skipped
    fi
    warns "is set-user-ID" "$folder/user"
    warns "is set-group-ID" "$folder/group"
    warns nothing "$folder/own"
}

test_options()
{
    POOLMALLOC_OPTIONS=help LD_PRELOAD=$library /bin/true 2>"$folder/wanted"
    grep -q limit_bytes "$folder/wanted" || wrong "the library does not tell its options"
    for preload in "" "$library"; do # it may serve the command itself
        expect 0 env LD_PRELOAD="$preload" "$command" options
        cmp "$folder/output" "$folder/wanted" || wrong "not what the library says"
        silent errors
    done
    expect 0 env POOLMALLOC_OPTIONS=keep_bytes=7m "$command" options
    POOLMALLOC_OPTIONS=keep_bytes=7m,help LD_PRELOAD=$library /bin/true 2>"$folder/wanted"
    cmp "$folder/output" "$folder/wanted" || wrong "the variable was not heeded"
    says output 7m
}

# tree FOLDER: an installed tree.
tree()
{
    mkdir -p "$1/bin" "$1/lib"
    cp "$command" "$1/bin/poolmalloc"
    cp "$library" "$1/lib/$soname"
}

test_places()
{
    for name in moved "with a blank" 'with $a "quote"'; do
        tree "$folder/$name"
        expect 0 "$folder/$name/bin/poolmalloc" run --options=stats_at_exit=stderr true
        served
        expect 0 "$folder/$name/bin/poolmalloc" options
        says output limit_bytes
    done
    expect 0 env LD_LIBRARY_PATH=/nowhere "$folder/with a blank/bin/poolmalloc" \
        run sh -c 'echo "$LD_LIBRARY_PATH"'
    prints "$folder/with a blank/lib:/nowhere"
    ln -s "$folder/moved/bin/poolmalloc" "$folder/link"
    expect 0 "$folder/link" run --options=stats_at_exit=stderr true
    served

    tree "$folder/with:colon"
    expect 125 "$folder/with:colon/bin/poolmalloc" run true
    says errors "cannot be preloaded"
    expect 1 "$folder/with:colon/bin/poolmalloc" options
    echo text >"$folder/moved/lib/$soname"
    expect 1 "$folder/moved/bin/poolmalloc" options
    says errors "poolmalloc options: $folder/moved/lib/$soname cannot be loaded"
    says errors "cannot be preloaded" # the loader, why
    silent output
    rm "$folder/moved/lib/$soname"
    expect 125 "$folder/moved/bin/poolmalloc" run true
    says errors "poolmalloc run: $soname is not there"
    expect 1 "$folder/moved/bin/poolmalloc" options
}

# wait_for_page PID: the program may not be there yet, only the command that becomes it.
wait_for_page()
{
    tries=0
    until "$command" stats "$1" --count=1 >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ $tries -lt 1000 ] || wrong "process $1 does not get a page"
        [ $tries -lt 1000 ] || exit 1
        sleep 0.01
    done
}

# offers WORD...: what bash offers for the last one.
offers()
{
    PATH=$(dirname "$command"):$PATH bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _poolmalloc; echo "${COMPREPLY[*]}"' "$here/completion.bash" "$@" \
        >"$folder/output" 2>"$folder/errors" || wrong "bash failed"
    silent errors
}

test_completion()
{
    command -v bash >/dev/null || { echo "skipped: bash is missing"; exit $skipped; }
    offers poolmalloc ""
    prints "run options stats top report diff convert --help --version"
    offers poolmalloc ru
    prints run
    offers poolmalloc run --op
    prints --options=
    offers poolmalloc run --
    for word in --debug --hardened --trace --profile --stats --output= --options=; do
        says output "$word"
    done
    offers poolmalloc top --s
    prints --sort=
    offers poolmalloc top --sort = ""
    prints "live all blocks"
    offers poolmalloc top --sort = b
    prints blocks
    offers poolmalloc top --sort =
    prints "live all blocks"
    offers poolmalloc stats --interval = 1
    prints ""

    # Processes that can be watched.
    mkfifo "$folder/told"
    "$command" run --options=stats_page=on,profile=on,profile_page=on cat <"$folder/told" &
    exec 9>"$folder/told"
    process=$!
    wait_for_page $process
    for kind in stats top; do
        offers poolmalloc $kind ""
        tr ' ' '\n' <"$folder/output" | grep -qx "$process" || wrong "$process is not offered"
        offers poolmalloc $kind "$process"
        tr ' ' '\n' <"$folder/output" | grep -qx "$process" || wrong "$process is not offered"
        ! tr ' ' '\n' <"$folder/output" | grep -qx "$$" || wrong "a process without a page is"
    done
    exec 9>&-
    wait "$process"
    offers poolmalloc options -
    prints --help
    offers poolmalloc report --
    prints "--output= --text --by= --cumulative --all --filter= --top= --help"
    offers poolmalloc convert --t
    prints --to=
    offers poolmalloc report --by=t
    prints traceback
    offers poolmalloc report --by = t
    prints traceback
    offers poolmalloc convert --to=p
    prints pprof
    offers poolmalloc options x
    prints ""
    offers poolmalloc run poolmal
    prints poolmalloc
}

"test_$(echo "$what" | tr - _)"
[ $failed = 0 ] && echo "$what: ok"
exit $failed
