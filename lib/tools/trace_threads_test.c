/* SPDX-License-Identifier: MIT */
/* Tracing while several threads work: nothing is miscounted, nobody waits for ever. */
#include "heap/testing.h"
#include "heap/watch.h"
#include "poolmalloc/trace.h"
#include "tools/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* How many times less work where each access takes so much longer. */
enum { LESS = PM_SCHEDULE ? 40 : PM_TSAN || PM_CHECK ? 7 : 1 };
enum { THREADS = 8, BLOCKS = 300, ROUNDS = 20000 / LESS, FRAMES = 8 };

struct worker {
    pthread_t thread;
    unsigned number;
    uint64_t random;
    void *blocks[BLOCKS];
    size_t sizes[BLOCKS];
};

static struct worker workers[THREADS];
static pthread_barrier_t barrier;
static _Atomic bool stop;
/* Blocks on their way to whoever frees them. */
static void *_Atomic mailbox[THREADS];

static size_t current(void)
{
    size_t bytes;
    pm_trace_memory(&bytes, NULL);
    return bytes;
}

static size_t peak(void)
{
    size_t bytes;
    pm_trace_memory(NULL, &bytes);
    return bytes;
}

static size_t sum_of_all(void)
{
    size_t sum = 0;
    for (unsigned t = 0; t < THREADS; t++) {
        for (unsigned i = 0; i < BLOCKS; i++)
            sum += workers[t].blocks[i] != NULL ? workers[t].sizes[i] : 0;
    }
    return sum;
}

static void change(struct worker *self, unsigned at)
{
    uint64_t random = test_random(&self->random);
    size_t bytes = random % (random % 50 == 0 ? 40000 : 700);
    if (random % 3 == 0) {
        self->blocks[at] = pm_realloc(self->blocks[at], bytes + 1);
        self->sizes[at] = bytes + 1;
        return;
    }
    /* Another thread frees what this one had. */
    pm_free(atomic_exchange(&mailbox[random % THREADS], self->blocks[at]));
    self->blocks[at] = random % 3 == 1 ? pm_malloc(bytes) : NULL;
    self->sizes[at] = bytes;
}

static void work(struct worker *self, unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++)
        change(self, (unsigned)test_random_below(&self->random, BLOCKS));
}

static void empty(struct worker *self)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        pm_free(self->blocks[i]);
        self->blocks[i] = NULL;
    }
    pm_free(atomic_exchange(&mailbox[self->number], NULL));
}

static void run(void *(*body)(void *))
{
    require(pthread_barrier_init(&barrier, NULL, THREADS + 1) == 0);
    for (unsigned t = 0; t < THREADS; t++) {
        workers[t] = (struct worker){.number = t, .random = t};
        require(pthread_create(&workers[t].thread, NULL, body, &workers[t]) == 0);
    }
}

static void join(void)
{
    for (unsigned t = 0; t < THREADS; t++)
        require(pthread_join(workers[t].thread, NULL) == 0);
}

struct sums {
    uint64_t blocks, bytes;
};

static void add(unsigned domain, const uintptr_t *frames, unsigned count, uint64_t blocks,
                uint64_t bytes, void *arg)
{
    struct sums *sums = arg;
    (void)domain, (void)frames, (void)count;
    sums->blocks += blocks;
    sums->bytes += bytes;
}

static void *grow_work_and_free(void *arg)
{
    struct worker *self = arg;
    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < BLOCKS; i++) {
        self->sizes[i] = 1 + (self->number * BLOCKS + i) % 3000;
        self->blocks[i] = pm_malloc(self->sizes[i]);
    }
    pthread_barrier_wait(&barrier); /* known */
    pthread_barrier_wait(&barrier);
    work(self, ROUNDS);
    pthread_barrier_wait(&barrier); /* at rest */
    pthread_barrier_wait(&barrier);
    empty(self);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void require_sum(size_t bytes)
{
    struct sums sums = {0};
    require(current() == bytes);
    require(pm_trace_each(add, &sums) && sums.bytes == bytes);
}

/* Threads that begin after the start are watched from their first call on. */
ISOLATED(with_eight_threads_the_bytes_are_right_whenever_they_rest)
{
    pm_free(pm_malloc(1));
    run(grow_work_and_free); /* which allocates for each thread */
    require(pm_trace_start(FRAMES));
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    size_t most = sum_of_all();
    require_sum(most);
    require(peak() == most); /* nobody has freed anything */
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    size_t waiting = 0;
    for (unsigned t = 0; t < THREADS; t++) {
        size_t bytes = 0;
        uintptr_t frame;
        void *block = atomic_load(&mailbox[t]);
        if (block != NULL)
            require(pm_trace_of(PM_TRACE_MALLOC, block, &frame, 1, &bytes) == 1);
        waiting += bytes;
    }
    require_sum(sum_of_all() + waiting);
    require(peak() >= most && peak() >= current());
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    require_sum(0);
    pthread_barrier_wait(&barrier);
    join();
}

static void *work_until_stopped(void *arg)
{
    struct worker *self = arg;
    pthread_barrier_wait(&barrier);
    while (!atomic_load(&stop))
        work(self, 100);
    empty(self);
    return NULL;
}

/* Whatever is read meanwhile: no underflow, which would be a great number. */
ISOLATED(starting_stopping_and_clearing_while_others_work_neither_hangs_nor_miscounts)
{
    struct sums sums = {0};
    run(work_until_stopped);
    pthread_barrier_wait(&barrier);
    for (unsigned round = 0; round < 200 / LESS; round++) {
        require(pm_trace_start(1 + round % 20));
        for (unsigned look = 0; look < 5; look++) {
            require(current() < (size_t)1 << 32 && peak() < (size_t)1 << 32);
            if (look == 1)
                pm_trace_reset_peak();
            if (look == 2)
                pm_trace_clear();
        }
        require(round % 10 != 0 || pm_trace_each(add, &sums));
        pm_trace_stop();
    }
    require(pm_trace_start(FRAMES));
    void *own = pm_malloc(77);
    atomic_store(&stop, true);
    join();
    pm_trace_clear();
    pm_free(own);
    require(current() == 0);
    own = pm_malloc(77);
    require(current() == 77 && peak() == 77);
}

static void *start_and_stop(void *arg)
{
    struct worker *self = arg;
    for (unsigned round = 0; round < 300 / LESS; round++) {
        work(self, 10);
        require(pm_trace_start(FRAMES));
        work(self, 10);
        pm_trace_track(100 + self->number, self, 7);
        if (round % 3 == 0)
            pm_trace_clear();
        pm_trace_untrack(100 + self->number, self);
        pm_trace_stop();
    }
    empty(self);
    return NULL;
}

ISOLATED(eight_threads_that_start_and_stop_agree_in_the_end)
{
    run(start_and_stop);
    join();
    require(!pm_trace_is_on());
    require(pm_trace_start(FRAMES));
    void *block = pm_malloc(55);
    require(current() == 55 && peak() == 55);
    pm_free(block);
    require(current() == 0);
}

/* The thread gets its heap on the way. */
static void *large_blocks_alone(void *arg)
{
    enum { LARGE_BLOCKS = PM_CALLS_BEFORE_HEAP + 4, LARGE = PM_BLOCK_MAX + 1 };
    void *blocks[LARGE_BLOCKS];
    size_t before = current();
    require(!pm_watch_heap_of_thread()->real);
    for (size_t i = 0; i < LARGE_BLOCKS; i++) {
        blocks[i] = pm_malloc(LARGE + i);
        require(current() == before + (i + 1) * LARGE + i * (i + 1) / 2);
        require(peak() == current());
    }
    require(pm_watch_heap_of_thread()->real);
    for (size_t i = 0; i < LARGE_BLOCKS; i++)
        pm_free(blocks[i]);
    require(current() == before);
    return arg;
}

ISOLATED(each_large_block_is_traced_once_when_it_brings_the_thread_its_heap_too)
{
    pm_free(pm_malloc(1));
    require(pm_trace_start(FRAMES));
    test_in_thread(large_blocks_alone, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_eight_threads_the_bytes_are_right_whenever_they_rest),
        cmocka_unit_test(
            starting_stopping_and_clearing_while_others_work_neither_hangs_nor_miscounts),
        cmocka_unit_test(eight_threads_that_start_and_stop_agree_in_the_end),
        cmocka_unit_test(each_large_block_is_traced_once_when_it_brings_the_thread_its_heap_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
