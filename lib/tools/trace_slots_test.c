/* SPDX-License-Identifier: MIT */
/* The words of traces outside the first window: of stretches of other memory, as of the C
 * library's. Nothing is read or written there, so that any addresses serve. */
#include "heap/testing.h"
#include "poolmalloc/trace.h"
#include "tools/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { FRAMES = 4, STRETCHES = 5000, LARGE = 3 * 1024 * 1024 };

static const size_t stretch_bytes = (size_t)1 << 24;

static void *address_of(size_t stretch, size_t offset)
{
    return (void *)(((uintptr_t)1 << 45) + stretch * stretch_bytes + offset);
}

static size_t current(void)
{
    size_t bytes;
    pm_trace_memory(&bytes, NULL);
    return bytes;
}

static size_t traced_bytes(const void *ptr)
{
    uintptr_t frames[FRAMES];
    size_t bytes = 0;
    return pm_trace_of(PM_TRACE_MALLOC, ptr, frames, FRAMES, &bytes) != 0 ? bytes : 0;
}

static void start(void)
{
    pm_free(pm_malloc(1));
    require(pm_trace_start(FRAMES));
}

/* The size of what is too large for a word is in the next: also behind the last of a stretch. */
ISOLATED(blocks_at_both_sides_of_a_border_between_stretches_have_words_of_their_own)
{
    void *last = address_of(1, stretch_bytes - PM_GRANULE_BYTES), *first = address_of(2, 0);
    start();
    require(pm_trace_slot_of(last, false) == NULL);
    require(pm_trace_track(PM_TRACE_MALLOC, first, 7));
    require(pm_trace_track(PM_TRACE_MALLOC, last, LARGE));
    require(pm_trace_slot_of(last, false) != NULL && pm_trace_slot_of(first, false) != NULL);
    require(traced_bytes(first) == 7 && traced_bytes(last) == LARGE && current() == LARGE + 7);
    require(pm_trace_untrack(PM_TRACE_MALLOC, last) && traced_bytes(last) == 0);
    require(traced_bytes(first) == 7 && current() == 7);
    require(pm_trace_untrack(PM_TRACE_MALLOC, first) && current() == 0);
}

ISOLATED(what_has_no_words_is_traced_all_the_same)
{
    size_t sum = 0, without = 0;
    start();
    for (size_t i = 0; i < STRETCHES; i++) {
        require(pm_trace_track(PM_TRACE_MALLOC, address_of(i, 16 * i), i + 1));
        require(pm_trace_track(PM_TRACE_MALLOC, address_of(i, 16 * i + 8), 1)); /* no granule */
        sum += i + 2;
        without += pm_trace_slot_of(address_of(i, 16 * i), true) == NULL;
    }
    require(current() == sum && without > 0 && without < STRETCHES);
    for (size_t i = 0; i < STRETCHES; i++) {
        require(traced_bytes(address_of(i, 16 * i)) == i + 1);
        require(pm_trace_untrack(PM_TRACE_MALLOC, address_of(i, 16 * i)));
        require(pm_trace_untrack(PM_TRACE_MALLOC, address_of(i, 16 * i + 8)));
        require(traced_bytes(address_of(i, 16 * i)) == 0);
    }
    require(current() == 0);
}

static uint64_t seen_bytes;

static void see(unsigned domain, const uintptr_t *frames, unsigned count, uint64_t blocks,
                uint64_t bytes, void *arg)
{
    (void)domain, (void)frames, (void)count, (void)blocks, (void)arg;
    seen_bytes += bytes;
}

ISOLATED(walks_and_clears_come_to_them)
{
    start();
    for (size_t i = 0; i < 10; i++)
        require(pm_trace_track(PM_TRACE_MALLOC, address_of(i, 32 * i), 100));
    require(pm_trace_each(see, NULL) && seen_bytes == 1000);
    pm_trace_clear();
    require(current() == 0 && traced_bytes(address_of(3, 96)) == 0);
    require(pm_trace_track(PM_TRACE_MALLOC, address_of(3, 96), 5) && current() == 5);
    pm_trace_stop();
    require(pm_trace_start(FRAMES) && current() == 0 && traced_bytes(address_of(3, 96)) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            blocks_at_both_sides_of_a_border_between_stretches_have_words_of_their_own),
        cmocka_unit_test(what_has_no_words_is_traced_all_the_same),
        cmocka_unit_test(walks_and_clears_come_to_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
