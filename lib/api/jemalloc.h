/* SPDX-License-Identifier: MIT */
/*
 * jemalloc's non-standard interface, as its manual page jemalloc(3) describes it in version 5.3,
 * over this allocator: a program that was linked to jemalloc and runs with this library in front
 * must not get some of its blocks from the one and some from the other. Under jemalloc's names
 * where PM_OVERRIDE says so; the pm_je_ names are hidden, and for the tests.
 * docs/jemalloc-names.md says what each name answers here.
 *
 * Any thread may call each of these, at any time that malloc may be called. None allocates but
 * mallocx and rallocx. What the manual calls undefined (size 0, a pointer that is NULL) is taken
 * for what its author most likely meant.
 */
#ifndef PM_API_JEMALLOC_H
#define PM_API_JEMALLOC_H

#include "base/bits.h"

#include <stdbool.h>
#include <stddef.h>

/* The flags: the logarithm of the alignment in the low bits, then PM_JE_ZERO. What lies above
 * names a thread cache and an arena: there is one arena, and each thread uses its own heap, so
 * both are ignored. */
#define PM_JE_LG_ALIGN_MASK 0x3f
#define PM_JE_ZERO 0x40
#define PM_JE_TCACHE_SHIFT 8 /* number + 2; 1: no cache */
#define PM_JE_ARENA_SHIFT 20 /* index + 1 */

/* At least `size` bytes, aligned as the flags say; with PM_JE_ZERO all that the block holds is
 * zero. The caller owns the block as one of malloc. NULL with errno ENOMEM. */
void *pm_je_mallocx(size_t size, int flags) PM_HIDDEN;
/* The block with its size changed, as by realloc, aligned as the flags say. With PM_JE_ZERO what it
 * holds beyond what it held before is zero. NULL with errno ENOMEM: the old block is untouched. */
void *pm_je_rallocx(void *ptr, size_t size, int flags) PM_HIDDEN;
/* Changes the size in place to `size` and, if that can be had, `extra` bytes more. Returns what the
 * block holds afterwards: less than `size` when it cannot grow where it is. PM_JE_ZERO as above. */
size_t pm_je_xallocx(void *ptr, size_t size, size_t extra, int flags) PM_HIDDEN;
/* What the block holds, all of which may be used. */
size_t pm_je_sallocx(const void *ptr, int flags) PM_HIDDEN;
/* free; the second by a caller that knows a size between the one asked for and the one held, which
 * check builds verify. errno is preserved. */
void pm_je_dallocx(void *ptr, int flags) PM_HIDDEN;
void pm_je_sdallocx(void *ptr, size_t size, int flags) PM_HIDDEN;
/* What the block of mallocx(size, flags) would hold; 0: there is none of that size. */
size_t pm_je_nallocx(size_t size, int flags) PM_HIDDEN;

/*
 * The tree of names: reads the value into *oldp, then writes that at newp; either may be NULL.
 * Returns 0, or
 *   ENOENT  there is no such name, or no such index in it
 *   EINVAL  the length of what is written or read is wrong, or nothing is where a value is needed;
 *           of what is read as much is copied as fits both, and *oldlenp says how much
 *   EPERM   a value that can only be read is written, one that can only be written is read, or
 *           a value comes with a name that has none
 *   EAGAIN  no more indexes of arenas or thread caches
 *   EFAULT  the change cannot be made here (each name's row in docs/jemalloc-names.md)
 * errno is preserved.
 */
int pm_je_mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp,
                  size_t newlen) PM_HIDDEN;
/* A name, looked up once: the first *miblenp numbers of it, at most as many as it has parts, of
 * which those that are numbers in the name stand for themselves. ENOENT as above. */
int pm_je_mallctlnametomib(const char *name, size_t *mibp, size_t *miblenp) PM_HIDDEN;
int pm_je_mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp, void *newp,
                       size_t newlen) PM_HIDDEN;

/* A report of the counters, as lines of text or, with a 'J' in opts, as one JSON object; 'g' leaves
 * out what never changes, other letters are ignored. Piece by piece to write_cb(cbopaque, text); to
 * stderr when that is NULL. */
void pm_je_malloc_stats_print(void (*write_cb)(void *, const char *), void *cbopaque,
                              const char *opts) PM_HIDDEN;

#endif
