/* SPDX-License-Identifier: MIT */
/*
 * The counts of one object (lib/object/counts.c, slots.c, queue.c): its owner, who takes and drops,
 * pauses and goes; and either two others who have a reference each that the owner has counted, or
 * one who has one from the shared count, and one who has none and tries to get one (pm_try_incref),
 * from an object that may have been set probed or not. A plain count is read and written in two
 * steps.
 *
 * What must hold: the object dies once, when nobody has a reference, no queue and nobody on his way
 * there; nobody with a reference finds it dead; and in the end, when all are dropped, it is dead.
 * The narrow local count is narrower here: it is full at FULL, and spills and refills SPILL.
 */
#define OWNED 0
#define PROBED 1
#define QUEUED 2
#define MERGED 3

#define STATE(s) ((s) & 3)
#define COUNT(s) (((s) - STATE(s)) / 4)
#define ONE 4

#define FREE 0 /* enum pm_slot_state */
#define RUNNING 1
#define PAUSED 2

#define FULL 3
#define SPILL 2

#define THREADS 3

/* ---- the object ---- */
byte owner = 1; /* 1: the slot; 0: nobody */
byte local_count = 1;
short shared = OWNED;

/* ---- the slot of its owner ---- */
byte slot = RUNNING;
bool lock;
byte queue;

/* ---- to judge by ---- */
byte refs[THREADS];
byte flying;   /* references that are being dropped, and are counted still */
bool findable; /* those without a reference may try */
bool dead;
bool probed;     /* pm_object_set_probed was called, and is done */
bool finalized;
bool finalizing; /* it decides whether it comes back */
bool leaving;    /* the owner makes no more references */
byte done;

#define LIVE assert(!dead)
#define LOCALS                                                                                     \
    byte w, l, taken;                                                                              \
    short s, next;                                                                                 \
    bool ok, last
#define FORGET w = 0; l = 0; taken = 0; s = 0; next = 0; ok = false; last = false

inline acquire()
{
    atomic { !lock -> lock = true }
}

inline release()
{
    lock = false
}

inline pm_object_set_probed()
{
    d_step { LIVE; s = shared };
    do
#ifdef MUTANT_probed_from_any_state
    :: true -> d_step { LIVE; shared = COUNT(s) * ONE + PROBED }; break
#else
    :: STATE(s) == OWNED ->
        d_step { LIVE; cas(s + PROBED) };
        if
        :: ok -> break
        :: else
        fi
    :: STATE(s) != OWNED -> break
#endif
    od
}

#define NOBODY (refs[0] + refs[1] + refs[2] + flying + queue == 0)

inline dispose()
{
    d_step { assert(!dead && NOBODY); dead = true };
    d_step { owner = 0; local_count = 0 };
    shared = MERGED
}

/* By the owner's thread, once. What tries meanwhile fails, as before. */
inline finalize()
{
    d_step { LIVE; assert(NOBODY); finalized = true; finalizing = true; owner = 1; local_count = 1 };
    d_step { LIVE; shared = OWNED };
    if
    :: !leaving -> /* the finalizer takes a reference */
        d_step { LIVE; local_count = 2; refs[0]++ };
#ifndef MUTANT_comes_back_unprobed
        if
        :: probed -> pm_object_set_probed()
        :: else
        fi;
#endif
        finalizing = false;
        d_step { LIVE; l = local_count; local_count = l - 1 }
    :: true ->
        d_step { assert(local_count == 1 && shared == OWNED) }; /* pm_is_unique */
        dispose()
    fi
}

inline die()
{
    if
    :: me == 0 && !finalized -> finalize()
    :: else -> dispose()
    fi
}

/* One compare-and-swap of shared, which was s. In a d_step. */
inline cas(value)
{
    ok = (shared == s);
    if
    :: ok -> shared = value
    :: else -> s = shared
    fi
}

/* Takes one reference, a flying one, by the owner's rights or where there is no owner. Sets last. */
inline pm_object_merge()
{
    d_step { LIVE; l = local_count };
#ifndef MUTANT_owner_cleared_late
    d_step { LIVE; owner = 0; local_count = 0 };
#endif
    d_step { LIVE; s = shared };
    do
    :: true ->
        d_step {
            LIVE;
            assert(COUNT(s) + l - 1 >= 0);
            next = (COUNT(s) + l - 1) * ONE + MERGED;
            cas(next);
            if
            :: ok -> flying--
            :: else
            fi
        };
        if
        :: ok -> break
        :: else
        fi
    od;
#ifdef MUTANT_owner_cleared_late /* by then somebody else may have dropped the last one */
    skip;
    d_step { assert(!dead || next == MERGED); owner = 0; local_count = 0 };
#endif
    last = (next == MERGED)
}

inline merge_and_perhaps_die()
{
    pm_object_merge();
    if
    :: last -> die()
    :: else
    fi
}

/* ---- by others than the owner ---- */

inline incref_shared()
{
    d_step { LIVE; shared = shared + ONE; refs[me]++ }
}

/* The owner may be about to merge: the local count is with it. */
inline pm_object_drop_queued()
{
#ifdef MUTANT_merged_for_an_owner_who_merges
    pm_object_merge();
#else
    d_step { LIVE; s = shared };
    do
    :: true ->
        d_step {
            LIVE;
            assert(STATE(s) == QUEUED || STATE(s) == MERGED);
            next = s - ONE;
            cas(next);
            if
            :: ok -> flying--
            :: else
            fi
        };
        if
        :: ok -> break
        :: else
        fi
    od;
    last = (next == MERGED);
#endif
    if
    :: last -> die()
    :: else
    fi
}

inline pm_queue_for_owner()
{
    d_step { LIVE; w = owner };
    if
    :: w == 0 -> pm_object_drop_queued()
    :: else ->
        acquire();
        if
#ifdef MUTANT_merged_while_running /* the owner may be between a load and a store */
        :: true ->
#else
        :: slot != RUNNING ->
#endif
            pm_object_merge();
            release();
            if
            :: last -> die()
            :: else
            fi
#ifndef MUTANT_merged_while_running
        :: slot == RUNNING ->
            d_step { flying--; queue++ };
            release()
#endif
        fi
    fi
}

inline drop_shared()
{
    d_step { LIVE; s = shared };
    do
    :: true ->
        d_step {
            LIVE;
#ifdef MUTANT_subtracted_and_queued
            next = (s == OWNED || s == PROBED -> QUEUED - ONE : s - ONE);
#else
            next = (s == OWNED || s == PROBED -> QUEUED : s - ONE);
#endif
            w = (s == OWNED || s == PROBED);
            assert(s != MERGED);
            cas(next);
            if
            :: ok -> refs[me]--; flying = flying + w
            :: else
            fi
        };
        if
        :: ok -> break
        :: else
        fi
    od;
    if
    :: w -> pm_queue_for_owner()
    :: !w && next == MERGED -> die()
    :: else
    fi
}

/* Who tries may look at what is dead: its memory is there. */
inline pm_try_incref()
{
    /* What was probed and lives is found. */
    d_step { s = shared; assert(s != OWNED || !probed || finalizing || dead) };
    do
#ifdef MUTANT_tried_from_zero
    :: s == MERGED -> break
    :: s != MERGED ->
#else
    :: s == OWNED || s == MERGED -> break
    :: s != OWNED && s != MERGED ->
#endif
        d_step {
            cas(s + ONE);
            if
            :: ok -> LIVE; refs[me]++
            :: else
            fi
        };
        if
        :: ok -> break
        :: else
        fi
    od
}

/* ---- by the owner ---- */

inline incref_owner()
{
    d_step { LIVE; w = owner; l = local_count };
    if
    :: w == 0 -> incref_shared()
    :: w != 0 && l < FULL -> d_step { LIVE; local_count = l + 1; refs[me]++ }
    :: w != 0 && l == FULL -> /* spill */
        d_step { LIVE; shared = shared + SPILL * ONE };
        d_step { LIVE; local_count = l - SPILL + 1; refs[me]++ }
    fi
}

inline drop_last_owned()
{
    d_step { LIVE; s = shared };
    if
    :: s == OWNED -> refs[me]--; die()
    :: s != OWNED && STATE(s) != MERGED && COUNT(s) >= SPILL ->
        d_step { LIVE; cas(s - SPILL * ONE) };
        if
        :: ok -> d_step { LIVE; local_count = SPILL; refs[me]-- }
        :: else -> d_step { refs[me]--; flying++ }; merge_and_perhaps_die()
        fi
    :: else -> d_step { refs[me]--; flying++ }; merge_and_perhaps_die()
    fi
}

inline decref_owner()
{
    d_step { LIVE; w = owner; l = local_count };
    if
    :: w == 0 -> drop_shared()
    :: w != 0 && l > 1 -> d_step { LIVE; local_count = l - 1; refs[me]-- }
    :: w != 0 && l == 1 -> drop_last_owned()
    fi
}

inline pm_queue_drain()
{
    acquire();
    d_step { taken = queue; flying = flying + queue; queue = 0 };
    release();
    if
    :: taken > 0 -> merge_and_perhaps_die()
    :: else
    fi
}

inline leave_running(state)
{
    acquire();
#ifndef MUTANT_queue_left_behind
    do
    :: queue == 0 -> break
    :: else -> release(); pm_queue_drain(); acquire()
    od;
#endif
    slot = state;
    release()
}

inline resume()
{
#ifdef MUTANT_resumed_without_lock
    slot = RUNNING
#else
    acquire();
    slot = RUNNING;
    release()
#endif
}

proctype owning(byte me; byte increfs; byte pauses)
{
    LOCALS;
    do
    :: refs[me] > 0 && increfs > 0 -> increfs--; incref_owner(); FORGET
    :: refs[me] > 0 -> decref_owner(); FORGET
    :: queue > 0 -> pm_queue_drain(); FORGET
    :: pauses > 0 -> pauses--; leave_running(PAUSED); FORGET; resume()
    :: refs[me] == 0 -> break
    od;
    leaving = true;
    leave_running(FREE);
    FORGET;
    done++
}

/* Has a reference. */
proctype sharing(byte me; bool takes; bool shows)
{
    LOCALS;
    if
    :: takes -> incref_shared()
    :: else
    fi;
    if
    :: shows -> pm_object_set_probed(); probed = true; FORGET
    :: true
    fi;
    findable = true;
    do
    :: refs[me] > 0 -> drop_shared(); FORGET
    :: else -> break
    od;
    done++
}

proctype probing(byte me; byte tries)
{
    LOCALS;
    findable;
    do
    :: tries > 0 ->
        tries--;
        pm_try_incref();
        FORGET;
        if
        :: refs[me] > 0 -> drop_shared(); FORGET
        :: else
        fi
    :: true -> break
    od;
    done++
}

init {
    atomic {
        refs[0] = 1;
        refs[1] = 1;
        if
        :: true -> /* all counted by the owner */
            refs[2] = 1;
            local_count = 3;
            run owning(0, 1, 1);
            run sharing(1, true, false);
            run sharing(2, false, false)
        :: true -> /* one is shared */
            shared = ONE;
            run owning(0, 2, 1);
            run sharing(1, false, true);
            run probing(2, 2)
        fi
    };
    done == THREADS;
    assert(dead && queue == 0 && flying == 0)
}
