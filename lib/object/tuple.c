/* SPDX-License-Identifier: MIT */
/*
 * Tuples. Their items are constant, so that nobody needs a lock. The empty one is always the same
 * object, immortal, in memory of the library's own: no collector tracks it. Attached threads.
 */
#include "object/list.h"
#include "object/repr.h"

#include <errno.h>
#include <string.h>

static struct pm_tuple empty;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_empty(void)
{
    pm_type_ready(&pm_tuple_type);
    empty.object.object.type_low = (uint32_t)(uintptr_t)&pm_tuple_type;
    empty.object.object.type_high = (uint16_t)((uintptr_t)&pm_tuple_type >> 32);
    empty.object.object.flags = PM_OBJECT_UNTRACKED;
    /* Relaxed: pthread_once orders it. */
    pm_store_relaxed(pm_owned_of(&empty.object.object), PM_OBJECT_IMMORTAL);
}

static struct pm_tuple *tuple_of(const struct pm_object *object)
{
    if (object != NULL && pm_object_type(object) == &pm_tuple_type)
        return (struct pm_tuple *)object;
    errno = EINVAL;
    return NULL;
}

/* All items NULL, which traverse bears; the caller fills them in before others get it. */
static struct pm_tuple *make(size_t count)
{
    if (count > 0)
        return (struct pm_tuple *)pm_object_new_var(&pm_tuple_type, count);
    pthread_once(&once, make_empty);
    return &empty;
}

static struct pm_object *take(struct pm_object *item)
{
    pm_incref(item);
    return item;
}

struct pm_object *pm_tuple_new(struct pm_object *const *items, size_t count)
{
    struct pm_tuple *tuple = make(count);
    if (tuple == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        tuple->items[i] = take(items[i]);
    return &tuple->object.object;
}

struct pm_object *pm_tuple_from_list(struct pm_object *list)
{
    struct pm_items held;
    if (pm_list_of(list) == NULL || !pm_items_take(&held, list))
        return NULL;
    struct pm_tuple *tuple = make(held.count);
    if (tuple != NULL && held.count > 0) {
        memcpy(tuple->items, held.items, held.count * sizeof *tuple->items);
        held.count = 0; /* the references are the tuple's */
    }
    pm_items_drop(&held);
    return (struct pm_object *)tuple;
}

size_t pm_tuple_count(const struct pm_object *object)
{
    const struct pm_tuple *tuple = tuple_of(object);
    return tuple != NULL ? tuple->object.count : 0;
}

struct pm_object *pm_tuple_item(struct pm_object *object, ptrdiff_t index)
{
    struct pm_tuple *tuple = tuple_of(object);
    if (tuple == NULL || !pm_index_in(&index, tuple->object.count))
        return NULL;
    return tuple->items[index];
}

struct pm_object *pm_tuple_get(struct pm_object *object, ptrdiff_t index)
{
    struct pm_object *item = pm_tuple_item(object, index);
    return item != NULL ? take(item) : NULL;
}

struct pm_object *pm_tuple_slice(struct pm_object *object, ptrdiff_t start, ptrdiff_t stop,
                                 ptrdiff_t step)
{
    struct pm_tuple *tuple = tuple_of(object);
    if (tuple == NULL || step == 0) {
        errno = EINVAL;
        return NULL;
    }
    size_t count = pm_slice_count(&start, stop, step, tuple->object.count);
    if (count == tuple->object.count && step == 1)
        return take(object);
    struct pm_tuple *slice = make(count);
    for (size_t i = 0; slice != NULL && i < count; i++)
        slice->items[i] = take(tuple->items[(size_t)start + i * (size_t)step]);
    return (struct pm_object *)slice;
}

bool pm_tuple_find(struct pm_object *object, struct pm_object *value, size_t start, size_t *index)
{
    struct pm_tuple *tuple = tuple_of(object);
    if (tuple == NULL)
        return false;
    for (size_t i = start; i < tuple->object.count; i++) {
        enum pm_answer answer = pm_container_equal(tuple->items[i], value);
        if (answer == PM_ANSWER_YES)
            *index = i;
        if (answer != PM_ANSWER_NO)
            return answer == PM_ANSWER_YES;
    }
    errno = ENOENT;
    return false;
}

struct pm_object *pm_tuple_concat(struct pm_object *object, struct pm_object *other)
{
    struct pm_tuple *one = tuple_of(object), *two = tuple_of(other);
    if (one == NULL || two == NULL)
        return NULL;
    size_t count = one->object.count;
    struct pm_tuple *tuple = make(count + two->object.count);
    for (size_t i = 0; tuple != NULL && i < tuple->object.count; i++)
        tuple->items[i] = take(i < count ? one->items[i] : two->items[i - count]);
    return (struct pm_object *)tuple;
}

/* ---- values ---- */

/* As CPython's, of xxHash: the order of the items counts, and items that cancel each other out in
 * simpler sums do not. */
#define PRIME_1 11400714785074694791u
#define PRIME_2 14029467366897019727u
#define PRIME_5 2870177450012600261u

static bool hash_items(const struct pm_tuple *tuple, uint64_t *hash)
{
    uint64_t sum = PRIME_5;
    for (size_t i = 0; i < tuple->object.count; i++) {
        uint64_t lane;
        if (!pm_hash(tuple->items[i], &lane))
            return false;
        sum += lane * PRIME_2;
        sum = (sum << 31 | sum >> 33) * PRIME_1;
    }
    sum += tuple->object.count ^ (PRIME_5 ^ 3527539u);
    *hash = sum != PM_NO_HASH ? sum : 1546275796u;
    return true;
}

static uint64_t hash(struct pm_object *object)
{
    uint64_t of_items = PM_NO_HASH;
    if (!pm_nesting_enter())
        return PM_NO_HASH;
    bool hashed = hash_items((struct pm_tuple *)object, &of_items);
    pm_nesting_leave();
    return hashed ? of_items : PM_NO_HASH;
}

/* The first index at which items differ, or where one of the tuples ends. False with errno. */
static bool first_difference(const struct pm_tuple *one, const struct pm_tuple *two, size_t *index)
{
    size_t i = 0;
    enum pm_answer answer = PM_ANSWER_YES;
    while (answer == PM_ANSWER_YES && i < one->object.count && i < two->object.count) {
        answer = pm_container_equal(one->items[i], two->items[i]);
        i += answer == PM_ANSWER_YES;
    }
    *index = i;
    return answer != PM_ANSWER_FAILED;
}

static bool equal(struct pm_object *object, struct pm_object *other)
{
    struct pm_tuple *one = (struct pm_tuple *)object, *two = (struct pm_tuple *)other;
    size_t index = 0;
    if (pm_object_type(other) != &pm_tuple_type || one->object.count != two->object.count ||
        !pm_nesting_enter())
        return false;
    bool answered = first_difference(one, two, &index);
    pm_nesting_leave();
    return answered && index == one->object.count;
}

static int compare_items(const struct pm_tuple *one, const struct pm_tuple *two, int *result)
{
    size_t index, counts[2] = {one->object.count, two->object.count};
    if (!first_difference(one, two, &index))
        return 0;
    if (index < counts[0] && index < counts[1])
        return pm_compare(one->items[index], two->items[index], result);
    *result = (counts[0] > counts[1]) - (counts[0] < counts[1]);
    return 1;
}

static int compare(struct pm_object *object, struct pm_object *other, int *result)
{
    if (pm_object_type(other) != &pm_tuple_type) {
        errno = ENOTSUP;
        return 0;
    }
    if (!pm_nesting_enter())
        return 0;
    int done = compare_items((struct pm_tuple *)object, (struct pm_tuple *)other, result);
    pm_nesting_leave();
    return done;
}

/* ---- the type ---- */

static int traverse(struct pm_object *object, pm_visit visit, void *arg)
{
    struct pm_tuple *tuple = (struct pm_tuple *)object;
    int result = 0;
    for (size_t i = 0; i < tuple->object.count && result == 0; i++)
        if (tuple->items[i] != NULL)
            result = visit(tuple->items[i], arg);
    return result;
}

static void clear(struct pm_object *object)
{
    struct pm_tuple *tuple = (struct pm_tuple *)object;
    for (size_t i = 0; i < tuple->object.count; i++) {
        struct pm_object *item = tuple->items[i];
        tuple->items[i] = NULL;
        if (item != NULL)
            pm_decref(item);
    }
}

struct pm_type pm_tuple_type = {
    .name = "tuple",
    .size = sizeof(struct pm_tuple),
    .item_size = sizeof(struct pm_object *),
    .flags = PM_TYPE_GC,
    .traverse = traverse,
    .clear = clear,
    .hash = hash,
    .equal = equal,
    .compare = compare,
    .repr = pm_tuple_repr,
};
