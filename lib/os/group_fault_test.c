/* SPDX-License-Identifier: MIT */
/* What the control group allows, on make-believe systems: a folder in which files look like those
 * of /proc and of mounted control groups. */
#include "base/testing.h"
#include "os/os.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#define MIB ((size_t)1 << 20)

static char root[40];

static void run(const char *format, const char *what)
{
    char command[1200];
    snprintf(command, sizeof command, format, what);
    require(system(command) == 0);
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/poolmalloc-group-%ld", (long)getpid());
    run("mkdir -p %s", root);
    pm_os_double_set_root(root);
    return 0;
}

static int remove_root(void **state)
{
    (void)state;
    run("rm -rf %s", root);
    return 0;
}

/* The folder is made where it is missing. */
static void put(const char *path, const char *text)
{
    char whole[1000];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    run("mkdir -p $(dirname %s)", whole);
    FILE *file = fopen(whole, "w");
    require(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void begin(const char *groups, const char *mounts)
{
    run("rm -rf %s/*", root);
    put("/proc/self/cgroup", groups);
    put("/proc/self/mountinfo", mounts);
}

#define MOUNTS_BEFORE                                                                              \
    "21 28 0:20 / /proc rw,relatime shared:12 - proc proc rw\n"                                    \
    "28 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
#define MOUNT_2 MOUNTS_BEFORE "35 24 0:30 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n"
#define MOUNT_1                                                                                    \
    MOUNTS_BEFORE "36 32 0:31 / /sys/fs/cgroup/cpu rw shared:10 - cgroup cgroup rw,cpu,cpuacct\n"  \
                  "37 32 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"

static bool is_limit(size_t bytes)
{
    errno = EDOM;
    size_t found = pm_os_group_limit_bytes();
    if (found != bytes)
        fprintf(stderr, "found %zu instead of %zu\n", found, bytes);
    return found == bytes && errno == EDOM;
}

ISOLATED(the_least_of_high_and_max_of_all_groups_up_to_the_mount_counts)
{
    begin("0::/a.slice/b.service\n", MOUNT_2);
    require(is_limit(SIZE_MAX));
    put("/sys/fs/cgroup/a.slice/b.service/memory.high", "max\n");
    put("/sys/fs/cgroup/a.slice/b.service/memory.max", "max\n");
    require(is_limit(SIZE_MAX));
    put("/sys/fs/cgroup/a.slice/b.service/memory.max", "104857600\n");
    require(is_limit(100 * MIB));
    put("/sys/fs/cgroup/a.slice/b.service/memory.high", "83886080\n");
    require(is_limit(80 * MIB));
    put("/sys/fs/cgroup/a.slice/memory.high", "62914560\n");
    require(is_limit(60 * MIB));
    put("/sys/fs/cgroup/memory.max", "52428800\n"); /* no group's, but a container's */
    require(is_limit(50 * MIB));
    put("/sys/fs/cgroup/a.slice/b.service/memory.high", "0\n");
    require(is_limit(0));
    put("/sys/fs/memory.high", "1\n"); /* above the mount */
    require(is_limit(0));
}

ISOLATED(in_version_1_it_is_the_limit_of_the_tree_of_memory)
{
    begin("9:cpu,cpuacct:/c\n5:name=systemd:/x\n4:blkio,memory:/user/me\n0::/\n", MOUNT_1);
    put("/sys/fs/cgroup/cpu/c/memory.limit_in_bytes", "1\n");
    put("/sys/fs/cgroup/memory/user/me/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/user/me/memory.soft_limit_in_bytes", "4096\n");
    require(is_limit(9223372036854771712u));
    put("/sys/fs/cgroup/memory/user/memory.limit_in_bytes", "73400320\n");
    require(is_limit(70 * MIB));
}

ISOLATED(a_container_that_sees_a_part_of_the_tree_finds_itself_in_it)
{
    begin("0::/docker/abc/inner\n",
          MOUNTS_BEFORE "35 24 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    put("/sys/fs/cgroup/memory.max", "41943040\n");
    require(is_limit(40 * MIB));
    put("/sys/fs/cgroup/inner/memory.max", "31457280\n");
    require(is_limit(30 * MIB));
}

ISOLATED(one_that_is_named_from_elsewhere_has_what_is_mounted)
{
    static const char *const names[] = {"0::/\n", "0::/../outside\n", "0::/docker/abcd\n"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        begin(names[i], i < 2 ? MOUNT_2
                              : MOUNTS_BEFORE
                            "35 24 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
        put("/sys/fs/cgroup/memory.high", "20971520\n");
        put("/sys/fs/outside/memory.high", "1\n");
        put("/sys/fs/cgroup/d/memory.high", "1\n"); /* "/docker/abcd" without "/docker/abc" */
        require(is_limit(20 * MIB));
    }
}

ISOLATED(what_is_no_number_or_too_large_a_one_limits_nothing)
{
    static const char *const texts[] = {
        "",
        "\n",
        "max",
        "-1\n",
        "12x\n",
        "0x1\n",
        " 12\n",
        "12 bananas\n",
        "\x7f\xfe\n",
        "18446744073709551616\n",
        "999999999999999999999999999999999999999999999999999999999999999999999999\n"};
    begin("0::/\n", MOUNT_2);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put("/sys/fs/cgroup/memory.high", texts[i]);
        require(is_limit(SIZE_MAX));
    }
    put("/sys/fs/cgroup/memory.high", "18446744073709551614"); /* no end of line */
    require(is_limit(SIZE_MAX - 1));
    put("/sys/fs/cgroup/memory.high", "4096\nmore\n");
    require(is_limit(4096));
}

ISOLATED(files_that_are_not_there_or_say_something_else_limit_nothing)
{
    static const char *const groups[] = {"",      "\n", "0:/", "0::", "::::\n", "0::relative\n",
                                         "memory"};
    static const char *const mounts[] = {"", "\n - cgroup2 \n", " - cgroup2 c rw\n",
                                         "1 2 3 - cgroup2 c rw\n", "1 2 0:3 / - cgroup2 c rw\n"};
    run("rm -rf %s/*", root);
    require(is_limit(SIZE_MAX));
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        begin(groups[i], MOUNT_2);
        put("/sys/fs/cgroup/memory.high", "4096\n");
        require(is_limit(SIZE_MAX));
    }
    for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
        begin("0::/\n", mounts[i]);
        put("/sys/fs/cgroup/memory.high", "4096\n");
        put("/memory.high", "4096\n");
        require(is_limit(SIZE_MAX));
    }
    begin("0::/\n", MOUNT_2);
    run("mkdir -p %s/sys/fs/cgroup/memory.high", root); /* it opens, and does not read */
    require(is_limit(SIZE_MAX));
}

/* Lines longer than what is looked at, and a group deeper than any is. */
ISOLATED(long_lines_are_passed_over)
{
    static char long_mounts[6000], long_group[3000];
    memset(long_mounts, 'x', sizeof long_mounts - 1);
    memcpy(long_mounts, "40 24 0:50 / ", 13);
    strcpy(long_mounts + sizeof long_mounts - 200, " - overlay overlay rw\n" MOUNT_2);
    begin("0::/a\n", long_mounts);
    put("/sys/fs/cgroup/a/memory.high", "4096\n");
    require(is_limit(4096));
    memset(long_group, 'g', sizeof long_group - 1);
    memcpy(long_group, "0::/", 4);
    begin(long_group, MOUNT_2);
    put("/sys/fs/cgroup/memory.high", "4096\n");
    require(is_limit(SIZE_MAX)); /* such a group is not found */
}

ISOLATED(files_that_cannot_be_opened_limit_nothing)
{
    begin("0::/a\n", MOUNT_2);
    put("/sys/fs/cgroup/a/memory.high", "8192\n");
    put("/sys/fs/cgroup/a/memory.max", "4096\n");
    pm_os_fault_set_kinds(1u << PM_OS_GROUP, 0, false);
    require(is_limit(4096));
    static const size_t without[] = {SIZE_MAX, SIZE_MAX, 4096, 8192, 4096};
    for (unsigned nth = 1; nth <= 5; nth++) {
        pm_os_fault_set_kinds(1u << PM_OS_GROUP, nth, false);
        require(is_limit(without[nth - 1]));
    }
    pm_os_fault_set_kinds(1u << PM_OS_GROUP, 1, true);
    require(is_limit(SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_of_high_and_max_of_all_groups_up_to_the_mount_counts),
        cmocka_unit_test(in_version_1_it_is_the_limit_of_the_tree_of_memory),
        cmocka_unit_test(a_container_that_sees_a_part_of_the_tree_finds_itself_in_it),
        cmocka_unit_test(one_that_is_named_from_elsewhere_has_what_is_mounted),
        cmocka_unit_test(what_is_no_number_or_too_large_a_one_limits_nothing),
        cmocka_unit_test(files_that_are_not_there_or_say_something_else_limit_nothing),
        cmocka_unit_test(long_lines_are_passed_over),
        cmocka_unit_test(files_that_cannot_be_opened_limit_nothing),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
