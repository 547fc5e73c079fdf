/* SPDX-License-Identifier: MIT */
/*
 * Which objects are trash: trial deletion (Christopher 1984; CPython's Modules/gcmodule.c). Each
 * candidate starts with its reference count; what candidates refer to is taken off; what then has
 * some left is referred to from outside, and leads to what is reached.
 *
 *   take       words of candidates get their counts; units are taken     headers, in order
 *   subtract   one less for each reference from a candidate              traverse in order, words
 *   reach      from those that have some left, whatever they lead to     traverse
 *   settle     what is reached grows older                               words, in order
 *
 * All of it goes by addresses, not along references; the words are a quarter of the size of the
 * objects at most, and fetched ahead. What is reached behind the place where the walk is waits in a
 * stack, of a fixed size; what does not fit into it, and what is reached ahead, stays GC_PENDING,
 * and the walk comes there, now or when it starts over. So no memory is needed but the words.
 * Stopped.
 */
#include "object/gc_internal.h"

#define AHEAD 16 /* words that are being fetched */
#define STACK 8192
#define STACK_AHEAD 4 /* objects of the stack that are */

struct seen {
    struct pm_object *object;
    const struct pm_type *by;
    _Atomic uint32_t *word; /* NULL: nothing was seen */
};

struct pass {
    struct pm_gc_search *search;
    /* subtract: */
    struct seen ahead[AHEAD];
    unsigned turn;
    /* reach: */
    uintptr_t place;  /* of the walk */
    uint32_t reached; /* the word of what is reached */
    bool left;        /* something is GC_PENDING where the walk does not come by itself */
};

static struct pm_object *stack[STACK];
static size_t depth;

/* ---- walks ---- */

/* Calls visit for each block of the units that take part, in order. */
PM_INLINE void each_taken(const struct pm_gc_search *search, pm_gc_each *visit, void *arg)
{
    for (size_t unit = search->first; unit <= search->last; unit++)
        pm_gc_each_in_unit(unit, pm_load_relaxed(&pm_gc_table.units[unit].blocks), visit, arg);
}

struct registered {
    pm_gc_each *visit;
    struct pass *pass;
};

static void visit_registered(struct pm_object *object, struct pm_gc_node *node, void *arg)
{
    const struct registered *to = arg;
    to->visit(object, &node->word, to->pass);
}

static void each_registered(struct pass *pass, pm_gc_each *visit)
{
    struct registered to = {visit, pass};
    pm_gc_register_each(visit_registered, &to);
}

static void traverse(struct pm_object *object, pm_visit visit, struct pass *pass)
{
    struct pm_type *type = pm_object_type(object);
    pm_object_traversed = type;
    type->traverse(object, visit, pass);
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

static void account(const struct seen *seen)
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

/* Puts what is seen into the ring, and takes out what was seen some time ago; its word is there by
 * then. */
PM_INLINE struct seen see_ahead(struct pm_object *object, _Atomic uint32_t *word, struct pass *pass)
{
    struct seen *place = &pass->ahead[pass->turn++ % AHEAD], seen = *place;
    __builtin_prefetch((void *)word, 1);
    *place = (struct seen){object, pm_object_traversed, word};
    return seen;
}

static int subtract_one(struct pm_object *object, void *arg)
{
    struct pass *pass = arg;
    _Atomic uint32_t *word = pm_gc_word_of(object);
    if (word == NULL) {
        pm_gc_look_over(object, pm_object_traversed);
        return 0;
    }
    struct seen seen = see_ahead(object, word, pass);
    if (seen.word != NULL)
        account(&seen);
    return 0;
}

PM_INLINE void subtract(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    if (pm_gc_mark_of(pm_load_relaxed(word)) == GC_CANDIDATE)
        traverse(object, subtract_one, arg);
}

static void subtract_all(struct pass *pass)
{
    each_taken(pass->search, subtract, pass);
    each_registered(pass, subtract);
    for (unsigned i = 0; i < AHEAD; i++) {
        if (pass->ahead[i].word != NULL)
            account(&pass->ahead[i]);
        pass->ahead[i].word = NULL;
    }
}

/* ---- reach ---- */

/* What has references left is met by the walk, or was. */
static void note_reached(const struct seen *seen, struct pass *pass)
{
    if (pm_load_relaxed(seen->word) != GC_CANDIDATE)
        return;
    bool ahead = (uintptr_t)seen->object > pass->place &&
                 (pm_gc_flags_of(seen->object) & PM_OBJECT_REGISTERED) == 0;
    if (!ahead && depth < STACK) {
        pm_store_relaxed(seen->word, pass->reached);
        stack[depth++] = seen->object;
        return;
    }
    pm_store_relaxed(seen->word, GC_PENDING);
    pass->left |= !ahead;
}

static int reach_one(struct pm_object *object, void *arg)
{
    struct pass *pass = arg;
    _Atomic uint32_t *word = pm_gc_word_of(object);
    if (word == NULL)
        return 0;
    struct seen seen = see_ahead(object, word, pass);
    if (seen.word != NULL)
        note_reached(&seen, pass);
    return 0;
}

/* Those next on the stack are fetched while others are traversed. */
static void follow_stack(struct pass *pass)
{
    struct pm_object *ahead[STACK_AHEAD] = {NULL};
    unsigned turn = 0, empty = 0;
    while (empty < STACK_AHEAD) {
        struct pm_object **place = &ahead[turn++ % STACK_AHEAD], *object = *place;
        *place = depth > 0 ? stack[--depth] : NULL;
        if (*place != NULL)
            __builtin_prefetch(*place);
        if (object != NULL)
            traverse(object, reach_one, pass);
        empty = object == NULL && *place == NULL ? empty + 1 : 0;
    }
}

PM_INLINE void reach(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    struct pass *pass = arg;
    uint32_t value = pm_load_relaxed(word);
    enum pm_gc_mark mark = pm_gc_mark_of(value);
    if (mark != GC_PENDING && (mark != GC_CANDIDATE || value < GC_COUNT_ONE))
        return;
    pm_store_relaxed(word, pass->reached);
    if ((pm_gc_flags_of(object) & PM_OBJECT_REGISTERED) == 0)
        pass->place = (uintptr_t)object;
    traverse(object, reach_one, pass);
    if (depth > 0)
        follow_stack(pass);
}

/* All units are behind. */
static void reach_what_was_seen(struct pass *pass)
{
    pass->place = UINTPTR_MAX;
    do {
        follow_stack(pass);
        for (unsigned i = 0; i < AHEAD; i++) {
            struct seen seen = pass->ahead[i];
            pass->ahead[i].word = NULL;
            if (seen.word != NULL)
                note_reached(&seen, pass);
        }
    } while (depth > 0);
}

/* The register comes first: all units are ahead, and large objects lead to many others. */
static void reach_all(struct pass *pass)
{
    do {
        pass->left = false;
        pass->place = 0;
        each_registered(pass, reach);
        each_taken(pass->search, reach, pass);
        reach_what_was_seen(pass);
    } while (pass->left);
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
    pm_gc_set_generation(object, generation);
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
    struct pass pass = {.search = search, .reached = GC_REACHED};
    pm_gc_look_begin();
    pm_gc_pools_walk(take_pool, search);
    pm_gc_register_each(take_registered, search);
    if (search->candidates == 0)
        return;
    pm_deferred_each(add_frame, NULL);
    subtract_all(&pass);
    reach_all(&pass);
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
    struct pass pass = {.search = search, .reached = GC_RESURRECTED};
    pm_gc_look_begin();
    pm_gc_each_marked(search, GC_CANDIDATE, take_again, NULL);
    pm_deferred_each(add_frame, NULL);
    subtract_all(&pass);
    reach_all(&pass);
    pm_gc_each_marked(search, GC_RESURRECTED, grow_older, search);
    search->trash = 0;
    pm_gc_each_marked(search, GC_CANDIDATE, count_trash, &search->trash);
}
