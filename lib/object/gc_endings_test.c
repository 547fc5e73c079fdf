/* SPDX-License-Identifier: MIT */
/*
 * Threads that end within a collection of theirs, by what the program is called for: it is over
 * then, and the next one finds what it had found. What must not end its thread, or leave it paused,
 * is named.
 */
#include "object/gc_testing.h"
#include "poolmalloc/deferred.h"
#include "poolmalloc/weak.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { RING = 5, ENDS_AT = 3 };

/* The caller is paused meanwhile; the thread ends in `body`, attached. */
static void in_a_thread_that_ends(void *(*body)(void *), void *arg)
{
    pthread_t thread;
    pm_object_thread_pause();
    require(pthread_create(&thread, NULL, body, arg) == 0);
    require(pthread_join(thread, NULL) == 0);
    pm_object_thread_resume();
}

static _Noreturn void end_thread(void)
{
    pthread_exit(NULL);
}

static void *collect_a_ring(void *arg)
{
    require(pm_object_thread_attach());
    pm_decref(node_ring(NODE_FINAL, RING));
    pm_gc_collect(2, NULL);
    require(false);
    return arg;
}

/* ---- finalizers ---- */

static void end_in_finalizer(struct pm_object *object)
{
    (void)object;
    if (node_finals_since() == ENDS_AT)
        end_thread();
}

static void a_finalizer_may_end_its_thread(void **state)
{
    (void)state;
    node_final = end_in_finalizer;
    in_a_thread_that_ends(collect_a_ring, NULL);
    assert_int_equal(node_deaths_since(), 0);
    assert_int_equal(node_collect(), RING);
    assert_int_equal(node_deaths_since(), RING);
    assert_int_equal(node_finals_since(), RING); /* each once */
    assert_int_equal(node_collect(), 0);
}

static void be_cancelled(struct pm_object *object)
{
    (void)object;
    if (node_finals_since() != ENDS_AT)
        return;
    pthread_cancel(pthread_self());
    pthread_testcancel();
}

static void or_be_cancelled_in_it(void **state)
{
    pthread_t thread;
    void *result;
    (void)state;
    if (PM_ASAN) /* which is not told that the stack is left, and finds what it marked there */
        skip();
    node_final = be_cancelled;
    pm_object_thread_pause();
    require(pthread_create(&thread, NULL, collect_a_ring, NULL) == 0);
    require(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
    pm_object_thread_resume();
    assert_int_equal(node_collect(), RING);
    assert_int_equal(node_deaths_since(), RING);
}

/* By itself, in a young generation: what was found is found again by such a one. */
static void *collect_a_young_ring(void *arg)
{
    require(pm_object_thread_attach());
    pm_decref(node_ring(NODE_FINAL, RING));
    pm_gc_collect(0, NULL);
    require(false);
    return arg;
}

static void what_was_young_is_found_by_a_collection_of_the_young(void **state)
{
    struct pm_gc_result result;
    (void)state;
    node_collect();
    node_final = end_in_finalizer;
    in_a_thread_that_ends(collect_a_young_ring, NULL);
    assert_true(pm_gc_collect(0, &result));
    assert_int_equal(result.collected, RING);
    assert_int_equal(node_deaths_since(), RING);
}

/* ---- callbacks of weak references, and of collections ---- */

static unsigned calls;

static void end_in_first_call(struct pm_object *weakref, struct pm_object *arg)
{
    require(pm_weakref_get(weakref) == NULL && arg == NULL);
    if (++calls == 1)
        end_thread();
}

static void *collect_with_callbacks(void *weakrefs)
{
    require(pm_object_thread_attach());
    struct pm_object *ring = node_ring(NODE_PLAIN, RING);
    for (unsigned i = 0; i < 2; i++)
        ((struct pm_object **)weakrefs)[i] = pm_weakref_new(ring, end_in_first_call, NULL);
    pm_decref(ring);
    pm_gc_collect(2, NULL);
    require(false);
    return NULL;
}

static void the_callback_of_a_weak_reference_may_and_the_others_are_called(void **state)
{
    struct pm_object *weakrefs[2];
    (void)state;
    calls = 0;
    in_a_thread_that_ends(collect_with_callbacks, weakrefs);
    assert_int_equal(calls, 1);
    assert_int_equal(node_collect(), RING);
    assert_int_equal(calls, 2);
    assert_int_equal(node_deaths_since(), RING);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pm_refcount(weakrefs[i]), 1);
        pm_decref(weakrefs[i]);
    }
}

static void end_when_told(const struct pm_gc_info *info, void *arg)
{
    pm_gc_remove_callback(end_when_told, arg);
    require(info->stop == (arg != NULL));
    end_thread();
}

static void end_at_stop(const struct pm_gc_info *info, void *arg)
{
    if (!info->stop)
        return;
    pm_gc_remove_callback(end_at_stop, arg);
    end_thread();
}

static void so_may_the_callbacks_of_collections(void **state)
{
    (void)state;
    assert_true(pm_gc_add_callback(end_when_told, NULL));
    in_a_thread_that_ends(collect_a_ring, NULL);
    assert_int_equal(node_collect(), RING);
    assert_true(pm_gc_add_callback(end_at_stop, NULL));
    in_a_thread_that_ends(collect_a_ring, NULL);
    assert_int_equal(node_deaths_since(), 2 * RING);
    assert_int_equal(node_collect(), 0);
}

/* ---- clear and free ---- */

static unsigned clears, frees;

static void end_in_clear(struct pm_object *object)
{
    node_clear(object);
    if (++clears == ENDS_AT)
        end_thread();
}

static void end_in_free(struct pm_object *object)
{
    node_free(object);
    if (++frees == ENDS_AT)
        end_thread();
}

static struct pm_type ending_types[2][2] = {
    {NODE_TYPE("ends in clear", sizeof(struct node), end_in_clear, NULL, node_free),
     NODE_TYPE("large, ends in clear", NODE_LARGE, end_in_clear, NULL, node_free)},
    {NODE_TYPE("ends in free", sizeof(struct node), node_clear, NULL, end_in_free),
     NODE_TYPE("large, ends in free", NODE_LARGE, node_clear, NULL, end_in_free)},
};

static void *collect_loops(void *types)
{
    require(pm_object_thread_attach());
    for (unsigned i = 0; i < RING; i++) {
        struct pm_object *object =
            pm_object_new((struct pm_type *)types + (test_gc_place == TOO_LARGE));
        require(object != NULL);
        node_set(object, 0, object);
        pm_decref(object);
    }
    pm_gc_collect(2, NULL);
    require(false);
    return NULL;
}

static void what_was_cleared_dies_and_the_rest_is_found_again(void **state)
{
    (void)state;
    clears = 0;
    in_a_thread_that_ends(collect_loops, ending_types[0]);
    assert_int_equal(node_deaths_since(), 0);
    node_collect();
    assert_int_equal(node_deaths_since(), RING);
    frees = 0;
    in_a_thread_that_ends(collect_loops, ending_types[1]);
    assert_int_equal(node_deaths_since(), RING + ENDS_AT);
    assert_int_equal(node_collect(), 0); /* they were cleared, and are not referred to */
    assert_int_equal(node_deaths_since(), 2 * RING);
}

/* They were released, and have each other: nothing of them could be cleared. */
static void *collect_a_young_ring_and_a_loop(void *type)
{
    require(pm_object_thread_attach());
    pm_decref(node_ring(NODE_UNCLEARED, 2));
    struct pm_object *object = pm_object_new(type);
    require(object != NULL);
    node_set(object, 0, object);
    pm_decref(object);
    frees = ENDS_AT - 1;
    pm_gc_collect(0, NULL);
    require(false);
    return NULL;
}

static void what_was_released_and_lives_is_found_again(void **state)
{
    struct pm_gc_result result;
    struct pm_object *found[2];
    (void)state;
    node_collect();
    in_a_thread_that_ends(collect_a_young_ring_and_a_loop,
                          &ending_types[1][test_gc_place == TOO_LARGE]);
    assert_int_equal(node_deaths_since(), 1);
    assert_true(pm_gc_collect(0, &result));
    assert_int_equal(result.uncollectable, 2);
    assert_int_equal(pm_gc_get_garbage(found, 2), 2);
    pm_gc_clear_garbage();
    node_clear(found[0]); /* the ring is open */
    for (unsigned i = 0; i < 2; i++)
        pm_decref(found[i]);
    assert_int_equal(node_deaths_since(), 3);
}

/* ---- by hand: all that may be held when a thread goes ---- */

static void note_call(struct pm_object *weakref, struct pm_object *arg)
{
    (void)weakref, (void)arg;
    calls++;
}

static void whatever_is_held_is_let_go(void **state)
{
    struct pm_gc_search search = {.generation = GC_OLD, .first = SIZE_MAX};
    (void)state;
    struct pm_object *ring = node_ring(NODE_PLAIN, RING), *loop = node_ring(NODE_PLAIN, 1);
    struct pm_object *weakref = pm_weakref_new(ring, note_call, NULL);
    assert_true(pm_object_set_deferred(ring));
    pm_decref(ring);
    pm_decref(loop);
    calls = 0;
    pm_world_stop("test", true);
    pm_store_relaxed(&pm_gc_collecting, true);
    pm_gc_find_trash(&search);
    assert_int_equal(search.trash, RING + 1);
    pm_gc_hold_trash(&search);
    pm_world_start();
    pm_store_relaxed(pm_gc_word_of(loop), GC_RESURRECTED); /* as if a finalizer had it now */
    assert_int_equal(pm_refcount(loop), 2);
    assert_int_equal(pm_refcount(ring), 3);
    pm_gc_let_go_of_trash(&search);
    pm_gc_end_search(&search);
    pm_store_relaxed(&pm_gc_collecting, false);
    assert_int_equal(pm_refcount(loop), 1);
    assert_int_equal(pm_refcount(ring), 1);
    assert_int_equal(calls, 1);
    assert_int_equal(node_collect(), RING + 1);
    assert_int_equal(node_deaths_since(), RING + 1);
    pm_decref(weakref);
}

/* ---- what is named ---- */

static int end_in_traverse(struct pm_object *object, pm_visit visit, void *arg)
{
    (void)object, (void)visit, (void)arg;
    end_thread();
}

static struct pm_type quitter_type = {
    .name = "quitter",
    .size = sizeof(struct node),
    .flags = PM_TYPE_GC,
    .traverse = end_in_traverse,
};

static void collect_a_quitter(const void *arg)
{
    (void)arg;
    require(pm_object_new(&quitter_type) != NULL);
    pm_gc_collect(2, NULL);
}

static void look_at_a_quitter(const void *arg)
{
    (void)arg;
    struct pm_object *object = pm_object_new(&quitter_type);
    pm_gc_get_referents(&object, 1, NULL, 0);
}

static void (*traversed)(void);

static int call_in_traverse(struct pm_object *object, pm_visit visit, void *arg)
{
    (void)object, (void)visit, (void)arg;
    traversed();
    return 0;
}

static struct pm_type waiter_type = {
    .name = "waiter",
    .size = sizeof(struct node),
    .flags = PM_TYPE_GC,
    .traverse = call_in_traverse,
};

static void look_at_all(void)
{
    pm_gc_get_objects(-1, NULL, 0);
}

static void fork_now(void)
{
    fork();
}

static void pause_now(void)
{
    pm_object_thread_pause();
    pm_object_thread_resume();
}

/* Each of them would wait for ever for the thread that it is called by. */
static void collect_a_waiter(const void *call)
{
    traversed = *(void (*const *)(void))call;
    require(pm_object_new(&waiter_type) != NULL);
    pm_gc_collect(2, NULL);
}

static void stay_paused(struct pm_object *object)
{
    (void)object;
    pm_object_thread_pause();
}

static void collect_and_stay_paused(const void *arg)
{
    (void)arg;
    node_final = stay_paused;
    node_drop_loop(NODE_FINAL);
    pm_gc_collect(2, NULL);
}

static void detach_in_callback(const struct pm_gc_info *info, void *arg)
{
    (void)info, (void)arg;
    pm_object_thread_detach();
}

static void collect_and_detach(const void *arg)
{
    (void)arg;
    pm_gc_add_callback(detach_in_callback, NULL);
    pm_gc_collect(2, NULL);
}

static void what_a_collection_cannot_go_on_from_is_named(void **state)
{
    static void (*const waits[])(void) = {look_at_all, fork_now, pause_now};
    (void)state;
    assert_true(test_aborts(collect_a_quitter, NULL, "type quitter: its traverse ends"));
    assert_true(test_aborts(look_at_a_quitter, NULL, "type quitter: its traverse ends"));
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
        assert_true(test_aborts(collect_a_waiter, &waits[i], "type waiter: its traverse waits"));
    assert_true(test_aborts(collect_and_stay_paused, NULL, "callback that pauses has to resume"));
    assert_true(test_aborts(collect_and_detach, NULL,
                            "pm_object_thread_detach: called while an object dies, or in a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_finalizer_may_end_its_thread, node_begin),
        cmocka_unit_test_setup(or_be_cancelled_in_it, node_begin),
        cmocka_unit_test_setup(what_was_young_is_found_by_a_collection_of_the_young, node_begin),
        cmocka_unit_test_setup(the_callback_of_a_weak_reference_may_and_the_others_are_called,
                               node_begin),
        cmocka_unit_test_setup(so_may_the_callbacks_of_collections, node_begin),
        cmocka_unit_test_setup(what_was_cleared_dies_and_the_rest_is_found_again, node_begin),
        cmocka_unit_test_setup(what_was_released_and_lives_is_found_again, node_begin),
        cmocka_unit_test_setup(whatever_is_held_is_let_go, node_begin),
    };
    const struct CMUnitTest named[] = {
        cmocka_unit_test(what_a_collection_cannot_go_on_from_is_named),
    };
    int failed = 0;
    require(pm_object_thread_attach());
    pm_gc_disable();
    for (int place = IN_POOLS; place <= WITHOUT_TABLES; place++) {
        test_gc_choose(place);
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    failed += cmocka_run_group_tests(named, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
