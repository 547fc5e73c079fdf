/* SPDX-License-Identifier: MIT */
/* A system that gives no shared memory, at the start or to a child: one line, and no page. */
#include "os/os.h"
#include "tools/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void limit_files_to(rlim_t bytes)
{
    struct rlimit limit;
    require(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    require(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void start_refused(const void *limit_files)
{
    if (limit_files != NULL)
        limit_files_to(100);
    else
        pm_os_fault_set_kinds(1u << PM_OS_SHARE, 1, true);
    test_start_page();
    for (int i = 0; i < 100000; i++)
        pm_free(pm_malloc(100)); /* nobody tries again */
    if (limit_files == NULL)
        require(pm_os_fault_calls() == 1);
    require(test_open_page(getpid(), O_RDONLY) < 0);
    if (limit_files != NULL)
        limit_files_to(RLIM_INFINITY); /* coverage is written to a file */
}

static const char line[] =
    "poolmalloc: no statistics page (option stats_page): the system gives no shared memory\n";

ISOLATED(a_refused_page_is_warned_of_once_and_the_program_goes_on)
{
    char text[1000];
    require(test_stderr_of(start_refused, NULL, text, sizeof text) == 0);
    require(strcmp(text, line) == 0);
}

/* Which would else end the program by a signal. */
ISOLATED(a_limit_on_files_that_leaves_no_room_is_a_refusal)
{
    char text[1000];
    if (test_emulated()) /* which says that it set it */
        test_skipped("the emulator sets no limits");
    require(test_stderr_of(start_refused, "limit", text, sizeof text) == 0);
    require(strcmp(text, line) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_page_is_warned_of_once_and_the_program_goes_on),
        cmocka_unit_test(a_limit_on_files_that_leaves_no_room_is_a_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
