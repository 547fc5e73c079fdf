/* SPDX-License-Identifier: MIT */
/* User heaps: making, destroying, walking, statistics, checks, fork. See user.h and user.c. */
#include "base/report.h"
#include "heap/harden.h"
#include "heap/internal.h"
#include "heap/user.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

/* Under the registry lock. */
static struct pm_user_heap *free_shells;
static char *shells, *shells_end;
static _Atomic uint64_t shell_bytes; /* read by anybody */

/* Any thread; relaxed, for statistics. */
static _Atomic uint64_t heaps_now;

static struct pm_user_heap *new_shell(void)
{
    size_t bytes = pm_align_up(sizeof(struct pm_user_heap), PM_LINE_BYTES);
    if ((size_t)(shells_end - shells) < bytes) {
        size_t more = pm_align_up(bytes, pm_os_page_bytes());
        char *start = pm_heap_fresh_pages(more);
        if (start == NULL)
            return NULL;
        shells = start;
        shells_end = start + more;
        pm_count_owner(&shell_bytes, more);
    }
    struct pm_user_heap *heap = (struct pm_user_heap *)(void *)shells;
    shells += bytes;
    heap->lock.rank = PM_RANK_USER;
    pm_lock_register(&heap->lock);
    return heap;
}

static struct pm_user_heap *new_heap(size_t limit_bytes, bool unasked)
{
    struct pm_user_heap *heap = NULL;
    if (pm_heap_process_init()) {
        pm_lock_acquire(&pm_registry_lock);
        heap = free_shells;
        if (heap != NULL)
            free_shells = heap->next_free;
        else
            heap = new_shell();
        pm_lock_release(&pm_registry_lock);
    }
    if (heap == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    pm_lock_acquire(&heap->lock);
    heap->limit_bytes = limit_bytes;
    heap->in_use = true;
    heap->unasked = unasked;
    if (pm_hardened())
        pm_harden_start(heap);
    pm_lock_release(&heap->lock);
    pm_count_shared(&heaps_now, !unasked);
    return heap;
}

struct pm_user_heap *pm_user_new(size_t limit_bytes)
{
    return new_heap(limit_bytes, false);
}

struct pm_user_heap *pm_user_new_unasked(void)
{
    return new_heap(SIZE_MAX, true);
}

bool pm_user_is_lost(struct pm_user_heap *heap)
{
    pm_lock_acquire(&heap->lock);
    bool lost = heap->lost;
    pm_lock_release(&heap->lock);
    return lost;
}

/* Of what is linked to `list` now, nothing is a user heap's any more. */
static void let_go_of_pools(struct pm_user_heap *heap, struct pm_link *list)
{
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        while (!pm_list_empty(&heap->pools[class])) {
            struct pm_link *link = heap->pools[class].next;
            pm_list_remove(link);
            pm_user_let_go(pm_container_of(link, struct pm_pool, link));
            pm_list_push(list, link);
        }
    }
}

static void let_go_of_spans(struct pm_user_heap *heap, struct pm_link *list)
{
    while (!pm_list_empty(&heap->spans)) {
        struct pm_link *link = heap->spans.next;
        void *block = pm_span_of_link(link);
        struct pm_window *w = pm_window_find(block);
        pm_list_remove(link);
        pm_store_release(&pm_remote_at(w, pm_window_index(w, block))->user, NULL);
        pm_list_push(list, link);
    }
}

/* Of a hardened heap that is destroyed: what waits goes at once; what cannot be touched, can. */
static void open_large(struct pm_user_heap *heap)
{
    struct pm_link *list = &heap->spans, *at = list->next, *next;
    heap->waiting = heap->waiting_last = NULL; /* its pools go */
    pm_harden_let_large_go(heap, 0);
    for (; at != NULL && at != list; at = next) {
        void *start = pm_span_of_link(at);
        struct pm_window *w = pm_window_find(start);
        next = at->next;
        if (!pm_harden_open_large(w, pm_window_index(w, start)))
            pm_list_remove(at); /* the system refuses: nobody may have it again */
    }
}

static void give_pools(struct pm_link *list)
{
    while (!pm_list_empty(list)) {
        struct pm_pool *pool = pm_container_of(list->next, struct pm_pool, link);
        struct pm_run run = pm_pool_run(pool);
        pm_list_remove(&pool->link);
        if (pm_hardened() && pm_harden_now->zero)
            memset(run.base, 0, (size_t)run.units << PM_UNIT_SHIFT);
        pm_asan_poison(run.base, (size_t)run.units << PM_UNIT_SHIFT);
        pm_arena_give_run(&run);
    }
}

static void give_spans(struct pm_link *list)
{
    while (!pm_list_empty(list)) {
        void *block = pm_span_of_link(list->next);
        pm_list_remove(list->next);
        pm_span_free(pm_window_find(block), block, "pm_heap_destroy");
    }
}

static void give_shell(struct pm_user_heap *heap)
{
    pm_lock_acquire(&pm_registry_lock);
    heap->next_free = free_shells;
    free_shells = heap;
    pm_lock_release(&pm_registry_lock);
}

void (*_Atomic pm_user_ending)(struct pm_user_heap *heap);

static void tell_of_end(struct pm_user_heap *heap)
{
    /* Acquire: what it needs is there. */
    void (*ending)(struct pm_user_heap *) = pm_load_acquire(&pm_user_ending);
    if (pm_unlikely(ending != NULL))
        ending(heap);
}

/* A lost heap's lists lead nowhere for sure: its memory and its shell stay where they are. */
void pm_user_destroy(struct pm_user_heap *heap)
{
    struct pm_link pools = {0}, spans = {0};
    tell_of_end(heap);
    pm_user_enter(heap, "pm_heap_destroy");
    bool lost = heap->lost;
    if (!lost) {
        if (pm_hardened())
            open_large(heap);
        let_go_of_pools(heap, &pools);
        let_go_of_spans(heap, &spans);
        heap->bytes = 0;
        pm_store_relaxed(&heap->frees, pm_load_relaxed(&heap->mallocs)); /* all blocks went */
    }
    heap->in_use = false;
    pm_lock_release(&heap->lock);
    pm_count_shared(&heaps_now, heap->unasked ? 0 : (uint64_t)-1);
    give_pools(&pools);
    give_spans(&spans);
    if (!lost)
        give_shell(heap);
}

size_t pm_user_bytes(struct pm_user_heap *heap, const char *function)
{
    pm_user_enter(heap, function);
    size_t bytes = heap->bytes;
    pm_lock_release(&heap->lock);
    return bytes;
}

void pm_user_set_limit(struct pm_user_heap *heap, size_t limit_bytes, const char *function)
{
    pm_user_enter(heap, function);
    heap->limit_bytes = limit_bytes;
    pm_lock_release(&heap->lock);
}

struct walk {
    const struct pm_user_heap *heap;
    bool (*visit)(void *block, size_t bytes, void *arg);
    void *arg;
};

static bool walk_pool(const struct pm_pool *pool, const struct walk *walk)
{
    struct pm_pool_blocks blocks;
    unsigned next = 0;
    void *block;
    if (pm_hardened())
        pm_harden_look(pool, &blocks);
    else
        pm_pool_look_owner(pool, &blocks);
    while ((block = pm_pool_next_live(&blocks, &next)) != NULL) {
        size_t bytes = pool->block_bytes;
        if (pm_hardened())
            bytes = pm_harden_bytes(walk->heap, block, bytes);
        if (!walk->visit(block, bytes, walk->arg))
            return false;
    }
    return true;
}

static bool walk_pools(struct pm_user_heap *heap, const struct walk *walk)
{
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        struct pm_link *list = &heap->pools[class], *at = list->next;
        for (; at != NULL && at != list; at = at->next) {
            if (!walk_pool(pm_container_of(at, struct pm_pool, link), walk))
                return false;
        }
    }
    return true;
}

static bool walk_spans(struct pm_user_heap *heap, const struct walk *walk)
{
    struct pm_link *at = heap->spans.next;
    for (; at != NULL && at != &heap->spans; at = at->next) {
        void *block = pm_span_of_link(at);
        struct pm_window *w = pm_window_find(block);
        size_t bytes = pm_span_usable(w, block, "");
        if (pm_hardened())
            pm_harden_large_at(w, pm_window_index(w, block), &block, &bytes);
        if (!walk->visit(block, bytes, walk->arg))
            return false;
    }
    return true;
}

bool pm_user_walk(struct pm_user_heap *heap, bool (*visit)(void *block, size_t bytes, void *arg),
                  void *arg, const char *function)
{
    struct walk walk = {heap, visit, arg};
    pm_user_enter(heap, function);
    bool result = heap->lost || (walk_pools(heap, &walk) && walk_spans(heap, &walk));
    pm_lock_release(&heap->lock);
    return result;
}

/* Shells and their locks are never unmapped, so all that ever were can be visited. */
static struct pm_user_heap *heap_of_lock(struct pm_lock *lock)
{
    return lock ? pm_container_of(lock, struct pm_user_heap, lock) : NULL;
}

void pm_user_stats(struct pm_user_stats *stats)
{
    *stats = (struct pm_user_stats){
        .heaps = pm_load_relaxed(&heaps_now),
        .shell_bytes = pm_load_relaxed(&shell_bytes),
    };
    for (struct pm_lock *lock = pm_lock_of_rank(PM_RANK_USER); lock != NULL; lock = lock->next) {
        const struct pm_user_heap *heap = heap_of_lock(lock);
        stats->mallocs += pm_load_relaxed(&heap->mallocs);
        stats->frees += pm_load_relaxed(&heap->frees);
        stats->lock_acquisitions += pm_load_relaxed(&lock->acquisitions);
        stats->lock_contended += pm_load_relaxed(&lock->contended);
    }
}

/* There is one empty pool of a class at most, among those that have room. */
static bool trim_class(struct pm_user_heap *heap, unsigned class)
{
    struct pm_link *list = &heap->pools[class], *at = list->next;
    for (; at != NULL && at != list; at = at->next) {
        struct pm_pool *pool = pm_container_of(at, struct pm_pool, link);
        if (pool->count == pool->capacity)
            return false;
        if (pool->count == 0) {
            pm_user_give_pool(heap, pool);
            return true;
        }
    }
    return false;
}

bool pm_user_trim(void)
{
    bool some = false;
    for (struct pm_lock *lock = pm_lock_of_rank(PM_RANK_USER); lock != NULL; lock = lock->next) {
        struct pm_user_heap *heap = heap_of_lock(lock);
        pm_lock_acquire(lock);
        if (pm_hardened() && heap->in_use && !heap->lost)
            pm_user_let_waiting_go(heap, 0);
        for (unsigned class = 0; class < PM_CLASSES && heap->in_use && !heap->lost; class ++)
            some |= trim_class(heap, class);
        pm_lock_release(lock);
    }
    return some;
}

static bool violated(const struct pm_user_heap *heap, const char *what, const char *pool)
{
    pm_warn("user heap check: %s (heap %p, pool %p)", what, (const void *)heap, (const void *)pool);
    return false;
}

static bool check_pool(const struct pm_user_heap *heap, const struct pm_pool *pool)
{
    const struct pm_window *w = pm_window_find(pool->base);
    if (pm_user_of_run(w, pm_window_index(w, pool->base)) != heap)
        return violated(heap, "a pool on its lists is another's", pool->base);
    return pm_harden_is_sound(heap, pool) || violated(heap, "a pool is damaged", pool->base);
}

/* Adds what it has to *bytes. */
static bool check_class(const struct pm_user_heap *heap, unsigned class, size_t *bytes)
{
    const struct pm_link *list = &heap->pools[class], *at = list->next;
    bool full = false;
    for (; at != NULL && at != list; at = at->next) {
        const struct pm_pool *pool = pm_container_of(at, struct pm_pool, link);
        bool has_room = pool->free != NULL || pool->carved < pool->capacity;
        if (full && has_room)
            return violated(heap, "a pool with a free block comes after a full one", pool->base);
        if (!check_pool(heap, pool))
            return false;
        full = !has_room;
        *bytes += (size_t)pool->units << PM_UNIT_SHIFT;
    }
    return true;
}

static bool check_heap(struct pm_user_heap *heap)
{
    size_t bytes = 0;
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        if (!check_class(heap, class, &bytes))
            return false;
    }
    for (struct pm_link *at = heap->spans.next; at != NULL && at != &heap->spans; at = at->next) {
        void *block = pm_span_of_link(at);
        bytes += pm_span_usable(pm_window_find(block), block, "pm_check");
    }
    return bytes == heap->bytes || violated(heap, "its bytes do not add up", NULL);
}

bool pm_user_check(void)
{
    for (struct pm_lock *lock = pm_lock_of_rank(PM_RANK_USER); lock != NULL; lock = lock->next) {
        struct pm_user_heap *heap = heap_of_lock(lock);
        pm_lock_acquire(lock);
        bool good = heap->lost || check_heap(heap);
        pm_lock_release(lock);
        if (!good)
            return false;
    }
    return true;
}

void pm_user_give_up_in_child(struct pm_lock *lock)
{
    heap_of_lock(lock)->lost = true;
}
