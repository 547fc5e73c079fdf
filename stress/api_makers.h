/* SPDX-License-Identifier: MIT */
/*
 * The entry points of the conformance program as tables: all that make a block, all that take one
 * back. Single-threaded.
 */
#ifndef STRESS_API_MAKERS_H
#define STRESS_API_MAKERS_H

#include <stdbool.h>
#include <stddef.h>

/* How a maker tells that it failed. */
enum told { by_errno, by_code };

struct maker {
    const char *name;
    /* For those that take none, the alignment is ignored. NULL: failed, errno says why; for
     * posix_memalign the code is put into errno, after a check that the call left it alone. */
    void *(*make)(size_t alignment, size_t size);
    size_t least_alignment; /* 0: it takes none */
    enum told told;
    bool pages; /* aligned to pages, without being asked */
};

enum { maker_count = 9 };
extern const struct maker makers[maker_count];

/* The block, or a failed CHECK; it is aligned, and its usable size is large enough. */
void *must_make(const struct maker *maker, size_t alignment, size_t size);

/* How a block may be given back: by what it was made. */
struct taker {
    const char *name;
    void (*take)(void *block, size_t alignment, size_t size);
    bool (*allowed)(const struct maker *maker);
};

enum { taker_count = 6 };
extern const struct taker takers[taker_count];

/* Sizes of every kind: of no, of small and medium classes, large blocks within an arena and of
 * several, with the geometry of the usual and of the classic build; fewer where watched. */
extern const size_t kinds[];
extern const size_t kind_count;

#endif
