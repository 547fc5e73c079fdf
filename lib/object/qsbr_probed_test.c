/* SPDX-License-Identifier: MIT */
/* Objects that threads find without a lock: their memory goes by way of deferred frees. */
#include "object/testing.h"
#include "poolmalloc/qsbr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { CELLS = 4, STEPS = PM_SCHEDULE ? 500 : PM_TSAN || PM_ASAN || PM_CHECK ? 10000 : 100000 };

struct stamped {
    struct pm_object object;
    uint64_t stamp;
};

static _Atomic unsigned made, died;

static void die(struct pm_object *object)
{
    require(((struct stamped *)object)->stamp == (uintptr_t)object);
    ((struct stamped *)object)->stamp = 0;
    atomic_fetch_add(&died, 1);
}

static struct pm_type probed_type = {.name = "probed", .size = sizeof(struct stamped), .free = die};

static struct pm_object *_Atomic cells[CELLS];

static struct pm_object *make(void)
{
    struct stamped *stamped = (struct stamped *)pm_object_new(&probed_type);
    require(stamped != NULL);
    stamped->stamp = (uintptr_t)stamped;
    pm_object_set_probed(&stamped->object);
    atomic_fetch_add(&made, 1);
    return &stamped->object;
}

static void read_and_replace(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;
    for (unsigned i = 0; i < STEPS; i++) {
        struct pm_object *_Atomic *cell = &cells[test_random_below(&seed, CELLS)];
        struct pm_object *object = pm_load_acquire(cell);
        if (test_random_below(&seed, 4) == 0) {
            object = pm_exchange_acq_rel(cell, make());
            if (object != NULL)
                pm_decref(object);
        } else if (object != NULL && pm_try_incref(object)) {
            require(((struct stamped *)object)->stamp == (uintptr_t)object);
            pm_decref(object);
        }
        pm_safepoint();
    }
}

static void objects_that_are_found_without_a_lock_live_or_are_refused(void **state)
{
    (void)state;
    pthread_t threads[4];
    struct test_call calls[4];
    uint64_t seeds[4];
    pm_object_thread_pause();
    for (int i = 0; i < 4; i++) {
        seeds[i] = i + 1;
        calls[i] = (struct test_call){read_and_replace, &seeds[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, test_attached, &calls[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    pm_object_thread_resume();
    for (int i = 0; i < CELLS; i++)
        if (cells[i] != NULL)
            pm_decref(cells[i]);
    assert_true(made > 4);
    assert_int_equal(made, died);
    struct pm_qsbr_stats stats;
    for (int i = 0; i < 3; i++) {
        pm_qsbr_quiescent();
        pm_qsbr_poll();
    }
    pm_qsbr_get_stats(&stats);
    assert_int_equal(stats.items, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_that_are_found_without_a_lock_live_or_are_refused),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
