/* SPDX-License-Identifier: MIT */
/*
 * Remote batches: a heap with one slot frees blocks of two pools, allocates, and exits; what it holds
 * back pins its pool, and goes home before anything that could forget it. The pools' other blocks are
 * freed by a thread without a heap.
 */
#define POOLS 2
#define BLOCKS 3
#define CLASSES 1
#define CAPACITY(c) BLOCKS
#define ADOPT_LIVE(c) 1
#define BATCHES

#include "state.inc"
#include "push.inc"
#include "owner.inc"
#include "heap.inc"

proctype thread(byte me; byte mallocs; byte frees)
{
    LOCALS;
    allocates = REAL;
    do
    :: mallocs > 0 -> mallocs--; allocate(0)
    :: atomic { frees > 0 && ANY_LIVE -> frees--; pick() }; free_block()
    :: true -> break
    od;
    if
    :: REAL -> allocates = false; pm_heap_dissolve()
    :: else
    fi;
    done++
}

init {
    byte b, n, mask, item;
    atomic {
        word[0] = WORD(FLOATING, 0, 3);
        route[0] = NOBODY;
        capacity[0] = CAPACITY(0);
        adopt_live[0] = ADOPT_LIVE(0);
        carved[0] = 3;
        live[0] = BIT(1) | BIT(2) | BIT(3);
        word[1] = WORD(FLOATING, 0, 3);
        route[1] = NOBODY;
        capacity[1] = CAPACITY(0);
        adopt_live[1] = ADOPT_LIVE(0);
        carved[1] = 3;
        live[1] = BIT(1) | BIT(2) | BIT(3);
        run thread(1, 1, 4);
        run thread(HEAPLESS, 0, 1)
    };
    done == 2;
    d_step { check_pool(0) };
    d_step { check_pool(1) }
}
