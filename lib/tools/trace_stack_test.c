/* SPDX-License-Identifier: MIT */
/* The stack that tracing tells of a block is that of the call that made it. */
#include "tools/trace_testing.h"

#include <stdint.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

PM_NOINLINE static void *by_one_way(size_t bytes)
{
    void *block = pm_malloc(bytes);
    __asm__ volatile("" : "+r"(block)); /* not a jump */
    return block;
}

PM_NOINLINE static void *by_another_way(size_t bytes)
{
    void *block = pm_malloc(bytes);
    __asm__ volatile("nop" : "+r"(block)); /* not the same function */
    return block;
}

PM_NOINLINE static void *below(unsigned depth, void *(*make)(size_t bytes))
{
    void *block = depth > 0 ? below(depth - 1, make) : make(SIZE);
    __asm__ volatile("" : "+r"(block));
    return block;
}

static unsigned frames_of(const void *block, uintptr_t *frames)
{
    return pm_trace_of(PM_TRACE_MALLOC, block, frames, PM_TRACE_FRAMES_MAX, NULL);
}

/* Of the three functions that one whose start is nearest below. */
static bool is_in(uintptr_t frame, void *(*function)(size_t bytes))
{
    void *(*other)(size_t) = function == by_one_way ? by_another_way : by_one_way;
    uintptr_t behind = frame - (uintptr_t)function;
    return behind < 200 && behind < frame - (uintptr_t)other && behind < frame - (uintptr_t)below;
}

/* From the frame in that function on: this program sees frames of the library's, which it is linked
 * to statically, and calls come by different ways there. Their number. */
static unsigned frames_from(const void *block, void *(*function)(size_t bytes), uintptr_t *frames)
{
    unsigned count = frames_of(block, frames), own = 0;
    while (own < count && !is_in(frames[own], function))
        own++;
    memmove(frames, frames + own, (count - own) * sizeof *frames);
    return count - own;
}

static bool same_stack(const void *a, const void *b, void *(*function)(size_t bytes))
{
    uintptr_t one[PM_TRACE_FRAMES_MAX], other[PM_TRACE_FRAMES_MAX];
    unsigned count = frames_from(a, function, one);
    return count == frames_from(b, function, other) && memcmp(one, other, count * sizeof *one) == 0;
}

static bool has_frame_in(const void *block, void *(*function)(size_t bytes))
{
    uintptr_t frames[PM_TRACE_FRAMES_MAX];
    return frames_from(block, function, frames) != 0;
}

ISOLATED(the_stack_is_that_of_the_call_however_often_it_comes)
{
    void *(*const ways[])(size_t) = {by_one_way, by_another_way};
    void *last[2][20] = {{NULL}};
    require(pm_trace_start(64));
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned depth = 0; depth < 20; depth++) {
            unsigned way = (round * 7 + depth) % 2;
            void *block = below(depth, ways[way]);
            require(has_frame_in(block, ways[way]) && !has_frame_in(block, ways[1 - way]));
            for (unsigned other = 0; other < 20; other++) {
                if (last[way][other] != NULL)
                    require(same_stack(block, last[way][other], ways[way]) == (depth == other));
            }
            pm_free(last[way][depth]);
            last[way][depth] = block;
        }
    }
}

ISOLATED(no_more_frames_are_kept_than_were_asked_for)
{
    uintptr_t frames[PM_TRACE_FRAMES_MAX];
    for (unsigned most = 1; most <= 40; most++) {
        require(pm_trace_start(most));
        void *block = below(60, by_one_way);
        require(frames_of(block, frames) == most);
        pm_free(block);
        pm_trace_stop();
    }
}

static unsigned visits;

static void see_stack(unsigned domain, const uintptr_t *frames, unsigned count, uint64_t blocks,
                      uint64_t bytes, void *arg)
{
    uint64_t *sum = arg;
    (void)domain, (void)frames;
    require(count > 1 && bytes == blocks * SIZE);
    *sum += blocks;
    visits++;
}

/* By one way through the library as a rule: see frames_from. */
ISOLATED(blocks_of_one_stack_are_told_together)
{
    uint64_t sum = 0;
    require(pm_trace_start(FRAMES));
    for (int i = 0; i < MANY; i++)
        by_one_way(SIZE);
    require(pm_trace_each(see_stack, &sum) && sum == MANY && visits < 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stack_is_that_of_the_call_however_often_it_comes),
        cmocka_unit_test(no_more_frames_are_kept_than_were_asked_for),
        cmocka_unit_test(blocks_of_one_stack_are_told_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
