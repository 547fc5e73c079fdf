/* SPDX-License-Identifier: MIT */
/*
 * Conformance of every entry point of the malloc family. Built three times from the same source:
 * with pm_ names, and with the standard names linked to the shared and to the static library.
 * Usage: api_test [name of an area or of one property]
 */
#include "api_test.h"
#include "check.h"
#include "names.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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

static const size_t largest_painted_wholly = REDUCED(256 * 1024);

void paint_ends(void *memory, size_t size, unsigned salt)
{
    size_t edge = size <= largest_painted_wholly ? size : 4096;
    paint(memory, edge, salt);
    paint((char *)memory + size - edge, edge, salt);
}

void check_ends(const void *memory, size_t size, unsigned salt)
{
    size_t edge = size <= largest_painted_wholly ? size : 4096;
    check_paint((const char *)memory + size - edge, edge, salt);
    if (edge < size)
        check_paint(memory, edge, salt);
}

#if STRESS_STANDARD_NAMES
/* The program would pass with any good malloc; so first: is it ours that it calls? */
static void the_calls_are_served_by_poolmalloc(void)
{
    enum { calls = 1000 };
    struct pm_stats before, after;
    void *blocks[calls];
    if (allocator_is_the_c_librarys())
        return;
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

static const char *allocator(void)
{
    const char *name = getenv("POOLMALLOC");
    return name != NULL ? name : "default";
}

bool allocator_is_the_pools(void)
{
    return strcmp(allocator(), "default") == 0 || strcmp(allocator(), "pool") == 0;
}

bool allocator_is_the_c_librarys(void)
{
    return strncmp(allocator(), "malloc", strlen("malloc")) == 0;
}

struct property {
    const char *area, *name;
    void (*test)(void);
};

/* clang-format off */
#define PROPERTY(area, name) {#area, #name, name}
/* clang-format on */

static const struct property properties[] = {
#if STRESS_STANDARD_NAMES
    PROPERTY(contract, the_calls_are_served_by_poolmalloc),
    PROPERTY(contract, required_functions_are_poolmallocs),
    PROPERTY(contract, blocks_of_the_c_library_are_poolmallocs),
#endif
    PROPERTY(contract, a_block_of_any_maker_goes_to_any_taker),
    PROPERTY(contract, a_block_of_any_maker_is_freed_by_another_thread),
    PROPERTY(sizes, malloc_gives_writable_distinct_blocks_of_every_size),
    PROPERTY(sizes, malloc_of_zero_gives_unique_pointers),
    PROPERTY(sizes, malloc_of_too_much_fails_with_enomem),
    PROPERTY(sizes, usable_size_is_wholly_writable),
    PROPERTY(sizes, calloc_is_zero_after_dirty_reuse),
    PROPERTY(sizes, calloc_refuses_overflow),
    PROPERTY(sizes, free_preserves_errno),
    PROPERTY(sizes, free_of_null_does_nothing),
    PROPERTY(sizes, sized_frees_take_the_size_asked_for),
    PROPERTY(sizes, trim_leaves_live_blocks_alone),
    PROPERTY(borders, every_maker_serves_every_class_border_and_its_neighbours),
    PROPERTY(borders, blocks_of_zero_and_one_are_distinct_whoever_makes_them),
    PROPERTY(limits, every_maker_refuses_what_is_larger_than_an_object_may_be),
    PROPERTY(limits, products_that_overflow_are_refused_in_either_order),
    PROPERTY(limits, a_product_with_zero_is_a_block_of_zero_bytes),
    PROPERTY(limits, very_large_requests_are_served_or_refused_with_enomem),
    PROPERTY(aligned, aligned_blocks_are_aligned_for_every_power_of_two),
    PROPERTY(aligned, aligned_blocks_do_not_overlap),
    PROPERTY(aligned, aligned_alloc_refuses_what_is_no_power_of_two),
    PROPERTY(aligned, memalign_refuses_what_is_no_power_of_two),
    PROPERTY(aligned, posix_memalign_returns_the_code_and_leaves_the_pointer_alone),
    PROPERTY(aligned, aligned_requests_of_too_much_fail),
    PROPERTY(aligned, valloc_and_pvalloc_align_to_pages),
    PROPERTY(alignments, alignments_up_to_4_gib_are_kept),
    PROPERTY(alignments, numbers_beside_powers_of_two_are_refused_whatever_the_size),
    PROPERTY(alignments, posix_memalign_takes_multiples_of_a_pointer_only),
    PROPERTY(alignments, alignments_that_no_address_has_are_out_of_memory),
    PROPERTY(alignments, sizes_that_wrap_when_rounded_up_are_refused),
    PROPERTY(realloc, realloc_of_null_is_malloc),
    PROPERTY(realloc, realloc_to_zero_frees_and_returns_null),
    PROPERTY(realloc, realloc_keeps_contents_over_ladders),
    PROPERTY(realloc, realloc_keeps_contents_over_random_walks),
    PROPERTY(realloc, realloc_that_fails_leaves_the_block_alone),
    PROPERTY(realloc, reallocarray_multiplies_and_refuses_overflow),
    PROPERTY(realloc, realloc_takes_aligned_blocks),
    PROPERTY(moves, contents_are_kept_from_every_kind_of_size_to_every_other),
    PROPERTY(moves, blocks_of_every_maker_are_resized),
    PROPERTY(moves, a_block_stays_where_it_is_when_the_documentation_says_so),
    PROPERTY(moves, refused_reallocs_leave_blocks_of_every_kind_alone),
    PROPERTY(moves, every_product_of_zero_frees_and_returns_null),
    PROPERTY(errno, every_maker_keeps_errno_when_it_succeeds),
    PROPERTY(errno, realloc_keeps_errno_when_it_succeeds),
    PROPERTY(errno, every_taker_keeps_errno),
    PROPERTY(errno, giving_memory_back_keeps_errno),
    PROPERTY(errno, failures_set_errno_and_successes_do_not_clear_it),
    PROPERTY(extras, mallinfo_adds_up_and_follows_what_is_allocated),
    PROPERTY(extras, the_old_mallinfo_says_the_same_as_far_as_an_int_goes),
    PROPERTY(extras, mallopt_accepts_what_glibc_accepts_and_refuses_the_rest),
    PROPERTY(extras, malloc_info_refuses_options_and_leaves_errno_alone),
    PROPERTY(extras, a_good_size_is_what_a_block_of_every_maker_holds),
    PROPERTY(extras, blocks_of_every_maker_are_owned_and_other_memory_is_not),
    PROPERTY(extras, blocks_of_every_maker_expand_in_place_or_stay_as_they_are),
    PROPERTY(extras, a_batch_goes_to_single_calls_and_back),
};

static bool chosen(const struct property *property, const char *name)
{
    return !name || strcmp(name, property->name) == 0 || strcmp(name, property->area) == 0;
}

int main(int count, char **arguments)
{
    size_t run = 0;
    const char *name = count > 1 ? arguments[1] : NULL;
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) {
        if (!chosen(&properties[i], name))
            continue;
        printf("%s\n", properties[i].name);
        fflush(stdout);
        check_set_context(properties[i].name);
        properties[i].test();
        run++;
    }
    check_set_context(NULL);
    CHECK(run > 0, "no area or property is named \"%s\"", name ? name : "");
    printf("%zu properties hold for the " API_PREFIX "malloc family\n", run);
    return 0;
}
