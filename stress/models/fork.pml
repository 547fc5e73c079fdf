/* SPDX-License-Identifier: MIT */
/*
 * fork, seen from the child: the other threads have vanished, each in the middle of whatever it did.
 * The thread that forks takes the lock of the floating sets first. Afterwards it frees all blocks that
 * are left: it never hangs, nothing is in two places, and each vanished thread has taken with it at
 * most the pools it owned, the pool it had in hand, and the block that it was freeing.
 *
 * run.sh compiles with: -DNOREDUCE (no partial order reduction: processes stop at any step)
 * run.sh runs with: -E (a vanished process has no valid end; that nothing hangs is asserted)
 */
#define POOLS 1
#define BLOCKS 3
#define CLASSES 1
#define CAPACITY(c) BLOCKS
#define ADOPT_LIVE(c) 1

bool forked;

#include "state.inc"
#include "push.inc"
#include "owner.inc"
#include "heap.inc"

/* In the child it does not run, and has not ended either. */
proctype vanishing(byte me; byte mallocs; byte frees; byte first; bool adopting)
    provided (!forked)
{
    LOCALS;
    current[0] = first;
    allocates = adopting;
    do
    :: mallocs > 0 -> mallocs--; allocate(0)
    :: atomic { frees > 0 && ANY_LIVE -> frees--; pick() }; free_block()
    :: mallocs == 0 && frees == 0 -> break
    od
}

/* After it: the lists of what floats, and of what the child may use. Frozen: a vanished thread's. */
inline check_after_fork(pool)
{
    if
    :: owner[pool] != 0 -> assert(!(set[0] & BIT(pool)) && !(arena & BIT(pool)))
    :: owner[pool] == 0 && STATE(word[pool]) == FREE -> assert(arena & BIT(pool))
    :: else ->
        bits_of(flying[pool]);
        assert(live[pool] == 0 && n > 0 && COUNT(word[pool]) == n && route[pool] == NOBODY);
        assert((STATE(word[pool]) == PUBLISHED) == ((set[0] & BIT(pool)) != 0))
    fi
}

proctype forking(byte me)
{
    LOCALS;
#ifndef MUTANT_fork_unlocked
    acquire_lock(); /* pm_heap_fork_prepare */
#endif
    forked = true;
    lock = false; /* pm_heap_fork_child */
#ifdef MUTANT_child_thaws /* takes what the vanished owned, and lets it float */
    if
    :: owner[0] != 0 && owner[0] != HEAPLESS && STATE(word[0]) == OWNED ->
        p = 0;
        owner[0] = me;
        pm_pool_count_local();
        let_go();
        FORGET
    :: else
    fi;
#endif
    do
    :: atomic { ANY_LIVE -> pick() }; free_block()
    :: else -> break
    od;
    done++
}

init {
    byte n, b;
    atomic {
        word[0] = WORD(OWNED, 0, 0);
        route[0] = 1;
        owner[0] = 1;
        capacity[0] = CAPACITY(0);
        adopt_live[0] = ADOPT_LIVE(0);
        carved[0] = BLOCKS;
        live[0] = BIT(BLOCKS + 1) - 2;
        run vanishing(1, 2, 1, 1, true);
        run vanishing(2, 0, 2, 0, false);
        run forking(HEAPLESS)
    };
    timeout;
    assert(forked && done == 1);
    d_step { check_after_fork(0) }
}
