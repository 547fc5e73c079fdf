/* SPDX-License-Identifier: MIT */
/*
 * What the object layer has of its reclamation beyond what programs see (poolmalloc/qsbr.h).
 *
 *   qsbr.c         readers: who is attached, who has been quiescent since, and waiting for them
 *   qsbr_defer.c   items: batches of them, their bounds, what threads leave that are gone
 */
#ifndef PM_OBJECT_QSBR_INTERNAL_H
#define PM_OBJECT_QSBR_INTERNAL_H

#include "object/internal.h"
#include "poolmalloc/qsbr.h"

/* The bounds, and how long a thread waits for another one before it says so; for tests. */
extern size_t pm_qsbr_items_max PM_HIDDEN;
extern size_t pm_qsbr_bytes_max PM_HIDDEN;
extern size_t pm_qsbr_pools_max PM_HIDDEN;
extern unsigned pm_qsbr_patience_ms PM_HIDDEN;

/* Around a pause: the calling thread, unless the program has attached it, too, is as if detached.
 */
void pm_qsbr_go_offline(void);
void pm_qsbr_go_online(void);

#define PM_QSBR_BATCH 126

/* What waits. Of pools there is no more than that: the items are of so many runs of neighbours,
 * each in one unit of memory. */
struct pm_qsbr_load {
    size_t items, bytes, pools;
};

struct pm_qsbr_batch {
    struct pm_qsbr_batch *next;
    uint64_t goal; /* once it is closed */
    struct pm_qsbr_load load;
    uintptr_t unit; /* that the last item lies in */
    struct {
        void (*free)(void *ptr);
        void *ptr;
    } items[PM_QSBR_BATCH];
};

struct pm_qsbr_batches { /* closed ones, the oldest first */
    struct pm_qsbr_batch *first, **last;
    struct pm_qsbr_load load;
};

/* Readers are never given back; who attaches takes one that is not in use. */
struct pm_qsbr_reader {
    _Atomic uint64_t seen;                /* the read sequence; written by its thread */
    _Atomic uint64_t items, bytes, pools; /* that wait; written by its thread */
    struct pm_qsbr_reader *next;          /* constant */
    /* Under the lock: */
    bool used;
    long thread;
    struct pm_object_self *self;
} __attribute__((aligned(PM_LINE_BYTES)));

struct pm_qsbr_thread {
    struct pm_qsbr_reader *reader; /* NULL: not attached */
    unsigned attached;
    bool freeing;
    struct pm_qsbr_batch *open;
    struct pm_qsbr_batches closed;
};
extern __thread struct pm_qsbr_thread pm_qsbr_self PM_HIDDEN;

/* Of the list of readers, and of what threads left. Nothing of the program's is called under it. */
extern pthread_mutex_t pm_qsbr_lock PM_HIDDEN;

void pm_qsbr_require_attached(const char *function);

/* ---- readers ---- */

/* Moves the write sequence: the goal of what was unlinked before. */
uint64_t pm_qsbr_advance(void);
/* All who are attached have been quiescent since, or have attached later. */
bool pm_qsbr_is_reached(uint64_t goal);
/* Other attached threads are to be quiescent soon. */
void pm_qsbr_ask_all(void);
/* Until the goal is reached. The thread is quiescent meanwhile, and others may merge what it owns.
 * Nothing of the program's is called. `bytes` is for a report. */
void pm_qsbr_wait_for(uint64_t goal, size_t bytes);

/* ---- items ---- */

/* Of the calling thread, which is about to detach: closes what is open, and frees what can be. */
void pm_qsbr_end_items(void);
/* Then, detached: what is left goes to those that stay; beyond the bound the thread waits. */
void pm_qsbr_hand_over(void);
/* Of the calling thread's batches: their figures, and the order of their goals. The first violation
 * is told. */
bool pm_qsbr_check(void);
/* Under the lock: adds what waits of threads gone. */
void pm_qsbr_add_orphans(struct pm_qsbr_stats *stats);

#endif
