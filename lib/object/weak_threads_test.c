/* SPDX-License-Identifier: MIT */
/*
 * Weak references that threads follow, make, share and drop while others drop the last reference
 * of the object: what they get is alive, each callback is called once, and nothing is left.
 */
#include "object/weak_table.h"
#include "object/weak_testing.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum {
    CELLS = 4,
    STEPS = PM_SCHEDULE           ? 300
            : PM_TSAN             ? 1500
            : PM_ASAN || PM_CHECK ? 10000
                                  : 60000,
    THREADS = 4
};

/* An object that says whether it lives. */
struct stamped {
    struct pm_object object;
    uintptr_t stamp; /* its address, until it dies */
};

static _Atomic unsigned made, died, called;

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

/* An object and two weak references to it, which the cell holds; the object may go first. */
static struct cell {
    pthread_mutex_t lock;
    struct pm_object *object, *weakref, *shared;
} cells[CELLS];

static void on_death(struct pm_object *weakref, struct pm_object *arg)
{
    require(pm_weakref_get(weakref) == NULL && arg == NULL);
    atomic_fetch_add_explicit(&called, 1, memory_order_relaxed);
}

static void drop(struct pm_object *object)
{
    if (object != NULL)
        pm_decref(object);
}

static void use(struct pm_object *object)
{
    if (object == NULL)
        return;
    require(((struct stamped *)object)->stamp == (uintptr_t)object);
    pm_decref(object);
}

struct worker {
    uint64_t seed;
    struct pm_object *kept[STEPS]; /* weak references, until all objects are dead */
    unsigned kept_count;
};

/* New ones in the cell. */
static void renew(struct worker *worker, struct cell *cell)
{
    struct pm_object *object = pm_object_new(&stamped_type);
    require(object != NULL);
    ((struct stamped *)object)->stamp = (uintptr_t)object;
    struct cell new = {.object = object,
                       .weakref = pm_weakref_new(object, on_death, NULL),
                       .shared = pm_weakref_new(object, NULL, NULL)};
    require(new.weakref != NULL &&new.shared != NULL);
    atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    pthread_mutex_lock(&cell->lock);
    struct cell old = *cell;
    cell->object = new.object;
    cell->weakref = new.weakref;
    cell->shared = new.shared;
    pthread_mutex_unlock(&cell->lock);
    drop(old.object);
    drop(old.shared);
    if (old.weakref != NULL)
        worker->kept[worker->kept_count++] = old.weakref;
}

/* A reference to the cell's weak reference, which outlives the lock; then the race. */
static void follow(struct cell *cell, bool shared)
{
    pthread_mutex_lock(&cell->lock);
    struct pm_object *weakref = shared ? cell->shared : cell->weakref;
    if (weakref != NULL)
        pm_incref(weakref);
    pthread_mutex_unlock(&cell->lock);
    if (weakref == NULL)
        return;
    for (unsigned i = 0; i < 3; i++)
        use(pm_weakref_get(weakref));
    pm_decref(weakref);
}

/* Another weak reference to the object, from one who got the object by one. */
static void refer(struct cell *cell, bool shared)
{
    pthread_mutex_lock(&cell->lock);
    struct pm_object *object = cell->weakref != NULL ? pm_weakref_get(cell->weakref) : NULL;
    pthread_mutex_unlock(&cell->lock);
    if (object == NULL)
        return;
    struct pm_object *more = pm_weakref_new(object, shared ? NULL : on_death, NULL), *listed[3];
    require(more != NULL);
    size_t count = pm_weakref_list(object, listed, 3);
    for (size_t i = 0; i < count; i++)
        pm_decref(listed[i]);
    struct pm_object *again = pm_weakref_get(more);
    require(again == object);
    if (shared) { /* it may be the last one of either */
        use(again);
        use(object);
        pm_decref(more);
    } else { /* it dies before its object */
        pm_decref(more);
        use(again);
        use(object);
    }
}

static void empty(struct cell *cell)
{
    pthread_mutex_lock(&cell->lock);
    struct pm_object *object = cell->object;
    cell->object = NULL;
    pthread_mutex_unlock(&cell->lock);
    drop(object);
}

static void work(void *arg)
{
    struct worker *worker = arg;
    for (unsigned i = 1; i <= STEPS; i++) {
        struct cell *cell = &cells[test_random_below(&worker->seed, CELLS)];
        switch (test_random_below(&worker->seed, 8)) {
        case 0:
            renew(worker, cell);
            break;
        case 1:
            empty(cell);
            break;
        case 2:
            refer(cell, true);
            break;
        case 3:
            refer(cell, false);
            break;
        case 4:
            pm_safepoint();
            break;
        default:
            follow(cell, i % 2 == 0);
        }
        if (i % 64 == 0) {
            pm_object_thread_pause();
            sched_yield();
            pm_object_thread_resume();
        }
    }
}

static void run_threads(struct worker *workers)
{
    pthread_t threads[THREADS];
    struct test_call calls[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].seed = 77 + i;
        calls[i] = (struct test_call){work, &workers[i]};
        require(pthread_create(&threads[i], NULL, test_attached, &calls[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
}

static void each_callback_is_called_once_and_what_is_found_lives(void **state)
{
    (void)state;
    static struct worker workers[THREADS];
    struct pm_weak_figures figures;
    for (unsigned i = 0; i < CELLS; i++)
        pthread_mutex_init(&cells[i].lock, NULL);
    run_threads(workers);
    require(pm_object_thread_attach());
    for (unsigned i = 0; i < CELLS; i++)
        empty(&cells[i]);
    pm_safepoint(); /* this thread may have a slot whose last one left something */
    assert_true(made > 0);
    assert_int_equal(made, died);
    assert_int_equal(called, made);
    for (unsigned i = 0; i < THREADS; i++)
        while (workers[i].kept_count > 0)
            pm_decref(workers[i].kept[--workers[i].kept_count]);
    for (unsigned i = 0; i < CELLS; i++) {
        drop(cells[i].weakref);
        drop(cells[i].shared);
    }
    pm_object_thread_detach();
    assert_int_equal(called, made);
    assert_true(pm_weak_check(&figures));
    assert_int_equal(figures.objects, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_callback_is_called_once_and_what_is_found_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
