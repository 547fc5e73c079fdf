/* SPDX-License-Identifier: MIT */
/*
 * Tests of the C interface to Google Benchmark. All benchmarks run once, with the report going to
 * a JSON file; each test then looks at what was recorded while they ran, or into the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gbench.h"

enum { THREADS = 4, ITERATIONS = 1000, BATCH = 50, MANUAL_SECONDS = 3 };

static struct {
    int64_t single_iterations, batch_iterations, batch_calls, reported_iterations;
    int64_t argument, first, second;
    atomic_int threads_seen[THREADS];
    atomic_int thread_count, iterations_of_all;
    int setups, teardowns, other_setups, running_at_setup, running_at_teardown;
    int64_t setup_argument, setup_threads;
    int iterations_after_skip;
    void *context;
} seen;

static char report[1 << 16];
static int status;

static void one_by_one(struct gbench_state *state, void *context)
{
    seen.context = context;
    while (gbench_keep_running(state))
        seen.single_iterations++;
    gbench_items(state, 7 * ITERATIONS);
    gbench_bytes(state, 9 * ITERATIONS);
    gbench_label(state, "a label");
}

static void in_batches(struct gbench_state *state, void *context)
{
    (void)context;
    while (gbench_keep_running_batch(state, BATCH)) {
        seen.batch_calls++;
        for (int i = 0; i < BATCH; i++)
            seen.batch_iterations++;
    }
    seen.reported_iterations = gbench_iterations_done(state);
}

static void with_arguments(struct gbench_state *state, void *context)
{
    (void)context;
    while (gbench_keep_running(state))
        ;
    seen.first = gbench_range(state, 0);
    seen.second = gbench_range(state, 1);
}

static void in_threads(struct gbench_state *state, void *context)
{
    (void)context;
    while (gbench_keep_running(state))
        atomic_fetch_add(&seen.iterations_of_all, 1);
    atomic_fetch_add(&seen.threads_seen[gbench_thread_index(state)], 1);
    atomic_store(&seen.thread_count, gbench_thread_count(state));
    gbench_counter(state, "added", 2, GBENCH_VALUE);
    gbench_counter(state, "averaged", 2, GBENCH_AVERAGE);
}

static void hooked(struct gbench_state *state, void *context)
{
    (void)context;
    while (gbench_keep_running(state))
        seen.running_at_teardown++;
    seen.argument = gbench_range(state, 0);
}

static void setup(const struct gbench_state *state)
{
    seen.setups++;
    seen.running_at_setup = seen.running_at_teardown;
    seen.setup_argument = gbench_range(state, 0);
    seen.setup_threads = gbench_thread_count(state);
}

static void teardown(const struct gbench_state *state)
{
    (void)state;
    seen.teardowns++;
}

static void other_setup(const struct gbench_state *state)
{
    (void)state;
    seen.other_setups++;
}

static void skipped(struct gbench_state *state, void *context)
{
    (void)context;
    gbench_skip(state, "not on this machine");
    while (gbench_keep_running(state))
        seen.iterations_after_skip++;
}

static void timed_by_hand(struct gbench_state *state, void *context)
{
    (void)context;
    while (gbench_keep_running(state))
        gbench_set_iteration_time(state, MANUAL_SECONDS);
    gbench_counter(state, "rate", 6, GBENCH_RATE);
}

/* Pauses for all but a moment: what is paused must not be in the time. */
static void paused(struct gbench_state *state, void *context)
{
    (void)context;
    while (gbench_keep_running(state)) {
        gbench_pause(state);
        nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL);
        gbench_resume(state);
    }
}

static struct gbench *enter(const char *name, gbench_fn *fn, int64_t iterations)
{
    struct gbench *bench = gbench_register(name, fn, &seen);
    gbench_iterations(bench, iterations);
    return bench;
}

static void enter_all(void)
{
    enter("single", one_by_one, ITERATIONS);
    enter("batch", in_batches, ITERATIONS);
    gbench_args(enter("arguments", with_arguments, 1), (const int64_t[]){11, 22}, 2);
    gbench_threads(enter("threads", in_threads, ITERATIONS), THREADS);
    struct gbench *bench = enter("hooked", hooked, 1);
    gbench_arg(bench, 33);
    gbench_setup(bench, setup);
    gbench_teardown(bench, teardown);
    bench = enter("other_hooked", hooked, 1);
    gbench_arg(bench, 44);
    gbench_setup(bench, other_setup);
    gbench_clock(enter("skipped", skipped, 1), GBENCH_CPU);
    gbench_clock(enter("manual", timed_by_hand, 1), GBENCH_MANUAL);
    gbench_clock(enter("paused", paused, 1), GBENCH_WALL);
    gbench_clock(enter("process", with_arguments, 1), GBENCH_PROCESS_CPU);
    gbench_context("answer", "forty-two");
}

static int run_all(void **unused)
{
    char path[] = "/tmp/gbench-test-XXXXXX", option[64];
    int file = mkstemp(path);
    (void)unused;
    assert_true(file >= 0);
    snprintf(option, sizeof(option), "--benchmark_out=%s", path);
    char *argv[] = {"gbench_test", option, "--benchmark_filter=-^process", NULL};
    int argc = 3;
    enter_all();
    status = gbench_run(&argc, argv);
    ssize_t length = read(file, report, sizeof(report) - 1);
    close(file);
    unlink(path);
    return length > 0 ? 0 : -1;
}

/* A number of the report: the first `field` after the benchmark's name. */
static double reported(const char *name, const char *field)
{
    char key[64];
    snprintf(key, sizeof(key), "\"name\": \"%s/", name);
    const char *at = strstr(report, key);
    assert_non_null(at);
    snprintf(key, sizeof(key), "\"%s\": ", field);
    at = strstr(at, key);
    assert_non_null(at);
    return strtod(at + strlen(key), NULL);
}

static void fixed_iterations_are_exact(void **unused)
{
    (void)unused;
    assert_int_equal(seen.single_iterations, ITERATIONS);
    assert_ptr_equal(seen.context, &seen);
}

static void a_batch_is_one_call_for_many_iterations(void **unused)
{
    (void)unused;
    assert_int_equal(seen.batch_iterations, ITERATIONS);
    assert_int_equal(seen.batch_calls, ITERATIONS / BATCH);
    assert_int_equal(seen.reported_iterations, ITERATIONS);
}

static void arguments_arrive_in_order(void **unused)
{
    (void)unused;
    assert_int_equal(seen.first, 11);
    assert_int_equal(seen.second, 22);
}

static void each_thread_runs_once_with_its_own_index(void **unused)
{
    (void)unused;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(seen.threads_seen[i], 1);
    assert_int_equal(seen.thread_count, THREADS);
    assert_int_equal(seen.iterations_of_all, THREADS * ITERATIONS);
}

static void counters_add_up_or_average_over_threads(void **unused)
{
    (void)unused;
    assert_true(reported("threads", "added") == 2 * THREADS);
    assert_true(reported("threads", "averaged") == 2);
}

static void hooks_run_once_per_run_around_it(void **unused)
{
    (void)unused;
    assert_int_equal(seen.setups, 1);
    assert_int_equal(seen.teardowns, 1);
    assert_int_equal(seen.other_setups, 1);
    assert_int_equal(seen.running_at_setup, 0);
    assert_int_equal(seen.setup_argument, 33);
    assert_int_equal(seen.setup_threads, 1);
}

static void a_skipped_run_does_nothing_and_fails_the_program(void **unused)
{
    (void)unused;
    assert_int_equal(seen.iterations_after_skip, 0);
    assert_non_null(strstr(report, "\"error_message\": \"not on this machine\""));
    assert_int_equal(status, 1);
}

static void manual_time_is_taken_as_given(void **unused)
{
    (void)unused;
    assert_true(reported("manual", "real_time") == MANUAL_SECONDS * 1e9);
    assert_true(reported("manual", "rate") == 6.0 / MANUAL_SECONDS);
}

static void paused_time_is_not_measured(void **unused)
{
    (void)unused;
    assert_true(reported("paused", "real_time") < 50e6);
}

static void items_bytes_and_label_are_reported(void **unused)
{
    (void)unused;
    double items = reported("single", "items_per_second");
    double bytes = reported("single", "bytes_per_second");
    assert_true(items > 0);
    assert_true(bytes / items > 9.0 / 7 - 1e-6 && bytes / items < 9.0 / 7 + 1e-6);
    assert_non_null(strstr(report, "\"label\": \"a label\""));
}

static void context_is_reported(void **unused)
{
    (void)unused;
    assert_non_null(strstr(report, "\"answer\": \"forty-two\""));
}

static void what_the_filter_excludes_is_not_run(void **unused)
{
    (void)unused;
    assert_null(strstr(report, "\"process"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_iterations_are_exact),
        cmocka_unit_test(a_batch_is_one_call_for_many_iterations),
        cmocka_unit_test(arguments_arrive_in_order),
        cmocka_unit_test(each_thread_runs_once_with_its_own_index),
        cmocka_unit_test(counters_add_up_or_average_over_threads),
        cmocka_unit_test(hooks_run_once_per_run_around_it),
        cmocka_unit_test(a_skipped_run_does_nothing_and_fails_the_program),
        cmocka_unit_test(manual_time_is_taken_as_given),
        cmocka_unit_test(paused_time_is_not_measured),
        cmocka_unit_test(items_bytes_and_label_are_reported),
        cmocka_unit_test(context_is_reported),
        cmocka_unit_test(what_the_filter_excludes_is_not_run),
    };
    return cmocka_run_group_tests(tests, run_all, NULL);
}
