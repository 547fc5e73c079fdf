/* SPDX-License-Identifier: MIT */
/*
 * Several threads fork at the same time, while others allocate, and others again end, with
 * allocations in their last destructors. Stands for: a threaded server that starts workers and
 * helpers under load. Source: "fork: every lock, in one order; the handlers registered before
 * another thread can hold a lock", "re-initialising mutexes in the parent strands waiters" (traps).
 *
 * Each child frees what a thread of its parent had made, allocates, starts threads, forks (which
 * takes every lock again, so that one that fork left held shows), and the grandchildren exec. After
 * each fork every thread of the parent must go on: the forking thread waits for it.
 *
 * Beside stress/fork.c, which has one forking thread, one block for each child and no generations.
 * Usage: fork_many [forks of each thread]
 */
#include "life.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    forkers = 3,
    givers = 3,
    generations = 2,
    steps_after_fork = 2,
    child_sets = 3,
    child_threads = 2,
};

/* A thread that is not stopped for good by somebody else's fork. */
struct giver {
    uint64_t number;
    void (*step)(struct giver *giver);
    pthread_t thread;
    struct rng rng;
    _Atomic(struct set *) offered; /* release by the giver, acquire by who takes */
    _Atomic uint64_t steps;        /* relaxed: only seen to grow */
} __attribute__((aligned(64)));

static struct giver everybody[givers + 2];
static unsigned everybody_count;
static atomic_bool stopping;
static const char *program;

static void give_set(struct giver *giver)
{
    struct set *set = set_make(&giver->rng, (unsigned char)giver->number);
    set = atomic_exchange_explicit(&giver->offered, set, memory_order_acq_rel);
    if (set) /* what nobody took comes back */
        set_free(set);
}

/* By now the shared heap for threads without one serves, under its lock. */
static void allocate_at_end(int round, void *argument)
{
    struct giver *giver = argument;
    if (round % 2 == 0)
        give_set(giver);
}

static void *short_life(void *argument)
{
    struct giver *giver = argument;
    at_thread_end(allocate_at_end, giver);
    give_set(giver);
    return NULL;
}

static void give_short_life(struct giver *giver)
{
    join_thread(start_thread(short_life, giver));
}

#if STRESS_STANDARD_NAMES
/* The C library's fork takes the locks of its streams too, after ours. */
static void use_streams(struct giver *giver)
{
    (void)giver;
    FILE *file = fopen("/dev/null", "w");
    CHECK(file, "no stream");
    fprintf(file, "%f\n", 1.5);
    fclose(file);
}
#endif

static void *go_on(void *argument)
{
    struct giver *giver = argument;
    while (!atomic_load_explicit(&stopping, memory_order_relaxed)) {
        giver->step(giver);
        atomic_fetch_add_explicit(&giver->steps, 1, memory_order_relaxed);
    }
    return NULL;
}

static void *use_heap_in_thread(void *argument)
{
    use_heap(argument, child_sets);
    return NULL;
}

static void start_threads(struct rng *rng)
{
    struct rng rngs[child_threads];
    pthread_t threads[child_threads];
    for (unsigned i = 0; i < child_threads; i++) {
        rngs[i] = rng_make(rng_next(rng), i);
#if STRESS_SANITIZED /* whose own locks a vanished thread may hold; a new thread takes them */
        use_heap_in_thread(&rngs[i]);
        (void)threads;
#else
        threads[i] = start_thread(use_heap_in_thread, &rngs[i]);
    }
    for (unsigned i = 0; i < child_threads; i++) {
        join_thread(threads[i]);
#endif
    }
}

static void live(struct set *inherited, struct rng *rng)
{
    guard_against_hangs();
    if (inherited)
        set_free(inherited);
    use_heap(rng, child_sets);
    start_threads(rng);
}

/* Each generation makes the set that the next inherits, and waits for it. */
static void live_as_child(struct set *inherited, struct rng *rng)
{
    for (unsigned generation = 1; generation < generations; generation++) {
        live(inherited, rng);
        struct set *set = set_make(rng, 0xc1);
        pid_t child = fork();
        CHECK(child >= 0, "fork in a child failed");
        if (child > 0) {
            set_free(set);
            expect_exit(child, 0, "a grandchild");
            exit_child(0);
        }
        inherited = set;
    }
    live(inherited, rng);
    if (rng_one_in(rng, 4)) {
        execl(program, program, "--allocate", (char *)NULL);
        CHECK(false, "exec of %s failed", program);
    }
    exit_child(0);
}

static void wait_until_all_went_on(const uint64_t *steps)
{
    for (unsigned i = 0; i < everybody_count; i++)
        while (atomic_load_explicit(&everybody[i].steps, memory_order_relaxed) <
               steps[i] + steps_after_fork)
            sched_yield();
}

static void fork_once(struct rng *rng)
{
    uint64_t steps[givers + 2];
    struct giver *giver = &everybody[rng_below(rng, givers)];
    struct set *set = atomic_exchange_explicit(&giver->offered, NULL, memory_order_acq_rel);
    pid_t child = fork();
    CHECK(child >= 0, "fork failed");
    if (child == 0)
        live_as_child(set, rng);
    for (unsigned i = 0; i < everybody_count; i++)
        steps[i] = atomic_load_explicit(&everybody[i].steps, memory_order_relaxed);
    if (set)
        set_free(set);
    wait_until_all_went_on(steps);
    expect_exit(child, 0, "a child");
}

struct forker {
    uint64_t number, forks;
    pthread_t thread;
};

static void *fork_often(void *argument)
{
    struct forker *forker = argument;
    struct rng rng = rng_make(21, forker->number);
    for (uint64_t i = 0; i < forker->forks; i++)
        fork_once(&rng);
    return NULL;
}

static void start_giver(void (*step)(struct giver *giver))
{
    struct giver *giver = &everybody[everybody_count];
    giver->number = everybody_count++;
    giver->step = step;
    giver->rng = rng_make(22, giver->number);
    giver->thread = start_thread(go_on, giver);
}

int main(int count, char **arguments)
{
    program = arguments[0];
    guard_against_hangs();
    if (count > 1 && strcmp(arguments[1], "--allocate") == 0) {
        struct rng rng = rng_make(23, (uint64_t)getpid());
        use_heap(&rng, child_sets);
        return 0;
    }
    uint64_t forks = parse_number("the number of forks", count > 1 ? arguments[1] : "20");
    for (unsigned i = 0; i < givers; i++)
        start_giver(give_set);
    start_giver(give_short_life);
#if STRESS_STANDARD_NAMES
    start_giver(use_streams);
#endif
    struct forker all[forkers];
    for (unsigned i = 0; i < forkers; i++) {
        all[i] = (struct forker){.number = i, .forks = forks};
        all[i].thread = start_thread(fork_often, &all[i]);
    }
    for (unsigned i = 0; i < forkers; i++)
        join_thread(all[i].thread);
    atomic_store_explicit(&stopping, true, memory_order_relaxed);
    for (unsigned i = 0; i < everybody_count; i++) {
        join_thread(everybody[i].thread);
        struct set *set = atomic_load_explicit(&everybody[i].offered, memory_order_acquire);
        if (set)
            set_free(set);
    }
    printf("%u threads forked %llu times each\n", forkers, (unsigned long long)forks);
    return 0;
}
