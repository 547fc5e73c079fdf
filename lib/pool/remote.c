/* SPDX-License-Identifier: MIT */
/* Frees by threads that do not own the pool: see the tables in pool.h. Any thread. */
#include "base/probe.h"
#include "pool/pool.h"

static PM_COLD _Noreturn void fatal_no_block(const struct pm_remote *remote, const char *base,
                                             const void *ptr, const char *function)
{
    size_t offset = (size_t)((const char *)ptr - base) - remote->first;
    size_t block_bytes = remote->block_bytes;
    size_t number = offset / block_bytes;
    if (number >= remote->capacity)
        pm_fatal_not_allocated(function, ptr);
    pm_fatal_interior(function, ptr, base + remote->first + number * block_bytes, block_bytes);
}

void pm_remote_check_block(const struct pm_remote *remote, const char *base, const void *ptr,
                           const char *function)
{
    if (pm_unlikely(!pm_remote_is_block(remote, (uint32_t)((const char *)ptr - base))))
        fatal_no_block(remote, base, ptr, function);
}

/* What one look at the word says has to happen. */
struct step {
    struct pm_place_of at;
    char *base;
    void *head;
    uint64_t word, next;
};

static bool swap(struct pm_remote *remote, struct step *step)
{
    /* Acquire-release. Release: our blocks' links, and what we did with the blocks, are seen by who
     * takes the list. Acquire: a winner that now has the pool sees what all pushers before it and
     * the last owner wrote. Pairs with itself, pm_pool_take_remote and pm_pool_float. */
    return pm_cas_acq_rel(&remote->word, &step->word, step->next);
}

static bool swap_and_publish(struct pm_remote *remote, struct step *step)
{
    pm_floating_lock_acquire();
    bool done = swap(remote, step);
    if (done)
        pm_floating_insert(pm_pool_at(step->at.window, step->at.unit));
    pm_floating_lock_release();
    return done;
}

static bool swap_and_unpublish(struct pm_remote *remote, struct step *step)
{
    pm_floating_lock_acquire();
    bool done = swap(remote, step);
    if (done)
        pm_floating_remove(pm_pool_at(step->at.window, step->at.unit));
    pm_floating_lock_release();
    return done;
}

static void adopt(struct step *step, unsigned live, uint64_t adopter)
{
    struct pm_pool *pool = pm_pool_at(step->at.window, step->at.unit);
    pool->free = step->head;
    pool->count = live;
    pm_pool_set_live_base(pool, live);
    pm_window_set_routes(step->at.window, step->at.unit, pool->units, adopter);
    PM_PROBE4(adopt, pool->class, step->base, live, adopter);
}

/* All carved blocks are on the list. */
static void retire_last(const struct step *step)
{
    struct pm_pool *pool = pm_pool_at(step->at.window, step->at.unit);
    pool->free = step->head;
    pool->count = 0;
    pm_pool_set_live_base(pool, 0);
    pm_pool_retire(pool);
}

/* The pool floats. True: done, with the result. */
static bool push_floating(struct pm_remote *remote, struct step *step, unsigned live,
                          uint64_t adopter, enum pm_push *result)
{
    enum pm_state state = pm_word_state(step->word);
    *result = PM_PUSHED;
    if (live == 0) {
        step->next = pm_word_make(PM_FREE, step->base, NULL, 0);
        *result = PM_PUSH_LAST;
        if (state == PM_PUBLISHED)
            return swap_and_unpublish(remote, step);
        return swap(remote, step);
    }
    if (state == PM_PUBLISHED || live > remote->adopt_live) {
        step->next = pm_word_make(state, step->base, step->head, live);
        return swap(remote, step);
    }
    if (adopter == 0) {
        step->next = pm_word_make(PM_PUBLISHED, step->base, step->head, live);
        return swap_and_publish(remote, step);
    }
    step->next = pm_word_make(PM_OWNED, step->base, NULL, 0);
    *result = PM_PUSH_ADOPTED;
    if (!swap(remote, step))
        return false;
    adopt(step, live, adopter);
    return true;
}

enum pm_push pm_remote_push(struct pm_place_of at, void *head, void *tail, unsigned n,
                            uint64_t adopter, const char *function)
{
    struct pm_remote *remote = pm_remote_at(at.window, at.unit);
    struct step step = {.at = at, .base = pm_window_unit(at.window, at.unit), .head = head};
    step.word = pm_load_acquire(&remote->word); /* as in swap() */
    for (;;) {
        unsigned count = pm_word_count(step.word);
        enum pm_push result;
        pm_block_set_next(tail, pm_word_head(step.word, step.base));
        switch (pm_word_state(step.word)) {
        case PM_FREE:
            pm_fatal_not_allocated(function, head);
        case PM_OWNED:
            if (pm_unlikely(count + n > remote->capacity))
                pm_fatal_double_free(function, head);
            step.next = pm_word_make(PM_OWNED, step.base, head, count + n);
            if (swap(remote, &step))
                return PM_PUSHED;
            break;
        default:
            if (pm_unlikely(n > count))
                pm_fatal_double_free(function, head);
            if (push_floating(remote, &step, count - n, adopter, &result)) {
                if (result == PM_PUSH_LAST)
                    retire_last(&step);
                return result;
            }
        }
    }
}
