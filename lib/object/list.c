/* SPDX-License-Identifier: MIT */
/*
 * Lists: the array of items, and what is done with single ones. list_extra.c has slices and what
 * looks at all items, list_sort.c sorting. Attached threads.
 *
 * The array grows by an eighth and some, as CPython's, and shrinks when less than half of it is
 * used. Every change is made under the lock, slot by slot, since others may look meanwhile
 * (container.h).
 */
#include "object/list.h"
#include "object/repr.h"

#include "poolmalloc/domains.h"

#include <errno.h>

struct pm_list *pm_list_of(struct pm_object *object)
{
    if (object != NULL && pm_object_type(object) == &pm_list_type)
        return (struct pm_list *)object;
    errno = EINVAL;
    return NULL;
}

/* ---- the array: under the lock ---- */

/* So much room for `count` items that growing costs little of each (CPython's list_resize). */
static size_t room_for(size_t count)
{
    return (count + (count >> 3) + 6) & ~(size_t)3;
}

static struct pm_list_array *array_new(size_t room)
{
    if (room > (PTRDIFF_MAX - sizeof(struct pm_list_array)) / sizeof(struct pm_object *)) {
        errno = ENOMEM;
        return NULL;
    }
    struct pm_list_array *array = pm_mem_malloc(pm_list_array_bytes(room));
    if (array != NULL)
        array->room = room;
    return array;
}

/* Another array of that room in the list's place. False with errno ENOMEM. */
static bool move(struct pm_list *list, size_t room, struct pm_list_left *left)
{
    size_t count = pm_load_relaxed(&list->count);
    struct pm_list_array *old = pm_load_relaxed(&list->array), *array = array_new(room);
    if (array == NULL)
        return false;
    for (size_t i = 0; i < room; i++) {
        struct pm_object *item = i < count ? pm_load_relaxed(&old->items[i]) : NULL;
        pm_store_relaxed(&array->items[i], item);
    }
    /* Release: the items, for pm_list_get. */
    pm_store_release(&list->array, array);
    left->array = old;
    left->shared = pm_container_is_shared(&list->object);
    return true;
}

bool pm_list_make_room(struct pm_list *list, size_t count, struct pm_list_left *left)
{
    struct pm_list_array *array = pm_load_relaxed(&list->array);
    if (array != NULL && count <= array->room)
        return true;
    return move(list, room_for(count), left);
}

void pm_list_trim(struct pm_list *list, struct pm_list_left *left)
{
    size_t count = pm_load_relaxed(&list->count);
    struct pm_list_array *array = pm_load_relaxed(&list->array);
    int saved_errno = errno;
    if (array == NULL || (count > 0 && count >= array->room / 2))
        return;
    if (count == 0) {
        pm_store_release(&list->array, NULL);
        left->array = array;
        left->shared = pm_container_is_shared(&list->object);
    } else if (room_for(count) < array->room) {
        move(list, room_for(count), left); /* without memory the room stays */
    }
    errno = saved_errno;
}

void pm_list_unlock(struct pm_list *list, struct pm_list_left left)
{
    pm_container_unlock(&list->object);
    if (left.array != NULL)
        pm_container_retire(left.array, pm_list_array_bytes(left.array->room), left.shared);
}

void pm_list_open(struct pm_list *list, size_t index, size_t more)
{
    struct pm_list_array *array = pm_load_relaxed(&list->array);
    size_t count = pm_load_relaxed(&list->count);
    /* Release, here and below: items, for pm_list_get. From the end on, so that none is lost. */
    for (size_t i = count; i-- > index;)
        pm_store_release(&array->items[i + more], pm_load_relaxed(&array->items[i]));
    pm_store_relaxed(&list->count, count + more);
}

void pm_list_close(struct pm_list *list, size_t index, size_t less)
{
    struct pm_list_array *array = pm_load_relaxed(&list->array);
    size_t count = pm_load_relaxed(&list->count);
    for (size_t i = index; i < count - less; i++)
        pm_store_release(&array->items[i], pm_load_relaxed(&array->items[i + less]));
    for (size_t i = count - less; i < count; i++)
        pm_store_relaxed(&array->items[i], NULL);
    pm_store_relaxed(&list->count, count - less);
}

void pm_list_put(struct pm_list *list, size_t index, struct pm_object *item)
{
    struct pm_list_array *array = pm_load_relaxed(&list->array);
    pm_store_release(&array->items[index], item);
}

/* ---- single items ---- */

struct pm_object *pm_list_new(struct pm_object *const *items, size_t count)
{
    struct pm_object *object = pm_object_new(&pm_list_type);
    if (object == NULL || count == 0)
        return object;
    struct pm_list *list = (struct pm_list *)object;
    struct pm_list_array *array = array_new(count);
    if (array == NULL) {
        pm_decref(object);
        errno = ENOMEM;
        return NULL;
    }
    /* Nobody else has the list yet. */
    for (size_t i = 0; i < count; i++) {
        pm_incref(items[i]);
        pm_store_relaxed(&array->items[i], items[i]);
    }
    pm_store_relaxed(&list->array, array);
    pm_store_relaxed(&list->count, count);
    return object;
}

size_t pm_list_count(const struct pm_object *object)
{
    if (object == NULL || pm_object_type(object) != &pm_list_type)
        return 0;
    return pm_load_relaxed(&((struct pm_list *)object)->count);
}

bool pm_list_reserve(struct pm_object *object, size_t count)
{
    struct pm_list *list = pm_list_of(object);
    struct pm_list_left left = {0};
    if (list == NULL)
        return false;
    pm_container_lock(object);
    const struct pm_list_array *array = pm_load_relaxed(&list->array);
    bool done = count <= (array != NULL ? array->room : 0) || move(list, count, &left);
    pm_list_unlock(list, left);
    return done;
}

/* NULL: there is none, or the lock is needed. */
static struct pm_object *look(struct pm_list *list, size_t index)
{
    if (!pm_container_may_look(&list->object))
        return NULL;
    /* Acquire: pairs with the releases of move and pm_list_put. */
    struct pm_list_array *array = pm_load_acquire(&list->array);
    if (array == NULL || index >= array->room)
        return NULL;
    struct pm_object *item = pm_load_acquire(&array->items[index]);
    return item != NULL && pm_try_incref(item) ? item : NULL;
}

struct pm_object *pm_list_get(struct pm_object *object, ptrdiff_t index)
{
    struct pm_list *list = pm_list_of(object);
    if (list == NULL)
        return NULL;
    struct pm_object *item = index >= 0 ? look(list, (size_t)index) : NULL;
    if (item != NULL)
        return item;
    pm_container_lock(object);
    if (pm_index_in(&index, pm_load_relaxed(&list->count))) {
        item = pm_load_relaxed(&pm_load_relaxed(&list->array)->items[index]);
        pm_incref(item);
    }
    pm_container_unlock(object);
    return item;
}

bool pm_list_set(struct pm_object *object, ptrdiff_t index, struct pm_object *item)
{
    struct pm_list *list = pm_list_of(object);
    struct pm_object *old = NULL;
    if (list == NULL)
        return false;
    pm_container_lock(object);
    if (pm_index_in(&index, pm_load_relaxed(&list->count))) {
        pm_container_take(pm_container_is_shared(object), item);
        old = pm_load_relaxed(&pm_load_relaxed(&list->array)->items[index]);
        pm_list_put(list, (size_t)index, item);
    }
    pm_container_unlock(object);
    if (old == NULL)
        return false;
    pm_decref(old);
    return true;
}

bool pm_list_insert(struct pm_object *object, ptrdiff_t index, struct pm_object *item)
{
    struct pm_list *list = pm_list_of(object);
    struct pm_list_left left = {0};
    if (list == NULL)
        return false;
    pm_container_lock(object);
    size_t count = pm_load_relaxed(&list->count);
    bool done = pm_list_make_room(list, count + 1, &left);
    if (done) {
        pm_slice_count(&index, PM_SLICE_LAST, 1, count); /* into reach */
        pm_container_take(pm_container_is_shared(object), item);
        pm_list_open(list, (size_t)index, 1);
        pm_list_put(list, (size_t)index, item);
    }
    pm_list_unlock(list, left);
    return done;
}

bool pm_list_append(struct pm_object *object, struct pm_object *item)
{
    return pm_list_insert(object, PTRDIFF_MAX, item);
}

struct pm_object *pm_list_pop(struct pm_object *object, ptrdiff_t index)
{
    struct pm_list *list = pm_list_of(object);
    struct pm_list_left left = {0};
    struct pm_object *item = NULL;
    if (list == NULL)
        return NULL;
    pm_container_lock(object);
    if (pm_index_in(&index, pm_load_relaxed(&list->count))) {
        item = pm_load_relaxed(&pm_load_relaxed(&list->array)->items[index]);
        pm_list_close(list, (size_t)index, 1);
        pm_list_trim(list, &left);
    }
    pm_list_unlock(list, left);
    return item;
}

bool pm_list_delete(struct pm_object *object, ptrdiff_t index)
{
    struct pm_object *item = pm_list_pop(object, index);
    if (item == NULL)
        return false;
    pm_decref(item);
    return true;
}

struct pm_object *pm_list_next(struct pm_object *list, size_t *position)
{
    bool beyond = *position > PTRDIFF_MAX; /* any list's end */
    struct pm_object *item = beyond ? NULL : pm_list_get(list, (ptrdiff_t)*position);
    if (item != NULL)
        ++*position;
    else if (beyond || errno == ERANGE)
        errno = ENOENT;
    return item;
}

/* ---- the type ---- */

static int traverse(struct pm_object *object, pm_visit visit, void *arg)
{
    struct pm_list *list = (struct pm_list *)object;
    struct pm_list_array *array = pm_load_relaxed(&list->array);
    size_t count = pm_load_relaxed(&list->count);
    for (size_t i = 0; i < count; i++) {
        int result = visit(pm_load_relaxed(&array->items[i]), arg);
        if (result != 0)
            return result;
    }
    return 0;
}

/* The caller has the lock, which is let go. */
static void empty_and_unlock(struct pm_list *list)
{
    struct pm_list_array *array = pm_load_relaxed(&list->array);
    size_t count = pm_load_relaxed(&list->count);
    bool shared = pm_container_is_shared(&list->object);
    pm_store_relaxed(&list->count, 0);
    pm_store_release(&list->array, NULL);
    pm_object_unlock(&list->object);
    /* Others may still look: they find what is there, and whether it lives. */
    for (size_t i = 0; i < count; i++)
        pm_decref(pm_load_relaxed(&array->items[i]));
    if (array != NULL)
        pm_container_retire(array, pm_list_array_bytes(array->room), shared);
}

/* Of an object that nobody can use: it need not become shared. */
static void clear(struct pm_object *object)
{
    pm_object_lock(object);
    empty_and_unlock((struct pm_list *)object);
}

bool pm_list_clear(struct pm_object *object)
{
    struct pm_list *list = pm_list_of(object);
    if (list == NULL)
        return false;
    pm_container_lock(object);
    empty_and_unlock(list);
    return true;
}

struct pm_type pm_list_type = {
    .name = "list",
    .size = sizeof(struct pm_list),
    .flags = PM_TYPE_GC,
    .traverse = traverse,
    .clear = clear,
    .equal = pm_list_equal,
    .compare = pm_list_compare,
    .repr = pm_list_repr,
};
