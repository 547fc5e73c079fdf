/* SPDX-License-Identifier: MIT */
/* The arena list: which units are handed out, and that what is given comes back. */
#include "arena/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum {
    QUARTER = PM_ARENA_UNITS / 4,
    WINDOW_ARENAS = 24,
    HELD_MAX = 200,
    STEPS = 4000,
    TOGETHER = 6
};

static struct pm_run take(unsigned units)
{
    struct pm_run run;
    require(pm_arena_take_run(units, &run));
    require(run.units == units && pm_arena_check());
    return run;
}

static void give(struct pm_run run)
{
    pm_arena_give_run(&run);
    require(pm_arena_check());
}

/* All units of one arena, one by one, in the order of their places. */
static void take_arena_by_units(struct pm_run runs[PM_ARENA_UNITS])
{
    struct pm_run run = take(1);
    size_t number = test_arena_number(run.base);
    for (int i = 0; i < PM_ARENA_UNITS; i++) {
        require(test_arena_number(run.base) == number);
        runs[test_unit_place(run.base)] = run;
        if (i < PM_ARENA_UNITS - 1)
            run = take(1);
    }
}

ISOLATED(the_fullest_arena_that_can_serve_is_taken)
{
    struct pm_run runs[12];
    test_arena_start(WINDOW_ARENAS);
    for (int i = 0; i < 12; i++)
        runs[i] = take(QUARTER); /* three arenas */
    require(test_arena_stats().arenas == 3);
    give(runs[0]); /* two quarters free, then one, then three */
    give(runs[1]);
    give(runs[4]);
    give(runs[8]);
    give(runs[9]);
    give(runs[10]);
    require(take(QUARTER).base == runs[4].base);
    require(test_arena_number(take(QUARTER).base) == test_arena_number(runs[0].base));
    require(test_arena_number(take(QUARTER).base) == test_arena_number(runs[0].base));
    require(test_arena_number(take(QUARTER).base) == test_arena_number(runs[8].base));
}

ISOLATED(an_arena_that_is_fuller_but_has_no_such_run_is_passed_over)
{
    struct pm_run units[PM_ARENA_UNITS];
    test_arena_start(WINDOW_ARENAS);
    take_arena_by_units(units);
    for (int i = 0; i < PM_ARENA_UNITS; i += 2)
        give(units[i]);
    struct pm_run pair = take(2);
    require(test_arena_number(pair.base) != test_arena_number(units[0].base));
    require(test_arena_number(take(1).base) == test_arena_number(units[0].base));
}

ISOLATED(the_shortest_hole_that_holds_the_run_is_taken)
{
    struct pm_run units[PM_ARENA_UNITS];
    test_arena_start(WINDOW_ARENAS);
    take_arena_by_units(units);
    for (int i = 10; i < 15; i++) /* five, two and three in a row */
        give(units[i]);
    give(units[30]);
    give(units[31]);
    for (int i = 61; i < PM_ARENA_UNITS; i++)
        give(units[i]);
    require(take(2).base == units[30].base);
    require(take(2).base == units[61].base);
    require(take(4).base == units[10].base);
    require(take(1).base == units[14].base); /* among equals the lowest */
    require(take(1).base == units[63].base);
}

ISOLATED(resident_empty_arenas_are_taken_before_clean_ones)
{
    test_arena_start(WINDOW_ARENAS);
    struct pm_run full[8];
    for (int i = 0; i < 8; i++)
        full[i] = take(QUARTER);
    for (int i = 0; i < 4; i++) {
        full[i].dirty = 1;
        give(full[i]);
    }
    for (int i = 4; i < 8; i++)
        give(full[i]);
    require(test_arena_number(take(1).base) == test_arena_number(full[0].base));
}

ISOLATED(groups_are_aligned_and_all_units_of_an_arena_come_in_groups)
{
    test_arena_start(WINDOW_ARENAS);
    uint64_t seen = 0;
    for (int i = 0; i < PM_ARENA_UNITS / PM_GROUP_UNITS; i++) {
        struct pm_group group;
        require(pm_arena_take_group(&group) && pm_arena_check());
        require((uintptr_t)group.base % (PM_GROUP_UNITS * PM_UNIT_BYTES) == 0);
        require(group.units == (1u << PM_GROUP_UNITS) - 1);
        require((seen >> test_unit_place(group.base) & 1) == 0);
        seen |= (uint64_t)group.units << test_unit_place(group.base);
    }
    require(~seen == 0 && test_arena_stats().arenas == 1);
}

ISOLATED(a_group_has_what_is_free_of_it_and_dirty_units_go_first)
{
    struct pm_run units[PM_ARENA_UNITS];
    struct pm_group group;
    test_arena_start(WINDOW_ARENAS);
    take_arena_by_units(units);
    for (int i = 0; i < 4; i++)
        give(units[i]);
    units[17].dirty = units[18].dirty = units[20].dirty = 1;
    give(units[17]);
    give(units[18]);
    give(units[20]);
    require(pm_arena_take_group(&group) && pm_arena_check());
    require(group.base == units[16].base && group.units == 0x16 && group.dirty == 0x16);
    require(pm_arena_take_group(&group) && pm_arena_check());
    require(group.base == units[0].base && group.units == 0x0f && group.dirty == 0);
    require(test_arena_stats().free_units == 0);
}

ISOLATED(dirty_bits_come_back_exactly_as_they_were_given)
{
    test_arena_start(1);
    struct pm_run whole[4];
    for (int i = 0; i < 4; i++) {
        whole[i] = take(QUARTER);
        require(whole[i].dirty == 0); /* fresh from the system */
    }
    for (int i = 0; i < 4; i++) {
        whole[i].dirty = 0xa5a5u >> i;
        give(whole[i]);
    }
    for (int i = 0; i < 4; i++) {
        struct pm_run run = take(QUARTER);
        for (int n = 0; n < 4; n++)
            require(run.base != whole[n].base || run.dirty == (0xa5a5u >> n & 0xffff));
    }
}

ISOLATED(bits_past_the_run_are_ignored_when_it_is_given)
{
    test_arena_start(1);
    struct pm_run run = take(3);
    run.dirty = ~(uint64_t)0;
    give(run);
    require(test_arena_stats().dirty_units == 3);
    struct pm_group group, none = {0};
    require(pm_arena_take_group(&group));
    pm_arena_give_group(&none); /* no units: nothing happens */
    group.units = 0x0f;
    group.dirty = 0xff;
    pm_arena_give_group(&group);
    require(pm_arena_check() && test_arena_stats().dirty_units == 4);
}

static void give_twice(const void *run)
{
    pm_arena_give_run(run);
    pm_arena_give_run(run);
}

ISOLATED(giving_a_run_twice_aborts_in_check_builds)
{
    test_arena_start(1);
    struct pm_run run = take(2);
    require(!PM_CHECK || test_aborts(give_twice, &run, "check failed"));
}

/* The model: what is held, and for each unit of the window what is known of it. */
struct held {
    bool is_group;
    struct pm_run run;
    struct pm_group group;
};

static struct held held[HELD_MAX];
static unsigned held_count;
static struct unit_model {
    bool taken, dirty; /* dirty: and it was so when it was taken, if it is taken */
} model[16 * 1024];

static struct unit_model *model_of(const char *unit)
{
    size_t index = pm_window_index(&pm_window, unit);
    require(index < sizeof model / sizeof *model);
    return &model[index];
}

static void model_take(char *unit, bool dirty)
{
    struct unit_model *m = model_of(unit);
    require(!m->taken && m->dirty == dirty);
    require(dirty || test_reads_as_zero(unit, PM_UNIT_BYTES));
    m->taken = true;
}

/* Half of the units are written to; these are dirty, and those that were so before. */
static bool model_give(char *unit, uint64_t *seed)
{
    struct unit_model *m = model_of(unit);
    bool written = test_random_below(seed, 2);
    if (written)
        test_dirty(unit, PM_UNIT_BYTES);
    *m = (struct unit_model){.dirty = m->dirty || written};
    return m->dirty;
}

static void random_take(uint64_t *seed)
{
    struct held *h = &held[held_count++];
    h->is_group = test_random_below(seed, 2);
    if (h->is_group) {
        require(pm_arena_take_group(&h->group));
        require(h->group.units != 0 && (h->group.dirty & ~h->group.units) == 0);
        for (unsigned i = 0; i < PM_GROUP_UNITS; i++) {
            if (h->group.units >> i & 1)
                model_take(h->group.base + i * PM_UNIT_BYTES, h->group.dirty >> i & 1);
        }
    } else {
        h->run = take(1 + (unsigned)test_random_below(seed, PM_POOL_UNITS_MAX));
        for (unsigned i = 0; i < h->run.units; i++)
            model_take(h->run.base + i * PM_UNIT_BYTES, h->run.dirty >> i & 1);
    }
}

static struct pm_run written(struct pm_run run, uint64_t *seed)
{
    run.dirty = 0;
    for (unsigned i = 0; i < run.units; i++)
        run.dirty |= (uint64_t)model_give(run.base + i * PM_UNIT_BYTES, seed) << i;
    return run;
}

/* Several runs together, or none. */
static void random_give_runs(uint64_t *seed)
{
    struct pm_run runs[TOGETHER];
    unsigned count = 0;
    for (unsigned tries = 0; tries < TOGETHER && held_count > 0; tries++) {
        unsigned pick = (unsigned)test_random_below(seed, held_count);
        if (held[pick].is_group)
            continue;
        runs[count++] = written(held[pick].run, seed);
        held[pick] = held[--held_count];
    }
    pm_arena_give_runs(runs, count);
}

static void random_give(uint64_t *seed)
{
    unsigned pick = (unsigned)test_random_below(seed, held_count);
    struct held h = held[pick];
    held[pick] = held[--held_count];
    if (h.is_group) {
        h.group.dirty = 0;
        for (unsigned i = 0; i < PM_GROUP_UNITS; i++) {
            if (h.group.units >> i & 1)
                h.group.dirty |= (uint8_t)(model_give(h.group.base + i * PM_UNIT_BYTES, seed) << i);
        }
        pm_arena_give_group(&h.group);
    } else {
        h.run = written(h.run, seed);
        pm_arena_give_run(&h.run);
    }
}

static void model_purge(void)
{
    pm_arena_purge_all();
    for (size_t i = 0; i < sizeof model / sizeof *model; i++)
        model[i].dirty &= model[i].taken;
}

static void require_same_totals(void)
{
    struct pm_arena_stats stats = test_arena_stats();
    size_t taken = 0, dirty = 0;
    for (size_t i = 0; i < sizeof model / sizeof *model; i++) {
        taken += model[i].taken;
        dirty += model[i].dirty && !model[i].taken;
    }
    require(stats.free_units == stats.arenas * PM_ARENA_UNITS - taken);
    require(stats.dirty_units == dirty);
}

ISOLATED(random_takes_gives_and_purges_agree_with_a_model_of_every_unit)
{
    uint64_t seed = 7;
    test_needs_small_pages();
    test_arena_start(WINDOW_ARENAS);
    for (int step = 0; step < STEPS; step++) {
        bool fill = step / 500 % 2 == 0; /* now mostly takes, now mostly gives */
        bool want = test_random_below(&seed, 100) < (fill ? 60 : 40);
        if (step % 700 == 699)
            model_purge();
        else if (step % 20 == 19)
            random_give_runs(&seed);
        else if (held_count == 0 || (want && held_count < HELD_MAX / 2))
            random_take(&seed);
        else
            random_give(&seed);
        require(pm_arena_check());
        if (step % 50 == 0)
            require_same_totals();
    }
    while (held_count > 0)
        random_give(&seed);
    require_same_totals();
    require(pm_arena_check() && test_arena_stats().arenas_in_use == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fullest_arena_that_can_serve_is_taken),
        cmocka_unit_test(an_arena_that_is_fuller_but_has_no_such_run_is_passed_over),
        cmocka_unit_test(the_shortest_hole_that_holds_the_run_is_taken),
        cmocka_unit_test(resident_empty_arenas_are_taken_before_clean_ones),
        cmocka_unit_test(groups_are_aligned_and_all_units_of_an_arena_come_in_groups),
        cmocka_unit_test(a_group_has_what_is_free_of_it_and_dirty_units_go_first),
        cmocka_unit_test(dirty_bits_come_back_exactly_as_they_were_given),
        cmocka_unit_test(bits_past_the_run_are_ignored_when_it_is_given),
        cmocka_unit_test(giving_a_run_twice_aborts_in_check_builds),
        cmocka_unit_test(random_takes_gives_and_purges_agree_with_a_model_of_every_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
