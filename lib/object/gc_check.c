/* SPDX-License-Identifier: MIT */
/*
 * What must hold when a collection begins, and after its end: of the tables beside the gc pools,
 * and of the structures whose objects it looks at. By the collector in builds with assertions, and
 * by tests. Stopped, so that it may walk through everything.
 */
#include "object/gc_internal.h"
#include "object/value.h"
#include "object/weak_table.h"

/* What is to be found by a collection of the unit's young, or of those in the middle. */
static bool is_noted(size_t unit, const struct pm_object *object)
{
    if (!pm_gc_is_live(pm_gc_peek(object)) || !pm_gc_is_tracked(object))
        return true;
    unsigned generation = pm_gc_generation_of(object);
    return generation >= GC_OLD ||
           pm_gc_has_mark(unit, generation == GC_YOUNG ? GC_HAS_YOUNG : GC_HAS_MIDDLE);
}

/* Under the lock of the walk. */
static bool pool_check(const struct pm_gc_pool *pool, void *right)
{
    size_t unit = pm_gc_unit_of((size_t)(pool->first - pm_gc_table.base));
    unsigned blocks = pm_load_relaxed(&pm_gc_table.units[unit].blocks);
    bool *is_right = right;
    *is_right = blocks == 0 && !pm_gc_has_mark(unit, GC_HAS_TRASH);
    if (!*is_right)
        pm_object_warn("gc table check: unit %zu takes part in a collection, with %u blocks", unit,
                       blocks);
    for (uint32_t i = 0; i < pool->blocks && *is_right; i++) {
        char *block = pool->first + (size_t)i * pool->block_bytes;
        *is_right = is_noted(unit, (struct pm_object *)(void *)block);
        if (!*is_right)
            pm_object_warn("gc table check: %p is young, and its unit is not marked",
                           (void *)block);
    }
    return *is_right;
}

static bool words_check(void)
{
    for (size_t i = 0; i < PM_GC_KEPT_WORDS; i++)
        if (pm_load_relaxed(&pm_gc_table.words[i]) != GC_NONE) {
            pm_object_warn("gc table check: word %zu is %u between collections", i,
                           pm_load_relaxed(&pm_gc_table.words[i]));
            return false;
        }
    return true;
}

bool pm_gc_table_check(void)
{
    bool right = pm_gc_table.words == NULL || words_check();
    if (right)
        pm_gc_pools_walk(pool_check, &right);
    return right;
}

bool pm_gc_check(void)
{
    struct pm_weak_figures figures;
    return pm_gc_table_check() && pm_gc_register_check() && pm_weak_check(&figures) &&
           pm_intern_check() && pm_deferred_check() && pm_slots_check();
}
