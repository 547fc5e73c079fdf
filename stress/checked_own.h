/* SPDX-License-Identifier: MIT */
/*
 * Checked calls of what poolmalloc has beyond the C library's names: user heaps, domains, batches,
 * pm_expand, walks. As checked.h: any thread; nothing where the standard names are called.
 *
 * A round is a short life of its own, chosen by the random numbers that it is given: it makes
 * blocks, uses them, and leaves nothing. Ids are taken from *id on. `may_fail`: NULL with ENOMEM is
 * an answer.
 */
#ifndef STRESS_CHECKED_OWN_H
#define STRESS_CHECKED_OWN_H

#include "common.h"
#include "shadow.h"

/* From a heap that all threads share, and that is never destroyed. */
void *shared_heap_malloc(size_t size);

struct round {
    struct rng *rng;
    uint64_t *id;
    bool may_fail;
};

/* A heap is made, filled up to a limit or not, walked, thinned out, and destroyed with the rest. */
void checked_heap_round(const struct round *round);

/* Blocks of a domain are made, resized and freed by its functions. */
void checked_domain_round(const struct round *round);

/* A batch of blocks is made and some are freed one by one, the rest in batches, with NULLs among
 * them. */
void checked_batch_round(const struct round *round, size_t size);

/* pm_expand; whether the block has that size now. */
bool checked_expand(struct block *block, size_t size, uint64_t id);

/* Of this thread's pools, or of the whole process: `block`, which stays meanwhile, is visited once,
 * with its usable size. */
void checked_walk(const struct block *block);

#endif
