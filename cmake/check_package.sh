#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a user does with an installed poolmalloc:
#
#   check_package.sh BUILD_DIR CC CMAKE [CXX]
#
# installs to a prefix of its own, moves that to another place, with a blank in
# its name, and builds small programs against it by find_package and by pkg-config:
# shared, static and with pm_ names only; some once more against the folder of the
# build. Of every program it is seen whose malloc it calls: one that silently got
# another must not pass. With a C++ compiler the same of operator new and of
# allocator.hpp.

set -eu

build=$1 cc=$2 cmake=$3 cxx=${4:-}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
unset LD_PRELOAD LD_LIBRARY_PATH POOLMALLOC_OPTIONS

fail()
{
    echo "package: $*"
    exit 1
}

# quietly WORDS...: what it prints is shown if it fails.
quietly()
{
    "$@" >"$root/log" 2>&1 || { cat "$root/log"; fail "failed: $*"; }
}

quietly "$cmake" --install "$build" --prefix "$root/first"
mkdir "$root/second place"
mv "$root/first" "$root/second place/prefix"
prefix=$root/second\ place/prefix

for page in man1/poolmalloc.1 man3/poolmalloc.3 man3/poolobject.3 man5/poolmalloc.5; do
    [ -s "$prefix/share/man/$page" ] || fail "no manual page $page"
done
for name in static poolmalloc pm object object_static; do
    grep -rq "poolmalloc::$name " "$prefix" || fail "no target poolmalloc::$name"
done
# The files that users' builds read name no place of the machine that built.
! grep -rlF -e "$root/first" -e "$build" "$prefix" --include='*.cmake' --include='*.pc' ||
    fail "these files name where it was built or installed first"

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
cat >"$root/consumer/pm.c" <<'END'
#include <poolmalloc/heap.h>
#include <stdio.h>
#include <stdlib.h>

/* Two allocators: each takes back what is its own, and poolmalloc knows only what is its own. */
int main(void)
{
    pm_user_heap *heap = pm_heap_new(0);
    char *volatile mine = pm_malloc(100);
    char *volatile theirs = malloc(100);
    char *volatile third = pm_heap_malloc(heap, 100);
    if (mine == NULL || theirs == NULL || third == NULL)
        return 1;
    if (!pm_owns(mine) || !pm_owns(third) || pm_owns(theirs))
        return 2;
    snprintf(mine, 100, "linked");
    puts(mine);
    pm_heap_destroy(heap);
    pm_free(mine);
    free(theirs);
    return 0;
}
END
cat >"$root/consumer/object.c" <<'END'
#include <poolmalloc/object.h>
#include <stdio.h>
#include <stdlib.h>

static struct pm_type word = {.name = "word", .size = sizeof(struct pm_var_object), .item_size = 1};

/* An object of the one library, of memory of the other. */
int main(void)
{
    void *volatile block = malloc(100);
    void *volatile other = pm_malloc(100);
    if (!pm_object_thread_attach())
        return 1;
    struct pm_var_object *object = pm_object_new_var(&word, 8);
    if (object == NULL || !pm_owns(object))
        return 2;
    snprintf((char *)(object + 1), 8, "linked");
    puts((char *)(object + 1));
    pm_decref(&object->object);
    pm_object_thread_detach();
    pm_free(other);
    free(block);
    return 0;
}
END
cat >"$root/consumer/object_only.c" <<'END'
#include <poolmalloc/values.h>

/* Asks nothing of libpoolmalloc itself. */
int main(void)
{
    if (!pm_object_thread_attach())
        return 1;
    struct pm_object *number = pm_int_new(1000);
    if (number == NULL || pm_int_get(number) != 1000)
        return 2;
    pm_decref(number);
    pm_object_thread_detach();
    return 0;
}
END
cat >"$root/consumer/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES C)
find_package(poolmalloc 0.1 REQUIRED COMPONENTS object)
foreach(kind poolmalloc static)
    add_executable(use_${kind} main.c)
    target_link_libraries(use_${kind} PRIVATE poolmalloc::${kind})
endforeach()
add_executable(use_pm pm.c)
target_link_libraries(use_pm PRIVATE poolmalloc::pm)
add_executable(use_object object.c)
target_link_libraries(use_object PRIVATE poolmalloc::object)
add_executable(use_object_static object.c)
target_link_libraries(use_object_static PRIVATE poolmalloc::object_static poolmalloc::pm)
END

# bindings NAME PROGRAM: what the loader bound NAME to, in the program itself.
bindings()
{
    LD_BIND_NOW=1 LD_DEBUG=bindings "$2" 2>&1 | grep -F "binding file $2 " | grep "symbol .$1'" || :
}

# expect_malloc_of LIBRARY|own|libc PROGRAM: run it, and see whose malloc it called.
expect_malloc_of()
{
    [ "$("$2")" = linked ] || fail "$2 failed"
    case $1 in
    own)
        nm "$2" | grep -q ' T malloc$' || fail "$2 has no malloc"
        ! nm "$2" | grep -q ' _Znwm$' || fail "$2, a C program, has C++"
        ;;
    libc)
        nm "$2" | grep -q ' T pm_malloc$' || fail "$2 has no pm_malloc"
        ! nm "$2" | grep -q ' [TW] malloc$' || fail "$2 has a malloc of its own"
        bindings malloc "$2" | grep -q 'libc\.' || fail "$2 did not bind malloc to the C library"
        ;;
    *)
        bindings malloc "$2" | grep -q "$1" || fail "$2 did not bind malloc to $1"
        bindings pm_malloc "$2" | grep -q "$1.*POOLMALLOC_0.1" || fail "$2: no version"
        ;;
    esac
    echo "package: $(basename "$2") ok"
}

quietly "$cmake" -S "$root/consumer" -B "$root/cmake" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_PREFIX_PATH="$prefix"
quietly "$cmake" --build "$root/cmake"
expect_malloc_of libpoolmalloc.so.0 "$root/cmake/use_poolmalloc"
expect_malloc_of own "$root/cmake/use_static"
expect_malloc_of libc "$root/cmake/use_pm"
expect_malloc_of libpoolmalloc.so.0 "$root/cmake/use_object"
bindings pm_object_new_var "$root/cmake/use_object" |
    grep -q 'libpoolobject.so.0.*POOLOBJECT_0.1' ||
    fail "use_object did not bind pm_object_new_var to libpoolobject"
expect_malloc_of libc "$root/cmake/use_object_static"

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name poolmalloc.pc)")
export PKG_CONFIG_PATH
libdir=$(dirname "$PKG_CONFIG_PATH")

# link PROGRAM COMPILER SOURCE PACKAGE [OPTION [LINKER OPTION]...]: as a makefile does, whose shell
# reads pkg-config's quotes.
link()
{
    program=$root/$1 compiler=$2 source=$root/consumer/$3 package=$4 how=${5:-}
    [ $# -lt 5 ] && shift 4 || shift 5
    eval "set -- \"\$@\" $(pkg-config $how --cflags --libs "$package")"
    quietly "$compiler" -o "$program" "$source" "$@"
}

link pc_shared "$cc" main.c poolmalloc "" -Wl,-rpath,"$libdir"
expect_malloc_of libpoolmalloc.so.0 "$root/pc_shared"
link pc_static "$cc" main.c poolmalloc --static -static
expect_malloc_of own "$root/pc_static"
link pc_pm "$cc" pm.c poolmalloc-pm
expect_malloc_of libc "$root/pc_pm"
link pc_object "$cc" object.c poolmalloc-object "" -Wl,-rpath,"$libdir"
expect_malloc_of libpoolmalloc.so.0 "$root/pc_object"
# A linker that leaves out what the program itself does not ask for: libpoolobject's own needs are
# not looked for where the program says, so the program has to need libpoolmalloc.
link pc_object_only "$cc" object_only.c poolmalloc-object "" -Wl,--as-needed -Wl,-rpath,"$libdir"
"$root/pc_object_only" || fail "pc_object_only failed"
readelf -d "$root/pc_object_only" | grep -q 'NEEDED.*libpoolmalloc\.so' ||
    fail "pc_object_only does not need libpoolmalloc"
echo "package: pc_object_only ok"
link pc_object_static "$cc" object.c poolmalloc-object --static -static
expect_malloc_of own "$root/pc_object_static"
# The allocator static, the rest not.
quietly "$cc" -o "$root/archive" "$root/consumer/main.c" -I"$prefix/include" \
    "$libdir/libpoolmalloc.a" -pthread
expect_malloc_of own "$root/archive"

# Without installing, from the folder of the build.
quietly "$cmake" -S "$root/consumer" -B "$root/uninstalled" -DCMAKE_C_COMPILER="$cc" \
    -Dpoolmalloc_DIR="$build"
quietly "$cmake" --build "$root/uninstalled"
expect_malloc_of libpoolmalloc.so.0 "$root/uninstalled/use_poolmalloc"
expect_malloc_of libc "$root/uninstalled/use_pm"
installed=$PKG_CONFIG_PATH
PKG_CONFIG_PATH=$build
link pc_uninstalled "$cc" pm.c poolmalloc-pm
expect_malloc_of libc "$root/pc_uninstalled"
PKG_CONFIG_PATH=$installed

# A file, as many programs close stdout and stderr themselves.
"$prefix/bin/poolmalloc" run --options=stats_at_exit="$root/stats" sort /dev/null
grep -q '^mallocs: [1-9]' "$root/stats" || fail "poolmalloc run: the program has another malloc"
echo "package: poolmalloc run ok"

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
link pc_cxx_shared "$cxx" main.cc poolmalloc "" -std=c++17 -Wl,-rpath,"$libdir"
[ "$("$root/pc_cxx_shared")" = linked ] || fail "pc_cxx_shared failed"
bindings _Znwm "$root/pc_cxx_shared" | grep -q libpoolmalloc.so.0 || fail "operator new is not ours"
link pc_cxx_static "$cxx" main.cc poolmalloc --static -std=c++17 -static
[ "$("$root/pc_cxx_static")" = linked ] || fail "pc_cxx_static failed"
nm "$root/pc_cxx_static" | grep -q ' W _Znwm$' ||
    fail "operator new of the static program is not ours"
echo "package: C++ ok"
