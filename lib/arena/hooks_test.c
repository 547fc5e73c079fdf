/* SPDX-License-Identifier: MIT */
/* Whose arenas are added when hooks come and go. */
#include "arena/hooks_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct test_book book;

static void *take_arenas(size_t arenas)
{
    bool zero = false;
    void *span = pm_span_alloc(arenas * PM_ARENA_BYTES, 1, &zero);
    require(span != NULL && zero);
    return span;
}

ISOLATED(hooks_that_are_set_before_the_start_make_the_first_window_as_large_as_they_like)
{
    book.fail_nth = 1; /* half as large serves, too */
    test_open_book(&book);
    test_arena_start(64);
    require(book.reserves == 2 && test_in_book(&book, take_arenas(1)));
    require(test_in_book(&book, (void *)pm_window_base(&pm_window)));
    require(test_arena_stats().bytes_reserved < 64 * PM_ARENA_BYTES);
}

ISOLATED(windows_are_added_to_while_those_who_made_them_are_in_force)
{
    struct pm_page_hooks hooks = test_book_hooks(&book);
    test_arena_start(64);
    char *first = take_arenas(1);
    test_open_book(&book);
    char *hooked = take_arenas(1);
    require(pm_window_find(first) == &pm_window && pm_window_find(hooked) != &pm_window);
    require(pm_set_page_hooks(NULL));
    require(pm_window_find(take_arenas(1)) == &pm_window);
    require(pm_set_page_hooks(&hooks));
    require(pm_window_find(take_arenas(1)) == pm_window_find(hooked));
    require(book.reserves == 1 && pm_arena_check());
}

ISOLATED(free_arenas_of_the_first_window_serve_while_hooks_are_in_force)
{
    struct pm_run run, more;
    test_arena_start(64);
    pm_span_free(&pm_window, take_arenas(2), "free");
    require(pm_arena_purge_all() == true);
    test_open_book(&book);
    for (int i = 0; i < 2; i++)
        require(pm_arena_take_run(PM_ARENA_UNITS - 1, &run) && !test_in_book(&book, run.base));
    require(pm_arena_take_run(PM_ARENA_UNITS - 1, &run) && test_in_book(&book, run.base));
    require(pm_arena_take_run(PM_ARENA_UNITS - 1, &more));
    run.dirty = ~(uint64_t)0;
    pm_arena_give_run(&run);
    require(pm_arena_purge_all() && pm_arena_take_run(PM_ARENA_UNITS - 1, &run));
    require(run.dirty == 0 && pm_window_find(run.base) == pm_window_find(more.base));
    require(pm_arena_check());
}

/* Found by the address that follows: windows with more alignment than arenas. */
ISOLATED(aligned_arenas_of_hooks_are_cut_from_what_is_released_as_a_whole_only)
{
    bool zero = false;
    test_arena_start(1);
    test_open_book(&book);
    for (size_t align = 1; align <= 64; align *= 2) {
        char *span = pm_span_alloc(PM_ARENA_BYTES, align * PM_ARENA_BYTES, &zero);
        require((uintptr_t)span % (align * PM_ARENA_BYTES) == 0 && test_in_book(&book, span));
        test_dirty(span, PM_ARENA_BYTES);
    }
    require(book.releases == 0 && pm_arena_check());
    book.fail_nth = book.calls + 2; /* the routes of the next window */
    require(pm_span_alloc(PM_ARENA_BYTES << 12, 1, &zero) == NULL || book.releases == 1);
}

static void *misaligned(void *context, size_t bytes, size_t alignment)
{
    return (char *)test_book_reserve(context, bytes + alignment, alignment) + 4096;
}

static void count_release(void *context, void *start, size_t bytes)
{
    struct test_book *counted = context;
    counted->releases++;
    (void)start, (void)bytes;
}

ISOLATED(what_is_not_aligned_as_it_was_asked_for_goes_back_and_counts_as_refused)
{
    struct pm_page_hooks hooks = test_book_hooks(&book);
    bool zero = false;
    test_arena_start(1);
    test_open_book(&book);
    hooks.reserve = misaligned;
    hooks.release = count_release;
    require(pm_set_page_hooks(&hooks));
    require(pm_span_alloc(2 * PM_ARENA_BYTES, 1, &zero) == NULL);
    require(book.releases > 0 && book.releases == book.reserves && pm_arena_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            hooks_that_are_set_before_the_start_make_the_first_window_as_large_as_they_like),
        cmocka_unit_test(windows_are_added_to_while_those_who_made_them_are_in_force),
        cmocka_unit_test(free_arenas_of_the_first_window_serve_while_hooks_are_in_force),
        cmocka_unit_test(aligned_arenas_of_hooks_are_cut_from_what_is_released_as_a_whole_only),
        cmocka_unit_test(what_is_not_aligned_as_it_was_asked_for_goes_back_and_counts_as_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
