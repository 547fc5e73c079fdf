/* SPDX-License-Identifier: MIT */
/*
 * fork from a signal handler that interrupted the allocator, also while it holds locks that other
 * threads want. POSIX had fork among the functions that a handler may call until 2017, and crash
 * reporters and profilers call it there. The parent goes on as if nothing had happened; so does the
 * child, whether it ends at once or returns from the handler into the interrupted call.
 *
 * Each thread has a timer of its own, that its handler sets anew, after a random time, until the
 * forks are used up. The interrupted code calls nothing of the C library: its fork takes the locks
 * of its malloc and its streams too, and those would hang. One thread runs in its last round of
 * destructors, where the shared heap serves, so that locks are held one inside the other.
 * ThreadSanitizer delays signals to points of its own, so there nothing would be interrupted.
 * Usage: fork_handler exit|go-on [forks]
 */
#include "life.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id /* musl has it, glibc from 2.38 on */
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
    workers = 3,
    slots = 24,
    refill_blocks = 40,
    child_steps = 100,
    shortest_ns = 20000,
    longest_ns = 400000,
};

struct worker {
    struct rng rng;
    void *blocks[slots];
    _Atomic(void *) offered; /* release by the worker, acquire by a child */
    pthread_t thread;
    uint64_t number;
};

static struct worker all[workers];
static _Atomic int64_t forks_left; /* relaxed: a number of tickets */
static _Atomic uint64_t forks_done;
static bool go_on_in_child;

static __thread timer_t timer;
static __thread struct rng delays;
static __thread pid_t previous;
static __thread volatile sig_atomic_t in_child;

static void set_timer(void)
{
    struct itimerspec when = {.it_value.tv_nsec =
                                  shortest_ns + (long)rng_below(&delays, longest_ns - shortest_ns)};
    int result = timer_settime(timer, 0, &when, NULL);
    CHECK(result == 0, "timer_settime: errno %d", errno);
}

static void wait_for_previous(void)
{
    if (previous != 0)
        expect_exit(previous, 0, "a child forked in a handler");
    previous = 0;
}

static void on_timer(int number)
{
    (void)number;
    int saved_errno = errno;
    if (atomic_fetch_sub_explicit(&forks_left, 1, memory_order_relaxed) > 0) {
        pid_t child = fork();
        CHECK(child >= 0, "fork in a handler: errno %d", errno);
        if (child == 0) {
            guard_against_hangs();
            if (!go_on_in_child)
                exit_child(0);
            in_child = 1;
        } else {
            atomic_fetch_add_explicit(&forks_done, 1, memory_order_relaxed);
            wait_for_previous();
            previous = child;
            set_timer();
        }
    }
    errno = saved_errno;
}

/* Blocks of one size, more than a pool has: pools are taken and given back. */
static void refill(struct worker *worker)
{
    unsigned char *blocks[refill_blocks];
    size_t size = random_size(&worker->rng, 500, 30000);
    for (unsigned i = 0; i < refill_blocks; i++) {
        blocks[i] = api_malloc(size);
        CHECK(blocks[i], "no %zu bytes", size);
        blocks[i][0] = blocks[i][size - 1] = (unsigned char)i;
    }
    for (unsigned i = 0; i < refill_blocks; i++) {
        CHECK(blocks[i][0] == i && blocks[i][size - 1] == i, "a block lost its contents");
        api_free(blocks[i]);
    }
}

static void replace(struct worker *worker, size_t lowest, size_t highest)
{
    size_t slot = rng_below(&worker->rng, slots), size = random_size(&worker->rng, lowest, highest);
    api_free(worker->blocks[slot]);
    unsigned char *block = api_malloc(size);
    CHECK(block, "no %zu bytes", size);
    block[0] = block[size - 1] = 1;
    worker->blocks[slot] = block;
    if (rng_one_in(&worker->rng, 16))
        worker->blocks[slot] =
            atomic_exchange_explicit(&worker->offered, block, memory_order_acq_rel);
}

static void step(struct worker *worker)
{
    uint64_t choice = rng_below(&worker->rng, 8);
    if (choice == 0)
        refill(worker);
    else if (choice == 1)
        replace(worker, 1, 60000);
    else if (choice == 2)
        replace(worker, 2 << 20, 12 << 20); /* whole arenas, new ones at times */
    else
        replace(worker, 70000, 1000000);
}

static void free_all(struct worker *worker)
{
    for (unsigned i = 0; i < slots; i++) {
        api_free(worker->blocks[i]);
        worker->blocks[i] = NULL;
    }
}

static void allocate_at_end(int round, void *argument)
{
    if (round == thread_end_rounds())
        use_heap(argument, 2);
}

static void *short_life(void *argument)
{
    at_thread_end(allocate_at_end, argument);
    use_heap(argument, 2);
    return NULL;
}

/* After the interrupted call: every lock is taken, and what the vanished threads made is freed. */
static void live_as_child(struct worker *worker)
{
    for (unsigned i = 0; i < child_steps; i++)
        step(worker);
    free_all(worker);
    for (unsigned i = 0; i < workers; i++)
        api_free(atomic_exchange_explicit(&all[i].offered, NULL, memory_order_acq_rel));
#if !STRESS_SANITIZED /* whose own locks a vanished thread may hold; a new thread takes them */
    join_thread(start_thread(short_life, &worker->rng));
#else
    (void)short_life;
#endif
    pid_t child = fork();
    CHECK(child >= 0, "fork in the child");
    if (child == 0) {
        guard_against_hangs();
        use_heap(&worker->rng, 1);
        exit_child(0);
    }
    expect_exit(child, 0, "the child of a child");
    CHECK(pm_check(), "the structures are damaged");
    exit_child(0);
}

static void make_timer(uint64_t number)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    event.sigev_notify_thread_id = (int)syscall(SYS_gettid);
    int result = timer_create(CLOCK_MONOTONIC, &event, &timer);
    CHECK(result == 0, "timer_create: errno %d", errno);
    delays = rng_make(61, number);
}

static void work(struct worker *worker)
{
    make_timer(worker->number);
    set_timer();
    while (atomic_load_explicit(&forks_left, memory_order_relaxed) > 0) {
        step(worker);
        if (in_child)
            live_as_child(worker);
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (in_child) /* since the last look */
        live_as_child(worker);
    timer_delete(timer);
    wait_for_previous();
    free_all(worker);
}

static void work_at_end(int round, void *argument)
{
    if (round == thread_end_rounds())
        work(argument);
}

static void *start_work(void *argument)
{
    struct worker *worker = argument;
    if (worker->number == 0) {
        at_thread_end(work_at_end, worker);
        use_heap(&worker->rng, 1);
    } else {
        work(worker);
    }
    return NULL;
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "";
    uint64_t forks = parse_number("the number of forks", count > 2 ? arguments[2] : "100");
    go_on_in_child = strcmp(mode, "go-on") == 0;
    if (!go_on_in_child && strcmp(mode, "exit") != 0) {
        fprintf(stderr, "usage: fork_handler exit|go-on [forks]\n");
        return 2;
    }
    guard_against_hangs();
    atomic_store(&forks_left, (int64_t)forks);
    struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    for (uint64_t i = 0; i < workers; i++) {
        all[i].number = i;
        all[i].rng = rng_make(62, i);
        all[i].thread = start_thread(start_work, &all[i]);
    }
    for (unsigned i = 0; i < workers; i++)
        join_thread(all[i].thread);
    /* Not before: a child that one of them forks frees what all have offered. */
    for (unsigned i = 0; i < workers; i++)
        api_free(atomic_load_explicit(&all[i].offered, memory_order_acquire));
    CHECK(atomic_load(&forks_done) == forks, "not every fork was done");
    CHECK(pm_check(), "the structures are damaged");
    printf("%llu forks in signal handlers\n", (unsigned long long)forks);
    return 0;
}
