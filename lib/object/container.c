/* SPDX-License-Identifier: MIT */
/*
 * What lists, dictionaries and tuples share (container.h): how a container becomes shared, how old
 * arrays go, slices, and the bound of nesting. Attached threads.
 */
#include "object/container.h"
#include "object/list.h"

#include "poolmalloc/domains.h"
#include "poolmalloc/qsbr.h"

#include <errno.h>

/* ---- several threads ---- */

void pm_container_probe(struct pm_object *item)
{
    /* Relaxed: once set it stays, and who finds it set needs to do nothing. */
    if (pm_load_relaxed(pm_owned_of(item)) != PM_OBJECT_IMMORTAL &&
        (pm_load_relaxed((_Atomic uint8_t *)&item->flags) & PM_OBJECT_PROBED) == 0)
        pm_object_set_probed(item);
}

static int probe(struct pm_object *item, void *arg)
{
    (void)arg;
    pm_container_probe(item);
    return 0;
}

/* Under the lock. The owner may be looking for an item at this moment: what it may have found is
 * probed before anybody can take it away. */
void pm_container_share(struct pm_object *object)
{
    pm_object_type(object)->traverse(object, probe, NULL);
    pm_schedule_point();
    /* Release: the items are probed, and what the owner has changed under the lock before is seen;
     * pairs with pm_container_is_shared. */
    atomic_fetch_or_explicit((_Atomic uint8_t *)&object->flags, PM_OBJECT_SHARED,
                             memory_order_release);
}

void pm_container_retire(void *array, size_t bytes, bool shared)
{
    if (array == NULL)
        return;
    int saved_errno = errno;
    if (shared)
        pm_qsbr_defer(pm_mem_free, array, bytes);
    else
        pm_mem_free(array);
    errno = saved_errno;
}

/* ---- items for a while ---- */

bool pm_items_of_list(struct pm_items *held, struct pm_object *object)
{
    struct pm_list *list = (struct pm_list *)object;
    size_t count = pm_load_relaxed(&list->count);
    *held = (struct pm_items){.copied = true};
    if (count == 0)
        return true;
    held->items = pm_mem_malloc(count * sizeof(struct pm_object *));
    if (held->items == NULL)
        return false;
    struct pm_list_array *array = pm_load_relaxed(&list->array);
    for (size_t i = 0; i < count; i++) {
        held->items[i] = pm_load_relaxed(&array->items[i]);
        pm_incref(held->items[i]);
    }
    held->count = count;
    return true;
}

bool pm_items_take(struct pm_items *held, struct pm_object *sequence)
{
    *held = (struct pm_items){0};
    if (sequence != NULL && pm_object_type(sequence) == &pm_tuple_type) {
        held->items = pm_tuple_items(sequence);
        held->count = pm_tuple_count(sequence);
        return true;
    }
    if (pm_list_of(sequence) == NULL)
        return false;
    pm_container_lock(sequence);
    bool taken = pm_items_of_list(held, sequence);
    pm_container_unlock(sequence);
    return taken;
}

void pm_items_drop(struct pm_items *held)
{
    if (!held->copied)
        return;
    int saved_errno = errno;
    for (size_t i = 0; i < held->count; i++)
        pm_decref(held->items[i]);
    pm_mem_free(held->items);
    errno = saved_errno;
}

/* ---- positions ---- */

bool pm_index_in(ptrdiff_t *index, size_t count)
{
    if (*index < 0)
        *index += (ptrdiff_t)count;
    if (*index >= 0 && (size_t)*index < count)
        return true;
    errno = ERANGE;
    return false;
}

/* An end of a slice, into what there is (as PySlice_AdjustIndices). */
static ptrdiff_t into_reach(ptrdiff_t at, bool back, ptrdiff_t count)
{
    if (at < 0) {
        at += count;
        return at >= 0 ? at : back ? -1 : 0;
    }
    if (at < count)
        return at;
    return back ? count - 1 : count;
}

size_t pm_slice_count(ptrdiff_t *start, ptrdiff_t stop, ptrdiff_t step, size_t count)
{
    bool back = step < 0;
    *start = into_reach(*start, back, (ptrdiff_t)count);
    stop = into_reach(stop, back, (ptrdiff_t)count);
    size_t stride = back ? 0 - (size_t)step : (size_t)step;
    ptrdiff_t reach = back ? *start - stop : stop - *start;
    return reach <= 0 ? 0 : ((size_t)reach - 1) / stride + 1;
}

/* ---- nesting ---- */

static __thread struct {
    unsigned depth, failures;
} nesting;

bool pm_nesting_enter(void)
{
    if (nesting.depth < PM_NESTING_MAX) {
        nesting.depth++;
        return true;
    }
    nesting.failures++;
    errno = ELOOP;
    return false;
}

void pm_nesting_leave(void)
{
    nesting.depth--;
}

void pm_nesting_forget(void)
{
    nesting.depth = 0;
}

unsigned pm_nesting_failures(void)
{
    return nesting.failures;
}

enum pm_answer pm_container_equal(struct pm_object *one, struct pm_object *other)
{
    unsigned failures = nesting.failures;
    bool equal = pm_equal(one, other);
    if (nesting.failures != failures) {
        errno = ELOOP;
        return PM_ANSWER_FAILED;
    }
    return equal ? PM_ANSWER_YES : PM_ANSWER_NO;
}
