/* SPDX-License-Identifier: MIT */
/*
 * Every class border with its neighbours, by every entry point that makes blocks (api_test.h).
 */
#include "api_makers.h"
#include "api_test.h"
#include "check.h"
#include "names.h"

#include <stdint.h>
#include <string.h>

static const struct maker *maker;

/* Two at a time: the first one's last byte and the second one's first are neighbours at times. */
static void two_blocks_keep_their_contents(size_t size)
{
    void *first = must_make(maker, STRESS_MIN_ALIGNMENT, size);
    void *second = must_make(maker, STRESS_MIN_ALIGNMENT, size);
    size_t usable = api_usable_size(first);
    CHECK(usable == api_usable_size(first), "the usable size of %p changes", first);
    paint_ends(first, usable, 1);
    paint_ends(second, size, 2);
    check_ends(first, usable, 1);
    check_ends(second, size, 2);
    memset(second, 0xff, size < 4096 ? size : 4096); /* what calloc finds next */
    api_free(first);
    api_free(second);
}

void every_maker_serves_every_class_border_and_its_neighbours(void)
{
    /* beyond the largest class of any geometry, also after REDUCED */
    const size_t highest = (size_t)1 << (STRESS_REDUCED ? 20 : 17);
    for (maker = makers; maker < makers + maker_count; maker++)
        for_each_border(highest, two_blocks_keep_their_contents);
}

void blocks_of_zero_and_one_are_distinct_whoever_makes_them(void)
{
    enum { rounds = 8 };
    void *blocks[rounds * maker_count * 2];
    size_t count = 0;
    for (int round = 0; round < rounds; round++) {
        for (int m = 0; m < maker_count; m++) {
            for (size_t size = 0; size < 2; size++) {
                void *block = must_make(&makers[m], STRESS_MIN_ALIGNMENT, size);
                for (size_t i = 0; i < count; i++)
                    CHECK(blocks[i] != block, "%s of %zu bytes gave %p twice", makers[m].name, size,
                          block);
                blocks[count++] = block;
            }
        }
    }
    while (count > 0)
        api_free(blocks[--count]);
}
