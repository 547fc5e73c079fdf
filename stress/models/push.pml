/* SPDX-License-Identifier: MIT */
/*
 * One pool, which keeps its owner. What he allocates, two other threads free, in any order; he takes
 * it back and allocates it again. So the word is often the same as before while the list under it is
 * another: no tag tells, and none is needed (docs/decisions/001), since a push depends on nothing
 * but the word. With -DWITNESS_aba spin shows that this does happen here.
 *
 * A thread that took single blocks off the list would depend on the link behind the head too
 * (-DMUTANT_pop_untagged), and need a tag (-DVARIANT_pop_tagged).
 */
#define POOLS 1
#define BLOCKS 3
#define CLASSES 1
#define CAPACITY(c) BLOCKS
#define ADOPT_LIVE(c) 1
#define SIMPLE
#define ANY_ORDER
#if defined MUTANT_pop_untagged || defined VARIANT_pop_tagged
#define POPPERS
#endif

#include "state.inc"
#include "push.inc"
#include "owner.inc"
#include "heap.inc"

proctype owning(byte me; byte mallocs)
{
    LOCALS;
    current[0] = 1;
    do
    :: mallocs > 0 && (list[0] != 0 || carved[0] < BLOCKS || COUNT(word[0]) != 0) ->
        mallocs--;
        p = 0;
        pm_pool_take_remote();
        take_block();
        FORGET
    :: mallocs == 0 -> break
    :: true -> break
    od;
    atomic { CURRENT(me, 0) = current[0]; done++ }
}

proctype freeing(byte me; byte frees)
{
    LOCALS;
    do
    :: atomic { frees > 0 && ANY_LIVE -> frees--; pick() };
        d_step { head = b; tail = b; n = 1; mask = BIT(b) };
        pm_remote_push_simple();
        if
        :: ok
        :: else -> pm_remote_push()
        fi;
        FORGET
    :: true -> break
    od;
    done++
}

#ifdef POPPERS
proctype popping(byte me)
{
    LOCALS;
    d_step { LOAD_WORD; next = 0 };
    if
    :: HEAD(w) != 0 ->
        head = HEAD(w);
        next = WORD(OWNED, LINK(p, head), COUNT(w) - 1);
        d_step {
            cas(next, owner[p]);
            if
            :: ok -> b = head; hand_out()
            :: else
            fi
        }
    :: else
    fi;
    done++
}
#endif

init {
    byte b, n, mask, item;
    atomic {
        word[0] = WORD(OWNED, 0, 0);
        route[0] = 1;
        owner[0] = 1;
        capacity[0] = CAPACITY(0);
        adopt_live[0] = ADOPT_LIVE(0);
        run owning(1, 5);
#ifdef POPPERS
        run freeing(HEAPLESS, 4);
        run popping(HEAPLESS)
#else
        run freeing(HEAPLESS, 2);
        run freeing(HEAPLESS, 2)
#endif
    };
    done == 3;
    d_step { check_pool(0) }
}
