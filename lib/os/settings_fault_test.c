/* SPDX-License-Identifier: MIT */
/* The file of settings, at a place that the double is told of: what is read, and what is not. Each
 * body is a process before its first allocator call. */
#include "base/options.h"
#include "base/testing.h"
#include "os/os.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

static char path[64];

static void write_file(const char *text, size_t bytes, mode_t mode)
{
    unlink(path);
    FILE *file = fopen(path, "w");
    require(file != NULL && fwrite(text, 1, bytes, file) == bytes && fclose(file) == 0);
    require(chmod(path, mode) == 0);
}

static void write_good_file(mode_t mode)
{
    static const char text[] = "keep_bytes=3m\nheap_keep_bytes=4k";
    write_file(text, sizeof text - 1, mode);
}

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/poolmalloc-settings-%ld", (long)getpid());
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

/* The double's environment; `more` comes before the path. */
static void start(const void *more)
{
    char text[128];
    snprintf(text, sizeof text, "%ssettings=%s", (const char *)more, path);
    require(setenv("POOLMALLOC_OS_DOUBLE", text, 1) == 0);
    errno = EDOM;
    pm_os_options_init();
    require(errno == EDOM);
}

/* Nothing is said, and nothing taken. */
static void start_with_defaults(const void *more)
{
    char warning[400];
    require(test_stderr_of(start, more, warning, sizeof warning) == 0 && warning[0] == 0);
    start(more);
    require(pm_options.keep_bytes == PM_KEEP_BYTES_DEFAULT);
}

/* One line that names the file says why, and nothing is taken. */
static void start_with_complaint(const void *why)
{
    char warning[400], wanted[200];
    snprintf(wanted, sizeof wanted, "poolmalloc: %s: ignored: %s; the defaults stay\n", path,
             (const char *)why);
    require(test_stderr_of(start, "", warning, sizeof warning) == 0);
    require(strcmp(warning, wanted) == 0);
    start("");
    require(pm_options.keep_bytes == PM_KEEP_BYTES_DEFAULT);
}

ISOLATED(a_file_of_settings_is_read_before_the_environment)
{
    write_good_file(0644);
    require(setenv("POOLMALLOC_OPTIONS", "keep_bytes=5m", 1) == 0);
    start("");
    require(pm_options.keep_bytes == (size_t)5 << 20);
    require(pm_options.heap_keep_bytes == 4096);
}

ISOLATED(options_are_read_once)
{
    write_good_file(0644);
    start("");
    require(setenv("POOLMALLOC_OPTIONS", "keep_bytes=5m", 1) == 0);
    pm_os_options_init();
    require(pm_options.keep_bytes == (size_t)3 << 20);
}

ISOLATED(a_program_with_more_rights_than_its_caller_reads_no_file)
{
    write_good_file(0644);
    start_with_defaults("secure=1,");
}

ISOLATED(a_file_that_is_not_there_or_cannot_be_read_is_none)
{
    write_good_file(0644);
    pm_os_fault_set_kinds(1u << PM_OS_READ, 1, true);
    start_with_defaults("");
    pm_os_fault_set(0, false);
}

ISOLATED(without_a_file_the_defaults_hold)
{
    snprintf(path, sizeof path, "/no/such/file");
    start_with_defaults("");
}

ISOLATED(a_file_that_others_may_write_to_is_named_and_ignored)
{
    static const mode_t modes[] = {0664, 0646, 0666};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        char warning[400];
        write_good_file(modes[i]);
        require(test_stderr_of(start, "", warning, sizeof warning) == 0);
        require(strstr(warning, "others than its owner may write to it") != NULL);
    }
    start_with_complaint("others than its owner may write to it");
}

ISOLATED(a_file_that_is_too_large_is_named_and_ignored)
{
    static char large[PM_OS_SETTINGS_BYTES + 1] = "keep_bytes=3m\n";
    memset(large + strlen(large), '#', sizeof large - strlen(large));
    write_file(large, sizeof large, 0600);
    start_with_complaint("it is too large");
}

ISOLATED(a_file_that_just_fits_is_read)
{
    static char large[PM_OS_SETTINGS_BYTES];
    memset(large, '#', sizeof large);
    memcpy(large + sizeof large - 14, "\nkeep_bytes=3m", 14);
    write_file(large, sizeof large, 0600);
    start("");
    require(pm_options.keep_bytes == (size_t)3 << 20);
}

ISOLATED(what_is_no_regular_file_is_named_and_ignored)
{
    unlink(path);
    require(mkfifo(path, 0600) == 0); /* nobody writes: it would be waited for */
    start_with_complaint("it is no regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_settings_is_read_before_the_environment),
        cmocka_unit_test(options_are_read_once),
        cmocka_unit_test(a_program_with_more_rights_than_its_caller_reads_no_file),
        cmocka_unit_test(a_file_that_is_not_there_or_cannot_be_read_is_none),
        cmocka_unit_test(without_a_file_the_defaults_hold),
        cmocka_unit_test(a_file_that_others_may_write_to_is_named_and_ignored),
        cmocka_unit_test(a_file_that_is_too_large_is_named_and_ignored),
        cmocka_unit_test(a_file_that_just_fits_is_read),
        cmocka_unit_test(what_is_no_regular_file_is_named_and_ignored),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
