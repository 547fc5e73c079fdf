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

#include "gbench.h"
#include "testing/gbench_report.h"

enum { THREADS = 4, ITERATIONS = 1000, BATCH = 50 };

static struct {
    int64_t single_iterations, batch_iterations, batch_calls, reported_iterations;
    int64_t argument, first, second;
    atomic_int threads_seen[THREADS];
    atomic_int thread_count, iterations_of_all;
    int setups, teardowns, other_setups, hooked_runs, runs_at_setup, runs_at_teardown;
    int64_t setup_argument, setup_threads;
    atomic_int runs_of[3][3]; /* of argument and thread count, each 1 or 2 */
    int iterations_before_skip, iterations_after_skip;
    void *context;
} seen;

static int status;

static void one_by_one(struct gbench_state *state, void *context)
{
    seen.context = context;
    while (gbench_keep_running(state))
        seen.single_iterations++;
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
    gbench_items(state, 6);
    gbench_bytes(state, 30);
    gbench_counter(state, "six_each", 6, GBENCH_RATE);
    gbench_counter(state, "added", 2, GBENCH_VALUE);
    gbench_counter(state, "averaged", 2, GBENCH_AVERAGE);
}

static void hooked(struct gbench_state *state, void *context)
{
    (void)context;
    while (gbench_keep_running(state))
        ;
    seen.argument = gbench_range(state, 0);
    if (gbench_thread_index(state) == 0)
        seen.hooked_runs++;
}

static void setup(const struct gbench_state *state)
{
    seen.setups++;
    seen.runs_at_setup = seen.hooked_runs;
    seen.setup_argument = gbench_range(state, 0);
    seen.setup_threads = gbench_thread_count(state);
}

static void teardown(const struct gbench_state *state)
{
    (void)state;
    seen.teardowns++;
    seen.runs_at_teardown = seen.hooked_runs;
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

static void skipped_halfway(struct gbench_state *state, void *context)
{
    (void)context;
    while (gbench_keep_running(state)) {
        if (++seen.iterations_before_skip == ITERATIONS / 2)
            gbench_skip(state, "halfway");
    }
}

static void on_a_grid(struct gbench_state *state, void *context)
{
    (void)context;
    while (gbench_keep_running(state))
        ;
    if (gbench_thread_index(state) == 0)
        atomic_fetch_add(&seen.runs_of[gbench_range(state, 0)][gbench_thread_count(state)], 1);
}

static struct gbench *enter(const char *name, gbench_fn *fn, int64_t iterations)
{
    struct gbench *bench = gbench_register(name, fn, &seen);
    gbench_iterations(bench, iterations);
    return bench;
}

static void enter_hooked(void)
{
    struct gbench *bench = enter("hooked", hooked, 1);
    gbench_arg(bench, 33);
    gbench_threads(bench, 2);
    gbench_setup(bench, setup);
    gbench_teardown(bench, teardown);
    bench = enter("other_hooked", hooked, 1);
    gbench_arg(bench, 44);
    gbench_setup(bench, other_setup);
}

static void enter_grid(void)
{
    struct gbench *bench = enter("grid", on_a_grid, 1);
    for (int i = 1; i <= 2; i++) {
        gbench_arg(bench, i);
        gbench_threads(bench, i);
    }
}

static void enter_all(void)
{
    enter("single", one_by_one, ITERATIONS);
    enter("batch", in_batches, ITERATIONS);
    gbench_args(enter("arguments", with_arguments, 1), (const int64_t[]){11, 22}, 2);
    gbench_threads(enter("threads", in_threads, ITERATIONS), THREADS);
    enter_hooked();
    enter_grid();
    enter("skipped", skipped, 1);
    enter("halfway", skipped_halfway, ITERATIONS);
    enter("excluded", with_arguments, 1);
    gbench_context("answer", "forty-two");
}

static int run_all(void **unused)
{
    (void)unused;
    enter_all();
    return gbench_report_run("-^excluded", &status) ? 0 : -1;
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
    assert_true(gbench_report_number("threads", "added") == 2 * THREADS);
    assert_true(gbench_report_number("threads", "averaged") == 2);
}

static void hooks_run_once_per_run_around_it(void **unused)
{
    (void)unused;
    assert_int_equal(seen.setups, 1);
    assert_int_equal(seen.teardowns, 1);
    assert_int_equal(seen.other_setups, 1);
    assert_int_equal(seen.runs_at_setup, 0);
    assert_int_equal(seen.runs_at_teardown, 1);
    assert_int_equal(seen.setup_argument, 33);
    assert_int_equal(seen.setup_threads, 2);
    assert_int_equal(seen.argument, 44);
}

static void each_argument_runs_with_each_thread_count(void **unused)
{
    (void)unused;
    for (int argument = 1; argument <= 2; argument++)
        for (int threads = 1; threads <= 2; threads++)
            assert_int_equal(seen.runs_of[argument][threads], 1);
}

static void a_skip_in_the_loop_ends_it(void **unused)
{
    (void)unused;
    assert_int_equal(seen.iterations_before_skip, ITERATIONS / 2);
    assert_true(gbench_report_has("\"error_message\": \"halfway\""));
}

static void a_skipped_run_does_nothing_and_fails_the_program(void **unused)
{
    (void)unused;
    assert_int_equal(seen.iterations_after_skip, 0);
    assert_true(gbench_report_has("\"error_message\": \"not on this machine\""));
    assert_int_equal(status, 1);
}

static void assert_near(double measured, double expected)
{
    assert_true(measured > expected * (1 - 1e-6) && measured < expected * (1 + 1e-6));
}

static void items_and_bytes_add_up_over_threads(void **unused)
{
    (void)unused;
    double rate = gbench_report_number("threads", "six_each");
    assert_true(rate > 0);
    assert_near(gbench_report_number("threads", "items_per_second"), rate);
    assert_near(gbench_report_number("threads", "bytes_per_second"), rate * 30 / 6);
}

static void label_and_context_are_reported(void **unused)
{
    (void)unused;
    assert_true(gbench_report_has("\"label\": \"a label\""));
    assert_true(gbench_report_has("\"answer\": \"forty-two\""));
}

static void what_the_filter_excludes_is_not_run(void **unused)
{
    (void)unused;
    assert_false(gbench_report_has("\"excluded"));
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
        cmocka_unit_test(each_argument_runs_with_each_thread_count),
        cmocka_unit_test(a_skip_in_the_loop_ends_it),
        cmocka_unit_test(items_and_bytes_add_up_over_threads),
        cmocka_unit_test(label_and_context_are_reported),
        cmocka_unit_test(what_the_filter_excludes_is_not_run),
    };
    return cmocka_run_group_tests(tests, run_all, NULL);
}
