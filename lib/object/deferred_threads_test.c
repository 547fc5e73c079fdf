/* SPDX-License-Identifier: MIT */
/* Deferred references: threads use what others take out of its place, while one sweeps. */
#include "object/deferred.h"
#include "object/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { CELLS = 4, STEPS = PM_SCHEDULE ? 200 : PM_TSAN ? 1000 : 20000, THREADS = 3 };

struct stamped {
    struct pm_object object;
    uintptr_t stamp; /* its address, until it dies */
};

static _Atomic unsigned made, died;

static void stamped_free(struct pm_object *object)
{
    require(((struct stamped *)object)->stamp == (uintptr_t)object);
    ((struct stamped *)object)->stamp = 0;
    atomic_fetch_add_explicit(&died, 1, memory_order_relaxed);
}

static struct pm_type stamped_type = {
    .name = "stamped",
    .size = sizeof(struct stamped),
    .free = stamped_free,
};

static struct pm_object *_Atomic cells[CELLS]; /* with a counted reference each */

static void renew(struct pm_object *_Atomic *cell)
{
    struct pm_object *object = pm_object_new(&stamped_type);
    require(object != NULL);
    ((struct stamped *)object)->stamp = (uintptr_t)object;
    require(pm_object_set_deferred(object));
    atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    object = atomic_exchange(cell, object);
    if (object != NULL)
        pm_decref(object);
}

static void work(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;
    struct pm_deferred_frame frame;
    uintptr_t references[4];
    pm_deferred_enter(&frame, references, 4);
    for (unsigned i = 0; i < STEPS; i++) {
        struct pm_object *_Atomic *cell = &cells[test_random_below(&seed, CELLS)];
        unsigned into = (unsigned)test_random_below(&seed, 4);
        struct pm_object *object = pm_deferred_get(&frame, into);
        if (object != NULL)
            require(((struct stamped *)object)->stamp == (uintptr_t)object);
        if (i % 32 == 31)
            renew(cell);
        /* No safepoint between the look and the store. */
        object = atomic_load(cell);
        if (object != NULL)
            require(pm_deferred_try_set(&frame, into, object));
        if (i % 8 == 0)
            pm_safepoint();
        if (i % 256 == 0)
            pm_deferred_reclaim();
    }
    pm_deferred_leave(&frame);
}

static void what_a_thread_has_in_a_frame_is_alive_whatever_others_do(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS];
    struct test_call calls[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = i;
        calls[i] = (struct test_call){work, &seeds[i]};
        require(pthread_create(&threads[i], NULL, test_attached, &calls[i]) == 0);
    }
    pm_object_thread_pause();
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    pm_object_thread_resume();
    for (unsigned i = 0; i < CELLS; i++) {
        struct pm_object *object = atomic_exchange(&cells[i], NULL);
        if (object != NULL)
            pm_decref(object);
    }
    pm_safepoint();
    pm_deferred_reclaim();
    assert_true(made > 0);
    assert_int_equal(made, died);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_thread_has_in_a_frame_is_alive_whatever_others_do),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
