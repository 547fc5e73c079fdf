# SPDX-License-Identifier: MIT
#
# Completion of poolmalloc's arguments in bash. What commands and options there are it reads from
# the command's own help.

# Past the options of run there is a program, and what that one takes. True: it was completed.
_poolmalloc_program()
{
    local i
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --) i=$((i + 1)); break ;;
        -*) [ "${COMP_WORDS[i + 1]-}" != = ] || i=$((i + 2)) ;;
        *) break ;;
        esac
    done
    [ "$i" -lt "$COMP_CWORD" ] && declare -F _command_offset >/dev/null && _command_offset "$i"
}

# Processes that have a page of the kind.
_poolmalloc_processes()
{
    find /proc/[0-9]*/fd -lname "/memfd:poolmalloc-$1 *" 2>/dev/null | cut -d / -f 3 | sort -un
}

# What the options take that take words, into `words`; true: the word is such a value, whose start
# goes to `value`. Bash may split at the =, or not.
_poolmalloc_value()
{
    local option=$word
    value=${word#*=}
    if [ "$word" = = ]; then
        option=${COMP_WORDS[COMP_CWORD - 1]}= value=
    elif [ "${COMP_WORDS[COMP_CWORD - 1]}" = = ]; then
        option=${COMP_WORDS[COMP_CWORD - 2]}=
    fi
    case $option in
    --by=*) words="function file line module traceback domain" ;;
    --to=*) words="pprof gperftools jemalloc" ;;
    --sort=*) words="live all blocks" ;;
    *) words= ;;
    esac
    [[ $option == -*=* ]]
}

_poolmalloc()
{
    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words value
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=$(poolmalloc --help 2>/dev/null |
            sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$words --help --version" -- "$word")
        return
    fi
    if [ "$command" = run ] && _poolmalloc_program; then
        return
    fi
    if _poolmalloc_value; then
        [ -z "$words" ] || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$value")
        return
    fi
    case $word in
    -*)
        words=$(poolmalloc "$command" --help 2>/dev/null |
            sed -n 's/^ *\(--[a-z-]*=\{0,1\}\).*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
        [[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace 2>/dev/null
        return
        ;;
    esac
    case $command in
    run) mapfile -t COMPREPLY < <(compgen -c -- "$word") ;;
    stats) mapfile -t COMPREPLY < <(compgen -W "$(_poolmalloc_processes stats)" -- "$word") ;;
    top) mapfile -t COMPREPLY < <(compgen -W "$(_poolmalloc_processes profile)" -- "$word") ;;
    esac
}
complete -o default -F _poolmalloc poolmalloc
