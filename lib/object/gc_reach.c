/* SPDX-License-Identifier: MIT */
/*
 * The step of a search for trash (gc_find.c) that marks what is reached: from what has references
 * left, to whatever that leads to.
 *
 * The walk goes by addresses, where the processor fetches objects by itself. What is reached ahead
 * of it stays GC_PENDING, and the walk comes there. What is reached behind it waits in a stack of a
 * fixed size, until there are some, so that the next ones can be fetched while one is traversed.
 * What does not fit stays GC_PENDING as well, and the walk starts over. So no memory is needed but
 * the words. An object is touched when it is traversed, and not before: it may be far from the
 * cache. Stopped.
 */
#include "object/gc_pass.h"

#define STACK 8192
#define STACK_BATCH 64 /* so many wait, and are followed together */
#define STACK_AHEAD 8  /* of them are being fetched */

static struct pm_object *stack[STACK + 1]; /* one more, which may be written, and does not count */
static size_t depth;

/* The header is not looked at: the object may be far from the cache. */
static bool is_in_units(const struct pm_gc_seen *seen, const struct pm_gc_pass *pass)
{
    return (uintptr_t)seen->word - (uintptr_t)pm_gc_table.words <
           pass->search->words * sizeof *seen->word;
}

/* What has references left is met by the walk, or was. */
static void note_reached(const struct pm_gc_seen *seen, struct pm_gc_pass *pass)
{
    if (pm_load_relaxed(seen->word) != GC_CANDIDATE)
        return;
    bool ahead = (uintptr_t)seen->object > pass->place && is_in_units(seen, pass);
    if (pm_unlikely(!ahead && depth == STACK)) {
        pm_store_relaxed(seen->word, GC_PENDING);
        pass->left = true;
        return;
    }
    pm_store_relaxed(seen->word, ahead ? (uint32_t)GC_PENDING : pass->reached);
    stack[depth] = seen->object; /* without a branch that nobody could foresee */
    depth += !ahead;
}

static int reach_one(struct pm_object *object, void *arg)
{
    struct pm_gc_pass *pass = arg;
    _Atomic uint32_t *word = pm_gc_word_of(object);
    if (word == NULL)
        return 0;
    struct pm_gc_seen seen = pm_gc_see_ahead(object, word, pass);
    if (seen.word != NULL)
        note_reached(&seen, pass);
    return 0;
}

/* It may lie across two lines. */
PM_INLINE void fetch(const struct pm_object *object)
{
    __builtin_prefetch(object);
    __builtin_prefetch((const char *)object + PM_GC_OBJECT_MIN);
}

/* Those next on the stack are fetched while others are traversed. */
static void follow_stack(struct pm_gc_pass *pass)
{
    struct pm_object *ahead[STACK_AHEAD] = {NULL};
    unsigned turn = 0, empty = 0;
    while (empty < STACK_AHEAD) {
        struct pm_object **place = &ahead[turn++ % STACK_AHEAD], *object = *place;
        *place = depth > 0 ? stack[--depth] : NULL;
        if (*place != NULL)
            fetch(*place);
        if (object != NULL)
            pm_gc_traverse(object, reach_one, pass);
        empty = object == NULL && *place == NULL ? empty + 1 : 0;
    }
}

PM_INLINE void reach(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    struct pm_gc_pass *pass = arg;
    uint32_t value = pm_load_relaxed(word);
    enum pm_gc_mark mark = pm_gc_mark_of(value);
    if (mark != GC_PENDING && (mark != GC_CANDIDATE || value < GC_COUNT_ONE))
        return;
    pm_store_relaxed(word, pass->reached);
    if ((pm_gc_flags_of(object) & PM_OBJECT_REGISTERED) == 0)
        pass->place = (uintptr_t)object;
    pass->idle = false;
    pm_gc_traverse(object, reach_one, pass);
    if (depth >= STACK_BATCH)
        follow_stack(pass);
}

/* Looks at all that is in the ring, and follows what comes of it; what that leads to may be in the
 * ring again. */
static void empty_ring(struct pm_gc_pass *pass)
{
    for (unsigned i = 0; i < PM_GC_AHEAD; i++) {
        struct pm_gc_seen seen = pass->ahead[i];
        pass->ahead[i].word = NULL;
        if (seen.word != NULL)
            note_reached(&seen, pass);
    }
    follow_stack(pass);
}

static bool is_ring_empty(const struct pm_gc_pass *pass)
{
    for (unsigned i = 0; i < PM_GC_AHEAD; i++)
        if (pass->ahead[i].word != NULL)
            return false;
    return true;
}

/*
 * Where the walk finds nothing in a unit, what it looks for may be in the ring, which else it would
 * never overtake: of a tree that was made from its root on, all would be reached along references
 * at the end, instead of in order.
 */
static void reach_in_unit(size_t unit, struct pm_gc_pass *pass)
{
    unsigned blocks = pm_load_relaxed(&pm_gc_table.units[unit].blocks);
    if (blocks == 0)
        return;
    pass->idle = true;
    pm_gc_each_in_unit(unit, blocks, reach, pass);
    if (!pass->idle)
        return;
    pass->place = (uintptr_t)pm_gc_table.base + ((unit + 1) << GC_UNIT_SHIFT) - 1;
    empty_ring(pass);
}

/* The register comes first: all units are ahead, and large objects lead to many others. */
void pm_gc_reach(struct pm_gc_pass *pass)
{
    do {
        pass->left = false;
        pass->place = 0;
        pm_gc_each_registered(pass, reach);
        for (size_t unit = pass->search->first; unit <= pass->search->last; unit++)
            reach_in_unit(unit, pass);
        pass->place = UINTPTR_MAX; /* all units are behind */
        do
            empty_ring(pass);
        while (!is_ring_empty(pass));
    } while (pass->left);
}
