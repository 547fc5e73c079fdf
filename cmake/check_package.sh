#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a user does with an installed poolmalloc:
#
#   check_package.sh BUILD_DIR CC CMAKE [CXX]
#
# installs to a prefix of its own and builds a small program against it by
# find_package and by pkg-config, shared and static each time. Of every program
# it is seen whose malloc it calls: one that silently got the C library's must
# not pass. With a C++ compiler the same of operator new and of allocator.hpp.

set -eu

build=$1 cc=$2 cmake=$3 cxx=${4:-}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
prefix=$root/prefix
"$cmake" --install "$build" --prefix "$prefix" >"$root/install.log" ||
    { cat "$root/install.log"; exit 1; }

[ -n "$(find "$prefix" -path '*/man5/poolmalloc.5')" ] || { echo "package: no manual"; exit 1; }

mkdir "$root/consumer"
cat >"$root/consumer/main.c" <<'END'
#include <poolmalloc/poolmalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* free() of the one and malloc() of the other only agree in one allocator. */
int main(void)
{
    char *volatile mine = malloc(100);
    char *volatile theirs = pm_malloc(100);
    if (mine == NULL || theirs == NULL)
        return 1;
    strcpy(mine, "linked");
    strcpy(theirs, mine);
    if (pm_malloc_usable_size(mine) != pm_malloc_usable_size(theirs))
        return 2;
    puts(theirs);
    pm_free(mine);
    free(theirs);
    return 0;
}
END
cat >"$root/consumer/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(poolmalloc 0.1 REQUIRED)
foreach(kind poolmalloc static)
    add_executable(use_${kind} main.c)
    target_link_libraries(use_${kind} PRIVATE poolmalloc::${kind})
endforeach()
END

# expect_malloc_of LIBRARY|own PROGRAM: run it, and see whose malloc it called.
expect_malloc_of()
{
    [ "$("$2")" = linked ] || { echo "package: $2 failed"; exit 1; }
    if [ "$1" = own ]; then
        nm "$2" | grep -q ' T malloc$' || { echo "package: $2 has no malloc"; exit 1; }
        ! nm "$2" | grep -q ' _Znwm$' || { echo "package: $2, a C program, has C++"; exit 1; }
    else
        LD_DEBUG=bindings "$2" 2>&1 | grep "symbol .malloc'" | grep -q "$1" ||
            { echo "package: $2 did not bind malloc to $1"; exit 1; }
    fi
    echo "package: $(basename "$2") ok"
}

"$cmake" -S "$root/consumer" -B "$root/cmake" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_PREFIX_PATH="$prefix" >"$root/configure.log" || { cat "$root/configure.log"; exit 1; }
"$cmake" --build "$root/cmake" >"$root/build.log" || { cat "$root/build.log"; exit 1; }
expect_malloc_of libpoolmalloc.so.0 "$root/cmake/use_poolmalloc"
expect_malloc_of own "$root/cmake/use_static"

pc=$(find "$prefix" -name poolmalloc.pc)
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
libdir=$(pkg-config --variable=libdir poolmalloc)
# shellcheck disable=SC2046 # the words of pkg-config are meant to be split
"$cc" -o "$root/pc_shared" "$root/consumer/main.c" \
    $(pkg-config --cflags --libs poolmalloc) -Wl,-rpath,"$libdir"
expect_malloc_of libpoolmalloc.so.0 "$root/pc_shared"
# shellcheck disable=SC2046
"$cc" -static -o "$root/pc_static" "$root/consumer/main.c" \
    $(pkg-config --static --cflags --libs poolmalloc)
expect_malloc_of own "$root/pc_static"

[ -n "$cxx" ] || exit 0

cat >"$root/consumer/main.cc" <<'END'
#include <poolmalloc/allocator.hpp>
#include <cstdio>
#include <string>
#include <vector>

int main()
{
    std::vector<std::string, poolmalloc::allocator<std::string>> words(1, std::string(99, 'x'));
    words.push_back("linked");
    int *volatile number = new int(7);
    if (pm_malloc_usable_size(number) == 0)
        return 1;
    delete number;
    std::puts(words.back().c_str());
    return 0;
}
END
# shellcheck disable=SC2046
"$cxx" -std=c++17 -o "$root/pc_cxx_shared" "$root/consumer/main.cc" \
    $(pkg-config --cflags --libs poolmalloc) -Wl,-rpath,"$libdir"
[ "$("$root/pc_cxx_shared")" = linked ] || { echo "package: pc_cxx_shared failed"; exit 1; }
LD_DEBUG=bindings "$root/pc_cxx_shared" 2>&1 | grep "symbol ._Znwm'" |
    grep -q libpoolmalloc.so.0 || { echo "package: operator new is not ours"; exit 1; }
# shellcheck disable=SC2046
"$cxx" -std=c++17 -static -o "$root/pc_cxx_static" "$root/consumer/main.cc" \
    $(pkg-config --static --cflags --libs poolmalloc)
[ "$("$root/pc_cxx_static")" = linked ] || { echo "package: pc_cxx_static failed"; exit 1; }
nm "$root/pc_cxx_static" | grep -q ' W _Znwm$' ||
    { echo "package: operator new of the static program is not ours"; exit 1; }
echo "package: C++ ok"
