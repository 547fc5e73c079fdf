/* SPDX-License-Identifier: MIT */
/*
 * What the tests of tuples, lists and dictionaries share: objects that are worth a number, of which
 * none may be left at the end. Only x_test.c files include it.
 */
#ifndef PM_OBJECT_CONTAINERS_TESTING_H
#define PM_OBJECT_CONTAINERS_TESTING_H

#include "object/testing.h"
#include "poolmalloc/containers.h"

#include <errno.h>

struct number {
    struct pm_object object;
    long worth;
};

static _Atomic long numbers_alive;

static void number_free(struct pm_object *object)
{
    (void)object;
    atomic_fetch_sub(&numbers_alive, 1);
}

static uint64_t number_hash(struct pm_object *object)
{
    return (uint64_t)((struct number *)object)->worth * 0x9e3779b97f4a7c15u >> 8;
}

static bool number_equal(struct pm_object *object, struct pm_object *other)
{
    return pm_object_type(object) == pm_object_type(other) &&
           ((struct number *)object)->worth == ((struct number *)other)->worth;
}

static int number_compare(struct pm_object *object, struct pm_object *other, int *result)
{
    long a = ((struct number *)object)->worth, b = ((struct number *)other)->worth;
    if (pm_object_type(object) != pm_object_type(other)) {
        errno = ENOTSUP;
        return 0;
    }
    *result = (a > b) - (a < b);
    return 1;
}

static struct pm_type number_type = {
    .name = "number",
    .size = sizeof(struct number),
    .flags = PM_TYPE_PLAIN,
    .free = number_free,
    .hash = number_hash,
    .equal = number_equal,
    .compare = number_compare,
};

static inline struct pm_object *number_of(struct pm_type *type, long worth)
{
    struct pm_object *object = pm_object_new(type);
    require(object != NULL);
    ((struct number *)object)->worth = worth;
    atomic_fetch_add(&numbers_alive, 1);
    return object;
}

static inline struct pm_object *number(long worth)
{
    return number_of(&number_type, worth);
}

static inline long worth(const struct pm_object *object)
{
    return ((const struct number *)object)->worth;
}

/* The worth of an object to which the caller has a reference, which goes. */
static inline long worth_and_drop(struct pm_object *object)
{
    require(object != NULL);
    long is = worth(object);
    pm_decref(object);
    return is;
}

/* ---- lists and dictionaries of numbers ---- */

static inline void append(struct pm_object *list, long value)
{
    struct pm_object *item = number(value);
    require(pm_list_append(list, item));
    pm_decref(item);
}

static inline struct pm_object *list_of_numbers(const long *values, size_t count)
{
    struct pm_object *list = pm_list_new(NULL, 0);
    require(list != NULL);
    for (size_t i = 0; i < count; i++)
        append(list, values[i]);
    return list;
}

static inline bool list_is(struct pm_object *list, const long *values, size_t count)
{
    if (pm_list_count(list) != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (worth_and_drop(pm_list_get(list, (ptrdiff_t)i)) != values[i])
            return false;
    return true;
}

static inline bool set_numbers(struct pm_object *dict, struct pm_type *type, long key, long value)
{
    struct pm_object *k = number_of(type, key), *v = number(value);
    bool done = pm_dict_set(dict, k, v);
    pm_decref(k);
    pm_decref(v);
    return done;
}

static inline void put(struct pm_object *dict, long key, long value)
{
    require(set_numbers(dict, &number_type, key, value));
}

/* The value of a key; -1: there is none. */
static inline long get_number(struct pm_object *dict, struct pm_type *type, long key)
{
    struct pm_object *k = number_of(type, key), *value = pm_dict_get(dict, k);
    int saved_errno = errno;
    pm_decref(k);
    if (value != NULL)
        return worth_and_drop(value);
    require(saved_errno == ENOENT);
    return -1;
}

static inline long get(struct pm_object *dict, long key)
{
    return get_number(dict, &number_type, key);
}

static inline bool remove_number(struct pm_object *dict, long key)
{
    struct pm_object *k = number(key);
    bool done = pm_dict_delete(dict, k);
    pm_decref(k);
    return done;
}

/* The call fails, with that errno. */
#define assert_fails(call, error)                                                                  \
    do {                                                                                           \
        errno = 0;                                                                                 \
        assert_false(call);                                                                        \
        assert_int_equal(errno, error);                                                            \
    } while (0)

static inline int attach_for_test(void **state)
{
    (void)state;
    return pm_object_thread_attach() ? 0 : -1;
}

/* Whatever the test was about, nothing may be left. */
static inline int detach_and_count(void **state)
{
    (void)state;
    pm_object_thread_detach();
    return numbers_alive == 0 ? 0 : -1;
}

#endif
