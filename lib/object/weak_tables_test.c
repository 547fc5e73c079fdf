/* SPDX-License-Identifier: MIT */
/*
 * What weak references are for: a table that does not keep its values alive (a cache), and one that
 * does not keep its keys alive (notes about objects of others). Both lose an entry when its object
 * dies, by the callback, which finds the table by a weak reference to it, as in CPython's
 * weakref.WeakValueDictionary and WeakKeyDictionary (Lib/weakref.py): the table may be gone by
 * then. The cases of its test_weakref.py (MappingTestCase) have its names beside them.
 */
#include "object/testing.h"
#include "poolmalloc/weak.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* One entry is dead as soon as its object is: whoever looks gets nothing; the callback makes room.
 * The key of an entry is a number, or what is weak. */
enum { ENTRIES = 64 };

struct table {
    struct pm_object object;
    struct pm_object *self; /* a weak reference to the table, which the callbacks get */
    pthread_mutex_t lock;
    unsigned used;
    struct entry {
        uintptr_t key;
        struct pm_object *weakref; /* to the value, or to the key; NULL: free */
        struct pm_object *value;   /* with a weak key: a reference to it */
    } entries[ENTRIES];
};

/* What is dropped is dropped without the lock: it may call back. */
static struct entry take_entry(struct table *table, struct entry *entry)
{
    struct entry taken = *entry;
    *entry = (struct entry){0, NULL, NULL};
    table->used--;
    return taken;
}

static void drop_entry(struct entry taken)
{
    pm_decref(taken.weakref);
    if (taken.value != NULL)
        pm_decref(taken.value);
}

static void table_clear(struct pm_object *object)
{
    struct table *table = (struct table *)object;
    for (unsigned i = 0; i < ENTRIES; i++)
        if (table->entries[i].weakref != NULL)
            drop_entry(take_entry(table, &table->entries[i]));
    pm_decref(table->self);
    pthread_mutex_destroy(&table->lock);
}

static struct pm_type table_type = {
    .name = "weak table",
    .size = sizeof(struct table),
    .clear = table_clear,
};

static struct table *table_new(void)
{
    struct table *table = (struct table *)pm_object_new(&table_type);
    require(table != NULL);
    pthread_mutex_init(&table->lock, NULL);
    table->self = pm_weakref_new(&table->object, NULL, NULL);
    require(table->self != NULL);
    return table;
}

static void forget(struct pm_object *weakref, struct pm_object *self)
{
    struct table *table = (struct table *)pm_weakref_get(self);
    struct entry taken = {0, NULL, NULL};
    if (table == NULL)
        return;
    pthread_mutex_lock(&table->lock);
    for (unsigned i = 0; i < ENTRIES && taken.weakref == NULL; i++)
        if (table->entries[i].weakref == weakref)
            taken = take_entry(table, &table->entries[i]);
    pthread_mutex_unlock(&table->lock);
    if (taken.weakref != NULL)
        drop_entry(taken);
    pm_decref(&table->object);
}

/* Under the lock. */
static struct entry *find(struct table *table, uintptr_t key)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        if (table->entries[i].weakref != NULL && table->entries[i].key == key)
            return &table->entries[i];
    return NULL;
}

static struct entry *find_free(struct table *table)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        if (table->entries[i].weakref == NULL)
            return &table->entries[i];
    return NULL;
}

static void put(struct table *table, uintptr_t key, struct pm_object *weak, struct pm_object *value)
{
    struct pm_object *weakref = pm_weakref_new(weak, forget, table->self);
    struct entry old = {0, NULL, NULL};
    require(weakref != NULL);
    if (value != NULL)
        pm_incref(value);
    pthread_mutex_lock(&table->lock);
    struct entry *entry = find(table, key);
    if (entry != NULL)
        old = take_entry(table, entry);
    entry = find_free(table);
    require(entry != NULL);
    *entry = (struct entry){key, weakref, value};
    table->used++;
    pthread_mutex_unlock(&table->lock);
    if (old.weakref != NULL)
        drop_entry(old);
}

/* ---- weak values ---- */

static struct pm_object *cached(struct table *table, uintptr_t key)
{
    pthread_mutex_lock(&table->lock);
    struct entry *entry = find(table, key);
    struct pm_object *value = entry != NULL ? pm_weakref_get(entry->weakref) : NULL;
    pthread_mutex_unlock(&table->lock);
    return value;
}

/* test_weak_values */
static void a_cache_finds_its_values_as_long_as_somebody_has_them(void **state)
{
    (void)state;
    struct table *table = table_new();
    struct pm_object *values[10];
    unsigned deaths = test_deaths;
    for (unsigned i = 0; i < 10; i++) {
        values[i] = test_box_new();
        put(table, i, values[i], NULL);
    }
    assert_int_equal(table->used, 10);
    for (unsigned i = 0; i < 10; i++) {
        struct pm_object *value = cached(table, i);
        assert_ptr_equal(value, values[i]);
        pm_decref(value);
    }
    for (unsigned i = 0; i < 10; i++) {
        pm_decref(values[i]);
        assert_int_equal(test_deaths - deaths, i + 1);
        assert_int_equal(table->used, 9 - i);
        assert_null(cached(table, i));
    }
    pm_decref(&table->object);
}

static void a_value_that_replaces_another_one_is_not_forgotten_with_it(void **state)
{
    (void)state;
    struct table *table = table_new();
    struct pm_object *old = test_box_new(), *new = test_box_new();
    put(table, 1, old, NULL);
    put(table, 1, new, NULL);
    pm_decref(old);
    assert_int_equal(table->used, 1);
    struct pm_object *value = cached(table, 1);
    assert_ptr_equal(value, new);
    pm_decref(value);
    pm_decref(new);
    assert_int_equal(table->used, 0);
    pm_decref(&table->object);
}

static void values_outlive_their_cache_and_are_called_no_more(void **state)
{
    (void)state;
    struct table *table = table_new();
    struct pm_object *value = test_box_new();
    put(table, 1, value, NULL);
    assert_int_equal(pm_weakref_count(value), 1);
    pm_decref(&table->object);
    assert_int_equal(pm_weakref_count(value), 0);
    pm_decref(value);
}

/* ---- weak keys ---- */

static struct pm_object *noted(struct table *table, struct pm_object *key)
{
    pthread_mutex_lock(&table->lock);
    struct entry *entry = find(table, (uintptr_t)key);
    struct pm_object *value = entry != NULL ? entry->value : NULL;
    if (value != NULL)
        pm_incref(value);
    pthread_mutex_unlock(&table->lock);
    return value;
}

/* test_weak_keys */
static void notes_about_an_object_go_with_it(void **state)
{
    (void)state;
    struct table *table = table_new();
    struct pm_object *key = test_box_new(), *note = test_box_new(), *other = test_box_new();
    unsigned deaths = test_deaths;
    put(table, (uintptr_t)key, key, note);
    pm_decref(note); /* the table has it */
    assert_int_equal(test_deaths - deaths, 0);
    struct pm_object *found = noted(table, key);
    assert_ptr_equal(found, note);
    pm_decref(found);
    assert_null(noted(table, other));
    pm_decref(key);
    assert_int_equal(test_deaths - deaths, 2);
    assert_int_equal(table->used, 0);
    pm_decref(other);
    pm_decref(&table->object);
}

/* ---- by several threads (test_threaded_weak_valued_setdefault) ---- */

enum { KEYS = 8, STEPS = PM_SCHEDULE ? 200 : PM_TSAN ? 1000 : 10000, THREADS = 4 };

static struct table *common;

/* The value, from the cache or new; two threads may put one after the other. */
static void find_or_make(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;
    for (unsigned i = 1; i <= STEPS; i++) {
        uintptr_t key = test_random_below(&seed, KEYS);
        struct pm_object *value = cached(common, key);
        if (value == NULL) {
            value = test_box_new();
            put(common, key, value, NULL);
        }
        struct pm_object *again = cached(common, key);
        if (again != NULL)
            pm_decref(again);
        pm_decref(value);
        if (i % 16 == 0)
            pm_safepoint();
    }
}

static void a_cache_of_several_threads_is_empty_when_nobody_has_a_value(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS];
    struct test_call calls[THREADS];
    common = table_new();
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = i;
        calls[i] = (struct test_call){find_or_make, &seeds[i]};
        require(pthread_create(&threads[i], NULL, test_attached, &calls[i]) == 0);
    }
    pm_object_thread_pause();
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    pm_object_thread_resume();
    assert_int_equal(common->used, 0);
    pm_decref(&common->object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cache_finds_its_values_as_long_as_somebody_has_them),
        cmocka_unit_test(a_value_that_replaces_another_one_is_not_forgotten_with_it),
        cmocka_unit_test(values_outlive_their_cache_and_are_called_no_more),
        cmocka_unit_test(notes_about_an_object_go_with_it),
        cmocka_unit_test(a_cache_of_several_threads_is_empty_when_nobody_has_a_value),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
