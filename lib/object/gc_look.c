/* SPDX-License-Identifier: MIT */
/*
 * Looking at the objects that there are: the functions of poolmalloc/gc.h that stop the world for
 * it, and what they say of single objects. Attached threads.
 */
#include "object/gc_internal.h"

/* ---- single objects ---- */

/* It is no object that was allocated, but a static one, as the empty tuple is: it cannot be part of
 * a cycle, and there is nothing of it beside the pools. */
static bool is_elsewhere(const struct pm_object *object)
{
    return (pm_gc_flags_of(object) & PM_OBJECT_REGISTERED) == 0 &&
           pm_gc_offset(object) >= pm_gc_table.bytes;
}

void pm_gc_track(struct pm_object *object)
{
    pm_object_require_thread("pm_gc_track", object);
    if (!pm_gc_is_type_gc(object))
        pm_object_fatal_type(pm_object_type(object), "tracked, and not flagged PM_TYPE_GC");
    if (is_elsewhere(object))
        return;
    pm_schedule_point();
    /* Relaxed: the world orders it. */
    atomic_fetch_and_explicit((_Atomic uint8_t *)&object->flags, (uint8_t)~PM_OBJECT_UNTRACKED,
                              memory_order_relaxed);
    pm_gc_note_again(object);
}

void pm_gc_untrack(struct pm_object *object)
{
    pm_object_require_thread("pm_gc_untrack", object);
    if (!pm_gc_is_type_gc(object))
        pm_object_fatal_type(pm_object_type(object), "untracked, and not flagged PM_TYPE_GC");
    pm_object_set_flag(object, PM_OBJECT_UNTRACKED);
}

bool pm_gc_is_tracked(const struct pm_object *object)
{
    return pm_gc_is_type_gc(object) && (pm_gc_flags_of(object) & PM_OBJECT_UNTRACKED) == 0;
}

bool pm_gc_is_finalized(const struct pm_object *object)
{
    return (pm_gc_flags_of(object) & PM_OBJECT_FINALIZED) != 0;
}

/* ---- all objects ---- */

struct look {
    void (*visit)(struct pm_object *object, struct look *look);
    size_t first, last; /* units that have an object */
    int generation;     /* that is looked for */
    struct pm_object *const *targets;
    size_t targets_count;
    /* What was found: */
    struct pm_object **found;
    size_t count, room;
};

/* Alive, tracked, and not what a collection has found to be trash. */
static bool is_seen(struct pm_object *object, _Atomic uint32_t *word)
{
    return pm_gc_is_live(pm_gc_peek(object)) && pm_gc_is_tracked(object) &&
           (word == NULL || pm_gc_mark_of(pm_load_relaxed(word)) != GC_CANDIDATE);
}

/* Under the lock of the walk, where nothing is called: only what blocks there are. */
static bool note_pool(const struct pm_gc_pool *pool, void *arg)
{
    struct look *look = arg;
    for (uint32_t i = 0; i < pool->blocks; i++) {
        if (!pm_gc_is_live(pm_gc_peek(pool->first + (size_t)i * pool->block_bytes)))
            continue;
        size_t unit = pm_gc_table_note_pool(pool);
        pm_gc_table.units[unit].looked = (uint16_t)pool->blocks;
        if (unit < look->first)
            look->first = unit;
        if (unit > look->last)
            look->last = unit;
        break;
    }
    return true;
}

static void look_at(struct pm_object *object, _Atomic uint32_t *word, struct look *look)
{
    if (is_seen(object, word))
        look->visit(object, look);
}

/* Its word is where the unit has it, if it takes part in a collection, and did from the start. */
static void look_at_block(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    (void)word;
    look_at(object, pm_gc_word_in_pool(pm_gc_offset(object)), arg);
}

static void look_at_node(struct pm_object *object, struct pm_gc_node *node, void *arg)
{
    look_at(object, &node->word, arg);
}

static void look_at_all(struct look *look, const char *function)
{
    pm_object_require_thread(function, NULL);
    look->first = SIZE_MAX;
    pm_world_stop(function, true);
    pm_gc_pools_walk(note_pool, look);
    for (size_t unit = look->first; unit <= look->last; unit++) {
        pm_gc_each_in_unit(unit, pm_gc_table.units[unit].looked, look_at_block, look);
        pm_gc_table.units[unit].looked = 0;
    }
    pm_gc_register_each(look_at_node, look);
    pm_gc_note_pause(pm_world_start());
}

/* With a reference, if there is room. */
static void add(struct pm_object *object, struct look *look)
{
    if (look->count < look->room) {
        pm_incref(object);
        look->found[look->count] = object;
    }
    look->count++;
}

static void find_object(struct pm_object *object, struct look *look)
{
    unsigned generation = pm_gc_generation_of(object);
    if (look->generation < 0 ? generation != GC_FROZEN : (int)generation == look->generation)
        add(object, look);
}

size_t pm_gc_get_objects(int generation, struct pm_object **found, size_t room)
{
    struct look look = {
        .visit = find_object, .generation = generation, .found = found, .room = room};
    look_at_all(&look, "pm_gc_get_objects");
    return look.count;
}

/* ---- who refers to whom ---- */

static int is_target(struct pm_object *object, void *arg)
{
    const struct look *look = arg;
    for (size_t i = 0; i < look->targets_count; i++)
        if (look->targets[i] == object)
            return 1;
    return 0;
}

static void find_referrer(struct pm_object *object, struct look *look)
{
    pm_object_traversed = pm_object_type(object);
    if (pm_object_traversed->traverse(object, is_target, look) != 0)
        add(object, look);
}

size_t pm_gc_get_referrers(struct pm_object *const *targets, size_t count, struct pm_object **found,
                           size_t room)
{
    struct look look = {.visit = find_referrer,
                        .targets = targets,
                        .targets_count = count,
                        .found = found,
                        .room = room};
    look_at_all(&look, "pm_gc_get_referrers");
    return look.count;
}

static int add_referent(struct pm_object *object, void *look)
{
    pm_gc_look_over(object, pm_object_traversed);
    add(object, look);
    return 0;
}

size_t pm_gc_get_referents(struct pm_object *const *objects, size_t count, struct pm_object **found,
                           size_t room)
{
    struct look look = {.found = found, .room = room};
    pm_object_require_thread("pm_gc_get_referents", NULL);
    pm_world_stop("pm_gc_get_referents", true);
    pm_gc_look_begin();
    for (size_t i = 0; i < count; i++) {
        const struct pm_type *type = pm_object_traversed = pm_object_type(objects[i]);
        if ((type->flags & PM_TYPE_GC) != 0)
            type->traverse(objects[i], add_referent, &look);
    }
    pm_gc_note_pause(pm_world_start());
    return look.count;
}

/* ---- freezing ---- */

static void freeze(struct pm_object *object, struct look *look)
{
    (void)look;
    pm_gc_set_generation(object, GC_FROZEN);
}

static void unfreeze(struct pm_object *object, struct look *look)
{
    (void)look;
    if (pm_gc_generation_of(object) == GC_FROZEN)
        pm_gc_set_generation(object, GC_OLD);
}

static void count_frozen(struct pm_object *object, struct look *look)
{
    look->count += pm_gc_generation_of(object) == GC_FROZEN;
}

void pm_gc_freeze(void)
{
    look_at_all(&(struct look){.visit = freeze}, "pm_gc_freeze");
}

void pm_gc_unfreeze(void)
{
    look_at_all(&(struct look){.visit = unfreeze}, "pm_gc_unfreeze");
}

size_t pm_gc_get_freeze_count(void)
{
    struct look look = {.visit = count_frozen};
    look_at_all(&look, "pm_gc_get_freeze_count");
    return look.count;
}
