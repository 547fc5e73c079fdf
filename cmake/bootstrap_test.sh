#!/bin/sh
# SPDX-License-Identifier: MIT
#
# bootstrap.sh against a make-believe system: a PATH in which dpkg-query,
# apt-get, apt-cache, id and sudo are scripts that record what was asked of them.

# shellcheck disable=SC2016,SC2317 # the fakes expand their variables themselves
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
failed=0

# A PATH with the few tools bootstrap.sh may use and the make-believe ones.
new_system()
{
    rm -rf "${root:?}/bin" "$root/state"
    mkdir "$root/bin" "$root/state"
    for tool in awk cat chmod env grep rm sh tee tr; do
        ln -s "$(command -v $tool)" "$root/bin/$tool"
    done
    fake true "exit 0"
    fake id 'echo "${FAKE_UID:-0}"'
    fake dpkg-query 'for p; do :; done; [ -e "$STATE/has-$p" ] && echo installed'
    fake apt-cache 'echo "  Candidate: $(cat "$STATE/candidate")"'
    fake apt-get 'echo "apt-get $*" >>"$STATE/log"
        [ -e "$STATE/broken" ] && exit 100
        [ -x "$BOOTSTRAP_POLICY_RC_D" ] && echo "services forbidden" >>"$STATE/log"
        for word; do case $word in
            update) echo 1.0 >"$STATE/candidate" ;;
            [a-z]*) : >"$STATE/has-$word" ;;
        esac; done; exit 0'
    echo 1.0 >"$root/state/candidate"
}

fake()
{
    printf '#!/bin/sh\n%s\n' "$2" >"$root/bin/$1"
    chmod 755 "$root/bin/$1"
}

# bootstrap NAME...: run it; exit code in $code, output in $root/out.
bootstrap()
{
    code=0
    PATH=$root/bin STATE=$root/state BOOTSTRAP_POLICY_RC_D=$root/state/policy-rc.d \
        sh "$here/bootstrap.sh" "$@" >"$root/out" 2>&1 </dev/null || code=$?
}

expect()
{
    what=$1
    shift
    if "$@"; then
        echo "ok: $what"
    else
        echo "FAILED: $what"
        cat "$root/out" "$root/state/log" 2>/dev/null || :
        failed=1
    fi
}

said() { grep -q -- "$1" "$root/out"; }
asked() { grep -q -- "$1" "$root/state/log"; }
never_asked() { [ ! -e "$root/state/log" ] || ! asked "$1"; }

new_system
: >"$root/state/has-gcc"
bootstrap gcc
expect "nothing missing: silent success" [ "$code" -eq 0 -a ! -s "$root/out" ]
expect "nothing missing: apt-get is left alone" never_asked apt-get

bootstrap gcc valgrind perl
expect "installs what is missing" [ "$code" -eq 0 -a -e "$root/state/has-perl" ]
expect "says what is missing" said "missing packages: valgrind perl"
expect "installs nothing that is there" never_asked " gcc"
expect "does not update needlessly" never_asked update
expect "forbids services during the installation" asked "services forbidden"
expect "allows services afterwards" [ ! -e "$root/state/policy-rc.d" ]

new_system
: >"$root/state/policy-rc.d"
bootstrap perl
expect "keeps a policy that was there" [ "$code" -eq 0 -a -e "$root/state/policy-rc.d" ]

new_system
echo "(none)" >"$root/state/candidate"
bootstrap test
expect "updates the lists when a package is unknown" asked update
expect "a group is its packages" [ -e "$root/state/has-libcmocka-dev" ]

new_system
: >"$root/state/broken"
bootstrap perl
expect "a failing apt-get is a failure" [ "$code" -eq 1 ]
expect "updates at most once" [ "$(grep -c update "$root/state/log")" -eq 1 ]
expect "allows services after a failure" [ ! -e "$root/state/policy-rc.d" ]

new_system
FAKE_UID=1000
export FAKE_UID
bootstrap perl
expect "without rights: names the packages and fails" [ "$code" -eq 1 ]
expect "without rights: gives the command" said "apt-get install --no-install-recommends perl"
fake sudo 'shift; FAKE_UID=0; export FAKE_UID; echo "sudo $*" >>"$STATE/log"; exec "$@"'
bootstrap perl
expect "through sudo where there is one" [ "$code" -eq 0 -a -e "$root/state/has-perl" ]
expect "apt-get runs under sudo" asked "sudo env DEBIAN_FRONTEND=noninteractive apt-get"
unset FAKE_UID

new_system
rm "$root/bin/dpkg-query"
bootstrap build
expect "no Debian: names the packages and fails" [ "$code" -eq 1 ]
expect "no Debian: says so" said "not a Debian system.*ninja-build"

exit $failed
