/* SPDX-License-Identifier: MIT */
/*
 * Everything at once: threads that hand rings of objects to each other, collect, pause, detach,
 * fork, look at all objects, and end within collections, while signals come. In the end every
 * object has died. What happens is chosen at random, from seeds that are always the same; who comes
 * first is not.
 */
#include "object/gc_testing.h"
#include "poolmalloc/deferred.h"
#include "poolmalloc/weak.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>

enum {
    THREADS = 4,
    CELLS = 8,
    STEPS = PM_SCHEDULE                      ? 60
            : PM_TSAN || PM_ASAN || PM_CHECK ? 200
                                             : 1500,
    FORK_EVERY = PM_TSAN || PM_ASAN || PM_SCHEDULE ? 50 : 400,
};

static struct test_cell cells[CELLS];

/* Of a thread, and of those that go on when it has ended. */
struct worker {
    uint64_t seed;
    unsigned steps;
    bool may_end; /* it has no reference, and nothing else begun */
};

static __thread struct worker *self;
static _Atomic unsigned made, died, running;
static pthread_mutex_t garbage_lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned below(unsigned bound)
{
    return (unsigned)test_random_below(&self->seed, bound);
}

static void drop(struct pm_object *object)
{
    if (object != NULL)
        pm_decref(object);
}

/* ---- objects ---- */

static void count_death(struct pm_object *object)
{
    (void)object;
    atomic_fetch_add_explicit(&died, 1, memory_order_relaxed);
}

/* By the collector itself, and not within an object's death, where that object would be lost. */
static void end_perhaps(struct pm_object *object)
{
    (void)object;
    if (self != NULL && self->may_end && pm_gc_is_in_collection() && pm_object_thread.depth == 0 &&
        below(20) == 0)
        pthread_exit(NULL);
}

static struct pm_type types[] = {
    NODE_TYPE("plain", sizeof(struct node), node_clear, NULL, count_death),
    NODE_TYPE("final", sizeof(struct node), node_clear, end_perhaps, count_death),
    NODE_TYPE("large", NODE_LARGE, node_clear, NULL, count_death),
    NODE_TYPE("large final", NODE_LARGE, node_clear, end_perhaps, count_death),
};

static void called(struct pm_object *weakref, struct pm_object *arg)
{
    (void)arg;
    require(pm_weakref_get(weakref) == NULL);
    end_perhaps(NULL);
}

/* ---- what a step does besides ---- */

static void collect(void)
{
    self->may_end = true;
    pm_gc_collect(below(PM_GC_GENERATIONS), NULL);
    self->may_end = false;
}

static void pause_and_yield(void)
{
    pm_object_thread_pause();
    sched_yield();
    pm_object_thread_resume();
}

static void detach_and_attach(void)
{
    pm_object_thread_detach();
    require(pm_object_thread_attach());
}

/* The child has this thread alone, which collects what the others have left. */
static void fork_and_wait(void)
{
    int status;
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        self = NULL;
        require(pm_gc_collect(2, NULL) || errno == EBUSY); /* from a finalizer of a collection */
        _exit(0);
    }
    pm_object_thread_pause();
    while (waitpid(child, &status, 0) != child)
        require(errno == EINTR);
    pm_object_thread_resume();
    require(status == 0);
}

static void look_at_some(void)
{
    enum { ROOM = 8 };
    struct pm_object *found[ROOM];
    size_t count = pm_gc_get_objects(-1, found, ROOM);
    for (size_t i = 0; i < count && i < ROOM; i++)
        pm_decref(found[i]);
}

/* Garbage is nobody else's, but for others that do this. */
static void drop_garbage(void)
{
    enum { ROOM = 3000 };
    static struct pm_object *found[ROOM]; /* under the lock */
    if (pthread_mutex_trylock(&garbage_lock) != 0)
        return;
    size_t count = pm_gc_get_garbage(found, ROOM);
    for (size_t i = 0; i < count && i < ROOM; i++) {
        pm_object_type(found[i])->clear(found[i]); /* a node, or a weak reference */
        pm_decref(found[i]);
    }
    pm_gc_clear_garbage();
    pthread_mutex_unlock(&garbage_lock);
}

static void save_all_once(void)
{
    pm_gc_set_debug(PM_GC_DEBUG_SAVEALL);
    collect();
    pm_gc_set_debug(0);
}

static void besides(unsigned step)
{
    static void (*const all[])(void) = {collect,      pause_and_yield, detach_and_attach,
                                        look_at_some, drop_garbage,    save_all_once};
    if (step % FORK_EVERY == FORK_EVERY - 1)
        fork_and_wait();
    else if (below(12) == 0)
        all[below(sizeof all / sizeof *all)]();
}

/* ---- a step ---- */

static void refer(struct pm_object *object)
{
    struct pm_deferred_frame frame;
    uintptr_t references[1];
    struct pm_object *weakref = pm_weakref_new(object, below(2) == 0 ? called : NULL, NULL);
    require(weakref != NULL);
    if (below(2) == 0) {
        struct pm_object *old = ((struct node *)object)->refs[0];
        ((struct node *)object)->refs[0] = weakref;
        drop(old);
    } else {
        pm_decref(weakref);
    }
    require(pm_object_set_deferred(object));
    pm_deferred_enter(&frame, references, 1);
    pm_deferred_set(&frame, 0, object);
    pause_and_yield();
    pm_deferred_leave(&frame);
}

/* What it takes out of a cell it alone has: it changes it, and puts a ring of it back. */
static void change_a_cell(void)
{
    struct pm_object *object = pm_object_new(&types[below(sizeof types / sizeof *types)]);
    require(object != NULL);
    atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
    struct test_cell *cell = &cells[below(CELLS)];
    struct pm_object *old = test_exchange(cell, NULL);
    if (old != NULL) {
        node_set(object, 1, old);
        node_set(old, 1 + below(NODE_REFS - 1), object);
        pm_decref(old);
    }
    if (below(40) == 0)
        refer(object);
    drop(test_exchange(cell, below(3) == 0 ? NULL : (pm_incref(object), object)));
    pm_decref(object);
}

static void *work(void *worker)
{
    self = worker;
    self->may_end = false;
    require(pm_object_thread_attach());
    while (self->steps > 0) {
        unsigned step = --self->steps;
        change_a_cell();
        besides(step);
        pm_safepoint();
    }
    pm_object_thread_detach();
    return NULL;
}

/* Another thread goes on where one has ended. */
static void *work_until_done(void *arg)
{
    struct worker *worker = arg;
    pthread_t thread;
    while (worker->steps > 0) {
        require(pthread_create(&thread, NULL, work, worker) == 0);
        require(pthread_join(thread, NULL) == 0);
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void ignore(int number)
{
    (void)number;
}

static void send_signals(void)
{
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    while (atomic_load(&running) > 0) {
        const struct timespec nap = {0, 500000};
        kill(getpid(), SIGUSR1); /* which this thread has blocked */
        nanosleep(&nap, NULL);
    }
}

static void storm(uint64_t seed)
{
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    sigset_t usr1;
    atomic_store(&running, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){seed * 100 + i, STEPS, false};
        require(pthread_create(&threads[i], NULL, work_until_done, &workers[i]) == 0);
    }
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    require(pthread_sigmask(SIG_BLOCK, &usr1, NULL) == 0);
    send_signals();
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL) == 0);
}

static void drop_all(void)
{
    pm_gc_set_debug(0); /* the last one who set it may have ended */
    for (unsigned i = 0; i < CELLS; i++)
        drop(test_exchange(&cells[i], NULL));
    drop_garbage();
    while (node_collect() > 0)
        continue;
    assert_int_equal(died, made);
}

static void in_each_place(uint64_t seed)
{
    for (int place = IN_POOLS; place <= WITHOUT_TABLES; place += WITHOUT_TABLES - IN_POOLS) {
        test_gc_choose(place);
        pm_object_thread_pause();
        storm(seed + (uint64_t)place);
        pm_object_thread_resume();
        drop_all();
    }
}

static void every_object_dies_in_the_end(void **state)
{
    (void)state;
    pm_gc_set_mode(PM_GC_GENERATIONAL);
    pm_gc_set_thresholds((const unsigned[]){60, 3, 3});
    in_each_place(1);
}

static void also_if_all_is_collected_each_time(void **state)
{
    (void)state;
    pm_gc_set_mode(PM_GC_WHOLE);
    pm_gc_set_thresholds((const unsigned[]){200, 0, 0});
    in_each_place(100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_object_dies_in_the_end),
        cmocka_unit_test(also_if_all_is_collected_each_time),
    };
    const struct sigaction action = {.sa_handler = ignore};
    require(sigaction(SIGUSR1, &action, NULL) == 0);
    for (unsigned i = 0; i < CELLS; i++)
        pthread_mutex_init(&cells[i].lock, NULL);
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
