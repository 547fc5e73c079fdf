/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: an input is a sequence of calls of the malloc family, made by several threads in
 * turn and checked against the shadow model (shadow.h).
 *
 * Stands for: programs that nobody thought of. Source: the methods of libFuzzer and of
 * model-based testing.
 *
 * A call is a byte, and what it needs of the bytes that follow (feed.h):
 *
 *      7           6   5    4       0
 *     | variation | thread | call    |
 *
 * The input is wholly forgotten at its end: all blocks are freed, the threads ended, and free
 * memory given back, so that an input that fails fails alone, too.
 */
#include "calls.h"
#include "check.h"
#include "crew.h"
#include "fuzz.h"
#include "model.h"
#include "poolmalloc/poolmalloc.h"

enum {
    thread_shift = 5,
    thread_mask = 3,
    variation_bit = 128,
    calls_per_input = 6000,
    bytes_per_input = 12 << 20,
    seed = 5,
};

static void (*const calls[1 << thread_shift])(void) = {
    call_malloc,
    call_calloc,
    call_aligned,
    call_posix_memalign,
    call_page_aligned,
    call_realloc,
    call_reallocarray,
    call_make_many,
    call_usable_size,
    call_free,
    call_free_sized,
    call_free_many,
    call_free_all,
    call_realloc_to_zero,
    call_free_null,
    call_trim,
    call_purge,
    call_idle,
    call_check,
    call_glance,
    call_too_much,
    call_overflow,
    call_realloc_too_much,
    call_wrong_alignment,
    call_aligned_too_much,
    NULL /* end */,
    call_heap,
    call_domain,
    call_batch,
    call_expand,
    call_walk,
    call_free_many,
};

static void call(void *argument)
{
    void (*const *const which)(void) = argument;
    (*which)();
}

static void step(void)
{
    unsigned first = feed_byte(&model.feed);
    unsigned member = first >> thread_shift & thread_mask;
    void (*which)(void) = calls[first % (1 << thread_shift)];
    model.variation = first & variation_bit;
    model.calls_left--;
    if (which)
        crew_do(member, call, &which);
    else
        crew_end(member);
}

/* Nothing is live, and the purge took what heaps keep: what is not free now is lost for ever. */
static void nothing_is_left(void)
{
    struct pm_stats stats;
    CHECK(model.live == 0, "%zu slots are still in use", model.live);
    if (!pm_stats_get(&stats))
        return;
    CHECK(stats.free_bytes == stats.arenas * stats.arena_bytes,
          "after the last free pools have %llu, kept are %llu, stashed %llu, in spans %llu bytes",
          (unsigned long long)stats.pool_bytes, (unsigned long long)stats.kept_bytes,
          (unsigned long long)stats.stash_bytes, (unsigned long long)stats.span_held_bytes);
}

static void start_once(void)
{
    static bool started;
    if (!started)
        shadow_start(seed);
    started = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    start_once();
    model.feed = (struct feed){data, data + size};
    model.calls_left = calls_per_input;
    model.bytes_left = bytes_per_input;
    while (!feed_empty(&model.feed) && model.calls_left > 0)
        step();
    call_free_all();
    crew_end_all();
    call_purge();
    call_check();
    nothing_is_left();
    return 0;
}

void fuzz_finish(void)
{
    shadow_check_empty();
}
