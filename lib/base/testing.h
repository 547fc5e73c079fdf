/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests of all layers share: random numbers, test bodies in a process of their own,
 * and death tests. Only x_test.c files include it. It does without cmocka, so that it compiles
 * where cmocka is missing; ISOLATED alone expands to an assertion of cmocka.
 *
 * The allocator's state is that of the process. A body in a child starts before any allocator call,
 * may set pm_options, and leaves nothing to the next test. There an assertion of cmocka would jump
 * into the copy of the test runner: bodies use require().
 */
#ifndef PM_BASE_TESTING_H
#define PM_BASE_TESTING_H

#include "base/config.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static inline _Noreturn void test_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    _exit(1);
}

/* Ends the process with a message; any thread. */
#define require(cond) ((cond) ? (void)0 : test_failed(__FILE__, __LINE__, #cond))

/* Of a body in a child: this system is not what the test is about. */
static inline _Noreturn void test_skipped(const char *why)
{
    fprintf(stderr, "skipped: %s\n", why);
    exit(0);
}

/* The program runs in an emulator of the processor, which is the system to it, and not quite. */
static inline bool test_emulated(void)
{
    return getenv("STRESS_EMULATOR") != NULL;
}

/* In a child: the program once more, with two arguments; NULL: with fewer. */
static inline _Noreturn void test_run_anew(const char *first, const char *second)
{
    if (test_emulated())
        test_skipped("the emulator starts no programs");
    execl("/proc/self/exe", "anew", first, second, (char *)NULL);
    test_failed(__FILE__, __LINE__, "it did not start");
}

/* Of a program all of whose tests start it once more: what main returns where that is no use. */
static inline int test_starts_nothing(void)
{
    puts("skipped: the emulator starts no programs");
    return 77;
}

/* In a child: a limit that the system keeps to, else the test ends. */
static inline void test_limit(int resource, rlim_t bytes)
{
    struct rlimit limit = {bytes, bytes};
    if (test_emulated()) /* which says that it set it */
        test_skipped("the emulator sets no limits");
    require(setrlimit(resource, &limit) == 0);
}

/* A generator with one word of state (splitmix64): the same sequence on every run. */
static inline uint64_t test_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline uint64_t test_random_below(uint64_t *state, uint64_t bound)
{
    return test_random(state) % bound;
}

/* In a child: the runner's signal handlers would jump into its copy; no core file is wanted. */
static inline void test_become_child(void)
{
    static const int runners[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    for (size_t i = 0; i < sizeof runners / sizeof *runners; i++)
        signal(runners[i], SIG_DFL);
}

/* Runs the body in a child. 0: it came to its end. */
static inline int test_isolated(void (*body)(void))
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        test_become_child();
        body();
        exit(0); /* not _exit: coverage is written, leaks are looked for */
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return -1;
    return status;
}

/* A test of cmocka whose body, which follows the macro, runs in a child. */
#define ISOLATED(name)                                                                             \
    static void name##_body(void);                                                                 \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        assert_int_equal(test_isolated(name##_body), 0);                                           \
    }                                                                                              \
    static void name##_body(void)

/* Collects what a child writes to the pipe; longer texts are cut. */
static inline void test_collect(int from, char *text, size_t size)
{
    size_t used = 0;
    char rest[256];
    for (;;) {
        bool full = used + 1 >= size;
        ssize_t n = full ? read(from, rest, sizeof rest) : read(from, text + used, size - 1 - used);
        if (n <= 0)
            break;
        used += full ? 0 : (size_t)n;
    }
    text[used] = 0;
}

/* Runs body(arg) in a child, whose stderr comes back as text. The result is its wait status. */
static inline int test_stderr_of(void (*body)(const void *), const void *arg, char *text,
                                 size_t size)
{
    int ends[2], status = -1;
    fflush(NULL);
    require(pipe(ends) == 0);
    pid_t child = fork();
    require(child >= 0);
    if (child == 0) {
        test_become_child();
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        body(arg);
        _exit(0);
    }
    close(ends[1]);
    test_collect(ends[0], text, size);
    close(ends[0]);
    require(waitpid(child, &status, 0) == child);
    return status;
}

/* True: body(arg) ended by abort() after exactly one line, the allocator's, with `what` in it. */
static inline bool test_aborts(void (*body)(const void *), const void *arg, const char *what)
{
    char text[1024];
    int status = test_stderr_of(body, arg, text, sizeof text);
    char *end = strchr(text, '\n');
    if (end != NULL && test_emulated() && strncmp(end + 1, "qemu: uncaught target signal", 28) == 0)
        end[1] = 0; /* the emulator's own */
    bool one_line = end != NULL && end[1] == 0;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && one_line &&
        strncmp(text, "poolmalloc: ", 12) == 0 && strstr(text, what) != NULL)
        return true;
    fprintf(stderr, "expected an abort with \"%s\"; status %d, stderr: %s\n", what, status, text);
    return false;
}

#endif
