/* SPDX-License-Identifier: MIT */
/*
 * Looking at single blocks: which of a pool are free is in its lists, and nowhere else. Of a pool
 * that is another's they are read while its owner may push and pop, hand the pool on or give it
 * back. Nothing that is read is believed before it is checked: each link leads to the start of a
 * block of the pool that the list did not have before, so that a walk ends; and when all is read,
 * word, route and head of the list must be as they were, or it is read again. What keeps it from a
 * crash is that no arena is decommitted meanwhile. Any thread.
 */
#include "pool/pool.h"

/* Neither by AddressSanitizer (free blocks are poisoned) nor by ThreadSanitizer: the owner writes
 * by plain stores, as the fast path must, and what is read of them is checked as said above. */
#if PM_ASAN || PM_TSAN
#define UNWATCHED __attribute__((noinline, no_sanitize_address, no_sanitize_thread))
#else
#define UNWATCHED PM_NOINLINE
#endif

enum { LOOKS_MAX = 4 };

enum look { GONE, CHANGING, STEADY };

/* What only the owner writes. */
struct local {
    const void *free;
    unsigned carved;
};

static UNWATCHED struct local read_local(const struct pm_pool *pool)
{
    return (struct local){__atomic_load_n(&pool->free, __ATOMIC_RELAXED),
                          __atomic_load_n(&pool->carved, __ATOMIC_RELAXED)};
}

/* False: the list leads to what is no block of the pool, or to one twice. */
static UNWATCHED bool mark_list(struct pm_pool_blocks *blocks, const void *block)
{
    while (block != NULL) {
        size_t offset = (uintptr_t)block - (uintptr_t)blocks->first;
        size_t number = offset / blocks->block_bytes;
        if (number >= blocks->carved || offset % blocks->block_bytes != 0)
            return false;
        uint64_t *word = &blocks->is_free[number / 64], bit = (uint64_t)1 << number % 64;
        if ((*word & bit) != 0)
            return false;
        *word |= bit;
        pm_valgrind_pause();
        block = __atomic_load_n((void *const *)block, __ATOMIC_RELAXED);
        pm_valgrind_resume();
    }
    return true;
}

static void begin(struct pm_pool_blocks *blocks, unsigned class, char *base, unsigned carved)
{
    unsigned capacity = pm_class_capacity(class);
    *blocks = (struct pm_pool_blocks){
        .first = base + pm_class_first(class),
        .block_bytes = pm_class_bytes(class),
        .carved = carved < capacity ? carved : capacity,
        .owner = blocks->owner,
    };
}

static enum look look(struct pm_window *w, size_t unit, struct pm_pool_blocks *blocks)
{
    struct pm_remote *remote = pm_remote_at(w, unit);
    const struct pm_pool *pool = pm_pool_at(w, unit);
    char *base = pm_window_unit(w, unit);
    /* Acquire pairs with the release in cut_remote, as in walk.c, and with those of pushers: their
     * links are seen. */
    uint64_t word = pm_load_acquire(&remote->word);
    unsigned class = pm_load_relaxed(&remote->class);
    blocks->owner = pm_load_relaxed(pm_window_route(w, unit));
    if (pm_word_state(word) == PM_FREE || class >= PM_CLASSES ||
        blocks->owner < PM_ROUTE_FLOATING || (blocks->owner & PM_ROUTE_DISTANCE_MASK) != 0)
        return GONE;
    struct local local = read_local(pool);
    begin(blocks, class, base, local.carved);
    bool whole = mark_list(blocks, pm_word_state(word) == PM_OWNED ? local.free : NULL) &&
                 mark_list(blocks, pm_word_head(word, base));
    struct local now = read_local(pool);
    bool same = now.free == local.free && now.carved == local.carved &&
                pm_load_acquire(&remote->word) == word &&
                pm_load_relaxed(pm_window_route(w, unit)) == blocks->owner;
    return whole && same ? STEADY : CHANGING;
}

bool pm_pool_look(struct pm_place_of at, struct pm_pool_blocks *blocks)
{
    enum look result = CHANGING;
    for (unsigned i = 0; i < LOOKS_MAX && result == CHANGING; i++) {
        pm_arena_hold_committed();
        result = look(at.window, at.unit, blocks);
        pm_arena_let_decommit();
    }
    return result != GONE;
}

void pm_pool_look_begin(const struct pm_pool *pool, struct pm_pool_blocks *blocks)
{
    begin(blocks, pool->class, pool->base, pool->carved);
}

void pm_pool_look_owner(const struct pm_pool *pool, struct pm_pool_blocks *blocks)
{
    uint64_t word = pm_load_acquire(&pm_pool_remote(pool)->word); /* the links of who pushed */
    begin(blocks, pool->class, pool->base, pool->carved);
    mark_list(blocks, pool->free);
    mark_list(blocks, pm_word_head(word, pool->base));
}

void *pm_pool_next_live(const struct pm_pool_blocks *blocks, unsigned *next)
{
    for (; *next < blocks->carved; ++*next) {
        if ((blocks->is_free[*next / 64] >> *next % 64 & 1) == 0)
            return blocks->first + (size_t)(*next)++ * blocks->block_bytes;
    }
    return NULL;
}
