/* SPDX-License-Identifier: MIT */
/* The schedule fuzzer; in all other builds, that the wrappers have no points. */
#include "base/atomic.h"
#include "base/schedule.h"
#include "base/testing.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#if PM_SCHEDULE

enum { POINTS = 1000000, ROUNDS = 20000 };

#define OFF "spin=0,yield=0,sleep=0,burst=0"

static void pass_points(uint64_t n)
{
    while (n-- > 0)
        pm_schedule_point();
}

static struct pm_schedule_counts counts_of(const char *settings, uint64_t number, uint64_t points)
{
    require(pm_schedule_parse(settings));
    pm_schedule_restart(number);
    pass_points(points);
    return pm_schedule_counts();
}

ISOLATED(a_thread_decides_the_same_at_each_run_with_a_seed)
{
    uint64_t digest = counts_of("seed=7,sleep=0,burst=0", 3, 20000).digest;
    require(counts_of("seed=7", 3, 20000).digest == digest);
    require(counts_of("seed=8", 3, 20000).digest != digest);
    require(counts_of("seed=7", 4, 20000).digest != digest);
}

static bool about(uint64_t count, uint64_t expected)
{
    return count > expected - expected / 5 && count < expected + expected / 5;
}

ISOLATED(each_action_is_as_frequent_as_its_rate)
{
    struct pm_schedule_counts counts;
    counts = counts_of("spin=1/100,yield=1/200,sleep=0,burst=1/5000", 0, POINTS);
    require(counts.points == POINTS);
    require(about(counts.spins, POINTS / 100));
    require(about(counts.yields, POINTS / 200));
    require(counts.sleeps == 0);
    require(about(counts.bursts, POINTS / 5000));
    counts = counts_of(OFF ",sleep=1/1000", 0, POINTS);
    require(counts.spins == 0 && counts.yields == 0 && counts.bursts == 0);
    require(about(counts.sleeps, POINTS / 1000));
}

ISOLATED(with_all_rates_0_nothing_is_done)
{
    struct pm_schedule_counts counts = counts_of(OFF, 0, POINTS);
    require(counts.points == POINTS);
    require(counts.spins + counts.yields + counts.sleeps + counts.bursts == 0);
}

static void *pass_a_point(void *arg)
{
    pm_schedule_point();
    return arg;
}

/* What a thread decides is done from now on: it is not alone. */
static void let_another_be_seen(void)
{
    pthread_t thread;
    require(pthread_create(&thread, NULL, pass_a_point, NULL) == 0);
    require(pthread_join(thread, NULL) == 0);
}

static unsigned naps;

static void nap_that_fails(uint64_t ns)
{
    (void)ns;
    naps++;
    errno = EINTR;
}

/* Each point of this one does something, and each burst that holds the thread back ends, though
 * nobody else moves. */
ISOLATED(a_point_keeps_errno_and_holds_nobody_back_for_good)
{
    require(unsetenv("POOLMALLOC_SCHEDULE") == 0);
    pm_schedule_start(nap_that_fails);
    require(pm_schedule_parse("spin=1/4,yield=1/4,sleep=1/4,burst=1/4"));
    let_another_be_seen();
    pm_schedule_restart(0);
    errno = 77;
    pass_points(1000);
    require(errno == 77);
    require(naps > 250); /* those of the sleeps, and some for each burst */
    struct pm_schedule_counts counts = pm_schedule_counts();
    require(counts.spins + counts.yields + counts.sleeps + counts.bursts == 1000);
}

ISOLATED(who_is_alone_decides_the_same_and_waits_for_nobody)
{
    uint64_t digest = counts_of("seed=7", 3, 20000).digest;
    require(unsetenv("POOLMALLOC_SCHEDULE") == 0);
    pm_schedule_start(nap_that_fails);
    require(counts_of("seed=7", 3, 20000).digest == digest && naps == 0);
    let_another_be_seen();
    require(counts_of("seed=7", 3, 20000).digest == digest && naps > 0);
}

static void pass_point_in_handler(int signal_number)
{
    (void)signal_number;
    pass_points(3);
}

static volatile sig_atomic_t depth; /* raise() is taken for one that calls nothing back */

static void nap_with_a_signal(uint64_t ns)
{
    (void)ns;
    if (depth++ == 0) /* in the handler's own naps no further one */
        raise(SIGUSR1);
    depth--;
}

ISOLATED(a_signal_handler_may_pass_points_amid_a_point)
{
    struct sigaction action = {.sa_handler = pass_point_in_handler};
    require(sigaction(SIGUSR1, &action, NULL) == 0);
    require(unsetenv("POOLMALLOC_SCHEDULE") == 0);
    pm_schedule_start(nap_with_a_signal);
    require(pm_schedule_parse(OFF ",sleep=1/2"));
    let_another_be_seen();
    pm_schedule_restart(0);
    pass_points(10000);
    struct pm_schedule_counts counts = pm_schedule_counts();
    require(counts.sleeps > 5000);
    require(counts.points > 10000 + 3 * 2500);
}

static void parse(const void *text)
{
    require(!pm_schedule_parse(text));
}

static void what_is_not_understood_is_named(void **state)
{
    static const char *const bad[] = {"sede=1",   "seed=",     "seed=x",     "yield",    "yield=2",
                                      "yield=-1", "yield=1/0", "yield=1/2x", "burst=1/", "seed=1 "};
    char text[400];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(test_stderr_of(parse, bad[i], text, sizeof text), 0);
        assert_non_null(strstr(text, "POOLMALLOC_SCHEDULE: \""));
        assert_non_null(strstr(text, bad[i]));
    }
    assert_true(pm_schedule_parse(""));
    assert_true(pm_schedule_parse("seed=0x10,yield=0,sleep=1/1000,burst=3/100,"));
}

/* Wrong: pm_count_owner has one writer. Here it has two. */
static _Atomic uint64_t counter;
static atomic_uint rounds_of[2];
static atomic_bool napping[2]; /* or at its end */
static __thread uintptr_t me;
static pthread_barrier_t both_started;

/* Until the other has counted, or cannot since it naps itself: no clock decides. */
static void nap_for_a_round(uint64_t ns)
{
    unsigned before = atomic_load(&rounds_of[!me]);
    (void)ns;
    atomic_store(&napping[me], true);
    while (atomic_load(&rounds_of[!me]) == before && !atomic_load(&napping[!me]))
        sched_yield();
    atomic_store(&napping[me], false);
}

static void *count_rounds(void *arg)
{
    me = (uintptr_t)arg;
    pm_schedule_restart(me);
    pthread_barrier_wait(&both_started);
    for (int i = 0; i < ROUNDS; i++) {
        pm_count_owner(&counter, 1);
        atomic_fetch_add(&rounds_of[me], 1);
    }
    atomic_store(&napping[me], true);
    return NULL;
}

/* A thread that sleeps between load and store loses what the other counts meanwhile. */
ISOLATED(updates_that_two_threads_make_without_a_cas_are_lost)
{
    pthread_t threads[2];
    require(unsetenv("POOLMALLOC_SCHEDULE") == 0);
    pm_schedule_start(nap_for_a_round);
    require(pm_schedule_parse(OFF ",sleep=1/64"));
    let_another_be_seen();
    require(pthread_barrier_init(&both_started, NULL, 2) == 0);
    for (uintptr_t i = 0; i < 2; i++)
        require(pthread_create(&threads[i], NULL, count_rounds, (void *)i) == 0);
    for (int i = 0; i < 2; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require(pm_load_relaxed(&counter) < 2 * ROUNDS);
}

#endif

static uint64_t points_passed(void)
{
#if PM_SCHEDULE
    return pm_schedule_counts().points;
#else
    return 0;
#endif
}

static _Atomic uint64_t word;

/* One point for each of 3 loads and the addition, two for each of 7 that others can see. */
ISOLATED(every_wrapper_does_its_access_once_and_in_the_fuzzing_build_is_a_point)
{
    uint64_t before = points_passed(), old = 5;
    pm_store_relaxed(&word, 4);
    pm_store_release(&word, pm_load_relaxed(&word) + 1);
    require(pm_load_acquire(&word) == 5);
    require(pm_cas_acquire(&word, &old, 6) && !pm_cas_acq_rel(&word, &old, 7) && old == 6);
    require(pm_exchange_acquire(&word, 8) == 6 && pm_exchange_release(&word, 9) == 8);
    require(pm_exchange_acq_rel(&word, 10) == 9);
    pm_count_shared(&word, 1);
    require(pm_load_relaxed(&word) == 11);
    require(points_passed() - before == (PM_SCHEDULE ? 3 + 1 + 2 * 7 : 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if PM_SCHEDULE
        cmocka_unit_test(a_thread_decides_the_same_at_each_run_with_a_seed),
        cmocka_unit_test(each_action_is_as_frequent_as_its_rate),
        cmocka_unit_test(with_all_rates_0_nothing_is_done),
        cmocka_unit_test(a_point_keeps_errno_and_holds_nobody_back_for_good),
        cmocka_unit_test(who_is_alone_decides_the_same_and_waits_for_nobody),
        cmocka_unit_test(a_signal_handler_may_pass_points_amid_a_point),
        cmocka_unit_test(what_is_not_understood_is_named),
        cmocka_unit_test(updates_that_two_threads_make_without_a_cas_are_lost),
#endif
        cmocka_unit_test(every_wrapper_does_its_access_once_and_in_the_fuzzing_build_is_a_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
