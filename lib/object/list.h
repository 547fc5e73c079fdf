/* SPDX-License-Identifier: MIT */
/* What the files of lists and tuples share. */
#ifndef PM_OBJECT_LIST_H
#define PM_OBJECT_LIST_H

#include "object/container.h"

/* Slots from the list's count on are NULL, so that who looks without the lock finds nothing. */
struct pm_list_array {
    size_t room;
    struct pm_object *_Atomic items[];
};

struct pm_list {
    struct pm_object object;
    /* Written under the lock, read also without it. */
    struct pm_list_array *_Atomic array; /* NULL: no room */
    _Atomic size_t count;
};

struct pm_tuple {
    struct pm_var_object object;
    struct pm_object *items[]; /* constant, once the tuple is known to others */
};

/* The object, if it is a list. NULL with errno EINVAL. */
struct pm_list *pm_list_of(struct pm_object *object);

static inline struct pm_object **pm_tuple_items(struct pm_object *tuple)
{
    return ((struct pm_tuple *)tuple)->items;
}

/* What is left to do after the lock. */
struct pm_list_left {
    struct pm_list_array *array; /* no longer the list's */
    bool shared;
};

static inline size_t pm_list_array_bytes(size_t room)
{
    return sizeof(struct pm_list_array) + room * sizeof(struct pm_object *);
}

/* Unlocks, and gives back what is left. */
void pm_list_unlock(struct pm_list *list, struct pm_list_left left);

/* Under the lock: room for so many items. False with errno ENOMEM. */
bool pm_list_make_room(struct pm_list *list, size_t count, struct pm_list_left *left);
/* Under the lock, after items have gone: room that is not needed any more. */
void pm_list_trim(struct pm_list *list, struct pm_list_left *left);
/* Under the lock: `more` slots at the index, for which there is room and which are to be put; those
 * behind move. */
void pm_list_open(struct pm_list *list, size_t index, size_t more);
/* Under the lock: the opposite. References to what was in the slots are the caller's. */
void pm_list_close(struct pm_list *list, size_t index, size_t less);
/* Under the lock: the slot has the reference from now on. */
void pm_list_put(struct pm_list *list, size_t index, struct pm_object *item);

/* The functions of the type. */
bool pm_list_equal(struct pm_object *object, struct pm_object *other);
int pm_list_compare(struct pm_object *object, struct pm_object *other, int *result);

#endif
