/* SPDX-License-Identifier: MIT */
/* The machine that the double pretends to be: larger pages, fewer address bits. */
#include "base/testing.h"
#include "os/os.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* AddressSanitizer has its shadow at the lower addresses. */
#ifdef __SANITIZE_ADDRESS__
#define BITS 47
#else
#define BITS 39
#endif
#define TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number

enum { PAGE = 1 << 16 };
#define END ((uintptr_t)1 << BITS)

static char *new_pages(void)
{
    pm_os_double_set_machine(PAGE, BITS);
    char *pages = pm_os_reserve(2 * PAGE, PAGE);
    require(pages != NULL && pm_os_commit(pages, 2 * PAGE));
    return pages;
}

ISOLATED(pages_are_as_large_as_was_asked_for)
{
    pm_os_double_set_machine(PAGE, 0);
    require(pm_os_page_bytes() == PAGE);
}

ISOLATED(pages_smaller_than_the_systems_are_the_systems)
{
    pm_os_double_set_machine(1, 0);
    require(pm_os_page_bytes() > 1);
}

ISOLATED(the_environment_says_what_the_machine_is)
{
    require(setenv("POOLMALLOC_OS_DOUBLE", "page_bytes=65536,address_bits=" TEXT(BITS), 1) == 0);
    char *pages = pm_os_reserve(PAGE, PAGE);
    require(pages != NULL && (uintptr_t)pages <= END - PAGE);
    require(pm_os_page_bytes() == PAGE);
}

static void start_with(const void *setting)
{
    setenv("POOLMALLOC_OS_DOUBLE", setting, 1);
    pm_os_page_bytes();
}

ISOLATED(a_machine_that_cannot_be_is_refused)
{
    require(test_aborts(start_with, "page_bytes=65537", "power of two"));
    require(test_aborts(start_with, "address_bits=64", "32 to 47"));
}

ISOLATED(reservations_lie_below_the_last_address_and_apart)
{
    char *one = new_pages(), *other = new_pages();
    require((uintptr_t)one <= END - 2 * PAGE && (uintptr_t)other <= END - 2 * PAGE);
    require((uintptr_t)one % PAGE == 0 && (uintptr_t)other % PAGE == 0);
    memset(one, 1, 2 * PAGE);
    memset(other, 2, 2 * PAGE);
    require(one[0] == 1 && one[2 * PAGE - 1] == 1);
}

ISOLATED(more_than_the_address_space_is_refused)
{
#ifdef __SANITIZE_ADDRESS__
    test_skipped("AddressSanitizer writes its shadow for each reservation");
#endif
    pm_os_double_set_machine(PAGE, BITS);
    errno = EDOM;
    require(pm_os_reserve(END, PAGE) == NULL && errno == EDOM);
    require(pm_os_reserve(END / 4, PAGE) != NULL);
    require(pm_os_reserve(END / 4, PAGE) != NULL);
    require(pm_os_reserve(END / 2, PAGE) == NULL);
}

static void purge_a_small_page(const void *pages)
{
    pm_os_purge((char *)(uintptr_t)pages + 4096, 4096);
}

static void commit_a_small_page(const void *pages)
{
    pm_os_commit((char *)(uintptr_t)pages, 4096);
}

static void decommit_a_small_page(const void *pages)
{
    pm_os_decommit((char *)(uintptr_t)pages, 4096);
}

static void release_a_small_page(const void *pages)
{
    pm_os_release((char *)(uintptr_t)pages + PAGE, PAGE - 4096);
}

static void reserve_a_small_page(const void *pages)
{
    (void)pages;
    pm_os_reserve(4096, 4096);
}

static void advise_a_small_page(const void *pages)
{
    pm_os_advise_huge((char *)(uintptr_t)pages, 4096, false);
}

static void move_a_small_page(const void *pages)
{
    bool lost;
    pm_os_move_pages((char *)(uintptr_t)pages, (char *)(uintptr_t)pages + PAGE, 4096, &lost);
}

ISOLATED(calls_for_parts_of_pages_end_the_process)
{
    static void (*const calls[])(const void *) = {
        purge_a_small_page,   commit_a_small_page, decommit_a_small_page, release_a_small_page,
        reserve_a_small_page, advise_a_small_page, move_a_small_page,
    };
    char *pages = new_pages(), text[1024];
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        int status = test_stderr_of(calls[i], pages, text, sizeof text);
        require(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        require(strstr(text, "not whole pages") != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_are_as_large_as_was_asked_for),
        cmocka_unit_test(pages_smaller_than_the_systems_are_the_systems),
        cmocka_unit_test(the_environment_says_what_the_machine_is),
        cmocka_unit_test(a_machine_that_cannot_be_is_refused),
        cmocka_unit_test(reservations_lie_below_the_last_address_and_apart),
        cmocka_unit_test(more_than_the_address_space_is_refused),
        cmocka_unit_test(calls_for_parts_of_pages_end_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
