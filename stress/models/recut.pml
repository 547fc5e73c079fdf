/* SPDX-License-Identifier: MIT */
/*
 * One pool of class 0, floating; its blocks come back, so it is published, or retired and cut again
 * for class 1, with other blocks. A heap looks for a pool of class 0 meanwhile, and another one takes
 * the units for class 1, uses them, and exits, so that the pool floats, or is published, again.
 */
#define POOLS 1
#define BLOCKS 3
#define CLASSES 2
#define CAPACITY(c) (BLOCKS - c)
#define ADOPT_LIVE(c) 1

#include "state.inc"
#include "push.inc"
#include "owner.inc"
#include "heap.inc"

proctype seeking(byte me)
{
    LOCALS;
    allocate(0);
    atomic { CURRENT(me, 0) = current[0]; heap_parked[me] = parked; done++ }
}

proctype passing(byte me; byte mallocs)
{
    LOCALS;
    do
    :: mallocs > 0 -> mallocs--; allocate(1)
    :: mallocs == 0 -> break
    od;
    pm_heap_dissolve();
    done++
}

proctype freeing(byte me; byte frees)
{
    LOCALS;
    do
    :: atomic { frees > 0 && ANY_LIVE -> frees--; pick() }; free_block()
    :: true -> break
    od;
    done++
}

init {
    byte b, n, mask, item;
    atomic {
        word[0] = WORD(FLOATING, 3, 2);
        route[0] = NOBODY;
        capacity[0] = CAPACITY(0);
        adopt_live[0] = ADOPT_LIVE(0);
        carved[0] = 3;
        live[0] = BIT(1) | BIT(2);
        run seeking(1);
        run passing(2, 3);
        run freeing(HEAPLESS, 2);
        run freeing(HEAPLESS, 1)
    };
    done == 4;
    d_step { check_pool(0) }
}
