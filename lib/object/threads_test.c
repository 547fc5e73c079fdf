/* SPDX-License-Identifier: MIT */
/*
 * Two to eight threads take, drop, replace and probe the objects of a few cells, pause, reach
 * safepoints and are followed by others; each object dies once, and in the end all have died. For
 * ThreadSanitizer above all: the program's own locks order as little as they can, the cells' only
 * what taking a reference needs.
 */
#include "object/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum {
    CELLS = 4,
    HELD = 6,
    LIVES = 3, /* threads one after another, each in the place of the one before */
    STEPS = PM_SCHEDULE           ? 400
            : PM_TSAN             ? 2000
            : PM_ASAN || PM_CHECK ? 20000
                                  : 100000,
};

/* `stamp` is written by the maker and read by whoever frees: a count that does not order the two is
 * a race that ThreadSanitizer sees. */
struct stamped {
    struct pm_object object;
    struct pm_object *child;
    uint64_t stamp, uses;
};

static _Atomic unsigned made, died;

static void drop_child(struct pm_object *object)
{
    struct pm_object *child = ((struct stamped *)object)->child;
    ((struct stamped *)object)->child = NULL;
    if (child != NULL)
        pm_decref(child);
}

static void die(struct pm_object *object)
{
    struct stamped *stamped = (struct stamped *)object;
    require(stamped->stamp == (uintptr_t)object);
    stamped->stamp = 0;
    atomic_fetch_add_explicit(&died, 1, memory_order_relaxed);
}

static struct pm_type stamped_type = {
    .name = "stamped",
    .size = sizeof(struct stamped),
    .clear = drop_child,
    .free = die,
};

static struct pm_object *make(void)
{
    struct pm_object *object = pm_object_new(&stamped_type);
    require(object != NULL);
    ((struct stamped *)object)->stamp = (uintptr_t)object;
    atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    return object;
}

static struct test_cell cells[CELLS];

static struct pm_object *take_from(struct test_cell *cell)
{
    pthread_mutex_lock(&cell->lock);
    struct pm_object *object = cell->object;
    if (object != NULL)
        pm_incref(object);
    pthread_mutex_unlock(&cell->lock);
    return object;
}

static void drop(struct pm_object *object)
{
    if (object == NULL)
        return;
    require(((struct stamped *)object)->stamp == (uintptr_t)object);
    pm_decref(object);
}

struct worker {
    uint64_t seed;
    struct pm_object *held[HELD];
};

static void step(struct worker *worker)
{
    struct test_cell *cell = &cells[test_random_below(&worker->seed, CELLS)];
    struct pm_object **held = &worker->held[test_random_below(&worker->seed, HELD)], *object;
    switch (test_random_below(&worker->seed, 8)) {
    case 0:
        drop(*held);
        *held = make();
        break;
    case 1: /* a new one that holds an old one */
        object = make();
        ((struct stamped *)object)->child = take_from(cell);
        drop(test_exchange(cell, object));
        break;
    case 2:
    case 3:
        drop(*held);
        *held = take_from(cell);
        break;
    case 4:
        *held = test_exchange(cell, *held);
        break;
    case 5:
        if (*held != NULL) {
            for (int i = 0; i < 5; i++)
                pm_incref(*held);
            for (int i = 0; i < 5; i++)
                drop(*held);
        }
        break;
    case 6:
        pm_safepoint();
        break;
    default:
        drop(*held);
        *held = NULL;
    }
}

static void work(void *arg)
{
    struct worker worker = {.seed = *(uint64_t *)arg};
    for (unsigned i = 1; i <= STEPS; i++) {
        step(&worker);
        if (i % 64 == 0) {
            pm_object_thread_pause();
            sched_yield();
            pm_object_thread_resume();
        }
    }
    for (int i = 0; i < HELD; i++)
        drop(worker.held[i]);
}

static void *live_several_times(void *arg)
{
    for (unsigned life = 0; life < LIVES; life++) {
        struct test_call call = {work, arg};
        test_attached(&call);
        ++*(uint64_t *)arg;
    }
    return NULL;
}

static void run_threads(unsigned count)
{
    pthread_t threads[8];
    uint64_t seeds[8];
    unsigned before = made;
    for (unsigned i = 0; i < count; i++) {
        seeds[i] = count * 1000 + i * 100;
        require(pthread_create(&threads[i], NULL, live_several_times, &seeds[i]) == 0);
    }
    for (unsigned i = 0; i < count; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require(pm_object_thread_attach());
    for (unsigned i = 0; i < CELLS; i++)
        drop(test_exchange(&cells[i], NULL));
    pm_object_thread_detach();
    require(made > before && made == died);
}

static void each_object_dies_once_among_two_to_eight_threads(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CELLS; i++)
        pthread_mutex_init(&cells[i].lock, NULL);
    for (unsigned count = 2; count <= 8; count *= 2)
        run_threads(count);
}

/* The same with queues that are full at once, so that threads wait for each other. */
static void so_it_does_when_queues_are_full(void **state)
{
    (void)state;
    size_t bound = pm_queue_bytes_max;
    pm_queue_bytes_max = 2 * sizeof(struct stamped);
    run_threads(4);
    pm_queue_bytes_max = bound;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_object_dies_once_among_two_to_eight_threads),
        cmocka_unit_test(so_it_does_when_queues_are_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
