/* SPDX-License-Identifier: MIT */
/* Tracing from the start of the process on, by options, before each mode: in programs of its own.
 */
#include "base/testing.h"
#include "poolmalloc/poolmalloc.h"
#include "poolmalloc/snapshot.h"
#include "poolmalloc/trace.h"
#include "tools/stack.h"
#include "tools/trace_take.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { SIZE = 1000, MANY = 100 };

static const char *folder;

/* ---- the programs ---- */

static size_t current(void)
{
    size_t bytes;
    pm_trace_memory(&bytes, NULL);
    return bytes;
}

/* What any mode promises. */
static int count(void)
{
    void *blocks[MANY];
    size_t before = current();
    require(pm_trace_is_on() && pm_trace_limit() == 8);
    for (int i = 0; i < MANY; i++)
        blocks[i] = pm_malloc(SIZE);
    require(current() == before + MANY * SIZE);
    for (int i = 0; i < MANY; i++) {
        uintptr_t frames[8];
        size_t bytes = 0;
        unsigned told = pm_trace_of(PM_TRACE_MALLOC, blocks[i], frames, 8, &bytes);
        require(bytes == SIZE);
        require(told > 0 || pm_stack_by_unwinder(frames, 8) == 0); /* there is none: musl */
        blocks[i] = pm_realloc(blocks[i], 2 * SIZE);
    }
    require(current() == before + 2 * MANY * SIZE);
    for (int i = 0; i < MANY; i++)
        pm_free(blocks[i]);
    require(current() == before);
    pm_trace_stop();
    pm_free(pm_malloc(SIZE));
    require(pm_trace_start(8) && current() == 0);
    pm_free(pm_malloc(SIZE));
    return 0;
}

/* ---- how often a stack is taken anew ---- */

enum { THREADS = 4, CALLS = 2000, RESIZED = CALLS / 4, LEAST = 2 * PM_CALLS_BEFORE_HEAP };

/* Sizes of pools, and one of a span. */
static void *call_over_and_over(void *arg)
{
    for (int i = 0; i < CALLS; i++) {
        void *block = pm_malloc((size_t)(i % 50) * 40);
        if (i % 4 == 0)
            block = pm_realloc(block, 3000);
        pm_free(block);
    }
    return arg;
}

/* A thread's first calls come before it has a heap, and with it a memory for stacks. One thread
 * after the other: ThreadSanitizer knows nothing of how the C library hands memory on. */
static int count_stacks(void)
{
    pthread_t thread;
    if (!pm_stack_has_unwinder())
        return 0; /* what frame pointers alone tell is not remembered */
    uint64_t before = pm_trace_taken_anew();
    for (int i = 0; i < THREADS; i++) {
        require(pthread_create(&thread, NULL, call_over_and_over, NULL) == 0);
        require(pthread_join(thread, NULL) == 0);
    }
    uint64_t anew = pm_trace_taken_anew() - before;
    if (anew >= THREADS * LEAST)
        fprintf(stderr, "%lu of %d stacks were taken anew\n", anew, THREADS * (CALLS + RESIZED));
    return anew >= THREADS * LEAST;
}

static int free_twice(void)
{
    void *block = pm_malloc(SIZE);
    pm_free(block);
    pm_free(block);
    return 0;
}

static int free_foreign(void)
{
    static char memory[64];
    pm_free(memory + 16);
    return 0;
}

static int keep_some(void)
{
    for (int i = 0; i < MANY; i++)
        require(pm_malloc(SIZE) != NULL);
    return 0;
}

static int keep_some_and_tell(void)
{
    keep_some();
    raise(SIGUSR1);
    raise(SIGUSR1);
    return 0;
}

static const struct program {
    const char *name;
    int (*run)(void);
} programs[] = {{"count", count},           {"count_stacks", count_stacks},
                {"free_twice", free_twice}, {"free_foreign", free_foreign},
                {"keep_some", keep_some},   {"keep_some_and_tell", keep_some_and_tell}};

/* ---- the tests ---- */

struct how {
    const char *program, *mode, *options;
};

static void start(const void *arg)
{
    const struct how *how = arg;
    setenv("POOLMALLOC", how->mode, 1);
    setenv("POOLMALLOC_OPTIONS", how->options, 1);
    test_run_anew(how->program, NULL);
}

static int run(const char *program, const char *mode, const char *options, char *text, size_t size)
{
    struct how how = {program, mode, options};
    return test_stderr_of(start, &how, text, size);
}

static const char *const modes[] = {"default", "debug", "malloc", "malloc_debug", "hardened"};

static void every_mode_is_traced_to_the_byte(void **state)
{
    static const char *const ways[] = {"trace=8", "trace=8,trace_unwind=frames",
                                       "trace=8,trace_unwind=unwinder"};
    char text[2000];
    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
            int status = run("count", modes[i], ways[way], text, sizeof text);
            if (status != 0)
                fprintf(stderr, "%s, %s: %s\n", modes[i], ways[way], text);
            assert_int_equal(status, 0);
        }
    }
}

/* Of processors on which the unwinder tells where return addresses stand. */
static void in_every_mode_stacks_are_remembered(void **state)
{
    char text[2000];
    (void)state;
#if !defined(__x86_64__)
    skip();
#endif
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        int status = run("count_stacks", modes[i], "trace=8", text, sizeof text);
        if (status != 0)
            fprintf(stderr, "%s: %s\n", modes[i], text);
        assert_int_equal(status, 0);
    }
}

static void a_report_of_the_debug_hooks_has_the_stacks_of_the_error_and_of_the_allocation(void **s)
{
    char text[8000];
    (void)s;
    if (PM_ASAN)
        return; /* blocks have some bytes more, and other reports */
    int status = run("free_twice", "debug", "trace=8", text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    char *error = strstr(text, "    The error was found in a call by:\n    #0 0x");
    char *made = strstr(text, "    The block was allocated by:\n    #0 0x");
    assert_true(error != NULL && made != NULL && error < made);
    status = run("free_twice", "malloc_debug", "trace=8", text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "    The block was allocated by:\n    #0 0x"));
    status = run("free_twice", "debug", "", text, sizeof text);
    assert_non_null(strstr(text, "The error was found in a call by:\n    #0 0x"));
    assert_null(strstr(text, "The block was allocated by:"));
}

/* What the program kept, at least: before it, the C library may have allocated. */
static void require_snapshot(const char *name)
{
    char path[400];
    struct pm_snapshot_about about;
    char error[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    pm_snapshot *snapshot = pm_snapshot_read(path, error, sizeof error);
    require(snapshot != NULL);
    pm_snapshot_get_about(snapshot, &about);
    require(about.traceback_limit == 8 && about.traced_bytes >= MANY * SIZE);
    require(about.bytes >= MANY * SIZE && about.blocks >= MANY && about.stacks > 0);
    pm_snapshot_free(snapshot);
    unlink(path);
}

/* Of errors that the pools find, too. */
static void a_report_of_another_error_has_the_stack_of_the_call_in_modes_for_debugging(void **s)
{
    char text[8000];
    (void)s;
    if (PM_ASAN)
        return; /* it reports by itself */
    int status = run("free_foreign", "debug", "", text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    char *line = strstr(text, "not a block of this allocator");
    char *error = strstr(text, "    The error was found in a call by:\n    #0 0x");
    assert_true(line != NULL && error != NULL && line < error);
    status = run("free_foreign", "default", "", text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "not a block of this allocator"));
    assert_null(strstr(text, "#0 0x"));
}

static void a_snapshot_is_written_at_exit(void **state)
{
    char options[500], text[1000];
    (void)state;
    snprintf(options, sizeof options, "trace=8,trace_at_exit=%s/exit.snap", folder);
    assert_int_equal(run("keep_some", "default", options, text, sizeof text), 0);
    assert_string_equal(text, "");
    require_snapshot("exit.snap");
}

static void a_snapshot_is_written_on_each_signal(void **state)
{
    char options[500], text[1000];
    (void)state;
    snprintf(options, sizeof options, "trace=8,trace_signal=%d,trace_to=%s/signal", SIGUSR1,
             folder);
    assert_int_equal(run("keep_some_and_tell", "default", options, text, sizeof text), 0);
    assert_string_equal(text, "");
    require_snapshot("signal.0001.snap");
    require_snapshot("signal.0002.snap");
}

static void a_file_that_cannot_be_written_is_named(void **state)
{
    char text[1000];
    (void)state;
    assert_int_equal(
        run("keep_some", "default", "trace=8,trace_at_exit=/dev/full", text, sizeof text), 0);
    assert_non_null(strstr(text, "cannot write a snapshot to \"/dev/full\""));
}

int main(int count_of_arguments, char **arguments)
{
    static char made[] = "/tmp/trace_modes_test.XXXXXX";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mode_is_traced_to_the_byte),
        cmocka_unit_test(in_every_mode_stacks_are_remembered),
        cmocka_unit_test(
            a_report_of_the_debug_hooks_has_the_stacks_of_the_error_and_of_the_allocation),
        cmocka_unit_test(
            a_report_of_another_error_has_the_stack_of_the_call_in_modes_for_debugging),
        cmocka_unit_test(a_snapshot_is_written_at_exit),
        cmocka_unit_test(a_snapshot_is_written_on_each_signal),
        cmocka_unit_test(a_file_that_cannot_be_written_is_named),
    };
    for (size_t i = 0; count_of_arguments == 2 && i < sizeof programs / sizeof *programs; i++) {
        if (strcmp(arguments[1], programs[i].name) == 0)
            return programs[i].run();
    }
    if (test_emulated())
        return test_starts_nothing();
    folder = mkdtemp(made);
    if (folder == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
