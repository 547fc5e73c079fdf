/* SPDX-License-Identifier: MIT */
/*
 * Multi-threaded stress of the whole allocator against the shadow model (shadow.h).
 *
 * Stands for: servers whose threads allocate for themselves (same), hand work to the next stage of
 * a pipeline (cross) or to whoever is free (all-to-all), and replace their threads (churn); mixed
 * changes between these as it goes. Source: the cases of section 4 of the design (pools owned,
 * floating, adopted, retired) need just these flows of blocks.
 *
 * Every thread's sequence of calls follows from the seed; a run is bounded by calls, not by time.
 * Usage: stress [--seed N] [--threads N] [--ops N] [--mode M] [--live-mib N] [--largest-kib N]
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "worker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ThreadSanitizer takes a thread for ended before its last round of destructors, in which a heap
 * that was made in the one before would end. */
#if defined(__SANITIZE_THREAD__)
enum { exit_rounds_max = 2 };
#else
enum { exit_rounds_max = 3 };
#endif

struct options {
    uint64_t seed;
    size_t threads;
    uint64_t ops;
    const char *mode;
    size_t live_mib;
    size_t largest_kib;
};

struct mode {
    const char *name;
    enum transfer transfer;
    uint64_t lives; /* threads that follow each other in one place */
};

static const struct mode modes[] = {
    {"same", transfer_none, 1},   {"cross", transfer_next, 1},     {"all-to-all", transfer_any, 1},
    {"churn", transfer_any, 100}, {"mixed", transfer_varying, 10},
};

struct life {
    struct worker *worker;
    pthread_t thread;
    uint64_t seed;
    uint64_t number;
    uint64_t steps;
};

static pthread_key_t exit_key;

/* Runs as the thread exits, after or before the allocator's own destructor: half of what is left
 * goes, the key is set once more, and in the next round the rest goes. Allocating here is allowed.
 */
static void free_at_exit(void *argument)
{
    struct worker *worker = argument;
    worker_make_and_free(worker);
    if (worker->exit_rounds-- > 0) {
        worker_release(worker, worker->block_count / 2);
        pthread_setspecific(exit_key, worker);
        return;
    }
    worker_release(worker, worker->block_count);
}

static void *live(void *argument)
{
    struct life *life = argument;
    struct worker *worker = life->worker;
    pthread_setspecific(exit_key, worker);
    worker_begin(worker, life->seed, life->number);
    for (uint64_t step = 0; step < life->steps; step++)
        worker_step(worker);
    worker->exit_rounds = (int)(life->number % exit_rounds_max);
    /* three ways to leave: blocks outlive the thread, are freed before its end, or by destructors
     */
    if (life->number % 2)
        worker_bequeath(worker);
    else if (worker->exit_rounds == 0)
        worker_release(worker, worker->block_count);
    return NULL;
}

static void start(struct life *life)
{
    int code = pthread_create(&life->thread, NULL, live, life);
    CHECK(code == 0, "pthread_create returned %d", code);
}

static void join(struct life *life)
{
    int code = pthread_join(life->thread, NULL);
    CHECK(code == 0, "pthread_join returned %d", code);
}

static void run(const struct options *options, const struct mode *mode, struct shared *shared)
{
    struct life *lives = system_pages(options->threads * sizeof *lives);
    uint64_t steps = options->ops / options->threads / mode->lives + 1;
    for (uint64_t number = 0; number < mode->lives; number++) {
        for (size_t i = 0; i < options->threads; i++) {
            if (number > 0)
                join(&lives[i]);
            lives[i] = (struct life){.worker = &shared->workers[i],
                                     .seed = options->seed,
                                     .number = number,
                                     .steps = steps};
            start(&lives[i]);
        }
    }
    for (size_t i = 0; i < options->threads; i++)
        join(&lives[i]);
    system_pages_free(lives, options->threads * sizeof *lives);
}

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    fprintf(stderr, "stress: no mode \"%s\": same, cross, all-to-all, churn or mixed\n", name);
    exit(2);
}

static void parse_option(struct options *options, const char *name, const char *value)
{
    if (strcmp(name, "--seed") == 0)
        options->seed = parse_number(name, value);
    else if (strcmp(name, "--threads") == 0)
        options->threads = parse_number(name, value);
    else if (strcmp(name, "--ops") == 0)
        options->ops = parse_number(name, value);
    else if (strcmp(name, "--live-mib") == 0)
        options->live_mib = parse_number(name, value);
    else if (strcmp(name, "--largest-kib") == 0)
        options->largest_kib = parse_number(name, value);
    else if (strcmp(name, "--mode") == 0 && value)
        options->mode = value;
    else {
        fprintf(stderr, "stress: unknown option %s\n", name);
        exit(2);
    }
}

static struct options parse(int count, char **arguments)
{
    struct options options = {.seed = 1,
                              .threads = 4,
                              .ops = 200000,
                              .mode = "mixed",
                              .live_mib = 64,
                              .largest_kib = 8192};
    for (int i = 1; i < count; i += 2)
        parse_option(&options, arguments[i], i + 1 < count ? arguments[i + 1] : NULL);
    if (options.threads == 0 || options.largest_kib < 1024) {
        fprintf(stderr, "stress: at least 1 thread and 1024 KiB as the largest block\n");
        exit(2);
    }
    return options;
}

static void finish(struct shared *shared)
{
    for (size_t i = 0; i < shared->worker_count; i++)
        worker_drain(&shared->workers[i]);
    size_t pages = shadow_check_empty();
#if !STRESS_STANDARD_NAMES
    CHECK(pm_check(), "the allocator's own structures are broken");
#endif
    size_t left = atomic_load(&shared->live_bytes);
    CHECK(left == 0, "%zu bytes are counted as live after the last free", left);
    printf("stress: all blocks freed and found whole; %zu pages used, %zu KiB resident\n", pages,
           resident_bytes() / 1024);
}

int main(int count, char **arguments)
{
    static char replay[256];
    struct options options = parse(count, arguments);
    const struct mode *mode = find_mode(options.mode);
    snprintf(
        replay, sizeof replay,
        "stress --seed %llu --threads %zu --ops %llu --mode %s --live-mib %zu --largest-kib %zu",
        (unsigned long long)options.seed, options.threads, (unsigned long long)options.ops,
        mode->name, options.live_mib, options.largest_kib);
    printf("%s\n", replay);
    fflush(stdout);
    check_set_context(replay);
    shadow_start(options.seed);
    int code = pthread_key_create(&exit_key, free_at_exit);
    CHECK(code == 0, "pthread_key_create returned %d", code);

    struct shared shared = {.worker_count = options.threads,
                            .transfer = mode->transfer,
                            .live_limit_bytes = options.live_mib << 20,
                            .largest_bytes = options.largest_kib << 10};
    size_t bytes = options.threads * sizeof *shared.workers;
    shared.workers = system_pages(bytes);
    for (size_t i = 0; i < options.threads; i++) {
        shared.workers[i].shared = &shared;
        shared.workers[i].index = i;
    }
    run(&options, mode, &shared);
    finish(&shared);
    system_pages_free(shared.workers, bytes);
    return 0;
}
