/* SPDX-License-Identifier: MIT */
/* Guarded blocks of a system that refuses. */
#include "tools/guarded_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void start_fails(const void *argument)
{
    (void)argument;
    for (unsigned nth = 1;; nth++) {
        pm_os_fault_set(nth, true);
        bool started = pm_guarded_start(1);
        pm_os_fault_set(0, false);
        if (started)
            break;
        require(pm_guarded_range.bytes == 0 && test_guarded_ask(1, 1) == NULL);
    }
}

static void a_start_without_memory_is_told_and_nothing_is_guarded(void **state)
{
    static const char line[] =
        "poolmalloc: no guarded blocks (option guarded_one_in): out of memory\n";
    char text[1024];
    (void)state;
    assert_int_equal(test_stderr_of(start_fails, NULL, text, sizeof text), 0);
    unsigned lines = 0;
    for (const char *at = text; strncmp(at, line, sizeof line - 1) == 0; at += sizeof line - 1)
        lines++;
    assert_int_equal(strlen(text), lines * (sizeof line - 1));
    assert_int_equal(lines, 3); /* two reservations and a commit */
}

ISOLATED(a_block_without_memory_is_not_guarded_and_the_slot_stays)
{
    test_guarded_start(1);
    for (unsigned i = 0; i < 4 * TEST_SLOTS; i++) {
        pm_os_fault_set_kinds(1u << PM_OS_COMMIT, 1, true);
        require(test_guarded_ask(1, 1) == NULL);
        pm_os_fault_set(0, false);
        pm_free(test_guarded(1));
    }
    require(pm_load_relaxed(&pm_guarded_table.live) == 0);
}

/* Its contents are gone all the same where the system drops them. */
ISOLATED(what_cannot_be_made_untouchable_is_never_used_again)
{
    test_guarded_start(1);
    char *block = test_guarded(100);
    memset(block, 'x', 100);
    pm_os_fault_set_kinds(1u << PM_OS_DECOMMIT, 1, true);
    pm_free(block);
    pm_os_fault_set(0, false);
    require(block[0] == 0 && !pm_owns(block));
    for (unsigned i = 0; i < 4 * TEST_SLOTS; i++) {
        char *other = test_guarded(100);
        require(test_slot_of(other) != test_slot_of(block));
        pm_free(other);
    }
}

static void free_twice(const void *argument)
{
    (void)argument;
    test_guarded_start(1);
    char *block = test_guarded(100);
    pm_os_fault_set_kinds(1u << PM_OS_DECOMMIT, 1, true);
    pm_free(block);
    pm_free(block);
}

static void a_second_free_of_it_is_told(void **state)
{
    static char text[1 << 14];
    (void)state;
    int status = test_stderr_of(free_twice, NULL, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "freed already"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_without_memory_is_told_and_nothing_is_guarded),
        cmocka_unit_test(a_block_without_memory_is_not_guarded_and_the_slot_stays),
        cmocka_unit_test(what_cannot_be_made_untouchable_is_never_used_again),
        cmocka_unit_test(a_second_free_of_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
