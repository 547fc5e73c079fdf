/* SPDX-License-Identifier: MIT */
/*
 * What the C++ programs of this folder share: the forms of operator new and delete as a table, the
 * counters of the library that serves them, and whether it is ours at all. How the program came to
 * it: CXX_REACHED, set by the build.
 */
#ifndef STRESS_CXX_HPP
#define STRESS_CXX_HPP

#include "check.h"
#include "poolmalloc/poolmalloc.h"

#include <cstddef>
#include <cstdint>
#include <new>

/* Not at all: the C++ runtime's own operators, to see that a test is right; linked to
 * libpoolmalloc.a; to libpoolmalloc.so; linked to no allocator, LD_PRELOAD. */
#define CXX_RUNTIME 0
#define CXX_STATIC 1
#define CXX_SHARED 2
#define CXX_PRELOAD 3
#ifndef CXX_REACHED
#define CXX_REACHED CXX_RUNTIME
#endif

/* Some form of operator new, and the forms of operator delete that take its blocks. */
struct maker {
    const char *name;
    void *(*make)(std::size_t size, std::size_t alignment);
    bool aligned, nothrow, array;
};

struct taker {
    const char *name;
    void (*take)(void *block, std::size_t size, std::size_t alignment);
    bool aligned, array;
};

constexpr int maker_count = 8, taker_count = 12;
extern const maker makers[maker_count];
extern const taker takers[taker_count];

inline bool fits(const maker &maker, const taker &taker)
{
    return maker.aligned == taker.aligned && maker.array == taker.array;
}

/* The first that fits. */
void take(const maker &maker, void *block, std::size_t size, std::size_t alignment);

/* Hides a value from the compiler, which else warns of what is too large, or drops pairs. */
inline std::size_t opaque(std::size_t size)
{
    __asm__ volatile("" : "+r"(size));
    return size;
}

/* More than there ever is. */
inline std::size_t too_much()
{
    return opaque(static_cast<std::size_t>(PTRDIFF_MAX) - 4096);
}

/* poolmalloc's counters. */
pm_stats counters();

/* Fails the program unless every operator is poolmalloc's own. */
void check_that_operators_are_ours();

struct property {
    const char *name;
    void (*test)();
};

/* What main does: tests all properties, or the one that the first argument names. */
int run(int count, char **arguments, const property *properties, std::size_t number);

/* clang-format off */
#define PROPERTY(name) {#name, name}
/* clang-format on */

#endif
