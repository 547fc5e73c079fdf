/* SPDX-License-Identifier: MIT */
/*
 * Order-named access to shared fields. Every access to a field that two threads may touch goes
 * through these, so that the order is read at the place of use; docs/memory-order.md lists each
 * field with its pairs.
 */
#ifndef PM_BASE_ATOMIC_H
#define PM_BASE_ATOMIC_H

#include "base/config.h"
#include "base/count.h"
#include "base/schedule.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if PM_SCHEDULE
/* With the points of the schedule fuzzer. Arguments come first, as they may be accesses themselves.
 * After what others can see there is a point more: what this thread then does to fields that it
 * shares no longer comes late. */
#define PM_LOAD(p, order) (pm_schedule_point(), atomic_load_explicit((p), order))
#define PM_STORE(p, v, order)                                                                      \
    __extension__({                                                                                \
        __auto_type store_p_ = (p);                                                                \
        __auto_type store_v_ = (v);                                                                \
        pm_schedule_point();                                                                       \
        atomic_store_explicit(store_p_, store_v_, order);                                          \
        pm_schedule_point();                                                                       \
    })
#define PM_EXCHANGE(p, v, order)                                                                   \
    __extension__({                                                                                \
        __auto_type exchange_p_ = (p);                                                             \
        __auto_type exchange_v_ = (v);                                                             \
        pm_schedule_point();                                                                       \
        __auto_type exchanged_ = atomic_exchange_explicit(exchange_p_, exchange_v_, order);        \
        pm_schedule_point();                                                                       \
        exchanged_;                                                                                \
    })
#define PM_CAS(p, old, v, order, failure)                                                          \
    __extension__({                                                                                \
        __auto_type cas_p_ = (p);                                                                  \
        __auto_type cas_v_ = (v);                                                                  \
        pm_schedule_point();                                                                       \
        bool swapped_ =                                                                            \
            atomic_compare_exchange_strong_explicit(cas_p_, old, cas_v_, order, failure);          \
        pm_schedule_point();                                                                       \
        swapped_;                                                                                  \
    })
#else
#define PM_LOAD(p, order) atomic_load_explicit((p), order)
#define PM_STORE(p, v, order) atomic_store_explicit((p), (v), order)
#define PM_EXCHANGE(p, v, order)                                                                   \
    (pm_count_event(PM_EVENT_ATOMIC_UPDATE), atomic_exchange_explicit((p), (v), order))
#define PM_CAS(p, old, v, order, failure)                                                          \
    (pm_count_event(PM_EVENT_ATOMIC_UPDATE),                                                       \
     atomic_compare_exchange_strong_explicit((p), (old), (v), order, failure))
#endif

#define pm_load_relaxed(p) PM_LOAD(p, memory_order_relaxed)
#define pm_load_acquire(p) PM_LOAD(p, memory_order_acquire)
#define pm_store_relaxed(p, v) PM_STORE(p, v, memory_order_relaxed)
#define pm_store_release(p, v) PM_STORE(p, v, memory_order_release)
#define pm_exchange_acquire(p, v) PM_EXCHANGE(p, v, memory_order_acquire)
#define pm_exchange_release(p, v) PM_EXCHANGE(p, v, memory_order_release)
#define pm_exchange_acq_rel(p, v) PM_EXCHANGE(p, v, memory_order_acq_rel)
#define pm_cas_acquire(p, old, v) PM_CAS(p, old, v, memory_order_acquire, memory_order_relaxed)
#define pm_cas_acq_rel(p, old, v) PM_CAS(p, old, v, memory_order_acq_rel, memory_order_acquire)

/* A counter with one writer: readers see some past value, the writer pays no read-modify-write. */
static inline void pm_count_owner(_Atomic uint64_t *counter, uint64_t n)
{
    pm_store_relaxed(counter, pm_load_relaxed(counter) + n);
}

/* A counter that several threads raise; nothing is ordered by it. */
static inline void pm_count_shared(_Atomic uint64_t *counter, uint64_t n)
{
    pm_schedule_point();
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* The same; returns what it was before. */
static inline uint64_t pm_add_relaxed(_Atomic uint64_t *counter, uint64_t n)
{
    pm_schedule_point();
    return atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* n < *bound, by a relaxed load. Spelled out where gcc keeps an atomic load apart from the compare:
 * the free path counts its instructions. */
static inline __attribute__((always_inline)) bool pm_below_relaxed(size_t n, _Atomic size_t *bound)
{
#if defined(__x86_64__) && defined(__GCC_ASM_FLAG_OUTPUTS__) && !PM_TSAN
    bool below;
    pm_schedule_point();
    __asm__("cmpq %[bound], %[n]" : "=@ccb"(below) : [n] "r"(n), [bound] "m"(*bound));
    return below;
#else
    return n < pm_load_relaxed(bound);
#endif
}

static inline void pm_cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
