/* SPDX-License-Identifier: MIT */
/* Guests: what a service says of them is what the heap layer does; and what is neither its nor ours
 * stays foreign. */
#include "heap/guests.h"
#include "heap/testing.h"
#include "heap/user.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 128, BYTES = 48, OTHERS = 32 };

/* The service has one block, at the start of its memory. */
static char memory[BYTES + OTHERS];
static unsigned returns;

static bool own(const void *ptr)
{
    return (uintptr_t)ptr - (uintptr_t)memory < sizeof memory;
}

static bool in_block(const void *ptr)
{
    return (uintptr_t)ptr - (uintptr_t)memory < BYTES;
}

static void give_back(void *ptr, const char *function)
{
    require(ptr == memory && strcmp(function, "free") == 0);
    returns++;
}

static size_t usable(const void *ptr, const char *function)
{
    require(ptr == memory && function != NULL);
    return BYTES;
}

static bool walk(bool (*visit)(void *block, size_t bytes, void *arg), void *arg)
{
    return visit(memory, BYTES, arg);
}

static void count_all(struct pm_guests_count *count)
{
    *count = (struct pm_guests_count){.frees = 7, .blocks = 1, .bytes = BYTES};
}

static const struct pm_guests guests = {own, in_block, give_back, usable, walk, count_all};

static void start(void)
{
    test_heap_start(WINDOW_ARENAS);
    pm_guests_set(&guests);
}

ISOLATED(a_guest_goes_back_to_its_service_with_and_without_a_heap)
{
    start();
    test_release(memory);
    test_get_heap();
    test_release(memory);
    void *batch[] = {test_alloc(10), memory, test_alloc(10)};
    pm_thread_free_batch(batch, 3, "free");
    require(returns == 3);
}

ISOLATED(its_size_is_what_the_service_says)
{
    start();
    require(pm_heap_usable(memory, "test") == BYTES);
    require(pm_heap_resize(memory, BYTES - 1, "test"));
    require(!pm_heap_resize(memory, BYTES + 1, "test"));
    require(pm_heap_move_large(memory, PM_MOVE_MIN_BYTES, "test") == NULL);
    require(pm_user_of(memory, "test") == NULL);
}

struct seen {
    unsigned guests, others;
    bool go_on;
};

static bool see(const struct pm_live_block *found, void *arg)
{
    struct seen *seen = arg;
    if (found->block == memory)
        seen->guests += found->bytes == BYTES && !found->large && !found->mine;
    else
        seen->others++;
    return seen->go_on;
}

ISOLATED(a_walk_of_the_process_comes_to_guests_last)
{
    start();
    test_get_heap();
    struct seen seen = {.go_on = true};
    require(pm_heap_walk_blocks(false, see, &seen) && seen.guests == 1 && seen.others == 0);
    test_alloc(10);
    seen = (struct seen){.go_on = true};
    require(pm_heap_walk_blocks(true, see, &seen) && seen.guests == 0 && seen.others == 1);
    seen = (struct seen){.go_on = false};
    require(!pm_heap_walk_blocks(false, see, &seen) && seen.guests == 0 && seen.others == 1);
}

ISOLATED(statistics_count_guests)
{
    start();
    test_get_heap();
    test_alloc(10);
    struct pm_heap_stats stats = test_heap_stats(), brief;
    require(stats.guest_blocks == 1 && stats.guest_bytes == BYTES);
    require(stats.mallocs == 1 + 8 && stats.frees == 7);
    pm_heap_stats_brief(&brief);
    require(brief.guest_blocks == 1 && brief.frees == 7);
}

static void free_foreign(const void *ptr)
{
    start();
    test_release((void *)(uintptr_t)ptr);
}

static void what_is_nobodys_stays_foreign(void **state)
{
    static char other[16];
    (void)state;
    assert_true(test_aborts(free_foreign, other, "not a block of this allocator"));
    assert_true(test_aborts(free_foreign, memory + sizeof memory, "not a block of this allocator"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_goes_back_to_its_service_with_and_without_a_heap),
        cmocka_unit_test(its_size_is_what_the_service_says),
        cmocka_unit_test(a_walk_of_the_process_comes_to_guests_last),
        cmocka_unit_test(statistics_count_guests),
        cmocka_unit_test(what_is_nobodys_stays_foreign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
