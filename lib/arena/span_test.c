/* SPDX-License-Identifier: MIT */
/* Spans: place, alignment, zero knowledge, sizes changed in place, misuse. */
#include "arena/span_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, SPANS_MAX = 40, STEPS = 1500 };

static size_t live_units(void)
{
    struct pm_arena_stats stats = test_arena_stats();
    return stats.arenas * PM_ARENA_UNITS - stats.free_units;
}

ISOLATED(every_size_has_room_and_uses_whole_units)
{
    static const size_t sizes[] = {0,
                                   1,
                                   PM_UNIT_BYTES,
                                   PM_UNIT_BYTES + 1,
                                   PM_ARENA_BYTES - 1,
                                   PM_ARENA_BYTES,
                                   PM_ARENA_BYTES + 1,
                                   5 * PM_ARENA_BYTES / 2};
    test_arena_start(WINDOW_ARENAS);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        bool zero = false;
        char *start = pm_span_alloc(sizes[i], 1, &zero);
        require(start != NULL && usable(start) >= sizes[i] && usable(start) > 0);
        require(usable(start) < sizes[i] + PM_UNIT_BYTES || sizes[i] == 0);
        test_dirty(start, usable(start));
    }
}

ISOLATED(every_alignment_up_to_64_mib_is_kept_for_small_and_large_spans)
{
    bool zero = false;
    test_arena_start(WINDOW_ARENAS);
    for (size_t align = 1; align <= (size_t)64 << 20; align *= 2) {
        for (size_t units = 1; units <= 3 * PM_ARENA_UNITS; units = units * 3 + 1) {
            char *start = span(units, align, &zero);
            test_dirty(start, PM_UNIT_BYTES);
            test_dirty(start + ((units - 1) << PM_UNIT_SHIFT), PM_UNIT_BYTES);
            span_free(start);
        }
    }
    require(live_units() == 0);
}

ISOLATED(sizes_and_alignments_that_nothing_holds_are_refused)
{
    bool zero = false;
    test_arena_start(1);
    require(pm_span_alloc(SIZE_MAX, 1, &zero) == NULL);
    require(pm_span_alloc(PTRDIFF_MAX, 1, &zero) == NULL);
    require(pm_span_alloc(PM_WINDOW_MAX_BYTES + 1, 1, &zero) == NULL);
    require(pm_span_alloc(1, (size_t)1 << 62, &zero) == NULL);
    require(pm_arena_check() && live_units() == 0);
    char *start = simple_span(1);
    require(!pm_span_resize(&pm_window, start, SIZE_MAX, "realloc"));
    require(usable(start) == PM_UNIT_BYTES);
}

ISOLATED(zero_is_said_of_fresh_and_purged_memory_only)
{
    bool zero = false;
    test_needs_small_pages();
    test_arena_start(WINDOW_ARENAS);
    for (size_t units = 1; units <= 2 * PM_ARENA_UNITS; units *= 2) {
        char *start = span(units, 1, &zero);
        require(zero && test_reads_as_zero(start, units << PM_UNIT_SHIFT));
        test_dirty(start, units << PM_UNIT_SHIFT);
        span_free(start);
        require(span(units, 1, &zero) == start && !zero);
        span_free(start);
        require(pm_arena_purge_all());
        start = span(units, 1, &zero);
        require(zero && test_reads_as_zero(start, units << PM_UNIT_SHIFT));
    }
}

ISOLATED(of_a_clean_span_only_the_units_that_it_had_are_dirty_afterwards)
{
    test_arena_start(WINDOW_ARENAS);
    span_free(simple_span(PM_ARENA_UNITS + 3));
    require(test_arena_stats().dirty_units == PM_ARENA_UNITS + 3);
    require(pm_arena_purge_all());
    span_free(simple_span(5));
    require(test_arena_stats().dirty_units == 5);
}

ISOLATED(what_a_span_once_had_is_dirty_when_it_shrank_before)
{
    test_arena_start(WINDOW_ARENAS);
    char *large = simple_span(3 * PM_ARENA_UNITS), *small = simple_span(9);
    require(resize(large, 2 * PM_ARENA_UNITS) && resize(large, PM_ARENA_UNITS));
    require(resize(small, 6) && resize(small, 3));
    span_free(large);
    span_free(small);
    require(test_arena_stats().dirty_units == 3 * PM_ARENA_UNITS + 9);
}

ISOLATED(a_span_of_whole_arenas_is_left_alone_by_a_size_that_a_part_of_one_holds)
{
    test_arena_start(WINDOW_ARENAS);
    char *start = simple_span(2 * PM_ARENA_UNITS);
    require(!resize(start, PM_ARENA_UNITS - 1));
    require(usable(start) == 2 * PM_ARENA_BYTES && live_units() == 2 * PM_ARENA_UNITS);
}

ISOLATED(a_span_in_an_arena_grows_where_the_next_units_are_free)
{
    test_arena_start(WINDOW_ARENAS);
    char *start = simple_span(4);
    test_dirty(start, 4 * PM_UNIT_BYTES);
    require(resize(start, 9) && usable(start) == 9 * PM_UNIT_BYTES);
    require(test_is_dirty(start, 4 * PM_UNIT_BYTES));
    test_dirty(start, 9 * PM_UNIT_BYTES);
    char *next = simple_span(1);
    require(next == start + 9 * PM_UNIT_BYTES);
    require(!resize(start, 10) && usable(start) == 9 * PM_UNIT_BYTES);
    require(!resize(start, PM_ARENA_UNITS));
    require(live_units() == 10);
    span_free(next);
    require(!resize(start, PM_ARENA_UNITS + 1)); /* the next arena is another one */
    require(resize(start, PM_ARENA_UNITS - 1));
    require(live_units() == PM_ARENA_UNITS - 1);
    require(test_is_dirty(start, 9 * PM_UNIT_BYTES));
}

ISOLATED(a_span_that_shrinks_gives_its_tail_back)
{
    test_arena_start(WINDOW_ARENAS);
    char *start = simple_span(20);
    test_dirty(start, 20 * PM_UNIT_BYTES);
    require(resize(start, 7) && usable(start) == 7 * PM_UNIT_BYTES);
    require(live_units() == 7 && test_is_dirty(start, 7 * PM_UNIT_BYTES));
    require(simple_span(1) == start + 7 * PM_UNIT_BYTES);
    char *large = simple_span(4 * PM_ARENA_UNITS);
    test_dirty(large, 4 * PM_ARENA_BYTES);
    require(resize(large, PM_ARENA_UNITS + 1));
    require(live_units() == 8 + 2 * PM_ARENA_UNITS);
    require(usable(large) == PM_ARENA_BYTES + PM_UNIT_BYTES);
    require(test_is_dirty(large, usable(large)));
}

ISOLATED(a_span_of_arenas_grows_into_free_arenas_behind_it)
{
    test_arena_start(WINDOW_ARENAS);
    char *start = simple_span(3 * PM_ARENA_UNITS);
    require(resize(start, PM_ARENA_UNITS)); /* two free arenas behind it now */
    test_dirty(start, PM_ARENA_BYTES);
    require(resize(start, 2 * PM_ARENA_UNITS + 1));
    require(usable(start) == 2 * PM_ARENA_BYTES + PM_UNIT_BYTES);
    require(live_units() == 3 * PM_ARENA_UNITS && test_is_dirty(start, PM_ARENA_BYTES));
    test_dirty(start, usable(start));
    require(resize(start, 2 * PM_ARENA_UNITS + 2)); /* room in its last arena */
    require(!resize(start, 100 * PM_ARENA_UNITS) && live_units() == 3 * PM_ARENA_UNITS);
    span_free(start);
    require(live_units() == 0 && test_arena_stats().span_units == 0);
}

/* Whose route a walk read before the pool was gone, it reads the rest of the line after that. */
ISOLATED(a_span_leaves_alone_what_walks_read_of_a_pool)
{
    static const size_t units[] = {1, PM_ARENA_UNITS - 1, 2 * PM_ARENA_UNITS};
    const struct pm_span_note note = {SIZE_MAX, SIZE_MAX, UINT32_MAX};
    test_arena_start(WINDOW_ARENAS);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        char *start = simple_span(units[i]);
        struct pm_window *w = pm_window_find(start);
        size_t unit = pm_window_index(w, start);
        _Atomic uint16_t *left = (void *)((char *)pm_window_line(w, unit) + PM_LINE_NOT_OF_SPANS);
        span_free(start);
        pm_store_relaxed(left, 0xa55a);
        require(simple_span(units[i]) == start);
        *pm_span_note(w, unit) = note;
        pm_span_link(w, unit)->next = pm_span_link(w, unit)->prev = (void *)start;
        require(resize(start, units[i] / 2 + 1) && pm_load_relaxed(left) == 0xa55a);
        span_free(start);
        require(pm_load_relaxed(left) == 0xa55a);
    }
}

ISOLATED(a_span_that_grew_is_not_called_zero_again)
{
    bool zero = false;
    test_arena_start(WINDOW_ARENAS);
    char *dirty = simple_span(8), *start = simple_span(4);
    char *wall = simple_span(1);
    require(start == dirty + 8 * PM_UNIT_BYTES && wall == start + 4 * PM_UNIT_BYTES);
    test_dirty(dirty, 8 * PM_UNIT_BYTES);
    span_free(dirty);
    char *small = span(4, 1, &zero);
    require(small == dirty && !zero && resize(small, 8));
    span_free(small);
    require(span(8, 1, &zero) == dirty && !zero);
}

ISOLATED(a_clean_span_that_grew_into_a_dirty_arena_leaves_all_of_it_dirty)
{
    test_arena_start(WINDOW_ARENAS);
    char *clean = simple_span(PM_ARENA_UNITS), *dirty = simple_span(PM_ARENA_UNITS);
    require(dirty == clean + PM_ARENA_BYTES);
    test_dirty(dirty, PM_ARENA_BYTES);
    span_free(dirty);
    require(resize(clean, PM_ARENA_UNITS + 1));
    span_free(clean);
    require(test_arena_stats().dirty_units == 2 * PM_ARENA_UNITS);
}

ISOLATED(freed_arenas_serve_the_next_span_of_arenas)
{
    test_arena_start(WINDOW_ARENAS);
    char *one = simple_span(2 * PM_ARENA_UNITS), *two = simple_span(2 * PM_ARENA_UNITS);
    size_t arenas = test_arena_stats().arenas;
    span_free(two);
    span_free(one);
    simple_span(4 * PM_ARENA_UNITS);
    require(test_arena_stats().arenas == arenas);
}

static void free_as_block(const void *ptr)
{
    struct pm_window *w = pm_window_find(ptr);
    uint64_t route = pm_load_relaxed(pm_window_route(w, pm_window_index(w, ptr)));
    if (route == PM_ROUTE_SPAN)
        pm_span_free(w, (void *)(uintptr_t)ptr, "free");
    else
        pm_span_fatal_void(w, ptr, "free");
}

static void misuse_of_spans_is_named_body(size_t units)
{
    char text[100];
    test_arena_start(WINDOW_ARENAS);
    char *start = simple_span(units);
    snprintf(text, sizeof text, "(block %p of %zu bytes)", (void *)start, units << PM_UNIT_SHIFT);
    require(test_aborts(free_as_block, start + 1, text));
    require(test_aborts(free_as_block, start + PM_UNIT_BYTES - 1, text));
    if (units > 1) {
        require(test_aborts(free_as_block, start + PM_UNIT_BYTES, text));
        require(test_aborts(free_as_block, start + ((units - 1) << PM_UNIT_SHIFT), text));
    }
    span_free(start);
    require(test_aborts(free_as_block, start, "not allocated"));
    require(test_aborts(free_as_block, (void *)pm_window_base(&pm_window), "not allocated"));
}

ISOLATED(interior_pointers_and_double_frees_of_small_spans_are_named)
{
    misuse_of_spans_is_named_body(3);
}

ISOLATED(interior_pointers_and_double_frees_of_spans_of_arenas_are_named)
{
    misuse_of_spans_is_named_body(3 * PM_ARENA_UNITS + 1);
}

static struct {
    char *start;
    size_t units;
} spans[SPANS_MAX];
static size_t count, spans_units;

static void random_alloc(uint64_t *seed)
{
    bool zero, large = test_random_below(seed, 8) == 0;
    size_t units = 1 + test_random_below(seed, large ? 5 * PM_ARENA_UNITS : 20);
    size_t align = (size_t)1 << test_random_below(seed, PM_ARENA_SHIFT + 2);
    char *start = span(units, align, &zero);
    require(!zero || test_reads_as_zero(start, units << PM_UNIT_SHIFT));
    for (size_t i = 0; i < count; i++) /* overlaps none */
        require(start + (units << PM_UNIT_SHIFT) <= spans[i].start ||
                spans[i].start + (spans[i].units << PM_UNIT_SHIFT) <= start);
    test_dirty(start, units << PM_UNIT_SHIFT);
    spans[count].start = start;
    spans[count++].units = units;
    spans_units += units;
}

static void random_free(uint64_t *seed)
{
    size_t pick = test_random_below(seed, count);
    require(test_is_dirty(spans[pick].start, spans[pick].units << PM_UNIT_SHIFT));
    span_free(spans[pick].start);
    spans_units -= spans[pick].units;
    spans[pick] = spans[--count];
}

static void random_resize(uint64_t *seed)
{
    size_t pick = test_random_below(seed, count), old = spans[pick].units;
    size_t units = 1 + test_random_below(seed, 2 * old);
    bool done = resize(spans[pick].start, units);
    require(done || units > old || (units < PM_ARENA_UNITS && old > units));
    units = done ? units : old;
    require(usable(spans[pick].start) == units << PM_UNIT_SHIFT);
    require(test_is_dirty(spans[pick].start, (units < old ? units : old) << PM_UNIT_SHIFT));
    test_dirty(spans[pick].start, units << PM_UNIT_SHIFT);
    spans[pick].units = units;
    spans_units += units - old;
}

static void random_spans(size_t window_arenas, size_t keep_bytes)
{
    uint64_t seed = 11;
    test_arena_start(window_arenas);
    pm_options.keep_bytes = keep_bytes;
    for (int step = 0; step < STEPS; step++) {
        unsigned action = (unsigned)test_random_below(&seed, 10);
        if (step % 200 == 199)
            pm_arena_purge_all();
        else if (count == 0 || (action < 4 && count < SPANS_MAX))
            random_alloc(&seed);
        else if (action < 7)
            random_free(&seed);
        else
            random_resize(&seed);
        require(test_arena_stats().span_units == spans_units);
    }
    while (count > 0)
        random_free(&seed);
    require(live_units() == 0);
}

static void free_at_once(const void *block)
{
    pm_span_free(&pm_window, (void *)(uintptr_t)block, "free");
}

/* Two threads may both have seen the route of a live block; the exchange decides. */
ISOLATED(of_two_frees_that_both_saw_a_live_block_the_second_is_named)
{
    test_arena_start(WINDOW_ARENAS);
    char *block = simple_span(3);
    span_free(block);
    require(test_aborts(free_at_once, block, "not allocated"));
}

ISOLATED(random_spans_keep_their_contents_and_add_up)
{
    random_spans(8 * WINDOW_ARENAS, SIZE_MAX);
}

ISOLATED(random_spans_do_so_in_tiny_windows_with_purging)
{
    random_spans(1, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_has_room_and_uses_whole_units),
        cmocka_unit_test(every_alignment_up_to_64_mib_is_kept_for_small_and_large_spans),
        cmocka_unit_test(sizes_and_alignments_that_nothing_holds_are_refused),
        cmocka_unit_test(zero_is_said_of_fresh_and_purged_memory_only),
        cmocka_unit_test(of_a_clean_span_only_the_units_that_it_had_are_dirty_afterwards),
        cmocka_unit_test(what_a_span_once_had_is_dirty_when_it_shrank_before),
        cmocka_unit_test(a_span_of_whole_arenas_is_left_alone_by_a_size_that_a_part_of_one_holds),
        cmocka_unit_test(a_span_in_an_arena_grows_where_the_next_units_are_free),
        cmocka_unit_test(a_span_that_shrinks_gives_its_tail_back),
        cmocka_unit_test(a_span_of_arenas_grows_into_free_arenas_behind_it),
        cmocka_unit_test(a_span_leaves_alone_what_walks_read_of_a_pool),
        cmocka_unit_test(a_span_that_grew_is_not_called_zero_again),
        cmocka_unit_test(a_clean_span_that_grew_into_a_dirty_arena_leaves_all_of_it_dirty),
        cmocka_unit_test(freed_arenas_serve_the_next_span_of_arenas),
        cmocka_unit_test(interior_pointers_and_double_frees_of_small_spans_are_named),
        cmocka_unit_test(interior_pointers_and_double_frees_of_spans_of_arenas_are_named),
        cmocka_unit_test(of_two_frees_that_both_saw_a_live_block_the_second_is_named),
        cmocka_unit_test(random_spans_keep_their_contents_and_add_up),
        cmocka_unit_test(random_spans_do_so_in_tiny_windows_with_purging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
