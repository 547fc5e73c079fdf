/* SPDX-License-Identifier: MIT */
/* Hardened heaps: what is found out, and that nothing else changes. */
#include "heap/harden_testing.h"
#include "os/os.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, SIZE = 56, SOME = 600, LARGE = 3 * PM_UNIT_BYTES, TIMES = 400 };

static char *blocks[TEST_BLOCKS_MAX];
static struct pm_user_heap *heap;

static void start(void)
{
    heap = test_harden_start(WINDOW_ARENAS, SIZE_MAX);
}

/* More than wait at a time. */
static void free_many(size_t n)
{
    for (unsigned i = 0; i < TIMES; i++)
        test_release(test_harden_alloc(heap, n));
}

static void read_at(const void *at)
{
    (void)*(const volatile char *)at;
}

static bool traps(const void *at)
{
    char text[256];
    int status = test_stderr_of(read_at, at, text, sizeof text);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void free_it(const void *block)
{
    test_release((void *)(uintptr_t)block);
}

static void allocate_many(const void *nothing)
{
    (void)nothing;
    for (unsigned i = 0; i < TIMES; i++)
        pm_user_alloc(heap, SIZE, 1, false, "malloc");
}

static void wait_for_many(const void *nothing)
{
    (void)nothing;
    free_many(SIZE);
}

/* ---- order ---- */

static unsigned in_order(unsigned n)
{
    unsigned steps = 0;
    for (unsigned i = 1; i < n; i++)
        steps += blocks[i] == blocks[i - 1] + pm_class_bytes(pm_class_of(pm_harden_room(SIZE)));
    return steps;
}

ISOLATED(blocks_of_a_pool_come_in_no_order)
{
    start();
    unsigned n = pm_class_capacity(pm_class_of(pm_harden_room(SIZE)));
    for (unsigned i = 0; i < n; i++)
        blocks[i] = test_harden_alloc(heap, SIZE);
    require(heap->bytes == PM_UNIT_BYTES && pm_user_check());
    require(in_order(n) < n / 8); /* about one is to be expected */
    struct pm_user_heap *other = pm_user_new(SIZE_MAX);
    unsigned same = 0;
    for (unsigned i = 0; i < n; i++) {
        char *block = test_harden_alloc(other, SIZE);
        same += ((block - blocks[i]) & (ptrdiff_t)(PM_UNIT_BYTES - 1)) == 0;
    }
    require(same < n / 8); /* and not in the same one in every heap */
}

ISOLATED(without_it_blocks_come_one_after_another)
{
    test_harden.order = false;
    start();
    for (unsigned i = 0; i < SOME / 2; i++)
        blocks[i] = test_harden_alloc(heap, SIZE);
    require(in_order(SOME / 2) == SOME / 2 - 1 || in_order(SOME / 2) == 0); /* up, or down */
}

/* ---- canaries ---- */

ISOLATED(each_byte_behind_the_data_is_watched)
{
    static const size_t sizes[] = {0, 1, 7, 8, 9, 24, SIZE, SIZE + 1, 500, 3000};
    start();
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t n = sizes[i], room = pm_class_bytes(pm_class_of(pm_harden_room(n)));
        char *block = test_harden_alloc(heap, n);
        memset(block, 'x', n);
        for (size_t at = n; at < room; at += at < n + 16 ? 1 : 16) {
            require(block[at] != 0 || at > room - PM_HARDEN_BACK); /* ends of strings are found */
            block[at] ^= 1;
            require(test_aborts(free_it, block, "behind"));
            block[at] ^= 1;
        }
        test_release(block);
    }
}

ISOLATED(a_canary_is_of_one_block_alone)
{
    start();
    char *one = test_harden_alloc(heap, SIZE - 16), *other = test_harden_alloc(heap, SIZE - 16);
    memcpy(one + SIZE - 16, other + SIZE - 16, 16 + PM_HARDEN_BACK);
    require(test_aborts(free_it, one, "behind"));
}

/* ---- freed blocks ---- */

ISOLATED(a_block_that_was_freed_waits_is_zero_and_is_not_freed_again)
{
    start();
    char *block = test_harden_alloc(heap, SIZE);
    test_harden_alloc(heap, SIZE); /* so that the pool stays */
    memset(block, 'x', SIZE);
    test_release(block);
    for (unsigned i = sizeof(void *); i < SIZE; i++)
        require(block[i] == 0);
    require(test_aborts(free_it, block, "freed"));
    for (unsigned waiting = SIZE; waiting + SIZE < TEST_QUARANTINE; waiting += SIZE + 8) {
        char *other = test_harden_alloc(heap, SIZE);
        require(other != block);
        test_release(other);
    }
    free_many(100); /* it waits no more, and is not handed out yet */
    require(test_aborts(free_it, block, "freed"));
    require(heap->mallocs == heap->frees + 1 && pm_user_check());
}

ISOLATED(a_write_to_a_freed_block_is_found_when_it_is_handed_out)
{
    start();
    for (unsigned at = 0; at < SIZE + PM_HARDEN_BACK; at++) {
        char *block = test_harden_alloc(heap, SIZE), before;
        test_release(block);
        free_many(100);
        before = block[at];
        block[at] ^= 0x10;
        bool link = at < sizeof(void *);
        require(test_aborts(allocate_many, NULL, link ? "link" : "written, byte "));
        block[at] = before;
    }
    allocate_many(NULL);
}

ISOLATED(a_write_to_the_link_of_a_block_that_waits_is_found_as_well)
{
    start();
    char *block = test_harden_alloc(heap, SIZE), *old = test_harden_alloc(heap, SIZE);
    test_release(block);
    test_release(old);
    memcpy(block, &old, sizeof old); /* where it leads, but not encoded */
    require(test_aborts(wait_for_many, NULL, "link"));
}

ISOLATED(without_quarantine_blocks_are_handed_out_at_once)
{
    test_harden.quarantine_bytes = 0;
    start();
    bool found = false;
    char *block = test_harden_alloc(heap, SIZE);
    test_release(block);
    for (unsigned i = 0; i < 16 && !found; i++) /* it may stand behind others */
        found = test_harden_alloc(heap, SIZE) == block;
    require(found && heap->waiting == NULL);
    char *large = test_harden_alloc(heap, LARGE);
    test_release(large);
    require(pm_list_empty(&heap->waiting_large) && pm_user_check());
}

/* ---- large blocks ---- */

ISOLATED(large_blocks_lie_between_pages_that_trap)
{
    if (!test_harden_can_guard())
        test_skipped("nothing traps where units have less than four pages");
    start();
    for (size_t n = LARGE; n < LARGE + 64; n += 7) {
        char *block = test_harden_alloc(heap, n), *end = block + pm_align_up(n, PM_GRANULE_BYTES);
        require(!traps(block) && !traps(block + n - 1) && traps(end));
        require(traps(block - pm_os_page_bytes()));
        test_release(block);
        require(traps(block));
    }
    for (size_t align = 2 * PM_GRANULE_BYTES; align <= PM_ARENA_BYTES; align *= 2) {
        char *block = pm_user_alloc(heap, LARGE, align, false, "test");
        require((uintptr_t)block % align == 0 && traps(block + LARGE));
        require(align >= PM_UNIT_BYTES || traps(block - pm_os_page_bytes()));
        test_release(block);
    }
    pm_user_destroy(heap);
    require(test_nothing_is_lost());
}

ISOLATED(bytes_beside_a_large_block_are_watched)
{
    if (!test_harden_can_guard())
        test_skipped("nothing traps where units have less than four pages");
    start();
    char *block = test_harden_alloc(heap, LARGE - 20);
    block[LARGE - 20] ^= 1;
    require(test_aborts(free_it, block, "behind"));
    block[LARGE - 20] ^= 1;
    block[-1] = 1;
    require(test_aborts(free_it, block, "before"));
    block[-1] = 0;
    require(test_aborts(free_it, block + 16, "points inside a block"));
    require(test_aborts(free_it, block + PM_UNIT_BYTES, "points inside a block"));
    test_release(block);
    require(test_aborts(free_it, block, "freed"));
}

ISOLATED(without_pages_that_trap_there_is_always_a_canary)
{
    test_harden.guards = false;
    start();
    for (size_t n = LARGE - 16; n <= LARGE; n++) {
        char *block = test_harden_alloc(heap, n);
        block[n] ^= 1;
        require(test_aborts(free_it, block, "behind"));
        block[n] ^= 1;
        test_release(block);
    }
}

/* ---- what stays right ---- */

static bool count(void *block, size_t bytes, void *arg)
{
    require(pm_heap_usable(block, "test") == bytes);
    *(size_t *)arg += bytes;
    return true;
}

static bool count_all(const struct pm_live_block *found, void *arg)
{
    require(found->user == heap);
    return count(found->block, found->bytes, arg);
}

ISOLATED(walks_see_live_blocks_as_they_were_asked_for)
{
    static const size_t sizes[] = {0, 1, SIZE, 500, 3000, 40000, LARGE, 2 * PM_ARENA_BYTES + 5};
    size_t asked = 0, walked = 0, walked_all = 0;
    start();
    for (unsigned i = 0; i < SOME; i++) {
        blocks[i] = test_harden_alloc(heap, sizes[i % 97 < 8 ? i % 97 : 2]);
        asked += i % 3 != 0 ? pm_heap_usable(blocks[i], "test") : 0;
    }
    for (unsigned i = 0; i < SOME; i += 3)
        test_release(blocks[i]);
    require(pm_user_walk(heap, count, &walked, "test") && walked == asked);
    require(pm_heap_walk_blocks(false, count_all, &walked_all) && walked_all == asked);
    pm_user_destroy(heap);
    require(test_nothing_is_lost());
}

ISOLATED(a_new_size_is_remembered_where_it_fits)
{
    start();
    char *block = test_harden_alloc(heap, SIZE);
    require(pm_harden_resize(block, SIZE - 5, false, "test"));
    require(pm_heap_usable(block, "test") == SIZE - 5);
    block[SIZE - 5] ^= 1;
    require(test_aborts(free_it, block, "behind"));
    block[SIZE - 5] ^= 1;
    require(!pm_harden_resize(block, 2 * SIZE, true, "test"));
    require(!pm_harden_resize(block, 1, false, "test")); /* a smaller one would do */
    require(pm_harden_resize(block, 1, true, "test"));
    test_release(block);
    char *large = test_harden_alloc(heap, LARGE);
    require(!pm_harden_resize(large, LARGE - 1, false, "test"));
    require(pm_harden_resize(large, 5000, true, "test"));
    require(pm_heap_usable(large, "test") == 5000);
    test_release(large);
    require(pm_user_check());
}

ISOLATED(what_waits_is_given_up_before_an_allocation_fails)
{
    size_t limit = (size_t)2 * PM_UNIT_BYTES;
    test_harden.quarantine_bytes = PM_ARENA_BYTES;
    heap = test_harden_start(WINDOW_ARENAS, limit);
    unsigned n = 0;
    for (unsigned round = 0; round < 3; round++) {
        for (n = 0; (blocks[n] = pm_user_alloc(heap, SIZE, 1, false, "test")) != NULL; n++)
            continue;
        require(n >= limit / (SIZE + 16) && errno == ENOMEM);
        for (unsigned i = 0; i < n; i++)
            test_release(blocks[i]);
    }
    require(heap->bytes <= limit && pm_user_check());
}

ISOLATED(memory_that_others_used_is_cleared_before)
{
    test_heap_start(WINDOW_ARENAS);
    for (unsigned i = 0; i < SOME; i++)
        memset(blocks[i] = test_alloc(SIZE), 'x', SIZE);
    test_get_heap();
    for (unsigned i = 0; i < SOME; i++)
        test_release(blocks[i]);
    pm_heap_idle();
    pm_harden_set(&test_harden);
    heap = pm_user_new(SIZE_MAX);
    for (unsigned i = 0; i < TIMES; i++) {
        const char *block = test_harden_alloc(heap, SIZE);
        for (unsigned at = 0; at < SIZE; at++)
            require(block[at] == 0);
    }
}

int main(void)
{
    if (PM_WATCHED) {
        puts("skipped: nothing is hardened in builds for AddressSanitizer or valgrind");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_a_pool_come_in_no_order),
        cmocka_unit_test(without_it_blocks_come_one_after_another),
        cmocka_unit_test(each_byte_behind_the_data_is_watched),
        cmocka_unit_test(a_canary_is_of_one_block_alone),
        cmocka_unit_test(a_block_that_was_freed_waits_is_zero_and_is_not_freed_again),
        cmocka_unit_test(a_write_to_a_freed_block_is_found_when_it_is_handed_out),
        cmocka_unit_test(a_write_to_the_link_of_a_block_that_waits_is_found_as_well),
        cmocka_unit_test(without_quarantine_blocks_are_handed_out_at_once),
        cmocka_unit_test(large_blocks_lie_between_pages_that_trap),
        cmocka_unit_test(bytes_beside_a_large_block_are_watched),
        cmocka_unit_test(without_pages_that_trap_there_is_always_a_canary),
        cmocka_unit_test(walks_see_live_blocks_as_they_were_asked_for),
        cmocka_unit_test(a_new_size_is_remembered_where_it_fits),
        cmocka_unit_test(what_waits_is_given_up_before_an_allocation_fails),
        cmocka_unit_test(memory_that_others_used_is_cleared_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
