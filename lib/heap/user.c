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
 *   anywhere        arena           its last live block is freed, and another pool has a free block
 *   first           arena           no block of it is live when memory is purged
 *
 * Whose a pool is stands in `user` of its remote line, and changes only under the lock of the heap
 * that it belongs to. So a free reads it, takes that lock, and reads it again: if it is another
 * now, or none, the heap was destroyed in between, and the block with it. Shells are recycled,
 * never unmapped, so that the lock can be taken whatever happened.
 */
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

static void *alloc_in_pool(struct pm_user_heap *heap, unsigned class, bool *zero)
{
    struct pm_pool *pool = pool_with_room(heap, class);
    if (pool == NULL)
        return NULL;
    void *block = pm_heap_take_block(pool, zero);
    set_live(pool, pool->count + 1);
    if (!has_room(pool)) {
        pm_list_remove(&pool->link);
        pm_list_push_back(&heap->pools[class], &pool->link);
    }
    pm_assert(pm_pool_check(pool));
    return block;
}

static void *alloc_span(struct pm_user_heap *heap, size_t n, size_t align, bool *zero)
{
    if (!span_within_limit(heap, 0, n))
        return NULL;
    void *block = pm_span_alloc(n, align, zero);
    if (block == NULL)
        return NULL;
    struct pm_window *w = pm_window_find(block);
    size_t unit = pm_window_index(w, block);
    pm_store_release(&pm_remote_at(w, unit)->user, heap);
    pm_list_push(&heap->spans, pm_span_link(w, unit));
    heap->bytes += pm_span_usable(w, block, "");
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

void *pm_user_alloc(struct pm_user_heap *heap, size_t n, size_t align, bool zero,
                    const char *function)
{
    bool is_zero = false;
    unsigned class = class_for(n, align);
    void *block = NULL;
    if (pm_unlikely(pm_hook_depth != 0)) { /* we are in the middle of something */
        errno = ENOMEM;
        return NULL;
    }
    pm_user_enter(heap, function);
    if (!heap->lost)
        block = class < PM_CLASSES ? alloc_in_pool(heap, class, &is_zero)
                                   : alloc_span(heap, n, align, &is_zero);
    heap->mallocs += block != NULL;
    pm_lock_release(&heap->lock);
    if (block == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    if (zero) {
        pm_valgrind_pause();
        pm_asan_unpoison(block, n);
        if (!is_zero)
            memset(block, 0, n);
        pm_valgrind_resume();
    }
    return block;
}

/* The run's heap, locked; NULL: it was destroyed since the caller saw the block. */
static struct pm_user_heap *lock_owner(struct pm_window *w, size_t unit)
{
    struct pm_user_heap *heap = pm_user_of_run(w, unit);
    if (heap == NULL)
        return NULL;
    pm_lock_acquire(&heap->lock);
    if (pm_user_of_run(w, unit) == heap && !heap->lost)
        return heap;
    pm_lock_release(&heap->lock);
    return NULL;
}

struct pm_user_heap *pm_user_look(struct pm_place_of at, struct pm_pool_blocks *blocks)
{
    struct pm_user_heap *heap = lock_owner(at.window, at.unit);
    if (heap == NULL)
        return NULL;
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

void pm_user_free(struct pm_window *w, size_t unit, void *ptr, const char *function)
{
    struct pm_user_heap *heap = lock_owner(w, unit);
    if (heap == NULL)
        return;
    struct pm_pool *pool = pm_pool_at(w, unit);
    pm_remote_check_block(pm_remote_at(w, unit), pool->base, ptr, function);
    if (pm_unlikely(pool->count == 0))
        pm_fatal_double_free(function, ptr);
    bool was_full = !has_room(pool);
    pm_asan_block_back(ptr, pool->block_bytes);
    pm_block_set_next(ptr, pool->free);
    pool->free = ptr;
    set_live(pool, pool->count - 1);
    heap->frees++;
    if (was_full) {
        pm_list_remove(&pool->link);
        pm_list_push(&heap->pools[pool->class], &pool->link);
    }
    pm_assert(pm_pool_check(pool));
    if (pool->count == 0 && another_has_room(heap, pool))
        pm_user_give_pool(heap, pool);
    pm_lock_release(&heap->lock);
}

/* Two threads that free one span: the second finds that it is no user heap's any more. */
void pm_user_free_span(struct pm_window *w, size_t unit, void *ptr, const char *function)
{
    struct pm_user_heap *heap = lock_owner(w, unit);
    if (heap == NULL)
        return;
    heap->bytes -= pm_span_usable(w, ptr, function);
    heap->frees++;
    pm_list_remove(pm_span_link(w, unit));
    pm_store_release(&pm_remote_at(w, unit)->user, NULL);
    pm_lock_release(&heap->lock);
    pm_span_free(w, ptr, function);
}

bool pm_user_resize_span(struct pm_window *w, size_t unit, void *ptr, size_t n,
                         const char *function)
{
    struct pm_user_heap *heap = lock_owner(w, unit);
    if (heap == NULL)
        return false;
    size_t have = pm_span_usable(w, ptr, function);
    bool done = span_within_limit(heap, have, n) && pm_span_resize(w, ptr, n, function);
    if (done)
        heap->bytes += pm_span_usable(w, ptr, function) - have;
    pm_lock_release(&heap->lock);
    return done;
}
