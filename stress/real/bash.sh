# SPDX-License-Identifier: MIT
# Shells allocate for every word, expansion and function call. Everything runs
# in the first process: children that leave by _exit write no statistics.

needs bash

run()
{
    cat >"$folder/work.bash" <<'END'
declare -A count
text="the quick brown fox jumps over the lazy dog"
total=0
shorten() { local word=$1; REPLY=${word#?}; }
for ((i = 0; i < 2500; i++)); do
    for word in $text; do
        key="${word}_$((i % 100))"
        count[$key]=$((${count[$key]:-0} + ${#word}))
        shorten "$key"
        total=$((total + ${#REPLY}))
    done
    lines[i % 500]="${text//o/$i}"
done
printf '%s\n' "$total" "${#count[@]}" "${lines[@]:0:20}"
for key in fox_1 dog_99 quick_50; do echo "$key ${count[$key]}"; done
END
    under bash --noprofile --norc "$folder/work.bash"
}
