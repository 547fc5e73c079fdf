/* SPDX-License-Identifier: MIT */
/* Tests of what pm_detail adds to the workloads: clock, histogram, counted and timed calls, and
 * memory over time. The last test starts a child process; there are no other threads then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "detail/calls.h"
#include "detail/clock.h"
#include "detail/histogram.h"
#include "detail/memory.h"
#include "workload.h"

static const double error_max = 1.0 / 64;

static bool is_close(double value, double exact)
{
    return fabs(value - exact) <= exact * error_max + 1e-9;
}

/* One-sided bounds on both sides hold however long the test is held up between two readings. */
static void ticks_keep_step_with_the_monotonic_clock(void **state)
{
    (void)state;
    uint64_t outer_ns = detail_monotonic_ns(), outer_ticks = detail_ticks();
    uint64_t inner_ns = detail_monotonic_ns(), inner_ticks = detail_ticks();
    while (detail_monotonic_ns() - inner_ns < 50000000)
        ;
    uint64_t ticks = detail_ticks();
    uint64_t ns = detail_monotonic_ns();
    uint64_t last_ticks = detail_ticks();
    assert_true((double)(ticks - inner_ticks) * detail_clock.ns_per_tick <=
                (double)(ns - outer_ns) * 1.001);
    assert_true((double)(last_ticks - outer_ticks) * detail_clock.ns_per_tick >=
                (double)(ns - inner_ns) * 0.999);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Whatever the processor's speed is by then: an empty call takes next to nothing, at the least one
 * step, and one of some hundred cycles is more. */
static void the_cost_of_the_clock_is_taken_off(void **state)
{
    (void)state;
    enum { CALLS = 2001 };
    static uint64_t empty[CALLS], busy[CALLS];
    for (int i = 0; i < CALLS; i++) {
        uint64_t start = detail_ticks(), end = detail_ticks();
        empty[i] = detail_ticks_between(start, end);
        start = detail_ticks();
        for (volatile int left = 1000; left > 0; left--)
            ;
        end = detail_ticks();
        busy[i] = detail_ticks_between(start, end);
    }
    qsort(empty, CALLS, sizeof(empty[0]), compare);
    qsort(busy, CALLS, sizeof(busy[0]), compare);
    assert_true(detail_clock.step > 0);
    assert_true((double)detail_clock.step * detail_clock.ns_per_tick < 1000);
    assert_int_equal(empty[0], detail_clock.step);
    assert_true(empty[CALLS / 2] * 4 <= busy[CALLS / 2]);
}

static void quantiles_are_within_the_error_of_the_exact_ones(void **state)
{
    enum { COUNT = 100000 };
    static const double asked[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
    static struct detail_histogram histogram;
    static uint64_t times[COUNT];
    struct bench_random random = {11};
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        times[i] = (uint64_t)exp2((double)bench_random_below(&random, 30000) / 1000);
        detail_histogram_record(&histogram, times[i]);
    }
    qsort(times, COUNT, sizeof(times[0]), compare);
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        size_t rank = (size_t)ceil(asked[i] * COUNT - 1e-6);
        double got = detail_histogram_quantile(&histogram, asked[i]);
        if (!is_close(got, (double)times[rank - 1]))
            fail_msg("quantile %g is %g, exactly %llu", asked[i], got,
                     (unsigned long long)times[rank - 1]);
    }
    assert_true(detail_histogram_quantile(&histogram, 1) == (double)times[COUNT - 1]);
}

static double read_back(uint64_t ticks)
{
    static struct detail_histogram histogram;
    histogram = (struct detail_histogram){0};
    detail_histogram_record(&histogram, ticks);
    detail_histogram_record(&histogram, UINT64_MAX);
    return detail_histogram_quantile(&histogram, 0.5);
}

static void each_number_is_read_back_within_the_error(void **state)
{
    (void)state;
    for (uint64_t ticks = 0; ticks < 2 * DETAIL_PARTS; ticks++)
        assert_true(read_back(ticks) == (double)ticks);
    for (unsigned bit = DETAIL_PART_BITS; bit < DETAIL_TICK_BITS; bit++) {
        uint64_t power = UINT64_C(1) << bit;
        const uint64_t around[] = {power - 1, power, power + 1, power + power / 3, 2 * power - 1};
        for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++)
            assert_true(is_close(read_back(around[i]), (double)around[i]));
    }
}

static void a_time_beyond_the_range_counts_and_is_the_maximum(void **state)
{
    struct detail_histogram histogram = {0};
    (void)state;
    detail_histogram_record(&histogram, UINT64_C(1) << 50);
    assert_int_equal(histogram.samples, 1);
    assert_true(detail_histogram_quantile(&histogram, 0.5) == exp2(50));
}

static void histograms_added_up_are_that_of_all_samples(void **state)
{
    static struct detail_histogram part[2], sum, all;
    struct bench_random random = {12};
    (void)state;
    for (size_t i = 0; i < 10000; i++) {
        uint64_t ticks = bench_random_below(&random, 1 << 20);
        detail_histogram_record(&part[i % 2], ticks);
        detail_histogram_record(&all, ticks);
    }
    detail_histogram_add(&sum, &part[0]);
    detail_histogram_add(&sum, &part[1]);
    assert_memory_equal(&sum, &all, sizeof(all));
}

/* A thread whose preemptions are what the test says. */
static struct {
    struct detail_thread thread;
    int64_t preemptions;
    int asked;
    uint64_t now;
} fake;

static int64_t fake_preemptions(void)
{
    fake.asked++;
    return fake.preemptions;
}

static uint64_t ticks_of(double us)
{
    return (uint64_t)(us * 1000 / detail_clock.ns_per_tick);
}

static void call_taking(double us)
{
    fake.now += ticks_of(us);
    detail_judge(&fake.thread, DETAIL_FREE, ticks_of(us), fake.now, fake_preemptions);
}

static void expect(uint64_t samples, uint64_t dropped, int asked)
{
    assert_int_equal(fake.thread.ticks[DETAIL_FREE].samples, samples);
    assert_int_equal(fake.thread.dropped[DETAIL_FREE], dropped);
    assert_int_equal(fake.asked, asked);
}

static void a_slow_sample_is_dropped_when_its_thread_was_preempted(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    call_taking(0.02);
    expect(1, 0, 0); /* too short for a preemption: nobody asks */
    call_taking(30);
    expect(2, 0, 1);
    fake.preemptions = 1;
    call_taking(30);
    expect(2, 1, 2);
    call_taking(30);
    expect(3, 1, 3);
}

static void a_preemption_between_samples_drops_none(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    fake.preemptions = 1;
    fake.now = ticks_of(4000); /* the thread came back after that */
    call_taking(0.02);
    expect(1, 0, 1);
    call_taking(30);
    expect(2, 0, 2);
}

static uint64_t timed_calls(enum detail_kind kind)
{
    static struct detail_latency latency;
    detail_calls_latency(kind, &latency);
    return latency.ticks.samples + latency.dropped;
}

static void each_call_counts_its_bytes_and_is_timed(void **state)
{
    uint64_t live = detail_live_bytes(), mallocs = timed_calls(DETAIL_MALLOC),
             frees = timed_calls(DETAIL_FREE);
    (void)state;
    void *plain = bench_alloc(100), *zeroed = bench_alloc_zeroed(2000);
    void *aligned = bench_alloc_aligned(256, 3000);
    assert_int_equal(detail_live_bytes() - live, 5100);
    plain = bench_resize(plain, 40000);
    assert_int_equal(detail_live_bytes() - live, 45000);
    aligned = bench_resize(aligned, 30);
    assert_int_equal(detail_live_bytes() - live, 42030);
    bench_free(plain);
    bench_free(zeroed);
    assert_int_equal(detail_live_bytes() - live, 30);
    bench_free(aligned);
    assert_int_equal(detail_live_bytes(), live);
    assert_int_equal(timed_calls(DETAIL_MALLOC) - mallocs, 5);
    assert_int_equal(timed_calls(DETAIL_FREE) - frees, 3);
}

enum { BLOCKS = 50, BLOCK_BYTES = 128, TEAM = 8 };
static void *blocks[TEAM][BLOCKS];

static void allocate(void *context, size_t index)
{
    (void)context;
    for (int i = 0; i < BLOCKS; i++)
        blocks[index][i] = bench_alloc(BLOCK_BYTES);
}

static void free_the_next_ones(void *context, size_t index)
{
    (void)context;
    for (int i = 0; i < BLOCKS; i++)
        bench_free(blocks[(index + 1) % TEAM][i]);
}

static void blocks_of_ended_threads_stay_counted_until_others_free_them(void **state)
{
    uint64_t live = detail_live_bytes(), mallocs = timed_calls(DETAIL_MALLOC),
             frees = timed_calls(DETAIL_FREE);
    (void)state;
    bench_team_run(&(struct bench_team){.threads = TEAM, .work = allocate});
    assert_int_equal(detail_live_bytes() - live, TEAM * BLOCKS * BLOCK_BYTES);
    bench_team_run(&(struct bench_team){.threads = TEAM, .work = free_the_next_ones});
    assert_int_equal(detail_live_bytes(), live);
    assert_int_equal(timed_calls(DETAIL_MALLOC) - mallocs, TEAM * BLOCKS);
    assert_int_equal(timed_calls(DETAIL_FREE) - frees, TEAM * BLOCKS);
}

static void *allocate_and_free(void *argument)
{
    bench_free(bench_alloc(BLOCK_BYTES));
    return argument;
}

static void threads_one_after_another_share_slots(void **state)
{
    uint64_t frees = timed_calls(DETAIL_FREE);
    (void)state;
    for (int i = 0; i < DETAIL_THREADS_MAX + 10; i++)
        bench_thread_join(bench_thread_start(allocate_and_free, NULL));
    assert_int_equal(timed_calls(DETAIL_FREE) - frees, DETAIL_THREADS_MAX + 10);
}

static void tables_are_counted_and_resident_as_a_whole(void **state)
{
    enum { PAGES = 100, PAGE_BYTES = 4096 };
    unsigned char resident[PAGES];
    uint64_t before = detail_table_bytes();
    (void)state;
    void *table = bench_table(PAGES, PAGE_BYTES);
    assert_int_equal(detail_table_bytes() - before, PAGES * PAGE_BYTES);
    assert_int_equal(mincore(table, PAGES * PAGE_BYTES, resident), 0);
    for (int i = 0; i < PAGES; i++)
        assert_true(resident[i] & 1);
    bench_table_drop(table, PAGES, PAGE_BYTES);
    assert_int_equal(detail_table_bytes(), before);
}

static void points_are_thinned_out_evenly_and_the_peak_is_kept(void **state)
{
    enum { TAKEN = 10001, PEAK = 7777 };
    static struct detail_memory memory;
    double distance_ms = 1, at = 0;
    size_t taken = 0;
    (void)state;
    for (; at < TAKEN; at += distance_ms, taken++) {
        struct detail_point point = {at, 1, (uint64_t)(PEAK - fabs(at - PEAK))};
        detail_memory_add(&memory, &distance_ms, &point);
    }
    assert_in_range(memory.count, DETAIL_POINTS_MAX / 2, DETAIL_POINTS_MAX);
    assert_true(taken > memory.count);
    for (size_t i = 0; i < memory.count; i++)
        assert_true(memory.point[i].ms == (double)i * distance_ms);
    assert_true(fabs(memory.peak.ms - PEAK) <= distance_ms);
}

static void resident_and_live_bytes_are_sampled_from_outside(void **state)
{
    enum { SIZE = 64 << 20, KIB = SIZE / 1024 };
    (void)state;
    assert_int_equal(detail_live_bytes(), 0);
    detail_memory_start();
    void *block = bench_alloc(SIZE);
    /* Resident without being written: a sanitizer would take shadow memory for it. */
    void *mapped =
        mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    assert_ptr_not_equal(mapped, MAP_FAILED);
    const struct detail_memory *memory = detail_memory_stop();
    const struct detail_point *first = &memory->point[0], *last = first + memory->count - 1;
    assert_in_range(memory->count, 2, DETAIL_POINTS_MAX);
    assert_true(first->ms < last->ms);
    assert_int_equal(first->live_bytes, 0);
    assert_int_equal(last->live_bytes, SIZE);
    assert_in_range(last->resident_kib - first->resident_kib, KIB * 98 / 100, KIB * 102 / 100);
    assert_int_equal(memory->peak.live_bytes, SIZE);
    munmap(mapped, SIZE);
    bench_free(block);
}

static void fragmentation_is_what_became_resident_over_what_was_asked_for(void **state)
{
    static struct detail_memory memory = {
        .point = {{.resident_kib = 4000}}, .count = 1, .peak = {1, 4000 + 3072, 2 << 20}};
    (void)state;
    assert_true(fabs(detail_fragmentation(&memory) - 1.5) < 1e-9);
    memory.peak.live_bytes = DETAIL_LIVE_MIN - 1;
    assert_true(detail_fragmentation(&memory) < 0);
}

static int start(void **state)
{
    (void)state;
    detail_clock_start();
    detail_calls_start(1, TEAM);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ticks_keep_step_with_the_monotonic_clock),
        cmocka_unit_test(the_cost_of_the_clock_is_taken_off),
        cmocka_unit_test(quantiles_are_within_the_error_of_the_exact_ones),
        cmocka_unit_test(each_number_is_read_back_within_the_error),
        cmocka_unit_test(a_time_beyond_the_range_counts_and_is_the_maximum),
        cmocka_unit_test(histograms_added_up_are_that_of_all_samples),
        cmocka_unit_test(a_slow_sample_is_dropped_when_its_thread_was_preempted),
        cmocka_unit_test(a_preemption_between_samples_drops_none),
        cmocka_unit_test(each_call_counts_its_bytes_and_is_timed),
        cmocka_unit_test(blocks_of_ended_threads_stay_counted_until_others_free_them),
        cmocka_unit_test(threads_one_after_another_share_slots),
        cmocka_unit_test(tables_are_counted_and_resident_as_a_whole),
        cmocka_unit_test(points_are_thinned_out_evenly_and_the_peak_is_kept),
        cmocka_unit_test(fragmentation_is_what_became_resident_over_what_was_asked_for),
        cmocka_unit_test(resident_and_live_bytes_are_sampled_from_outside),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
