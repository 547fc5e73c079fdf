# SPDX-License-Identifier: MIT
#
# Completion of poolmalloc's arguments in bash. What commands and options there are it reads from
# the command's own help.

_poolmalloc()
{
    local word=${COMP_WORDS[COMP_CWORD]} words i
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=$(poolmalloc --help 2>/dev/null |
            sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$words --help --version" -- "$word")
        return
    fi
    # Past the options of run there is a program, and what that one takes.
    if [ "${COMP_WORDS[1]}" = run ]; then
        for ((i = 2; i < COMP_CWORD; i++)); do
            case ${COMP_WORDS[i]} in
            --) i=$((i + 1)); break ;;
            -*) [ "${COMP_WORDS[i + 1]-}" != = ] || i=$((i + 2)) ;;
            *) break ;;
            esac
        done
        if [ "$i" -lt "$COMP_CWORD" ] && declare -F _command_offset >/dev/null; then
            _command_offset "$i"
            return
        fi
    fi
    # What some options take. Bash may split at the =, or not.
    local option=$word value=${word#*=}
    if [ "$word" = = ]; then
        option=${COMP_WORDS[COMP_CWORD - 1]}= value=
    elif [ "${COMP_WORDS[COMP_CWORD - 1]}" = = ]; then
        option=${COMP_WORDS[COMP_CWORD - 2]}=
    fi
    case $option in
    --by=*) words="function file line module traceback domain" ;;
    --to=*) words="pprof gperftools jemalloc" ;;
    *) words= ;;
    esac
    if [ -n "$words" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$value")
        return
    fi
    case $word in
    -*)
        words=$(poolmalloc "${COMP_WORDS[1]}" --help 2>/dev/null |
            sed -n 's/^ *\(--[a-z-]*=\{0,1\}\).*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
        [[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace 2>/dev/null
        ;;
    *)
        [ "${COMP_WORDS[1]}" != run ] || mapfile -t COMPREPLY < <(compgen -c -- "$word")
        ;;
    esac
}
complete -o default -F _poolmalloc poolmalloc
