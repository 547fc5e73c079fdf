/* SPDX-License-Identifier: MIT */
/* What the tests of dictionaries share. Only x_test.c files include it. */
#ifndef PM_OBJECT_DICT_TESTING_H
#define PM_OBJECT_DICT_TESTING_H

#include "object/containers_testing.h"
#include "object/dict.h"

/* 0 to count - 1, with ten times as much as values. */
static inline struct pm_object *dict_of_numbers(long count)
{
    struct pm_object *dict = pm_dict_new();
    require(dict != NULL);
    for (long i = 0; i < count; i++)
        put(dict, i, i * 10);
    return dict;
}

static inline size_t places_of(struct pm_object *dict)
{
    struct pm_table *table = ((struct pm_dict *)dict)->table;
    return table != NULL ? table->mask + 1 : 0;
}

static inline bool is_sound(struct pm_object *dict)
{
    struct pm_table *table = ((struct pm_dict *)dict)->table;
    size_t count = pm_dict_count(dict);
    return table == NULL ? count == 0 : pm_table_check(table, count);
}

#endif
