/* SPDX-License-Identifier: MIT */
/*
 * The life of heaps: process start, the shell that a thread gets, and what happens at its exit.
 * Shells are recycled and never unmapped, since a stale route may still be compared with one.
 */
#include "base/options.h"
#include "heap/internal.h"
#include "os/os.h"

#include <pthread.h>

struct pm_pool pm_pool_none;

#define SENTINEL                                                                                   \
    {                                                                                              \
        .direct = {[0 ... PM_DIRECT_SLOTS - 1] = &pm_pool_none}, .current = {                      \
            [0 ... PM_CLASSES - 1] = &pm_pool_none                                                 \
        }                                                                                          \
    }

struct pm_heap pm_heap_none = SENTINEL;
struct pm_heap pm_heap_dead = SENTINEL;
struct pm_heap pm_heap_cold = SENTINEL;

__thread struct pm_heap *pm_heap_self = &pm_heap_none;

struct pm_lock pm_cold_lock = PM_LOCK_INIT(PM_RANK_COLD);
struct pm_lock pm_init_lock = PM_LOCK_INIT(PM_RANK_INIT);
static _Atomic bool initialised;
static pthread_key_t exit_key;
static bool have_exit_key; /* written before `initialised`; without one the cold heap serves all */

struct pm_lock pm_registry_lock = PM_LOCK_INIT(PM_RANK_REGISTRY);
struct pm_registry pm_registry;
static struct pm_heap *free_heaps; /* these three under the registry lock too */
static char *shells, *shells_end;

enum { SHELLS_AT_ONCE = 16 };

static void thread_exit(void *arg)
{
    struct pm_heap *heap = arg;
    pm_heap_self = &pm_heap_dead; /* what comes later in this thread is served by the cold heap */
    pm_heap_dissolve(heap);
    pm_lock_acquire(&pm_registry_lock);
    heap->in_use = false;
    heap->next_free = free_heaps;
    free_heaps = heap;
    pm_lock_release(&pm_registry_lock);
}

bool pm_heap_process_init(void)
{
    /* Acquire pairs with the release below: what was initialised is seen. */
    if (pm_likely(pm_load_acquire(&initialised)))
        return true;
    pm_lock_acquire(&pm_init_lock);
    bool done = pm_load_relaxed(&initialised);
    if (!done) {
        pm_os_init();
        pm_options_init();
        done = pm_arena_init();
        have_exit_key = done && pthread_key_create(&exit_key, thread_exit) == 0;
        pm_store_release(&initialised, done);
    }
    pm_lock_release(&pm_init_lock);
    return done;
}

static bool more_shells(void)
{
    size_t bytes = pm_align_up(sizeof(struct pm_heap) * SHELLS_AT_ONCE, pm_os_page_bytes());
    char *start = pm_os_reserve(bytes, pm_os_page_bytes());
    if (start == NULL)
        return false;
    if (!pm_os_commit(start, bytes)) {
        pm_os_release(start, bytes);
        return false;
    }
    shells = start;
    shells_end = start + bytes;
    pm_registry.shell_bytes += bytes;
    return true;
}

/* Under the registry lock. A recycled shell is as pm_heap_dissolve left it: like a new one. */
static struct pm_heap *take_shell(void)
{
    struct pm_heap *heap = free_heaps;
    if (heap != NULL) {
        free_heaps = heap->next_free;
    } else {
        if ((size_t)(shells_end - shells) < sizeof(struct pm_heap) && !more_shells())
            return NULL;
        heap = (struct pm_heap *)(void *)shells;
        shells += sizeof(struct pm_heap);
        for (unsigned i = 0; i < PM_DIRECT_SLOTS; i++)
            heap->direct[i] = &pm_pool_none;
        for (unsigned i = 0; i < PM_CLASSES; i++)
            heap->current[i] = &pm_pool_none;
        heap->real = true;
        heap->next = pm_registry.heaps;
        pm_registry.heaps = heap;
    }
    heap->in_use = true;
    return heap;
}

static PM_COLD struct pm_heap *heap_make(void)
{
    if (!pm_heap_process_init() || !have_exit_key)
        return NULL;
    pm_lock_acquire(&pm_registry_lock);
    struct pm_heap *heap = take_shell();
    pm_lock_release(&pm_registry_lock);
    if (heap == NULL)
        return NULL;
    /* Before pthread_setspecific: with many keys it calls calloc, which finds the heap made. */
    pm_heap_self = heap;
    if (pthread_setspecific(exit_key, heap) != 0)
        thread_exit(heap); /* without the exit call the heap would leak */
    return pm_heap_self == heap ? heap : NULL;
}

struct pm_heap *pm_heap_get(void)
{
    struct pm_heap *heap = pm_heap_self;
    if (pm_likely(heap->real))
        return heap;
    return heap == &pm_heap_dead ? NULL : heap_make();
}

static void let_go(struct pm_heap *heap, struct pm_pool *pool, unsigned local)
{
    pm_assert(pm_pool_check(pool));
    pm_heap_account(heap, pool, local);
    if (pm_pool_float(pool, local, pm_heap_route(heap)))
        return;
    pm_pool_retire(pool);
    struct pm_run run = pm_pool_run(pool);
    pm_arena_give_run(&run);
}

static void dissolve_class(struct pm_heap *heap, unsigned class)
{
    struct pm_pool *current = heap->current[class];
    if (current != &pm_pool_none) {
        pm_heap_set_current(heap, class, &pm_pool_none);
        let_go(heap, current, pm_pool_count_local(current));
    }
    while (!pm_list_empty(&heap->parked[class])) {
        struct pm_pool *pool = pm_container_of(heap->parked[class].next, struct pm_pool, link);
        pm_heap_unpark(heap, pool);
        let_go(heap, pool, pool->carved - pool->count);
    }
}

void pm_heap_dissolve(struct pm_heap *heap)
{
    pm_heap_flush(heap);
    for (unsigned word = 0; word < 2; word++) {
        for (uint64_t used = heap->used_classes[word]; used != 0; used &= used - 1)
            dissolve_class(heap, word * 64 + (unsigned)__builtin_ctzll(used));
        heap->used_classes[word] = 0;
    }
    pm_heap_give_kept(heap, 0);
    pm_arena_give_group(&heap->stash);
    heap->stash.units = 0;
}

void pm_heap_trim(void)
{
    if (pm_heap_self->real)
        pm_heap_dissolve(pm_heap_self);
    pm_lock_acquire(&pm_cold_lock);
    pm_heap_dissolve(&pm_heap_cold);
    pm_lock_release(&pm_cold_lock);
}
