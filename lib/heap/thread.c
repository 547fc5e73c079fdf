/* SPDX-License-Identifier: MIT */
/*
 * The life of heaps: process start, the shell that a thread gets, and what happens at its exit.
 * Shells are recycled and never unmapped, since a stale route may still be compared with one.
 */
#include "heap/internal.h"
#include "heap/user.h"
#include "heap/watch.h"
#include "os/pages.h"

#include <pthread.h>
#include <string.h>

struct pm_pool pm_pool_none;

struct pm_heap pm_heap_none = PM_HEAP_SENTINEL;
struct pm_heap pm_heap_making = PM_HEAP_SENTINEL;
struct pm_heap pm_heap_dead = PM_HEAP_SENTINEL;
struct pm_heap pm_heap_watched = PM_HEAP_SENTINEL;

__thread struct pm_heap *pm_heap_self = &pm_heap_none;
/* Slow calls of a thread that has no heap yet. */
static __thread unsigned calls_without_heap;

struct pm_lock pm_init_lock = PM_LOCK_INIT(PM_RANK_INIT);
static _Atomic bool initialised;
static pthread_key_t exit_key;
static bool have_exit_key; /* written before `initialised`; without one the cold heap serves all */

struct pm_lock pm_registry_lock = PM_LOCK_INIT(PM_RANK_REGISTRY);
struct pm_registry pm_registry;

enum { SHELLS_AT_ONCE = 16, THREAD_BUCKETS = 512 };

/* These under the registry lock too. */
static struct pm_heap *free_heaps;
static char *shells, *shells_end;
static struct pm_heap *heaps_of_threads[THREAD_BUCKETS]; /* in use, by `next_of_thread` */

static struct pm_heap **bucket_of(uintptr_t thread)
{
    return &heaps_of_threads[thread / PM_LINE_BYTES * 0x9e3779b97f4a7c15u >> 55];
}

_Static_assert(THREAD_BUCKETS == 1 << (64 - 55), "the hash's high bits number the buckets");

static void give_shell(struct pm_heap *heap)
{
    pm_lock_acquire(&pm_registry_lock);
    struct pm_heap **at = bucket_of(heap->thread);
    while (*at != NULL && *at != heap)
        at = &(*at)->next_of_thread;
    if (*at != NULL)
        *at = heap->next_of_thread;
    pm_store_relaxed(&heap->in_use, false);
    heap->next_free = free_heaps;
    free_heaps = heap;
    pm_lock_release(&pm_registry_lock);
}

/* In the child of a fork the C library may use the storage of a thread that vanished for a new one,
 * stale values of keys included: that heap stays as it is. */
static void thread_exit(void *arg)
{
    struct pm_heap *heap = arg;
    if (heap != pm_watch_heap_of_thread())
        return;
    pm_heap_self = &pm_heap_dead; /* what comes later in this thread is served by the cold heap */
    pm_heap_dissolve(heap);
    give_shell(heap);
}

/* Who has this layer alone, as its unit tests, does without: malloc.c pulls the tools layer in. */
#pragma weak pm_watch_at_start

/* Release: see pm_watch_set. */
static void watch_from_the_start(void)
{
    if (pm_watch_at_start != NULL)
        pm_store_release(&pm_watch_now, pm_watch_at_start());
}

static bool init_once(void)
{
    pm_os_init();
    pm_os_options_init();
    pm_lock_register(&pm_init_lock);
    pm_lock_register(&pm_registry_lock);
    pm_cold_init();
    pm_floating_init();
    pm_gc_init();
    pm_arena_set_reclaim(pm_heap_reclaim);
    if (!pm_arena_init())
        return false;
    have_exit_key = pthread_key_create(&exit_key, thread_exit) == 0;
    watch_from_the_start();
    return true;
}

bool pm_heap_process_init(void)
{
    /* Acquire pairs with the release below: what was initialised is seen. */
    if (pm_likely(pm_load_acquire(&initialised)))
        return true;
    pm_lock_acquire(&pm_init_lock);
    bool done = pm_load_relaxed(&initialised) || init_once();
    pm_store_release(&initialised, done);
    pm_lock_release(&pm_init_lock);
    return done;
}

char *pm_heap_fresh_pages(size_t bytes)
{
    const struct pm_page_hooks *pages = pm_pages_now();
    char *start = pm_pages_reserve(pages, bytes, pm_os_page_bytes());
    if (start == NULL)
        return NULL;
    if (!pm_pages_commit(pages, start, bytes)) {
        pm_pages_release(pages, start, bytes);
        return NULL;
    }
    pm_os_describe(start, bytes, PM_OS_HEAPS);
    return start;
}

static bool more_shells(void)
{
    size_t bytes = pm_align_up(sizeof(struct pm_heap) * SHELLS_AT_ONCE, pm_os_page_bytes());
    char *start = pm_heap_fresh_pages(bytes);
    if (start == NULL)
        return false;
    shells_end = shells; /* a fork in between must not find more than there is */
    shells = start;
    shells_end = start + bytes;
    pm_count_owner(&pm_registry.shell_bytes, bytes); /* under the registry lock */
    return true;
}

struct pm_heap *pm_heap_new_shell(void)
{
    if ((size_t)(shells_end - shells) < sizeof(struct pm_heap) && !more_shells())
        return NULL;
    struct pm_heap *heap = (struct pm_heap *)(void *)shells;
    shells += sizeof(struct pm_heap);
    for (unsigned i = 0; i < PM_DIRECT_SLOTS; i++)
        heap->direct[i] = &pm_pool_none;
    for (unsigned i = 0; i < PM_CLASSES; i++)
        heap->current[i] = &pm_pool_none;
    heap->real = true;
    heap->next = pm_load_relaxed(&pm_registry.heaps);
    /* Release pairs with pm_heap_give_kept_of_all, which follows the list without the lock. */
    pm_store_release(&pm_registry.heaps, heap);
    return heap;
}

/* The heap of the thread whose storage that is, or NULL. */
static struct pm_heap *heap_of_thread(uintptr_t thread)
{
    struct pm_heap *heap = *bucket_of(thread);
    while (heap != NULL && heap->thread != thread)
        heap = heap->next_of_thread;
    return heap;
}

/* Under the registry lock; of a fork that interrupts it, the child may miss a shell, no more. A
 * recycled shell is as pm_heap_dissolve left it: like a new one. */
static struct pm_heap *take_shell(uintptr_t thread)
{
    struct pm_heap *heap = free_heaps;
    if (heap != NULL)
        free_heaps = heap->next_free;
    else if ((heap = pm_heap_new_shell()) != NULL)
        pm_cold_grow();
    if (heap == NULL)
        return NULL;
    pm_store_relaxed(&heap->in_use, true); /* statistics alone look at it */
    heap->thread = thread;
    heap->next_of_thread = *bucket_of(thread);
    *bucket_of(thread) = heap;
    return heap;
}

/* A heap for the calling thread, which stays marked as `making` meanwhile: a signal handler, and
 * the C library when it allocates, are served by the cold heap. */
static PM_COLD struct pm_heap *heap_make(void)
{
    uintptr_t thread = (uintptr_t)&pm_heap_self;
    pm_lock_acquire(&pm_registry_lock);
    /* A dead thread left it, whose last round of destructors made it: its storage is ours now. */
    struct pm_heap *leaked = heap_of_thread(thread);
    struct pm_heap *heap = leaked ? leaked : take_shell(thread);
    pm_lock_release(&pm_registry_lock);
    if (heap == NULL)
        return NULL;
    pm_store_relaxed(&heap->thread_id, pm_os_thread_id());
    if (leaked != NULL)
        pm_heap_dissolve(leaked);
    pm_cold_choose_again();
    if (pthread_setspecific(exit_key, heap) == 0)
        return heap;
    pm_heap_self = &pm_heap_dead; /* without the exit call the heap would leak */
    give_shell(heap);
    return NULL;
}

/* The first thread gets its heap at once: the blocks of one thread need not be shared. */
static bool few_calls(void)
{
    return calls_without_heap++ < PM_CALLS_BEFORE_HEAP &&
           pm_load_relaxed(&pm_registry.heaps) != NULL;
}

/* NULL: the thread can have none, or there is no memory for it. */
static struct pm_heap *make_own(void)
{
    if (!pm_heap_process_init() || !have_exit_key)
        return NULL;
    pm_heap_self = &pm_heap_making;
    /* A signal handler of this thread sees the one or the other, and the heap complete. */
    atomic_signal_fence(memory_order_seq_cst);
    struct pm_heap *heap = heap_make();
    atomic_signal_fence(memory_order_seq_cst);
    if (heap != NULL)
        pm_heap_self = heap;
    else if (pm_heap_self == &pm_heap_making)
        pm_heap_self = &pm_heap_none; /* no memory now, perhaps later */
    return heap;
}

struct pm_heap *pm_heap_get(void)
{
    struct pm_heap *heap = pm_heap_self;
    if (pm_likely(heap->real))
        return heap;
    return heap != &pm_heap_none || few_calls() ? NULL : make_own();
}

/* The making takes the registry's lock. */
void pm_heap_get_in_passing(void)
{
    bool due = pm_heap_self == &pm_heap_none && !few_calls() && have_exit_key;
    if (due && !pm_cold_is_held() && !pm_lock_is_held_from(PM_RANK_REGISTRY))
        make_own();
}

static void let_go(struct pm_heap *heap, struct pm_pool *pool, unsigned local,
                   struct pm_returns *returns)
{
    pm_assert(pm_pool_check(pool));
    pm_heap_account(heap, pool, local);
    if (pm_pool_float(pool, local, pm_heap_route(heap)))
        return;
    pm_pool_retire(pool);
    pm_heap_return(returns, pool);
}

static void dissolve_class(struct pm_heap *heap, unsigned class, struct pm_returns *returns)
{
    struct pm_pool *current = heap->current[class];
    if (current != &pm_pool_none) {
        pm_heap_set_current(heap, class, &pm_pool_none);
        let_go(heap, current, pm_pool_count_local(current), returns);
    }
    while (!pm_list_empty(&heap->parked[class])) {
        struct pm_pool *pool = pm_container_of(heap->parked[class].next, struct pm_pool, link);
        pm_heap_unpark(heap, pool);
        let_go(heap, pool, pool->carved - pool->count, returns);
    }
}

void pm_heap_dissolve(struct pm_heap *heap)
{
    struct pm_returns returns;
    returns.count = 0;
    pm_heap_flush(heap);
    for (unsigned word = 0; word < 2; word++) {
        for (uint64_t used = heap->used_classes[word]; used != 0; used &= used - 1)
            dissolve_class(heap, word * 64 + (unsigned)__builtin_ctzll(used), &returns);
        heap->used_classes[word] = 0;
    }
    pm_heap_return_end(&returns);
    memset(heap->asked, 0, sizeof heap->asked);
    heap->grown = NULL; /* but for `early`: what lives of those counts for the next thread, too */
    pm_heap_give_kept(heap);
    pm_heap_end_leases(heap);
}

static bool let_go_of_all(struct pm_heap *heap)
{
    if (!heap->real)
        return false;
    uint64_t span_units, held_units;
    pm_heap_count_spans(heap, &span_units, &held_units);
    bool some = (heap->used_classes[0] | heap->used_classes[1]) != 0 || heap->batch_slots != 0 ||
                pm_load_relaxed(&heap->kept_bytes) != 0 || pm_load_relaxed(&heap->stash) != 0 ||
                held_units != 0;
    pm_heap_enter(heap);
    pm_heap_dissolve(heap);
    pm_heap_leave(heap);
    return some;
}

bool pm_heap_idle(void)
{
    pm_watch_suspend();
    bool some = let_go_of_all(pm_heap_self);
    pm_watch_resume();
    return some;
}

void pm_heap_trim(void)
{
    pm_heap_idle();
    pm_cold_dissolve();
    pm_user_trim();
    pm_heap_give_kept_of_all(false);
}

/* Their owners were stopped anywhere, so that nobody may go on with what they had. What they kept
 * without using it can be taken still. */
void pm_heap_forget_threads_in_child(void)
{
    uintptr_t thread = (uintptr_t)&pm_heap_self;
    struct pm_heap *own = heap_of_thread(thread); /* our own; it may be entered just now */
    struct pm_heap *heap = pm_load_relaxed(&pm_registry.heaps);
    for (; heap != NULL; heap = heap->next) { /* a store of ours that was interrupted may find it */
        heap->thread = heap == own ? thread : 0;
        pm_store_relaxed(&heap->thread_id, heap == own ? pm_os_thread_id() : 0);
    }
    pm_purge_set_leases_in_child(own != NULL ? pm_heap_leased_units(own) : 0);
    for (unsigned i = 0; i < THREAD_BUCKETS; i++)
        heaps_of_threads[i] = NULL;
    if (own != NULL) {
        own->next_of_thread = NULL;
        *bucket_of(thread) = own;
    }
}
