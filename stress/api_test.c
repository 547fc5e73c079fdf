/* SPDX-License-Identifier: MIT */
/*
 * Conformance of every entry point of the malloc family. Built three times from the same source:
 * with pm_ names, and with the standard names linked to the shared and to the static library.
 * Usage: api_test [name of one property]
 */
#include "api_test.h"
#include "check.h"
#include "names.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if STRESS_STANDARD_NAMES
#include "poolmalloc/poolmalloc.h"
#endif

void for_each_border(size_t highest, void (*visit)(size_t size))
{
    highest = REDUCED(highest);
    visit(0);
    visit(1);
    for (size_t border = 8; border < 512; border += 8)
        for (size_t size = border - 1; size <= border + 1; size++)
            visit(size);
    for (size_t power = 512; power <= highest; power *= 2)
        for (size_t border = power; border < 2 * power && border <= highest; border += power / 8)
            for (size_t size = border - 1; size <= border + 1; size++)
                visit(size);
}

size_t opaque_size(size_t size)
{
    __asm__ volatile("" : "+r"(size));
    return size;
}

void *opaque_pointer(void *pointer)
{
    __asm__ volatile("" : "+r"(pointer) : : "memory");
    return pointer;
}

static unsigned char paint_byte(size_t place, unsigned salt)
{
    return (unsigned char)(place * 131 + (place >> 8) * 31 + salt);
}

void paint(void *memory, size_t size, unsigned salt)
{
    unsigned char *bytes = memory;
    for (size_t i = 0; i < size; i++)
        bytes[i] = paint_byte(i, salt);
}

void check_paint(const void *memory, size_t size, unsigned salt)
{
    const unsigned char *bytes = memory;
    for (size_t i = 0; i < size; i++)
        CHECK(bytes[i] == paint_byte(i, salt), "byte %zu of %zu at %p is %#x", i, size, memory,
              bytes[i]);
}

#if STRESS_STANDARD_NAMES
/* The program would pass with any good malloc; so first: is it ours that it calls? */
static void the_calls_are_served_by_poolmalloc(void)
{
    enum { calls = 1000 };
    struct pm_stats before, after;
    void *blocks[calls];
    CHECK(pm_stats_get(&before), "no statistics");
    for (int i = 0; i < calls; i++)
        blocks[i] = malloc(opaque_size(100));
    CHECK(pm_stats_get(&after), "no statistics");
    for (int i = 0; i < calls; i++)
        free(blocks[i]);
    CHECK(after.mallocs - before.mallocs >= calls, "poolmalloc counted %llu of %d calls of malloc",
          (unsigned long long)(after.mallocs - before.mallocs), calls);
}
#endif

struct property {
    const char *name;
    void (*test)(void);
};

#define PROPERTY(name)                                                                             \
    {                                                                                              \
#name, name                                                                                \
    }

static const struct property properties[] = {
#if STRESS_STANDARD_NAMES
    PROPERTY(the_calls_are_served_by_poolmalloc),
#endif
    PROPERTY(malloc_gives_writable_distinct_blocks_of_every_size),
    PROPERTY(malloc_of_zero_gives_unique_pointers),
    PROPERTY(malloc_of_too_much_fails_with_enomem),
    PROPERTY(usable_size_is_wholly_writable),
    PROPERTY(calloc_is_zero_after_dirty_reuse),
    PROPERTY(calloc_refuses_overflow),
    PROPERTY(free_preserves_errno),
    PROPERTY(free_of_null_does_nothing),
    PROPERTY(sized_frees_take_the_size_asked_for),
    PROPERTY(trim_leaves_live_blocks_alone),
    PROPERTY(aligned_blocks_are_aligned_for_every_power_of_two),
    PROPERTY(aligned_blocks_do_not_overlap),
    PROPERTY(aligned_alloc_refuses_what_is_no_power_of_two),
    PROPERTY(memalign_refuses_what_is_no_power_of_two),
    PROPERTY(posix_memalign_returns_the_code_and_leaves_the_pointer_alone),
    PROPERTY(aligned_requests_of_too_much_fail),
    PROPERTY(valloc_and_pvalloc_align_to_pages),
    PROPERTY(realloc_of_null_is_malloc),
    PROPERTY(realloc_to_zero_frees_and_returns_null),
    PROPERTY(realloc_keeps_contents_over_ladders),
    PROPERTY(realloc_keeps_contents_over_random_walks),
    PROPERTY(realloc_that_fails_leaves_the_block_alone),
    PROPERTY(reallocarray_multiplies_and_refuses_overflow),
    PROPERTY(realloc_takes_aligned_blocks),
};

int main(int count, char **arguments)
{
    size_t run = 0;
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) {
        if (count > 1 && strcmp(arguments[1], properties[i].name) != 0)
            continue;
        printf("%s\n", properties[i].name);
        fflush(stdout);
        check_set_context(properties[i].name);
        properties[i].test();
        run++;
    }
    check_set_context(NULL);
    CHECK(run > 0, "no property is named \"%s\"", count > 1 ? arguments[1] : "");
    printf("%zu properties hold for the " API_PREFIX "malloc family\n", run);
    return 0;
}
