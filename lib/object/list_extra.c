/* SPDX-License-Identifier: MIT */
/*
 * Lists: slices, and what looks at all items. Attached threads.
 *
 * Whoever asks items for their values takes a reference to one after the other, without the lock
 * meanwhile: what they call may change the list.
 */
#include "object/list.h"

#include "poolmalloc/domains.h"
#include "poolmalloc/gc.h"

#include <errno.h>

/* ---- slices ---- */

struct pm_object *pm_list_slice(struct pm_object *object, ptrdiff_t start, ptrdiff_t stop,
                                ptrdiff_t step)
{
    struct pm_list *list = pm_list_of(object);
    if (list == NULL || step == 0) {
        errno = EINVAL;
        return NULL;
    }
    struct pm_object *slice = pm_list_new(NULL, 0);
    if (slice == NULL)
        return NULL;
    struct pm_list *made = (struct pm_list *)slice;
    pm_gc_untrack(slice); /* nobody else finds it before it is filled */
    struct pm_list_left left = {0};
    pm_container_lock(object);
    size_t count = pm_slice_count(&start, stop, step, pm_load_relaxed(&list->count));
    bool done = count == 0 || pm_list_make_room(made, count, &left);
    for (size_t i = 0; done && i < count; i++) {
        /* Unsigned: beyond the last one it may wrap, and is not used. */
        size_t at = (size_t)start + i * (size_t)step;
        struct pm_object *item = pm_load_relaxed(&pm_load_relaxed(&list->array)->items[at]);
        pm_incref(item);
        pm_list_put(made, i, item);
    }
    if (done)
        pm_store_relaxed(&made->count, count);
    pm_container_unlock(object);
    pm_gc_track(slice);
    if (done)
        return slice;
    pm_decref(slice);
    errno = ENOMEM;
    return NULL;
}

struct pm_object *pm_list_copy(struct pm_object *list)
{
    return pm_list_slice(list, 0, PM_SLICE_LAST, 1);
}

/* Under the lock. The items of a part of the list, to be dropped later. False: no memory. */
static bool save(struct pm_list *list, size_t start, size_t count, struct pm_items *saved)
{
    *saved = (struct pm_items){.copied = true};
    if (count == 0)
        return true;
    saved->items = pm_mem_malloc(count * sizeof(struct pm_object *));
    if (saved->items == NULL)
        return false;
    struct pm_list_array *array = pm_load_relaxed(&list->array);
    for (size_t i = 0; i < count; i++)
        saved->items[i] = pm_load_relaxed(&array->items[start + i]);
    saved->count = count;
    return true;
}

/* Under the lock. The saved items go, those of `with` come; no error is left to happen. */
static void replace(struct pm_list *list, size_t start, size_t count, const struct pm_items *with)
{
    bool shared = pm_container_is_shared(&list->object);
    if (with->count > count)
        pm_list_open(list, start + count, with->count - count);
    for (size_t i = 0; i < with->count; i++)
        pm_list_put(list, start + i, pm_container_take(shared, with->items[i]));
    if (with->count < count)
        pm_list_close(list, start + with->count, count - with->count);
}

static bool set_slice(struct pm_list *list, ptrdiff_t start, ptrdiff_t stop,
                      const struct pm_items *with)
{
    struct pm_list_left left = {0};
    struct pm_items saved;
    pm_container_lock(&list->object);
    size_t count = pm_load_relaxed(&list->count);
    size_t gone = pm_slice_count(&start, stop, 1, count);
    bool done = save(list, (size_t)start, gone, &saved);
    if (done && with->count > gone)
        done = pm_list_make_room(list, count - gone + with->count, &left);
    if (done) {
        replace(list, (size_t)start, gone, with);
        pm_list_trim(list, &left);
    } else {
        saved.count = 0; /* they stay where they are */
    }
    pm_list_unlock(list, left);
    pm_items_drop(&saved);
    return done;
}

bool pm_list_set_slice(struct pm_object *object, ptrdiff_t start, ptrdiff_t stop,
                       struct pm_object *sequence)
{
    struct pm_list *list = pm_list_of(object);
    struct pm_items with = {0};
    if (list == NULL || (sequence != NULL && !pm_items_take(&with, sequence)))
        return false;
    bool done = set_slice(list, start, stop, &with);
    pm_items_drop(&with);
    return done;
}

bool pm_list_extend(struct pm_object *list, struct pm_object *sequence)
{
    if (sequence == NULL) {
        errno = EINVAL;
        return false;
    }
    return pm_list_set_slice(list, PTRDIFF_MAX, PM_SLICE_LAST, sequence);
}

bool pm_list_reverse(struct pm_object *object)
{
    struct pm_list *list = pm_list_of(object);
    if (list == NULL)
        return false;
    pm_container_lock(object);
    size_t count = pm_load_relaxed(&list->count);
    struct pm_list_array *array = pm_load_relaxed(&list->array);
    for (size_t i = 0; i < count / 2; i++) {
        struct pm_object *item = pm_load_relaxed(&array->items[i]);
        pm_list_put(list, i, pm_load_relaxed(&array->items[count - 1 - i]));
        pm_list_put(list, count - 1 - i, item);
    }
    pm_container_unlock(object);
    return true;
}

/* ---- values ---- */

bool pm_list_find(struct pm_object *list, struct pm_object *value, size_t start, size_t *index)
{
    struct pm_object *item;
    while ((item = pm_list_next(list, &start)) != NULL) {
        enum pm_answer answer = pm_container_equal(item, value);
        int saved_errno = errno;
        pm_decref(item);
        errno = saved_errno;
        if (answer == PM_ANSWER_FAILED)
            return false;
        if (answer == PM_ANSWER_YES) {
            *index = start - 1;
            return true;
        }
    }
    return false;
}

/* The items at a position of both; false: one of them has none, which is no error. Keeps errno. */
static bool both_next(struct pm_object *one, struct pm_object *other, size_t *position,
                      struct pm_object *items[2])
{
    int saved_errno = errno;
    size_t same = *position;
    items[0] = pm_list_next(one, position);
    items[1] = items[0] != NULL ? pm_list_next(other, &same) : NULL;
    if (items[0] != NULL && items[1] == NULL)
        pm_decref(items[0]);
    errno = saved_errno;
    return items[1] != NULL;
}

static void drop_both(struct pm_object *items[2])
{
    int saved_errno = errno;
    pm_decref(items[0]);
    pm_decref(items[1]);
    errno = saved_errno;
}

bool pm_list_equal(struct pm_object *one, struct pm_object *other)
{
    struct pm_object *items[2];
    enum pm_answer answer = PM_ANSWER_YES;
    size_t position = 0;
    if (pm_object_type(other) != &pm_list_type || pm_list_count(one) != pm_list_count(other) ||
        !pm_nesting_enter())
        return false;
    while (answer == PM_ANSWER_YES && both_next(one, other, &position, items)) {
        answer = pm_container_equal(items[0], items[1]);
        drop_both(items);
    }
    pm_nesting_leave();
    return answer == PM_ANSWER_YES && pm_list_count(one) == pm_list_count(other);
}

/* 1 with *result; 0 with errno. */
static int compare_next(struct pm_object *one, struct pm_object *other, int *result)
{
    struct pm_object *items[2];
    enum pm_answer answer = PM_ANSWER_YES;
    size_t position = 0;
    while (answer == PM_ANSWER_YES && both_next(one, other, &position, items)) {
        answer = pm_container_equal(items[0], items[1]);
        /* The first that differ decide. */
        if (answer == PM_ANSWER_NO && !pm_compare(items[0], items[1], result))
            answer = PM_ANSWER_FAILED;
        drop_both(items);
    }
    if (answer == PM_ANSWER_YES) {
        size_t counts[2] = {pm_list_count(one), pm_list_count(other)};
        *result = (counts[0] > counts[1]) - (counts[0] < counts[1]);
    }
    return answer != PM_ANSWER_FAILED;
}

int pm_list_compare(struct pm_object *one, struct pm_object *other, int *result)
{
    if (pm_object_type(other) != &pm_list_type) {
        errno = ENOTSUP;
        return 0;
    }
    if (!pm_nesting_enter())
        return 0;
    int done = compare_next(one, other, result);
    pm_nesting_leave();
    return done;
}
