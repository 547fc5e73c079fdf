/* SPDX-License-Identifier: MIT */
/*
 * Statistics that options ask for, at exit and on a signal. Options are read at the start of a
 * process, so each test looks at another run of itself.
 */
#include "api/figures.h"
#include "arena/arena.h"
#include "base/testing.h"
#include "heap/heap.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { TEXT_BYTES = 1 << 16 };

struct run {
    const char *what, *options;
};

static void run_anew(const void *arg)
{
    const struct run *run = arg;
    setenv("POOLMALLOC_OPTIONS", run->options, 1);
    test_run_anew(run->what, NULL);
}

static char text[TEXT_BYTES];

/* What another run, with these options, wrote to stderr; its wait status. */
static int run_of(const char *what, const char *options)
{
    struct run run = {what, options};
    return test_stderr_of(run_anew, &run, text, sizeof text);
}

static unsigned times(const char *word)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        n++;
    return n;
}

static void the_form_at_exit_is_the_options(void **state)
{
    (void)state;
    assert_int_equal(run_of("allocate", "stats_at_exit=stderr"), 0);
    assert_int_equal(strncmp(text, "poolmalloc statistics (pid ", 27), 0);
    assert_int_equal(times(")\nmallocs: 123\n"), 1);
    assert_int_equal(times("\nlive_blocks: 0\n"), 1);
    assert_int_equal(run_of("allocate", "stats_at_exit=stderr,stats_format=table"), 0);
    assert_int_equal(times("\nTotal  "), 1);
    assert_int_equal(times("\n    thread "), 1);
    assert_int_equal(run_of("allocate", "stats_at_exit=stderr,stats_format=json"), 0);
    assert_int_equal(strncmp(text, "{\"format\":\"poolmalloc-stats\"", 28), 0);
    assert_int_equal(times("\n"), 1);
}

static void nothing_is_written_unasked(void **state)
{
    (void)state;
    assert_int_equal(run_of("raise_nothing", ""), 0);
    assert_string_equal(text, "");
    int status = run_of("raise", "stats_signal=0");
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
    assert_string_equal(text, "");
}

static void a_signal_writes_a_report_and_the_program_goes_on(void **state)
{
    (void)state;
    assert_int_equal(run_of("raise", "stats_signal=10"), 0);
    assert_int_equal(times("poolmalloc statistics (pid "), 1);
    assert_int_equal(times("went on\n"), 1);
    assert_int_equal(run_of("raise", "stats_signal=10,stats_format=json"), 0);
    assert_int_equal(times("\"arenas_known\":true"), 1);
}

/* The handler must not wait for the lock that it interrupted. */
static void a_signal_inside_the_arena_lock_shows_all_but_the_arenas(void **state)
{
    (void)state;
    assert_int_equal(run_of("frozen", "stats_signal=10,stats_format=json"), 0);
    assert_int_equal(times("\"arenas_known\":false"), 1);
    assert_int_equal(times("\"mallocs\":0,"), 0);
    assert_int_equal(times("\"classes\":[]"), 1);
    assert_int_equal(times("went on\n"), 1);
    assert_int_equal(run_of("frozen", "stats_signal=10,stats_format=table"), 0);
    assert_int_equal(times("The arenas are being changed"), 1);
}

/* Inside a slow path, in which the allocator's handler-safe sentinel stands in for the heap. */
static void a_signal_inside_a_slow_path_changes_nothing_there(void **state)
{
    (void)state;
    assert_int_equal(run_of("storm", "stats_signal=10,stats_to=/dev/null,stats_format=table"), 0);
    assert_int_equal(times("went on\n"), 1);
}

static void a_signal_that_cannot_be_caught_is_warned_of(void **state)
{
    (void)state;
    assert_int_equal(run_of("raise_nothing", "stats_signal=9"), 0);
    assert_string_equal(text, "poolmalloc: no statistics on signal 9 (option stats_signal): it "
                              "cannot be caught\n");
}

static void a_file_that_cannot_be_written_is_no_error_of_the_program(void **state)
{
    (void)state;
    assert_int_equal(run_of("raise", "stats_signal=10,stats_to=/no/such/folder/x"), 0);
    assert_string_equal(text,
                        "poolmalloc: cannot write statistics to \"/no/such/folder/x\" (option "
                        "stats_to)\nwent on\n");
    assert_int_equal(run_of("raise", "stats_signal=10,stats_to=/dev/full"), 0);
    assert_string_equal(text, "poolmalloc: cannot write statistics to \"/dev/full\" (option "
                              "stats_to)\nwent on\n");
}

/* ---- the other runs ---- */

static int allocate(void)
{
    for (int i = 0; i < 123; i++)
        pm_free(pm_malloc(100));
    return 0;
}

static int raise_it(void)
{
    void *block = pm_malloc(100);
    raise(SIGUSR1);
    pm_free(block);
    fprintf(stderr, "went on\n");
    return 0;
}

static int raise_frozen(void)
{
    void *block = pm_malloc(100);
    struct pm_stats stats;
    require(pm_stats_get(&stats)); /* which counts it */
    pm_arena_freeze();
    raise(SIGUSR1);
    pm_arena_thaw();
    pm_free(block);
    fprintf(stderr, "went on\n");
    return 0;
}

enum { STORM_SLOTS = 500, SIGNALS = PM_TSAN ? 50 : 400 };

static _Atomic bool enough;

static void *change(void *arg)
{
    static __thread void *slots[STORM_SLOTS];
    uint64_t state = (uintptr_t)arg;
    while (!enough) {
        void **slot = &slots[test_random_below(&state, STORM_SLOTS)];
        pm_free(*slot);
        *slot = pm_malloc((size_t)8 << test_random_below(&state, 14));
        require(*slot != NULL);
    }
    for (int i = 0; i < STORM_SLOTS; i++)
        pm_free(slots[i]);
    return NULL;
}

/* Signals to threads that allocate all the time; in the end nothing is lost. */
static int storm(void)
{
    pthread_t threads[3];
    for (uintptr_t i = 0; i < 3; i++)
        require(pthread_create(&threads[i], NULL, change, (void *)(i + 1)) == 0);
    for (int i = 0; i < SIGNALS; i++) {
        require(pthread_kill(threads[i % 3], SIGUSR1) == 0);
        pm_free(pm_malloc(100));
        usleep(100); /* so that a report is over now and then */
    }
    enough = true;
    for (int i = 0; i < 3; i++)
        require(pthread_join(threads[i], NULL) == 0);
    pm_purge();
    struct pm_stats s;
    require(pm_stats_get(&s) && pm_check());
    require(s.live_blocks == 0 && s.spans == 0 && s.free_bytes == s.arenas * s.arena_bytes);
    fprintf(stderr, "went on\n");
    return 0;
}

static int raise_nothing(void)
{
    pm_free(pm_malloc(100));
    return 0;
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } runs[] = {{"allocate", allocate},
                {"raise", raise_it},
                {"raise_nothing", raise_nothing},
                {"frozen", raise_frozen},
                {"storm", storm}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_form_at_exit_is_the_options),
        cmocka_unit_test(nothing_is_written_unasked),
        cmocka_unit_test(a_signal_writes_a_report_and_the_program_goes_on),
        cmocka_unit_test(a_signal_inside_the_arena_lock_shows_all_but_the_arenas),
        cmocka_unit_test(a_signal_inside_a_slow_path_changes_nothing_there),
        cmocka_unit_test(a_signal_that_cannot_be_caught_is_warned_of),
        cmocka_unit_test(a_file_that_cannot_be_written_is_no_error_of_the_program),
    };
    for (size_t i = 0; count > 1 && i < sizeof runs / sizeof *runs; i++) {
        if (strcmp(arguments[1], runs[i].name) == 0)
            return runs[i].run();
    }
    if (test_emulated())
        return test_starts_nothing();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
