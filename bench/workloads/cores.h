/* SPDX-License-Identifier: MIT */
/*
 * Threads that run side by side: a core for each thread of a workload whose time depends on it, and
 * waiting for each other. Two threads that pass blocks or cache lines to each other cost several
 * times as much on two cores as on one, and the scheduler may take either for a whole run.
 */
#ifndef BENCH_CORES_H
#define BENCH_CORES_H

#include <pthread.h>
#include <sched.h>
#include <stddef.h>

/* The calling thread, number `index` of `threads`, stays on a core of its own from now on. Without
 * as many cores as threads, or where the system does not allow it, it stays where it is. */
static inline void bench_take_core(size_t index, size_t threads)
{
    cpu_set_t allowed, own;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 ||
        (size_t)CPU_COUNT(&allowed) < threads)
        return;
    int core = -1;
    for (size_t i = 0; i <= index; i++)
        do
            core++;
        while (!CPU_ISSET(core, &allowed));
    CPU_ZERO(&own);
    CPU_SET(core, &own);
    pthread_setaffinity_np(pthread_self(), sizeof(own), &own);
}

/* Between two looks at what another thread does. Yields after a while, as that thread may need this
 * core. */
enum { BENCH_SPINS = 200 };

static inline void bench_wait_a_little(unsigned spins)
{
    if (spins >= BENCH_SPINS) {
        sched_yield();
        return;
    }
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
