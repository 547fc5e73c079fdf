/* SPDX-License-Identifier: MIT */
/*
 * Fork. The handlers run in the forking thread: `prepare` takes all locks, in the order of their
 * ranks, so that the child finds what they guard whole.
 *
 * Where a signal handler forks, its thread may have been inside the allocator, and hold a lock
 * already. To wait for the others in order could then be to wait for one who waits for us: so each
 * is tried for a while. It is the same for any fork where the C library runs the handlers under a
 * lock of its own (musl; glibc before 2.36): a holder of our lock whose signal handler forks waits
 * there for the fork that is under way. What is behind the locks that we did not get is mended in
 * the child, where nobody else is:
 *
 *   rank       in the child, when its holder is gone
 *   INIT       nothing: start-up can be done again
 *   SERVICE    nothing: tracing may be on without its watch, or the other way round
 *   OPTIONS    nothing: it is held for a copy; a text that was being changed may be cut
 *   REGISTRY   nothing: each change takes effect with one store; at most one shell is lost
 *   COLD       a new cold heap
 *   USER       that user heap is lost: it serves no more, what is freed into it stays
 *   FLOATING   the sets are made anew from the pools' words
 *   GROW       nothing: arenas and windows count once they are complete
 *   DECOMMIT   nothing: the units that were on their way are lost, as with any purge
 *   ARENA      the lists are made anew from the arenas' bits
 *   TRACE      nothing: each change takes effect with one store
 *   GC         nothing: what it guards is only looked at
 *
 * Locks of the interrupted code stay its own, in parent and child; it goes on when the handler
 * returns.
 */
#include "heap/internal.h"
#include "heap/user.h"
#include "os/pages.h"

static bool is_mine(struct pm_lock *lock)
{
    enum pm_lock_fork state = pm_lock_state(lock);
    /* FOR_FORK: of a fork that was interrupted itself. */
    return state == PM_LOCK_INTERRUPTED || state == PM_LOCK_FOR_FORK;
}

void pm_heap_fork_prepare(void)
{
    bool inside = pm_lock_is_held_from(0);
    for (unsigned rank = 0; rank < PM_RANK_COUNT; rank++) {
        for (struct pm_lock *lock = pm_lock_of_rank(rank); lock != NULL; lock = lock->next) {
            if (!is_mine(lock))
                pm_lock_take_for_fork(lock, !inside);
        }
    }
    pm_pages_fork_prepare();
}

void pm_heap_fork_parent(void)
{
    for (unsigned rank = PM_RANK_COUNT; rank-- > 0;) {
        for (struct pm_lock *lock = pm_lock_of_rank(rank); lock != NULL; lock = lock->next) {
            if (pm_lock_state(lock) == PM_LOCK_FOR_FORK)
                pm_lock_release_after_fork(lock);
        }
    }
}

static void mend(struct pm_lock *lock)
{
    switch (lock->rank) {
    case PM_RANK_COLD:
        pm_cold_replace_in_child(lock);
        break;
    case PM_RANK_USER:
        pm_user_give_up_in_child(lock);
        break;
    case PM_RANK_FLOATING:
        pm_floating_rebuild_in_child();
        break;
    case PM_RANK_ARENA:
        pm_arena_rebuild_in_child();
        pm_heap_recount_spans_in_child();
        break;
    default:
        break;
    }
}

/* The other threads' heaps stay in use for ever: the pools that they could allocate from stay
 * theirs, and what is freed into those waits in the remote words. Locks last to first: what is
 * mended needs those of higher ranks. */
void pm_heap_fork_child(void)
{
    for (unsigned rank = PM_RANK_COUNT; rank-- > 0;) {
        for (struct pm_lock *lock = pm_lock_of_rank(rank); lock != NULL; lock = lock->next) {
            enum pm_lock_fork state = pm_lock_state(lock);
            if (state == PM_LOCK_ANOTHERS)
                mend(lock);
            if (state == PM_LOCK_ANOTHERS || state == PM_LOCK_FOR_FORK)
                pm_lock_reset_in_child(lock);
        }
    }
    pm_pages_fork_child();
    pm_heap_forget_threads_in_child();
}
