/* SPDX-License-Identifier: MIT */
/*
 * Every way to start a program, from two threads at once while others allocate: vfork and exec,
 * posix_spawn, clone sharing the memory of a stopped parent, in which the child allocates and frees
 * as its parent's thread, fork and exec, system, popen. Stands for: build tools, shells, servers
 * that run helpers. Each program started is this one, which allocates, with a thread, and says so.
 * Usage: spawn [programs of each kind and thread]
 */
#include "life.h"

#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    busy_threads = 2,
    spawners = 2,
    helper_status = 42,
    clone_stack_bytes = 256 * 1024,
};

extern char **environ;

static atomic_bool stopping;
static char self[4096];
static char *const helper_arguments[] = {self, (char[]){"--helper"}, NULL};

static void *use_heap_in_thread(void *argument)
{
    use_heap(argument, 2);
    return NULL;
}

static int help(void)
{
    struct rng rng = rng_make(141, (uint64_t)getpid());
    use_heap(&rng, 2);
    join_thread(start_thread(use_heap_in_thread, &rng));
    puts("helped");
    return helper_status;
}

static void by_vfork(struct rng *rng)
{
    (void)rng;
    pid_t child = vfork();
    if (child == 0) {
        execv(self, helper_arguments);
        _exit(127);
    }
    CHECK(child > 0, "vfork failed");
    expect_exit(child, helper_status, "a program after vfork");
}

static void by_fork(struct rng *rng)
{
    (void)rng;
    pid_t child = fork();
    if (child == 0) {
        execv(self, helper_arguments);
        _exit(127);
    }
    CHECK(child > 0, "fork failed");
    expect_exit(child, helper_status, "a program after fork");
}

static void by_spawn(struct rng *rng)
{
    (void)rng;
    pid_t child;
    int code = posix_spawn(&child, self, NULL, NULL, helper_arguments, environ);
    CHECK(code == 0, "posix_spawn: %s", strerror(code));
    expect_exit(child, helper_status, "a spawned program");
}

struct shared {
    struct rng *rng;
    struct set *given, *made;
};

static int live_in_shared_memory(void *argument)
{
    struct shared *shared = argument;
    set_free(shared->given);
    use_heap(shared->rng, 1);
    shared->made = set_make(shared->rng, 0xc2);
    _exit(7);
}

/* The child has the parent's memory and thread pointer; the parent's thread sleeps until it ends.
 * ThreadSanitizer takes it for a thread that it was not told of. */
static void by_clone(struct rng *rng)
{
#if STRESS_SANITIZED
    (void)rng;
    (void)live_in_shared_memory;
#else
    struct shared shared = {.rng = rng, .given = set_make(rng, 0xc3)};
    char *stack = system_pages(clone_stack_bytes);
    pid_t child = clone(live_in_shared_memory, stack + clone_stack_bytes,
                        CLONE_VM | CLONE_VFORK | SIGCHLD, &shared);
    CHECK(child > 0, "clone failed");
    expect_exit(child, 7, "a child in shared memory");
    CHECK(shared.made, "the child's set is lost");
    set_free(shared.made);
    system_pages_free(stack, clone_stack_bytes);
#endif
}

static void by_system(struct rng *rng)
{
    (void)rng;
    char command[sizeof self + 64];
    snprintf(command, sizeof command, "'%s' --helper >/dev/null", self);
    int status = system(command);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == helper_status, "system: status %#x",
          (unsigned)status);
}

static void by_popen(struct rng *rng)
{
    (void)rng;
    char command[sizeof self + 64], line[64] = "";
    snprintf(command, sizeof command, "'%s' --helper", self);
    FILE *pipe = popen(command, "r");
    CHECK(pipe, "popen failed");
    CHECK(fgets(line, sizeof line, pipe) && strcmp(line, "helped\n") == 0, "the pipe says \"%s\"",
          line);
    int status = pclose(pipe);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == helper_status, "pclose: status %#x",
          (unsigned)status);
}

static void (*const kinds[])(struct rng *rng) = {
    by_vfork, by_fork, by_spawn, by_clone, by_system, by_popen,
};

static void *allocate_all_the_time(void *argument)
{
    struct rng rng = rng_make(142, (uintptr_t)argument);
    while (!atomic_load_explicit(&stopping, memory_order_relaxed))
        use_heap(&rng, 2);
    return NULL;
}

struct spawner {
    uint64_t number, programs;
    pthread_t thread;
};

static void *spawn_often(void *argument)
{
    struct spawner *spawner = argument;
    struct rng rng = rng_make(143, spawner->number);
    for (uint64_t i = 0; i < spawner->programs; i++)
        for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
            kinds[kind](&rng);
            use_heap(&rng, 1);
        }
    return NULL;
}

int main(int count, char **arguments)
{
    guard_against_hangs();
    if (count > 1 && strcmp(arguments[1], "--helper") == 0)
        return help();
    uint64_t programs = parse_number("the number of programs", count > 1 ? arguments[1] : "5");
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(length > 0, "cannot read the program's name");
    self[length] = 0;
    pthread_t busy[busy_threads];
    struct spawner all[spawners];
    for (uintptr_t i = 0; i < busy_threads; i++)
        busy[i] = start_thread(allocate_all_the_time, (void *)i);
    for (unsigned i = 0; i < spawners; i++) {
        all[i] = (struct spawner){.number = i, .programs = programs};
        all[i].thread = start_thread(spawn_often, &all[i]);
    }
    for (unsigned i = 0; i < spawners; i++)
        join_thread(all[i].thread);
    atomic_store_explicit(&stopping, true, memory_order_relaxed);
    for (unsigned i = 0; i < busy_threads; i++)
        join_thread(busy[i]);
    printf("%llu programs of each of %zu kinds\n", (unsigned long long)(spawners * programs),
           sizeof kinds / sizeof *kinds);
    return 0;
}
