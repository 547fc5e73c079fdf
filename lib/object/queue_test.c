/* SPDX-License-Identifier: MIT */
/* References that wait for an owner who runs, pauses, is gone, or does not come. */
#include "object/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct pm_slot *own_slot(void)
{
    return pm_object_thread.slot;
}

/* ---- somebody merges for an owner who does not run ---- */

static void what_a_paused_owner_counted_dies_at_once(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    struct pm_object *objects[3] = {test_box_new(), test_box_new(), test_box_new()};
    pm_incref(objects[2]);
    pm_object_thread_pause();
    for (int i = 0; i < 3; i++)
        test_in_thread(test_drop, objects[i]);
    assert_int_equal(test_deaths - deaths, 2);
    assert_int_equal(test_state(objects[2]), PM_STATE_MERGED);
    pm_object_thread_resume();
    pm_decref(objects[2]);
    assert_int_equal(test_deaths - deaths, 3);
}

static void an_owner_who_pauses_drops_what_waits_first(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    test_in_thread(test_drop, test_box_new());
    assert_int_equal(test_deaths - deaths, 0);
    pm_object_thread_pause();
    assert_int_equal(test_deaths - deaths, 1);
    assert_true(pm_queue_is_empty(own_slot()));
    pm_object_thread_resume();
}

static void what_a_gone_owner_counted_dies_at_once(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    struct pm_object *object;
    test_in_thread(test_make, &object);
    assert_int_not_equal(test_owner(object), 0);
    pm_decref(object);
    assert_int_equal(test_deaths - deaths, 1);
}

/* A chain that its owner drops at exit, whose last box another thread waits to see dead. */
static pthread_barrier_t barrier;

static void own_one_that_others_drop(void *object)
{
    test_make(object);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* it waits in the queue now, and no safepoint comes */
}

static void a_thread_that_ends_drops_what_waits(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    struct pm_object *object;
    struct test_call call = {own_one_that_others_drop, &object};
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, test_attached, &call), 0);
    pthread_barrier_wait(&barrier);
    pm_decref(object);
    assert_int_equal(test_deaths - deaths, 0);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    assert_int_equal(test_deaths - deaths, 1);
    pthread_barrier_destroy(&barrier);
}

/* ---- a safepoint within a safepoint ---- */

static struct pm_object *dropped_meanwhile;

/* In the drain of the outer one, which has taken what waited: something comes, and the inner one
 * finds that it is due. */
static void drop_and_come_to_a_safepoint(struct pm_object *object)
{
    (void)object;
    test_in_thread(test_drop, dropped_meanwhile);
    pm_safepoint();
}

static struct pm_type safepoint_type = {.name = "safepoint",
                                        .size = sizeof(struct pm_object),
                                        .finalize = drop_and_come_to_a_safepoint};

static void what_comes_while_a_safepoint_drops_others_is_due_at_the_next_one(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    struct pm_object *object = pm_object_new(&safepoint_type);
    assert_non_null(object);
    dropped_meanwhile = test_box_new();
    test_in_thread(test_drop, object);
    pm_safepoint();
    pm_safepoint();
    assert_int_equal(test_deaths - deaths, 1);
    assert_true(pm_queue_is_empty(own_slot()));
}

/* ---- the end of a thread ---- */

static void *attach_and_end(void *object)
{
    require(pm_object_thread_attach());
    test_make(object);
    return NULL; /* detached by the thread's end */
}

static void a_thread_that_forgets_to_detach_is_detached_by_its_end(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    struct pm_object *object;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, attach_and_end, &object), 0);
    pthread_join(thread, NULL);
    pm_decref(object);
    assert_int_equal(test_deaths - deaths, 1);
}

/* ---- an owner who does not come ---- */

enum { DROPS = 200, ROOM = 10 };

static void drop_all(void *objects)
{
    for (unsigned i = 0; i < DROPS; i++)
        pm_decref(((struct pm_object **)objects)[i]);
    atomic_store(&((struct pm_object * _Atomic *)objects)[DROPS], (struct pm_object *)1);
}

/* The owner does nothing until the queue is full: so many have to be put by, and no more. */
static void a_queue_holds_no_more_bytes_than_its_bound(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    static struct pm_object *objects[DROPS + 1];
    struct test_call call = {drop_all, objects};
    size_t bound = pm_queue_bytes_max, most = 0;
    pthread_t thread;
    pm_queue_bytes_max = ROOM * sizeof(struct test_box);
    for (unsigned i = 0; i < DROPS; i++)
        objects[i] = test_box_new();
    objects[DROPS] = NULL;
    assert_int_equal(pthread_create(&thread, NULL, test_attached, &call), 0);
    while (atomic_load(&((struct pm_object * _Atomic *)objects)[DROPS]) == NULL) {
        pthread_mutex_lock(&own_slot()->lock);
        size_t queued = own_slot()->queued_bytes;
        bool waited_for =
            own_slot()->waiting > 0 && queued + sizeof(struct test_box) > pm_queue_bytes_max;
        pthread_mutex_unlock(&own_slot()->lock);
        if (queued > most)
            most = queued;
        if (waited_for)
            pm_safepoint();
        sched_yield();
    }
    pthread_join(thread, NULL);
    pm_safepoint();
    assert_int_equal(test_deaths - deaths, DROPS);
    assert_int_equal(most, ROOM * sizeof(struct test_box));
    pm_queue_bytes_max = bound;
}

static void an_object_larger_than_the_bound_waits_alone(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    size_t bound = pm_queue_bytes_max;
    pm_queue_bytes_max = 1;
    test_in_thread(test_drop, test_box_new());
    assert_int_equal(own_slot()->queued_bytes, sizeof(struct test_box));
    pm_safepoint();
    assert_int_equal(test_deaths - deaths, 1);
    pm_queue_bytes_max = bound;
}

/* Two threads drop each other's objects, one waiting for the other, and none gets to a safepoint
 * before it is done. */
static struct pm_object *mutual[2][DROPS];

static void drop_the_others(void *arg)
{
    unsigned me = *(unsigned *)arg;
    for (unsigned i = 0; i < DROPS; i++)
        mutual[me][i] = test_box_new();
    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < DROPS; i++)
        pm_decref(mutual[!me][i]);
    pm_object_thread_pause(); /* until the other one is done as well */
    pthread_barrier_wait(&barrier);
    pm_object_thread_resume();
}

static void two_that_wait_for_each_other_merge_for_each_other(void **state)
{
    (void)state;
    unsigned deaths = test_deaths, numbers[2] = {0, 1};
    size_t bound = pm_queue_bytes_max;
    pthread_t threads[2];
    struct test_call calls[2];
    pm_queue_bytes_max = ROOM * sizeof(struct test_box);
    pthread_barrier_init(&barrier, NULL, 2);
    for (int i = 0; i < 2; i++) {
        calls[i] = (struct test_call){drop_the_others, &numbers[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, test_attached, &calls[i]), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(test_deaths - deaths, 2 * DROPS);
    pthread_barrier_destroy(&barrier);
    pm_queue_bytes_max = bound;
}

/* The owner hears of the one who waits only by the report: then it goes on. */
static void wait_for_me(const void *arg)
{
    static struct pm_object *objects[DROPS + 1];
    struct test_call call = {drop_all, objects};
    pthread_t thread;
    (void)arg;
    pm_queue_bytes_max = ROOM * sizeof(struct test_box);
    pm_queue_patience_ms = 1;
    for (unsigned i = 0; i < DROPS; i++)
        objects[i] = test_box_new();
    pthread_create(&thread, NULL, test_attached, &call);
    while (pm_load_relaxed(&pm_object_warnings) == 0)
        usleep(1000);
    pm_object_thread_pause();
    pthread_join(thread, NULL);
}

static void an_owner_who_does_not_come_is_named(void **state)
{
    (void)state;
    char text[1024], expected[100];
    int status = test_stderr_of(wait_for_me, NULL, text, sizeof text);
    snprintf(expected, sizeof expected, "has reached no safepoint for 1 ms, and %zu bytes",
             ROOM * sizeof(struct test_box));
    assert_int_equal(status, 0);
    assert_non_null(strstr(text, "type box: thread "));
    assert_non_null(strstr(text, expected));
}

/* ---- fork ---- */

static void stay_until_the_fork_is_done(void *object)
{
    test_make(object);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
}

ISOLATED(in_a_child_of_fork_the_objects_of_other_threads_are_nobodys)
{
    if (test_emulated())
        test_skipped("the emulator does not survive a fork of several threads");
    unsigned deaths = test_deaths;
    struct pm_object *object, *mine;
    struct test_call call = {stay_until_the_fork_is_done, &object};
    pthread_t thread;
    require(pm_object_thread_attach());
    pthread_barrier_init(&barrier, NULL, 2);
    require(pthread_create(&thread, NULL, test_attached, &call) == 0);
    pthread_barrier_wait(&barrier);
    mine = test_box_new();
    pid_t child = fork();
    if (child == 0) {
        pm_decref(object); /* merged for the thread that is not there */
        require(test_deaths - deaths == 1);
        pm_incref(mine);
        pm_decref(mine);
        pm_decref(mine);
        require(test_deaths - deaths == 2);
        if (!PM_TSAN) { /* which starts no threads there */
            test_in_thread(test_make, &object);
            pm_decref(object);
            require(test_deaths - deaths == 3);
        }
        _exit(0);
    }
    int status;
    require(waitpid(child, &status, 0) == child && status == 0);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    pm_decref(object);
    pm_decref(mine);
    require(test_deaths - deaths == 2);
}

/* ---- misuse ---- */

static void detach_too_often(const void *arg)
{
    (void)arg;
    pm_object_thread_attach();
    for (int i = 0; i < 3; i++)
        pm_object_thread_detach();
}

static void pause_twice(const void *arg)
{
    (void)arg;
    pm_object_thread_pause();
    pm_object_thread_pause();
}

static void resume(const void *arg)
{
    (void)arg;
    pm_object_thread_resume();
}

static void wrong_orders_are_named(void **state)
{
    (void)state;
    assert_true(test_aborts(detach_too_often, NULL, "pm_object_thread_detach: the thread is not"));
    assert_true(test_aborts(pause_twice, NULL, "pm_object_thread_pause: the thread is not"));
    assert_true(test_aborts(resume, NULL, "pm_object_thread_resume: the thread is not paused"));
}

static void a_thread_may_attach_again_and_detaches_as_often(void **state)
{
    (void)state;
    assert_true(pm_object_thread_attach());
    pm_object_thread_detach();
    struct pm_object *object = test_box_new();
    pm_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_paused_owner_counted_dies_at_once),
        cmocka_unit_test(an_owner_who_pauses_drops_what_waits_first),
        cmocka_unit_test(what_a_gone_owner_counted_dies_at_once),
        cmocka_unit_test(a_thread_that_ends_drops_what_waits),
        cmocka_unit_test(what_comes_while_a_safepoint_drops_others_is_due_at_the_next_one),
        cmocka_unit_test(a_thread_that_forgets_to_detach_is_detached_by_its_end),
        cmocka_unit_test(a_queue_holds_no_more_bytes_than_its_bound),
        cmocka_unit_test(an_object_larger_than_the_bound_waits_alone),
        cmocka_unit_test(two_that_wait_for_each_other_merge_for_each_other),
        cmocka_unit_test(an_owner_who_does_not_come_is_named),
        cmocka_unit_test(in_a_child_of_fork_the_objects_of_other_threads_are_nobodys),
        cmocka_unit_test(wrong_orders_are_named),
        cmocka_unit_test(a_thread_may_attach_again_and_detaches_as_often),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
