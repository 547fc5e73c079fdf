/* SPDX-License-Identifier: MIT */
/*
 * Objects that live on after a collection has found them to be trash, and die while it goes on: as
 * a finalizer brought them back, or as they are saved (PM_GC_DEBUG_SAVEALL) and somebody clears the
 * garbage meanwhile. The collector must have forgotten them by then.
 */
#include "object/gc_testing.h"
#include "poolmalloc/domains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* What was just freed becomes other memory: nodes of the register first of all. */
static void use_freed_memory(void)
{
    enum { BLOCKS = 40 };
    void *blocks[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = pm_raw_malloc(sizeof(struct pm_gc_node));
        require(blocks[i] != NULL);
        memset(blocks[i], 0x5a, sizeof(struct pm_gc_node));
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        pm_raw_free(blocks[i]);
}

/* ---- brought back ---- */

static struct pm_object *saved;

static void save(struct pm_object *object)
{
    pm_incref(object);
    saved = object;
}

/* Of trash that stays trash: what the finalizer saved dies in the middle of it. */
static void clear_and_drop_saved(struct pm_object *object)
{
    struct pm_object *was = saved;
    node_clear(object);
    saved = NULL;
    if (was == NULL)
        return;
    node_clear(was);
    pm_decref(was);
    use_freed_memory();
}

static struct pm_type dropping_types[2] = {
    NODE_TYPE("dropping", sizeof(struct node), clear_and_drop_saved, NULL, node_free),
    NODE_TYPE("large dropping", NODE_LARGE, clear_and_drop_saved, NULL, node_free),
};

static void what_came_back_may_die_while_the_rest_is_cleared(void **state)
{
    enum { OTHERS = 3 };
    (void)state;
    node_final = save;
    for (unsigned i = 0; i < 2 * OTHERS; i++) { /* on both sides of it */
        struct pm_object *object = pm_object_new(&dropping_types[test_gc_place == TOO_LARGE]);
        require(object != NULL);
        node_set(object, 0, object);
        pm_decref(object);
        if (i == OTHERS)
            node_drop_loop(NODE_FINAL);
    }
    assert_int_equal(node_collect(), 2 * OTHERS);
    assert_int_equal(node_deaths_since(), 2 * OTHERS + 1);
    assert_null(saved);
}

/* ---- saved as garbage ---- */

enum { GARBAGE_ROOM = 64, RINGS = 80 };

static void drop_garbage(void)
{
    struct pm_object *found[GARBAGE_ROOM];
    size_t count = pm_gc_get_garbage(found, GARBAGE_ROOM);
    for (size_t i = 0; i < count && i < GARBAGE_ROOM; i++) {
        node_clear(found[i]);
        pm_decref(found[i]);
    }
    pm_gc_clear_garbage();
}

static bool refusing;
static struct pm_allocator before;

static void *refuse_to_grow(void *context, void *ptr, size_t bytes)
{
    if (refusing && bytes > GARBAGE_ROOM * sizeof(void *))
        return NULL;
    return before.realloc(context, ptr, bytes);
}

static void clear_and_drop_garbage(struct pm_object *object)
{
    node_clear(object);
    drop_garbage();
    use_freed_memory();
}

static struct pm_type unsaved_types[2] = {
    NODE_TYPE("unsaved", sizeof(struct node), clear_and_drop_garbage, NULL, node_free),
    NODE_TYPE("large unsaved", NODE_LARGE, clear_and_drop_garbage, NULL, node_free),
};

/* Without memory some are not saved, and are cleared after all: by that, all die. */
static void garbage_may_be_dropped_while_the_rest_is_cleared(void **state)
{
    struct pm_allocator hook;
    (void)state;
    assert_true(pm_get_allocator(PM_DOMAIN_RAW, &before));
    hook = before;
    hook.realloc = refuse_to_grow;
    assert_true(pm_set_allocator(PM_DOMAIN_RAW, &hook));
    for (unsigned i = 0; i < RINGS; i++) {
        struct pm_object *object = pm_object_new(&unsaved_types[test_gc_place == TOO_LARGE]);
        require(object != NULL);
        node_set(object, 0, object);
        pm_decref(object);
    }
    refusing = true;
    pm_gc_set_debug(PM_GC_DEBUG_SAVEALL);
    node_collect();
    pm_gc_set_debug(0);
    refusing = false;
    assert_true(pm_set_allocator(PM_DOMAIN_RAW, &before));
    assert_int_equal(pm_gc_get_garbage(NULL, 0), 0);
    node_collect();
    assert_int_equal(node_deaths_since(), RINGS);
}

/* ---- by another thread ---- */

enum { ROUNDS = PM_SCHEDULE ? 10 : PM_TSAN || PM_ASAN || PM_CHECK ? 40 : 200 };

static _Atomic bool collecting;

static void drop_garbage_always(void *arg)
{
    (void)arg;
    while (atomic_load(&collecting)) {
        drop_garbage();
        pm_safepoint();
    }
}

static void or_by_another_thread_at_any_time(void **state)
{
    struct test_call call = {drop_garbage_always, NULL};
    pthread_t thread;
    (void)state;
    atomic_store(&collecting, true);
    assert_int_equal(pthread_create(&thread, NULL, test_attached, &call), 0);
    pm_gc_set_debug(PM_GC_DEBUG_SAVEALL);
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned j = 0; j < 8; j++)
            pm_decref(node_ring(NODE_PLAIN, 1 + j % 4));
        node_collect();
    }
    pm_gc_set_debug(0);
    atomic_store(&collecting, false);
    pm_object_thread_pause();
    pthread_join(thread, NULL);
    pm_object_thread_resume();
    drop_garbage();
    node_collect();
    assert_int_equal(node_deaths_since(), ROUNDS * 2 * (1 + 2 + 3 + 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_came_back_may_die_while_the_rest_is_cleared, node_begin),
        cmocka_unit_test_setup(garbage_may_be_dropped_while_the_rest_is_cleared, node_begin),
        cmocka_unit_test_setup(or_by_another_thread_at_any_time, node_begin),
    };
    int failed = 0;
    require(pm_object_thread_attach());
    pm_gc_disable();
    for (int place = IN_POOLS; place <= WITHOUT_TABLES; place++) {
        test_gc_choose(place);
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    pm_object_thread_detach();
    return failed;
}
