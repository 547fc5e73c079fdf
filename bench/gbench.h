/* SPDX-License-Identifier: MIT */
/*
 * Google Benchmark for C: register benchmarks that are C functions, run them, report.
 *
 * gbench.cc is the only C++ file; nothing of C++ shows here. A benchmark is registered, then
 * described by the gbench_* setters, before gbench_run(); the setters may be called in any order
 * from one thread. The functions that take a state may be called only by the thread that was
 * given it, while its benchmark function runs.
 *
 *     static void copy(struct gbench_state *state, void *context)
 *     {
 *         while (gbench_keep_running_batch(state, 1000))
 *             for (int i = 0; i < 1000; i++)
 *                 ...;
 *     }
 *     struct gbench *bench = gbench_register("copy", copy, NULL);
 *     gbench_arg(bench, 64);
 *     return gbench_run(&argc, argv);
 */
#ifndef BENCH_GBENCH_H
#define BENCH_GBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gbench;       /* a registered benchmark; lives until the program ends */
struct gbench_state; /* one thread of one run of it */

typedef void gbench_fn(struct gbench_state *state, void *context);
/* Called once per run, however many threads it has. Of the state, only gbench_range() and
 * gbench_thread_count() mean something here. */
typedef void gbench_hook_fn(const struct gbench_state *state);

/* Which clock a benchmark is judged by. */
enum gbench_clock {
    GBENCH_CPU,         /* CPU time of the benchmark's own threads */
    GBENCH_PROCESS_CPU, /* CPU time of the whole process: threads of the allocator count too */
    GBENCH_WALL,        /* elapsed time */
    GBENCH_MANUAL       /* what gbench_set_iteration_time() says */
};

enum gbench_counter_kind {
    GBENCH_VALUE,   /* added up over the threads */
    GBENCH_AVERAGE, /* divided by the number of threads */
    GBENCH_RATE     /* divided by the time the run took */
};

/* Registration. */
struct gbench *gbench_register(const char *name, gbench_fn *fn, void *context);
void gbench_arg(struct gbench *bench, int64_t value);
/* One run with several arguments: gbench_range(state, 0), (state, 1) ... */
void gbench_args(struct gbench *bench, const int64_t *values, size_t count);
void gbench_threads(struct gbench *bench, int threads);
/* Exactly so many iterations in each thread, instead of as many as fill the minimum time. */
void gbench_iterations(struct gbench *bench, int64_t iterations);
void gbench_clock(struct gbench *bench, enum gbench_clock clock);
/* At most GBENCH_HOOKS_MAX different hooks in one program; one more is a fatal error. */
void gbench_setup(struct gbench *bench, gbench_hook_fn *hook);
void gbench_teardown(struct gbench *bench, gbench_hook_fn *hook);
enum { GBENCH_HOOKS_MAX = 32 };

/* The loop. True: do `iterations` more. The thread's clock runs from the first true to the false;
 * a benchmark must not return before the false, unless it called gbench_skip(). With
 * gbench_iterations(), choose a batch that divides them, or the last batch overshoots. */
bool gbench_keep_running(struct gbench_state *state);
bool gbench_keep_running_batch(struct gbench_state *state, int64_t iterations);
/* Take preparation out of the measured time. They cost a system call each: not for short steps. */
void gbench_pause(struct gbench_state *state);
void gbench_resume(struct gbench_state *state);
void gbench_set_iteration_time(struct gbench_state *state, double seconds);
/* This run failed, and why; the loop ends, and gbench_run() reports the error. */
void gbench_skip(struct gbench_state *state, const char *why);

/* What is running. */
int64_t gbench_range(const struct gbench_state *state, size_t index);
int gbench_thread_index(const struct gbench_state *state);
int gbench_thread_count(const struct gbench_state *state);
/* How many iterations were done, once the loop ended. */
int64_t gbench_iterations_done(const struct gbench_state *state);

/* Results, to be set after the loop. Items and bytes are added up over the threads. */
void gbench_items(struct gbench_state *state, int64_t items);
void gbench_bytes(struct gbench_state *state, int64_t bytes);
void gbench_counter(struct gbench_state *state, const char *name, double value,
                    enum gbench_counter_kind kind);
void gbench_label(struct gbench_state *state, const char *label);

/* A line of the report that holds for the whole program. */
void gbench_context(const char *key, const char *value);
/* Reads Google Benchmark's options (--benchmark_filter=..., --benchmark_format=json ...), runs
 * what they select and writes the report. Returns the exit status: 0, or 1 after an unknown
 * option, when nothing was selected, or when a benchmark called gbench_skip(). */
int gbench_run(int *argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
