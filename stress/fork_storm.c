/* SPDX-License-Identifier: MIT */
/*
 * Fork storm: several threads fork, again and again, while these and others allocate and hand
 * blocks to each other. Stands for: threaded servers that fork workers, helpers and snapshots under
 * load. Source: "fork: every lock, in one order" (traps), and docs/life.md, what the child loses.
 *
 * A child inherits the shadow model with the heap: it checks and frees the blocks that lay in
 * mailboxes, goes on with the calls of the thread that forked, beside blocks of vanished threads
 * that the model still takes for live, and forks again; so does its child. Beside fork.c and
 * life/fork_many.c, which have no model of what lives.
 *
 * A child that hangs is ended by alarm(2) and so fails the program.
 * Usage: fork_storm [--seed N] [--threads N] [--forkers N] [--forks N] [--live-mib N]
 */
#include "check.h"
#include "poolmalloc/poolmalloc.h"
#include "setup.h"

#include <sys/wait.h>
#include <unistd.h>

enum {
    generations = 2,
    child_steps = 300,
    steps_between_forks = 300,
    child_seconds = 120,
    largest_bytes = 4 << 20,
};

static struct {
    uint64_t seed, threads, forkers, forks, live_mib;
} options = {1, 3, 3, 20, 16};

static struct shared shared;
static atomic_bool stopping; /* relaxed: those that only allocate need not stop at once */

static void take_steps(struct worker *worker, unsigned count)
{
    while (count--)
        worker_step(worker);
}

static void fork_and_wait(struct worker *worker, unsigned generation);

/* Nobody else is there any more, so that what lies in the mailboxes is this thread's. */
static void live_as_child(struct worker *worker, unsigned generation)
{
    alarm(child_seconds);
    for (size_t i = 0; i < shared.worker_count; i++)
        worker_drain(worker, &shared.workers[i]);
    take_steps(worker, child_steps);
    if (generation < generations)
        fork_and_wait(worker, generation + 1);
    worker_release(worker, worker->block_count);
    CHECK(pm_check(), "the structures of a child are damaged");
    exit_child(0);
}

/* The parent goes on while the child lives. */
static void fork_and_wait(struct worker *worker, unsigned generation)
{
    pid_t child = fork();
    CHECK(child >= 0, "fork failed in generation %u", generation);
    if (child == 0)
        live_as_child(worker, generation);
    take_steps(worker, steps_between_forks);
    int status = 0;
    pid_t ended = waitpid(child, &status, 0);
    CHECK(ended == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
          "a child of generation %u ended with status %#x", generation, (unsigned)status);
}

static void *fork_often(void *argument)
{
    struct worker *worker = argument;
    worker_begin(worker, options.seed, 0);
    for (uint64_t i = 0; i < options.forks; i++)
        fork_and_wait(worker, 1);
    worker_end(worker);
    worker_release(worker, worker->block_count);
    return NULL;
}

static void *allocate_all_the_time(void *argument)
{
    struct worker *worker = argument;
    worker_begin(worker, options.seed, 0);
    while (!atomic_load_explicit(&stopping, memory_order_relaxed))
        worker_step(worker);
    worker_end(worker);
    worker_release(worker, worker->block_count);
    return NULL;
}

int main(int count, char **arguments)
{
    const struct option known[] = {
        {"seed", &options.seed, 0, UINT64_MAX, NULL},
        {"threads", &options.threads, 0, 64, NULL},
        {"forkers", &options.forkers, 1, 64, NULL},
        {"forks", &options.forks, 1, 1 << 20, NULL},
        {"live-mib", &options.live_mib, 1, 1 << 10, NULL},
        {NULL, NULL, 0, 0, NULL},
    };
    setup_options("fork_storm", known, count, arguments);
    shared = (struct shared){.worker_count = options.forkers + options.threads,
                             .transfer = transfer_any,
                             .most_hops = 3,
                             .live_limit_bytes = options.live_mib << 20,
                             .largest_bytes = largest_bytes};
    setup_workers(&shared, options.seed);
    pthread_t threads[128];
    for (size_t i = 0; i < shared.worker_count; i++)
        threads[i] = setup_start(i < options.forkers ? fork_often : allocate_all_the_time,
                                 &shared.workers[i]);
    for (size_t i = 0; i < shared.worker_count; i++) {
        if (i == options.forkers)
            atomic_store_explicit(&stopping, true, memory_order_relaxed);
        setup_join(threads[i]);
    }
    setup_finish("fork_storm", &shared);
    return 0;
}
