/* SPDX-License-Identifier: MIT */
/* What the options say of mappings, as /proc shows it: huge pages, core dumps, names, nodes. */
#include "arena/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 16 };

/* The ends of the first window: its tables, then its arenas. */
struct area {
    uintptr_t start, arenas, end;
};

static struct area window_area(void)
{
    uintptr_t base = pm_window_base(&pm_window);
    size_t lines = (size_t)pm_window.arenas_end * PM_ARENA_UNITS * PM_LINE_BYTES;
    return (struct area){base - pm_align_up(lines, pm_os_page_bytes()),
                         base + ((uintptr_t)pm_window.first_arena << PM_ARENA_SHIFT),
                         base + ((uintptr_t)pm_window.arenas_end << PM_ARENA_SHIFT)};
}

static FILE *open_proc(const char *name)
{
    char path[64];
    if (test_emulated())
        test_skipped("the emulator's mappings are not those of the system");
    snprintf(path, sizeof path, "/proc/self/%s", name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        test_skipped("the system does not show it");
    return file;
}

/* How many bytes of [start, end) lie in mappings whose flags have that one. */
static size_t flagged_bytes(uintptr_t start, uintptr_t end, const char *flag)
{
    char line[400], wanted[8];
    unsigned long from = 0, to = 0;
    size_t bytes = 0;
    FILE *file = open_proc("smaps");
    snprintf(wanted, sizeof wanted, " %s", flag);
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long first, last;
        if (sscanf(line, "%lx-%lx ", &first, &last) == 2) {
            from = first > start ? first : start;
            to = last < end ? last : end;
        } else if (strncmp(line, "VmFlags:", 8) == 0 && from < to && strstr(line, wanted) != NULL) {
            bytes += to - from;
        }
    }
    fclose(file);
    return bytes;
}

static char *take(size_t arenas)
{
    bool zero = false;
    char *block = pm_span_alloc(arenas * PM_ARENA_BYTES, 1, &zero);
    require(block != NULL);
    test_dirty(block, arenas * PM_ARENA_BYTES);
    return block;
}

/* A limit on data makes the system charge what is committed, so that it is decommitted. */
static char *decommit_and_take_again(size_t arenas)
{
    test_limit(RLIMIT_DATA, (rlim_t)1 << 60);
    char *block = take(arenas);
    pm_span_free(&pm_window, block, "free");
    require(pm_arena_purge_all() && test_arena_stats().decommitted_arenas == arenas);
    require(take(arenas) == block);
    return block;
}

ISOLATED(with_huge_pages_never_no_memory_of_a_window_may_get_any)
{
    require(pm_options_parse("huge_pages=never"));
    test_arena_start(WINDOW_ARENAS);
    struct area area = window_area();
    require(flagged_bytes(area.start, area.end, "nh") == area.end - area.start);
    decommit_and_take_again(3);
    require(flagged_bytes(area.start, area.end, "nh") == area.end - area.start);
    char *large = take(2 * WINDOW_ARENAS); /* in a window that is added */
    uintptr_t start = (uintptr_t)large, end = start + 2 * WINDOW_ARENAS * PM_ARENA_BYTES;
    require(flagged_bytes(start, end, "nh") == end - start);
}

ISOLATED(by_default_nothing_is_said_of_huge_pages)
{
    test_arena_start(WINDOW_ARENAS);
    struct area area = window_area();
    take(3);
    require(flagged_bytes(area.start, area.end, "nh") == 0);
    require(flagged_bytes(area.start, area.end, "hg") == 0);
}

ISOLATED(core_dumps_have_tables_and_arenas_and_not_the_reservation)
{
    test_arena_start(3 * PM_TABLE_STEP_ARENAS);
    struct area area = window_area();
    require(flagged_bytes(area.start, area.arenas, "dd") == 0);
    require(flagged_bytes(area.arenas, area.end, "dd") == area.end - area.arenas);
    char *block = decommit_and_take_again(3);
    uintptr_t used_end = (uintptr_t)block + 3 * PM_ARENA_BYTES;
    require(flagged_bytes(area.arenas, used_end, "dd") == 0);
    require(flagged_bytes(area.arenas, area.end, "dd") >
            (area.end - area.arenas) - (PM_TABLE_STEP_ARENAS << PM_ARENA_SHIFT));
    block = take(PM_TABLE_STEP_ARENAS); /* over the step's end */
    require(flagged_bytes(area.arenas, (uintptr_t)block, "dd") == 0);
    require(flagged_bytes((uintptr_t)block,
                          (uintptr_t)block + (PM_TABLE_STEP_ARENAS << PM_ARENA_SHIFT), "dd") == 0);
}

ISOLATED(core_dumps_have_no_arenas_where_the_option_says_tables)
{
    require(pm_options_parse("core_dump=tables"));
    test_arena_start(WINDOW_ARENAS);
    struct area area = window_area();
    decommit_and_take_again(3);
    require(flagged_bytes(area.start, area.arenas, "dd") == 0);
    require(flagged_bytes(area.arenas, area.end, "dd") == area.end - area.arenas);
}

ISOLATED(core_dumps_are_the_systems_matter_where_the_option_says_all)
{
    require(pm_options_parse("core_dump=all"));
    test_arena_start(WINDOW_ARENAS);
    struct area area = window_area();
    take(3);
    require(flagged_bytes(area.start, area.end, "dd") == 0);
}

/* The policy of the mapping that holds the address, or "". */
static void policy_at(const void *address, char *policy, size_t room)
{
    char line[600], word[64];
    unsigned long first;
    FILE *file = open_proc("numa_maps");
    policy[0] = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%lx %63s", &first, word) == 2 && first <= (uintptr_t)address)
            snprintf(policy, room, "%s", word);
    }
    fclose(file);
}

static void arenas_have_policy(const char *setting, const char *wanted)
{
    char policy[64], probe[4096];
    require(pm_options_parse(setting));
    void *page = pm_os_reserve(PM_ARENA_BYTES, PM_ARENA_BYTES);
    if (pm_os_bind(page, PM_ARENA_BYTES, 0, 0) != 0)
        test_skipped("the system binds no memory to nodes");
    policy_at(probe, policy, sizeof policy); /* the stack's */
    require(strncmp(policy, wanted, strlen(wanted)) != 0);
    test_arena_start(WINDOW_ARENAS);
    policy_at(take(2), policy, sizeof policy);
    require(strncmp(policy, wanted, strlen(wanted)) == 0);
    policy_at(decommit_and_take_again(3), policy, sizeof policy);
    require(strncmp(policy, wanted, strlen(wanted)) == 0);
}

ISOLATED(arenas_are_bound_to_the_nodes_that_the_option_names)
{
    arenas_have_policy("numa=bind:0", "bind:0");
}

ISOLATED(arenas_are_interleaved_over_the_nodes_that_there_are)
{
    arenas_have_policy("numa=interleave", "interleave:0");
}

static void start_on_far_nodes(const void *text)
{
    require(pm_options_parse(text));
    test_arena_start(WINDOW_ARENAS);
    take(2 * WINDOW_ARENAS); /* a second window: it is not said again */
}

ISOLATED(nodes_that_there_are_not_are_warned_of_once_and_memory_comes_from_elsewhere)
{
    char text[600];
    require(test_stderr_of(start_on_far_nodes, "numa=bind:1000-1001", text, sizeof text) == 0);
    require(strstr(text, "option numa=bind:1000-1001: the system refuses (error ") != NULL);
    require(strchr(text, '\n') == text + strlen(text) - 1);
    require(test_stderr_of(start_on_far_nodes, "numa=bind:9-8", text, sizeof text) == 0);
    require(strstr(text, "option numa=bind:9-8: the system refuses (error 22)") != NULL);
}

ISOLATED(mappings_have_names_where_the_kernel_has_them)
{
    char line[400];
    unsigned tables = 0, arenas = 0;
    void *page = pm_os_reserve(PM_ARENA_BYTES, PM_ARENA_BYTES);
    if (!pm_os_name(page, PM_ARENA_BYTES, "probe"))
        test_skipped("the kernel names no anonymous memory");
    require(pm_options_parse("mapping_names=on"));
    test_arena_start(WINDOW_ARENAS);
    FILE *file = open_proc("maps");
    while (fgets(line, sizeof line, file) != NULL) {
        tables += strstr(line, "[anon:poolmalloc tables]") != NULL;
        arenas += strstr(line, "[anon:poolmalloc arenas]") != NULL;
    }
    fclose(file);
    require(tables > 0 && arenas > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_huge_pages_never_no_memory_of_a_window_may_get_any),
        cmocka_unit_test(by_default_nothing_is_said_of_huge_pages),
        cmocka_unit_test(core_dumps_have_tables_and_arenas_and_not_the_reservation),
        cmocka_unit_test(core_dumps_have_no_arenas_where_the_option_says_tables),
        cmocka_unit_test(core_dumps_are_the_systems_matter_where_the_option_says_all),
        cmocka_unit_test(arenas_are_bound_to_the_nodes_that_the_option_names),
        cmocka_unit_test(arenas_are_interleaved_over_the_nodes_that_there_are),
        cmocka_unit_test(
            nodes_that_there_are_not_are_warned_of_once_and_memory_comes_from_elsewhere),
        cmocka_unit_test(mappings_have_names_where_the_kernel_has_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
