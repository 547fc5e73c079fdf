/* SPDX-License-Identifier: MIT */
/*
 * Every call to the system fails in turn, once and for good, while one scenario takes, gives,
 * purges, allocates, resizes and frees. Each refusal is a NULL or false, nothing is lost or broken,
 * and once the system serves again everything works.
 */
#include "arena/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <cmocka.h>

enum { RUNS = 12, GROUPS = 4, SPANS = 6, RUN_UNITS = 15 };

/* What the scenario holds; NULL or no units: refused. */
struct held {
    struct pm_run runs[RUNS];
    struct pm_group groups[GROUPS];
    char *spans[SPANS];
    unsigned refused;
};

static const size_t span_units[SPANS] = {
    3, PM_ARENA_UNITS - 1, PM_ARENA_UNITS, 2 * PM_ARENA_UNITS + 1, 1, 9 * PM_ARENA_UNITS};
static const size_t span_aligns[SPANS] = {1, PM_UNIT_BYTES,      4 * PM_ARENA_BYTES,
                                          1, 2 * PM_ARENA_BYTES, 1};

static void take_all(struct held *held)
{
    for (int i = 0; i < RUNS; i++) {
        if (!pm_arena_take_run(RUN_UNITS, &held->runs[i])) {
            held->runs[i].units = 0;
            held->refused++;
        }
        require(pm_arena_check());
    }
    for (int i = 0; i < GROUPS; i++) {
        if (!pm_arena_take_group(&held->groups[i])) {
            held->groups[i].units = 0;
            held->refused++;
        }
        require(pm_arena_check());
    }
    for (int i = 0; i < SPANS; i++) {
        bool zero = false;
        char *span = pm_span_alloc(span_units[i] << PM_UNIT_SHIFT, span_aligns[i], &zero);
        require(span == NULL || (uintptr_t)span % span_aligns[i] == 0);
        require(span == NULL || !zero || test_reads_as_zero(span, PM_UNIT_BYTES));
        held->spans[i] = span;
        held->refused += span == NULL;
        require(pm_arena_check());
    }
}

static void mark_units(char *start, size_t units)
{
    pm_asan_unpoison(start, units << PM_UNIT_SHIFT);
    for (char *unit = start; unit < start + (units << PM_UNIT_SHIFT); unit += PM_UNIT_BYTES)
        *(char **)(void *)unit = unit;
}

static bool are_marked(const char *start, size_t units)
{
    for (const char *unit = start; unit < start + (units << PM_UNIT_SHIFT); unit += PM_UNIT_BYTES) {
        if (*(char *const *)(const void *)unit != unit)
            return false;
    }
    return true;
}

/* All that is held is usable memory, and no two things share a unit. */
static void write_all(struct held *held)
{
    for (int i = 0; i < RUNS; i++)
        mark_units(held->runs[i].base, held->runs[i].units);
    for (int i = 0; i < SPANS; i++) {
        if (held->spans[i] != NULL)
            mark_units(held->spans[i], span_units[i]);
    }
    for (int i = 0; i < GROUPS; i++) {
        for (unsigned n = 0; n < PM_GROUP_UNITS; n++) {
            if (held->groups[i].units >> n & 1)
                mark_units(held->groups[i].base + n * PM_UNIT_BYTES, 1);
        }
    }
    for (int i = 0; i < RUNS; i++)
        require(are_marked(held->runs[i].base, held->runs[i].units));
    for (int i = 0; i < SPANS; i++)
        require(held->spans[i] == NULL || are_marked(held->spans[i], span_units[i]));
}

static void resize_all(struct held *held)
{
    for (int i = 0; i < SPANS; i++) {
        if (held->spans[i] == NULL)
            continue;
        struct pm_window *w = pm_window_find(held->spans[i]);
        size_t old = span_units[i] << PM_UNIT_SHIFT;
        require(pm_span_resize(w, held->spans[i], old - PM_UNIT_BYTES + 1, "realloc"));
        pm_span_resize(w, held->spans[i], old / 2 + 1, "realloc"); /* shrinks if it can */
        require(pm_arena_check());
        pm_span_resize(w, held->spans[i], 2 * old, "realloc"); /* grows if it can */
        require(pm_arena_check());
        require(are_marked(held->spans[i], span_units[i] / 2));
    }
}

static void give_all(struct held *held)
{
    for (int i = 0; i < RUNS; i++) {
        held->runs[i].dirty = ~(uint64_t)0;
        if (held->runs[i].units > 0)
            pm_arena_give_run(&held->runs[i]);
        require(pm_arena_check());
    }
    for (int i = 0; i < GROUPS; i++) {
        held->groups[i].dirty = held->groups[i].units;
        pm_arena_give_group(&held->groups[i]);
        require(pm_arena_check());
    }
    for (int i = 0; i < SPANS; i++) {
        if (held->spans[i] != NULL)
            pm_span_free(pm_window_find(held->spans[i]), held->spans[i], "free");
        require(pm_arena_check());
    }
}

static unsigned scenario(void)
{
    struct held held = {.refused = 0};
    for (int round = 0; round < 2; round++) {
        take_all(&held);
        write_all(&held);
        resize_all(&held);
        give_all(&held);
        pm_arena_purge_all();
        require(pm_arena_check());
    }
    struct pm_arena_stats stats = test_arena_stats();
    require(stats.free_units == stats.arenas * PM_ARENA_UNITS && stats.span_units == 0);
    return held.refused;
}

/* False: not even the first window could be made. */
static bool start(size_t window_arenas)
{
    pm_options.window_bytes = window_arenas * PM_ARENA_BYTES;
    pm_options.keep_bytes = 0;
    pm_os_init();
    return pm_arena_init();
}

struct sweep {
    size_t window_arenas;
    unsigned nth;
    bool for_good;
};

static void run_with_fault(const void *arg)
{
    const struct sweep *sweep = arg;
    pm_os_fault_set(sweep->nth, sweep->for_good);
    if (start(sweep->window_arenas)) {
        unsigned refused = scenario();
        require(sweep->for_good || refused <= 1); /* one failure costs at most one request */
    } else {
        require(sweep->for_good || sweep->window_arenas == 1); /* no smaller one to try */
        pm_os_fault_set(0, false);
        require(start(sweep->window_arenas));
    }
    pm_os_fault_set(0, false);
    require(scenario() == 0);
    require(pm_arena_purge_all() == false && test_arena_stats().dirty_units == 0);
}

static unsigned calls_of_the_scenario(size_t window_arenas)
{
    pm_os_fault_set(0, false);
    require(start(window_arenas));
    require(scenario() == 0);
    return pm_os_fault_calls();
}

static void sweep_all(size_t window_arenas, bool for_good)
{
    char text[1000];
    struct sweep sweep = {window_arenas, 0, for_good};
    unsigned calls = 0;
    int ends[2];
    require(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) { /* counts in a process of its own: this one has made no call yet */
        calls = calls_of_the_scenario(window_arenas);
        _exit(write(ends[1], &calls, sizeof calls) == sizeof calls ? 0 : 1);
    }
    require(read(ends[0], &calls, sizeof calls) == sizeof calls);
    require(waitpid(child, NULL, 0) == child && calls > 10);
    for (sweep.nth = 1; sweep.nth <= calls; sweep.nth++) {
        int status = test_stderr_of(run_with_fault, &sweep, text, sizeof text);
        if (status != 0)
            fprintf(stderr, "call %u of %u: status %d\n%s", sweep.nth, calls, status, text);
        require(status == 0);
    }
}

ISOLATED(each_call_that_fails_once_costs_at_most_one_request)
{
    sweep_all(64, false);
}

ISOLATED(each_call_that_fails_once_costs_at_most_one_request_in_tiny_windows)
{
    sweep_all(1, false);
}

ISOLATED(calls_that_fail_for_good_break_nothing)
{
    sweep_all(64, true);
}

ISOLATED(calls_that_fail_for_good_break_nothing_in_tiny_windows)
{
    sweep_all(1, true);
}

ISOLATED(a_refused_purge_leaves_the_memory_dirty_and_it_is_never_called_zero)
{
    struct pm_run run;
    test_arena_start(4);
    require(pm_arena_take_run(RUN_UNITS, &run));
    test_dirty(run.base, RUN_UNITS * PM_UNIT_BYTES);
    run.dirty = ~(uint64_t)0;
    pm_arena_give_run(&run);
    pm_os_fault_set(1, true);
    require(!pm_arena_purge_all() && pm_arena_check());
    require(test_arena_stats().dirty_units == RUN_UNITS);
    require(pm_arena_take_run(RUN_UNITS, &run));
    require(run.dirty == pm_bits_run(0, RUN_UNITS));
}

ISOLATED(a_refused_purge_by_bound_is_not_tried_on_the_next_arena)
{
    struct pm_run runs[4];
    test_arena_start(4);
    for (int i = 0; i < 4; i++)
        require(pm_arena_take_run(PM_ARENA_UNITS - 1, &runs[i]));
    for (int i = 0; i < 4; i++) {
        runs[i].dirty = ~(uint64_t)0;
        pm_arena_give_run(&runs[i]);
    }
    pm_options.keep_bytes = 0;
    pm_os_fault_set(1, true);
    pm_purge_excess(0, pm_os_now_ns());
    require(pm_os_fault_calls() == 1 && pm_arena_check());
    pm_os_fault_set(0, false);
    pm_purge_excess(0, pm_os_now_ns());
    require(pm_os_fault_calls() == 0); /* nor soon after */
    pm_purge_excess(0, pm_os_now_ns() + 2 * PM_DEMAND_NS);
    require(test_arena_stats().dirty_units == 0 && pm_arena_check());
}

static char *next_to_go(void)
{
    pm_lock_acquire(&pm_arena_lock);
    char *base = pm_arena_base(pm_arena_oldest_dirty_empty());
    pm_lock_release(&pm_arena_lock);
    return base;
}

ISOLATED(an_arena_that_the_system_refuses_does_not_keep_others_from_going)
{
    struct pm_run runs[4];
    test_arena_start(4);
    for (int i = 0; i < 4; i++)
        require(pm_arena_take_run(PM_ARENA_UNITS, &runs[i]));
    for (int i = 0; i < 4; i++) {
        runs[i].dirty = ~(uint64_t)0;
        pm_arena_give_run(&runs[i]);
    }
    pm_options.keep_bytes = 0;
    const char *refused = next_to_go();
    pm_os_fault_set(1, false);
    pm_purge_excess(0, pm_os_now_ns());
    require(pm_os_fault_calls() == 1 && next_to_go() != refused);
}

/* The first arena of them, which stays dirty: what lies there is kept, by the bound, for what is in
 * use. */
static void start_with_a_rested_arena(struct pm_run runs[PM_KEEP_PART + 1])
{
    test_arena_start(16);
    for (unsigned i = 0; i <= PM_KEEP_PART; i++)
        require(pm_arena_take_run(PM_ARENA_UNITS - 2, &runs[i]));
    runs[0].dirty = ~(uint64_t)0;
    pm_arena_give_run(&runs[0]);
    test_dirty_earlier(runs[0].base, PM_PEAK_REST_TICKS);
    pm_options.keep_bytes = 0;
}

ISOLATED(a_refused_purge_at_the_peak_is_not_tried_with_the_next_units)
{
    struct pm_run runs[PM_KEEP_PART + 1];
    start_with_a_rested_arena(runs);
    pm_os_fault_set(1, true);
    require(pm_arena_take_run(2, &runs[0])); /* clean, in the second arena */
    require(pm_os_fault_calls() == 0);
    pm_arena_settle();
    require(pm_os_fault_calls() == 1 && pm_arena_check());
    require(pm_arena_take_run(2, &runs[0]));
    pm_arena_settle();
    require(pm_os_fault_calls() == 1);
    pm_os_fault_set(0, false);
    require(test_arena_stats().dirty_units == PM_ARENA_UNITS - 2);
}

/* Nine arenas in use let one lie dirty, but not two. */
ISOLATED(what_the_system_refused_to_take_is_not_missed_afterwards)
{
    struct pm_run runs[PM_KEEP_PART + 3];
    test_arena_start(16);
    for (unsigned i = 0; i < PM_KEEP_PART + 3; i++)
        require(pm_arena_take_run(PM_ARENA_UNITS - 1, &runs[i]));
    pm_options.keep_bytes = 0;
    pm_os_fault_set(1, true);
    for (unsigned i = 0; i < 2; i++) {
        runs[i].dirty = ~(uint64_t)0;
        pm_arena_give_run(&runs[i]);
    }
    require(pm_os_fault_calls() == 1);
    uint64_t now_ns = pm_os_now_ns();
    pm_lock_acquire(&pm_arena_lock);
    pm_demand_note(PM_ARENA_UNITS, now_ns);
    require(pm_purge_wanted(now_ns));
    pm_lock_release(&pm_arena_lock);
    pm_os_fault_set(0, false);
}

ISOLATED(what_the_system_refused_to_take_at_the_peak_does_not_count_as_purged)
{
    struct pm_run runs[PM_KEEP_PART + 1];
    start_with_a_rested_arena(runs);
    pm_lock_acquire(&pm_arena_lock);
    pm_peak_purged((PM_KEEP_PART + 1) * (PM_ARENA_UNITS - 2) - 1); /* one more is allowed */
    pm_lock_release(&pm_arena_lock);
    pm_os_fault_set(1, true);
    require(pm_arena_take_run(2, &runs[1]));
    pm_arena_settle();
    require(pm_os_fault_calls() == 1);
    pm_os_fault_set(0, false);
    test_dirty_earlier(runs[0].base, PM_PEAK_REST_TICKS);
    pm_lock_acquire(&pm_arena_lock);
    pm_peak_purged(2);                              /* the peak grew by as much */
    require(pm_peak_arena(pm_os_now_ns()) == NULL); /* it was refused a moment ago */
    require(pm_peak_arena(pm_os_now_ns() + 2 * PM_DEMAND_NS) != NULL);
    pm_peak_purged(1);
    require(pm_peak_arena(pm_os_now_ns() + 2 * PM_DEMAND_NS) == NULL);
    pm_lock_release(&pm_arena_lock);
}

/* A limit on data makes the system charge committed memory; far off, as sanitizers map much. */
static char *decommitted_arenas(unsigned arenas)
{
    bool zero = false;
    test_limit(RLIMIT_DATA, (rlim_t)1 << 60);
    test_arena_start(64);
    char *block = pm_span_alloc(arenas * PM_ARENA_BYTES, 1, &zero);
    require(block != NULL);
    pm_span_free(&pm_window, block, "free");
    require(pm_arena_purge_all() && test_arena_stats().decommitted_arenas == arenas);
    return block;
}

ISOLATED(decommitted_arenas_that_the_system_refuses_to_commit_stay_free_and_serve_later)
{
    bool zero = false;
    char *block = decommitted_arenas(5);
    pm_os_fault_set_kinds(1u << PM_OS_COMMIT, 1, true);
    require(pm_span_alloc(3 * PM_ARENA_BYTES, 1, &zero) == NULL && pm_arena_check());
    struct pm_arena_stats stats = test_arena_stats();
    require(stats.decommitted_arenas == 5 && stats.span_held_units == 0);
    require(stats.free_units == stats.arenas * PM_ARENA_UNITS);
    pm_os_fault_set(0, false);
    require(pm_span_alloc(5 * PM_ARENA_BYTES, 1, &zero) == block && zero);
    test_dirty(block, 5 * PM_ARENA_BYTES);
}

/* How often the system was advised about huge pages since the last time. */
static unsigned advice(void)
{
    unsigned calls = pm_os_fault_calls();
    pm_os_fault_set_kinds(1u << PM_OS_ADVISE, UINT32_MAX, false);
    return calls;
}

static unsigned advice_of_a_purge_in_part(void)
{
    struct pm_run used, rest;
    require(pm_arena_take_run(1, &used) && pm_arena_take_run(PM_ARENA_UNITS - 1, &rest));
    rest.dirty = ~(uint64_t)0;
    pm_arena_give_run(&rest);
    advice();
    require(pm_arena_purge_all());
    unsigned calls = advice();
    pm_arena_give_run(&used);
    return calls;
}

ISOLATED(large_blocks_take_the_advice_against_huge_pages_back_where_they_grow_to)
{
    bool zero = false;
    test_arena_start(64);
    require(pm_options_parse("huge_pages=always"));
    require(advice_of_a_purge_in_part() == 1);
    char *block = pm_span_alloc(PM_ARENA_BYTES, 1, &zero); /* the arena that was purged */
    struct pm_arena *a = pm_arena_of(&pm_window, pm_window_index(&pm_window, block));
    require(advice() == 1 && a->no_huge == 0);
    pm_span_free(&pm_window, pm_span_alloc(2 * PM_ARENA_BYTES, 1, &zero), "free");
    a[1].no_huge = 1; /* as a purge in part leaves it */
    advice();
    require(pm_span_resize(&pm_window, block, 2 * PM_ARENA_BYTES, "realloc"));
    require(advice() == 1 && a[1].no_huge == 0 && pm_arena_check());
}

ISOLATED(advice_that_the_system_does_not_take_changes_nothing)
{
    test_arena_start(64);
    require(pm_options_parse("huge_pages=always"));
    pm_os_fault_set_kinds(1u << PM_OS_ADVISE, 1, true);
    bool zero = false;
    char *block = pm_span_alloc(3 * PM_ARENA_BYTES, 1, &zero);
    require(block != NULL && zero && pm_os_fault_calls() > 0 && pm_arena_check());
    test_dirty(block, 3 * PM_ARENA_BYTES);
}

ISOLATED(where_an_arena_cannot_be_decommitted_its_pages_go_back)
{
    bool zero = false;
    char *block = decommitted_arenas(2);
    require(pm_span_alloc(2 * PM_ARENA_BYTES, 1, &zero) == block);
    test_dirty(block, 2 * PM_ARENA_BYTES);
    pm_os_fault_set_kinds(1u << PM_OS_DECOMMIT, 1, true);
    pm_span_free(&pm_window, block, "free");
    require(pm_arena_purge_all() && pm_os_fault_calls() > 0 && pm_arena_check());
    struct pm_arena_stats stats = test_arena_stats();
    require(stats.decommitted_arenas == 0 && stats.dirty_units == 0);
    require(pm_span_alloc(2 * PM_ARENA_BYTES, 1, &zero) == block && zero);
    require(test_reads_as_zero(block, 2 * PM_ARENA_BYTES));
}

ISOLATED(with_huge_pages_never_a_purge_in_part_gives_no_advice)
{
    test_arena_start(64);
    require(pm_options_parse("huge_pages=never"));
    require(advice_of_a_purge_in_part() == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_that_fails_once_costs_at_most_one_request),
        cmocka_unit_test(each_call_that_fails_once_costs_at_most_one_request_in_tiny_windows),
        cmocka_unit_test(calls_that_fail_for_good_break_nothing),
        cmocka_unit_test(calls_that_fail_for_good_break_nothing_in_tiny_windows),
        cmocka_unit_test(a_refused_purge_leaves_the_memory_dirty_and_it_is_never_called_zero),
        cmocka_unit_test(a_refused_purge_by_bound_is_not_tried_on_the_next_arena),
        cmocka_unit_test(an_arena_that_the_system_refuses_does_not_keep_others_from_going),
        cmocka_unit_test(a_refused_purge_at_the_peak_is_not_tried_with_the_next_units),
        cmocka_unit_test(what_the_system_refused_to_take_is_not_missed_afterwards),
        cmocka_unit_test(what_the_system_refused_to_take_at_the_peak_does_not_count_as_purged),
        cmocka_unit_test(
            decommitted_arenas_that_the_system_refuses_to_commit_stay_free_and_serve_later),
        cmocka_unit_test(large_blocks_take_the_advice_against_huge_pages_back_where_they_grow_to),
        cmocka_unit_test(with_huge_pages_never_a_purge_in_part_gives_no_advice),
        cmocka_unit_test(advice_that_the_system_does_not_take_changes_nothing),
        cmocka_unit_test(where_an_arena_cannot_be_decommitted_its_pages_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
