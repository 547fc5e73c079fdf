/* SPDX-License-Identifier: MIT */
/*
 * A thread exits. Its heap has a current pool, not all carved, and a parked one, and perhaps a batch
 * of blocks of a third thread's freeing. Meanwhile blocks come back to both, and another heap looks
 * for pools of the class.
 */
#define POOLS 2
#define BLOCKS 3
#define CLASSES 1
#define CAPACITY(c) BLOCKS
#define ADOPT_LIVE(c) 1

#include "state.inc"
#include "push.inc"
#include "owner.inc"
#include "heap.inc"

proctype exiting(byte me)
{
    LOCALS;
    current[0] = 1;
    parked = BIT(1);
    pm_heap_dissolve();
    done++
}

proctype thread(byte me; byte mallocs; byte frees; bool adopting)
{
    LOCALS;
    allocates = adopting;
    do
    :: mallocs > 0 -> mallocs--; allocate(0)
    :: atomic { frees > 0 && ANY_LIVE -> frees--; pick() }; free_block()
    :: mallocs == 0 -> break
    od;
    atomic { CURRENT(me, 0) = current[0]; heap_parked[me] = parked; done++ }
}

init {
    byte b, n, mask, item;
    atomic {
        word[0] = WORD(OWNED, 0, 0);
        route[0] = 1;
        owner[0] = 1;
        capacity[0] = CAPACITY(0);
        adopt_live[0] = ADOPT_LIVE(0);
        carved[0] = 2;
        list[0] = 2;
        live[0] = BIT(1);
        word[1] = WORD(OWNED, 0, 0);
        route[1] = 1;
        owner[1] = 1;
        capacity[1] = CAPACITY(0);
        adopt_live[1] = ADOPT_LIVE(0);
        carved[1] = 3;
        count[1] = 2;
        list[1] = 3;
        live[1] = BIT(1) | BIT(2);
        run exiting(1);
        run thread(2, 2, 1, true);
        run thread(HEAPLESS, 0, 2, false)
    };
    done == 3;
    d_step { check_pool(0) };
    d_step { check_pool(1) }
}
