/* SPDX-License-Identifier: MIT */
/*
 * fork at every moment of another thread's allocator calls. Modes:
 *
 *   moments  trap 7: a thread is stopped before each (stride-th) instruction of calls that take the
 *            allocator's locks; meanwhile the main thread forks, and the child allocates and frees.
 *            A lock that the stopped thread holds makes the fork wait: then the thread goes on
 *   waiter   trap 8: while a fork holds all locks a thread comes to wait for one of them, asleep;
 *            after the fork the parent must wake it, not make the lock anew
 *
 * Stands for: servers that fork helpers while all threads work. A child that hangs is ended by
 * alarm(2), and so fails the program. Usage: fork_moments MODE [stride]
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    large = 5 << 20,
    medium = 40000,
    small_blocks = 600,
    moment_ns = 10 * 1000 * 1000,
    child_seconds = 3,
    alarm_seconds = 100,
    skip_status = 77,
};

static void use_heap(void)
{
    char *blocks[small_blocks];
    for (int i = 0; i < small_blocks; i++) {
        size_t size = i == 0 ? large : i % 50 == 0 ? medium : 16 + (size_t)i;
        blocks[i] = i % 2 ? api_malloc(size) : api_calloc(1, size);
        CHECK(blocks[i], "no %zu bytes", size);
        blocks[i][0] = blocks[i][size - 1] = (char)i;
    }
    for (int i = 0; i < small_blocks; i++) {
        CHECK(blocks[i][0] == (char)i, "block %d changed", i);
        api_free(blocks[i]);
    }
}

static void fork_once(void)
{
    int status = 0;
    pid_t child = fork();
    CHECK(child >= 0, "fork: %s", strerror(errno));
    if (child == 0) {
        alarm(child_seconds);
        use_heap();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0,
          "the child of a fork hangs or fails: status %#x", (unsigned)status);
}

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        continue;
}

/* ---- moments ---- */

static sem_t stopped, forked;
static size_t stride;
static bool ended;
static bool pending; /* a fork that waits for a lock of the stopped thread */

static bool fork_at_step(size_t number, void *argument)
{
    struct timespec until;
    int code;
    (void)argument;
    if (number % stride != 0)
        return true;
    if (!pending)
        sem_post(&stopped);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += moment_ns;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while ((code = sem_timedwait(&forked, &until)) != 0 && errno == EINTR)
        continue;
    pending = code != 0;
    return true;
}

/* Takes the arena lock several times, the floating and the grow lock. */
static void call(void *argument)
{
    void *block = api_malloc(large), *other = api_malloc(medium);
    (void)argument;
    api_free(block);
    api_free(other);
}

static void *call_step_by_step(void *argument)
{
    use_heap();
    size_t steps = step_through(call, fork_at_step, NULL);
    if (pending)
        wait_for(&forked);
    ended = true;
    sem_post(&stopped);
    CHECK(steps > 100, "only %zu instructions", steps);
    return argument;
}

static void fork_at_moments(void)
{
    pthread_t thread;
    unsigned forks = 0;
    CHECK(pthread_create(&thread, NULL, call_step_by_step, NULL) == 0, "pthread_create");
    for (;; forks++) {
        wait_for(&stopped);
        if (ended)
            break;
        fork_once();
        sem_post(&forked);
    }
    pthread_join(thread, NULL);
    CHECK(forks > 3, "only %u forks", forks);
    printf("%u forks at moments of another thread's calls\n", forks);
}

/* ---- waiter ---- */

static sem_t may_call;
static atomic_int waiter_id;
static bool watch; /* the next fork shall find a waiter */

/* Whether a thread of this process sleeps: the letter behind its name in parentheses. */
static bool sleeps(int thread)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0, "%s: %s", path, strerror(errno));
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    text[length > 0 ? length : 0] = 0;
    const char *name_end = strrchr(text, ')');
    return name_end != NULL && name_end[1] == ' ' && name_end[2] == 'S';
}

/* Runs after the allocator's own handler: it was registered before. All its locks are held. */
static void in_fork(void)
{
    if (!watch)
        return;
    watch = false;
    sem_post(&may_call);
    while (atomic_load(&waiter_id) == 0 || !sleeps(atomic_load(&waiter_id)))
        continue;
}

static bool is_first;

static void register_first(void)
{
    is_first = true;
    pthread_atfork(in_fork, NULL, NULL);
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = register_first;

static void *call_in_fork(void *argument)
{
    wait_for(&may_call);
    atomic_store(&waiter_id, (int)syscall(SYS_gettid));
    use_heap();
    return argument;
}

static void fork_with_waiter(void)
{
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        use_heap();
        atomic_store(&waiter_id, 0);
        CHECK(pthread_create(&thread, NULL, call_in_fork, NULL) == 0, "pthread_create");
        watch = true;
        fork_once();
        CHECK(!watch, "the fork had no waiter");
        pthread_join(thread, NULL);
    }
    puts("waiters go on after a fork");
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "moments";
    stride = parse_number("the stride", count > 2 ? arguments[2] : "23");
    alarm_guard(alarm_seconds);
    if (strcmp(mode, "waiter") == 0) {
        if (!is_first) {
            puts("skipped: this C library does not run .preinit_array");
            return skip_status;
        }
        fork_with_waiter();
        return 0;
    }
    if (!step_supported()) {
        puts("no thread can be stepped here");
        return skip_status;
    }
    fork_at_moments();
    return 0;
}
