/* SPDX-License-Identifier: MIT */
/*
 * Sorting a list: merging, stable, from the bottom up. Runs of a few items are sorted by binary
 * insertion; two that are in order already are not merged, so that what is sorted takes a
 * comparison for each item. Attached threads.
 *
 * The array is taken out of the list meanwhile: comparing calls the program's functions, which may
 * do anything with the list (as in CPython).
 */
#include "object/list.h"

#include "poolmalloc/domains.h"

#include <errno.h>
#include <string.h>

#define RUN 32

struct sort {
    struct pm_object **items, **spare; /* both of count items */
    size_t count;
    bool descending;
};

/* 1: a has to come before b, which is behind it now. 0: not. -1 with errno. */
static int is_before(const struct sort *sort, struct pm_object *a, struct pm_object *b)
{
    int result;
    if (!pm_compare(a, b, &result))
        return -1;
    return sort->descending ? result > 0 : result < 0;
}

/* The first `sorted` items of the part are in order; the next one comes to its place. */
static bool insert(const struct sort *sort, struct pm_object **part, size_t sorted)
{
    struct pm_object *item = part[sorted];
    size_t low = 0, high = sorted;
    /* Most often it is where it has to be. */
    int before = is_before(sort, item, part[sorted - 1]);
    if (before <= 0)
        return before == 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        before = is_before(sort, item, part[middle]);
        if (before < 0)
            return false;
        if (before != 0)
            high = middle;
        else
            low = middle + 1;
    }
    memmove(part + low + 1, part + low, (sorted - low) * sizeof *part);
    part[low] = item;
    return true;
}

static bool sort_runs(const struct sort *sort)
{
    for (size_t start = 0; start < sort->count; start += RUN)
        for (size_t i = 1; i < RUN && start + i < sort->count; i++)
            if (!insert(sort, sort->items + start, i))
                return false;
    return true;
}

/* Items from low to middle, and from there to high, become one part in order. On an error all are
 * there, too. */
static bool merge(const struct sort *sort, size_t low, size_t middle, size_t high)
{
    struct pm_object **items = sort->items, **spare = sort->spare;
    int before = is_before(sort, items[middle], items[middle - 1]);
    if (before <= 0)
        return before == 0;
    size_t left = 0, lefts = middle - low, right = middle, to = low;
    memcpy(spare, items + low, lefts * sizeof *items);
    while (left < lefts && right < high) {
        before = is_before(sort, items[right], spare[left]);
        if (before < 0)
            break;
        items[to++] = before != 0 ? items[right++] : spare[left++];
    }
    /* What is left of the right part is in its place; in front of it is as much room as is left
     * of the left one. */
    memcpy(items + to, spare + left, (lefts - left) * sizeof *items);
    return before >= 0;
}

static bool sort_items(const struct sort *sort)
{
    if (!sort_runs(sort))
        return false;
    for (size_t size = RUN; size < sort->count; size *= 2)
        for (size_t low = 0; low + size < sort->count; low += 2 * size) {
            size_t high = low + 2 * size < sort->count ? low + 2 * size : sort->count;
            if (!merge(sort, low, low + size, high))
                return false;
        }
    return true;
}

/* ---- the list meanwhile ---- */

/* Takes the array out, and its items to sort->items. NULL: there is nothing to sort, or no memory
 * (then errno is ENOMEM). */
static struct pm_list_array *take_out(struct pm_list *list, struct sort *sort)
{
    size_t count = pm_load_relaxed(&list->count);
    struct pm_list_array *array = pm_load_relaxed(&list->array);
    if (count < 2)
        return NULL;
    sort->items = pm_mem_malloc(2 * count * sizeof(struct pm_object *));
    if (sort->items == NULL)
        return NULL;
    sort->spare = sort->items + count;
    sort->count = count;
    for (size_t i = 0; i < count; i++)
        sort->items[i] = pm_load_relaxed(&array->items[i]);
    pm_store_relaxed(&list->count, 0);
    pm_store_release(&list->array, NULL);
    return array;
}

/* The sorted items come back. What the list got meanwhile is in *others; true: it got something. */
static bool put_back(struct pm_list *list, struct pm_list_array *array, const struct sort *sort,
                     struct pm_list_array **others, size_t *others_count)
{
    *others = pm_load_relaxed(&list->array);
    *others_count = pm_load_relaxed(&list->count);
    bool shared = pm_container_is_shared(&list->object);
    for (size_t i = 0; i < sort->count; i++) {
        if (shared) /* perhaps only since a moment ago */
            pm_container_probe(sort->items[i]);
        /* Release, here and below: the items, for pm_list_get; somebody may still look at this
         * array, and finds one or the other. */
        pm_store_release(&array->items[i], sort->items[i]);
    }
    pm_store_release(&list->array, array);
    pm_store_relaxed(&list->count, sort->count);
    return *others != NULL;
}

static bool finish(struct pm_list *list, struct pm_list_array *array, const struct sort *sort)
{
    struct pm_list_array *others;
    size_t others_count;
    pm_container_lock(&list->object);
    bool changed = put_back(list, array, sort, &others, &others_count);
    bool shared = pm_container_is_shared(&list->object);
    pm_container_unlock(&list->object);
    for (size_t i = 0; i < others_count; i++)
        pm_decref(pm_load_relaxed(&others->items[i]));
    if (others != NULL)
        pm_container_retire(others, pm_list_array_bytes(others->room), shared);
    return !changed;
}

bool pm_list_sort(struct pm_object *object, unsigned flags)
{
    struct pm_list *list = pm_list_of(object);
    if (list == NULL || (flags & ~PM_SORT_DESCENDING) != 0) {
        errno = EINVAL;
        return false;
    }
    struct sort sort = {.descending = (flags & PM_SORT_DESCENDING) != 0};
    pm_container_lock(object);
    bool nothing = pm_load_relaxed(&list->count) < 2;
    struct pm_list_array *array = take_out(list, &sort);
    pm_container_unlock(object);
    if (array == NULL)
        return nothing;
    bool sorted = sort_items(&sort);
    int saved_errno = errno;
    bool unchanged = finish(list, array, &sort);
    pm_mem_free(sort.items);
    errno = sorted ? EBUSY : saved_errno;
    return sorted && unchanged;
}
