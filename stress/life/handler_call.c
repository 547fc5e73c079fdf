/* SPDX-License-Identifier: MIT */
/*
 * An allocator call in a signal handler that interrupted a holder of the allocator's locks in the
 * same thread ends the program with an error that says so; it never hangs. (The standard leaves it
 * undefined; many programs do it all the same.) A child for each try: a timer interrupts it after a
 * random time. It must end well or with that message, and some must end with it, or the test has
 * interrupted nobody. ThreadSanitizer delays signals to points of its own: not there.
 *
 * What is interrupted and what the handler calls meet in locked steps only. With `large` the
 * handler wants a span while pools and spans are made and freed; with `small` it wants blocks of
 * pools while only spans are.
 * Usage: handler_call large|small [tries]
 */
#include "life.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    steps_afterwards = 50,
    shortest_ns = 50000,
    longest_ns = 1500000,
    blocks_max = 40,
    guard_of_child_seconds = 30, /* of each: it takes milliseconds */
};

static bool small;
static volatile sig_atomic_t handled;
static size_t wanted_by_handler;

static void make_and_free(size_t size, unsigned count)
{
    void *blocks[blocks_max];
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = api_malloc(size);
        CHECK(blocks[i], "no %zu bytes", size);
    }
    for (unsigned i = 0; i < count; i++)
        api_free(blocks[i]);
}

static void on_timer(int number)
{
    (void)number;
    int saved_errno = errno;
    make_and_free(wanted_by_handler, small ? blocks_max : 1);
    handled = 1;
    errno = saved_errno;
}

/* Large blocks, which are on no fast path: a handler that comes between two instructions of one is
 * not noticed (docs/life.md). Their sizes differ, so that few are kept and most take the lock. */
static void step(struct rng *rng)
{
    make_and_free(random_size(rng, 70000, 4000000), 4);
}

static _Noreturn void be_interrupted(uint64_t number)
{
    struct rng rng = rng_make(71, number);
    const struct rlimit no_core = {0, 0};
    timer_t timer;
    alarm(guard_of_child_seconds);
    setrlimit(RLIMIT_CORE, &no_core);
    wanted_by_handler = small ? random_size(&rng, 100, 1000) : 100000;
    struct sigaction action = {.sa_handler = on_timer};
    sigaction(SIGUSR1, &action, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    int result = timer_create(CLOCK_MONOTONIC, &event, &timer);
    CHECK(result == 0, "timer_create: errno %d", errno);
    struct itimerspec once = {.it_value.tv_nsec =
                                  shortest_ns + (long)rng_below(&rng, longest_ns - shortest_ns)};
    timer_settime(timer, 0, &once, NULL);
    while (!handled)
        step(&rng);
    for (unsigned i = 0; i < steps_afterwards; i++)
        step(&rng);
    _exit(0);
}

/* Reads to the end, which comes when the child has ended. */
static void read_all(int from, char *text, size_t size)
{
    size_t used = 0;
    for (;;) {
        ssize_t length = read(from, text + used, size - 1 - used);
        if (length <= 0)
            break;
        used += (size_t)length;
    }
    text[used] = 0;
}

/* True: it ended with the message. */
static bool try_once(uint64_t number)
{
    int ends[2], status = 0;
    char text[1024];
    CHECK(pipe(ends) == 0, "no pipe");
    pid_t child = fork();
    CHECK(child >= 0, "fork failed");
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        be_interrupted(number);
    }
    close(ends[1]);
    read_all(ends[0], text, sizeof text);
    close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child, "no child");
    bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0 && text[0] == 0;
    bool told = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(text, "poolmalloc") &&
                strstr(text, "signal handler");
    CHECK(well || told, "try %llu ended with status %#x (14: it hung), saying \"%s\"",
          (unsigned long long)number, (unsigned)status, text);
    return told;
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "";
    uint64_t tries = parse_number("the number of tries", count > 2 ? arguments[2] : "200");
    small = strcmp(mode, "small") == 0;
    if (!small && strcmp(mode, "large") != 0) {
        fprintf(stderr, "usage: handler_call large|small [tries]\n");
        return 2;
    }
    unsigned told = 0;
    for (uint64_t i = 0; i < tries; i++)
        told += try_once(i);
    printf("%llu tries: %u holders of a lock were interrupted and the program said so\n",
           (unsigned long long)tries, told);
    CHECK(told > 0, "no holder of a lock was interrupted");
    return 0;
}
