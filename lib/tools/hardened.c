/* SPDX-License-Identifier: MIT */
/* See hardened.h. Each function runs in the thread that called the allocator, which is not watched
 * meanwhile: what is called here by its pm_ name does its plain work. Any thread. */
#include "tools/hardened.h"
#include "tools/guarded.h"
#include "tools/hardened_report.h"

#include "base/options.h"
#include "os/os.h"
#include "poolmalloc/poolmalloc.h"

#include <string.h>

/* Constant after the start of the process. */
static struct pm_harden parts;
static size_t heaps_count;

static bool is_on(const char *choice)
{
    return strcmp(choice, "on") == 0;
}

void pm_hardened_init(void)
{
    parts = (struct pm_harden){
        .links = is_on(pm_options.harden_links),
        .order = is_on(pm_options.harden_order),
        .canaries = is_on(pm_options.harden_canaries),
        .guards = is_on(pm_options.harden_guards),
        .zero = is_on(pm_options.harden_zero),
        .quarantine_bytes = pm_load_relaxed(&pm_options.harden_quarantine_bytes),
        .secret = pm_os_random(),
        .fatal = pm_hardened_fatal,
    };
    size_t wanted = (size_t)2 * pm_os_processors();
    heaps_count = wanted < PM_HARDEN_HEAPS ? wanted : PM_HARDEN_HEAPS;
    pm_harden_set(&parts);
    pm_guarded_start((unsigned)pm_load_relaxed(&pm_options.guarded_one_in));
}

/* ---- the heaps ---- */

static struct pm_user_heap *_Atomic heaps[PM_HARDEN_HEAPS];
static _Atomic uint64_t moves; /* of threads to another slot; nothing is ordered by it */

/* All threads begin with the first slot, so that few of them, or many one after another, need one
 * heap. Who finds that its heap's lock was waited for too often takes another. */
static __thread struct {
    uint64_t slot;                   /* of `heaps` */
    const struct pm_user_heap *heap; /* whose lock's counters these were: */
    uint64_t acquisitions, contended;
} thread;

static void look_at_lock(const struct pm_user_heap *heap, uint64_t contended)
{
    thread.heap = heap;
    thread.acquisitions = pm_load_relaxed(&heap->lock.acquisitions);
    thread.contended = contended;
}

static void move_if_crowded(const struct pm_user_heap *heap)
{
    uint64_t contended = pm_load_relaxed(&heap->lock.contended);
    uint64_t more = contended - thread.contended;
    if (thread.heap == heap && pm_likely(more < PM_HARDEN_CROWDED))
        return;
    uint64_t all = pm_load_relaxed(&heap->lock.acquisitions) - thread.acquisitions;
    if (thread.heap == heap && more > all / PM_HARDEN_CROWDED_PART)
        thread.slot = (pm_add_relaxed(&moves, 1) + 1) % heaps_count;
    look_at_lock(heap, contended);
}

/* In place of `before` (NULL: none yet), unless another thread was faster. NULL: out of memory. */
static struct pm_user_heap *new_heap(struct pm_user_heap *_Atomic *slot,
                                     struct pm_user_heap *before)
{
    struct pm_user_heap *heap = pm_user_new_unasked();
    /* Acquire-release: the heap is complete; pairs with the load below. */
    if (heap == NULL || pm_cas_acq_rel(slot, &before, heap))
        return heap;
    pm_user_destroy(heap);
    return before;
}

static void *make_in(struct pm_user_heap *heap, const struct pm_request *request)
{
    return pm_user_alloc(heap, request->bytes, request->align, request->zero, request->function);
}

static void *make_unasked(const struct pm_request *request)
{
    struct pm_user_heap *_Atomic *slot = &heaps[thread.slot];
    struct pm_user_heap *heap = pm_load_acquire(slot); /* see new_heap */
    if (pm_unlikely(heap == NULL) && (heap = new_heap(slot, NULL)) == NULL)
        return NULL;
    void *block = make_in(heap, request);
    if (pm_unlikely(block == NULL) && pm_user_is_lost(heap)) { /* in the child of a fork */
        heap = new_heap(slot, heap);
        block = heap != NULL ? make_in(heap, request) : NULL;
    }
    if (heap != NULL)
        move_if_crowded(heap);
    return block;
}

/* ---- the watch ---- */

static void *make(const struct pm_request *request)
{
    void *guarded = pm_guarded_make(request);
    if (pm_unlikely(guarded != NULL))
        return guarded;
    return request->heap != NULL ? make_in(request->heap, request) : make_unasked(request);
}

static void check_told(void *ptr, const struct pm_return *how)
{
    struct pm_harden_block block;
    if (!pm_harden_find(ptr, how->function, &block))
        return;
    if (how->sized && how->bytes != block.bytes)
        pm_hardened_fatal_size(how->function, ptr, how->bytes, block.bytes);
    if (!pm_is_pow2(how->align) || (uintptr_t)ptr % how->align != 0)
        pm_hardened_fatal_alignment(how->function, ptr, how->align);
}

static void give_back(void *ptr, const struct pm_return *how)
{
    void *plain = pm_untagged(ptr);
    if (pm_unlikely(pm_guarded_owns(plain)))
        return pm_guarded_give_back(plain, how);
    if (how->sized || how->align != 1)
        check_told(plain, how);
    pm_thread_free_elsewhere(ptr, how->function);
}

/* It moves, so that who still points to the old place is found. Callers do not expect that less is
 * refused. */
static PM_COLD void *resize_guarded(void *ptr, size_t bytes, const char *function)
{
    size_t have = pm_guarded_usable(ptr, function);
    struct pm_request request = {.bytes = bytes, .align = 1, .function = function};
    void *moved = make(&request);
    if (moved == NULL)
        return bytes <= have ? ptr : NULL;
    memcpy(moved, ptr, bytes < have ? bytes : have);
    struct pm_return how = {.function = function, .align = 1};
    pm_guarded_give_back(ptr, &how);
    return moved;
}

/* Callers do not expect that less is refused. */
static void *resize(void *ptr, size_t bytes, const char *function)
{
    struct pm_harden_block block;
    void *plain = pm_untagged(ptr);
    if (pm_unlikely(pm_guarded_owns(plain)))
        return resize_guarded(plain, bytes, function);
    if (!pm_harden_find(plain, function, &block))
        return pm_realloc(ptr, bytes);
    if (pm_harden_resize(plain, bytes, false, function))
        return ptr;
    struct pm_request request = {.bytes = bytes, .align = 1, .function = function};
    request.heap = block.heap->unasked ? NULL : block.heap;
    void *moved = make(&request);
    if (moved == NULL)
        return pm_harden_resize(plain, bytes, true, function) ? ptr : NULL;
    memcpy(moved, plain, bytes < block.bytes ? bytes : block.bytes);
    pm_thread_free_elsewhere(plain, function);
    return moved;
}

static size_t usable(const void *ptr, const char *function)
{
    return pm_heap_usable(ptr, function);
}

/* The heaps' walks know. */
static void *shown(void *block, size_t *bytes)
{
    (void)bytes;
    return block;
}

const struct pm_watch pm_hardened_watch = {make, give_back, resize, usable, shown};
