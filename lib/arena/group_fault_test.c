/* SPDX-License-Identifier: MIT */
/* Option cgroup, in a make-believe control group. */
#include "arena/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

enum { HIGH_ARENAS = 16, WINDOW_ARENAS = 64 };

static char root[40];

static int make_root(void **state)
{
    char command[300];
    (void)state;
    snprintf(root, sizeof root, "/tmp/poolmalloc-arenas-%ld", (long)getpid());
    snprintf(command, sizeof command,
             "mkdir -p %s/proc/self %s/cg && echo 0::/ >%s/proc/self/cgroup && "
             "echo '9 1 0:9 / /cg rw - cgroup2 none rw' >%s/proc/self/mountinfo",
             root, root, root, root);
    pm_os_double_set_root(root);
    return system(command);
}

static int remove_root(void **state)
{
    char command[80];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static void set_high(size_t arenas)
{
    char path[80];
    snprintf(path, sizeof path, "%s/cg/memory.high", root);
    FILE *file = fopen(path, "w");
    require(file != NULL && fprintf(file, "%zu\n", arenas * PM_ARENA_BYTES) > 0);
    require(fclose(file) == 0);
}

/* All free memory stays, but for the group's sake. */
static void start(const char *setting)
{
    require(pm_options_parse(setting));
    set_high(HIGH_ARENAS);
    pm_os_fault_set_kinds(1u << PM_OS_GROUP, 0, false);
    test_arena_start(WINDOW_ARENAS);
}

static char *take(unsigned arenas)
{
    bool zero = false;
    char *block = pm_span_alloc(arenas * PM_ARENA_BYTES, 1, &zero);
    if (block != NULL)
        test_dirty(block, arenas * PM_ARENA_BYTES);
    return block;
}

static void give(char *block)
{
    pm_span_free(pm_window_find(block), block, "free");
}

static uint64_t dirty_arenas(void)
{
    return test_arena_stats().dirty_units / PM_ARENA_UNITS;
}

/* As if so many seconds had gone by. */
static void look_later(unsigned seconds)
{
    pm_group_look(pm_os_now_ns() + seconds * PM_GROUP_LOOK_NS);
}

ISOLATED(far_from_the_limit_of_the_group_all_is_kept_that_the_bounds_allow)
{
    start("cgroup=purge");
    char *block = take(6), *other = take(4);
    give(block);
    require(dirty_arenas() == 6 && test_arena_stats().purges == 0);
    give(other);
    require(dirty_arenas() == 10 && pm_arena_check());
}

ISOLATED(near_the_limit_of_the_group_less_is_kept_and_beyond_nothing)
{
    const unsigned mark = HIGH_ARENAS - HIGH_ARENAS / PM_GROUP_SPARE_PART;
    start("cgroup=purge");
    char *first = take(4), *second = take(4), *third = take(mark - 6);
    give(first); /* what is in use and what is kept come to no more than the mark */
    require(dirty_arenas() == 2);
    char *beyond = take(20); /* more than the group may have: that is for the system to judge */
    require(beyond != NULL && dirty_arenas() == 0);
    give(second);
    give(third);
    require(dirty_arenas() == 0 && pm_arena_check());
    give(beyond);
    require(dirty_arenas() <= mark && pm_arena_check());
}

ISOLATED(as_a_limit_it_refuses_what_is_beyond)
{
    start("cgroup=limit");
    char *block = take(HIGH_ARENAS - 1), *last = take(1);
    require(block != NULL && last != NULL && take(1) == NULL);
    give(block);
    require(take(HIGH_ARENAS) == NULL && take(HIGH_ARENAS - 1) != NULL && pm_arena_check());
}

ISOLATED(the_lesser_of_the_groups_limit_and_the_option_counts)
{
    start("cgroup=limit,limit_bytes=0");
    pm_options.limit_bytes = 4 * PM_ARENA_BYTES;
    require(take(5) == NULL && take(4) != NULL);
    pm_options.limit_bytes = 2 * HIGH_ARENAS * PM_ARENA_BYTES;
    require(take(HIGH_ARENAS - 3) == NULL && take(HIGH_ARENAS - 4) != NULL);
}

ISOLATED(a_limit_that_changes_is_seen_after_a_second_and_not_asked_for_before)
{
    start("cgroup=limit");
    char *block = take(2);
    unsigned calls = pm_os_fault_calls();
    require(block != NULL && calls > 0);
    set_high(2 * HIGH_ARENAS);
    require(take(HIGH_ARENAS) == NULL || pm_os_fault_calls() > calls); /* this machine is slow */
    look_later(2);
    require(pm_os_fault_calls() > calls && take(HIGH_ARENAS) != NULL);
    calls = pm_os_fault_calls();
    for (int i = 0; i < 1000; i++) {
        give(block);
        block = take(1);
    }
    require(pm_os_fault_calls() == calls && pm_arena_check()); /* two seconds are not over */
}

ISOLATED(a_limit_that_cannot_be_read_any_more_is_none)
{
    start("cgroup=limit");
    require(take(HIGH_ARENAS + 1) == NULL);
    pm_os_fault_set_kinds(1u << PM_OS_GROUP, 1, true);
    look_later(2);
    require(take(HIGH_ARENAS + 1) != NULL);
}

ISOLATED(what_is_due_is_purged_and_the_group_looked_at)
{
    start("cgroup=purge");
    give(take(4));
    unsigned calls = pm_os_fault_calls();
    pm_purge_due(pm_os_now_ns() + 3 * PM_GROUP_LOOK_NS);
    require(pm_os_fault_calls() > calls);
}

ISOLATED(by_default_no_file_is_opened_and_nothing_limited)
{
    start("cgroup=off");
    char *block = take(2 * HIGH_ARENAS);
    require(block != NULL);
    give(block);
    pm_purge_due(pm_os_now_ns());
    require(pm_os_fault_calls() == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(far_from_the_limit_of_the_group_all_is_kept_that_the_bounds_allow),
        cmocka_unit_test(near_the_limit_of_the_group_less_is_kept_and_beyond_nothing),
        cmocka_unit_test(as_a_limit_it_refuses_what_is_beyond),
        cmocka_unit_test(the_lesser_of_the_groups_limit_and_the_option_counts),
        cmocka_unit_test(a_limit_that_changes_is_seen_after_a_second_and_not_asked_for_before),
        cmocka_unit_test(a_limit_that_cannot_be_read_any_more_is_none),
        cmocka_unit_test(what_is_due_is_purged_and_the_group_looked_at),
        cmocka_unit_test(by_default_no_file_is_opened_and_nothing_limited),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
