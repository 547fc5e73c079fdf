/* SPDX-License-Identifier: MIT */
/* The fault-injecting double: what it counts, and which calls fail. */
#include "base/testing.h"
#include "os/os.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { CALLS = 4 };

/* One call of each kind that can fail; bit i: call i + 1 was refused. The page is committed. */
static unsigned refused_calls(char *page)
{
    size_t bytes = pm_os_page_bytes();
    unsigned refused = 0;
    void *fresh = pm_os_reserve(bytes, bytes);
    refused |= (fresh == NULL) << 0;
    refused |= !pm_os_make_readable(page, bytes) << 1;
    refused |= !pm_os_commit(page, bytes) << 2;
    refused |= !pm_os_purge(page, bytes) << 3;
    if (fresh != NULL)
        pm_os_release(fresh, bytes);
    return refused;
}

static char *new_page(void)
{
    pm_os_fault_set(0, false);
    char *page = pm_os_reserve(pm_os_page_bytes(), pm_os_page_bytes());
    assert_non_null(page);
    assert_true(pm_os_commit(page, pm_os_page_bytes()));
    return page;
}

static void switched_off_it_counts_and_refuses_nothing(void **state)
{
    char *page = new_page();
    (void)state;
    pm_os_fault_set(0, true);
    assert_int_equal(refused_calls(page), 0);
    assert_int_equal(pm_os_fault_calls(), CALLS);
    pm_os_fault_set(0, false);
    assert_int_equal(pm_os_fault_calls(), 0);
    pm_os_release(page, pm_os_page_bytes());
}

static void the_nth_call_fails_once(void **state)
{
    char *page = new_page();
    (void)state;
    for (unsigned nth = 1; nth <= CALLS; nth++) {
        pm_os_fault_set(nth, false);
        assert_int_equal(refused_calls(page), 1u << (nth - 1));
        assert_int_equal(refused_calls(page), 0);
    }
    pm_os_release(page, pm_os_page_bytes());
}

static void from_the_nth_call_on_all_fail_for_good(void **state)
{
    char *page = new_page();
    unsigned all = (1u << CALLS) - 1;
    (void)state;
    for (unsigned nth = 1; nth <= CALLS; nth++) {
        pm_os_fault_set(nth, true);
        assert_int_equal(refused_calls(page), all & ~((1u << (nth - 1)) - 1));
        assert_int_equal(refused_calls(page), all);
        pm_os_fault_set(0, false);
        assert_int_equal(refused_calls(page), 0);
    }
    pm_os_release(page, pm_os_page_bytes());
}

static void a_failed_call_changes_nothing_and_preserves_errno(void **state)
{
    char *page = new_page();
    (void)state;
    *page = 7;
    errno = EDOM;
    pm_os_fault_set(1, true);
    refused_calls(page);
    assert_int_equal(*page, 7);
    *page = 8; /* still writable */
    assert_int_equal(errno, EDOM);
    pm_os_fault_set(0, false);
    pm_os_release(page, pm_os_page_bytes());
}

static void only_the_kinds_asked_for_are_counted_and_refused(void **state)
{
    char *page = new_page();
    (void)state;
    pm_os_fault_set_kinds(1u << PM_OS_COMMIT | 1u << PM_OS_PURGE, 2, true);
    assert_int_equal(refused_calls(page), 1u << PM_OS_PURGE);
    assert_int_equal(pm_os_fault_calls(), 2);
    assert_int_equal(refused_calls(page), 1u << PM_OS_COMMIT | 1u << PM_OS_PURGE);
    assert_int_equal(pm_os_fault_calls(), 4);
    pm_os_fault_set(0, false);
    assert_int_equal(refused_calls(page), 0);
    assert_int_equal(pm_os_fault_calls(), CALLS);
    pm_os_release(page, pm_os_page_bytes());
}

static void a_refused_release_leaves_the_address_space_reserved(void **state)
{
    char *page = new_page();
    (void)state;
    *page = 7;
    errno = EDOM;
    pm_os_fault_set_kinds(1u << PM_OS_RELEASE, 1, false);
    pm_os_release(page, pm_os_page_bytes());
    assert_int_equal(pm_os_fault_calls(), 1);
    assert_int_equal(*page, 7);
    assert_int_equal(errno, EDOM);
    pm_os_fault_set(0, false);
    pm_os_release(page, pm_os_page_bytes());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(switched_off_it_counts_and_refuses_nothing),
        cmocka_unit_test(the_nth_call_fails_once),
        cmocka_unit_test(from_the_nth_call_on_all_fail_for_good),
        cmocka_unit_test(a_failed_call_changes_nothing_and_preserves_errno),
        cmocka_unit_test(only_the_kinds_asked_for_are_counted_and_refused),
        cmocka_unit_test(a_refused_release_leaves_the_address_space_reserved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
