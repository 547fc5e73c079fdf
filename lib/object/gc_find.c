/* SPDX-License-Identifier: MIT */
/*
 * Which objects are trash: trial deletion (Christopher 1984; CPython's Modules/gcmodule.c). Each
 * candidate starts with its reference count; what candidates refer to is taken off; what then has
 * some left is referred to from outside, and leads to what is reached.
 *
 *   take       words of candidates get their counts; units are taken     headers, in order
 *   subtract   one less for each reference from a candidate              traverse in order, words
 *   reach      from those that have some left, whatever they lead to     gc_reach.c
 *   settle     what is reached grows older                               words, in order
 *
 * All of it goes by addresses, not along references (gc_reach.c tells how far); the words are a
 * quarter of the size of the objects at most, and fetched ahead. Stopped.
 */
#include "object/gc_pass.h"

/* ---- walks ---- */

/* Calls visit for each block of the units that take part, in order. */
PM_INLINE void each_taken(const struct pm_gc_search *search, pm_gc_each *visit, void *arg)
{
    for (size_t unit = search->first; unit <= search->last; unit++)
        pm_gc_each_in_unit(unit, pm_load_relaxed(&pm_gc_table.units[unit].blocks), visit, arg);
}

struct registered {
    pm_gc_each *visit;
    struct pm_gc_pass *pass;
};

static void visit_registered(struct pm_object *object, struct pm_gc_node *node, void *arg)
{
    const struct registered *to = arg;
    to->visit(object, &node->word, to->pass);
}

void pm_gc_each_registered(struct pm_gc_pass *pass, pm_gc_each *visit)
{
    struct registered to = {visit, pass};
    pm_gc_register_each(visit_registered, &to);
}

/* ---- take ---- */

/* A deferred object has a reference of its register, and lacks those of frames. */
static uint32_t word_of(const struct pm_object *object, uint64_t counts)
{
    uint32_t owned = (uint32_t)counts;
    if (owned == PM_OBJECT_IMMORTAL)
        return GC_COUNT_MAX << GC_COUNT_SHIFT | GC_CANDIDATE;
    uint32_t count = (uint32_t)(pm_count_of((uint32_t)(counts >> 32)) + (uint16_t)owned);
    count -= (pm_gc_flags_of(object) & PM_OBJECT_DEFERRED) != 0;
    return count << GC_COUNT_SHIFT | GC_CANDIDATE;
}

static bool takes_part(const struct pm_gc_search *search, const struct pm_object *object,
                       uint64_t counts)
{
    return pm_gc_is_live(counts) && (pm_gc_flags_of(object) & PM_OBJECT_UNTRACKED) == 0 &&
           pm_gc_generation_of(object) <= search->generation;
}

static void take_unit(struct pm_gc_search *search, const struct pm_gc_pool *pool)
{
    size_t number = pm_gc_table_note_pool(pool);
    struct pm_gc_unit *unit = &pm_gc_table.units[number];
    unit->words_at = (uint32_t)search->words;
    pm_store_relaxed(&unit->blocks, (uint16_t)pool->blocks);
    search->words += pool->blocks;
    if (number < search->first)
        search->first = number;
    if (number > search->last)
        search->last = number;
}

/* Objects of the unit may take part. What does will be older. */
static bool is_of_interest(const struct pm_gc_search *search, size_t unit)
{
    if (search->generation == GC_OLD)
        return true;
    unsigned marks = GC_HAS_YOUNG | (search->generation == GC_MIDDLE ? GC_HAS_MIDDLE : 0);
    bool is = pm_gc_has_mark(unit, marks);
    if (is)
        pm_gc_clear_mark(unit, marks);
    return is;
}

/* Under the lock of the walk: nothing of the program's is called. */
static bool take_pool(const struct pm_gc_pool *pool, void *arg)
{
    struct pm_gc_search *search = arg;
    if (!is_of_interest(search, pm_gc_unit_of((size_t)(pool->first - pm_gc_table.base))))
        return true;
    _Atomic uint32_t *words = pm_gc_table.words + search->words;
    size_t taken = 0;
    for (uint32_t i = 0; i < pool->blocks; i++) {
        struct pm_object *object =
            (struct pm_object *)(void *)(pool->first + (size_t)i * pool->block_bytes);
        uint64_t counts = pm_gc_peek(object);
        if (!takes_part(search, object, counts))
            continue;
        pm_store_relaxed(&words[i], word_of(object, counts));
        taken++;
    }
    if (taken > 0)
        take_unit(search, pool);
    search->candidates += taken;
    return true;
}

static void take_registered(struct pm_object *object, struct pm_gc_node *node, void *arg)
{
    struct pm_gc_search *search = arg;
    uint64_t counts = pm_gc_peek(object);
    bool part = takes_part(search, object, counts);
    pm_store_relaxed(&node->word, part ? word_of(object, counts) : (uint32_t)GC_NONE);
    search->candidates += part;
}

static void add_frame(struct pm_object *object, void *arg)
{
    (void)arg;
    _Atomic uint32_t *word = pm_gc_word_of(object);
    if (word != NULL && pm_gc_mark_of(pm_load_relaxed(word)) == GC_CANDIDATE)
        pm_store_relaxed(word, pm_load_relaxed(word) + GC_COUNT_ONE);
}

/* ---- subtract ---- */

static void account(const struct pm_gc_seen *seen)
{
    uint32_t value = pm_load_relaxed(seen->word);
    if (value == GC_NONE)
        pm_gc_look_over(seen->object, seen->by);
    else if (pm_gc_mark_of(value) != GC_CANDIDATE)
        return; /* reached, before trash was looked at again */
    else if (value >= GC_COUNT_ONE)
        pm_store_relaxed(seen->word, value - GC_COUNT_ONE);
    else
        pm_object_fatal_visit(seen->by, seen->object, "more often than there are references to it");
}

static int subtract_one(struct pm_object *object, void *arg)
{
    struct pm_gc_pass *pass = arg;
    _Atomic uint32_t *word = pm_gc_word_of(object);
    if (word == NULL) {
        pm_gc_look_over(object, pm_object_traversed);
        return 0;
    }
    struct pm_gc_seen seen = pm_gc_see_ahead(object, word, pass);
    if (seen.word != NULL)
        account(&seen);
    return 0;
}

PM_INLINE void subtract(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    if (pm_gc_mark_of(pm_load_relaxed(word)) == GC_CANDIDATE)
        pm_gc_traverse(object, subtract_one, arg);
}

static void subtract_all(struct pm_gc_pass *pass)
{
    each_taken(pass->search, subtract, pass);
    pm_gc_each_registered(pass, subtract);
    for (unsigned i = 0; i < PM_GC_AHEAD; i++) {
        if (pass->ahead[i].word != NULL)
            account(&pass->ahead[i]);
        pass->ahead[i].word = NULL;
    }
}

/* ---- settle ---- */

/* There is none older than the oldest. */
static unsigned next_generation(const struct pm_gc_search *search)
{
    return search->generation < GC_OLD ? search->generation + 1 : GC_OLD;
}

/* In a gc pool. */
static void become_older(struct pm_object *object, const struct pm_gc_search *search)
{
    unsigned generation = next_generation(search);
    size_t unit = pm_gc_unit_of(pm_gc_offset(object));
    pm_gc_set_generation_in_pool(object, generation);
    if (generation == GC_MIDDLE && !pm_gc_has_mark(unit, GC_HAS_MIDDLE))
        pm_gc_set_mark(unit, GC_HAS_MIDDLE);
}

static void settle_in_unit(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    struct pm_gc_search *search = arg;
    uint32_t value = pm_load_relaxed(word);
    if (value == GC_REACHED && !pm_gc_leave_out(object, search)) {
        become_older(object, search);
    } else if (value == GC_CANDIDATE) {
        pm_gc_set_mark(pm_gc_unit_of(pm_gc_offset(object)), GC_HAS_TRASH);
        search->trash++;
    }
}

static void settle_registered(struct pm_object *object, struct pm_gc_node *node, void *arg)
{
    struct pm_gc_search *search = arg;
    uint32_t value = pm_load_relaxed(&node->word);
    if (value == GC_REACHED && !pm_gc_leave_out(object, search)) {
        pm_gc_set_generation(object, next_generation(search));
    } else if (value == GC_CANDIDATE) {
        node->next_trash = search->trash_nodes;
        search->trash_nodes = node;
        search->trash++;
    }
}

void pm_gc_find_trash(struct pm_gc_search *search)
{
    struct pm_gc_pass pass = {.search = search, .reached = GC_REACHED};
    pm_gc_look_begin();
    pm_gc_pools_walk(take_pool, search);
    pm_gc_register_each(take_registered, search);
    if (search->candidates == 0)
        return;
    pm_deferred_each(add_frame, NULL);
    subtract_all(&pass);
    pm_gc_reach(&pass);
    each_taken(search, settle_in_unit, search);
    pm_gc_register_each(settle_registered, search);
}

/* ---- another look ---- */

/* Without the collector's own reference. */
static void take_again(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    (void)arg;
    pm_store_relaxed(word, word_of(object, pm_gc_peek(object)) - GC_COUNT_ONE);
}

static void grow_older(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    (void)word;
    if ((pm_gc_flags_of(object) & PM_OBJECT_REGISTERED) != 0)
        pm_gc_set_generation(object, next_generation(arg));
    else
        become_older(object, arg);
}

static void count_trash(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    (void)object, (void)word;
    ++*(size_t *)arg;
}

void pm_gc_find_resurrected(struct pm_gc_search *search)
{
    struct pm_gc_pass pass = {.search = search, .reached = GC_RESURRECTED};
    pm_gc_look_begin();
    pm_gc_each_marked(search, GC_CANDIDATE, take_again, NULL);
    pm_deferred_each(add_frame, NULL);
    subtract_all(&pass);
    pm_gc_reach(&pass);
    pm_gc_each_marked(search, GC_RESURRECTED, grow_older, search);
    search->trash = 0;
    pm_gc_each_marked(search, GC_CANDIDATE, count_trash, &search->trash);
}
