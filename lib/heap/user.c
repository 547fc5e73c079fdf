/* SPDX-License-Identifier: MIT */
/*
 * User heaps: allocation and frees. See user.h; making, destroying and walking are in user_extra.c.
 *
 * A pool's `count` is its live blocks, its `link` is in the heap's list of its class: first the
 * pools with a free block, then the full ones. So the first pool serves, or none does.
 *
 *   from            to              when
 *   arena           first           no pool of the class has a free block
 *   first           last            its last free block was handed out
 *   anywhere        first           a block of a full pool is freed
 *   anywhere        arena           its last live block is freed, and another pool has a free
 * block; of a hardened heap: none of it waits either (harden.h) first           arena           no
 * block of it is live when memory is purged
 *
 * Whose a pool is stands in `user` of its remote line, and changes only under the lock of the heap
 * that it belongs to. So a free reads it, takes that lock, and reads it again: if it is another
 * now, or none, the heap was destroyed in between, and the block with it. Shells are recycled,
 * never unmapped, so that the lock can be taken whatever happened.
 */
#include "heap/harden.h"
#include "heap/internal.h"
#include "heap/user.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

static struct pm_pool *pool_of_link(struct pm_link *link)
{
    return pm_container_of(link, struct pm_pool, link);
}

static bool has_room(const struct pm_pool *pool)
{
    return pool->free != NULL || pool->carved < pool->capacity;
}

/* Others may look how many that are. */
static void set_live(struct pm_pool *pool, unsigned blocks)
{
    pool->count = blocks;
    pm_pool_set_live_base(pool, blocks);
}

static bool within_limit(const struct pm_user_heap *heap, size_t more_bytes)
{
    return heap->bytes <= heap->limit_bytes && more_bytes <= heap->limit_bytes - heap->bytes;
}

/* Whether a large block for n bytes may take the place of `have` ones. */
static bool span_within_limit(const struct pm_user_heap *heap, size_t have, size_t n)
{
    size_t bytes = pm_span_good_bytes(n); /* what it will count */
    return bytes != 0 && (bytes <= have || within_limit(heap, bytes - have));
}

void pm_user_enter(struct pm_user_heap *heap, const char *function)
{
    pm_lock_acquire(&heap->lock);
    if (pm_unlikely(!heap->in_use))
        pm_fatal_no_heap(function, heap);
}

/* Its routes are set last: until then nobody takes it for a user heap's. */
static struct pm_pool *add_pool(struct pm_user_heap *heap, unsigned class)
{
    struct pm_run run;
    unsigned units = pm_class_units(class);
    size_t bytes = (size_t)units << PM_UNIT_SHIFT;
    if (!within_limit(heap, bytes) || !pm_arena_take_run(units, &run))
        return NULL;
    struct pm_pool *pool = pm_pool_cut(&run, class, PM_ROUTE_VOID);
    struct pm_window *w = pm_window_find(run.base);
    /* Release: see pm_user_of_run. */
    pm_store_release(&pm_pool_remote(pool)->user, heap);
    pm_window_set_routes(w, pm_window_index(w, run.base), units, PM_ROUTE_USER);
    pool->place = PM_PLACE_PARKED;
    pm_list_push(&heap->pools[class], &pool->link);
    heap->bytes += bytes;
    pm_arena_settle();
    return pool;
}

static struct pm_pool *pool_with_room(struct pm_user_heap *heap, unsigned class)
{
    if (!pm_list_empty(&heap->pools[class])) {
        struct pm_pool *first = pool_of_link(heap->pools[class].next);
        if (has_room(first))
            return first;
    }
    return add_pool(heap, class);
}

/* What is being asked for. */
struct wanted {
    size_t n, align;
    bool zero; /* it is to read as zero; what is found does */
    const char *function;
};

static void *take_block(struct pm_user_heap *heap, struct pm_pool *pool, struct wanted *wanted)
{
    if (!pm_hardened())
        return pm_heap_take_block(pool, &wanted->zero);
    wanted->zero = pm_harden_now->zero;
    return pm_harden_take(heap, pool, wanted->n, wanted->function);
}

static void *alloc_in_pool(struct pm_user_heap *heap, unsigned class, struct wanted *wanted)
{
    struct pm_pool *pool = pool_with_room(heap, class);
    if (pool == NULL)
        return NULL;
    void *block = take_block(heap, pool, wanted);
    set_live(pool, pool->count + 1);
    if (!has_room(pool)) {
        pm_list_remove(&pool->link);
        pm_list_push_back(&heap->pools[class], &pool->link);
    }
    pm_assert(pm_harden_is_sound(heap, pool));
    return block;
}

static void *alloc_span(struct pm_user_heap *heap, struct wanted *wanted)
{
    size_t n = wanted->n, bytes = pm_hardened() ? pm_harden_span_bytes(n, wanted->align) : n;
    if (!span_within_limit(heap, 0, bytes))
        return NULL;
    void *start = pm_span_alloc(bytes, wanted->align, &wanted->zero), *block = start;
    if (start == NULL)
        return NULL;
    struct pm_window *w = pm_window_find(start);
    size_t unit = pm_window_index(w, start);
    if (pm_hardened())
        block = pm_harden_lay_large(heap, start, n, wanted->align, &wanted->zero);
    pm_store_release(&pm_remote_at(w, unit)->user, heap);
    pm_list_push(&heap->spans, pm_span_link(w, unit));
    heap->bytes += pm_span_usable(w, start, "");
    pm_asan_unpoison(block, pm_align_up(n, PM_UNIT_BYTES));
    return block;
}

/* The smallest class for it, or PM_CLASSES: it is a large block. */
static unsigned class_for(size_t n, size_t align)
{
    if (align > PM_GRANULE_BYTES)
        return pm_class_aligned(n, align);
    return n <= PM_BLOCK_MAX ? pm_class_of(n) : PM_CLASSES;
}

static void *alloc(struct pm_user_heap *heap, struct wanted *wanted)
{
    size_t n = pm_hardened() ? pm_harden_room(wanted->n) : wanted->n;
    unsigned class = class_for(n, wanted->align);
    return class < PM_CLASSES ? alloc_in_pool(heap, class, wanted) : alloc_span(heap, wanted);
}

static bool some_wait(const struct pm_user_heap *heap)
{
    return pm_hardened() && (heap->waiting != NULL || !pm_list_empty(&heap->waiting_large));
}

void *pm_user_alloc(struct pm_user_heap *heap, size_t n, size_t align, bool zero,
                    const char *function)
{
    struct wanted wanted = {n, align, false, function};
    void *block = NULL;
    if (pm_unlikely(pm_hook_depth != 0)) { /* we are in the middle of something */
        errno = ENOMEM;
        return NULL;
    }
    pm_user_enter(heap, function);
    if (!heap->lost)
        block = alloc(heap, &wanted);
    if (pm_unlikely(block == NULL) && !heap->lost && some_wait(heap)) {
        pm_user_let_waiting_go(heap, 0);
        block = alloc(heap, &wanted);
    }
    pm_count_owner(&heap->mallocs, block != NULL);
    uint64_t mallocs = pm_load_relaxed(&heap->mallocs);
    pm_lock_release(&heap->lock);
    if (mallocs % PM_USER_TICK_EVERY == 0)
        pm_heap_tick_now();
    if (block == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    if (zero) {
        pm_valgrind_pause();
        pm_asan_unpoison(block, n);
        if (!wanted.zero)
            memset(block, 0, n);
        pm_valgrind_resume();
    }
    return block;
}

struct pm_user_heap *pm_user_lock_owner(const struct pm_window *w, size_t unit)
{
    struct pm_user_heap *heap = pm_user_of_run(w, unit);
    if (heap == NULL)
        return NULL;
    pm_lock_acquire(&heap->lock);
    if (pm_user_of_run(w, unit) == heap)
        return heap;
    pm_lock_release(&heap->lock);
    return NULL;
}

/* The same, and NULL if it is lost. */
static struct pm_user_heap *lock_owner(struct pm_window *w, size_t unit)
{
    struct pm_user_heap *heap = pm_user_lock_owner(w, unit);
    if (heap == NULL || !heap->lost)
        return heap;
    pm_lock_release(&heap->lock);
    return NULL;
}

struct pm_user_heap *pm_user_look(struct pm_place_of at, struct pm_pool_blocks *blocks)
{
    struct pm_user_heap *heap = lock_owner(at.window, at.unit);
    if (heap == NULL)
        return NULL;
    if (pm_hardened())
        pm_harden_look(pm_pool_at(at.window, at.unit), blocks);
    else
        pm_pool_look_owner(pm_pool_at(at.window, at.unit), blocks);
    pm_lock_release(&heap->lock);
    return heap;
}

void pm_user_let_go(struct pm_pool *pool)
{
    /* Release: whoever reads it afterwards under the heap's lock finds none. */
    pm_store_release(&pm_pool_remote(pool)->user, NULL);
    pm_pool_retire(pool);
}

void pm_user_give_pool(struct pm_user_heap *heap, struct pm_pool *pool)
{
    pm_list_remove(&pool->link);
    pm_user_let_go(pool);
    struct pm_run run = pm_pool_run(pool);
    heap->bytes -= (size_t)run.units << PM_UNIT_SHIFT;
    pm_arena_give_run(&run);
}

static bool another_has_room(struct pm_user_heap *heap, struct pm_pool *pool)
{
    struct pm_link *list = &heap->pools[pool->class];
    struct pm_link *other = list->next != &pool->link ? list->next : pool->link.next;
    return other != list && has_room(pool_of_link(other));
}

static void push_block(struct pm_user_heap *heap, struct pm_pool *pool, void *block)
{
    if (pm_hardened()) {
        pm_harden_push(heap, pool, block);
        return;
    }
    pm_asan_block_back(block, pool->block_bytes);
    pm_block_set_next(block, pool->free);
    pool->free = block;
}

/* A block that is not live can be handed out again. */
static void put_back(struct pm_user_heap *heap, struct pm_pool *pool, void *block)
{
    bool was_full = !has_room(pool);
    push_block(heap, pool, block);
    if (was_full) {
        pm_list_remove(&pool->link);
        pm_list_push(&heap->pools[pool->class], &pool->link);
    }
    pm_assert(pm_harden_is_sound(heap, pool));
    if (pool->count == 0 && pool->waiting == 0 && another_has_room(heap, pool))
        pm_user_give_pool(heap, pool);
}

void pm_user_let_waiting_go(struct pm_user_heap *heap, size_t keep_bytes)
{
    struct pm_pool *pool;
    void *block;
    while ((block = pm_harden_due(heap, keep_bytes, &pool)) != NULL)
        put_back(heap, pool, block);
    if (keep_bytes == 0 && !pm_list_empty(&heap->waiting_large))
        pm_harden_let_large_go(heap, 0);
}

static void retire(struct pm_user_heap *heap, struct pm_pool *pool, void *ptr, const char *function)
{
    pm_harden_retire(heap, pool, ptr, function);
    set_live(pool, pool->count - 1);
    struct pm_pool *of;
    while ((ptr = pm_harden_due(heap, pm_harden_now->quarantine_bytes, &of)) != NULL)
        put_back(heap, of, ptr);
}

void pm_user_free(struct pm_window *w, size_t unit, void *ptr, const char *function)
{
    struct pm_user_heap *heap = lock_owner(w, unit);
    if (heap == NULL)
        return;
    struct pm_pool *pool = pm_pool_at(w, unit);
    pm_remote_check_block(pm_remote_at(w, unit), pool->base, ptr, function);
    if (pm_hardened()) {
        retire(heap, pool, ptr, function);
    } else {
        if (pm_unlikely(pool->count == 0))
            pm_fatal_double_free(function, ptr);
        set_live(pool, pool->count - 1);
        put_back(heap, pool, ptr);
    }
    pm_count_owner(&heap->frees, 1);
    pm_lock_release(&heap->lock);
}

/* Two threads that free one span: the second finds that it is no user heap's any more. */
void pm_user_free_span(struct pm_window *w, size_t unit, void *ptr, const char *function)
{
    struct pm_user_heap *heap = lock_owner(w, unit);
    if (heap == NULL)
        return;
    if (pm_hardened()) {
        pm_harden_check_large(heap, w, unit, ptr, function);
        ptr = pm_window_unit(w, unit);
    }
    heap->bytes -= pm_span_usable(w, ptr, function);
    pm_count_owner(&heap->frees, 1);
    pm_list_remove(pm_span_link(w, unit));
    if (pm_hardened()) {
        pm_harden_retire_large(heap, w, unit);
        pm_lock_release(&heap->lock);
        return;
    }
    pm_store_release(&pm_remote_at(w, unit)->user, NULL);
    pm_lock_release(&heap->lock);
    pm_span_free(w, ptr, function);
}

bool pm_user_resize_span(struct pm_window *w, size_t unit, void *ptr, size_t n,
                         const char *function)
{
    struct pm_user_heap *heap = pm_hardened() ? NULL : lock_owner(w, unit);
    if (heap == NULL)
        return false;
    size_t have = pm_span_usable(w, ptr, function);
    bool done = span_within_limit(heap, have, n) && pm_span_resize(w, ptr, n, function);
    if (done)
        heap->bytes += pm_span_usable(w, ptr, function) - have;
    pm_lock_release(&heap->lock);
    return done;
}
