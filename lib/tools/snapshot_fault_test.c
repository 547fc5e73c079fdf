/* SPDX-License-Identifier: MIT */
/* Without memory snapshots are NULL or false with ENOMEM, and what was there is as it was. */
#include "os/os.h"
#include "tools/snapshot_testing.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* More than the first pieces of memory hold, so that all of them grow. */
enum { STACKS = 1500 };

static const char maps[] = "00001000-00002000 r-xp 00000000 08:01 7    /a\n"
                           "00003000-00004000 r-xp 00000000 08:01 7    /b\n";

static pm_snapshot *full;
static int file;

static bool fill(pm_snapshot *snapshot)
{
    for (uintptr_t i = 0; i < STACKS; i++) {
        const uintptr_t frames[2] = {TEST_LINE('a', i), TEST_LINE('b', i)};
        if (!pm_snapshot_add(snapshot, 0, frames, 2, 1, 10))
            return false;
    }
    return pm_snapshot_add_maps(snapshot, maps, sizeof maps - 1);
}

static bool make_one(void)
{
    pm_snapshot *snapshot = pm_snapshot_new();
    bool done = snapshot != NULL && fill(snapshot);
    pm_snapshot_free(snapshot);
    return done;
}

static bool take_one(void)
{
    pm_snapshot *snapshot = pm_snapshot_take();
    pm_snapshot_free(snapshot);
    return snapshot != NULL;
}

static bool filter_one(void)
{
    const struct pm_snapshot_filter filter = {.file = "c*", .all_frames = true};
    pm_snapshot *snapshot = pm_snapshot_filter(full, &filter, 1, &test_lines);
    pm_snapshot_free(snapshot);
    return snapshot != NULL;
}

static bool group_one(void)
{
    struct pm_snapshot_table *table =
        pm_snapshot_statistics(full, PM_SNAPSHOT_BY_TRACEBACK, false, &test_lines);
    pm_snapshot_table_free(table);
    return table != NULL;
}

static bool count_one(void)
{
    struct pm_snapshot_table *table =
        pm_snapshot_compare(full, full, PM_SNAPSHOT_BY_LINE, true, &test_lines);
    pm_snapshot_table_free(table);
    return table != NULL;
}

static bool read_one(void)
{
    char error[100] = "";
    require(lseek(file, 0, SEEK_SET) == 0);
    pm_snapshot *snapshot = pm_snapshot_read_fd(file, "snap.txt", error, sizeof error);
    require(snapshot != NULL || (strstr(error, "out of memory") != NULL && errno == ENOMEM));
    pm_snapshot_free(snapshot);
    return snapshot != NULL;
}

static bool set_one(void)
{
    static char program[1 << 20];
    memset(program, 'x', sizeof program - 1);
    struct pm_snapshot_about about = {.program = program};
    pm_snapshot *snapshot = pm_snapshot_new();
    bool done = snapshot != NULL && pm_snapshot_set_about(snapshot, &about);
    pm_snapshot_free(snapshot);
    return done;
}

/* Of address space, in pages. An emulator tells its own. */
static unsigned long size_of_process(void)
{
    char text[64] = "";
    if (test_emulated())
        return 0;
    int statm = open("/proc/self/statm", O_RDONLY);
    require(statm >= 0 && read(statm, text, sizeof text - 1) > 0);
    close(statm);
    return strtoul(text, NULL, 10);
}

/* Each call to the system for memory fails once, then it and all later ones. */
static void sweep(bool (*body)(void))
{
    pm_os_fault_set(0, false);
    require(body());
    unsigned calls = pm_os_fault_calls();
    require(calls > 0);
    unsigned long before = size_of_process();
    for (unsigned nth = 1; nth <= calls; nth++) {
        for (int for_good = 0; for_good < 2; for_good++) {
            pm_os_fault_set(nth, for_good);
            errno = 0;
            require(!body() && errno == ENOMEM);
        }
    }
    pm_os_fault_set(0, false);
    require(body() && size_of_process() == before);
}

static void each_refusal_is_enomem_and_loses_nothing(void **state)
{
    (void)state;
    static bool (*const bodies[])(void) = {make_one,  take_one, filter_one, group_one,
                                           count_one, read_one, set_one};
    FILE *stream = tmpfile();
    assert_non_null(stream);
    file = fileno(stream);
    full = pm_snapshot_new();
    assert_true(fill(full));
    assert_true(pm_snapshot_write(full, file));
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        sweep(bodies[i]);
    pm_snapshot_free(full);
    fclose(stream);
}

/* A refused addition may come again, and then counts once. */
static void a_snapshot_that_could_not_grow_is_as_it_was(void **state)
{
    (void)state;
    pm_snapshot *snapshot = pm_snapshot_new();
    struct pm_snapshot_about about;
    assert_non_null(snapshot);
    for (uintptr_t i = 0; i < STACKS; i++) {
        const uintptr_t frames[2] = {TEST_LINE('a', i), TEST_LINE('b', i)};
        for (unsigned nth = 1;; nth++) {
            pm_os_fault_set(nth, false);
            if (pm_snapshot_add(snapshot, 0, frames, 2, 1, 10))
                break;
            pm_snapshot_get_about(snapshot, &about);
            assert_int_equal(about.stacks, i);
            assert_int_equal(about.bytes, 10 * i);
        }
    }
    pm_os_fault_set(0, false);
    pm_snapshot_get_about(snapshot, &about);
    assert_int_equal(about.stacks, STACKS);
    assert_int_equal(about.blocks, STACKS);
    struct pm_snapshot_table *table =
        pm_snapshot_statistics(snapshot, PM_SNAPSHOT_BY_TRACEBACK, false, &test_lines);
    assert_int_equal(table->count, STACKS);
    pm_snapshot_table_free(table);
    pm_snapshot_free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_refusal_is_enomem_and_loses_nothing),
        cmocka_unit_test(a_snapshot_that_could_not_grow_is_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
