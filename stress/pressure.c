/* SPDX-License-Identifier: MIT */
/*
 * Memory pressure: workers that would hold more than they can get, under a limit of address space
 * that is set before the program starts: it starts itself anew under it. Each request is met, or
 * refused with NULL and ENOMEM; what lives stays whole, also where a realloc was refused, and who
 * is refused frees half of what it holds and goes on. After each round all is freed, and a part of
 * the limit can be had at once. Stands for: programs under `ulimit -v` that handle a NULL. Beside
 * exhaust.c, which fills the memory with blocks of one size at a time and has no model.
 *
 * With --limit-mib 0 there is no limit of its own: then stress/limits.sh starts it in a cgroup,
 * whose limit ends the program by a kill when the allocator holds much more than lives. Usage:
 * pressure [--seed N] [--threads N] [--ops N] [--rounds N] [--limit-mib N] [--live-mib N]
 */
#include "check.h"
#include "names.h"
#include "poolmalloc/poolmalloc.h"
#include "setup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    most_threads = 16,
    largest_bytes = 8 << 20,
    stack_bytes = 256 * 1024,
    part_asked_for = 4,
};

static struct {
    uint64_t seed, threads, ops, rounds, limit_mib, live_mib;
} options = {1, 3, 60000, 3, 60, 256};

static struct shared shared;
static pthread_barrier_t round_begins, round_ends;

/* The allocator has reserved its window before main: so the limit holds for the next program, which
 * is this one. */
static void start_anew_under_limit(char **arguments)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0, "getrlimit: errno %d", errno);
    if (limit.rlim_cur == options.limit_mib << 20)
        return;
    limit.rlim_cur = options.limit_mib << 20;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit to %llu MiB: errno %d",
          (unsigned long long)options.limit_mib, errno);
    execv("/proc/self/exe", arguments);
    CHECK(false, "exec of /proc/self/exe: errno %d", errno);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    uint64_t steps = options.ops / options.threads / options.rounds + 1;
    for (uint64_t round = 0; round < options.rounds; round++) {
        pthread_barrier_wait(&round_begins);
        worker_begin(worker, options.seed, round);
        for (uint64_t step = 0; step < steps; step++)
            worker_step(worker);
        worker_end(worker);
        worker_release(worker, worker->block_count);
        pm_thread_idle(); /* else its current pools stay its own while it waits */
        pthread_barrier_wait(&round_ends);
    }
    return NULL;
}

/* Everything is free: a part of the limit must be there, in blocks of each kind. The blocks form a
 * list through their first words. */
static void check_recovery(uint64_t round)
{
    static const size_t sizes[] = {64, 3000, 100000, 6 << 20};
    size_t wanted = (options.limit_mib << 20) / part_asked_for;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *list = NULL;
        size_t got = 0;
        for (; got + sizes[i] <= wanted; got += sizes[i]) {
            void **block = api_malloc(sizes[i]);
            CHECK(block, "round %llu: only %zu of %zu bytes in blocks of %zu after all was freed",
                  (unsigned long long)round, got, wanted, sizes[i]);
            *block = list;
            list = block;
        }
        while (list) {
            void *next = *(void **)list;
            api_free(list);
            list = next;
        }
        pm_purge();
    }
}

static void run(void)
{
    for (uint64_t round = 0; round < options.rounds; round++) {
        pthread_barrier_wait(&round_begins);
        pthread_barrier_wait(&round_ends);
        for (size_t i = 0; i < shared.worker_count; i++)
            worker_drain(&shared.workers[i], &shared.workers[i]);
        shadow_check_empty();
        pm_purge();
        if (options.limit_mib > 0)
            check_recovery(round);
    }
}

static void start_threads(pthread_t *threads)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    for (size_t i = 0; i < options.threads; i++) {
        int code = pthread_create(&threads[i], &attributes, work, &shared.workers[i]);
        CHECK(code == 0, "pthread_create returned %d", code);
    }
    pthread_attr_destroy(&attributes);
}

int main(int count, char **arguments)
{
    const struct option known[] = {
        {"seed", &options.seed, 0, UINT64_MAX, NULL},
        {"threads", &options.threads, 1, most_threads, NULL},
        {"ops", &options.ops, 0, UINT64_MAX, NULL},
        {"rounds", &options.rounds, 1, 1000, NULL},
        {"limit-mib", &options.limit_mib, 0, 1 << 16, NULL},
        {"live-mib", &options.live_mib, 1, 1 << 16, NULL},
        {NULL, NULL, 0, 0, NULL},
    };
    setup_options("pressure", known, count, arguments);
    if (options.limit_mib > 0)
        start_anew_under_limit(arguments);
    shared = (struct shared){.worker_count = options.threads,
                             .transfer = transfer_varying,
                             .may_fail = options.limit_mib > 0,
                             .live_limit_bytes = options.live_mib << 20,
                             .largest_bytes = largest_bytes};
    setup_workers(&shared, options.seed);
    pthread_barrier_init(&round_begins, NULL, (unsigned)options.threads + 1);
    pthread_barrier_init(&round_ends, NULL, (unsigned)options.threads + 1);
    pthread_t threads[most_threads];
    start_threads(threads);
    run();
    for (size_t i = 0; i < options.threads; i++)
        setup_join(threads[i]);
    uint64_t refused = atomic_load(&shared.failures);
    printf("%llu requests were refused\n", (unsigned long long)refused);
    CHECK(options.limit_mib == 0 || options.live_mib <= options.limit_mib || refused > 0,
          "nothing was refused: there was no pressure");
    setup_finish("pressure", &shared);
    return 0;
}
