/* SPDX-License-Identifier: MIT */
/* A file has one rate: what was sampled at another is written as what that would be. */
#include "poolmalloc/poolmalloc.h"
#include "tools/profile_testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static __attribute__((noinline)) void *make_deep(size_t n, unsigned depth)
{
    void *block = depth == 0 ? pm_malloc(n) : make_deep(n, depth - 1);
    __asm__ volatile("" : "+r"(block));
    return block;
}

/* What so many blocks of the size, each of which was sampled, are at the rate: to the nearest. */
static uint64_t at_rate(uint64_t blocks, size_t size, size_t rate)
{
    double exact = (double)blocks / pm_profile_scale((double)size, rate);
    return (uint64_t)(exact + 0.5);
}

/* The thread gets its heap with the first of them: so there are two stacks, the library's own
 * frames included. */
ISOLATED(blocks_of_an_earlier_rate_are_written_at_the_files)
{
    enum { BYTES = 1 << 20, BLOCKS = 50 };
    static void *blocks[BLOCKS];
    require(pm_profile_start(1));
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = make_deep(BYTES, 0);
    require(pm_profile_start(BYTES)); /* 1 - 1/e of 50 is 31.6 */
    struct test_profile now = test_profile_now();
    require(now.rate == BYTES && now.head.live_blocks == 32);
    size_t bytes = test_bytes(blocks[0]);
    require(now.head.live_bytes == 32 * bytes);
    for (int i = 0; i < BLOCKS; i++)
        pm_free(blocks[i]);
    require(test_profile_now().head.live_bytes == 0);
}

/* Rounded each for itself, all of them would become more, or none would be left. */
ISOLATED(what_many_stacks_have_of_an_earlier_rate_adds_up)
{
    enum { STACKS = 24, SIZE = 112 }; /* less than the frames that are kept */
    static const size_t rates[] = {SIZE, 2 * SIZE, 5 * SIZE, 200 * SIZE};
    void *blocks[STACKS];
    require(pm_profile_start(1));
    for (unsigned i = 0; i < STACKS; i++) {
        blocks[i] = make_deep(SIZE, i);
        pm_free(make_deep(SIZE, i));
    }
    size_t size = test_bytes(blocks[0]);
    for (unsigned i = 0; i < sizeof rates / sizeof *rates; i++) {
        require(pm_profile_start(rates[i]));
        struct test_profile now = test_profile_now();
        uint64_t live = at_rate(STACKS, size, rates[i]);
        uint64_t all = at_rate(2 * STACKS, size, rates[i]);
        require(test_same(&now.head, &now.rows) && now.row_count <= all);
        require(now.head.live_blocks == live && now.head.live_bytes == live * size);
        require(now.head.all_blocks + 1 >= all && now.head.all_blocks <= all + 1);
        require(now.head.all_bytes == now.head.all_blocks * size);
    }
    for (unsigned i = 0; i < STACKS; i++)
        pm_free(blocks[i]);
    require(test_profile_now().head.live_blocks == 0);
}

/* Of which "all" knows nothing any more. */
ISOLATED(live_blocks_of_an_earlier_rate_outlast_a_reset)
{
    enum { STACKS = 24, SIZE = 112 };
    void *blocks[STACKS];
    require(pm_profile_start(1));
    for (unsigned i = 0; i < STACKS; i++)
        blocks[i] = make_deep(SIZE, i);
    size_t size = test_bytes(blocks[0]);
    pm_profile_reset_all();
    require(pm_profile_start(3 * SIZE));
    struct test_profile now = test_profile_now();
    uint64_t live = at_rate(STACKS, size, 3 * SIZE);
    require(now.head.live_blocks == live && now.head.live_bytes == live * size);
    require(now.head.all_blocks == 0 && now.head.all_bytes == 0);
    require(test_same(&now.head, &now.rows) && now.row_count == live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_an_earlier_rate_are_written_at_the_files),
        cmocka_unit_test(what_many_stacks_have_of_an_earlier_rate_adds_up),
        cmocka_unit_test(live_blocks_of_an_earlier_rate_outlast_a_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
