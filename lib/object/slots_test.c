/* SPDX-License-Identifier: MIT */
/* Slots are inherited by the threads that come next, with the objects of those before; and what a
 * pause does to cancellation. */
#include "object/testing.h"
#include "object/world.h"
#include "poolmalloc/gc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <unistd.h>

static void count_as_owner(void *arg)
{
    struct pm_object *object = arg;
    require(test_owner(object) == pm_object_thread.slot->number);
    require(test_local(object) == 1 && pm_is_unique(object));
    pm_incref(object);
    require(test_local(object) == 2 && test_shared(object) == 0);
    pm_decref(object);
    pm_decref(object);
}

static void the_next_thread_in_a_slot_owns_what_the_last_one_left(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    struct pm_object *object;
    test_in_thread(test_make, &object);
    test_in_thread(count_as_owner, object);
    assert_int_equal(test_deaths - deaths, 1);
}

enum { THREADS = PM_TSAN || PM_ASAN || PM_SCHEDULE || PM_CHECK ? 5000 : 100000 };

static void objects_of_a_hundred_thousand_threads_are_all_reclaimed(void **state)
{
    (void)state;
    unsigned deaths = test_deaths;
    struct pm_object **objects = pm_malloc(THREADS * sizeof *objects);
    /* qemu keeps 280 KiB of each thread that ever was. */
    unsigned threads = test_emulated() ? THREADS / 100 : THREADS;
    uint32_t greatest = 0;
    for (unsigned i = 0; i < threads; i++) {
        test_in_thread(test_make, &objects[i]);
        assert_int_equal(test_state(objects[i]), PM_STATE_OWNED);
        if (test_owner(objects[i]) > greatest)
            greatest = test_owner(objects[i]);
    }
    assert_true(greatest <= 8); /* slots do not run out */
    for (unsigned i = 0; i < threads; i++)
        pm_decref(objects[i]);
    assert_int_equal(test_deaths - deaths, threads);
    pm_free(objects);
}

static void a_pause_leaves_the_cancel_state_as_it_is(void **state)
{
    int before, after;
    (void)state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    pm_object_thread_pause();
    pm_object_thread_resume();
    pthread_setcancelstate(before, &after);
    assert_int_equal(after, PTHREAD_CANCEL_DISABLE);
}

static pthread_barrier_t barrier;

static void *resume_in_a_stopped_world(void *unused)
{
    require(pm_object_thread_attach());
    pm_object_thread_pause();
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    pm_object_thread_resume();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pm_object_thread_detach();
    return unused;
}

/* It would end with the lock of the world. */
static void who_waits_to_resume_is_not_cancelled_in_it(void **state)
{
    pthread_t thread;
    void *result;
    (void)state;
    pthread_barrier_init(&barrier, NULL, 2);
    require(pthread_create(&thread, NULL, resume_in_a_stopped_world, NULL) == 0);
    pthread_barrier_wait(&barrier);
    pm_world_stop("test", true);
    require(pthread_cancel(thread) == 0);
    pthread_barrier_wait(&barrier);
    usleep(10000);
    pm_world_start();
    require(pthread_join(thread, &result) == 0);
    assert_null(result);
    pthread_barrier_destroy(&barrier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_thread_in_a_slot_owns_what_the_last_one_left),
        cmocka_unit_test(a_pause_leaves_the_cancel_state_as_it_is),
        cmocka_unit_test(who_waits_to_resume_is_not_cancelled_in_it),
        cmocka_unit_test(objects_of_a_hundred_thousand_threads_are_all_reclaimed),
    };
    require(pm_object_thread_attach());
    pm_gc_disable(); /* the tests wait for threads, and come to no safepoint */
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
