/* SPDX-License-Identifier: MIT */
/*
 * A weak reference (lib/object/weak.c, weak_table.c): its object's last reference is dropped, while
 * a thread follows it, another one asks for the shared one, and each of them may drop the last
 * reference of either. The counts themselves are those of counts.pml: here a reference is had or
 * not in one step. There is one object, and one weak reference, with a callback.
 *
 * What must hold: nobody touches memory that was freed; nobody gets a reference to what is dead; the
 * callback is called once, unless the weak reference has died before the object was taken out of
 * the table; in the end both are gone, and the table is empty.
 */
#define THREADS 3

/* ---- the object ---- */
byte count = 2; /* dropping and following have one each at first, or get one */
bool dead;
bool gone;      /* its memory is freed */
bool looking[THREADS];    /* not quiescent: holds an address that it read without a lock */
bool waited_for[THREADS]; /* was looking when the memory was deferred, and has not been quiescent */

/* ---- the weak reference, and the table under its lock ---- */
byte weak_count = 1;
bool weak_dead;
bool weak_gone;
bool referent = true; /* false: cleared */
bool in_table = true;
bool lock;

/* ---- to judge by ---- */
byte calls;
bool due; /* the weak reference lived when the object's death found it */
byte done;

#define OBJECT assert(!gone)
#define WEAK assert(!weak_gone)
#define LOCALS bool r, got, kept, last

inline acquire()
{
    atomic { !lock -> lock = true }
}

inline release()
{
    lock = false
}

inline try_weak()
{
    d_step { WEAK; got = (weak_count > 0); weak_count = weak_count + got }
}

/* Of the dead weak reference. */
inline weakref_clear()
{
    d_step { WEAK; weak_dead = true; r = referent };
#ifndef MUTANT_freed_in_the_table
    if
    :: r ->
        acquire();
        if
        :: referent -> d_step { WEAK; assert(in_table); in_table = false; referent = false }
        :: else
        fi;
        release()
    :: else
    fi;
#endif
    d_step { WEAK; weak_gone = true }
}

inline drop_weak()
{
    d_step { WEAK; assert(weak_count > 0); weak_count--; last = (weak_count == 0) };
    if
    :: last -> weakref_clear()
    :: else
    fi
}

/* By the object's death: the table's part. */
inline pm_weak_clear_trash()
{
    kept = false;
    acquire();
    if
    :: in_table ->
        d_step { WEAK; in_table = false };
#ifdef MUTANT_cleared_before_the_last_look /* it may be freed at once */
        d_step { WEAK; referent = false };
#endif
#ifdef MUTANT_called_without_a_reference
        d_step { WEAK; kept = (weak_count > 0); due = kept };
#else
        try_weak();
        d_step { kept = got; due = got };
#endif
#if !defined(MUTANT_cleared_before_the_last_look) && !defined(MUTANT_cleared_after_deferring)
        d_step { WEAK; referent = false }
#else
        skip
#endif
    :: else
    fi;
    release()
}

inline pm_weak_run_callbacks()
{
    if
    :: kept ->
        d_step { WEAK; assert(weak_count > 0 && calls == 0); calls++ };
#ifndef MUTANT_called_without_a_reference
        drop_weak()
#else
        skip
#endif
    :: else
    fi
}

/* By the thread that dropped the last reference. */
inline dispose()
{
    d_step { OBJECT; assert(!dead); dead = true };
    pm_weak_clear_trash();
    pm_weak_run_callbacks();
#ifndef MUTANT_freed_at_once
    d_step { /* pm_qsbr_defer: a quiescent point of this thread */
        waited_for[0] = looking[0] && me != 0;
        waited_for[1] = looking[1] && me != 1;
        waited_for[2] = looking[2] && me != 2
    };
#ifdef MUTANT_cleared_after_deferring /* who looks by now is not waited for */
    if
    :: !weak_gone -> referent = false
    :: else
    fi;
#endif
    !waited_for[0] && !waited_for[1] && !waited_for[2];
#endif
    gone = true
}

inline drop()
{
    d_step { OBJECT; assert(!dead && count > 0); count--; last = (count == 0) };
    if
    :: last -> dispose()
    :: else
    fi
}

/* By who has a reference to it. */
inline pm_weakref_get()
{
    looking[me] = true;
    d_step { WEAK; r = referent };
    got = false;
    if
    :: r -> d_step { OBJECT; got = (count > 0); count = count + got } /* pm_try_incref */
    :: else
    fi;
    d_step { looking[me] = false; waited_for[me] = false }
}

/* pm_weakref_new by who has a reference to the object: the one that is there, or none. */
inline take_shared()
{
    got = false;
    acquire();
    if
#ifdef MUTANT_taken_without_trying
    :: in_table -> d_step { WEAK; weak_count++; got = true }
#else
    :: in_table -> try_weak()
#endif
    :: else
    fi;
    d_step { assert(!got || !weak_dead) };
    release()
}

#define FORGET d_step { r = false; got = false; kept = false; last = false }

/* Has a reference to the object. */
proctype dropping(byte me)
{
    LOCALS;
    drop();
    FORGET;
    done++
}

/* Has one to the weak reference. */
proctype following(byte me; byte looks)
{
    LOCALS;
    do
    :: looks > 0 ->
        looks--;
        pm_weakref_get();
        if
        :: got -> drop()
        :: else
        fi;
        FORGET
    :: true -> break
    od;
    drop_weak();
    FORGET;
    done++
}

/* Has one to the object. */
proctype referring(byte me)
{
    LOCALS;
    take_shared();
    if
    :: got ->
        if /* which goes first */
        :: true -> drop(); FORGET; drop_weak()
        :: true -> drop_weak(); FORGET; drop()
        fi
    :: else -> drop()
    fi;
    FORGET;
    done++
}

init {
    atomic {
        run dropping(0);
        run following(1, 2);
        run referring(2)
    };
    done == THREADS;
    assert(dead && gone && weak_dead && weak_gone && !in_table && !referent);
    assert(count == 0 && weak_count == 0 && calls == due)
}
