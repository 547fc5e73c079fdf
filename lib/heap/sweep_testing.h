/* SPDX-License-Identifier: MIT */
/* A scenario over and over, while each of its calls to the system fails in turn. Only
 * x_fault_test.c files include it. */
#ifndef PM_HEAP_SWEEP_TESTING_H
#define PM_HEAP_SWEEP_TESTING_H

#include "heap/testing.h"
#include "os/os.h"

#if PM_OS_FAULT

/* The scenario says how many requests were refused. */
struct test_sweep {
    unsigned (*scenario)(void);
    unsigned nth;
    bool for_good;
};

static inline void test_sweep_start(void)
{
    pm_options.window_bytes = 4 * PM_ARENA_BYTES; /* small: windows are added, too */
    pm_options.keep_bytes = 0;
}

static inline void test_sweep_run(const void *arg)
{
    const struct test_sweep *sweep = arg;
    test_sweep_start();
    pm_os_fault_set(sweep->nth, sweep->for_good);
    unsigned without = sweep->scenario();
    require(sweep->for_good || without <= 1);
    pm_os_fault_set(0, false);
    require(sweep->scenario() == 0 && test_nothing_is_lost());
}

static inline void test_sweep_count(const void *arg)
{
    const struct test_sweep *sweep = arg;
    test_sweep_start();
    pm_os_fault_set(0, false);
    require(sweep->scenario() == 0);
    fprintf(stderr, "%u", pm_os_fault_calls());
}

/* Fails each call in turn, once or for good, and each time looks whether all comes back. */
static inline void test_sweep(unsigned (*scenario)(void), bool for_good)
{
    char text[1000];
    struct test_sweep sweep = {scenario, 0, for_good};
    require(test_stderr_of(test_sweep_count, &sweep, text, sizeof text) == 0);
    unsigned calls = (unsigned)strtoul(text, NULL, 10);
    require(calls > 10);
    for (sweep.nth = 1; sweep.nth <= calls; sweep.nth++) {
        int status = test_stderr_of(test_sweep_run, &sweep, text, sizeof text);
        if (status != 0)
            fprintf(stderr, "call %u of %u: status %d\n%s", sweep.nth, calls, status, text);
        require(status == 0);
    }
}

#endif

#endif
