/* SPDX-License-Identifier: MIT */
/* Looking at all heads of pools and spans, and at what an address lies in. */
#include "arena/span_testing.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 16, POOL_UNITS = 3, HEADS_MAX = 64 };

#define TEST_OWNER ((uint64_t)PM_ROUTE_ALIGN * 1000)

struct seen {
    char *heads[HEADS_MAX];
    uint64_t routes[HEADS_MAX];
    unsigned count;
};

static void note(struct pm_window *w, size_t unit, uint64_t route, void *arg)
{
    struct seen *seen = arg;
    require(seen->count < HEADS_MAX);
    seen->heads[seen->count] = pm_window_unit(w, unit);
    seen->routes[seen->count++] = route;
}

static struct seen walk(void)
{
    struct seen seen = {.count = 0};
    pm_arena_walk(note, &seen);
    return seen;
}

static bool has(const struct seen *seen, const char *head, uint64_t route)
{
    unsigned found = 0;
    for (unsigned i = 0; i < seen->count; i++)
        found += seen->heads[i] == head && seen->routes[i] == route;
    return found == 1;
}

/* A run that has an owner, as the layer above makes it. */
static char *owned_run(uint64_t owner)
{
    struct pm_run run;
    require(pm_arena_take_run(POOL_UNITS, &run));
    struct pm_window *w = pm_window_find(run.base);
    pm_window_set_routes(w, pm_window_index(w, run.base), POOL_UNITS, owner);
    return run.base;
}

ISOLATED(a_walk_sees_each_head_once_and_no_other_unit)
{
    test_arena_start(WINDOW_ARENAS);
    require(walk().count == 0);
    char *pool = owned_run(TEST_OWNER), *floating = owned_run(PM_ROUTE_FLOATING);
    char *small = simple_span(2), *large = simple_span(3 * PM_ARENA_UNITS + 1);
    struct seen seen = walk();
    require(seen.count == 4);
    require(has(&seen, pool, TEST_OWNER) && has(&seen, floating, PM_ROUTE_FLOATING));
    require(has(&seen, small, PM_ROUTE_SPAN) && has(&seen, large, PM_ROUTE_SPAN));
    span_free(small);
    seen = walk();
    require(seen.count == 3 && !has(&seen, small, PM_ROUTE_SPAN));
}

ISOLATED(a_walk_sees_added_windows_too)
{
    test_arena_start(2);
    char *spans[6];
    for (int i = 0; i < 6; i++)
        spans[i] = simple_span(PM_ARENA_UNITS);
    require(pm_window_find(spans[5]) != &pm_window);
    struct seen seen = walk();
    require(seen.count == 6);
    for (int i = 0; i < 6; i++)
        require(has(&seen, spans[i], PM_ROUTE_SPAN) && pm_arena_owns(spans[i]));
}

ISOLATED(before_there_is_a_window_nothing_is_seen_and_nothing_owned)
{
    require(walk().count == 0);
    require(!pm_arena_owns(NULL) && !pm_arena_owns(&pm_window));
}

static bool owns_units(const char *start, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        const char *unit = start + (i << PM_UNIT_SHIFT);
        if (!pm_arena_owns(unit) || !pm_arena_owns(unit + 1) ||
            !pm_arena_owns(unit + PM_UNIT_BYTES - 1))
            return false;
    }
    return true;
}

static bool owns_none(const char *start, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        if (pm_arena_owns(start + (i << PM_UNIT_SHIFT)))
            return false;
    }
    return true;
}

/* Of one arena, and of several whole ones with a rest behind. */
ISOLATED(every_address_of_a_span_is_owned_and_none_beside_it)
{
    static const size_t sizes[] = {1, 2, 17, PM_ARENA_UNITS, 2 * PM_ARENA_UNITS + 5};
    test_arena_start(WINDOW_ARENAS);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t units = sizes[i];
        size_t held = units < PM_ARENA_UNITS ? units : pm_align_up(units, PM_ARENA_UNITS);
        char *start = simple_span(units);
        require(owns_units(start, 0, units) && owns_none(start, units, held));
        require(owns_none(start, held, held + PM_ARENA_UNITS));
        span_free(start);
        require(owns_none(start, 0, held));
    }
}

ISOLATED(what_is_owned_follows_a_span_that_grows_and_shrinks)
{
    test_arena_start(WINDOW_ARENAS);
    span_free(simple_span(4 * PM_ARENA_UNITS)); /* there is room to grow */
    for (size_t from = 8; from <= 2 * PM_ARENA_UNITS; from *= 16) {
        char *start = simple_span(from);
        size_t more = from + 5, less = from - 3;
        require(resize(start, more) && owns_units(start, 0, more));
        require(owns_none(start, more, more + 2));
        require(resize(start, less) && owns_units(start, 0, less));
        require(owns_none(start, less, more));
        span_free(start);
    }
}

/* A neighbour of a live block that nobody has, or that somebody has who made no block of it yet. */
ISOLATED(units_of_no_pool_and_no_block_are_not_owned)
{
    struct pm_run run;
    struct pm_group group;
    test_arena_start(WINDOW_ARENAS);
    char *pool = owned_run(TEST_OWNER);
    require(pm_arena_take_run(5, &run) && pm_arena_take_group(&group));
    require(owns_units(pool, 0, POOL_UNITS));
    require(owns_none(run.base, 0, 5));
    for (unsigned i = 0; i < PM_GROUP_UNITS; i++) {
        if (group.units >> i & 1)
            require(owns_none(group.base, i, i + 1));
    }
    char *large = simple_span(2 * PM_ARENA_UNITS);
    require(pm_arena_take_run(PM_ARENA_UNITS - 1, &run) && owns_none(run.base, 0, run.units));
    require(owns_units(large, 0, 2 * PM_ARENA_UNITS));
}

ISOLATED(addresses_that_are_nobodys_are_not_owned)
{
    int here;
    static int there;
    test_arena_start(WINDOW_ARENAS);
    char *start = simple_span(1), *base = (char *)pm_window_base(&pm_window);
    size_t end = (size_t)pm_window.arenas_end * PM_ARENA_UNITS;
    require(!pm_arena_owns(NULL) && !pm_arena_owns(&here) && !pm_arena_owns(&there));
    for (unsigned shift = 0; shift < 64; shift++) {
        uintptr_t address = (uintptr_t)1 << shift;
        require(!pm_arena_owns((void *)address) && !pm_arena_owns((void *)-address));
    }
    require(!pm_arena_owns(base) && !pm_arena_owns(base - 1)); /* tables */
    require(owns_none(base, 0, (size_t)pm_window.first_arena * PM_ARENA_UNITS));
    require(owns_none(base, (size_t)pm_window.next_arena * PM_ARENA_UNITS, end + 1));
    require(pm_arena_owns(start));
}

static void *decommit_one(void *arg)
{
    (void)arg;
    return pm_purge_decommit_one(pm_os_now_ns()) ? &pm_decommit_lock : NULL;
}

/* The walk reads what lies in an arena that is just given back. */
ISOLATED(no_arena_is_decommitted_while_a_walk_reads)
{
    pthread_t thread;
    void *done;
    bool zero = false;
    test_arena_start(WINDOW_ARENAS);
    char *start = pm_span_alloc(PM_ARENA_BYTES, 1, &zero);
    test_dirty(start, PM_ARENA_BYTES);
    pm_span_free(pm_window_find(start), start, "free");
    pm_asan_unpoison(start, PM_ARENA_BYTES);
    pm_arena_hold_committed();
    require(pthread_create(&thread, NULL, decommit_one, NULL) == 0);
    while ((pm_load_relaxed(&pm_decommit_lock.state) & PM_LOCK_WAITED) == 0)
        require(test_is_dirty(start, PM_ARENA_BYTES)); /* and it can be read */
    require(test_is_dirty(start, PM_ARENA_BYTES));
    pm_arena_let_decommit();
    require(pthread_join(thread, &done) == 0 && done != NULL);
    require(test_arena_stats().decommitted_arenas == 1 && pm_arena_check());
}

/* A large block that goes is none any more, and one that shrinks is told with what it has. */
ISOLATED(the_bytes_of_a_large_block_are_those_that_it_has_now)
{
    bool zero = false;
    test_arena_start(WINDOW_ARENAS);
    char *block = pm_span_alloc(5 * PM_UNIT_BYTES - 1, 1, &zero);
    struct pm_window *w = pm_window_find(block);
    size_t unit = pm_window_index(w, block);
    require(pm_span_bytes_now(w, unit) == 5 * PM_UNIT_BYTES);
    require(pm_span_bytes_now(w, unit + 1) == 0);
    require(pm_span_resize(w, block, 2 * PM_UNIT_BYTES, "realloc"));
    require(pm_span_bytes_now(w, unit) == 2 * PM_UNIT_BYTES);
    pm_span_free(w, block, "free");
    require(pm_span_bytes_now(w, unit) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_walk_sees_each_head_once_and_no_other_unit),
        cmocka_unit_test(a_walk_sees_added_windows_too),
        cmocka_unit_test(before_there_is_a_window_nothing_is_seen_and_nothing_owned),
        cmocka_unit_test(every_address_of_a_span_is_owned_and_none_beside_it),
        cmocka_unit_test(what_is_owned_follows_a_span_that_grows_and_shrinks),
        cmocka_unit_test(units_of_no_pool_and_no_block_are_not_owned),
        cmocka_unit_test(addresses_that_are_nobodys_are_not_owned),
        cmocka_unit_test(no_arena_is_decommitted_while_a_walk_reads),
        cmocka_unit_test(the_bytes_of_a_large_block_are_those_that_it_has_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
