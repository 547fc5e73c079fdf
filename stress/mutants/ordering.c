/* SPDX-License-Identifier: MIT */
/*
 * Trap 13 where the processor reorders: a pool is abandoned while another thread frees into it, and
 * the two share nothing but the pool's word. ThreadSanitizer is the judge: what it must see ordered
 * is ordered by that word alone, for all else that the threads exchange here is relaxed, but for
 * the pointers of the blocks. Seen as: corruption on arm64 only.
 *
 * The maker fills pools, lets them float and goes on; the freer, who allocates the same size,
 * adopts them and allocates there; blocks freed into pools that the maker owns are taken by the
 * maker. Usage: ordering [rounds]
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "step.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

enum { handed = 300, alarm_seconds = 100 };

/* A size whose pools are full several times in a round, in all configurations. */
static const size_t size = 1000;
static _Atomic(uint64_t *) slots[handed]; /* release by the maker, acquire by the freer */
static atomic_uint phase;                 /* relaxed: orders nothing */
static uint64_t rounds;

static void wait_for_phase(unsigned wanted)
{
    while (atomic_load_explicit(&phase, memory_order_relaxed) != wanted)
        sched_yield();
}

static void next_phase(void)
{
    unsigned now = atomic_load_explicit(&phase, memory_order_relaxed);
    atomic_store_explicit(&phase, now + 1, memory_order_relaxed);
}

static uint64_t *make(uint64_t value)
{
    uint64_t *block = api_malloc(size);
    CHECK(block, "no %zu bytes", size);
    block[0] = block[size / 8 - 1] = value;
    return block;
}

static void verify_and_free(uint64_t *block, uint64_t value)
{
    CHECK(block[0] == value && block[size / 8 - 1] == value, "a block changed");
    api_free(block);
}

static uint64_t *own_of_maker[2 * handed], *own_of_freer[2 * handed];

/* The freer adopts what floats. */
static void maker_floats(void)
{
    for (uint64_t i = 0; i < handed; i++)
        atomic_store_explicit(&slots[i], make(i), memory_order_release);
    for (uint64_t i = 0; i < handed; i++) /* after the hand-over: pools float, are taken */
        own_of_maker[i] = make(i);
    next_phase();
    for (uint64_t i = 0; i < handed; i++)
        verify_and_free(own_of_maker[i], i);
}

static void freer_adopts(void)
{
    for (uint64_t i = 0; i < handed; i++) {
        own_of_freer[2 * i] = make(i); /* allocates from what it has adopted */
        verify_and_free(atomic_load_explicit(&slots[i], memory_order_acquire), i);
        own_of_freer[2 * i + 1] = make(i);
    }
    for (uint64_t i = 0; i < 2 * handed; i++)
        verify_and_free(own_of_freer[i], i / 2);
}

/* One block comes back into the pool that the maker allocates from, and is taken. */
static void maker_takes(unsigned phase_when_freed)
{
    for (uint64_t i = 0; i < handed; i++)
        own_of_maker[i] = make(i);
    atomic_store_explicit(&slots[0], make(0), memory_order_release);
    next_phase();
    wait_for_phase(phase_when_freed);
    for (uint64_t i = handed; i < 2 * handed; i++)
        own_of_maker[i] = make(i);
    for (uint64_t i = 0; i < 2 * handed; i++)
        verify_and_free(own_of_maker[i], i);
}

static void *run_maker(void *argument)
{
    for (unsigned round = 0; round < rounds; round++) {
        wait_for_phase(2 * round);
        if (round % 2 == 0)
            maker_floats();
        else
            maker_takes(2 * round + 2);
    }
    return argument;
}

static void *run_freer(void *argument)
{
    for (unsigned round = 0; round < rounds; round++) {
        wait_for_phase(2 * round + 1);
        if (round % 2 == 0)
            freer_adopts();
        else
            verify_and_free(atomic_load_explicit(&slots[0], memory_order_acquire), 0);
        next_phase();
    }
    return argument;
}

int main(int count, char **arguments)
{
    pthread_t maker, freer;
    rounds = parse_number("the rounds", count > 1 ? arguments[1] : "100");
    alarm_guard(alarm_seconds);
    CHECK(pthread_create(&maker, NULL, run_maker, NULL) == 0, "pthread_create");
    CHECK(pthread_create(&freer, NULL, run_freer, NULL) == 0, "pthread_create");
    pthread_join(maker, NULL);
    pthread_join(freer, NULL);
    printf("%llu rounds: pools changed hands by their words alone\n", (unsigned long long)rounds);
    return 0;
}
