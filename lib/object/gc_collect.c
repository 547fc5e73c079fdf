/* SPDX-License-Identifier: MIT */
/*
 * A collection from its start to its end, of which there is one at a time:
 *
 *   stop the world, merge what waits for owners, find trash, hold it, start the world
 *   dispose of trash (gc_trash.c), which may stop it once more
 *   words go back
 *
 * Attached threads.
 */
#include "object/gc.h"
#include "object/gc_internal.h"

#include <errno.h>

_Atomic bool pm_gc_collecting;

/* Of the one who collects: */
static struct pm_slot *_Atomic collector;
static struct pm_gc_search search = {.first = SIZE_MAX};

/* The thread that collected is gone, and what it had found is still held. */
static _Atomic bool abandoned;

/* ---- a thread that is gone ---- */

/*
 * The thread of a collection may end in it, by a finalizer or a callback, and others are not there
 * in the child of a fork. The world runs then, and what was found and is held is in the words. The
 * next collection begins with letting it go: until then deaths look after the words.
 */
static void abandon(void)
{
    pm_store_relaxed(&collector, NULL);
    /* Release: as at the end of a collection; pairs with take_turn. */
    pm_store_release(&abandoned, true);
}

bool pm_gc_is_in_collection(void)
{
    /* Relaxed: the thread's own slot was stored by itself. */
    return pm_object_thread.slot != NULL && pm_load_relaxed(&collector) == pm_object_thread.slot;
}

void pm_gc_thread_ends(void)
{
    if (pm_gc_is_in_collection())
        abandon();
}

/* The world is held then (world.c). */
static void fork_prepare(void)
{
    pm_gc_lock();
    pm_gc_register_lock();
}

static void fork_parent(void)
{
    pm_gc_register_unlock();
    pm_gc_unlock();
}

static void fork_child(void)
{
    fork_parent();
    if (pm_load_relaxed(&pm_gc_collecting) && !pm_gc_is_in_collection())
        abandon();
}

void pm_gc_start(void)
{
    pm_gc_table_init();
    pm_gc_register_init();
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* ---- one collection ---- */

/* Stopped. How many objects survived. */
static void find(unsigned generation)
{
    /* Each time it would take the time of a collection of everything; and with a point of the
     * schedule fuzzer at each load, much more. */
    pm_object_assert(PM_SCHEDULE || generation < GC_OLD || pm_gc_check());
    pm_slots_merge_queues();
    pm_gc_count_collection(generation);
    pm_gc_find_trash(&search);
    pm_gc_count_survivors(generation, search.candidates - search.trash - search.left_out);
    if (search.trash > 0)
        pm_gc_hold_trash(&search);
}

static void tell_start(unsigned generation)
{
    if ((pm_load_relaxed(&pm_gc_debug) & PM_GC_DEBUG_STATS) != 0)
        pm_object_say("gc: collecting generation %u", generation);
    pm_gc_call_callbacks(&(struct pm_gc_info){.generation = generation});
}

static void tell_stop(unsigned generation, const struct pm_gc_result *result, uint64_t ns)
{
    if ((pm_load_relaxed(&pm_gc_debug) & PM_GC_DEBUG_STATS) != 0)
        pm_object_say("gc: done, %zu unreachable, %zu uncollectable, stopped for %.6fs",
                      result->collected + result->uncollectable, result->uncollectable,
                      (double)ns / 1e9);
    pm_gc_call_callbacks(&(struct pm_gc_info){true, generation, *result});
}

/* False: the world did not stop. */
static bool collect(unsigned generation, bool insist, struct pm_gc_result *result)
{
    tell_start(generation);
    if (!pm_world_stop("pm_gc_collect", insist)) {
        pm_gc_note_put_off();
        tell_stop(generation, result, 0);
        return false;
    }
    find(generation);
    uint64_t ns = pm_world_start();
    pm_gc_note_pause(ns);
    if (search.trash > 0)
        pm_gc_dispose_of_trash(&search, result);
    pm_gc_end_search(&search);
    pm_gc_note_collection(generation, result);
    tell_stop(generation, result, ns);
    return true;
}

/* False: another one collects, or this one already. */
static bool take_turn(void)
{
    /* Acquire, both: what the last one has left behind; pair with abandon and pm_gc_run. */
    if (pm_exchange_acquire(&pm_gc_collecting, true) && !pm_exchange_acquire(&abandoned, false))
        return false;
    pm_store_relaxed(&collector, pm_object_thread.slot);
    /* What is left is nothing, unless it was abandoned. */
    pm_gc_let_go_of_trash(&search);
    pm_gc_end_search(&search);
    return true;
}

bool pm_gc_run(unsigned generation, bool *put_off, struct pm_gc_result *result)
{
    struct pm_gc_result ignored;
    if (result == NULL)
        result = &ignored;
    *result = (struct pm_gc_result){0, 0};
    if (!take_turn()) {
        if (put_off != NULL)
            *put_off = false;
        errno = EBUSY;
        return false;
    }
    search = (struct pm_gc_search){.generation = generation, .first = SIZE_MAX};
    bool done = collect(generation, put_off == NULL, result);
    if (put_off != NULL)
        *put_off = !done;
    search = (struct pm_gc_search){.first = SIZE_MAX};
    pm_store_relaxed(&collector, NULL);
    /* Release: all of it; pairs with take_turn. */
    pm_store_release(&pm_gc_collecting, false);
    if (!done)
        errno = EBUSY;
    return done;
}

bool pm_gc_collect(unsigned generation, struct pm_gc_result *result)
{
    pm_object_require_thread("pm_gc_collect", NULL);
    pm_safepoint();
    if (generation >= PM_GC_GENERATIONS) {
        errno = EINVAL;
        return false;
    }
    if (pm_load_relaxed(&pm_gc_mode) == PM_GC_WHOLE)
        generation = GC_OLD;
    return pm_gc_run(generation, NULL, result);
}
