/* SPDX-License-Identifier: MIT */
/*
 * Sampling: of all allocations a few are chosen, on average one each so many bytes, and told to
 * whoever asked for it. Each byte that is allocated has the same chance, whatever the size of its
 * block and the habits of the program (a Poisson process).
 *
 * The fast paths know nothing of it, whether it is on or off. What they do is bounded instead. The
 * allocations from a current pool are the blocks that went off its list, and the list is as long as
 * it is; those that a free put there are counted by the free. So with `keep` blocks on the list and
 * the counter of frees set to `frees`, at most keep + frees - 1 allocations can pass before malloc
 * or free takes its slow path. There the real number is known, and the next bounds are set, until
 * the allocation that was chosen is the next one: then the list is empty. What was on the list
 * waits on the pool's remote list, as if another thread had freed it.
 *
 * A sampled block comes from a user heap of its own (one that is larger than any pool's block: is a
 * span as always), so that its free takes a slow path, which tells of it.
 */
#ifndef PM_HEAP_SAMPLE_H
#define PM_HEAP_SAMPLE_H

#include "heap/heap.h"

/* Who is told. Each function is called by the thread whose block it is, under no lock. What it
 * allocates itself is never sampled. It must not wait for a thread that allocates. */
struct pm_sampler {
    /* The block holds so many bytes, and is about to be returned. */
    void (*taken)(void *block, size_t bytes);
    /* It is about to be freed. Also called for blocks that were never told of. */
    void (*freed)(void *block);
    /* A large block may be about to go elsewhere: what is known of it, NULL for nothing. Then,
     * unless it was NULL: it is where it was; or, with NULL, it is no more. */
    void *(*lifted)(void *block);
    void (*laid)(void *record, void *block);
};

struct pm_sampling {
    /* Relaxed, all of them: a thread that sees a change later begins or ends later. */
    _Atomic uint64_t mean_bytes; /* 0: off */
    _Atomic uint64_t epoch;      /* of starts: heaps draw anew */
    _Atomic uint64_t seed;
    _Atomic uint64_t every; /* not 0, for tests: each so many allocations of a class, exactly */
    /* Release and acquire: who sees it can call it, and allocate in `heap`. Never NULL again. */
    const struct pm_sampler *_Atomic sampler;
    struct pm_user_heap *_Atomic heap; /* of the sampled blocks; the same */
};
extern struct pm_sampling pm_sampling PM_HIDDEN;

PM_INLINE bool pm_sampling_on(void)
{
    return pm_load_relaxed(&pm_sampling.mean_bytes) != 0;
}

/* True: blocks that were sampled may be live. */
PM_INLINE bool pm_sampling_was_on(void)
{
    return pm_load_relaxed(&pm_sampling.sampler) != NULL;
}

/* The sampler, which stays for ever, and there is one. False: out of memory, nothing has changed.
 * Any thread. */
bool pm_sampling_prepare(const struct pm_sampler *sampler);
/* Then: one byte in `mean_bytes` (not 0) is sampled from now on, with 1 each block; a rate that was
 * set before ends. */
void pm_sampling_start(uint64_t mean_bytes);
/* No further blocks are sampled; frees of those that were are told still. */
void pm_sampling_stop(void);

/* ---- for the slow paths, while sampling is on ---- */

/* As pm_heap_refill; the block may be a sampled one. */
void *pm_sample_refill(struct pm_heap *heap, unsigned class, bool *zero);
/* A sampled block for a thread without a heap, or NULL: this one is not chosen. */
void *pm_sample_cold(unsigned class);
/* The large block may be chosen. */
void pm_sample_span(void *block, size_t bytes);
/* The counter of frees of the heap's current pool has reached its bound. */
void pm_sample_look(struct pm_heap *heap, struct pm_pool *pool);

/* ---- while blocks that were sampled may be live ---- */

void pm_sample_freed(void *block);
/* A large block has another size, in its place: as if it had been freed and allocated anew. */
void pm_sample_resized(void *block, size_t bytes);
/* Around a move of a large block; `moved` NULL: there was none. */
void *pm_sample_lift(void *block);
void pm_sample_lay(void *record, void *block, void *moved, size_t bytes);

#endif
