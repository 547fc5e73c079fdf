/* SPDX-License-Identifier: MIT */
/* A plain ++ and --, of one thread. See by_hand.h. */
#define CONTENDER_NAME "plain"
#define CONTENDER_SHARES 0

#include "by_hand.h"

static inline void count_up(uint64_t *count)
{
    ++*count;
}

static inline bool count_down_to_zero(uint64_t *count)
{
    return --*count == 0;
}
