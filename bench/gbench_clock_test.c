/* SPDX-License-Identifier: MIT */
/*
 * Tests of the clocks of the C interface to Google Benchmark, and of stopping them. What is burnt
 * is measured in CPU time of a thread, so that a busy machine does not change the outcome.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <time.h>

#include "gbench.h"
#include "testing/gbench_report.h"

enum { BURNT_MS = 40, SLEPT_MS = 20, MANUAL_SECONDS = 3 };

static int64_t thread_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *burn(void *unused)
{
    int64_t start = thread_cpu_ns();
    while (thread_cpu_ns() - start < BURNT_MS * 1000000)
        ;
    return unused;
}

/* All of the work is done by a thread that the benchmark starts. */
static void with_a_helper(struct gbench_state *state, void *context)
{
    (void)context;
    while (gbench_keep_running(state)) {
        pthread_t helper;
        if (pthread_create(&helper, NULL, burn, NULL) != 0)
            gbench_skip(state, "no thread");
        else
            pthread_join(helper, NULL);
    }
}

/* The same work in the time and, twice, out of it. */
static void paused(struct gbench_state *state, void *context)
{
    (void)context;
    while (gbench_keep_running(state)) {
        burn(NULL);
        gbench_pause(state);
        burn(NULL);
        burn(NULL);
        gbench_resume(state);
    }
}

static void sleeps(struct gbench_state *state, void *context)
{
    (void)context;
    while (gbench_keep_running(state))
        nanosleep(&(struct timespec){.tv_nsec = SLEPT_MS * 1000 * 1000}, NULL);
    gbench_counter(state, "rate", 1, GBENCH_RATE);
}

static void timed_by_hand(struct gbench_state *state, void *context)
{
    (void)context;
    while (gbench_keep_running(state))
        gbench_set_iteration_time(state, MANUAL_SECONDS);
    gbench_counter(state, "rate", 6, GBENCH_RATE);
    gbench_items(state, 12);
    gbench_bytes(state, 30);
}

static void enter(const char *name, gbench_fn *fn, enum gbench_clock clock)
{
    struct gbench *bench = gbench_register(name, fn, NULL);
    gbench_iterations(bench, 1);
    gbench_clock(bench, clock);
}

static int run_all(void **unused)
{
    int status;
    (void)unused;
    enter("own_cpu", with_a_helper, GBENCH_CPU);
    enter("all_cpu", with_a_helper, GBENCH_PROCESS_CPU);
    enter("paused", paused, GBENCH_CPU);
    enter("wall", sleeps, GBENCH_WALL);
    enter("manual", timed_by_hand, GBENCH_MANUAL);
    return gbench_report_run(".", &status) && status == 0 ? 0 : -1;
}

static void only_the_process_clock_counts_helpers(void **unused)
{
    (void)unused;
    assert_true(gbench_report_number("own_cpu", "cpu_time") < BURNT_MS * 1e6 / 2);
    assert_true(gbench_report_number("all_cpu", "cpu_time") >= BURNT_MS * 1e6);
}

static void paused_time_is_not_measured_and_the_rest_is(void **unused)
{
    (void)unused;
    double measured = gbench_report_number("paused", "cpu_time");
    assert_true(measured >= BURNT_MS * 1e6);
    assert_true(measured < 2 * BURNT_MS * 1e6);
}

/* By the CPU's clock, a sleeper would have done thousands in a second. */
static void waiting_counts_on_the_wall_clock(void **unused)
{
    (void)unused;
    double rate = gbench_report_number("wall", "rate");
    assert_true(rate > 0);
    assert_true(rate <= 1000.0 / SLEPT_MS);
}

static void manual_time_is_taken_as_given(void **unused)
{
    (void)unused;
    assert_true(gbench_report_number("manual", "real_time") == MANUAL_SECONDS * 1e9);
    assert_true(gbench_report_number("manual", "rate") == 6.0 / MANUAL_SECONDS);
    assert_true(gbench_report_number("manual", "items_per_second") == 12.0 / MANUAL_SECONDS);
    assert_true(gbench_report_number("manual", "bytes_per_second") == 30.0 / MANUAL_SECONDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_process_clock_counts_helpers),
        cmocka_unit_test(paused_time_is_not_measured_and_the_rest_is),
        cmocka_unit_test(waiting_counts_on_the_wall_clock),
        cmocka_unit_test(manual_time_is_taken_as_given),
    };
    return cmocka_run_group_tests(tests, run_all, NULL);
}
