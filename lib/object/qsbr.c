/* SPDX-License-Identifier: MIT */
/*
 * Quiescent-state based reclamation (poolmalloc/qsbr.h). There is a global write sequence, odd, in
 * steps of 2, and each attached thread has a read sequence: the write sequence as of its last
 * quiescent point; 0: detached. Items are deferred in batches: who closes a batch moves the write
 * sequence, and the new value is the batch's goal. It may be freed when no read sequence is below.
 *
 * Why no fence is needed. Closing is a read-modify-write of the write sequence, after the items
 * were unlinked. A quiescent point loads it (acquire): whoever has seen the goal has seen the
 * unlinking, and finds none of the items after it. Attaching stores the read sequence, then does a
 * read-modify-write of the write sequence too. If that comes first, the closer's sees the read
 * sequence; if it comes second, it sees the unlinking.
 *
 * Here are the sequences, and waiting; the items are in qsbr_defer.c.
 */
#define _GNU_SOURCE /* gettid */
#include "object/qsbr_internal.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STEP 2
#define SPINS 20
#define NAP_NS 100000

unsigned pm_qsbr_patience_ms = 1000;

__thread struct pm_qsbr_thread pm_qsbr_self;
pthread_mutex_t pm_qsbr_lock = PTHREAD_MUTEX_INITIALIZER;

static _Atomic uint64_t write_sequence = 1;
static struct pm_qsbr_reader *_Atomic readers;
static _Atomic uint64_t waits;

/* ---- who has seen what ---- */

static bool is_before(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

/* One that keeps the goal from being reached, or NULL. */
static struct pm_qsbr_reader *first_behind(uint64_t goal)
{
    /* Acquire: pairs with add_reader. */
    for (struct pm_qsbr_reader *reader = pm_load_acquire(&readers); reader != NULL;
         reader = reader->next) {
        /* Acquire: the reader's last looks at what is freed then; pairs with set_seen. */
        uint64_t seen = pm_load_acquire(&reader->seen);
        if (seen != 0 && is_before(seen, goal))
            return reader;
    }
    return NULL;
}

bool pm_qsbr_is_reached(uint64_t goal)
{
    return first_behind(goal) == NULL;
}

static void set_seen(struct pm_qsbr_reader *reader, uint64_t sequence)
{
    /* Release: the thread's looks so far come before; pairs with first_behind. */
    pm_store_release(&reader->seen, sequence);
}

static void go_online(struct pm_qsbr_reader *reader)
{
    set_seen(reader, pm_load_acquire(&write_sequence));
    pm_schedule_point();
    /* Acquire-release: see above; pairs with pm_qsbr_advance. */
    atomic_fetch_add_explicit(&write_sequence, 0, memory_order_acq_rel);
}

uint64_t pm_qsbr_advance(void)
{
    pm_schedule_point();
    /* Acquire-release: what was unlinked before, for who sees the goal; and who has attached. */
    return atomic_fetch_add_explicit(&write_sequence, STEP, memory_order_acq_rel) + STEP;
}

/* ---- waiting ---- */

void pm_qsbr_ask_all(void)
{
    pthread_mutex_lock(&pm_qsbr_lock);
    for (struct pm_qsbr_reader *reader = pm_load_relaxed(&readers); reader != NULL;
         reader = reader->next)
        if (reader->used && reader != pm_qsbr_self.reader)
            pm_store_relaxed((_Atomic uint32_t *)&reader->self->due, 1);
    pthread_mutex_unlock(&pm_qsbr_lock);
}

static uint64_t now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static void nap(unsigned turn)
{
    const struct timespec time = {0, NAP_NS};
    if (turn < SPINS)
        sched_yield();
    else
        nanosleep(&time, NULL);
}

static void report(uint64_t goal, size_t bytes)
{
    long thread = 0;
    pthread_mutex_lock(&pm_qsbr_lock);
    struct pm_qsbr_reader *reader = first_behind(goal);
    if (reader != NULL)
        thread = reader->thread;
    pthread_mutex_unlock(&pm_qsbr_lock);
    if (reader != NULL)
        pm_object_warn("pm_qsbr_defer: thread %ld has not been quiescent for %u ms, and %zu bytes "
                       "wait for it",
                       thread, pm_qsbr_patience_ms, bytes);
}

void pm_qsbr_wait_for(uint64_t goal, size_t bytes)
{
    struct pm_slot *slot = pm_object_self.mine >> 16 != 0 ? pm_object_thread.slot : NULL;
    uint64_t start = now_ms();
    bool told = false;
    pm_count_shared(&waits, 1);
    if (slot != NULL)
        pm_slot_let_others(slot);
    for (unsigned turn = 0; first_behind(goal) != NULL; turn++) {
        if (pm_qsbr_self.reader != NULL)
            pm_qsbr_quiescent();
        if (turn % SPINS == 0)
            pm_qsbr_ask_all();
        nap(turn);
        if (!told && now_ms() - start >= pm_qsbr_patience_ms) {
            told = true;
            report(goal, bytes);
        }
    }
    if (slot != NULL)
        pm_slot_let_nobody(slot);
}

/* ---- the functions ---- */

/* The thread is paused, and attached by nobody else than the object layer. */
static bool is_offline(void)
{
    return pm_object_thread.paused && pm_qsbr_self.attached == 1;
}

void pm_qsbr_require_attached(const char *function)
{
    if (pm_qsbr_self.reader == NULL || is_offline())
        pm_object_fatal_state(function, "the thread is not attached (pm_qsbr_attach), or paused");
}

void pm_qsbr_quiescent(void)
{
    pm_qsbr_require_attached("pm_qsbr_quiescent");
    /* Acquire: what was unlinked before the goal that it has reached; pairs with pm_qsbr_advance.
     */
    set_seen(pm_qsbr_self.reader, pm_load_acquire(&write_sequence));
}

static struct pm_qsbr_reader *add_reader(void)
{
    struct pm_qsbr_reader *reader = pm_memalign(PM_LINE_BYTES, sizeof *reader);
    if (reader == NULL)
        return NULL;
    memset(reader, 0, sizeof *reader);
    reader->next = pm_load_relaxed(&readers);
    /* Release: the reader is whole; pairs with first_behind. */
    pm_store_release(&readers, reader);
    return reader;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fork_prepare(void)
{
    pthread_mutex_lock(&pm_qsbr_lock);
}

static void fork_parent(void)
{
    pthread_mutex_unlock(&pm_qsbr_lock);
}

/* The others are not there. What they had deferred is lost to the child. */
static void fork_child(void)
{
    for (struct pm_qsbr_reader *reader = pm_load_relaxed(&readers); reader != NULL;
         reader = reader->next)
        if (reader != pm_qsbr_self.reader) {
            reader->used = false;
            pm_store_relaxed(&reader->seen, 0);
            pm_store_relaxed(&reader->items, 0);
            pm_store_relaxed(&reader->bytes, 0);
            pm_store_relaxed(&reader->pools, 0);
        } else {
            reader->thread = syscall(SYS_gettid);
        }
    pthread_mutex_unlock(&pm_qsbr_lock);
}

static pthread_key_t at_exit;

/* A thread that ends is attached no longer. Its objects come first: their destructor may call this
 * file, and runs before the next round of destructors. */
static void detach_all(void *arg)
{
    if (pm_qsbr_self.reader == NULL)
        return;
    if (pm_object_thread.slot != NULL) {
        pthread_setspecific(at_exit, arg);
        return;
    }
    pm_qsbr_self.attached = 1;
    pm_qsbr_self.freeing = false; /* it may have ended in there */
    pm_qsbr_detach();
}

static void start(void)
{
    pthread_key_create(&at_exit, detach_all);
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static void require_not_freeing(const char *function)
{
    if (pm_qsbr_self.freeing)
        pm_object_fatal_state(function, "called by a function that frees what was deferred");
}

bool pm_qsbr_attach(void)
{
    require_not_freeing("pm_qsbr_attach");
    if (pm_qsbr_self.reader != NULL) {
        if (is_offline())
            go_online(pm_qsbr_self.reader);
        pm_qsbr_self.attached++;
        return true;
    }
    pthread_once(&once, start);
    pthread_mutex_lock(&pm_qsbr_lock);
    struct pm_qsbr_reader *reader = pm_load_relaxed(&readers);
    while (reader != NULL && reader->used)
        reader = reader->next;
    if (reader == NULL)
        reader = add_reader();
    if (reader != NULL) {
        reader->used = true;
        reader->thread = syscall(SYS_gettid);
        reader->self = &pm_object_self;
    }
    pthread_mutex_unlock(&pm_qsbr_lock);
    if (reader == NULL) {
        errno = ENOMEM;
        return false;
    }
    pm_qsbr_self.reader = reader;
    pm_qsbr_self.attached = 1;
    pthread_setspecific(at_exit, reader); /* whatever value, so that detach_all is called */
    go_online(reader);
    return true;
}

void pm_qsbr_detach(void)
{
    struct pm_qsbr_reader *reader = pm_qsbr_self.reader;
    pm_qsbr_require_attached("pm_qsbr_detach");
    require_not_freeing("pm_qsbr_detach");
    if (pm_qsbr_self.attached == 1 && pm_object_thread.slot != NULL)
        pm_object_fatal_state("pm_qsbr_detach",
                              "called more often than pm_qsbr_attach; the thread is attached for "
                              "objects (pm_object_thread_detach)");
    if (--pm_qsbr_self.attached > 0) {
        if (is_offline())
            set_seen(reader, 0);
        return;
    }
    pm_qsbr_quiescent();
    pm_qsbr_end_items();
    /* Detached, not quiescent, while it waits in pm_qsbr_hand_over: nobody would wait for it again.
     */
    pm_qsbr_self.reader = NULL;
    set_seen(reader, 0);
    pm_store_relaxed(&reader->items, 0);
    pm_store_relaxed(&reader->bytes, 0);
    pm_store_relaxed(&reader->pools, 0);
    pthread_mutex_lock(&pm_qsbr_lock);
    reader->used = false;
    reader->self = NULL;
    pthread_mutex_unlock(&pm_qsbr_lock);
    if (pm_qsbr_self.closed.first != NULL)
        pm_qsbr_hand_over();
}

void pm_qsbr_go_offline(void)
{
    if (is_offline())
        set_seen(pm_qsbr_self.reader, 0);
}

void pm_qsbr_go_online(void)
{
    if (is_offline())
        go_online(pm_qsbr_self.reader);
}

void pm_qsbr_get_stats(struct pm_qsbr_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    pthread_mutex_lock(&pm_qsbr_lock);
    stats->sequence = pm_load_relaxed(&write_sequence);
    stats->waits = pm_load_relaxed(&waits);
    stats->items_max = pm_qsbr_items_max;
    stats->bytes_max = pm_qsbr_bytes_max;
    stats->pools_max = pm_qsbr_pools_max;
    pm_qsbr_add_orphans(stats);
    for (struct pm_qsbr_reader *reader = pm_load_relaxed(&readers); reader != NULL;
         reader = reader->next) {
        stats->threads += reader->used;
        stats->items += pm_load_relaxed(&reader->items);
        stats->bytes += pm_load_relaxed(&reader->bytes);
        stats->pools += pm_load_relaxed(&reader->pools);
    }
    pthread_mutex_unlock(&pm_qsbr_lock);
}
