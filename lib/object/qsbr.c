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
 * A thread's batches are its own; the list of readers, and batches of threads that are gone, are
 * under one lock, under which nothing of the program's is called.
 */
#define _GNU_SOURCE /* gettid */
#include "object/qsbr_internal.h"

#include "poolmalloc/domains.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BATCH_ITEMS 126
#define STEP 2
#define SPINS 20
#define NAP_NS 100000

size_t pm_qsbr_items_max = PM_QSBR_ITEMS_MAX;
size_t pm_qsbr_bytes_max = PM_QSBR_BYTES_MAX;
unsigned pm_qsbr_patience_ms = 1000;

struct batch {
    struct batch *next;
    uint64_t goal; /* once it is closed */
    size_t count, bytes;
    struct {
        void (*free)(void *ptr);
        void *ptr;
    } items[BATCH_ITEMS];
};

struct batches { /* closed ones, the oldest first */
    struct batch *first, **last;
    size_t items, bytes;
};

/* Readers are never given back; who attaches takes one that is not in use. */
struct reader {
    _Atomic uint64_t seen;         /* the read sequence; written by its thread */
    _Atomic uint64_t items, bytes; /* that wait; written by its thread */
    struct reader *next;           /* constant */
    /* Under the lock: */
    bool used;
    long thread;
    struct pm_object_self *self;
} __attribute__((aligned(PM_LINE_BYTES)));

struct qsbr_thread {
    struct reader *reader; /* NULL: not attached */
    unsigned attached;
    bool freeing;
    struct batch *open;
    struct batches closed;
};

static __thread struct qsbr_thread self;

static _Atomic uint64_t write_sequence = 1;
static struct reader *_Atomic readers;
static _Atomic uint64_t waits;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct batches orphans;         /* under the lock */
static _Atomic uint64_t orphans_items; /* the same as in it, for who looks without the lock */

/* ---- who has seen what ---- */

static bool is_before(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b) < 0;
}

/* One that keeps the goal from being reached, or NULL. */
static struct reader *first_behind(uint64_t goal)
{
    /* Acquire: pairs with add_reader. */
    for (struct reader *reader = pm_load_acquire(&readers); reader != NULL; reader = reader->next) {
        /* Acquire: the reader's last looks at what is freed then; pairs with set_seen. */
        uint64_t seen = pm_load_acquire(&reader->seen);
        if (seen != 0 && is_before(seen, goal))
            return reader;
    }
    return NULL;
}

static void set_seen(struct reader *reader, uint64_t sequence)
{
    /* Release: the thread's looks so far come before; pairs with first_behind. */
    pm_store_release(&reader->seen, sequence);
}

static void go_online(struct reader *reader)
{
    set_seen(reader, pm_load_acquire(&write_sequence));
    pm_schedule_point();
    /* Acquire-release: see above; pairs with close_batch. */
    atomic_fetch_add_explicit(&write_sequence, 0, memory_order_acq_rel);
}

/* Other attached threads are to be quiescent soon. */
static void ask_all(void)
{
    pthread_mutex_lock(&lock);
    for (struct reader *reader = pm_load_relaxed(&readers); reader != NULL; reader = reader->next)
        if (reader->used && reader != self.reader)
            pm_store_relaxed((_Atomic uint32_t *)&reader->self->due, 1);
    pthread_mutex_unlock(&lock);
}

/* ---- batches ---- */

static void append(struct batches *batches, struct batch *batch)
{
    batch->next = NULL;
    *(batches->first == NULL ? &batches->first : batches->last) = batch;
    batches->last = &batch->next;
    batches->items += batch->count;
    batches->bytes += batch->bytes;
}

static struct batch *take_first(struct batches *batches)
{
    struct batch *batch = batches->first;
    batches->first = batch->next;
    batches->items -= batch->count;
    batches->bytes -= batch->bytes;
    return batch;
}

static void publish_figures(void)
{
    size_t items = self.closed.items, bytes = self.closed.bytes;
    if (self.open != NULL) {
        items += self.open->count;
        bytes += self.open->bytes;
    }
    /* Relaxed: figures, with one writer. */
    pm_store_relaxed(&self.reader->items, items);
    pm_store_relaxed(&self.reader->bytes, bytes);
}

static uint64_t advance(void)
{
    pm_schedule_point();
    /* Acquire-release: what was unlinked before, for who sees the goal; and who has attached. */
    return atomic_fetch_add_explicit(&write_sequence, STEP, memory_order_acq_rel) + STEP;
}

static void close_batch(void)
{
    struct batch *batch = self.open;
    if (batch == NULL)
        return;
    self.open = NULL;
    batch->goal = advance();
    append(&self.closed, batch);
    ask_all();
}

static void free_batch(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        batch->items[i].free(batch->items[i].ptr);
    pm_raw_free(batch);
}

/* One of those that threads left which are gone; NULL: there is none whose time has come. */
static struct batch *take_orphan(void)
{
    struct batch *batch = NULL;
    if (pm_load_relaxed(&orphans_items) == 0) /* a hint */
        return NULL;
    pthread_mutex_lock(&lock);
    if (orphans.first != NULL && first_behind(orphans.first->goal) == NULL)
        batch = take_first(&orphans);
    pm_store_relaxed(&orphans_items, orphans.items);
    pthread_mutex_unlock(&lock);
    return batch;
}

/* Not nested: what `free` defers is freed by the outer call. */
static void free_reached(void)
{
    struct batch *batch;
    if (self.freeing)
        return;
    self.freeing = true;
    while (self.closed.first != NULL && first_behind(self.closed.first->goal) == NULL)
        free_batch(take_first(&self.closed));
    while ((batch = take_orphan()) != NULL)
        free_batch(batch);
    self.freeing = false;
    publish_figures();
}

/* ---- waiting ---- */

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
    pthread_mutex_lock(&lock);
    struct reader *reader = first_behind(goal);
    if (reader != NULL)
        thread = reader->thread;
    pthread_mutex_unlock(&lock);
    if (reader != NULL)
        pm_object_warn("pm_qsbr_defer: thread %ld has not been quiescent for %u ms, and %zu bytes "
                       "wait for it",
                       thread, pm_qsbr_patience_ms, bytes);
}

/* The thread is quiescent meanwhile, and others may merge what it owns. Nothing of the program's is
 * called. */
static void wait_for(uint64_t goal, size_t bytes)
{
    struct pm_slot *slot = pm_object_self.mine >> 16 != 0 ? pm_object_thread.slot : NULL;
    uint64_t start = now_ms();
    bool told = false;
    pm_count_shared(&waits, 1);
    if (slot != NULL)
        pm_slot_let_others(slot);
    for (unsigned turn = 0; first_behind(goal) != NULL; turn++) {
        if (self.reader != NULL)
            pm_qsbr_quiescent();
        if (turn % SPINS == 0)
            ask_all();
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

static void require_attached(const char *function)
{
    if (self.reader == NULL)
        pm_object_fatal_state(function, "the thread is not attached (pm_qsbr_attach)");
}

void pm_qsbr_quiescent(void)
{
    require_attached("pm_qsbr_quiescent");
    /* Acquire: what was unlinked before the goal that it has reached; pairs with advance. */
    set_seen(self.reader, pm_load_acquire(&write_sequence));
}

size_t pm_qsbr_poll(void)
{
    require_attached("pm_qsbr_poll");
    close_batch();
    free_reached();
    return self.closed.bytes + (self.open != NULL ? self.open->bytes : 0);
}

static bool is_over(void)
{
    return self.closed.items + self.open->count > pm_qsbr_items_max ||
           self.closed.bytes + self.open->bytes > pm_qsbr_bytes_max;
}

void pm_qsbr_defer(void (*free)(void *ptr), void *ptr, size_t bytes)
{
    require_attached("pm_qsbr_defer");
    pm_qsbr_quiescent();
    if (self.open == NULL) {
        self.open = pm_raw_malloc(sizeof *self.open);
        if (self.open == NULL) { /* then at once */
            wait_for(advance(), bytes);
            free(ptr);
            return;
        }
        self.open->count = self.open->bytes = 0;
    }
    self.open->items[self.open->count].free = free;
    self.open->items[self.open->count++].ptr = ptr;
    self.open->bytes += bytes;
    publish_figures();
    bool over = is_over();
    if (!over && self.open->count < BATCH_ITEMS)
        return;
    close_batch();
    free_reached();
    if (over && self.closed.first != NULL) {
        /* All that is closed: the thread starts anew, and waits as rarely as it can. */
        wait_for(((struct batch *)((char *)self.closed.last - offsetof(struct batch, next)))->goal,
                 self.closed.bytes);
        free_reached();
    }
}

static struct reader *add_reader(void)
{
    struct reader *reader = pm_memalign(PM_LINE_BYTES, sizeof *reader);
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
    pthread_mutex_lock(&lock);
}

static void fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

/* The others are not there. What they had deferred is lost to the child. */
static void fork_child(void)
{
    for (struct reader *reader = pm_load_relaxed(&readers); reader != NULL; reader = reader->next)
        if (reader != self.reader) {
            reader->used = false;
            pm_store_relaxed(&reader->seen, 0);
            pm_store_relaxed(&reader->items, 0);
            pm_store_relaxed(&reader->bytes, 0);
        } else {
            reader->thread = syscall(SYS_gettid);
        }
    pthread_mutex_unlock(&lock);
}

static pthread_key_t at_exit;

/* A thread that ends is attached no longer. Its objects come first: their destructor may call this
 * file, and runs before the next round of destructors. */
static void detach_all(void *arg)
{
    if (self.reader == NULL)
        return;
    if (pm_object_thread.slot != NULL) {
        pthread_setspecific(at_exit, arg);
        return;
    }
    self.attached = 1;
    self.freeing = false; /* it may have ended in there */
    pm_qsbr_detach();
}

static void start(void)
{
    pthread_key_create(&at_exit, detach_all);
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

bool pm_qsbr_attach(void)
{
    if (self.reader != NULL) {
        self.attached++;
        return true;
    }
    pthread_once(&once, start);
    pthread_mutex_lock(&lock);
    struct reader *reader = pm_load_relaxed(&readers);
    while (reader != NULL && reader->used)
        reader = reader->next;
    if (reader == NULL)
        reader = add_reader();
    if (reader != NULL) {
        reader->used = true;
        reader->thread = syscall(SYS_gettid);
        reader->self = &pm_object_self;
    }
    pthread_mutex_unlock(&lock);
    if (reader == NULL) {
        errno = ENOMEM;
        return false;
    }
    self.reader = reader;
    self.attached = 1;
    pthread_setspecific(at_exit, reader); /* whatever value, so that detach_all is called */
    go_online(reader);
    return true;
}

/* To those that stay; beyond the bound the thread waits, as ever. */
static void hand_over(void)
{
    pthread_mutex_lock(&lock);
    while (self.closed.first != NULL)
        append(&orphans, take_first(&self.closed));
    uint64_t items = orphans.items, bytes = orphans.bytes, goal = 0;
    if (items > pm_qsbr_items_max || bytes > pm_qsbr_bytes_max)
        goal = orphans.first->goal;
    pm_store_relaxed(&orphans_items, items);
    pthread_mutex_unlock(&lock);
    if (goal != 0)
        wait_for(goal, bytes);
}

void pm_qsbr_detach(void)
{
    require_attached("pm_qsbr_detach");
    if (--self.attached > 0)
        return;
    struct reader *reader = self.reader;
    pm_qsbr_quiescent();
    do {
        close_batch();
        free_reached();
    } while (self.open != NULL); /* freeing has deferred more */
    /* Detached, not quiescent, while it waits in hand_over: nobody would wait for it again. */
    self.reader = NULL;
    set_seen(reader, 0);
    pm_store_relaxed(&reader->items, 0);
    pm_store_relaxed(&reader->bytes, 0);
    pthread_mutex_lock(&lock);
    reader->used = false;
    reader->self = NULL;
    pthread_mutex_unlock(&lock);
    if (self.closed.first != NULL)
        hand_over();
}

void pm_qsbr_go_offline(void)
{
    if (self.attached == 1)
        set_seen(self.reader, 0);
}

void pm_qsbr_go_online(void)
{
    if (self.attached == 1)
        go_online(self.reader);
}

void pm_qsbr_get_stats(struct pm_qsbr_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    pthread_mutex_lock(&lock);
    stats->sequence = pm_load_relaxed(&write_sequence);
    stats->waits = pm_load_relaxed(&waits);
    stats->items = orphans.items;
    stats->bytes = orphans.bytes;
    for (struct reader *reader = pm_load_relaxed(&readers); reader != NULL; reader = reader->next) {
        stats->threads += reader->used;
        stats->items += pm_load_relaxed(&reader->items);
        stats->bytes += pm_load_relaxed(&reader->bytes);
    }
    pthread_mutex_unlock(&lock);
}
