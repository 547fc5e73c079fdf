#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Install the Debian packages that are missing.
#
#   sh cmake/bootstrap.sh NAME...
#
# NAME is a package or a group: build, test, bench, real or platforms. Says which
# packages are missing and installs them, as root or through sudo. Where that cannot be done,
# names them and stops with exit code 1. Does nothing, silently and without
# rights, when nothing is missing. No service of an installed package is started.

set -eu

group_build="cmake ninja-build gcc g++ libc6-dev pkg-config python3
    libdw-dev zlib1g-dev libprotobuf-c-dev protobuf-c-compiler"
group_test="libcmocka-dev valgrind git perl sqlite3 redis-server redis-tools spin
    chromium chromium-driver python3-selenium clang libclang-rt-dev llvm
    debhelper lintian abigail-tools mandoc gdb systemtap-sdt-dev
    golang-go google-perftools libjemalloc-dev"
# The real programs of the tests.
group_real="git perl sqlite3 redis-server redis-tools memcached nginx-light postgresql lua5.4 ruby
    nodejs ghostscript imagemagick rustc golang-go mariadb-server-core mariadb-client-core gcc g++
    librocksdb-dev curl make procps python3-dev"
group_bench="libbenchmark-dev libjemalloc2 libmimalloc2.0 libtcmalloc-minimal4 libtbbmalloc2
    valgrind gnuplot-nox redis-server redis-tools memcached nginx-light wrk postgresql lua5.4 ruby
    sqlite3 libglib2.0-dev libgc-dev"
group_platforms="clang musl-tools musl-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"

# Where invoke-rc.d asks whether a service may start; tests put it elsewhere.
policy=${BOOTSTRAP_POLICY_RC_D:-/usr/sbin/policy-rc.d}

say()
{
    echo "bootstrap: $*"
}

give_up()
{
    say "$*" >&2
    exit 1
}

# expand NAME...: the packages of groups and names, each once.
expand()
{
    for name in "$@"; do
        case $name in
        build) echo "$group_build" ;;
        test) echo "$group_test" ;;
        bench) echo "$group_bench" ;;
        real) echo "$group_real" ;;
        platforms) echo "$group_platforms" ;;
        *) echo "$name" ;;
        esac
    done | tr ' ' '\n' | awk '!seen[$0]++'
}

installed()
{
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_of()
{
    for package in "$@"; do
        installed "$package" || echo "$package"
    done
}

# Sets as_root to the words in front of a command that needs root's rights.
find_rights()
{
    if [ "$(id -u)" -eq 0 ]; then
        as_root=""
    elif ! command -v sudo >/dev/null 2>&1; then
        return 1
    elif sudo -n true 2>/dev/null; then
        as_root="sudo -n"
    elif [ -t 0 ]; then
        as_root="sudo"
    else
        return 1
    fi
}

# From here to the exit, installed services are not started.
forbid_services()
{
    [ ! -e "$policy" ] || return 0
    trap '$as_root rm -f "$policy"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
}

apt_get()
{
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 -q -y "$@" </dev/null
}

update_once()
{
    [ "$updated" = no ] || return 1
    updated=yes
    say "updating the package lists"
    apt_get update
}

has_candidate()
{
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep 'Candidate:' | grep -qv '(none)'
}

install_all()
{
    updated=no
    for package in "$@"; do
        has_candidate "$package" || { update_once && break; } || break
    done
    apt_get install --no-install-recommends "$@" && return 0
    # The lists may be older than the archive: once more with new ones.
    update_once && apt_get install --no-install-recommends "$@"
}

main()
{
    [ $# -gt 0 ] || give_up "usage: sh cmake/bootstrap.sh build|test|bench|platforms|PACKAGE..."
    # Package names hold no blanks: the lists are split on purpose.
    # shellcheck disable=SC2046
    set -- $(expand "$@")
    if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
        give_up "this is not a Debian system. Install what corresponds to these" \
            "packages, then build with the presets of CMakePresets.json: $*"
    fi
    # shellcheck disable=SC2046
    set -- $(missing_of "$@")
    [ $# -gt 0 ] || return 0
    say "missing packages: $*"
    find_rights || give_up "not root, and sudo is not to be had." \
        "Let an administrator run: apt-get install --no-install-recommends $*"
    forbid_services
    install_all "$@" || give_up "apt-get failed (see above); needed: $*"
    # shellcheck disable=SC2046
    set -- $(missing_of "$@")
    [ $# -eq 0 ] || give_up "still missing after the installation: $*"
    say "installed all"
}

main "$@"
