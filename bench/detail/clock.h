/* SPDX-License-Identifier: MIT */
/*
 * A clock that is cheap enough to time one call of malloc: the processor's own counter, where it
 * runs at one speed whatever the processor does, else clock_gettime(). Each reading waits until
 * all earlier instructions are done, and later ones wait for it. So a call is timed from its first
 * instruction to its result, without the overlap with its neighbours that it enjoys in a program:
 * a little more than its share of the time per operation.
 */
#ifndef BENCH_DETAIL_CLOCK_H
#define BENCH_DETAIL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Written by detail_clock_start(), before other threads start. */
struct detail_clock {
    bool counter;       /* the processor's is used */
    double ns_per_tick; /* calibrated against CLOCK_MONOTONIC */
    uint64_t step; /* ticks: readings differ by multiples of it; in some virtual machines 10 ns */
};

extern struct detail_clock detail_clock;

/* Chooses the clock and calibrates it: takes about 10 ms. */
void detail_clock_start(void);

static inline uint64_t detail_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t detail_counter(void)
{
#if defined(__x86_64__)
    uint32_t low, high;
    __asm__ volatile("lfence\n\trdtsc\n\tlfence" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(ticks) : : "memory");
    return ticks;
#else
    return detail_monotonic_ns();
#endif
}

static inline uint64_t detail_ticks(void)
{
    return __builtin_expect(detail_clock.counter, 1) ? detail_counter() : detail_monotonic_ns();
}

/* What a call took between two readings, without what they take themselves. That is asked anew for
 * each call, as a processor changes its speed: found once, at a slow moment, it would be more than
 * a quick call takes. A call that is too short for the clock took at most one step. */
static inline uint64_t detail_ticks_between(uint64_t start, uint64_t end)
{
    uint64_t before = detail_ticks();
    uint64_t cost = detail_ticks() - before, ticks = end - start;
    return ticks >= cost + detail_clock.step ? ticks - cost : detail_clock.step;
}

#endif
