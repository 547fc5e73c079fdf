/* SPDX-License-Identifier: MIT */
/* Atomic counts, a lock prefix each on x86-64: what most shared counters are. See by_hand.h. */
#define CONTENDER_NAME "atomic"
#define CONTENDER_SHARES 1

#include "by_hand.h"

/* As std::shared_ptr: who takes one has one, so nothing is to be ordered. */
static inline void count_up(uint64_t *count)
{
    __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

/* The last one comes after what all others did with the node. */
static inline bool count_down_to_zero(uint64_t *count)
{
    return __atomic_fetch_sub(count, 1, __ATOMIC_ACQ_REL) == 1;
}
