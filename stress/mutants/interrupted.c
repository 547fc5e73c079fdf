/* SPDX-License-Identifier: MIT */
/*
 * Trap 9: a signal handler that allocates, before each instruction of a thread's first calls: those
 * that the cold heap serves, the one by which the thread gets its heap, slow paths of malloc and
 * free with and without one. Stands for: profilers and crash handlers that allocate.
 *
 * The handler uses a size that the interrupted code does not, and makes so many blocks that a
 * thread without a heap gets one: what it interrupted then goes on with a heap all of a sudden.
 * Nothing may break or be lost. Where the thread held a lock the allocator says so and ends the
 * process, which is right. So each moment is met in a process of its own, a copy of the one whose
 * thread is stopped there; by the bare system call, since the C library's fork has locks, too.
 *
 * What is not met, because there a handler that allocates is not noticed: the fast path of the same
 * size, and blocks of one pool that are freed in a row, which the thread holds back.
 * Usage: interrupted [stride]
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "step.h"

#include <poolmalloc/poolmalloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    handler_blocks = 40, /* more than a thread makes before it gets a heap */
    handler_size = 700,
    calls_before = 28, /* a few less */
    foreign_blocks = 8,
    own_blocks = 12,
    size = 200,
    medium = 5000,
    large = 100000,
    child_seconds = 10,
    alarm_seconds = 100,
    skip_status = 77,
};

static char *foreign[foreign_blocks], *own[own_blocks], *cold[calls_before];
static size_t stride;
static int to_parent = -1; /* in a child */

/* Each in a pool of its own, so that none is held back; two have no pool. */
static size_t foreign_size(int i)
{
    return i % 4 == 0 ? large : 800 + 300 * (size_t)i;
}

static char *make(size_t n, int mark)
{
    char *block = api_malloc(n);
    CHECK(block, "no %zu bytes", n);
    block[0] = block[n - 1] = (char)mark;
    return block;
}

static void check_and_free(char *block, size_t n, int mark)
{
    CHECK(block[0] == (char)mark && block[n - 1] == (char)mark, "block %d changed", mark);
    api_free(block);
}

static void handler(void)
{
    char *blocks[handler_blocks];
    for (int i = 0; i < handler_blocks; i++)
        blocks[i] = make(handler_size, i);
    for (int i = 0; i < handler_blocks; i++)
        check_and_free(blocks[i], handler_size, i);
}

/* What is interrupted. In its course the thread gets its heap. */
static void first_calls(void *argument)
{
    (void)argument;
    check_and_free(foreign[0], foreign_size(0), 0);
    check_and_free(cold[0], size, 0);
    for (int i = 0; i < own_blocks / 2; i++)
        own[i] = make(size, i);
    for (int i = 1; i < foreign_blocks; i++)
        check_and_free(foreign[i], foreign_size(i), i);
    for (int i = own_blocks / 2; i < own_blocks; i++)
        own[i] = make(i % 2 ? medium : size, i);
    check_and_free(make(large, 1), large, 1);
}

static void free_the_rest(void)
{
    for (int i = 1; i < calls_before; i++)
        check_and_free(cold[i], size, i);
    for (int i = 0; i < own_blocks; i++)
        check_and_free(own[i], i >= own_blocks / 2 && i % 2 ? medium : size, i);
}

/* The child ends here. Whoever interrupted when: as much is in use afterwards. */
static _Noreturn void end_child(void)
{
    struct pm_stats stats;
    char text[64];
    free_the_rest();
    pm_purge();
    CHECK(pm_check(), "the structures are not sound");
    CHECK(pm_stats_get(&stats), "no statistics");
    int length = snprintf(
        text, sizeof text, "%llu heaps, %llu bytes in use", (unsigned long long)stats.heaps_in_use,
        (unsigned long long)(stats.arenas * stats.arena_bytes - stats.free_bytes));
    CHECK(write(to_parent, text, (size_t)length) == length, "write");
    _exit(0);
}

static void become_child(const int *ends)
{
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    alarm(child_seconds);
    dup2(ends[1], STDERR_FILENO);
    to_parent = ends[1];
    close(ends[0]);
    handler();
}

static char expected[64]; /* what the first child said */
static unsigned well, told;

static void judge_child(size_t step, pid_t child, int from)
{
    char text[512] = "";
    size_t used = 0;
    int status = 0;
    for (ssize_t n; (n = read(from, text + used, sizeof text - 1 - used)) > 0;)
        used += (size_t)n;
    CHECK(waitpid(child, &status, 0) == child, "no child");
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(text, "signal handler")) {
        told++;
        return;
    }
    if (expected[0] == 0)
        snprintf(expected, sizeof expected, "%s", text);
    CHECK(status == 0 && strcmp(text, expected) == 0,
          "before instruction %zu: status %#x (14: it hung), not \"%s\" but \"%s\"", step,
          (unsigned)status, expected, text);
    well++;
}

static bool interrupt(size_t step, void *argument)
{
    int ends[2];
    (void)argument;
    if (step % stride != 0)
        return true;
    CHECK(pipe(ends) == 0, "no pipe");
    pid_t child = (pid_t)syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
    CHECK(child >= 0, "no child");
    if (child == 0) {
        become_child(ends);
        return false; /* and goes on with what was interrupted */
    }
    close(ends[1]);
    judge_child(step, child, ends[0]);
    close(ends[0]);
    return true;
}

static void *be_interrupted(void *argument)
{
    for (int i = 0; i < calls_before; i++)
        cold[i] = make(size, i);
    size_t steps = step_through(first_calls, interrupt, NULL);
    if (to_parent >= 0)
        end_child();
    free_the_rest();
    printf("%zu instructions: %u times it went well, %u times a lock was held and it was told\n",
           steps, well, told);
    CHECK(well > 0 && told > 0, "not every way was met");
    return argument;
}

int main(int count, char **arguments)
{
    pthread_t thread;
    stride = parse_number("the stride", count > 1 ? arguments[1] : "1");
    alarm_guard(alarm_seconds);
    if (!step_supported()) {
        puts("no thread can be stepped here");
        return skip_status;
    }
    for (int i = 0; i < foreign_blocks; i++)
        foreign[i] = make(foreign_size(i), i);
    CHECK(pthread_create(&thread, NULL, be_interrupted, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
    CHECK(pm_check(), "the structures are not sound");
    return 0;
}
