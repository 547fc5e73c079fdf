/* SPDX-License-Identifier: MIT */
/* Snapshots as files: written and read again; whatever else a file has is named with its place. */
#include "tools/snapshot_testing.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { TEXT_BYTES = 1 << 16 };

/* ---- files that have no name ---- */

static int file_of(const char *text, size_t length)
{
    FILE *stream = tmpfile();
    assert_non_null(stream);
    int file = dup(fileno(stream));
    fclose(stream);
    assert_int_equal(write(file, text, length), (ssize_t)length);
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    return file;
}

static size_t text_of(const pm_snapshot *snapshot, char *text)
{
    int file = file_of("", 0);
    assert_true(pm_snapshot_write(snapshot, file));
    ssize_t length = pread(file, text, TEXT_BYTES - 1, 0);
    assert_true(length > 0);
    close(file);
    text[length] = 0;
    return (size_t)length;
}

static char error[300];

static pm_snapshot *read_text(const char *text, size_t length)
{
    int file = file_of(text, length);
    errno = 0;
    pm_snapshot *snapshot = pm_snapshot_read_fd(file, "snap.txt", error, sizeof error);
    close(file);
    return snapshot;
}

static const char whole[] = "poolmalloc snapshot 1\n"
                            "pid 4711\n"
                            "time 2026-11-27T16:05:09Z\n"
                            "traceback_limit 8\n"
                            "traced_bytes 40007\n"
                            "peak_bytes 50000\n"
                            "program /usr/bin/a program\n"
                            "stacks 3\n"
                            "3 40000 0 @ 0x401234 0x7f00000010a5\n"
                            "1 7 2 @\n"
                            "2 0 4294967295 @ 0xffffffffffffffff\n"
                            "\n"
                            "MAPPED_LIBRARIES:\n"
                            "00401000-00402000 r-xp 00001000 08:01 1234    /usr/bin/a program\n"
                            "7f0000000000-7f0000002000 r-xp 00000000 08:01 99    /lib/libc.so.6\n"
                            "7f0000002000-7f0000003000 rw-p 00000000 00:00 0 \n"
                            "end\n";

/* ---- what is right ---- */

static void what_is_read_is_what_was_written(void **state)
{
    (void)state;
    static char again[TEXT_BYTES];
    struct pm_snapshot_about about;
    struct pm_snapshot_frame frame;
    pm_snapshot *snapshot = read_text(whole, sizeof whole - 1);
    assert_non_null(snapshot);
    pm_snapshot_get_about(snapshot, &about);
    assert_int_equal(about.process_id, 4711);
    assert_string_equal(about.program, "/usr/bin/a program");
    assert_int_equal(about.time_s, 1795795509);
    assert_int_equal(about.traceback_limit, 8);
    assert_int_equal(about.traced_bytes, 40007);
    assert_int_equal(about.peak_bytes, 50000);
    assert_int_equal(about.stacks, 3);
    assert_int_equal(about.blocks, 6);
    assert_int_equal(about.bytes, 40007);
    assert_true(pm_snapshot_frame_of(snapshot, 0x7f00000010a5, &frame));
    assert_string_equal(frame.module, "/lib/libc.so.6");
    assert_int_equal(frame.offset, 0x10a5);
    text_of(snapshot, again);
    assert_string_equal(again, whole);
    pm_snapshot_free(snapshot);
}

static void an_empty_snapshot_is_a_file_too(void **state)
{
    (void)state;
    static char text[TEXT_BYTES];
    pm_snapshot *snapshot = pm_snapshot_new();
    size_t length = text_of(snapshot, text);
    pm_snapshot_free(snapshot);
    snapshot = read_text(text, length);
    assert_non_null(snapshot);
    assert_non_null(strstr(text, "\nstacks 0\n\nMAPPED_LIBRARIES:\nend\n"));
    pm_snapshot_free(snapshot);
}

static void times_are_those_of_the_calendar(void **state)
{
    (void)state;
    static char text[TEXT_BYTES];
    static const struct {
        uint64_t time_s;
        const char *line;
    } times[] = {{0, "\ntime 1970-01-01T00:00:00Z\n"},
                 {951782399, "\ntime 2000-02-28T23:59:59Z\n"},
                 {951782400, "\ntime 2000-02-29T00:00:00Z\n"},
                 {951868800, "\ntime 2000-03-01T00:00:00Z\n"},
                 {4107542400, "\ntime 2100-03-01T00:00:00Z\n"},
                 {253402300799, "\ntime 9999-12-31T23:59:59Z\n"}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        struct pm_snapshot_about about = {.program = "new\nline", .time_s = times[i].time_s};
        pm_snapshot *snapshot = pm_snapshot_new();
        assert_true(pm_snapshot_set_about(snapshot, &about));
        size_t length = text_of(snapshot, text);
        pm_snapshot_free(snapshot);
        assert_non_null(strstr(text, times[i].line));
        snapshot = read_text(text, length);
        pm_snapshot_get_about(snapshot, &about);
        assert_int_equal(about.time_s, times[i].time_s);
        assert_string_equal(about.program, "new?line");
        pm_snapshot_free(snapshot);
    }
}

/* So may a later library of the same version write, or a handler that cannot count ahead. */
static void unknown_keys_and_rows_that_come_again_are_taken(void **state)
{
    (void)state;
    static const char text[] = "poolmalloc snapshot 1\n"
                               "colour green\n"
                               "1 2 0 @ 0x10\n"
                               "1 3 0 @ 0x10\n"
                               "1 4 1 @ 0x10\n"
                               "\n"
                               "MAPPED_LIBRARIES:\n"
                               "end\n";
    struct pm_snapshot_about about;
    pm_snapshot *snapshot = read_text(text, sizeof text - 1);
    assert_non_null(snapshot);
    pm_snapshot_get_about(snapshot, &about);
    assert_int_equal(about.stacks, 2);
    assert_int_equal(about.blocks, 3);
    assert_int_equal(about.bytes, 9);
    pm_snapshot_free(snapshot);
}

/* From a pipe, a byte at a time at worst. */
static void a_stream_is_read_as_it_comes(void **state)
{
    (void)state;
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 0; i < sizeof whole - 1; i++)
            require(write(ends[1], whole + i, 1) == 1);
        _exit(0);
    }
    close(ends[1]);
    pm_snapshot *snapshot = pm_snapshot_read_fd(ends[0], "pipe", error, sizeof error);
    assert_non_null(snapshot);
    pm_snapshot_free(snapshot);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---- what is wrong ---- */

/* `whole` with the first `old` replaced. */
static size_t changed(char *text, const char *old, const char *new)
{
    const char *at = strstr(whole, old);
    assert_non_null(at);
    return (size_t)snprintf(text, TEXT_BYTES, "%.*s%s%s", (int)(at - whole), whole, new,
                            at + strlen(old));
}

static void what_is_wrong_is_told_with_its_place(void **state)
{
    (void)state;
    static char text[TEXT_BYTES], expected[300];
    static const struct {
        const char *old, *new, *at, *message; /* the place is the start of `at` */
    } cases[] = {
        {"snapshot 1", "snapshot 2", "2\n",
         "expected version 1, the one that is known here, not 2"},
        {"poolmalloc snap", "heap profile: 1", "",
         "not a snapshot: expected the line `poolmalloc snapshot 1`"},
        {"pid 4711", "pid", "pid\n", "expected `KEY VALUE`, a row, or an empty line"},
        {"pid 4711", "pid 47x1", "x1", "expected a number and the end of the line"},
        {"16:05", "16:75", "2026", "expected a time `YYYY-MM-DDThh:mm:ssZ`"},
        {"11-27", "02-29", "2026", "expected a time `YYYY-MM-DDThh:mm:ssZ`"},
        {"1 7 2", "x 7 2", "x 7", "expected a row, or an empty line behind the rows"},
        {"1 7 2", "99999999999999999999 7 2", "99", "expected a number of blocks and a blank"},
        {"3 40000", "0 40000", "0 40000 0", "expected at least one block"},
        {"1 7 2", "1 9223372036854775807 2", "1 922", "expected sums of at most 2^63 - 1"},
        {"40000 0 @", "40000 0x@", "0x@", "expected the number of a domain and a blank"},
        {"4294967295", "4294967296", "@ 0xf", "expected `@` after the number of a domain"},
        {" 0xffff", " 0xfffff", " 0xf", "expected an address ` 0x...`"},
        {" 0x401234", " 401234", " 401234", "expected an address ` 0x...`"},
        {"stacks 3", "stacks 4", "\nMAPPED", "expected as many rows as the line `stacks` says"},
        {"MAPPED", "MOPPED", "MOPPED", "expected the line `MAPPED_LIBRARIES:`"},
        {"r-xp 00001", "r-xz 00001", " 00001", "expected the permissions of a mapping"},
        {"00401000-", "f0401000-", " r-xp", "expected a mapping `START-END`"},
        {"7f0000002000-", "7f0000001000-", "7f0000001000-",
         "expected a mapping above those before it"},
        {"end\n", "end\nend\n", "end\n", "expected the end of the file after `end`"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length = changed(text, cases[i].old, cases[i].new);
        const char *at = strstr(text, cases[i].at);
        assert_non_null(at);
        if (strncmp(cases[i].old, "end", 3) == 0)
            at += 4; /* the second one */
        snprintf(expected, sizeof expected, "snap.txt: offset %zu: %s", (size_t)(at - text),
                 cases[i].message);
        assert_null(read_text(text, length));
        assert_int_equal(errno, EINVAL);
        assert_string_equal(error, expected);
    }
}

static void every_truncation_is_told_with_the_length_of_the_file(void **state)
{
    (void)state;
    char expected[100];
    for (size_t length = 1; length < sizeof whole - 1; length++) {
        snprintf(expected, sizeof expected,
                 "snap.txt: offset %zu: truncated: the line `end` is missing", length);
        assert_null(read_text(whole, length));
        assert_int_equal(errno, EINVAL);
        assert_string_equal(error, expected);
    }
    assert_null(read_text("", 0));
    assert_non_null(strstr(error, "snap.txt: offset 0: not a snapshot"));
}

/* Whatever a byte becomes: an error with a place in the file, or a snapshot that is sound. */
static void every_changed_byte_gives_an_error_or_a_sound_snapshot(void **state)
{
    (void)state;
    static const char others[] = {0, '\n', ' ', '9'};
    static char text[sizeof whole], again[TEXT_BYTES];
    for (size_t at = 0; at < sizeof whole - 1; at += PM_TSAN ? 16 : 1) { /* threads: none */
        for (size_t i = 0; i < 8 + sizeof others; i++) {
            memcpy(text, whole, sizeof whole);
            text[at] = i < 8 ? (char)(text[at] ^ 1 << i) : others[i - 8];
            pm_snapshot *snapshot = read_text(text, sizeof whole - 1);
            if (snapshot == NULL) {
                assert_int_equal(errno, EINVAL);
                assert_int_equal(strncmp(error, "snap.txt: offset ", 17), 0);
                assert_true(strtoul(error + 17, NULL, 10) <= sizeof whole - 1);
                continue;
            }
            enum pm_snapshot_group group = (enum pm_snapshot_group)((at + i) % 7);
            pm_snapshot_table_free(pm_snapshot_compare(snapshot, snapshot, group, false, NULL));
            size_t length = text_of(snapshot, again);
            pm_snapshot_free(snapshot);
            assert_non_null(snapshot = read_text(again, length));
            pm_snapshot_free(snapshot);
        }
    }
}

/* A foreign file, or a damaged one. */
static void a_line_without_an_end_is_given_up(void **state)
{
    (void)state;
    enum { LENGTH = 5 << 20 };
    char *text = malloc(LENGTH);
    assert_non_null(text);
    memset(text, 'x', LENGTH);
    memcpy(text, "poolmalloc snapshot 1\nprogram ", 30);
    assert_null(read_text(text, LENGTH));
    assert_string_equal(error, "snap.txt: offset 22: expected a shorter line");
    memcpy(text, "heap profile", 12);
    assert_null(read_text(text, LENGTH));
    assert_non_null(strstr(error, "snap.txt: offset 0: not a snapshot"));
    free(text);
}

static void stacks_of_too_many_frames_are_refused(void **state)
{
    (void)state;
    enum { FRAMES = UINT16_MAX + 1 };
    static char text[FRAMES * 4 + 100];
    size_t length = (size_t)sprintf(text, "poolmalloc snapshot 1\n1 1 0 @");
    for (int i = 0; i < FRAMES; i++)
        length += (size_t)sprintf(text + length, " 0x1");
    length += (size_t)sprintf(text + length, "\n\nMAPPED_LIBRARIES:\nend\n");
    assert_null(read_text(text, length));
    assert_non_null(strstr(error, "expected the end of the line, after so many frames"));
}

static void what_the_system_refuses_is_told(void **state)
{
    (void)state;
    errno = 0;
    assert_null(pm_snapshot_read("/no/such/file", error, sizeof error));
    assert_int_equal(errno, ENOENT);
    assert_string_equal(error, "/no/such/file: No such file or directory");
    assert_null(pm_snapshot_read("/", error, sizeof error));
    assert_int_equal(errno, EISDIR);
    assert_null(pm_snapshot_read("/", error, 0));
    assert_null(pm_snapshot_read_fd(-1, "closed", error, 5));
    assert_int_equal(errno, EBADF);
    assert_string_equal(error, "clos");
}

static void a_full_disk_is_told_and_the_program_goes_on(void **state)
{
    (void)state;
    static char text[TEXT_BYTES];
    int full = open("/dev/full", O_WRONLY);
    if (full < 0) {
        fprintf(stderr, "skipped: there is no /dev/full\n");
        return;
    }
    pm_snapshot *snapshot = read_text(whole, sizeof whole - 1);
    errno = 0;
    assert_false(pm_snapshot_write(snapshot, full));
    assert_int_equal(errno, ENOSPC);
    close(full);
    errno = 0;
    assert_false(pm_snapshot_write(snapshot, full));
    assert_int_equal(errno, EBADF);
    assert_int_equal(text_of(snapshot, text), sizeof whole - 1);
    pm_snapshot_free(snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_read_is_what_was_written),
        cmocka_unit_test(an_empty_snapshot_is_a_file_too),
        cmocka_unit_test(times_are_those_of_the_calendar),
        cmocka_unit_test(unknown_keys_and_rows_that_come_again_are_taken),
        cmocka_unit_test(a_stream_is_read_as_it_comes),
        cmocka_unit_test(what_is_wrong_is_told_with_its_place),
        cmocka_unit_test(every_truncation_is_told_with_the_length_of_the_file),
        cmocka_unit_test(every_changed_byte_gives_an_error_or_a_sound_snapshot),
        cmocka_unit_test(a_line_without_an_end_is_given_up),
        cmocka_unit_test(stacks_of_too_many_frames_are_refused),
        cmocka_unit_test(what_the_system_refuses_is_told),
        cmocka_unit_test(a_full_disk_is_told_and_the_program_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
