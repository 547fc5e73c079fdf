#!/bin/sh
# SPDX-License-Identifier: MIT
#
# stress/check.sh on a make-believe project with one preset for each outcome:
# it must not pass where a test failed, none ran, or nothing was built.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir "$root/stress" "$root/cmake"
cp "$here/../stress/check.sh" "$root/stress/"
echo 'exit 0' >"$root/cmake/bootstrap.sh"

cat >"$root/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(outcomes LANGUAGES NONE)
enable_testing()
add_custom_target(nothing ALL)
if(OUTCOME STREQUAL "unconfigured")
    message(FATAL_ERROR "does not configure")
elseif(OUTCOME STREQUAL "unbuilt")
    add_custom_target(broken ALL COMMAND false)
elseif(NOT OUTCOME STREQUAL "empty")
    add_test(NAME passes COMMAND true)
    add_test(NAME second COMMAND true)
    if(OUTCOME STREQUAL "bad")
        add_test(NAME fails COMMAND sh -c "echo the reason; exit 1")
    elseif(OUTCOME STREQUAL "skipping")
        add_test(NAME skips COMMAND sh -c "exit 77")
        set_tests_properties(skips PROPERTIES SKIP_RETURN_CODE 77)
    endif()
endif()
END

# presets KIND EXTRA: one JSON object for each outcome.
presets()
{
    separator=""
    for outcome in good bad empty skipping unconfigured unbuilt; do
        printf '%s{ "name": "%s", ' "$separator" $outcome
        if [ "$1" = configure ]; then
            printf '"generator": "Ninja", "binaryDir": "build/%s",' $outcome
            printf '"cacheVariables": { "OUTCOME": "%s" } }' $outcome
        else
            printf '"configurePreset": "%s", "output": { "outputOnFailure": true } }' $outcome
        fi
        separator=","
    done
}
cat >"$root/CMakePresets.json" <<END
{ "version": 6, "configurePresets": [$(presets configure)],
  "buildPresets": [$(presets build | sed 's/, "output": { "outputOnFailure": true }//g')],
  "testPresets": [$(presets test)] }
END

failed=0
# expect CODE LAST_LINE WORDS PRESET...
expect()
{
    code=$1 last=$2 words=$3 options="" actual=0
    shift 3
    for preset in "$@"; do
        options="$options --preset $preset"
    done
    # shellcheck disable=SC2086 # options are split on purpose
    sh "$root/stress/check.sh" $options >"$root/out" 2>&1 </dev/null || actual=$?
    if [ "$actual" -eq "$code" ] && [ "$(tail -n 1 "$root/out")" = "$last" ] &&
        grep -q -- "$words" "$root/out"; then
        echo "ok: $* -> $last"
    else
        echo "FAILED: $*: exit code $actual, output:"
        cat "$root/out"
        failed=1
    fi
}

expect 0 "2 passed, 0 failed" "good: 2 tests passed" good
expect 1 "2 passed, 1 failed" "the reason" bad
expect 1 "0 passed, 1 failed" "empty: " empty
expect 0 "2 passed, 0 failed" "1 skipped" skipping
expect 1 "0 passed, 1 failed" "does not configure" unconfigured
expect 1 "0 passed, 1 failed" "build FAILED" unbuilt
expect 1 "4 passed, 3 failed" "build FAILED" good bad empty unbuilt
exit $failed
