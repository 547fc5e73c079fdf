/* SPDX-License-Identifier: MIT */
/*
 * One pool, all of whose blocks are live, when its owner needs another one. Then it floats, while
 * blocks come back from its former owner, from a thread that allocates the class, and from one that
 * does not.
 */
#define POOLS 1
#define BLOCKS 3
#define CLASSES 1
#define SIMPLE
#define CAPACITY(c) BLOCKS
#define ADOPT_LIVE(c) 1

#include "state.inc"
#include "push.inc"
#include "owner.inc"
#include "heap.inc"

proctype thread(byte me; byte mallocs; byte frees; byte first; bool adopting)
{
    LOCALS;
    current[0] = first;
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
        carved[0] = BLOCKS;
        live[0] = BIT(BLOCKS + 1) - 2;
        run thread(1, 1, 1, 1, false);
        run thread(2, 1, 2, 0, true);
        run thread(HEAPLESS, 0, 2, 0, false)
    };
    done == 3;
    d_step { check_pool(0) }
}
