/* SPDX-License-Identifier: MIT */
/*
 * Tests of how a program ends that uses the C interface to Google Benchmark: each is a child of
 * this one. It registers two benchmarks, and runs the one that passes unless an option selects
 * others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gbench.h"

static void passes(struct gbench_state *state, void *context)
{
    (void)context;
    while (gbench_keep_running(state))
        ;
}

static void skips(struct gbench_state *state, void *context)
{
    (void)context;
    gbench_skip(state, "not on this machine");
    while (gbench_keep_running(state))
        ;
}

static int selected_end(char *option)
{
    char *argv[] = {"gbench_exit_test", "--benchmark_filter=^passes", option, NULL};
    int argc = 3;
    gbench_iterations(gbench_register("passes", passes, NULL), 1);
    gbench_iterations(gbench_register("skips", skips, NULL), 1);
    return gbench_run(&argc, argv);
}

/* They are never called. */
static int hooks_end(uintptr_t count)
{
    struct gbench *bench = gbench_register("passes", passes, NULL);
    for (uintptr_t i = 1; i <= count; i++)
        gbench_setup(bench, (gbench_hook_fn *)i);
    return 0;
}

/* The exit status of a child that ends as `option` or, without one, so many hooks make it. */
static int status_of(char *option, uintptr_t hook_count)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        _exit(option != NULL ? selected_end(option) : hooks_end(hook_count));
    }
    int ended = 0;
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFEXITED(ended));
    return WEXITSTATUS(ended);
}

static void a_run_without_failure_ends_with_0(void **unused)
{
    (void)unused;
    assert_int_equal(status_of("--benchmark_filter=^passes", 0), 0);
}

static void one_skipped_run_of_several_ends_with_1(void **unused)
{
    (void)unused;
    assert_int_equal(status_of("--benchmark_filter=.", 0), 1);
}

static void nothing_selected_ends_with_1(void **unused)
{
    (void)unused;
    assert_int_equal(status_of("--benchmark_filter=^none", 0), 1);
}

static void an_unknown_option_ends_with_1(void **unused)
{
    (void)unused;
    assert_int_equal(status_of("--unknown", 0), 1);
}

static void one_hook_too_many_is_fatal(void **unused)
{
    (void)unused;
    assert_int_equal(status_of(NULL, GBENCH_HOOKS_MAX), 0);
    assert_int_equal(status_of(NULL, GBENCH_HOOKS_MAX + 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_without_failure_ends_with_0),
        cmocka_unit_test(one_skipped_run_of_several_ends_with_1),
        cmocka_unit_test(nothing_selected_ends_with_1),
        cmocka_unit_test(an_unknown_option_ends_with_1),
        cmocka_unit_test(one_hook_too_many_is_fatal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
