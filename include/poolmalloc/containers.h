/* SPDX-License-Identifier: MIT */
/*
 * Tuples, lists and dictionaries of libpoolobject, as CPython has them, for threads without a lock
 * of the program's. docs/containers.md tells of growth, of what it costs, and of what threads see
 * of each other.
 *
 * Every function is for attached threads that are not paused (poolmalloc/object.h). What it is
 * given stays the caller's; a container takes a reference of its own. What it returns is a new
 * reference, which is the caller's, but where "borrowed" is said.
 *
 * Threads. Each call that changes one container, or looks at one of its items, is done as a whole:
 * others see it before or after. Where a call moves items (insert, delete, slices, reverse), who
 * gets single items meanwhile may find some at their new places and others not. Calls that use
 * hash, equal or compare of the items' types hold no lock then, so these may do anything.
 *
 * Errors. false, or NULL, with errno: EINVAL: it is not such a container. ENOMEM: out of memory,
 * and nothing has happened. ERANGE: there is no such index. ENOENT: there is no such key, or no
 * more item. ENOTSUP: a key has no hash, or values have no order. ELOOP: values are nested deeper
 * than PM_NESTING_MAX. EBUSY: the container was changed meanwhile.
 */
#ifndef POOLMALLOC_CONTAINERS_H
#define POOLMALLOC_CONTAINERS_H

#include "poolmalloc/object.h"
#include "poolmalloc/values.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The types. All are flagged PM_TYPE_GC. */
PM_API extern struct pm_type pm_tuple_type;
PM_API extern struct pm_type pm_list_type;
PM_API extern struct pm_type pm_dict_type;

/*
 * pm_hash, pm_equal and pm_compare of containers ask their items, and so on, down to this depth;
 * beyond it the whole answer is "false", with errno ELOOP. For pm_equal, of which false is an
 * answer, set errno to 0 before. So it is in calls that compare items or keys.
 */
#define PM_NESTING_MAX 500

/* Ends of slices: from the first, to the last. Of a step below 0 they mean the opposite. */
#define PM_SLICE_FIRST PTRDIFF_MIN
#define PM_SLICE_LAST PTRDIFF_MAX

/* ---- tuples: their items are constant ---- */

/* A tuple of these items. Without any: always the same tuple, which is immortal. */
PM_API struct pm_object *pm_tuple_new(struct pm_object *const *items, size_t count);

/* Of the items that the list has now. */
PM_API struct pm_object *pm_tuple_from_list(struct pm_object *list);

/* 0 of what is no tuple. */
PM_API size_t pm_tuple_count(const struct pm_object *tuple);

/* An item; from the end, with an index below 0 (-1: the last one). _item: borrowed, from the
 * tuple. NULL with errno ERANGE or EINVAL. */
PM_API struct pm_object *pm_tuple_get(struct pm_object *tuple, ptrdiff_t index);
PM_API struct pm_object *pm_tuple_item(struct pm_object *tuple, ptrdiff_t index);

/* The items start, start + step, ... before stop, as Python's tuple[start:stop:step]: an end below
 * 0 counts from the end, one beyond an end means that end. EINVAL: the step is 0. */
PM_API struct pm_object *pm_tuple_slice(struct pm_object *tuple, ptrdiff_t start, ptrdiff_t stop,
                                        ptrdiff_t step);

/* The first index from `start` on whose item is equal to the value. False with errno ENOENT: there
 * is none. */
PM_API bool pm_tuple_find(struct pm_object *tuple, struct pm_object *value, size_t start,
                          size_t *index);

/* The items of one, then those of the other. */
PM_API struct pm_object *pm_tuple_concat(struct pm_object *tuple, struct pm_object *other);

/* ---- lists ---- */

PM_API struct pm_object *pm_list_new(struct pm_object *const *items, size_t count);

/* 0 of what is no list. */
PM_API size_t pm_list_count(const struct pm_object *list);

/* An item, an index below 0 counting from the end. From 0 on, most often without the list's lock.
 */
PM_API struct pm_object *pm_list_get(struct pm_object *list, ptrdiff_t index);

/* Replaces an item. */
PM_API bool pm_list_set(struct pm_object *list, ptrdiff_t index, struct pm_object *item);

/* Before the item with that index, one beyond an end meaning that end. */
PM_API bool pm_list_insert(struct pm_object *list, ptrdiff_t index, struct pm_object *item);
PM_API bool pm_list_append(struct pm_object *list, struct pm_object *item);

PM_API bool pm_list_delete(struct pm_object *list, ptrdiff_t index);
/* Takes the item out. */
PM_API struct pm_object *pm_list_pop(struct pm_object *list, ptrdiff_t index);
PM_API bool pm_list_clear(struct pm_object *list);

/* Appends the items of a list (which may be the same) or tuple. */
PM_API bool pm_list_extend(struct pm_object *list, struct pm_object *sequence);

/* A new list; slices as of tuples. */
PM_API struct pm_object *pm_list_slice(struct pm_object *list, ptrdiff_t start, ptrdiff_t stop,
                                       ptrdiff_t step);
PM_API struct pm_object *pm_list_copy(struct pm_object *list);

/* The items from start to stop go, those of the list or tuple come to their place. NULL: none
 * come. Python's list[start:stop] = sequence. */
PM_API bool pm_list_set_slice(struct pm_object *list, ptrdiff_t start, ptrdiff_t stop,
                              struct pm_object *sequence);

/* Room for so many items, so that none of them makes the array grow, until items are taken out. */
PM_API bool pm_list_reserve(struct pm_object *list, size_t count);

PM_API bool pm_list_reverse(struct pm_object *list);

/* With PM_SORT_DESCENDING: the greatest first; equal items keep their order also then. */
#define PM_SORT_DESCENDING 1u

/*
 * Sorts by pm_compare; equal items keep their order. Meanwhile the list is empty, for all: EBUSY:
 * somebody has put something in, which is dropped; the list is sorted. ENOTSUP, EDOM, ELOOP: items
 * cannot be compared; the list has all its items, in some order. EINVAL: unknown flags. Of two
 * threads that sort one list at a time the later one's items count as put in by somebody.
 */
PM_API bool pm_list_sort(struct pm_object *list, unsigned flags);

/* The first index from `start` on whose item is equal to the value. False with errno ENOENT: there
 * is none. */
PM_API bool pm_list_find(struct pm_object *list, struct pm_object *value, size_t start,
                         size_t *index);

/*
 * The item at *position, which is then raised; to be begun with 0. NULL with errno ENOENT: there
 * are no more. As in Python, positions are all that is kept: who inserts or deletes before the
 * position makes an item come twice, or not at all; who appends, is seen.
 */
PM_API struct pm_object *pm_list_next(struct pm_object *list, size_t *position);

/* ---- dictionaries: in order of insertion ---- */

PM_API struct pm_object *pm_dict_new(void);

/* 0 of what is no dictionary. */
PM_API size_t pm_dict_count(const struct pm_object *dict);

/* The key's value. NULL with errno ENOENT: there is none. Most often without the lock. */
PM_API struct pm_object *pm_dict_get(struct pm_object *dict, struct pm_object *key);

/* Whether the key is there. False with errno ENOENT: it is not. */
PM_API bool pm_dict_contains(struct pm_object *dict, struct pm_object *key);

/* The key's value from now on. A key that is there stays the same object, at its place. */
PM_API bool pm_dict_set(struct pm_object *dict, struct pm_object *key, struct pm_object *value);

/* The key's value; if it has none, this one from now on. */
PM_API struct pm_object *pm_dict_set_default(struct pm_object *dict, struct pm_object *key,
                                             struct pm_object *value);

/* ENOENT: it is not there. _pop returns the value. */
PM_API bool pm_dict_delete(struct pm_object *dict, struct pm_object *key);
PM_API struct pm_object *pm_dict_pop(struct pm_object *dict, struct pm_object *key);
/* Takes out the key that came last. ENOENT: the dictionary is empty. */
PM_API bool pm_dict_pop_last(struct pm_object *dict, struct pm_object **key,
                             struct pm_object **value);
PM_API bool pm_dict_clear(struct pm_object *dict);

/* Where an iteration is; to be begun with all 0. */
struct pm_dict_position {
    size_t next;
    uint64_t version;
};

/*
 * The next key and its value, either of which may be NULL for those who do not want it. False with
 * errno ENOENT: there are no more. EBUSY: keys were added or removed since the first call (also if
 * they are as many as before); so it is from then on. Values may be replaced.
 */
PM_API bool pm_dict_next(struct pm_object *dict, struct pm_dict_position *position,
                         struct pm_object **key, struct pm_object **value);

/* Lists of what is there now: keys, values, tuples of a key and its value. */
PM_API struct pm_object *pm_dict_keys(struct pm_object *dict);
PM_API struct pm_object *pm_dict_values(struct pm_object *dict);
PM_API struct pm_object *pm_dict_items(struct pm_object *dict);

PM_API struct pm_object *pm_dict_copy(struct pm_object *dict);

/* All keys of the other one, with their values; `replace` false: only keys that are not there. On
 * an error some of them have come, whole. */
PM_API bool pm_dict_update(struct pm_object *dict, struct pm_object *other, bool replace);

/* Room for so many keys, so that none of them makes the table grow, until keys are deleted. Ends
 * iterations as keys that come do (pm_dict_next). */
PM_API bool pm_dict_reserve(struct pm_object *dict, size_t count);

#ifdef __cplusplus
}
#endif

#endif
