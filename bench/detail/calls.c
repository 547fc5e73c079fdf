/* SPDX-License-Identifier: MIT */
/*
 * The slots of the threads, and which samples are dropped; see calls.h. Slots are taken and given
 * back under a lock; what is in one is its thread's own, but for live_bytes.
 */
#include "detail/calls.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "workload.h"

enum {
    PAGE_BYTES = 4096,
    SLOW_NS = 2000, /* a preemption takes longer */
    /* Preemptions between the timed calls must not be taken for one in the next slow call. So
     * their count is read when it is old: after a timed call, and, where the program does much
     * between two of them, also before: the system call then still cools the caches a little. */
    OLD_NS = 50000,
    TOO_OLD_NS = 4 * OLD_NS
};

static struct table {
    _Atomic(uint32_t) slots; /* that were ever taken */
    _Atomic(int64_t) table_bytes;
    struct detail_thread slot[DETAIL_THREADS_MAX];
} * table;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the free list and of slots */
static struct detail_thread *first_free;
static pthread_key_t ending;
static uint64_t spacing;
static uint64_t slow_ticks, old_ticks, too_old_ticks;

_Thread_local struct detail_thread *detail_self;

static int64_t count_preemptions(void)
{
#ifdef RUSAGE_THREAD
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
#else
    return 0;
#endif
}

/* Uniform in 1..2*spacing-1: a fixed distance could keep step with the workload. */
static void draw_distance(struct detail_thread *self)
{
    struct bench_random random = {self->random};
    self->calls_left = 1 + bench_random_below(&random, 2 * spacing - 1);
    self->random = random.state;
}

static void check_preemptions(struct detail_thread *self, uint64_t now)
{
    self->preemptions = count_preemptions();
    self->checked_ticks = now;
}

static struct detail_thread *take_slot(void)
{
    pthread_mutex_lock(&lock);
    struct detail_thread *slot = first_free;
    uint32_t slots = atomic_load_explicit(&table->slots, memory_order_relaxed); /* locked */
    if (slot != NULL) {
        first_free = slot->next_free;
    } else if (slots < DETAIL_THREADS_MAX) {
        slot = &table->slot[slots];
        /* Relaxed: a sampler that does not see it yet misses no more than the last instant. */
        atomic_store_explicit(&table->slots, slots + 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&lock);
    if (slot == NULL)
        bench_die("more than %d threads at once: raise DETAIL_THREADS_MAX", DETAIL_THREADS_MAX);
    return slot;
}

/* A destructor that runs later and makes calls takes a slot anew, and comes here again. */
static void give_slot_back(void *argument)
{
    struct detail_thread *slot = argument;
    detail_self = NULL;
    pthread_mutex_lock(&lock);
    slot->next_free = first_free;
    first_free = slot;
    pthread_mutex_unlock(&lock);
}

struct detail_thread *detail_enter_thread(void)
{
    struct detail_thread *self = take_slot();
    int error = pthread_setspecific(ending, self);
    if (error != 0)
        bench_die("pthread_setspecific: %s", strerror(error));
    if (spacing == 0) {
        self->calls_left = UINT64_MAX;
    } else {
        self->random += (uint64_t)(self - table->slot) + 1;
        draw_distance(self);
        check_preemptions(self, detail_ticks());
    }
    detail_self = self;
    return self;
}

static void touch(void *memory, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += PAGE_BYTES)
        ((volatile unsigned char *)memory)[at] = 0;
}

static uint64_t ticks_of(double ns)
{
    return (uint64_t)(ns / detail_clock.ns_per_tick);
}

void detail_calls_start(uint64_t mean_spacing, size_t threads)
{
    size_t slots = threads + 2; /* the main thread's, and one for luck */
    if (slots > DETAIL_THREADS_MAX)
        slots = DETAIL_THREADS_MAX;
    spacing = mean_spacing;
    slow_ticks = ticks_of(SLOW_NS);
    old_ticks = ticks_of(OLD_NS);
    too_old_ticks = ticks_of(TOO_OLD_NS);
    table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (table == MAP_FAILED)
        bench_die("no memory for the table of threads: %s", strerror(errno));
    touch(table, offsetof(struct table, slot) + slots * sizeof(table->slot[0]));
    int error = pthread_key_create(&ending, give_slot_back);
    if (error != 0)
        bench_die("pthread_key_create: %s", strerror(error));
}

void detail_before_timed(struct detail_thread *self)
{
    uint64_t now = detail_ticks();
    if (now - self->checked_ticks > too_old_ticks)
        check_preemptions(self, now);
}

void detail_judge(struct detail_thread *self, enum detail_kind kind, uint64_t ticks, uint64_t end,
                  int64_t (*preemptions)(void))
{
    bool slow = ticks > slow_ticks;
    int64_t before = self->preemptions;
    if (slow || end - self->checked_ticks > old_ticks) {
        self->preemptions = preemptions();
        self->checked_ticks = end;
    }
    if (slow && self->preemptions != before)
        self->dropped[kind]++;
    else
        detail_histogram_record(&self->ticks[kind], ticks);
}

void detail_after_timed(struct detail_thread *self, enum detail_kind kind, uint64_t start,
                        uint64_t end)
{
    detail_judge(self, kind, detail_ticks_between(start, end), end, count_preemptions);
    draw_distance(self);
}

void detail_calls_latency(enum detail_kind kind, struct detail_latency *latency)
{
    uint32_t slots = atomic_load_explicit(&table->slots, memory_order_relaxed);
    *latency = (struct detail_latency){0};
    for (uint32_t i = 0; i < slots; i++) {
        latency->dropped += table->slot[i].dropped[kind];
        detail_histogram_add(&latency->ticks, &table->slot[i].ticks[kind]);
    }
}

/* A block may move from one slot's count to another's between the two readings: the sum is right
 * but for the blocks of that instant. */
uint64_t detail_live_bytes(void)
{
    int64_t sum = 0;
    uint32_t slots = atomic_load_explicit(&table->slots, memory_order_relaxed);
    for (uint32_t i = 0; i < slots; i++)
        sum += atomic_load_explicit(&table->slot[i].live_bytes, memory_order_relaxed);
    return sum < 0 ? 0 : (uint64_t)sum;
}

uint64_t detail_table_bytes(void)
{
    return (uint64_t)atomic_load_explicit(&table->table_bytes, memory_order_relaxed);
}

void detail_count_table(int64_t bytes)
{
    atomic_fetch_add_explicit(&table->table_bytes, bytes, memory_order_relaxed);
}
