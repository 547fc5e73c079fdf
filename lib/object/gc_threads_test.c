/* SPDX-License-Identifier: MIT */
/*
 * Collections with other threads: that run, are paused, wait, come to no safepoint, or fork; and a
 * graph that several threads change at random while it is collected, against a model of it.
 */
#include "object/gc_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>

/* ---- a graph that changes ---- */

/*
 * Each thread has nodes of its own, and a model of what they refer to: it reads nobody else's. They
 * are dropped all at once, and made to refer to each other at random; then the model says which of
 * them nothing leads to. Collections come from all threads at any time, so a node must be dead if
 * the thread collects, and must not be if the model reaches it.
 */
enum {
    THREADS = 4,
    NODES = 40,
    STEPS = PM_SCHEDULE                      ? 100
            : PM_TSAN || PM_ASAN || PM_CHECK ? 400
                                             : 4000,
};

struct model {
    struct pm_object *nodes[NODES]; /* as long as they live */
    bool held[NODES];               /* by the thread */
    int refs[NODES][NODE_REFS];     /* -1: none */
    uint64_t seed;
};

/* Says who died: a node's number is where its thread wants that told. */
static void note_death(struct pm_object *object)
{
    _Atomic bool *dead = (_Atomic bool *)((struct node *)object)->number;
    require(!atomic_exchange(dead, true));
}

static struct pm_type told_types[2] = {
    NODE_TYPE("told", sizeof(struct node), node_clear, NULL, note_death),
    NODE_TYPE("large told", NODE_LARGE, node_clear, NULL, note_death),
};

static void reach(const struct model *model, bool *reached, int from)
{
    if (from < 0 || reached[from])
        return;
    reached[from] = true;
    for (int i = 0; i < NODE_REFS; i++)
        reach(model, reached, model->refs[from][i]);
}

static void look_for_the_dead(struct model *model, _Atomic bool *dead, bool all)
{
    bool reached[NODES] = {false};
    for (int i = 0; i < NODES; i++)
        if (model->held[i])
            reach(model, reached, i);
    for (int i = 0; i < NODES; i++) {
        bool is_dead = atomic_load(&dead[i]);
        require(!reached[i] || !is_dead);
        if (all && model->nodes[i] != NULL && !reached[i])
            require(is_dead);
        if (!reached[i]) { /* whenever it dies: nobody can find it */
            model->nodes[i] = NULL;
            for (int j = 0; j < NODE_REFS; j++)
                model->refs[i][j] = -1;
        }
    }
}

static void make(struct model *model, _Atomic bool *dead, int i)
{
    unsigned kind = test_random_below(&model->seed, 8) == 0;
    model->nodes[i] = pm_object_new(&told_types[kind]);
    require(model->nodes[i] != NULL);
    atomic_store(&dead[i], false);
    ((struct node *)model->nodes[i])->number = (uintptr_t)&dead[i];
    model->held[i] = true;
}

/* One that is held, or -1. */
static int pick_held(struct model *model)
{
    int i = (int)test_random_below(&model->seed, NODES);
    return model->held[i] ? i : -1;
}

static void step(struct model *model, _Atomic bool *dead)
{
    int i = (int)test_random_below(&model->seed, NODES), to = pick_held(model);
    unsigned ref = (unsigned)test_random_below(&model->seed, NODE_REFS);
    if (model->nodes[i] == NULL) {
        if (atomic_load(&dead[i])) /* else it waits for a collection */
            make(model, dead, i);
    } else if (!model->held[i]) {
        return; /* only its model is left */
    } else if (test_random_below(&model->seed, 4) == 0) {
        model->held[i] = false;
        pm_decref(model->nodes[i]);
        look_for_the_dead(model, dead, false);
    } else {
        model->refs[i][ref] = to;
        node_set(model->nodes[i], ref, to < 0 ? NULL : model->nodes[to]);
        look_for_the_dead(model, dead, false);
    }
}

static void change_at_random(void *arg)
{
    struct model *model = arg;
    _Atomic bool *dead = pm_malloc(NODES * sizeof *dead);
    for (int i = 0; i < NODES; i++) {
        atomic_init(&dead[i], true);
        for (int j = 0; j < NODE_REFS; j++)
            model->refs[i][j] = -1;
    }
    for (unsigned i = 0; i < STEPS; i++) {
        step(model, dead);
        if (i % 50 == 0) {
            /* Of this thread, so that what is trash is dead then; if another one collects, next
             * time. */
            bool all = pm_gc_collect((unsigned)test_random_below(&model->seed, 3), NULL);
            look_for_the_dead(model, dead, false);
            (void)all;
        }
        pm_safepoint();
    }
    for (int i = 0; i < NODES; i++)
        if (model->held[i])
            pm_decref(model->nodes[i]);
    memset(model->held, 0, sizeof model->held);
    while (!pm_gc_collect(2, NULL)) {
        pm_safepoint();
        sched_yield();
    }
    look_for_the_dead(model, dead, true);
    for (int i = 0; i < NODES; i++)
        require(atomic_load(&dead[i]));
    pm_free(dead);
}

static void run_models(unsigned threads_count, uint64_t seed)
{
    static struct model models[THREADS];
    struct test_call calls[THREADS];
    pthread_t threads[THREADS];
    memset(models, 0, sizeof models);
    for (unsigned i = 0; i < threads_count; i++) {
        models[i].seed = seed * 100 + i;
        calls[i] = (struct test_call){change_at_random, &models[i]};
        require(pthread_create(&threads[i], NULL, test_attached, &calls[i]) == 0);
    }
    for (unsigned i = 0; i < threads_count; i++)
        require(pthread_join(threads[i], NULL) == 0);
}

static void a_graph_that_one_thread_changes_dies_as_its_model_does(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        run_models(1, seed);
}

static void so_do_those_of_several_threads_that_collect_at_once(void **state)
{
    (void)state;
    run_models(2, 4);
    run_models(THREADS, 5);
}

/* ---- objects that several threads refer to ---- */

enum {
    CELLS = 8,
    SHARED_STEPS = PM_SCHEDULE                      ? 200
                   : PM_TSAN || PM_ASAN || PM_CHECK ? 1000
                                                    : 10000
};

static struct test_cell cells[CELLS];

static _Atomic unsigned shared_made, shared_died;

static void note_shared_death(struct pm_object *object)
{
    (void)object;
    atomic_fetch_add_explicit(&shared_died, 1, memory_order_relaxed);
}

static struct pm_type shared_types[2] = {
    NODE_TYPE("shared", sizeof(struct node), node_clear, NULL, note_shared_death),
    NODE_TYPE("shared final", sizeof(struct node), node_clear, node_finalize, note_shared_death),
};

/* What it takes out of a cell it alone has: it changes it, and puts it, or a ring of both, back. */
static void share_at_random(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;
    for (unsigned i = 0; i < SHARED_STEPS; i++) {
        struct pm_object *made = pm_object_new(&shared_types[test_random_below(&seed, 2)]);
        require(made != NULL);
        atomic_fetch_add_explicit(&shared_made, 1, memory_order_relaxed);
        struct test_cell *cell = &cells[test_random_below(&seed, CELLS)];
        struct pm_object *old = test_exchange(cell, NULL);
        if (old != NULL) {
            node_set(made, 0, old);
            node_set(old, (unsigned)test_random_below(&seed, NODE_REFS), made);
            pm_decref(old);
        }
        old =
            test_exchange(cell, test_random_below(&seed, 3) == 0 ? NULL : (pm_incref(made), made));
        if (old != NULL)
            pm_decref(old);
        pm_decref(made);
        if (test_random_below(&seed, 64) == 0)
            pm_gc_collect(0, NULL);
        if (test_random_below(&seed, 32) == 0) {
            pm_object_thread_pause();
            sched_yield();
            pm_object_thread_resume();
        }
        pm_safepoint();
    }
}

static void rings_that_threads_hand_to_each_other_all_die(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    uint64_t seeds[THREADS];
    struct test_call calls[THREADS];
    node_final = NULL;
    for (unsigned i = 0; i < CELLS; i++)
        pthread_mutex_init(&cells[i].lock, NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = 77 + i;
        calls[i] = (struct test_call){share_at_random, &seeds[i]};
        require(pthread_create(&threads[i], NULL, test_attached, &calls[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require(pm_object_thread_attach());
    for (unsigned i = 0; i < CELLS; i++) {
        struct pm_object *old = test_exchange(&cells[i], NULL);
        if (old != NULL)
            pm_decref(old);
    }
    node_collect();
    assert_int_equal(shared_died, shared_made);
    pm_object_thread_detach();
}

/* ---- threads that do not come ---- */

static _Atomic int stage;

static void reach_stage(int wanted)
{
    atomic_store(&stage, wanted);
}

static void await_stage(int wanted)
{
    while (atomic_load(&stage) < wanted)
        sched_yield();
}

static void *stay_paused(void *arg)
{
    require(pm_object_thread_attach());
    pm_object_thread_pause();
    reach_stage(1);
    await_stage(2);
    pm_object_thread_resume();
    pm_object_thread_detach();
    return arg;
}

static void a_paused_thread_holds_nothing_up(void **state)
{
    (void)state;
    pthread_t thread;
    reach_stage(0);
    require(pthread_create(&thread, NULL, stay_paused, NULL) == 0);
    await_stage(1);
    require(pm_object_thread_attach());
    uint64_t warnings = pm_load_relaxed(&pm_object_warnings);
    pm_decref(node_ring(NODE_PLAIN, 3));
    assert_int_equal(node_collect(), 3);
    assert_int_equal(pm_load_relaxed(&pm_object_warnings), warnings);
    pm_object_thread_detach();
    reach_stage(2);
    require(pthread_join(thread, NULL) == 0);
}

/* Comes to a safepoint when somebody was told that it did not. */
static void *come_late(void *arg)
{
    require(pm_object_thread_attach());
    uint64_t warnings = pm_load_relaxed(&pm_object_warnings);
    reach_stage(1);
    while (pm_load_relaxed(&pm_object_warnings) == warnings)
        sched_yield();
    if (arg != NULL) /* and here only when that was it */
        await_stage(2);
    pm_safepoint();
    pm_object_thread_detach();
    return NULL;
}

static void one_that_comes_to_no_safepoint_is_named_and_waited_for(void **state)
{
    (void)state;
    pthread_t thread;
    unsigned patience = pm_world_patience_ms;
    reach_stage(0);
    require(pthread_create(&thread, NULL, come_late, NULL) == 0);
    await_stage(1);
    require(pm_object_thread_attach());
    pm_world_patience_ms = 20;
    uint64_t warnings = pm_load_relaxed(&pm_object_warnings);
    pm_decref(node_ring(NODE_PLAIN, 3));
    assert_int_equal(node_collect(), 3);
    assert_int_equal(pm_load_relaxed(&pm_object_warnings), warnings + 1);
    pm_world_patience_ms = patience;
    pm_object_thread_detach();
    require(pthread_join(thread, NULL) == 0);
}

static void a_collection_by_itself_is_put_off_instead(void **state)
{
    (void)state;
    pthread_t thread;
    struct pm_gc_stats before, after;
    unsigned patience = pm_world_give_up_ms;
    reach_stage(0);
    require(pthread_create(&thread, NULL, come_late, &stage) == 0);
    await_stage(1);
    require(pm_object_thread_attach());
    pm_world_give_up_ms = 20;
    pm_gc_get_stats(&before);
    pm_gc_enable();
    for (unsigned i = 0; i < 1300; i++) /* once at 701, and it would be again at 1403 */
        node_drop_loop(NODE_PLAIN);
    pm_gc_disable();
    pm_gc_get_stats(&after);
    assert_int_equal(after.put_off, before.put_off + 1);
    pm_world_give_up_ms = patience;
    reach_stage(2);
    assert_int_equal(node_collect(), 1300);
    pm_object_thread_detach();
    require(pthread_join(thread, NULL) == 0);
}

/* ---- fork ---- */

static pid_t forked;

static void fork_now(struct pm_object *object)
{
    (void)object;
    if (forked == -1)
        forked = fork();
}

/* In the child the thread that forked has its collection to end. */
ISOLATED(a_finalizer_may_fork)
{
    require(pm_object_thread_attach());
    node_final = fork_now;
    forked = -1;
    pm_decref(node_ring(NODE_FINAL, 5));
    require(node_collect() == 5 && node_deaths == 5);
    pm_decref(node_ring(NODE_PLAIN, 4));
    require(node_collect() == 4);
    if (forked == 0)
        _exit(0);
    int status;
    require(waitpid(forked, &status, 0) == forked && status == 0);
}

static void wait_in_finalizer(struct pm_object *object)
{
    (void)object;
    pm_object_thread_pause();
    reach_stage(1);
    await_stage(2);
    pm_object_thread_resume();
}

static void *collect_slowly(void *arg)
{
    require(pm_object_thread_attach());
    pm_decref(node_ring(NODE_PLAIN, 6));
    node_drop_loop(NODE_FINAL);
    pm_gc_collect(2, NULL);
    pm_object_thread_detach();
    return arg;
}

/* Another thread forks meanwhile: its child collects what that collection had found. */
ISOLATED(a_child_finds_what_a_collection_of_the_parent_had_found)
{
    pthread_t thread;
    node_final = wait_in_finalizer;
    reach_stage(0);
    require(pthread_create(&thread, NULL, collect_slowly, NULL) == 0);
    await_stage(1);
    pid_t child = fork();
    if (child == 0) {
        require(pm_object_thread_attach());
        require(node_deaths == 0);
        require(node_collect() == 7 && node_deaths == 7);
        _exit(0);
    }
    int status;
    require(waitpid(child, &status, 0) == child && status == 0);
    reach_stage(2);
    require(pthread_join(thread, NULL) == 0);
    require(node_deaths == 7);
}

/* ---- without memory ---- */

/* The collector asks for none: it collects when there is none left. */
ISOLATED(a_collection_needs_no_memory)
{
    if (PM_TSAN || PM_ASAN)
        test_skipped("the sanitizers need memory of their own");
    require(pm_object_thread_attach());
    pm_gc_disable();
    for (unsigned i = 0; i < 1000; i++)
        node_drop_loop(NODE_PLAIN);
    struct pm_object *first = node_ring(NODE_PLAIN, 1000);
    node_collect();
    pm_decref(first);
    test_limit(RLIMIT_AS, 1 << 20); /* less than there is already */
    while (pm_malloc(100000) != NULL)
        continue;
    require(node_collect() == 1000);
    require(node_deaths == 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finalizer_may_fork),
        cmocka_unit_test(a_child_finds_what_a_collection_of_the_parent_had_found),
        cmocka_unit_test(a_collection_needs_no_memory),
        cmocka_unit_test(a_graph_that_one_thread_changes_dies_as_its_model_does),
        cmocka_unit_test(so_do_those_of_several_threads_that_collect_at_once),
        cmocka_unit_test(rings_that_threads_hand_to_each_other_all_die),
        cmocka_unit_test(a_paused_thread_holds_nothing_up),
        cmocka_unit_test(one_that_comes_to_no_safepoint_is_named_and_waited_for),
        cmocka_unit_test(a_collection_by_itself_is_put_off_instead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
