/* SPDX-License-Identifier: MIT */
/* User heaps under their public names: see poolmalloc/heap.h. Any thread. */
#include "poolmalloc/heap.h"
#include "api/blocks.h"
#include "heap/user.h"

static size_t limit_of(size_t limit_bytes)
{
    return limit_bytes ? limit_bytes : SIZE_MAX;
}

static void *alloc(pm_user_heap *heap, size_t size, size_t align, bool zero, const char *function)
{
    if (size > PTRDIFF_MAX || align > PTRDIFF_MAX)
        return fail(ENOMEM);
    const struct pm_watch *watch = pm_watch_asked();
    if (pm_unlikely(watch != NULL)) {
        struct pm_request request = {.bytes = padded(size),
                                     .align = align,
                                     .zero = zero,
                                     .maker = PM_MAKER_HEAP,
                                     .heap = heap,
                                     .function = function};
        void *made = pm_watch_make(watch, &request);
        return zero ? told_zero(made, size) : told(made, size);
    }
    void *block = pm_user_alloc(heap, padded(size), align, zero, function);
    return zero ? told_zero(block, size) : told(block, size);
}

pm_user_heap *pm_heap_new(size_t limit_bytes)
{
    return pm_user_new(limit_of(limit_bytes));
}

#if PM_VALGRIND
static bool tell_of_end(void *block, size_t bytes, void *arg)
{
    (void)bytes, (void)arg;
    return pm_valgrind_back(block, "pm_heap_destroy");
}
#endif

void pm_heap_destroy(pm_user_heap *heap)
{
    int saved_errno = errno;
#if PM_VALGRIND
    if (heap != NULL)
        pm_user_walk(heap, tell_of_end, NULL, "pm_heap_destroy");
#endif
    if (heap != NULL)
        pm_user_destroy(heap);
    errno = saved_errno;
}

void *pm_heap_malloc(pm_user_heap *heap, size_t size)
{
    return alloc(heap, size, 1, false, "pm_heap_malloc");
}

void *pm_heap_calloc(pm_user_heap *heap, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return fail(ENOMEM);
    return alloc(heap, bytes, 1, true, "pm_heap_calloc");
}

void *pm_heap_aligned_alloc(pm_user_heap *heap, size_t alignment, size_t size)
{
    if (!pm_is_pow2(alignment))
        return fail(EINVAL);
    return alloc(heap, size, alignment, false, "pm_heap_aligned_alloc");
}

void *pm_heap_realloc(pm_user_heap *heap, void *ptr, size_t size)
{
    return ptr ? pm_realloc(ptr, size) : alloc(heap, size, 1, false, "pm_heap_realloc");
}

pm_user_heap *pm_heap_of(const void *ptr)
{
    char *start;
    size_t bytes;
    if (ptr == NULL)
        return NULL;
    if (pm_likely(pm_watch_asked() == NULL))
        return pm_user_of(ptr, "pm_heap_of");
    /* A watch may have put something before the block, or taken it from elsewhere. */
    return pm_heap_block_at(pm_untagged(ptr), &start, &bytes) == PM_HEAP_BLOCK
               ? pm_user_of(start, "pm_heap_of")
               : NULL;
}

size_t pm_heap_bytes(pm_user_heap *heap)
{
    return pm_user_bytes(heap, "pm_heap_bytes");
}

void pm_heap_set_limit(pm_user_heap *heap, size_t limit_bytes)
{
    pm_user_set_limit(heap, limit_of(limit_bytes), "pm_heap_set_limit");
}

struct shown {
    const struct pm_watch *watch;
    bool (*visit)(void *block, size_t bytes, void *arg);
    void *arg;
};

static bool visit_shown(void *block, size_t bytes, void *arg)
{
    const struct shown *shown = arg;
    block = shown->watch->shown(block, &bytes);
    return shown->visit(block, bytes, shown->arg);
}

bool pm_heap_walk(pm_user_heap *heap, bool (*visit)(void *block, size_t bytes, void *arg),
                  void *arg)
{
    struct shown shown = {pm_watch_asked(), visit, arg};
    if (pm_unlikely(shown.watch != NULL))
        return pm_user_walk(heap, visit_shown, &shown, "pm_heap_walk");
    return pm_user_walk(heap, visit, arg, "pm_heap_walk");
}
