/* SPDX-License-Identifier: MIT */
/*
 * When there is a collection: objects made less those that died are counted, as CPython does. Each
 * thread counts its own, and adds them to the sum when they reach a share of what is left to the
 * threshold; so with one thread a collection starts with the very object that exceeds it, and with
 * several not later. Attached threads.
 */
#include "object/gc.h"
#include "object/gc_internal.h"

#include <errno.h>

#define BATCH 512 /* of objects that a thread counts by itself when nothing depends on them */
#define BACKOFF_MAX 20

_Atomic bool pm_gc_enabled = true;
_Atomic uint32_t pm_gc_mode = PM_GC_GENERATIONAL;
_Atomic uint32_t pm_gc_thresholds[PM_GC_GENERATIONS] = {700, 10, 10};

/* All relaxed: figures, with nothing beside them that they would order. */
static _Atomic int64_t made; /* less those that died; without what threads have not added yet */
/* Of generations 0 and 1, since the last one of the next generation. */
static _Atomic uint32_t collections[PM_GC_GENERATIONS - 1];
/* Survivors of the last collection of all, and objects that came to the last generation since. */
static _Atomic size_t long_lived, pending;

/* Collections that did not start, one after another, as a thread came to no safepoint; and how many
 * objects there may be before the next one is tried. */
static _Atomic uint32_t put_off_times;
static _Atomic int64_t put_off_until;

struct counting {
    int64_t net; /* of this thread; not added yet */
    int64_t ceiling, floor;
};

static __thread struct counting self;

void pm_gc_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, pm_gc_start);
}

/* ---- counting ---- */

static int64_t limit(void)
{
    int64_t threshold = pm_load_relaxed(&pm_gc_thresholds[0]);
    int64_t until = pm_load_relaxed(&put_off_until);
    if (until > threshold)
        threshold = until;
    if (pm_load_relaxed(&pm_gc_mode) == PM_GC_WHOLE && pm_load_relaxed(&pm_gc_thresholds[1]) != 0) {
        int64_t quarter = (int64_t)(pm_load_relaxed(&long_lived) / 4);
        return quarter > threshold ? quarter : threshold;
    }
    return threshold;
}

static bool is_automatic(void)
{
    return pm_load_relaxed(&pm_gc_enabled) && pm_load_relaxed(&pm_gc_thresholds[0]) != 0;
}

/* With net 0. */
static void set_bounds(void)
{
    int64_t sum = pm_load_relaxed(&made), threads = pm_load_relaxed(&pm_slots_attached);
    int64_t share = (limit() + 1 - sum) / (threads > 0 ? threads : 1);
    self.ceiling = !is_automatic() ? BATCH : share > 0 ? share : 1;
    self.floor = threads > 1 ? -BATCH : -sum;
}

/* What the thread has counted goes to the sum, which is not below 0. */
static int64_t add_up(void)
{
    int64_t sum = pm_load_relaxed(&made), next;
    do
        next = sum + self.net > 0 ? sum + self.net : 0;
    while (next != sum && !pm_cas_acq_rel(&made, &sum, next));
    self.net = 0;
    return next;
}

void pm_gc_look_at_settings(void)
{
    add_up();
    set_bounds();
}

void pm_gc_thread_leaves(void)
{
    add_up();
    self = (struct counting){0}; /* its next birth sets bounds */
}

void pm_gc_get_counts(size_t counts[PM_GC_GENERATIONS])
{
    pm_object_require_thread("pm_gc_get_counts", NULL);
    pm_gc_look_at_settings();
    counts[0] = (size_t)pm_load_relaxed(&made);
    for (unsigned i = 1; i < PM_GC_GENERATIONS; i++)
        counts[i] = pm_load_relaxed(&collections[i - 1]);
}

void pm_gc_count_collection(unsigned generation)
{
    if (generation + 1 < PM_GC_GENERATIONS)
        pm_store_relaxed(&collections[generation], pm_load_relaxed(&collections[generation]) + 1);
    for (unsigned i = 1; i <= generation; i++)
        pm_store_relaxed(&collections[i - 1], 0);
    self.net = 0;
    pm_store_relaxed(&made, 0);
    pm_store_relaxed(&put_off_times, 0);
    pm_store_relaxed(&put_off_until, 0);
}

void pm_gc_count_survivors(unsigned generation, size_t survivors)
{
    if (generation == GC_MIDDLE) {
        pm_store_relaxed(&pending, pm_load_relaxed(&pending) + survivors);
    } else if (generation == GC_OLD) {
        pm_store_relaxed(&pending, 0);
        pm_store_relaxed(&long_lived, survivors);
    }
}

size_t pm_gc_long_lived(void)
{
    return pm_load_relaxed(&long_lived);
}

/* ---- starting one ---- */

/* The oldest generation that is due. */
static unsigned due_generation(void)
{
    if (pm_load_relaxed(&pm_gc_mode) == PM_GC_WHOLE)
        return GC_OLD;
    for (unsigned i = GC_OLD; i > GC_YOUNG; i--) {
        if (pm_load_relaxed(&collections[i - 1]) <= pm_load_relaxed(&pm_gc_thresholds[i]))
            continue;
        if (i < GC_OLD || pm_load_relaxed(&pending) >= pm_load_relaxed(&long_lived) / 4)
            return i;
    }
    return GC_YOUNG;
}

/* Each time it is longer until the next one is tried. */
static void put_off(int64_t sum)
{
    int64_t step = (int64_t)pm_load_relaxed(&pm_gc_thresholds[0]) + 1;
    uint32_t times = pm_load_relaxed(&put_off_times);
    pm_store_relaxed(&put_off_until, sum + (step << times));
    if (times < BACKOFF_MAX)
        pm_store_relaxed(&put_off_times, times + 1);
}

static PM_COLD void at_ceiling(void)
{
    int64_t sum = add_up();
    bool ran = true, gave_up = false;
    if (sum > limit() && is_automatic()) {
        int saved_errno = errno;
        ran = pm_gc_run(due_generation(), &gave_up, NULL);
        errno = saved_errno;
    }
    if (gave_up)
        put_off(sum);
    set_bounds();
    if (!ran && !gave_up) /* another thread collects; it will find what there is */
        self.ceiling = BATCH;
}

static PM_COLD void at_floor(void)
{
    if (pm_load_relaxed(&made) == 0) { /* objects die that were counted before a collection */
        self.net = 0;
        return;
    }
    pm_gc_look_at_settings();
}

void pm_gc_before_birth(void)
{
    /* Relaxed: what is due is looked at by who does it. */
    if (pm_unlikely(pm_load_relaxed((_Atomic uint32_t *)&pm_object_self.due) != 0))
        pm_world_stop_here();
    if (pm_unlikely(++self.net >= self.ceiling))
        at_ceiling();
}

/* ---- birth and death ---- */

bool pm_gc_has_pools(void)
{
    return pm_gc_table.bytes != 0;
}

void pm_gc_born(struct pm_object *object)
{
    pm_gc_table_note_young(object);
}

bool pm_gc_born_elsewhere(struct pm_object *object)
{
    return pm_gc_register_add(object);
}

/* Of one in a gc pool: what stays in the tables would be that of the next one in its place. */
static void forget(struct pm_object *object)
{
    size_t number = pm_gc_offset(object) >> GC_GENERATION_SHIFT;
    unsigned shift = number % 4 * 2;
    _Atomic uint8_t *generation = &pm_gc_table.generations[number / 4];
    if ((pm_load_relaxed(generation) >> shift & 3) != GC_YOUNG) {
        pm_schedule_point();
        /* Relaxed: the generations of other objects are in it; nothing depends on it. */
        atomic_fetch_and_explicit(generation, (uint8_t) ~(3u << shift), memory_order_relaxed);
    }
}

void pm_gc_dead(struct pm_object *object)
{
    uint32_t word = GC_NONE;
    /* Relaxed: set with the world stopped, which no thread is in here. */
    bool collecting = pm_load_relaxed(&pm_gc_collecting);
    if (pm_unlikely(collecting))
        word = pm_gc_take_word(object);
    if (pm_unlikely((pm_gc_flags_of(object) & PM_OBJECT_REGISTERED) != 0))
        word |= pm_gc_register_remove(object);
    else
        forget(object);
    if (pm_unlikely(word != GC_NONE))
        pm_gc_note_death(word);
    if (pm_unlikely(--self.net < self.floor))
        at_floor();
}
