/* SPDX-License-Identifier: MIT */
/* The lock of an object: one thread at a time; who waits is woken, and lets others merge. */
#include "object/lock.h"
#include "object/testing.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum {
    THREADS = 4,
    OBJECTS = 3,
    STEPS = PM_SCHEDULE           ? 300
            : PM_TSAN             ? 2000
            : PM_ASAN || PM_CHECK ? 4000
                                  : 10000,
    YIELD_EVERY = STEPS / 40,
};

static void a_lock_is_taken_once(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    assert_true(pm_object_trylock(object));
    assert_false(pm_object_trylock(object));
    pm_object_unlock(object);
    assert_true(pm_object_trylock(object));
    pm_object_unlock(object);
    assert_int_equal(object->lock, 0);
    pm_decref(object);
}

/* ---- plain figures under locks ---- */

static struct pm_object *objects[OBJECTS];
static uint64_t figures[OBJECTS];

static void *count_up(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    require(pm_object_thread_attach());
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)test_random_below(&seed, OBJECTS);
        pm_object_lock(objects[i]);
        uint64_t before = figures[i];
        if (step % YIELD_EVERY == 0)
            sched_yield(); /* so that others come and wait; it takes long on a busy machine */
        figures[i] = before + 1;
        pm_object_unlock(objects[i]);
    }
    pm_object_thread_detach();
    return NULL;
}

static void what_is_changed_under_a_lock_is_changed_by_one_thread_at_a_time(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    uint64_t sum = 0;
    for (unsigned i = 0; i < OBJECTS; i++)
        objects[i] = test_box_new();
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, count_up, (void *)i) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    for (unsigned i = 0; i < OBJECTS; i++) {
        sum += figures[i];
        assert_int_equal(objects[i]->lock, 0);
        pm_decref(objects[i]);
    }
    assert_int_equal(sum, THREADS * STEPS);
}

/* ---- who waits ---- */

static struct pm_object *waiters_box;
static struct pm_slot *_Atomic waiters_slot;

static void *wait_for_the_lock(void *arg)
{
    require(pm_object_thread_attach());
    waiters_box = test_box_new();
    atomic_store(&waiters_slot, pm_object_thread.slot);
    pm_object_lock(arg);
    pm_object_unlock(arg);
    pm_object_thread_detach();
    return NULL;
}

static bool is_paused(struct pm_slot *slot)
{
    pthread_mutex_lock(&slot->lock);
    bool paused = slot->state == PM_SLOT_PAUSED;
    pthread_mutex_unlock(&slot->lock);
    return paused;
}

static _Atomic bool lock_is_held, let_go;

static void *hold_the_lock(void *arg)
{
    require(pm_object_thread_attach());
    pm_object_lock(arg);
    atomic_store(&lock_is_held, true);
    while (!atomic_load(&let_go))
        sched_yield();
    pm_object_unlock(arg);
    pm_object_thread_detach();
    return NULL;
}

static void what_a_waiting_thread_owns_is_merged_by_others(void **state)
{
    (void)state;
    struct pm_object *object = test_box_new();
    struct pm_slot *slot;
    pthread_t holder, waiter;
    unsigned deaths = test_deaths;
    require(pthread_create(&holder, NULL, hold_the_lock, object) == 0);
    while (!atomic_load(&lock_is_held))
        sched_yield();
    require(pthread_create(&waiter, NULL, wait_for_the_lock, object) == 0);
    while ((slot = atomic_load(&waiters_slot)) == NULL || !is_paused(slot))
        sched_yield();
    pm_decref(waiters_box);
    assert_int_equal(test_deaths - deaths, 1);
    atomic_store(&let_go, true);
    require(pthread_join(waiter, NULL) == 0);
    require(pthread_join(holder, NULL) == 0);
    pm_decref(object);
}

/* ---- fork ---- */

static void *lock_and_unlock_until_told(void *arg)
{
    _Atomic bool *stop = arg;
    require(pm_object_thread_attach());
    while (!atomic_load(stop)) {
        pm_object_lock(objects[0]);
        sched_yield();
        pm_object_unlock(objects[0]);
    }
    pm_object_thread_detach();
    return NULL;
}

/* Of another object: one that a thread had at the fork stays locked. */
static void wait_in_the_child(void)
{
    pthread_t thread;
    pm_object_lock(objects[1]);
    atomic_store(&waiters_slot, NULL);
    require(pthread_create(&thread, NULL, wait_for_the_lock, objects[1]) == 0);
    struct pm_slot *slot;
    while ((slot = atomic_load(&waiters_slot)) == NULL || !is_paused(slot))
        sched_yield();
    pm_object_unlock(objects[1]);
    require(pthread_join(thread, NULL) == 0);
    _exit(0);
}

static void threads_of_a_forked_child_wait_and_are_woken(void **state)
{
    (void)state;
    if (PM_TSAN || test_emulated()) /* neither bears threads in the child of a threaded process */
        skip();
    _Atomic bool stop = false;
    pthread_t threads[2];
    objects[0] = test_box_new();
    objects[1] = test_box_new();
    for (int i = 0; i < 2; i++)
        require(pthread_create(&threads[i], NULL, lock_and_unlock_until_told, &stop) == 0);
    for (int i = 0; i < 10; i++) {
        int status;
        pid_t child = fork();
        require(child >= 0);
        if (child == 0)
            wait_in_the_child();
        require(waitpid(child, &status, 0) == child);
        assert_int_equal(status, 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        require(pthread_join(threads[i], NULL) == 0);
    pm_decref(objects[0]);
    pm_decref(objects[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_is_taken_once),
        cmocka_unit_test(what_is_changed_under_a_lock_is_changed_by_one_thread_at_a_time),
        cmocka_unit_test(what_a_waiting_thread_owns_is_merged_by_others),
        cmocka_unit_test(threads_of_a_forked_child_wait_and_are_woken),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
