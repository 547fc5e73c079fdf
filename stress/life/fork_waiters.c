/* SPDX-License-Identifier: MIT */
/*
 * Threads that sleep on the allocator's locks while fork holds all of them go on afterwards: nobody
 * else comes and wakes them by chance. One thread for each lock that can be waited for: the arena
 * list, growth, the registry of heaps, the heap of threads without one. Source: "re-initialising
 * mutexes in the parent after fork strands waiters" (traps). A stranded thread is ended by alarm(2)
 * and so fails the program.
 *
 * The fork handlers of this program are registered before those of the allocator, from
 * .preinit_array, so they run while the allocator's have the locks: there the program waits until
 * every waiter is asleep. With the shared library this cannot be done: its constructor is first.
 * musl knows no .preinit_array: there the program says that it is skipped.
 * Usage: fork_waiters [rounds]
 */
#include "life.h"
#include "poolmalloc/poolmalloc.h"

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    kinds = 4,
    span_size = 200000,
    span_alignment = 256 << 10,
    grow_size = 40 << 20,
    skip_status = 77,
    calls_for_a_heap = 100, /* the thread has one then, which its exit dissolves */
};

struct waiter {
    void (*operation)(struct waiter *waiter);
    pthread_t thread;
    _Atomic int task;      /* the kernel's name of the thread */
    _Atomic uint64_t done; /* rounds; release, and acquire by the main thread */
    void *blocks[64];      /* of the waiter for growth */
    unsigned blocks_count;
};

static struct waiter waiters[kinds];
static _Atomic uint64_t round_now; /* release by the forking thread, acquire by the waiters */
static atomic_bool stopping;
static bool registered; /* the handlers below, in time */
static bool armed;      /* by the main thread, for a fork that has waiters */

/* So aligned that no heap keeps one. */
static void take_span(struct waiter *waiter)
{
    (void)waiter;
    void *block = api_memalign(span_alignment, span_size);
    CHECK(block, "no span");
    api_free(block);
}

/* Nothing that was freed serves it, and no heap keeps one that is so aligned. */
static void grow(struct waiter *waiter)
{
    void *block = api_memalign(span_alignment, grow_size);
    CHECK(block, "no large block");
    if (waiter->blocks_count < sizeof waiter->blocks / sizeof *waiter->blocks)
        waiter->blocks[waiter->blocks_count++] = block;
    else
        api_free(block);
}

static void ask_statistics(struct waiter *waiter)
{
    (void)waiter;
    struct pm_stats stats;
    CHECK(pm_stats_get(&stats), "no statistics");
}

static void take_cold(struct waiter *waiter)
{
    (void)waiter;
    void *blocks[20];
    for (unsigned i = 0; i < 20; i++) {
        blocks[i] = api_malloc(5000);
        CHECK(blocks[i], "no block at a thread's end");
    }
    for (unsigned i = 0; i < 20; i++)
        api_free(blocks[i]);
}

/* Until the round comes it never sleeps, so that asleep means: on a lock. */
static void wait_for_rounds(struct waiter *waiter)
{
    atomic_store_explicit(&waiter->task, (int)syscall(SYS_gettid), memory_order_release);
    for (uint64_t round = 1;; round++) {
        while (atomic_load_explicit(&round_now, memory_order_acquire) < round) {
            if (atomic_load_explicit(&stopping, memory_order_acquire))
                return;
            sched_yield();
        }
        waiter->operation(waiter);
        atomic_store_explicit(&waiter->done, round, memory_order_release);
    }
}

static void *wait_as_thread(void *argument)
{
    wait_for_rounds(argument);
    return NULL;
}

static void wait_at_end(int round, void *argument)
{
    if (round == thread_end_rounds()) /* the thread's heap, if it ever had one, is gone */
        wait_for_rounds(argument);
}

static void *wait_as_ending_thread(void *argument)
{
    void *blocks[calls_for_a_heap];
    at_thread_end(wait_at_end, argument);
    for (unsigned i = 0; i < calls_for_a_heap; i++)
        blocks[i] = api_malloc(5000);
    for (unsigned i = 0; i < calls_for_a_heap; i++)
        api_free(blocks[i]);
    return NULL;
}

/* The letter after the name, which is in brackets and may hold anything but this sequence. */
static char state_of(int task)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", task);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0, "cannot open %s", path);
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    CHECK(length > 0, "cannot read %s", path);
    text[length] = 0;
    const char *bracket = strrchr(text, ')');
    CHECK(bracket && bracket[1] == ' ', "%s says %s", path, text);
    return bracket[2];
}

/* The locks are held. */
static void on_prepare(void)
{
    if (!armed)
        return;
    atomic_fetch_add_explicit(&round_now, 1, memory_order_release);
    for (unsigned i = 0; i < kinds; i++)
        while (state_of(atomic_load_explicit(&waiters[i].task, memory_order_acquire)) != 'S')
            sched_yield();
}

static void register_handlers(void)
{
    registered = pthread_atfork(on_prepare, NULL, NULL) == 0;
}

__attribute__((section(".preinit_array"),
               used)) static void (*const first)(void) = register_handlers;

static void fork_once(uint64_t round)
{
    armed = true;
    pid_t child = fork();
    armed = false;
    CHECK(child >= 0, "fork failed");
    if (child == 0) {
        struct rng rng = rng_make(31, round);
        guard_against_hangs();
        use_heap(&rng, 2);
        exit_child(0);
    }
    for (unsigned i = 0; i < kinds; i++)
        while (atomic_load_explicit(&waiters[i].done, memory_order_acquire) < round)
            sched_yield();
    expect_exit(child, 0, "a child");
}

int main(int count, char **arguments)
{
    uint64_t rounds = parse_number("the number of rounds", count > 1 ? arguments[1] : "20");
    if (!registered) {
        printf("skipped: this C library does not run .preinit_array\n");
        return skip_status;
    }
    guard_against_hangs();
    waiters[0].operation = take_span;
    waiters[1].operation = grow;
    waiters[2].operation = ask_statistics;
    waiters[3].operation = take_cold;
    for (unsigned i = 0; i < kinds; i++)
        waiters[i].thread =
            start_thread(i == 3 ? wait_as_ending_thread : wait_as_thread, &waiters[i]);
    for (unsigned i = 0; i < kinds; i++)
        while (atomic_load_explicit(&waiters[i].task, memory_order_acquire) == 0)
            sched_yield();
    for (uint64_t round = 1; round <= rounds; round++)
        fork_once(round);
    atomic_store_explicit(&stopping, true, memory_order_release);
    for (unsigned i = 0; i < kinds; i++)
        join_thread(waiters[i].thread);
    for (unsigned i = 0; i < waiters[1].blocks_count; i++)
        api_free(waiters[1].blocks[i]);
    printf("%llu forks, each with %u threads asleep on locks\n", (unsigned long long)rounds, kinds);
    return 0;
}
