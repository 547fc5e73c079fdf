/* SPDX-License-Identifier: MIT */
/*
 * The shadow model of live blocks: what the allocator must not break, kept apart from it.
 *
 * Every live block is filled with words derived from (seed, id, size, alignment), so that a block
 * whose contents were lost, swapped with another's or overwritten is recognised. Beside it, a map
 * with one bit per 8 bytes of address space says which bytes are in a live block: an overlap is
 * seen when the second block is handed out, before anything is written.
 *
 * The map is a lock-free table whose accesses are all relaxed: the model must add no happens-before
 * edge between threads, or a thread sanitizer would miss a race in the allocator. Relaxed is enough
 * for the model itself, because a block's release and its next hand-out are ordered by the
 * allocator: if they are not, the model reports an overlap, and rightly so.
 *
 * A struct block belongs to one thread at a time; any thread may call any function.
 */
#ifndef STRESS_SHADOW_H
#define STRESS_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block {
    unsigned char *address;
    size_t size_bytes;
    size_t alignment; /* asked for; 0 where the call took none */
    uint64_t id;      /* unique in the run */
    unsigned hops;    /* how often it is still passed on; no part of the pattern */
    unsigned maker;   /* which sized call may free it (checked.c); no part either */
};

/* Sets the seed of all patterns and makes the map; once, before the threads. */
void shadow_start(uint64_t seed);

/* Makes the whole map resident, so that it does not grow under who measures. */
void shadow_populate(void);

/* A block was handed out: checks alignment and overlap, then fills it. */
void shadow_add(const struct block *block);

/* Looks at both ends of the block and at a few words chosen by `where`. */
void shadow_glance(const struct block *block, uint64_t where);

/* Checks the whole block. */
void shadow_verify(const struct block *block);

/* Checks the whole block and takes it out of the map; call before the allocator gets it back. */
void shadow_remove(const struct block *block);

/* A block that shadow_remove took out stays after all: realloc failed. */
void shadow_restore(const struct block *block);

/* realloc made `now` of `before`: checks the kept bytes, then does what shadow_add does. */
void shadow_resized(const struct block *before, const struct block *now);

/* Checks that a block from calloc is zero, before shadow_add fills it. */
void shadow_check_zero(const struct block *block);

/* Fails unless no byte is in a live block; returns how many pages the run touched. */
size_t shadow_check_empty(void);

#endif
