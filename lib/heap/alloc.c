/* SPDX-License-Identifier: MIT */
/*
 * Allocation off the fast path: medium and large sizes, alignment, zeroed memory, sizes of live
 * blocks. Any thread.
 */
#include "heap/fast.h"
#include "heap/guests.h"
#include "heap/harden.h"
#include "heap/kept_spans.h"
#include "heap/sample.h"
#include "heap/user.h"
#include "heap/watch.h"

#include <errno.h>
#include <string.h>

static void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* Whether the heap gets no pool of the class yet: the cold heap serves what few threads ask for, so
 * that not each of them has a pool of it. The first heap may be that of the only thread. */
PM_INLINE bool is_rare(struct pm_heap *heap, unsigned class)
{
    if (pm_likely(heap->current[class] != &pm_pool_none))
        return false;
    if (heap->next == NULL || heap->asked[class] >= pm_class_calls_before_pool(class))
        return false;
    if (pm_sampling_on() && (int32_t)heap->until[class] <= 1) /* this one was chosen */
        return false;
    if (pm_cold_is_held())
        return false;
    heap->asked[class]++;
    return true;
}

static void *alloc_class_slow(unsigned class, bool *zero)
{
    void *block = NULL;
    pm_count_event(PM_EVENT_SLOW_PATH);
    if (pm_unlikely(pm_hook_depth != 0)) /* we are in the middle of something */
        return out_of_memory();
    struct pm_heap *heap = pm_heap_self;
    if (pm_unlikely(!heap->real)) /* the common case spares the call */
        heap = pm_heap_get();
    bool rare = heap != NULL && is_rare(heap, class);
    if (pm_likely(heap != NULL)) {
        pm_heap_enter(heap);
        if (pm_unlikely(rare))
            pm_heap_tend(heap);
        else
            block = pm_unlikely(pm_sampling_on()) ? pm_sample_refill(heap, class, zero)
                                                  : pm_heap_refill(heap, class, zero);
        pm_heap_leave(heap);
    }
    if (pm_unlikely(heap == NULL || rare)) /* not yet, no more, or there is no memory for one */
        block = pm_cold_alloc(class, zero);
    return block ? block : out_of_memory();
}

PM_NOINLINE void *pm_thread_malloc_slow(size_t n)
{
    bool zero;
    if (pm_unlikely(!pm_heap_self->real)) {
        if (pm_watch_is_short())
            return pm_watch_short.malloc(n);
        const struct pm_watch *watch = pm_watch_of_thread();
        if (watch != NULL)
            return pm_watch_malloc(watch, n, 1, false);
    }
    return alloc_class_slow(pm_class_of(n), &zero);
}

void *pm_thread_gc_slow(size_t n)
{
    bool zero;
    struct pm_heap *self = pm_heap_self;
    if (PM_VALGRIND || pm_watch_asked() != NULL) /* who is told of each block */
        return NULL;
    if (!self->real && pm_sampling_on()) /* as in pm_sample_refill */
        return NULL;
    if (pm_unlikely(self->gc_pause != 0)) { /* never in a sentinel */
        self->gc_pause--;
        return NULL;
    }
    if (pm_unlikely(pm_sampling_on()))
        self->gc_asked = (unsigned)n;
    return alloc_class_slow(pm_class_gc(n), &zero);
}

/* A new large block is the caller's. */
static void *count_span(void *block, size_t n)
{
    struct pm_heap *heap = pm_heap_self;
    pm_asan_unpoison(block, pm_align_up(n, PM_UNIT_BYTES));
    if (pm_likely(heap->real))
        pm_count_owner(&heap->mallocs, 1);
    else
        pm_count_shared(&heap->mallocs, 1);
    if (pm_unlikely(pm_sampling_on()))
        pm_sample_span(block, pm_span_good_bytes(n));
    return block;
}

/* What the heap kept of that size, or NULL. */
static void *take_span(struct pm_heap *heap, size_t n)
{
    pm_heap_enter(heap);
    void *block = pm_heap_take_span(heap, pm_align_up(n, PM_UNIT_BYTES) >> PM_UNIT_SHIFT);
    pm_heap_leave(heap);
    return block;
}

static PM_NOINLINE void *new_span(size_t n, size_t align, bool *zero)
{
    void *block = NULL;
    /* In a hook we are in the middle of something. */
    if (pm_likely(pm_hook_depth == 0) && pm_heap_process_init()) {
        pm_heap_get_in_passing(); /* who has large blocks alone gets a heap, too, to keep some */
        block = pm_span_alloc(n, align, zero);
    }
    return block != NULL ? count_span(block, n) : out_of_memory();
}

static void *alloc_span(size_t n, size_t align, bool *zero)
{
    struct pm_heap *heap = pm_heap_self;
    void *block = NULL;
    pm_count_event(PM_EVENT_SLOW_PATH);
    if (pm_likely(heap->real && align <= PM_UNIT_BYTES && pm_hook_depth == 0))
        block = take_span(heap, n);
    if (pm_unlikely(block == NULL))
        return new_span(n, align, zero);
    *zero = false;
    return count_span(block, n);
}

static PM_NOINLINE void *alloc_roomy(struct pm_heap *heap, const void *ptr, size_t n)
{
    void *block = NULL;
    if (pm_unlikely(pm_hook_depth != 0)) /* we are in the middle of something */
        return NULL;
    if (n > PM_BLOCK_MAX)
        block = pm_span_alloc_roomy(n);
    else if (ptr == heap->grown)
        block = pm_heap_early_span(heap, n);
    return block != NULL ? count_span(block, n) : NULL;
}

void *pm_thread_malloc_to_grow(const void *ptr, size_t n)
{
    struct pm_heap *heap = pm_heap_self;
    void *block = NULL;
    if (pm_unlikely(!heap->real))
        return pm_thread_malloc(n);
    if (n > PM_EARLY_MIN_BYTES || n > PM_BLOCK_MAX)
        block = alloc_roomy(heap, ptr, n);
    if (block == NULL)
        block = pm_thread_malloc(n);
    heap->grown = block;
    return block;
}

/* A block that the current pool of the class has at hand, or NULL. */
PM_INLINE void *pop_current(unsigned class)
{
    return pm_heap_pop_if_any(pm_heap_self->current[class]);
}

/* The class for it; PM_CLASSES: it becomes a span. */
PM_INLINE unsigned class_for(size_t n, size_t align)
{
    if (align > PM_GRANULE_BYTES)
        return pm_class_aligned(n, align);
    return n <= PM_BLOCK_MAX ? pm_class_of(n) : PM_CLASSES;
}

/* *zero says before whether it is to read as zero, and afterwards whether it does, but for what a
 * free list wrote: nothing. */
static void *alloc_slow(size_t n, size_t align, bool *zero)
{
    unsigned class = class_for(n, align);
    return class < PM_CLASSES ? alloc_class_slow(class, zero) : alloc_span(n, align, zero);
}

static PM_NOINLINE void *malloc_slow(size_t n, size_t align)
{
    bool zero = false;
    const struct pm_watch *watch = pm_watch_asked();
    if (pm_unlikely(watch != NULL))
        return pm_watch_malloc(watch, n, align, false);
    return alloc_slow(n, align, &zero);
}

/* A thread that has its heap is not watched. */
PM_NOINLINE void *pm_thread_malloc_large(size_t n)
{
    bool zero = false;
    return pm_likely(pm_heap_self->real && n > PM_BLOCK_MAX) ? alloc_span(n, 1, &zero)
                                                             : malloc_slow(n, 1);
}

static PM_NOINLINE void *calloc_slow(size_t n)
{
    bool zero = true;
    const struct pm_watch *watch = pm_watch_asked();
    if (pm_unlikely(watch != NULL))
        return pm_watch_malloc(watch, n, 1, true);
    void *block = alloc_slow(n, 1, &zero);
    if (pm_unlikely(block == NULL))
        return NULL;
    pm_valgrind_pause(); /* it is told of the block later, by the api layer */
    pm_asan_unpoison(block, n);
    if (!zero)
        memset(block, 0, n);
    pm_valgrind_resume();
    return block;
}

PM_NOINLINE void *pm_thread_calloc_medium(size_t n)
{
    void *block = n <= PM_BLOCK_MAX ? pop_current(pm_class_of(n)) : NULL;
    if (pm_unlikely(block == NULL))
        return calloc_slow(n);
    pm_valgrind_pause(); /* see calloc_slow */
    pm_asan_unpoison(block, n);
    memset(block, 0, n);
    pm_valgrind_resume();
    return block;
}

void *pm_thread_malloc_aligned(size_t n, size_t align)
{
    if (align <= PM_GRANULE_BYTES)
        return pm_thread_malloc(n);
    unsigned class = pm_class_aligned(n, align);
    void *block = class < PM_CLASSES ? pop_current(class) : NULL;
    return pm_likely(block != NULL) ? block : malloc_slow(n, align);
}

/* Pops as many as the current pool's list has, up to the end. */
static void **pop_some(unsigned class, void **at, void **end)
{
    struct pm_pool *pool = pm_heap_self->current[class];
    void *block = pool->free;
    if (block == NULL) /* perhaps the sentinel's, which nobody may write to */
        return at;
    for (; block != NULL && at < end; block = pm_block_next(block))
        *at++ = block;
    pool->free = block;
    return at;
}

size_t pm_thread_malloc_batch(size_t n, size_t count, void **blocks)
{
    void **at = blocks, **end = blocks + count;
    while (at < end) {
        if (n <= PM_BLOCK_MAX && (at = pop_some(pm_class_of(n), at, end)) == end)
            break;
        void *block = malloc_slow(n, 1);
        if (pm_unlikely(block == NULL))
            break;
        *at++ = block;
    }
    return (size_t)(at - blocks);
}

size_t pm_heap_good_size(size_t n)
{
    if (n > PM_BLOCK_MAX)
        return pm_span_good_bytes(n);
    return pm_class_bytes(pm_class_of(n));
}

/* A live block as its pointer leads to it. */
struct found {
    struct pm_window *window;
    size_t unit;
    bool span;
};

/* With a tag or without. */
static struct found find(const void *ptr, const char *function)
{
    const void *plain = pm_untagged(ptr);
    struct found found;
    found.window = pm_window_locate(plain, &found.unit);
    if (pm_unlikely(found.window == NULL))
        pm_fatal_foreign(function, ptr);
    uint64_t route = pm_load_relaxed(pm_window_route(found.window, found.unit));
    uint64_t owner = route & ~PM_ROUTE_DISTANCE_MASK;
    if (pm_unlikely(owner == PM_ROUTE_VOID))
        pm_harden_fatal_void(found.window, plain, function);
    found.span = owner == PM_ROUTE_SPAN;
    found.unit -= found.span ? 0 : pm_route_distance(route);
    return found;
}

static size_t usable(struct found found, const void *ptr, const char *function)
{
    struct pm_harden_block hardened;
    if (pm_hardened() && pm_harden_find((void *)(uintptr_t)ptr, function, &hardened))
        return hardened.bytes;
    if (found.span)
        return pm_span_usable(found.window, ptr, function);
    struct pm_remote *remote = pm_remote_at(found.window, found.unit);
    pm_remote_check_block(remote, pm_window_unit(found.window, found.unit), ptr, function);
    return remote->block_bytes;
}

static PM_NOINLINE size_t usable_slow(const void *ptr, const char *function)
{
    const struct pm_watch *watch = pm_watch_asked();
    if (pm_unlikely(watch != NULL))
        return pm_watch_usable(watch, ptr, function);
    const struct pm_guests *guests = pm_guests_at(ptr);
    if (pm_unlikely(guests != NULL))
        return guests->usable(pm_untagged(ptr), function);
    return usable(find(ptr, function), pm_untagged(ptr), function);
}

/* Some programs ask for the size of every block that they get or free: as short as a free. */
size_t pm_heap_usable(const void *ptr, const char *function)
{
    const struct pm_pool *own = pm_thread_own_pool(ptr);
    return pm_likely(own != NULL) ? own->block_bytes : usable_slow(ptr, function);
}

size_t pm_heap_pooled_bytes(const void *ptr)
{
    size_t unit = pm_window_index(&pm_window, ptr);
    if (!pm_below_relaxed(unit, &pm_window.units))
        return 0;
    uint64_t route = pm_load_relaxed(pm_window_route(&pm_window, unit));
    uint64_t distance = pm_route_distance(route);
    if (route < PM_ROUTE_FLOATING)
        return 0;
    const struct pm_remote *remote = pm_remote_at(&pm_window, unit - distance);
    return pm_remote_is_block(remote, pm_pool_offset(ptr, distance)) ? remote->block_bytes : 0;
}

/* The remote line of the pool that the address lies in; NULL: in none. */
static struct pm_remote *remote_around(const void *plain)
{
    size_t unit;
    struct pm_window *w = pm_window_locate(plain, &unit);
    if (w == NULL)
        return NULL;
    uint64_t route = pm_load_relaxed(pm_window_route(w, unit));
    uint64_t owner = route & ~PM_ROUTE_DISTANCE_MASK;
    if (owner == PM_ROUTE_VOID || owner == PM_ROUTE_SPAN)
        return NULL;
    return pm_remote_at(w, unit - pm_route_distance(route));
}

bool pm_heap_in_small_pool(const void *ptr)
{
    const struct pm_remote *remote = remote_around(pm_untagged(ptr));
    return remote != NULL && remote->block_bytes <= PM_SMALL_MAX;
}

bool pm_heap_in_gc_pool(const void *ptr)
{
    struct pm_remote *remote = remote_around(ptr);
    return remote != NULL && pm_class_is_gc(pm_load_relaxed(&remote->class));
}

/* Whether a block that has so many bytes may stay as it is: else at least half of a pool's block,
 * or a quarter of a larger one is to be gained. */
static bool fits(size_t have, size_t n)
{
    return have <= PM_BLOCK_MAX ? pm_heap_stays(have, n) : n <= have && n > have - have / 4;
}

/* One that was given room early is still to fill it: it may be less than half full. */
static bool fits_early(size_t have, size_t n)
{
    return have <= PM_BLOCK_MAX && n <= have && n > have / 4;
}

static bool resize_span(struct found found, void *ptr, size_t n, const char *function)
{
    bool users = pm_user_of_run(found.window, found.unit) != NULL;
    if (users && n <= PM_BLOCK_MAX)
        return false;
    if (users ? !pm_user_resize_span(found.window, found.unit, ptr, n, function)
              : !pm_span_resize(found.window, ptr, n, function))
        return false;
    pm_asan_unpoison(ptr, pm_align_up(n, PM_UNIT_BYTES));
    if (!users)
        pm_sample_resized(ptr, pm_span_good_bytes(n));
    return true;
}

bool pm_heap_resize(void *ptr, size_t n, const char *function)
{
    if (pm_unlikely(pm_watch_asked() != NULL)) /* realloc asks the watch itself */
        return false;
    const struct pm_guests *guests = pm_guests_at(ptr);
    if (pm_unlikely(guests != NULL))
        return fits(guests->usable(pm_untagged(ptr), function), n);
    struct found found = find(ptr, function);
    ptr = pm_untagged(ptr);
    size_t have = usable(found, ptr, function);
    if (fits(have, n) || (found.span && fits_early(have, n)))
        return true;
    /* What it was made for is at its end if it fits into a pool now. */
    if (!found.span || PM_VALGRIND || (n <= PM_BLOCK_MAX && n < have))
        return false;
    return resize_span(found, ptr, n, function);
}

bool pm_heap_expand(void *ptr, size_t n, const char *function)
{
    return pm_heap_resize(ptr, n, function) || n <= pm_heap_usable(ptr, function);
}

void *pm_heap_move_large(void *ptr, size_t n, const char *function)
{
    if (pm_unlikely(pm_guests_at(ptr) != NULL))
        return NULL;
    struct found found = find(ptr, function);
    ptr = pm_untagged(ptr);
    if (!found.span || pm_user_of_run(found.window, found.unit) != NULL)
        return NULL;
    void *record = pm_sample_lift(ptr); /* before: somebody may get its old place at once */
    void *moved = pm_span_move(found.window, ptr, n, function);
    pm_sample_lay(record, ptr, moved, pm_span_good_bytes(n));
    return moved;
}

/* Mostly of the calling thread's own pools, and those are no user heap's. */
struct pm_user_heap *pm_user_of(const void *ptr, const char *function)
{
    size_t unit = pm_window_index(&pm_window, ptr);
    if (pm_below_relaxed(unit, &pm_window.units) &&
        pm_load_relaxed(pm_window_route(&pm_window, unit)) - (uintptr_t)pm_heap_self <=
            PM_ROUTE_DISTANCE_MASK)
        return NULL;
    if (pm_unlikely(pm_guests_at(ptr) != NULL))
        return NULL;
    struct found found = find(ptr, function);
    struct pm_user_heap *heap = pm_user_of_run(found.window, found.unit);
    return heap != NULL && heap->unasked ? NULL : heap;
}
