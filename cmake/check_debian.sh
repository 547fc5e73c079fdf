#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The Debian packages: built from a copy of the tree, source and binary, looked at by lintian, and
# used as they are unpacked.
#
#   check_debian.sh ROOT [FOLDER]
#
# The tests of the tree are not run by it. With FOLDER the packages stay there. Exit status 77:
# what it takes is not installed; the output says what.

set -eu

root=$1 keep=${2:-}

skip()
{
    echo "debian: skipped: $*; sh cmake/bootstrap.sh test installs it"
    exit 77
}

fail()
{
    echo "debian: $*"
    exit 1
}

for tool in dpkg-buildpackage dh lintian; do
    command -v $tool >/dev/null || skip "$tool is missing"
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
version=$(sed -n 's/^    VERSION \([0-9.]*\)$/\1/p' "$root/CMakeLists.txt")
[ "$(dpkg-parsechangelog -l "$root/debian/changelog" -S Version)" = "$version" ] ||
    fail "debian/changelog is not of version $version"
unset LD_PRELOAD LD_LIBRARY_PATH POOLMALLOC_OPTIONS MAKEFLAGS DESTDIR

mkdir "$folder/tree"
tar -C "$root" --exclude=./build --exclude=./.git -cf - . | tar -C "$folder/tree" -xf -
(cd "$folder/tree" && dpkg-checkbuilddeps -P nocheck 2>"$folder/log") ||
    skip "$(sed 's/.*: //' "$folder/log") is missing"
DEB_BUILD_OPTIONS="nocheck noautodbgsym parallel=$(nproc)"
export DEB_BUILD_OPTIONS
(cd "$folder/tree" && dpkg-buildpackage -us -uc -Pnocheck) >"$folder/log" 2>&1 ||
    { cat "$folder/log"; fail "not built"; }
echo "debian: built $(cd "$folder" && echo *.dsc *.deb)"

# Without overrides. (UNRELEASED in the changelog keeps it from asking for what only an upload must
# have, as the bug that a first one closes.)
lintian --profile debian --allow-root --no-cfg --fail-on error,warning --tag-display-limit 0 \
    "$folder"/*.changes || fail "lintian has something to say"

# expect PACKAGE PATTERN...: the files that it must have.
expect()
{
    package=$1
    shift
    dpkg-deb -c "$folder/$package"_*.deb | awk '{ print $6 }' >"$folder/files"
    for pattern in "$@"; do
        grep -qx "\\./usr/$pattern" "$folder/files" || fail "$package lacks $pattern"
    done
    dpkg-deb -x "$folder/$package"_*.deb "$folder/installed"
}

expect libpoolmalloc0 'lib/[^/]*/libpoolmalloc\.so\.0' 'lib/[^/]*/libpoolmalloc\.so\.0\.[0-9.]*'
! grep -q '/man\|/include\|/bin' "$folder/files" || fail "libpoolmalloc0 has more than a library"
expect libpoolobject0 'lib/[^/]*/libpoolobject\.so\.0' 'lib/[^/]*/libpoolobject\.so\.0\.[0-9.]*'
expect libpoolmalloc-dev 'include/poolmalloc/poolmalloc\.h' 'include/poolmalloc/allocator\.hpp' \
    'lib/[^/]*/libpoolmalloc\.so' 'lib/[^/]*/libpoolmalloc\.a' 'lib/[^/]*/libpoolmalloc_pm\.a' \
    'lib/[^/]*/libpoolobject\.so' 'lib/[^/]*/libpoolobject\.a' 'share/man/man3/poolobject\.3\.gz' \
    'lib/[^/]*/pkgconfig/poolmalloc\.pc' 'lib/[^/]*/pkgconfig/poolmalloc-pm\.pc' \
    'lib/[^/]*/cmake/poolmalloc/poolmallocConfig\.cmake' 'share/man/man3/poolmalloc\.3\.gz'
expect poolmalloc bin/poolmalloc 'share/man/man1/poolmalloc\.1\.gz' \
    'share/man/man5/poolmalloc\.5\.gz' share/bash-completion/completions/poolmalloc
depends=$(dpkg-deb -f "$folder"/libpoolmalloc0_*.deb Depends)
[ "$(echo "$depends" | sed 's/ ([^)]*)//g')" = libc6 ] || fail "libpoolmalloc0 depends on $depends"

# dpkg-shlibdeps does not look at what packed relocations ask of the loader.
library=$(find "$folder/installed" -name 'libpoolmalloc.so.0.*')
! readelf -d "$library" | grep -q RELR || [ "$depends" = 'libc6 (>= 2.36)' ] ||
    fail "libpoolmalloc0 has packed relocations, and depends on $depends"

# The package's own test, on what was unpacked instead of installed.
libraries=$(dirname "$(find "$folder/installed" -name libpoolmalloc.so)")
PATH=$folder/installed/usr/bin:$PATH LD_LIBRARY_PATH=$libraries \
    PKG_CONFIG_PATH=$libraries/pkgconfig \
    sh "$folder/tree/debian/tests/linked" >"$folder/log" 2>&1 ||
    { cat "$folder/log"; fail "debian/tests/linked failed"; }
echo "debian: ok"
if [ -n "$keep" ]; then
    mkdir -p "$keep"
    find "$folder" -maxdepth 1 -type f -name 'poolmalloc_*' -exec cp {} "$keep" \;
    find "$folder" -maxdepth 1 -type f -name '*.deb' -exec cp {} "$keep" \;
fi
