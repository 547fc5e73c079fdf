/* SPDX-License-Identifier: MIT */
/*
 * Reclamation by quiescent states (lib/object/qsbr.c, qsbr_defer.c): two threads that replace what
 * is in a cell of their own, defer what was there, and look into the other's cell; or one of them,
 * and one who only looks, pauses and goes.
 *
 * What must hold: nobody uses what is freed; nothing is freed twice; no one waits for ever; and in
 * the end, when all are gone, everything that was deferred can be freed.
 *
 * Stores go through a buffer here, as on x86: what a thread has stored, others see some time later,
 * in its order, at the latest at its next read-modify-write. Without that, attaching would need no
 * read-modify-write of the write sequence, and deferring would not have to move it.
 */
#define THREADS 2
#define FIRST(w) ((w) * 3 + 1) /* items: 1 2 3, 4 5 6 */
#define ITEMS_MAX 1 /* PM_QSBR_ITEMS_MAX */
#define ROOM 4

/* ---- memory ---- */
byte write_sequence = 1; /* in steps of 1 */
byte seen[THREADS];
byte cell[THREADS];

/* Stored and not seen by others yet: the value and 1; 0: nothing. */
byte late_seen[THREADS];
byte late_cell[THREADS];

/* ---- batches of threads that are gone ---- */
bool lock;
byte orphans;
byte orphan_item[ROOM];
byte orphan_goal[ROOM];

/* ---- to judge by ---- */
bool freed[7];
byte done;

#define LOCALS byte p, s, i, g, k; bool ok
#define FORGET p = 0; s = 0; i = 0; g = 0; k = 0; ok = false

inline flush()
{
    if
    :: late_cell[me] != 0 -> cell[me] = late_cell[me] - 1; late_cell[me] = 0
    :: else
    fi;
    if
    :: late_seen[me] != 0 -> seen[me] = late_seen[me] - 1; late_seen[me] = 0
    :: else
    fi
}

inline set_seen(value)
{
    late_seen[me] = value + 1
}

inline go_online()
{
    s = write_sequence;
    set_seen(s);
#ifndef MUTANT_online_without_rmw /* its looks may come before others see that it is there */
    d_step { flush() };
#endif
    s = 0
}

inline pm_qsbr_quiescent()
{
    d_step { s = write_sequence; set_seen(s); s = 0 }
}

inline look(w)
{
    p = cell[w];
    assert(!freed[p]);
    p = 0
}

#define SEEN(n) ((n) == me && late_seen[n] != 0 -> late_seen[n] - 1 : seen[n])
#ifdef MUTANT_reached_too_early
#define BEHIND(n, goal) (SEEN(n) != 0 && SEEN(n) + 1 < goal)
#else
#define BEHIND(n, goal) (SEEN(n) != 0 && SEEN(n) < goal)
#endif

/* One after the other. Sets ok. */
inline pm_qsbr_is_reached(goal)
{
    ok = true;
    i = 0;
    do
    :: i < THREADS && BEHIND(i, goal) -> ok = false; break
    :: i < THREADS && !BEHIND(i, goal) -> i++
    :: i == THREADS -> break
    od;
    i = 0
}

/* In one step, as it only decides how long a thread waits. */
inline pm_qsbr_wait_for(goal)
{
    do
    :: !BEHIND(0, goal) && !BEHIND(1, goal) -> break
#ifndef MUTANT_waits_unquiescent /* for itself, and for who waits for it */
    :: SEEN(me) != 0 && SEEN(me) != write_sequence -> pm_qsbr_quiescent()
#endif
    od
}

inline free_item(item)
{
    d_step { assert(!freed[item]); freed[item] = true }
}

inline take_orphan()
{
    atomic { !lock -> lock = true };
    if
    :: orphans > 0 ->
        pm_qsbr_is_reached(orphan_goal[0]);
        if
        :: ok ->
            d_step {
                p = orphan_item[0];
                orphans--;
                for (k : 0 .. ROOM - 2) {
                    orphan_item[k] = orphan_item[k + 1];
                    orphan_goal[k] = orphan_goal[k + 1]
                }
                orphan_item[ROOM - 1] = 0;
                orphan_goal[ROOM - 1] = 0;
                k = 0
            }
        :: else
        fi
    :: orphans == 0 -> ok = false
    fi;
    lock = false;
    if
    :: ok -> free_item(p); p = 0
    :: else
    fi
}

/* Of the oldest first; those that are open have no goal. */
inline free_reached()
{
    do
    :: items > 0 && goal[0] != 0 ->
        pm_qsbr_is_reached(goal[0]);
        if
        :: ok ->
            free_item(item[0]);
            d_step {
                items--;
                item[0] = item[1];
                goal[0] = goal[1];
                item[1] = 0;
                goal[1] = 0
            }
        :: else -> break
        fi
    :: else -> break
    od;
    take_orphan();
    ok = false
}

inline close_batch()
{
    if
    :: (items > 0 && goal[0] == 0) || (items > 1 && goal[1] == 0) ->
#ifdef MUTANT_goal_before_moving /* another moves it there before the unlinking can be seen */
        g = write_sequence + 1;
        d_step { flush(); write_sequence++ };
#else
        d_step { flush(); write_sequence++; g = write_sequence };
#endif
        d_step {
            goal[0] = (items > 0 && goal[0] == 0 -> g : goal[0]);
            goal[1] = (items > 1 && goal[1] == 0 -> g : goal[1]);
            g = 0
        }
    :: else
    fi
}

/* The item has been unlinked, though others may not see it yet. */
inline pm_qsbr_defer(what)
{
    pm_qsbr_quiescent();
#ifdef MUTANT_closed_before /* with a goal of before the unlinking */
    d_step { g = write_sequence; item[items] = what; goal[items] = g; items++; g = 0 };
#else
    d_step { item[items] = what; items++ };
#endif
    if
    :: items > ITEMS_MAX ->
        close_batch();
        free_reached();
        if
        :: items > 0 ->
            d_step { g = (items > 1 -> goal[1] : goal[0]) };
            pm_qsbr_wait_for(g);
            g = 0;
            free_reached()
        :: else
        fi
    :: items <= ITEMS_MAX -> close_batch(); free_reached()
    :: items <= ITEMS_MAX /* the batch is not full */
    fi
}

inline hand_over()
{
    atomic { !lock -> lock = true };
    d_step {
        for (k : 0 .. 1) {
            if
            :: k < items ->
                orphan_item[orphans] = item[k];
                orphan_goal[orphans] = goal[k];
                orphans++
            :: else
            fi
        };
        k = 0;
        items = 0;
        g = (orphans > ITEMS_MAX -> orphan_goal[0] : 0)
    };
    lock = false;
    if
    :: g != 0 -> pm_qsbr_wait_for(g)
    :: else
    fi
}

inline pm_qsbr_detach()
{
    pm_qsbr_quiescent();
    close_batch();
    free_reached();
#ifndef MUTANT_quiescent_after_the_end /* it waits for itself, which is quiescent no more */
    set_seen(0);
#endif
    hand_over()
}

proctype looking(byte me; byte looks; byte pauses)
{
    LOCALS;
    go_online();
    do
    :: looks > 0 -> looks--; look(1 - me); FORGET
    :: SEEN(me) != write_sequence -> pm_qsbr_quiescent()
    :: pauses > 0 -> pauses--; set_seen(0); go_online()
    :: looks == 0 -> break
    od;
    set_seen(0);
    FORGET;
    done++
}

proctype writing(byte me; byte replaces)
{
    LOCALS;
    byte items, next;
    byte item[2], goal[2];
    next = FIRST(me) + 1;
    go_online();
    do
    :: replaces > 0 ->
        replaces--;
        look(1 - me);
        d_step { late_cell[me] = next + 1; next++ };
        pm_qsbr_defer(next - 2)
    :: replaces == 0 -> break
    od;
    pm_qsbr_quiescent();
    look(1 - me);
    pm_qsbr_detach();
    FORGET;
    next = 0;
    done++
}

/* What is late arrives. */
proctype memory(byte me)
{
end:
    do
    :: d_step { late_seen[me] != 0 && late_cell[me] == 0 -> seen[me] = late_seen[me] - 1; late_seen[me] = 0 }
    :: d_step { late_cell[me] != 0 -> cell[me] = late_cell[me] - 1; late_cell[me] = 0 }
    od
}

init {
    byte me, p, i, k, deferred;
    bool ok;
    atomic {
        cell[0] = FIRST(0);
        cell[1] = FIRST(1);
        run memory(0);
        run memory(1);
        run writing(1, 2);
        if
        :: true -> run writing(0, 1); deferred = 1
        :: true -> run looking(0, 2, 1)
        fi
    };
    done == THREADS && late_seen[0] + late_seen[1] == 0;
    do
    :: orphans > 0 -> take_orphan(); assert(ok)
    :: orphans == 0 -> break
    od;
    assert(freed[FIRST(0)] == deferred && !freed[FIRST(0) + 1]);
    assert(freed[FIRST(1)] && freed[FIRST(1) + 1] && !freed[FIRST(1) + 2])
}
