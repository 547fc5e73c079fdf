/* SPDX-License-Identifier: MIT */
/* A system that refuses memory: the profiler says no, or drops a sample; the program goes on. */
#include "os/os.h"
#include "poolmalloc/poolmalloc.h"
#include "tools/profile_testing.h"
#include "tools/profile_internal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Each call for memory of the start is refused, once or for good. */
static void start_refused(unsigned nth, bool for_good, bool *started)
{
    pm_free(pm_malloc(100));
    pm_os_fault_set(nth, for_good);
    errno = 0;
    *started = pm_profile_start(1);
    require(*started || errno == ENOMEM);
    require(pm_profile_is_on() == *started);
    bool reached = pm_os_fault_calls() >= nth;
    pm_os_fault_set(0, false);
    require(pm_profile_start(1)); /* there is memory again */
    void *block = pm_malloc(100);
    require(test_profile_now().head.live_blocks == 1);
    pm_free(block);
    require(test_profile_now().head.live_blocks == 0 && pm_profile_table_check());
    exit(reached ? 0 : 1);
}

static void sweep(bool for_good)
{
    unsigned nth = 0;
    int status = 0;
    do {
        bool started;
        nth++;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            test_become_child();
            start_refused(nth, for_good, &started);
        }
        require(child > 0 && waitpid(child, &status, 0) == child);
        require(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    } while (WEXITSTATUS(status) == 0);
    require(nth > 4);
}

static void a_start_that_is_refused_memory_can_be_tried_again(void **state)
{
    (void)state;
    sweep(false);
    sweep(true);
}

ISOLATED(samples_that_find_no_memory_are_dropped_and_counted)
{
    enum { BLOCKS = 200000 };
    if (PM_TSAN)
        test_skipped("one thread, and too many samples for ThreadSanitizer");
    void **blocks = pm_malloc(BLOCKS * sizeof *blocks);
    require(blocks != NULL && pm_profile_start(1));
    pm_free(pm_malloc(100));
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (i == BLOCKS / 2) /* there are arenas enough, but no further lines of the table */
            pm_os_fault_set_kinds(1u << PM_OS_COMMIT, 1, true);
        blocks[i] = pm_malloc(16);
        if (blocks[i] == NULL) /* now there are not */
            break;
    }
    struct test_profile now = test_profile_now();
    pm_os_fault_set(0, false);
    require(pm_profile_dropped() > 0 && now.dropped == pm_profile_dropped());
    require(now.head.live_blocks >= BLOCKS / 2 && now.head.live_blocks < BLOCKS);
    for (unsigned i = 0; i < BLOCKS && blocks[i] != NULL; i++)
        pm_free(blocks[i]);
    require(test_profile_now().head.live_blocks == 0);
}

static void ask_for_a_page(const void *arg)
{
    (void)arg;
    strcpy(pm_options.profile_page, "on");
    pm_os_fault_set_kinds(1u << PM_OS_SHARE, 1, true);
    pm_profile_page_start();
    require(pm_profile_start(1));
    void *block = pm_malloc(100);
    require(test_profile_now().head.live_blocks == 1);
    pm_free(block);
}

static void a_page_that_is_refused_is_warned_of(void **state)
{
    char text[1000];
    (void)state;
    assert_int_equal(test_stderr_of(ask_for_a_page, NULL, text, sizeof text), 0);
    assert_string_equal(text, "poolmalloc: no profile page (option profile_page): the system gives "
                              "no shared memory\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_that_is_refused_memory_can_be_tried_again),
        cmocka_unit_test(samples_that_find_no_memory_are_dropped_and_counted),
        cmocka_unit_test(a_page_that_is_refused_is_warned_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
