/* SPDX-License-Identifier: MIT */
/* What tracing promises (poolmalloc/trace.h), to the byte. */
#include "tools/trace_testing.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

ISOLATED(nothing_is_traced_until_it_is_started_nor_after_it_is_stopped)
{
    size_t a = 1, b = 1;
    void *p = pm_malloc(SIZE);
    require(!pm_trace_is_on() && pm_trace_limit() == 0 && pm_trace_own_bytes() == 0);
    pm_trace_memory(&a, &b);
    require(a == 0 && b == 0 && !is_traced(PM_TRACE_MALLOC, p));
    require(!pm_trace_track(OTHER, p, 1) && !pm_trace_untrack(OTHER, p));
    pm_trace_stop();
    require(pm_trace_start(FRAMES) && pm_trace_is_on() && pm_trace_limit() == FRAMES);
    require(pm_trace_start(1) && pm_trace_limit() == FRAMES); /* as it was */
    require(pm_trace_own_bytes() > 0);
    void *q = pm_malloc(SIZE);
    require(!is_traced(PM_TRACE_MALLOC, p) && is_traced(PM_TRACE_MALLOC, q));
    pm_free(p);
    require(current() == SIZE);
    pm_trace_stop();
    require(!pm_trace_is_on() && !is_traced(PM_TRACE_MALLOC, q) && current() == 0);
    struct seen none = {.domain = PM_TRACE_DOMAINS};
    require(!pm_trace_each(see, &none));
    pm_free(q);
    require(pm_trace_start(2) && pm_trace_limit() == 2 && current() == 0);
}

ISOLATED(a_number_of_frames_that_is_none_is_refused)
{
    errno = 0;
    require(!pm_trace_start(0) && errno == EINVAL);
    require(!pm_trace_start(PM_TRACE_FRAMES_MAX + 1) && errno == EINVAL);
    require(!pm_trace_is_on() && pm_trace_start(PM_TRACE_FRAMES_MAX));
}

ISOLATED(every_size_counts_as_it_was_asked_for)
{
    static const size_t sizes[] = {0,    1,     16,      17,      1024,    1025,           5000,
                                   9000, 70000, 1048574, 1048575, 1048576, PM_ARENA_BYTES, LARGE};
    size_t sum = 0;
    void *blocks[sizeof sizes / sizeof *sizes];
    start();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        blocks[i] = pm_malloc(sizes[i]);
        sum += sizes[i];
        require(current() == sum && peak() == sum);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        require_traced(PM_TRACE_MALLOC, blocks[i], sizes[i]);
    require_seen(PM_TRACE_DOMAINS, sizeof sizes / sizeof *sizes, sum);
    size_t most = sum;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pm_free(blocks[i]);
        sum -= sizes[i];
        require(current() == sum && peak() == most && !is_traced(PM_TRACE_MALLOC, blocks[i]));
    }
    require(sum == 0);
    require_seen(PM_TRACE_DOMAINS, 0, 0);
}

ISOLATED(all_functions_that_make_blocks_are_traced)
{
    void *blocks[MANY], *aligned;
    start();
    void *zero = pm_calloc(7, 9);
    require_traced(PM_TRACE_MALLOC, zero, 63);
    require(pm_posix_memalign(&aligned, 4096, 100) == 0);
    require_traced(PM_TRACE_MALLOC, aligned, 100);
    void *array = pm_reallocarray(NULL, 3, 5);
    require_traced(PM_TRACE_MALLOC, array, 15);
    require(pm_malloc_batch(SIZE, MANY, blocks) == MANY);
    require(current() == 63 + 100 + 15 + MANY * SIZE);
    require_traced(PM_TRACE_MALLOC, blocks[MANY - 1], SIZE);
    pm_free_batch(blocks, MANY);
    pm_free_sized(zero, 63);
    pm_free_aligned_sized(aligned, 4096, 100);
    pm_free(array);
    pm_free(NULL);
    require(current() == 0);
    require(pm_malloc((size_t)PTRDIFF_MAX + 1) == NULL && current() == 0);
}

ISOLATED(realloc_traces_the_new_size_by_the_new_stack_and_a_failed_one_leaves_all)
{
    start();
    char *p = pm_malloc(SIZE), *old = pm_malloc(LARGE);
    for (size_t bytes = 1; bytes < LARGE; bytes = 3 * bytes + 5) {
        p = pm_realloc(p, bytes);
        require_traced(PM_TRACE_MALLOC, p, bytes);
        require(current() == bytes + LARGE);
    }
    size_t before = current(), most = peak();
    require(pm_realloc(old, PTRDIFF_MAX) == NULL);
    require_traced(PM_TRACE_MALLOC, old, LARGE);
    require(current() == before && peak() == most);
    require(pm_realloc(old, 0) == NULL); /* frees */
    require(current() == before - LARGE);
    pm_trace_stop();
    require(pm_trace_start(FRAMES));
    p = pm_realloc(p, 2 * SIZE); /* which was made before */
    require_traced(PM_TRACE_MALLOC, p, 2 * SIZE);
    require(current() == 2 * SIZE);
}

ISOLATED(the_peak_is_exact_and_can_be_reset)
{
    uint64_t random = 1;
    void *blocks[MANY] = {NULL};
    size_t sizes[MANY] = {0}, sum = 0, most = 0;
    start();
    for (unsigned i = 0; i < 20 * MANY; i++) {
        size_t at = test_random_below(&random, MANY);
        pm_free(blocks[at]);
        sum -= sizes[at];
        sizes[at] = test_random_below(&random, i % 100 == 0 ? 50000 : 600);
        blocks[at] = pm_malloc(sizes[at]);
        sum += sizes[at];
        most = sum > most ? sum : most;
        require(current() == sum && peak() == most);
        if (i % 777 == 0) {
            pm_trace_reset_peak();
            most = sum;
            require(current() == sum && peak() == most);
        }
    }
}

ISOLATED(clear_drops_all_and_goes_on)
{
    start();
    void *p = pm_malloc(SIZE);
    for (unsigned i = 0; i < 2 * PM_TRACE_EPOCHS; i++) { /* the numbers of epochs come again */
        void *q = pm_malloc(LARGE);
        pm_trace_clear();
        require(pm_trace_is_on() && current() == 0 && peak() == 0);
        require(!is_traced(PM_TRACE_MALLOC, p) && !is_traced(PM_TRACE_MALLOC, q));
        pm_free(q);
        require(current() == 0);
    }
    pm_free(p);
    require_seen(PM_TRACE_DOMAINS, 0, 0);
    p = pm_malloc(SIZE);
    require(current() == SIZE && is_traced(PM_TRACE_MALLOC, p));
}

ISOLATED(what_an_interior_pointer_leads_to_is_no_trace)
{
    start();
    char *p = pm_malloc(500), *q = pm_malloc(LARGE);
    for (size_t i = 1; i < 500; i++)
        require(!is_traced(PM_TRACE_MALLOC, p + i));
    for (size_t i = 1; i < 500; i++)
        require(!is_traced(PM_TRACE_MALLOC, q + i));
    require(!is_traced(PM_TRACE_MALLOC, NULL) && !is_traced(PM_TRACE_MALLOC, &p));
}

/* ---- fork, signals ---- */

ISOLATED(the_child_of_a_fork_keeps_its_traces_and_goes_on)
{
    int status;
    start();
    void *p = pm_malloc(SIZE);
    pid_t child = fork();
    if (child == 0) {
        require_traced(PM_TRACE_MALLOC, p, SIZE);
        void *q = pm_malloc(LARGE);
        require(current() == SIZE + LARGE);
        pm_free(p);
        pm_free(q);
        require(current() == 0 && peak() == SIZE + LARGE);
        _exit(0);
    }
    require(waitpid(child, &status, 0) == child && status == 0);
    require(current() == SIZE);
}

static void *handled;

static void on_signal(int number)
{
    (void)number;
    handled = pm_malloc(SIZE);
    pm_free(pm_malloc(2 * SIZE));
}

/* Once inside the tracing, where it is not traced, and once outside. */
ISOLATED(a_handler_that_allocates_is_traced_unless_it_interrupted_the_tracing)
{
    start();
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    require_traced(PM_TRACE_MALLOC, handled, SIZE);
    require(current() == SIZE);
    pm_free(handled);
    pm_trace_busy = true;
    raise(SIGUSR1);
    require(!pm_trace_track(OTHER, handled, 1));
    pm_trace_busy = false;
    require(!is_traced(PM_TRACE_MALLOC, handled) && current() == 0);
    pm_free(handled);
    require(current() == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_traced_until_it_is_started_nor_after_it_is_stopped),
        cmocka_unit_test(a_number_of_frames_that_is_none_is_refused),
        cmocka_unit_test(every_size_counts_as_it_was_asked_for),
        cmocka_unit_test(all_functions_that_make_blocks_are_traced),
        cmocka_unit_test(realloc_traces_the_new_size_by_the_new_stack_and_a_failed_one_leaves_all),
        cmocka_unit_test(the_peak_is_exact_and_can_be_reset),
        cmocka_unit_test(clear_drops_all_and_goes_on),
        cmocka_unit_test(what_an_interior_pointer_leads_to_is_no_trace),
        cmocka_unit_test(the_child_of_a_fork_keeps_its_traces_and_goes_on),
        cmocka_unit_test(a_handler_that_allocates_is_traced_unless_it_interrupted_the_tracing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
