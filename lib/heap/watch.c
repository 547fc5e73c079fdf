/* SPDX-License-Identifier: MIT */
/* Who watches, and the way to it and back: see watch.h. Any thread. */
#include "heap/watch.h"
#include "heap/internal.h"

#include <errno.h>
#include <string.h>

const struct pm_watch *_Atomic pm_watch_now;

__thread struct pm_heap *pm_watch_put_by; /* while pm_heap_self is pm_heap_watched */
__thread unsigned pm_watch_suspended;

void pm_watch_set(const struct pm_watch *watch)
{
    /* Release: the table, and what its functions need, is complete. */
    pm_store_release(&pm_watch_now, watch);
    pm_watch_suspend();
    pm_watch_resume();
}

/* Nobody watches any more, or not what the thread is doing just now. */
PM_INLINE void stop_watching(void)
{
    if (pm_heap_self == &pm_heap_watched)
        pm_heap_self = pm_watch_put_by;
}

const struct pm_watch *pm_watch_of_thread(void)
{
    if (pm_watch_suspended != 0 || !pm_heap_process_init())
        return NULL;
    /* Acquire pairs with the release in pm_watch_set. */
    const struct pm_watch *watch = pm_load_acquire(&pm_watch_now);
    if (pm_unlikely(watch == NULL))
        stop_watching();
    return watch;
}

PM_COLD struct pm_heap *pm_watch_join(struct pm_heap *heap)
{
    if (pm_watch_suspended != 0)
        return heap;
    pm_watch_put_by = heap;
    atomic_signal_fence(memory_order_seq_cst);
    return &pm_heap_watched;
}

struct pm_heap *pm_watch_heap_of_thread(void)
{
    return pm_heap_self == &pm_heap_watched ? pm_watch_put_by : pm_heap_self;
}

/* A signal handler that comes between two of the stores below finds a sentinel, and is served by
 * the cold heap. */
PM_INLINE void suspend(void)
{
    pm_watch_suspended++;
    atomic_signal_fence(memory_order_seq_cst);
    stop_watching();
    atomic_signal_fence(memory_order_seq_cst);
}

PM_INLINE void resume(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    /* Relaxed: nothing is read through it. */
    if (pm_watch_suspended == 1 && pm_load_relaxed(&pm_watch_now) != NULL) {
        pm_watch_put_by = pm_heap_self;
        atomic_signal_fence(memory_order_seq_cst);
        pm_heap_self = &pm_heap_watched;
    }
    atomic_signal_fence(memory_order_seq_cst);
    pm_watch_suspended--;
}

void pm_watch_suspend(void)
{
    suspend();
}

void pm_watch_resume(void)
{
    resume();
}

static PM_COLD void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* One frame for the common ways: each costs a service that takes stacks some time. */
PM_INLINE void *make(const struct pm_watch *watch, const struct pm_request *request)
{
    if (request->bytes > PTRDIFF_MAX || request->align > PTRDIFF_MAX)
        return out_of_memory();
    int saved_errno = errno;
    suspend();
    void *block = watch->make(request);
    resume();
    errno = saved_errno;
    return pm_likely(block != NULL) ? block : out_of_memory();
}

PM_NOINLINE void *pm_watch_make(const struct pm_watch *watch, const struct pm_request *request)
{
    return make(watch, request);
}

PM_NOINLINE void *pm_watch_malloc(const struct pm_watch *watch, size_t bytes, size_t align,
                                  bool zero)
{
    struct pm_request request = {.bytes = bytes,
                                 .align = align,
                                 .zero = zero,
                                 .maker = PM_MAKER_MALLOC,
                                 .function = "malloc"};
    return make(watch, &request);
}

PM_NOINLINE void *pm_watch_resize(const struct pm_watch *watch, void *ptr, size_t bytes,
                                  const char *function)
{
    int saved_errno = errno;
    suspend();
    void *block = watch->resize(ptr, bytes, function);
    resume();
    errno = saved_errno;
    return pm_likely(block != NULL) ? block : out_of_memory();
}

PM_NOINLINE size_t pm_watch_usable(const struct pm_watch *watch, const void *ptr,
                                   const char *function)
{
    suspend();
    size_t bytes = watch->usable(ptr, function);
    resume();
    return bytes;
}

PM_INLINE void give_back(const struct pm_watch *watch, void *ptr, const struct pm_return *how)
{
    int saved_errno = errno;
    suspend();
    watch->give_back(ptr, how);
    resume();
    errno = saved_errno;
}

PM_NOINLINE void pm_watch_give_back(const struct pm_watch *watch, void *ptr,
                                    const struct pm_return *how)
{
    give_back(watch, ptr, how);
}

static enum pm_maker maker_of(const char *function)
{
    if (pm_likely(*function != 'o')) /* free, as a rule */
        return PM_MAKER_MALLOC;
    if (strcmp(function, "operator delete") == 0)
        return PM_MAKER_NEW;
    if (strcmp(function, "operator delete[]") == 0)
        return PM_MAKER_NEW_ARRAY;
    return PM_MAKER_MALLOC;
}

PM_NOINLINE void pm_watch_free(const struct pm_watch *watch, void *ptr, const char *function)
{
    struct pm_return how = {.function = function, .maker = maker_of(function), .align = 1};
    give_back(watch, ptr, &how);
}
