/* SPDX-License-Identifier: MIT */
/* From an address to its unit and the tables, in the first window and in added ones. */
#include "arena/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <cmocka.h>

enum { SOME_ARENAS = 2 * PM_TABLE_STEP_ARENAS + 3 };

static void *take_arenas(size_t arenas)
{
    bool zero = false;
    void *span = pm_span_alloc(arenas * PM_ARENA_BYTES, 1, &zero);
    require(span != NULL);
    return span;
}

ISOLATED(every_address_of_a_unit_leads_back_to_it)
{
    uint64_t seed = 1;
    test_arena_start(SOME_ARENAS);
    char *span = take_arenas(SOME_ARENAS);
    for (size_t i = 0; i < (size_t)SOME_ARENAS * PM_ARENA_UNITS; i++) {
        char *start = span + i * PM_UNIT_BYTES;
        size_t unit = pm_window_index(&pm_window, start);
        require(pm_window_unit(&pm_window, unit) == start);
        require(pm_window_index(&pm_window, start + PM_UNIT_BYTES - 1) == unit);
        char *inside = start + test_random_below(&seed, PM_UNIT_BYTES);
        require(pm_window_index(&pm_window, inside) == unit);
        require(pm_window_find(inside) == &pm_window);
    }
}

/* Fills the tables of a window with numbers that differ; any two that overlap spoil one. */
static void fill_tables(struct pm_window *w, size_t first, size_t end)
{
    for (size_t unit = first; unit < end; unit++) {
        uint64_t *line = pm_window_line(w, unit), *remote = pm_window_remote_line(w, unit);
        pm_store_relaxed(pm_window_route(w, unit), unit * 3);
        for (size_t i = 0; i < PM_LINE_BYTES / sizeof *line; i++) {
            line[i] = unit * 3 + 1;
            remote[i] = unit * 3 + 2;
        }
    }
}

static void require_tables(struct pm_window *w, size_t first, size_t end)
{
    for (size_t unit = first; unit < end; unit++) {
        uint64_t *line = pm_window_line(w, unit), *remote = pm_window_remote_line(w, unit);
        require((uintptr_t)line % PM_LINE_BYTES == 0 && (uintptr_t)remote % PM_LINE_BYTES == 0);
        require(pm_load_relaxed(pm_window_route(w, unit)) == unit * 3);
        for (size_t i = 0; i < PM_LINE_BYTES / sizeof *line; i++)
            require(line[i] == unit * 3 + 1 && remote[i] == unit * 3 + 2);
    }
}

static void check_tables(struct pm_window *w, void *arg)
{
    size_t first = (size_t)w->first_arena * PM_ARENA_UNITS;
    size_t end = (size_t)w->next_arena * PM_ARENA_UNITS;
    size_t *windows = arg;
    fill_tables(w, first, end);
    test_dirty(pm_window_unit(w, first), (end - first) << PM_UNIT_SHIFT);
    require_tables(w, first, end);
    require(pm_arena_check());
    require(test_is_dirty(pm_window_unit(w, first), (end - first) << PM_UNIT_SHIFT));
    *windows += 1;
}

ISOLATED(routes_lines_remote_lines_arena_table_and_units_do_not_overlap)
{
    size_t windows = 0;
    test_arena_start(SOME_ARENAS);
    for (int i = 0; i < SOME_ARENAS; i++) /* in steps: the tables are committed piecewise */
        take_arenas(1);
    pm_window_each(check_tables, &windows);
    require(windows == 1);
}

ISOLATED(the_tables_of_added_windows_do_not_overlap_either)
{
    size_t windows = 0;
    test_arena_start(1);
    for (int i = 0; i < 4; i++)
        take_arenas(PM_WINDOW_ADD_BYTES / PM_ARENA_BYTES / 4 + 1);
    pm_window_each(check_tables, &windows);
    require(windows >= 3);
}

static const char outside_static[16];

ISOLATED(foreign_pointers_have_no_window)
{
    char stack[16];
    char *heap = malloc(1 << 20);
    test_arena_start(2);
    take_arenas(2);
    take_arenas(2);
    const char *base = (const char *)pm_window_base(&pm_window);
    require(pm_window_find(NULL) == NULL);
    require(pm_window_find((void *)1) == NULL);
    require(pm_window_find((void *)UINTPTR_MAX) == NULL);
    require(pm_window_find(stack) == NULL);
    require(pm_window_find(heap) == NULL);
    require(pm_window_find(outside_static) == NULL);
    require(pm_window_find(base - 1) != &pm_window);
    require(pm_window_find(base + (pm_load_relaxed(&pm_window.units) << PM_UNIT_SHIFT)) !=
            &pm_window);
    free(heap);
}

ISOLATED(before_the_first_window_every_pointer_is_foreign)
{
    size_t windows = 0;
    require(pm_window_find(NULL) == NULL);
    require(pm_window_find(&windows) == NULL);
    pm_window_each(check_tables, &windows);
    require(windows == 0);
}

struct sizes {
    size_t count, bytes[PM_WINDOWS_MAX];
    struct pm_window *windows[PM_WINDOWS_MAX];
};

static void note_size(struct pm_window *w, void *arg)
{
    struct sizes *sizes = arg;
    sizes->windows[sizes->count] = w;
    sizes->bytes[sizes->count++] = pm_load_relaxed(&w->units) << PM_UNIT_SHIFT;
}

ISOLATED(pointers_into_added_windows_find_their_window_and_each_is_larger)
{
    static struct sizes sizes;
    char *spans[6];
    size_t arenas = PM_WINDOW_ADD_BYTES / PM_ARENA_BYTES / 2 + 1; /* at most one fits the first */
    test_arena_start(1);
    for (int i = 0; i < 6; i++)
        spans[i] = take_arenas(arenas);
    pm_window_each(note_size, &sizes);
    require(sizes.count >= 4 && sizes.windows[0] == &pm_window);
    for (size_t i = 2; i < sizes.count; i++)
        require(sizes.bytes[i] > sizes.bytes[i - 1]);
    for (int i = 0; i < 6; i++) {
        struct pm_window *w = pm_window_find(spans[i]);
        require(w != NULL && w != &pm_window);
        require(pm_window_find(spans[i] + arenas * PM_ARENA_BYTES - 1) == w);
        require(pm_window_unit(w, pm_window_index(w, spans[i])) == spans[i]);
    }
    require(pm_arena_check());
}

ISOLATED(a_request_larger_than_the_next_window_gets_a_window_of_its_size)
{
    static struct sizes sizes;
    test_arena_start(1);
    size_t arenas = 3 * PM_WINDOW_ADD_BYTES / PM_ARENA_BYTES;
    char *span = take_arenas(arenas);
    pm_window_each(note_size, &sizes);
    require(sizes.count == 2 && pm_window_find(span) == sizes.windows[1]);
    require(sizes.bytes[1] >= arenas * PM_ARENA_BYTES);
    test_dirty(span + (arenas - 1) * PM_ARENA_BYTES, PM_ARENA_BYTES);
}

ISOLATED(an_older_window_with_room_is_used_before_a_newer_one)
{
    test_arena_start(4);
    char *large = take_arenas(8); /* does not fit the first */
    require(pm_window_find(large) != &pm_window);
    require(pm_window_find(take_arenas(4)) == &pm_window);
}

ISOLATED(the_window_has_the_size_asked_for)
{
    test_arena_start(SOME_ARENAS);
    size_t usable = pm_window.arenas_end - pm_window.first_arena;
    require(usable == SOME_ARENAS);
    require(pm_window_base(&pm_window) % PM_ARENA_BYTES == 0);
}

ISOLATED(no_window_is_larger_than_the_largest)
{
    if (PM_ASAN || PM_TSAN || test_emulated())
        return; /* they leave no such room */
    pm_options.window_bytes = SIZE_MAX / 2;
    require(pm_arena_init());
    size_t arenas = pm_window.arenas_end - pm_window.first_arena;
    require(arenas <= PM_WINDOW_MAX_BYTES >> PM_ARENA_SHIFT);
    test_dirty(take_arenas(1), PM_ARENA_BYTES);
}

/* A start-up that fails after the window was made is repeated by the next call. */
ISOLATED(a_window_is_made_once_however_often_it_is_asked_for)
{
    test_arena_start(SOME_ARENAS);
    uintptr_t base = pm_window_base(&pm_window);
    require(pm_arena_init() && pm_window_base(&pm_window) == base);
    require(test_arena_stats().bytes_reserved <= 2 * SOME_ARENAS * PM_ARENA_BYTES);
}

ISOLATED(a_limit_on_the_address_space_makes_the_window_smaller)
{
    const rlim_t limit = (rlim_t)1 << 30;
    if (PM_ASAN || PM_TSAN)
        return; /* they need more than that to start with */
    pm_options.window_bytes = (size_t)64 << 30;
    test_limit(RLIMIT_AS, limit);
    require(pm_arena_init());
    require(test_arena_stats().bytes_reserved <= limit / 2);
    test_dirty(take_arenas(1), PM_ARENA_BYTES);
}

ISOLATED(routes_of_a_run_count_the_distance_to_its_head)
{
    test_arena_start(2);
    size_t unit = pm_window_index(&pm_window, take_arenas(2)) + 5;
    uint64_t owner = (uint64_t)PM_ROUTE_ALIGN * 1000;
    pm_window_set_routes(&pm_window, unit, PM_POOL_UNITS_MAX, owner);
    for (unsigned i = 0; i < PM_POOL_UNITS_MAX; i++) {
        uint64_t route = pm_load_relaxed(pm_window_route(&pm_window, unit + i));
        require((route & ~PM_ROUTE_DISTANCE_MASK) == owner);
        require(pm_route_distance(route) == i);
    }
    require(pm_load_relaxed(pm_window_route(&pm_window, unit + PM_POOL_UNITS_MAX)) == 0);
    pm_window_set_routes(&pm_window, unit, PM_POOL_UNITS_MAX, PM_ROUTE_VOID);
    for (unsigned i = 0; i < PM_POOL_UNITS_MAX; i++)
        require(pm_load_relaxed(pm_window_route(&pm_window, unit + i)) == PM_ROUTE_VOID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_address_of_a_unit_leads_back_to_it),
        cmocka_unit_test(routes_lines_remote_lines_arena_table_and_units_do_not_overlap),
        cmocka_unit_test(the_tables_of_added_windows_do_not_overlap_either),
        cmocka_unit_test(foreign_pointers_have_no_window),
        cmocka_unit_test(before_the_first_window_every_pointer_is_foreign),
        cmocka_unit_test(pointers_into_added_windows_find_their_window_and_each_is_larger),
        cmocka_unit_test(a_request_larger_than_the_next_window_gets_a_window_of_its_size),
        cmocka_unit_test(an_older_window_with_room_is_used_before_a_newer_one),
        cmocka_unit_test(the_window_has_the_size_asked_for),
        cmocka_unit_test(no_window_is_larger_than_the_largest),
        cmocka_unit_test(a_window_is_made_once_however_often_it_is_asked_for),
        cmocka_unit_test(a_limit_on_the_address_space_makes_the_window_smaller),
        cmocka_unit_test(routes_of_a_run_count_the_distance_to_its_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
