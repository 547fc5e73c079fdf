/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out at each allocation in turn, once and for good: the call fails with ENOMEM, or
 * does without; the container is as it was, and nothing is lost. At the end of each case all blocks
 * have gone back.
 */
#include "object/containers_testing.h"

#include "poolmalloc/domains.h"
#include "poolmalloc/qsbr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* ---- domains that fail ---- */

static struct pm_allocator below[3];
static long blocks;          /* that are out */
static unsigned allocations; /* since the count was set to 0 */
static unsigned fails_at;    /* this one fails; 0: none */
static bool for_good;        /* and all after it */

static bool fails(void)
{
    allocations++;
    return fails_at != 0 && (allocations == fails_at || (for_good && allocations > fails_at));
}

static void *hook_malloc(void *context, size_t size)
{
    struct pm_allocator *next = context;
    void *block = fails() ? NULL : next->malloc(next->context, size);
    blocks += block != NULL;
    if (block == NULL)
        errno = ENOMEM;
    return block;
}

static void *hook_calloc(void *context, size_t count, size_t size)
{
    struct pm_allocator *next = context;
    void *block = fails() ? NULL : next->calloc(next->context, count, size);
    blocks += block != NULL;
    if (block == NULL)
        errno = ENOMEM;
    return block;
}

static void *hook_realloc(void *context, void *ptr, size_t size)
{
    struct pm_allocator *next = context;
    void *block = fails() ? NULL : next->realloc(next->context, ptr, size);
    blocks += block != NULL && ptr == NULL;
    if (block == NULL)
        errno = ENOMEM;
    return block;
}

static void hook_free(void *context, void *ptr)
{
    struct pm_allocator *next = context;
    blocks -= ptr != NULL;
    next->free(next->context, ptr);
}

static int set_hooks(void **state)
{
    (void)state;
    for (int domain = 0; domain < 3; domain++) {
        struct pm_allocator hook = {&below[domain], hook_malloc, hook_calloc, hook_realloc,
                                    hook_free};
        if (!pm_get_allocator((enum pm_domain)domain, &below[domain]) ||
            !pm_set_allocator((enum pm_domain)domain, &hook))
            return -1;
    }
    return attach_for_test(NULL);
}

/* ---- what is tried ---- */

/* A list 0..9, a dictionary of 0..4, which is full, with 0..40 as values, and a number. */
struct things {
    struct pm_object *list, *dict, *number;
};

static const long digits[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

static void make(struct things *things)
{
    things->list = list_of_numbers(digits, 10);
    while (pm_list_count(things->list) < 16) /* until it is full */
        append(things->list, 0);
    things->dict = pm_dict_new();
    for (long i = 0; i < 5; i++)
        put(things->dict, i, i * 10);
    things->number = number(100);
}

static bool are_as_made(const struct things *things)
{
    return pm_list_count(things->list) == 16 && worth(things->number) == 100 &&
           worth_and_drop(pm_list_get(things->list, 9)) == 9 && pm_refcount(things->number) == 1 &&
           pm_dict_count(things->dict) == 5 && get(things->dict, 4) == 40;
}

static void drop(struct things *things)
{
    pm_decref(things->list);
    pm_decref(things->dict);
    pm_decref(things->number);
}

/* True: done. What it made it drops. */
static bool made(struct pm_object *object)
{
    if (object != NULL)
        pm_decref(object);
    return object != NULL;
}

static bool append_one(struct things *things)
{
    return pm_list_append(things->list, things->number);
}

static bool insert_one(struct things *things)
{
    return pm_list_insert(things->list, 3, things->number);
}

static bool extend(struct things *things)
{
    return pm_list_extend(things->list, things->list);
}

static bool set_slice(struct things *things)
{
    return pm_list_set_slice(things->list, 2, 4, things->list);
}

static bool slice(struct things *things)
{
    return made(pm_list_slice(things->list, 0, 9, 2));
}

static bool new_list(struct things *things)
{
    return made(pm_list_new(&things->number, 1));
}

static bool sort(struct things *things)
{
    return pm_list_sort(things->list, PM_SORT_DESCENDING);
}

static bool tuple(struct things *things)
{
    return made(pm_tuple_from_list(things->list));
}

static bool new_tuple(struct things *things)
{
    return made(pm_tuple_new(&things->number, 1));
}

static bool set_key(struct things *things)
{
    return pm_dict_set(things->dict, things->number, things->number);
}

static bool set_default(struct things *things)
{
    return made(pm_dict_set_default(things->dict, things->number, things->number));
}

static bool reserve(struct things *things)
{
    return pm_dict_reserve(things->dict, 1000);
}

static bool reserve_list(struct things *things)
{
    return pm_list_reserve(things->list, 1000);
}

static bool copy(struct things *things)
{
    return made(pm_dict_copy(things->dict));
}

static bool keys(struct things *things)
{
    return made(pm_dict_keys(things->dict));
}

static bool items(struct things *things)
{
    return made(pm_dict_items(things->dict));
}

static bool describe_list(struct things *things)
{
    return made(pm_repr(things->list));
}

static bool describe_dict(struct things *things)
{
    return made(pm_repr(things->dict));
}

/* These two do without memory, where less is what they want it for. */

static bool delete_all(struct things *things)
{
    bool done = true;
    while (done && pm_list_count(things->list) > 0)
        done = pm_list_delete(things->list, -1);
    return done;
}

static bool pop_all(struct things *things)
{
    struct pm_object *key, *value;
    while (pm_dict_pop_last(things->dict, &key, &value)) {
        pm_decref(key);
        pm_decref(value);
    }
    return pm_dict_count(things->dict) == 0;
}

/* False: there were not so many allocations. */
static bool fail_once_at(bool (*call)(struct things *), unsigned at, bool for_good_too)
{
    struct things things;
    long before = blocks;
    make(&things);
    allocations = 0;
    for_good = for_good_too;
    fails_at = at;
    errno = 0;
    bool done = call(&things);
    int saved_errno = errno;
    bool reached = allocations >= at;
    fails_at = 0;
    if (!done) {
        require(saved_errno == ENOMEM);
        require(are_as_made(&things));
        require(call(&things)); /* now there is memory */
    }
    drop(&things);
    require(blocks == before);
    require(numbers_alive == 0);
    return reached;
}

static void each_allocation_fails_in_turn_and_nothing_is_lost(void **state)
{
    (void)state;
    static bool (*const calls[])(struct things *) = {
        append_one, insert_one, extend,  set_slice,     slice,         new_list,    sort,
        tuple,      new_tuple,  set_key, set_default,   reserve,       copy,        keys,
        items,      delete_all, pop_all, describe_list, describe_dict, reserve_list};
    unsigned tried = 0;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        for (int good = 0; good < 2; good++)
            for (unsigned at = 1; fail_once_at(calls[i], at, good != 0); at++)
                tried++;
    assert_true(tried > 40);
}

/* The same when others have used the containers, so that arrays and tables go later. */
static void use(void *arg)
{
    struct things *things = arg;
    require(worth_and_drop(pm_list_get(things->list, 9)) == 9);
    require(get(things->dict, 4) == 40);
    require(pm_list_reverse(things->list) && pm_list_reverse(things->list));
}

static void arrays_of_shared_containers_go_back_without_memory_too(void **state)
{
    (void)state;
    long before = blocks;
    for (unsigned at = 1; at < 8; at++) {
        struct things things;
        make(&things);
        test_in_thread(use, &things);
        allocations = 0;
        for_good = true;
        fails_at = at;
        for (int i = 0; i < 100; i++) {
            append_one(&things);
            set_key(&things);
        }
        assert_true(pm_list_clear(things.list) && pm_dict_clear(things.dict));
        fails_at = 0;
        drop(&things);
    }
    for (int i = 0; i < 2; i++) { /* the first one closes a batch */
        pm_qsbr_poll();
        pm_qsbr_quiescent();
    }
    assert_int_equal(pm_qsbr_poll(), 0);
    assert_int_equal(numbers_alive, 0);
    assert_int_equal(blocks, before);
}

/* What was merged before memory ran out stays, whole. */
static void an_update_without_memory_keeps_what_has_come(void **state)
{
    (void)state;
    long before = blocks;
    for (unsigned at = 1; at < 12; at++) {
        struct things things;
        make(&things);
        struct pm_object *other = pm_dict_new();
        for (long i = 100; i < 200; i++)
            put(other, i, i);
        allocations = 0;
        for_good = false;
        fails_at = at;
        bool done = pm_dict_update(things.dict, other, true);
        fails_at = 0;
        size_t count = pm_dict_count(things.dict);
        assert_int_equal(done, count == 105);
        for (long i = 100; i < (long)count + 95; i++)
            assert_int_equal(get(things.dict, i), i);
        assert_true(pm_dict_update(things.dict, other, true));
        pm_decref(other);
        drop(&things);
    }
    assert_int_equal(numbers_alive, 0);
    assert_int_equal(blocks, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails_in_turn_and_nothing_is_lost),
        cmocka_unit_test(arrays_of_shared_containers_go_back_without_memory_too),
        cmocka_unit_test(an_update_without_memory_keeps_what_has_come),
    };
    return cmocka_run_group_tests(tests, set_hooks, detach_and_count);
}
