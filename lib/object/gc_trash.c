/* SPDX-License-Identifier: MIT */
/*
 * What becomes of trash. While the world is stopped the collector takes a reference to each object,
 * and weak references to trash are cleared. Then, with the world running, as CPython does
 * (Python/gc_free_threading.c, 3.13: gc_collect_internal):
 *
 *   callbacks     of weak references that are not trash themselves
 *   finalizers    of objects whose finalizer was not called yet
 *   another look  stopped again, if something of the program's was called: what leads out of trash
 *                 now lives on, with all it refers to
 *   clear         each object drops what it refers to
 *   release       the collector's references: the objects die, but those in cycles in which nothing
 *                 could be cleared
 *
 * Objects that another thread owns are merged when they are held: they die here, whatever their
 * owner does.
 */
#include "object/gc_internal.h"

/* Objects that were trash, and died by that. Relaxed: others may make them die, but for their
 * number the collector looks at what is left. */
static _Atomic uint64_t died;

void pm_gc_note_death(uint32_t word)
{
    if (pm_gc_mark_of(word) == GC_CANDIDATE)
        pm_count_shared(&died, 1);
}

/* ---- holding ---- */

static bool is_trash(struct pm_object *object, void *arg)
{
    (void)arg;
    _Atomic uint32_t *word = pm_gc_word_of(object);
    return word != NULL && pm_load_relaxed(word) == GC_CANDIDATE;
}

static void hold(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    (void)word, (void)arg;
    uint32_t owner = pm_load_relaxed(pm_owned_of(object)) >> 16;
    if (owner == 0 || owner == pm_object_self.mine >> 16)
        pm_incref(object);
    else
        pm_object_merge(object, -1);
}

static void clear_weak(struct pm_object *object, _Atomic uint32_t *word, void *callbacks)
{
    (void)word;
    if (pm_is_weakref(object))
        pm_weak_let_go((struct pm_weakref *)object);
    if ((pm_gc_flags_of(object) & PM_OBJECT_WEAK) != 0)
        pm_weak_clear_trash(object, callbacks, is_trash, NULL);
}

void pm_gc_hold_trash(struct pm_gc_search *search)
{
    pm_gc_each_marked(search, GC_CANDIDATE, hold, NULL);
    search->deferred = pm_deferred_take(is_trash, NULL);
    pm_gc_each_marked(search, GC_CANDIDATE, clear_weak, &search->callbacks);
}

/* ---- finalizers, and what they brought back ---- */

/* *arg: something of the program's was called, or may have found trash. */
static void finalize(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    (void)word;
    bool *again = arg;
    const struct pm_type *type = pm_object_type(object);
    unsigned flags = pm_gc_flags_of(object);
    if ((flags & PM_OBJECT_PROBED) != 0) /* pm_try_incref of others */
        *again = true;
    if (type->finalize == NULL || (flags & PM_OBJECT_FINALIZED) != 0)
        return;
    *again = true;
    pm_object_set_flag(object, PM_OBJECT_FINALIZED);
    type->finalize(object);
}

static void let_live(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    (void)arg;
    pm_store_relaxed(word, GC_REACHED);
    pm_decref(object);
}

static void look_again(struct pm_gc_search *search)
{
    pm_world_stop("pm_gc_collect", true);
    pm_slots_merge_queues();
    pm_gc_find_resurrected(search);
    pm_gc_each_marked(search, GC_CANDIDATE, clear_weak, NULL); /* those that finalizers made */
    pm_gc_note_pause(pm_world_start());
    pm_gc_take_marked(search, GC_RESURRECTED, let_live, NULL);
}

/* ---- death ---- */

static void tell(struct pm_object *object, _Atomic uint32_t *word, void *what)
{
    (void)word;
    pm_object_say("gc: %s <%s %p>", (const char *)what, pm_object_name(object), (void *)object);
}

/* The garbage gets a reference of its own, which others may drop at once. */
static void save(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    struct pm_gc_search *search = arg;
    pm_incref(object);
    if (!pm_gc_add_garbage(object)) {
        pm_decref(object);
        return;
    }
    pm_store_relaxed(word, GC_RESURRECTED);
    pm_gc_note_again(object);
    search->trash--;
}

static void save_all(struct pm_gc_search *search)
{
    pm_gc_each_marked(search, GC_CANDIDATE, save, search);
    pm_gc_take_marked(search, GC_RESURRECTED, let_live, NULL);
}

static void clear(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    (void)word, (void)arg;
    const struct pm_type *type = pm_object_type(object);
    if (type->clear != NULL)
        type->clear(object);
}

static void release(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    (void)arg;
    pm_store_relaxed(word, GC_RELEASED);
    pm_decref(object);
}

/* Alive: also among those whose turn to die comes later in the calls that led here. */
static void keep(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    size_t *kept = arg;
    if (!pm_gc_is_live(pm_gc_peek(object)))
        return;
    pm_store_relaxed(word, GC_REACHED);
    pm_gc_set_generation(object, GC_OLD);
    if ((pm_load_relaxed(&pm_gc_debug) & PM_GC_DEBUG_UNCOLLECTABLE) != 0)
        tell(object, word, "uncollectable");
    ++*kept;
    pm_incref(object);
    if (!pm_gc_add_garbage(object))
        pm_decref(object); /* not the last one: its cycle has others */
}

static size_t keep_what_is_left(struct pm_gc_search *search)
{
    size_t kept = 0;
    pm_world_stop("pm_gc_collect", true);
    pm_gc_each_stopped(search, GC_RELEASED, keep, &kept);
    pm_gc_note_pause(pm_world_start());
    return kept;
}

void pm_gc_dispose_of_trash(struct pm_gc_search *search, struct pm_gc_result *result)
{
    unsigned debug = pm_load_relaxed(&pm_gc_debug);
    pm_deferred_drop(&search->deferred); /* none dies of it, as all are held */
    bool again = search->callbacks.first != NULL;
    pm_weak_run_callbacks(&search->callbacks);
    pm_gc_each_marked(search, GC_CANDIDATE, finalize, &again);
    if (again)
        look_again(search);
    if ((debug & PM_GC_DEBUG_COLLECTABLE) != 0)
        pm_gc_each_marked(search, GC_CANDIDATE, tell, (void *)"collectable");
    result->collected = search->trash;
    if ((debug & PM_GC_DEBUG_SAVEALL) != 0)
        save_all(search);
    pm_store_relaxed(&died, 0);
    pm_gc_each_marked(search, GC_CANDIDATE, clear, NULL);
    pm_gc_take_marked(search, GC_CANDIDATE, release, NULL);
    if (pm_load_relaxed(&died) < search->trash)
        result->uncollectable = keep_what_is_left(search);
    result->collected -= result->uncollectable;
}

/* ---- when the collector's thread is gone ---- */

static void let_go(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    (void)arg;
    pm_store_relaxed(word, GC_NONE);
    pm_gc_note_again(object);
    pm_decref(object);
}

/* Trash that was released and still lives, in a cycle in which nothing could be cleared, is as
 * young as it was, and its unit has lost the marks that say so. It may die at this moment: nothing
 * is looked at but where it lies, which is no node's: those have left the list. */
static void mark_unit(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    (void)word, (void)arg;
    pm_gc_set_mark(pm_gc_unit_of(pm_gc_offset(object)), GC_HAS_YOUNG | GC_HAS_MIDDLE);
}

void pm_gc_let_go_of_trash(struct pm_gc_search *search)
{
    pm_deferred_drop(&search->deferred);
    pm_weak_run_callbacks(&search->callbacks);
    pm_gc_take_marked(search, GC_CANDIDATE, let_go, NULL);
    pm_gc_take_marked(search, GC_RESURRECTED, let_live, NULL);
    pm_gc_each_marked(search, GC_RELEASED, mark_unit, NULL);
}
