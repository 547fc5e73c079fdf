/* SPDX-License-Identifier: MIT */
/* Page hooks: what is taken from the system goes through the program's functions. */
#include "arena/hooks_testing.h"
#include "poolmalloc/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { STEPS = PM_TSAN || PM_ASAN ? 80 : 600, SWEEP_STEPS = STEPS / 5 };

static struct test_book book;

/* Whole arenas that the book says are committed: what is left is tables and heaps. */
static size_t committed_arenas(void)
{
    return book.committed_bytes / PM_ARENA_BYTES;
}

ISOLATED(what_is_taken_after_hooks_were_set_comes_by_them_and_what_was_there_serves_on)
{
    struct test_work work = {.refused = 0};
    void *before = pm_malloc(100), *large = pm_malloc(5 * PM_ARENA_BYTES);
    test_open_book(&book);
    void *first = pm_malloc(100), *block = pm_malloc(7 * PM_ARENA_BYTES);
    require(!test_in_book(&book, before) && !test_in_book(&book, large));
    require(!test_in_book(&book, first) && test_in_book(&book, block)); /* in a committed arena */
    require(committed_arenas() >= 7 && book.reserves > 0);
    test_work_steps(&work, 3, STEPS);
    require(work.refused == 0);
    test_work_free_all(&work);
    pm_free(before);
    pm_free(large);
    pm_free(block);
    require(pm_check());
}

ISOLATED(what_goes_back_whole_is_decommitted_and_committed_before_it_is_used_again)
{
    pm_malloc(1);
    test_open_book(&book);
    for (int round = 0; round < 3; round++) {
        unsigned char *block = pm_calloc(1, 5 * PM_ARENA_BYTES);
        require(test_in_book(&book, block) && test_all_zero(block, 5 * PM_ARENA_BYTES));
        memset(block, 1, 5 * PM_ARENA_BYTES);
        size_t with_block = book.committed_bytes;
        pm_free(block);
        pm_purge();
        require(book.committed_bytes + 5 * PM_ARENA_BYTES <= with_block);
        require(book.decommits > 0 && pm_check());
    }
    require(book.releases == 0);
}

ISOLATED(parts_of_arenas_are_purged_by_the_hooks_and_may_stay_dirty)
{
    unsigned char *keep, *blocks[8];
    test_open_book(&book);
    for (int round = 0; round < 2; round++) {
        require((keep = pm_malloc(PM_BLOCK_MAX + 1)) != NULL);
        for (int i = 0; i < 8; i++) {
            require((blocks[i] = pm_calloc(1, PM_BLOCK_MAX + 1)) != NULL);
            require(test_all_zero(blocks[i], PM_BLOCK_MAX + 1));
            memset(blocks[i], 1, PM_BLOCK_MAX + 1);
        }
        for (int i = 0; i < 8; i++)
            pm_free(blocks[i]);
        pm_purge();
        require(book.purges > 0 || pm_os_page_bytes() > PM_UNIT_BYTES);
        book.fail_nth = 1; /* the second round finds what was refused to be purged */
        book.for_good = true;
        pm_purge();
        book.fail_nth = 0;
    }
    pm_free(keep);
    require(pm_check());
}

ISOLATED(with_the_systems_functions_there_are_no_hooks)
{
    struct pm_page_hooks system, now;
    pm_get_page_hooks(&system);
    char *start = system.reserve(system.context, PM_ARENA_BYTES, PM_ARENA_BYTES);
    require(start != NULL && (uintptr_t)start % PM_ARENA_BYTES == 0);
    require(system.commit(system.context, start, PM_ARENA_BYTES));
    memset(start, 1, PM_ARENA_BYTES);
    require(system.purge(system.context, start, PM_ARENA_BYTES) && start[0] == 0);
    require(system.decommit(system.context, start, PM_ARENA_BYTES));
    system.release(system.context, start, PM_ARENA_BYTES);
    test_open_book(&book);
    void *by_hooks = pm_malloc(9 * PM_ARENA_BYTES);
    unsigned commits = book.commits;
    require(test_in_book(&book, by_hooks));
    system.context = &book; /* nobody looks at it */
    require(pm_set_page_hooks(&system));
    void *by_system = pm_malloc(19 * PM_ARENA_BYTES);
    require(!test_in_book(&book, by_system) && book.commits == commits);
    require(pm_set_page_hooks(NULL));
    pm_get_page_hooks(&now);
    require(now.context == NULL && now.reserve == system.reserve && now.purge == system.purge);
    pm_free(by_hooks);
    pm_free(by_system);
    require(pm_purge() && pm_check());
}

ISOLATED(a_function_that_is_null_is_the_systems)
{
    pm_malloc(1);
    pm_get_page_hooks(&book.plain);
    require(pthread_mutex_init(&book.lock, NULL) == 0);
    struct pm_page_hooks hooks = {.context = &book, .reserve = test_book_reserve};
    require(pm_set_page_hooks(&hooks));
    struct test_work work = {.refused = 0};
    test_work_steps(&work, 5, STEPS);
    require(book.reserves > 0 && book.commits + book.purges + book.decommits == 0);
    require(work.refused == 0);
    test_work_free_all(&work);
    pm_purge();
    require(pm_check());
}

/* In a child of its own for each call that fails. */
static unsigned refused_calls(unsigned nth, bool for_good)
{
    struct test_work work = {.refused = 0};
    pm_malloc(1);
    test_open_book(&book);
    book.fail_nth = nth;
    book.for_good = for_good;
    test_work_steps(&work, 7, SWEEP_STEPS);
    pm_purge();
    require(nth != 0 || work.refused == 0);
    book.fail_nth = 0;
    unsigned calls = book.calls;
    test_work_free_all(&work);
    work.refused = 0;
    test_work_steps(&work, 8, SWEEP_STEPS / 3);
    require(work.refused == 0); /* nothing was lost */
    test_work_free_all(&work);
    pm_purge();
    require(pm_check());
    return calls;
}

struct fault {
    unsigned nth;
    bool for_good;
};

static void run_with_fault(const void *arg)
{
    const struct fault *fault = arg;
    refused_calls(fault->nth, fault->for_good);
}

ISOLATED(each_call_of_a_hook_that_is_refused_once_or_for_good_loses_nothing)
{
    char text[1000];
    int ends[2], status;
    unsigned calls = 0;
    require(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        calls = refused_calls(0, false);
        _exit(write(ends[1], &calls, sizeof calls) == sizeof calls ? 0 : 1);
    }
    require(read(ends[0], &calls, sizeof calls) == sizeof calls && calls > 3);
    require(waitpid(child, &status, 0) == child && status == 0);
    unsigned step = 1 + calls / (PM_TSAN || PM_ASAN ? 4 : 12);
    for (struct fault fault = {1, false}; fault.nth <= calls; fault.nth += step) {
        for (int i = 0; i < 2; i++, fault.for_good = !fault.for_good) {
            status = test_stderr_of(run_with_fault, &fault, text, sizeof text);
            if (status != 0)
                fprintf(stderr, "call %u of %u: status %d\n%s", fault.nth, calls, status, text);
            require(status == 0);
        }
    }
}

ISOLATED(memory_that_cannot_be_purged_is_never_taken_for_zero_nor_moved)
{
    pm_malloc(1);
    require(pm_set_page_hooks(&test_shared));
    for (int round = 0; round < 3; round++) {
        unsigned char *block = pm_calloc(1, 6 * PM_ARENA_BYTES);
        require(block != NULL && test_all_zero(block, 6 * PM_ARENA_BYTES));
        memset(block, 1, 6 * PM_ARENA_BYTES);
        unsigned char *wall = pm_malloc(2 * PM_ARENA_BYTES);
        block = pm_realloc(block, 30 * PM_ARENA_BYTES);
        require(test_is_marked(block, 6 * PM_ARENA_BYTES, 1));
        unsigned char *zero = pm_calloc(1, 6 * PM_ARENA_BYTES); /* where it was */
        require(test_all_zero(zero, 6 * PM_ARENA_BYTES));
        pm_free(zero);
        pm_free(wall);
        pm_free(block);
        pm_purge();
        require(pm_check());
    }
}

/* ---- hooks that call back ---- */

static unsigned told;

static void allocate_inside(void)
{
    void *blocks[64];
    size_t got = 0;
    errno = 0;
    for (size_t size = 700000; size < 700000 + 64; size++) { /* large ones are never at hand */
        blocks[got] = pm_malloc(size);
        got += blocks[got] != NULL;
    }
    require(got == 0 && errno == ENOMEM);
    require(pm_aligned_alloc(PM_UNIT_BYTES, 10000) == NULL && errno == ENOMEM);
    require(!pm_set_page_hooks(NULL) && errno == EBUSY);
    told++;
}

ISOLATED(an_allocation_by_a_hook_fails_with_enomem_and_hooks_are_not_set_there)
{
    struct test_work work = {.refused = 0};
    pm_malloc(1);
    book.inside = allocate_inside;
    test_open_book(&book);
    test_work_steps(&work, 9, 200);
    require(work.refused == 0 && told > 0);
    test_work_free_all(&work);
    pm_purge();
    require(pm_check());
}

static pm_user_heap *heap;
static void *block_of_heap;

static void free_inside(void)
{
    pm_free(block_of_heap);
}

static void free_by_hook(const void *arg)
{
    (void)arg;
    heap = pm_heap_new(0);
    block_of_heap = pm_heap_malloc(heap, 100);
    book.inside = free_inside;
    test_open_book(&book);
    pm_heap_malloc(heap, 64 * PM_ARENA_BYTES);
}

static void a_hook_that_frees_what_waits_for_itself_is_named(void **state)
{
    (void)state;
    assert_true(test_aborts(free_by_hook, NULL, "called from a hook that it had called"));
}

ISOLATED(each_different_set_is_kept_once_and_there_is_a_bound)
{
    static char contexts[PM_PAGE_HOOKS_MAX];
    struct pm_page_hooks hooks = test_book_hooks(&book);
    test_open_book(&book);
    for (int round = 0; round < 3; round++) {
        for (int i = 1; i < PM_PAGE_HOOKS_MAX; i++) {
            hooks.context = &contexts[i];
            require(pm_set_page_hooks(&hooks));
        }
        require(pm_set_page_hooks(NULL));
    }
    hooks.context = &hooks;
    errno = 0;
    require(!pm_set_page_hooks(&hooks) && errno == ENOMEM);
    hooks.context = &book;
    require(pm_set_page_hooks(&hooks) && pm_check());
}

ISOLATED(user_heaps_and_children_of_a_fork_go_on_with_the_hooks)
{
    struct test_work work = {.refused = 0};
    int status;
    test_open_book(&book);
    heap = pm_heap_new(0);
    for (int i = 0; i < 200; i++)
        require(pm_heap_malloc(heap, 40000) != NULL);
    require(committed_arenas() > 0);
    test_work_steps(&work, 11, 100);
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        test_work_steps(&work, 12, 200);
        test_work_free_all(&work);
        pm_heap_destroy(heap);
        pm_purge();
        _exit(work.refused == 0 && pm_check() ? 0 : 1);
    }
    require(waitpid(child, &status, 0) == child && status == 0);
    pm_heap_destroy(heap);
    test_work_free_all(&work);
    require(pm_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            what_is_taken_after_hooks_were_set_comes_by_them_and_what_was_there_serves_on),
        cmocka_unit_test(what_goes_back_whole_is_decommitted_and_committed_before_it_is_used_again),
        cmocka_unit_test(parts_of_arenas_are_purged_by_the_hooks_and_may_stay_dirty),
        cmocka_unit_test(with_the_systems_functions_there_are_no_hooks),
        cmocka_unit_test(a_function_that_is_null_is_the_systems),
        cmocka_unit_test(each_call_of_a_hook_that_is_refused_once_or_for_good_loses_nothing),
        cmocka_unit_test(memory_that_cannot_be_purged_is_never_taken_for_zero_nor_moved),
        cmocka_unit_test(an_allocation_by_a_hook_fails_with_enomem_and_hooks_are_not_set_there),
        cmocka_unit_test(a_hook_that_frees_what_waits_for_itself_is_named),
        cmocka_unit_test(each_different_set_is_kept_once_and_there_is_a_bound),
        cmocka_unit_test(user_heaps_and_children_of_a_fork_go_on_with_the_hooks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
