/* SPDX-License-Identifier: MIT */
/*
 * Stopping the world (lib/object/world.c, slots.c): three threads that attach, use objects, pause,
 * stop all others and look, or fork: one of these each. Then it stays RUNNING, and comes to a
 * safepoint when it is asked. A lock that is held for one step is waited for, and not taken.
 *
 * What must hold: who has stopped the world is alone: nobody else uses objects, or begins to; a
 * fork finds no world stopped, and with all locks, which the child then has; nobody waits for ever.
 *
 * A wait for a condition lets go of the lock and begins to wait in one step, as
 * pthread_cond_wait does; a signal that comes while nobody waits is lost.
 */
#define THREADS 3
#define NOBODY THREADS
#define FREE 0
#define RUNNING 1
#define PAUSED 2

bool world;         /* the lock of world.c */
byte stopper = NOBODY;
bool stops;
bool waits_left;    /* the stopper waits for somebody to leave RUNNING */
bool waits_started[THREADS];

bool registry;      /* lock */
bool slots;         /* who forks has the locks of all slots */
byte state[THREADS];
bool due[THREADS];

/* ---- to judge by ---- */
bool using[THREADS];
byte finished;

#define LOCALS bool found, done; byte j

inline acquire(lock)
{
    atomic { !lock -> lock = true }
}

inline release(lock)
{
    lock = false
}

/* What is done under a lock, and to nothing that others see without it, is one step. */
#define UNDER(lock, what) atomic { !lock -> what }

/* ---- those who are to stop ---- */

/* Under the world's lock. */
inline await_under_lock()
{
    do
    :: stopper != NOBODY ->
        d_step { waits_started[me] = true; world = false };
        !waits_started[me];
        acquire(world)
    :: else -> break
    od
}

inline pm_world_await()
{
#ifdef MUTANT_looks_before_it_waits /* the world may start between */
    if
    :: stopper != NOBODY ->
        UNDER(world, waits_started[me] = true);
        !waits_started[me]
    :: else
    fi
#else
    acquire(world);
    await_under_lock();
    release(world)
#endif
}

inline pm_world_left()
{
    if
    :: stops ->
#ifdef MUTANT_signals_without_lock /* the stopper has looked, and does not wait yet */
        waits_left = false
#else
        UNDER(world, waits_left = false)
#endif
    :: else
    fi
}

inline enter_running()
{
    do
#ifdef MUTANT_looks_without_lock /* the stopper looks at the slot between */
    :: !stops -> UNDER(slots, state[me] = RUNNING); break
#else
    :: atomic { !slots && !stops -> state[me] = RUNNING }; break
#endif
    :: stops -> pm_world_await()
    od
}

inline leave_running(to)
{
#ifdef MUTANT_tells_before_it_leaves
    pm_world_left();
    UNDER(slots, state[me] = to)
#else
    UNDER(slots, state[me] = to);
    pm_world_left()
#endif
}

inline pm_world_wait_begin()
{
    leave_running(PAUSED)
}

inline pm_world_wait_end()
{
    enter_running()
}

inline pm_world_stop_here()
{
    if
    :: stops ->
        pm_world_wait_begin();
        pm_world_wait_end()
    :: else
    fi
}

inline pm_safepoint()
{
    if
    :: due[me] ->
#ifdef MUTANT_forgets_what_came_late /* asked between, it does not know */
        pm_world_stop_here();
        due[me] = false
#else
        due[me] = false;
        pm_world_stop_here()
#endif
    :: else
    fi
}

/* ---- the stopper ---- */

inline pm_slots_ask_to_stop()
{
    acquire(registry);
    found = false;
    j = 0;
    do
    :: j < THREADS ->
        UNDER(slots,
            if
            :: state[j] == RUNNING && j != me -> due[j] = true; found = true
            :: else
            fi;
            j++)
    :: else -> break
    od;
    atomic { j = 0; registry = false }
}

/* Under the world's lock, or with it. */
inline start_under_lock()
{
    stopper = NOBODY;
    stops = false;
    waits_started[0] = false;
    waits_started[1] = false;
    waits_started[2] = false
}

/* Not `insist`: it may give up, whenever it waits. Sets done. */
inline wait_for_all(insist)
{
    done = true;
    do
    :: pm_slots_ask_to_stop();
        if
        :: !found -> break
        :: else ->
            d_step { waits_left = true; world = false };
            if
            :: !waits_left -> acquire(world)
            :: !insist ->
                UNDER(world, waits_left = false; world = true);
                pm_slots_ask_to_stop();
                done = !found;
                break
            fi
        fi
    od
}

inline pm_world_stop(insist)
{
    acquire(world);
    do
    :: stopper != NOBODY ->
        release(world);
#ifdef MUTANT_two_stop_and_run /* each waits for the other one */
        pm_world_await();
#else
        pm_world_wait_begin();
        pm_world_await();
        pm_world_wait_end();
#endif
        acquire(world)
    :: else -> break
    od;
    atomic { stopper = me; stops = true };
    wait_for_all(insist);
    if
    :: !done -> start_under_lock(); world = false
    :: else -> world = false
    fi;
    found = false
}

inline pm_world_start()
{
    atomic { !world -> start_under_lock() }
}

inline look()
{
    d_step {
        assert(me == 0 || (state[0] != RUNNING && !using[0]));
        assert(me == 1 || (state[1] != RUNNING && !using[1]));
        assert(me == 2 || (state[2] != RUNNING && !using[2]))
    }
}

/* ---- fork, by a thread that is RUNNING or not ---- */

inline hold()
{
    if
#ifndef MUTANT_forks_and_runs /* the stopper waits for it */
    :: state[me] == RUNNING ->
        pm_world_wait_begin();
        acquire(world);
        await_under_lock();
        pm_world_wait_end()
    :: else ->
#else
    :: true ->
#endif
        acquire(world);
        await_under_lock()
    fi
}

inline lock_slots()
{
    acquire(registry);
    acquire(slots)
}

inline fork()
{
#ifdef MUTANT_world_not_held /* the child's stopper is not there */
    lock_slots();
#else
#ifdef MUTANT_world_held_last /* the stopper wants the slots, and does not start before */
    lock_slots();
    acquire(world);
    await_under_lock();
#else
    hold();
    lock_slots();
#endif
#endif
    atomic { assert(stopper == NOBODY && !stops); slots = false; registry = false };
#ifndef MUTANT_world_not_held
    release(world)
#else
    skip
#endif
}

/* ---- threads ---- */

inline attach()
{
    !registry; /* take_slot */
    enter_running()
}

inline detach()
{
    leave_running(FREE);
    !registry /* give_slot */
}

inline use()
{
    using[me] = true;
    using[me] = false
}

inline stop_and_look(insist)
{
    pm_world_stop(insist);
    if
    :: done ->
        look();
        look();
        pm_world_start()
    :: else
    fi;
    done = false
}

proctype thread(byte me)
{
    LOCALS;
    attach();
    if
    :: me != 1 -> use()
    :: me != 1 -> detach(); attach()
    :: me == 2 -> pm_world_wait_begin(); pm_world_wait_end() /* pause and resume, too */
    :: me != 2 -> stop_and_look(true)
    :: me == 0 -> stop_and_look(false)
    :: me != 0 -> fork()
    :: me == 2 -> pm_world_wait_begin(); fork(); pm_world_wait_end()
    fi;
    pm_safepoint();
    finished++;
    do
    :: due[me] -> pm_safepoint(); use()
    :: finished >= THREADS -> break
    od;
    detach();
    finished++
}

init {
    atomic {
        run thread(0);
        run thread(1);
        run thread(2)
    };
    finished == 2 * THREADS;
    assert(stopper == NOBODY && !stops && !world && !registry);
    assert(state[0] == FREE && state[1] == FREE && state[2] == FREE)
}
