/* SPDX-License-Identifier: MIT */
/* Sampling: exactly the chosen allocations are told, whatever the program does in between. */
#include "heap/sample.h"
#include "heap/testing.h"
#include "heap/user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, SIZE = 64, RECORDS = 1 << 14, HELD = 3000 };

/* What the sampler was told; one thread at a time unless a test says otherwise. */
static uint64_t taken_count, taken_bytes, freed_count, lifted_count;
static void *records[RECORDS]; /* live samples */
static unsigned record_count;

/* Of thousands, for each block that is freed: unwatched, as ThreadSanitizer would take most of the
 * test's time for it. */
PM_GLANCE unsigned find_record(const void *block)
{
    unsigned i = 0;
    while (i < record_count && records[i] != block)
        i++;
    return i;
}

static void on_taken(void *block, size_t bytes)
{
    taken_count++;
    taken_bytes += bytes;
    require(find_record(block) == record_count && record_count < RECORDS);
    records[record_count++] = block;
    test_release(test_alloc(SIZE)); /* it may allocate, and is not told of that */
}

static void on_freed(void *block)
{
    unsigned i = find_record(block);
    if (i == record_count)
        return;
    records[i] = records[--record_count];
    freed_count++;
}

static void *on_lifted(void *block)
{
    unsigned i = find_record(block);
    lifted_count += i < record_count;
    return i < record_count ? &records[i] : NULL;
}

static void on_laid(void *record, void *block)
{
    if (block == NULL) /* the place at the end takes the record's */
        block = records[--record_count];
    *(void **)record = block;
}

static const struct pm_sampler sampler = {on_taken, on_freed, on_lifted, on_laid};

static void start(uint64_t mean_bytes, uint64_t every)
{
    pm_store_relaxed(&pm_sampling.every, every);
    require(pm_sampling_prepare(&sampler));
    pm_sampling_start(mean_bytes);
    pm_heap_idle(); /* so that this heap takes a slow path before anything else */
    taken_count = taken_bytes = freed_count = 0;
}

static uint64_t rng = 1;

static unsigned below(unsigned n)
{
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(rng >> 33) % n;
}

static void *held[HELD];
static unsigned held_count;

static void take(size_t n)
{
    held[held_count++] = test_alloc(n);
}

static void drop(void)
{
    unsigned i = below(held_count);
    void *block = held[i];
    held[i] = held[--held_count];
    test_release(block);
}

/* One habit of programs after the other. */
static uint64_t live(size_t n, unsigned steps)
{
    uint64_t allocations = 0;
    for (unsigned i = 0; i < steps; i++) {
        unsigned habit = below(4), times = below(200);
        for (unsigned j = 0; j < times; j++) {
            if (habit == 0 || (habit == 1 && held_count == 0)) {
                test_release(test_alloc(n)); /* a pair */
                allocations++;
            } else if (habit == 1 && held_count > 0) {
                drop();
            } else if (habit == 2 && held_count < HELD) {
                take(n);
                allocations++;
            } else if (held_count > 0) { /* one out, one in */
                drop();
                take(n);
                allocations++;
            }
        }
    }
    return allocations;
}

static void drop_all(void)
{
    while (held_count > 0)
        drop();
}

/* Each allocation is looked at: not one too early, not one too late. */
static void expect_each(uint64_t every, size_t n, unsigned steps)
{
    start(1, every);
    uint64_t allocations = 0;
    for (unsigned i = 0; i < steps; i++) {
        if (held_count < HELD && (held_count == 0 || below(2) == 0)) {
            take(n);
            allocations++;
            require(taken_count == allocations / every);
        } else {
            drop();
        }
    }
    drop_all();
    require(pm_heap_check());
    pm_sampling_stop();
}

ISOLATED(of_each_class_exactly_the_chosen_allocations_are_told)
{
    static const uint64_t every[] = {1, 2, 3, 7, 64, 100, 511, 1000, 3001};
    static const size_t sizes[] = {16, 64, 200, 1024, 5000, 30000};
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    for (size_t i = 0; i < sizeof every / sizeof every[0]; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++)
            if (sizes[j] <= PM_BLOCK_MAX)
                expect_each(every[i], sizes[j], 6000);
    require(record_count == 0);
}

ISOLATED(habits_of_programs_hide_no_allocation)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    for (uint64_t every = 1; every < 100000; every = every * 3 + 1) {
        start(1, every);
        uint64_t allocations = live(SIZE, 2000);
        require(taken_count == allocations / every);
        drop_all();
        require(taken_count == freed_count && record_count == 0);
        require(pm_heap_check());
    }
}

/* In batches that are freed again. How often the heap had to refill a pool. */
static uint64_t refills_of(unsigned batch, unsigned allocations)
{
    uint64_t before = pm_load_relaxed(&pm_heap_self->refills);
    for (unsigned i = 0; i < allocations; i += batch) {
        while (held_count < batch)
            take(SIZE);
        while (held_count > 0)
            test_release(held[--held_count]);
    }
    return pm_load_relaxed(&pm_heap_self->refills) - before;
}

/* What a sample costs are its bounds, above all: a count that grows makes the profiler slower. */
ISOLATED(the_chosen_allocation_is_come_to_in_few_steps)
{
    enum { SAMPLES = 50, EVERY = 8000, STEPS = 6 };
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    for (unsigned batch = 1; batch <= 1000; batch *= 10) {
        uint64_t without = refills_of(batch, SAMPLES * EVERY);
        start(1, EVERY);
        uint64_t with = refills_of(batch, SAMPLES * EVERY);
        require(taken_count == SAMPLES);
        require(with <= without + SAMPLES * STEPS);
        pm_sampling_stop();
    }
}

/* Statistics are a slow path of their own, at any moment. */
ISOLATED(whoever_counts_in_between_changes_nothing)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    start(1, 333);
    uint64_t allocations = 0;
    struct pm_heap_stats before = test_heap_stats();
    for (unsigned i = 0; i < 500; i++) {
        allocations += live(SIZE, 3);
        pm_heap_flush(pm_heap_self);
        struct pm_heap_stats stats = test_heap_stats();
        /* Each sample has brought one more pair: the sampler's own. */
        require(stats.mallocs - before.mallocs == allocations + taken_count);
        require(stats.mallocs - stats.frees - stats.remote_frees ==
                before.mallocs - before.frees - before.remote_frees + held_count);
        require(taken_count == allocations / 333);
    }
    drop_all();
}

ISOLATED(bytes_have_equal_chances_whatever_their_blocks)
{
    enum { MEAN = 4096, STEPS = 3000 };
    static const size_t sizes[] = {16, 64, 512, 3000, 16000};
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        start(MEAN, 0);
        size_t bytes = pm_heap_good_size(sizes[i]);
        uint64_t allocations = live(sizes[i], STEPS);
        drop_all();
        /* Expected: 1 - exp(-bytes / MEAN) of them; by its series, with the error that chance
         * leaves: six standard deviations. */
        double x = (double)bytes / MEAN, survives = 1, term = 1;
        for (int k = 1; k < 60; k++)
            survives += term *= -x / k;
        double mean = (double)allocations * (1 - survives), off = (double)taken_count - mean;
        require(off * off < 36 * mean * survives + 36);
        require(taken_bytes == taken_count * bytes);
    }
}

ISOLATED(large_blocks_are_told_when_they_grow_move_and_go)
{
    enum { LARGE = 4 << 20 };
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    start(1, 1);
    char *block = test_told(pm_thread_malloc(LARGE));
    require(block != NULL && taken_count == 1 && taken_bytes == LARGE);
    require(pm_heap_resize(block, LARGE / 2, "test") && records[0] == block && record_count == 1);
    require(taken_count == 2 && freed_count == 1 && taken_bytes == LARGE + LARGE / 2);
    char *moved = pm_heap_move_large(block, 4 * LARGE, "test");
    require(moved != NULL && records[0] == moved && lifted_count == 1 && record_count == 1);
    require(taken_count == 3);
    require(pm_heap_move_large(moved, SIZE_MAX / 4, "test") == NULL);
    require(records[0] == moved && lifted_count == 2 && record_count == 1 && taken_count == 3);
    test_release(moved);
    require(freed_count == 2 && record_count == 0);
    pm_sampling_stop();
    test_release(pm_thread_malloc(LARGE));
    require(taken_count == 3);
}

ISOLATED(a_sample_outlives_the_end_of_sampling)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    start(1, 1);
    void *block = test_alloc(SIZE);
    pm_sampling_stop();
    void *other = test_alloc(SIZE);
    require(taken_count == 1 && record_count == 1 && records[0] == block);
    test_release(other);
    require(record_count == 1);
    test_release(block);
    require(record_count == 0);
}

static void *a_few_calls(void *arg)
{
    for (int i = 0; i < 5; i++)
        test_release(test_alloc(SIZE));
    require(!pm_heap_self->real);
    return arg;
}

ISOLATED(threads_without_a_heap_are_sampled_too)
{
    pthread_t thread;
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    start(1, 1);
    require(pthread_create(&thread, NULL, a_few_calls, NULL) == 0);
    pthread_join(thread, NULL);
    require(taken_count >= 5 && taken_count == freed_count + record_count);
}

/* The thread gets its heap on the way. */
static void *large_blocks_alone(void *arg)
{
    enum { BLOCKS = PM_CALLS_BEFORE_HEAP + 4, LARGE = PM_BLOCK_MAX + 1 };
    void *blocks[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) {
        require(pm_heap_self->real == (i > PM_CALLS_BEFORE_HEAP));
        blocks[i] = test_alloc(LARGE);
        require(taken_count == i + 1 && records[i] == blocks[i]);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        test_release(blocks[i]);
    require(freed_count == BLOCKS && record_count == 0);
    return arg;
}

ISOLATED(each_large_block_is_told_once_when_it_brings_the_thread_its_heap_too)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    start(1, 1);
    test_in_thread(large_blocks_alone, NULL);
}

/* ---- several threads ---- */

static _Atomic uint64_t shared_taken, shared_freed;
static _Atomic(void *) mailbox[64];

static void count_taken(void *block, size_t bytes)
{
    (void)block, (void)bytes;
    pm_count_shared(&shared_taken, 1);
}

static void count_freed(void *block)
{
    struct pm_place_of at = test_place(block);
    pm_count_shared(&shared_freed,
                    pm_user_of_run(at.window, at.unit) == pm_load_relaxed(&pm_sampling.heap));
}

static void *no_record(void *block)
{
    (void)block;
    return NULL;
}

static void nothing_laid(void *record, void *block)
{
    (void)record, (void)block;
}

static const struct pm_sampler counter = {count_taken, count_freed, no_record, nothing_laid};

enum { THREADS = 4, TURNS = 20000 };

static void *exchange_blocks(void *arg)
{
    uint64_t state = (uintptr_t)arg + 1;
    test_get_heap();
    for (unsigned i = 0; i < TURNS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        void *block = test_alloc(SIZE + (state >> 60) * 16);
        block = atomic_exchange_explicit(&mailbox[state >> 40 & 63], block, memory_order_acq_rel);
        if (block != NULL)
            test_release(block);
    }
    return arg;
}

ISOLATED(threads_that_free_each_others_samples_lose_none)
{
    pthread_t threads[THREADS];
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    require(pm_sampling_prepare(&counter));
    pm_sampling_start(500);
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, exchange_blocks, (void *)i) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < 64; i++)
        if (mailbox[i] != NULL)
            test_release(mailbox[i]);
    require(shared_taken > THREADS * TURNS / 10 && shared_taken == shared_freed);
    require(pm_heap_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_each_class_exactly_the_chosen_allocations_are_told),
        cmocka_unit_test(habits_of_programs_hide_no_allocation),
        cmocka_unit_test(the_chosen_allocation_is_come_to_in_few_steps),
        cmocka_unit_test(whoever_counts_in_between_changes_nothing),
        cmocka_unit_test(bytes_have_equal_chances_whatever_their_blocks),
        cmocka_unit_test(large_blocks_are_told_when_they_grow_move_and_go),
        cmocka_unit_test(a_sample_outlives_the_end_of_sampling),
        cmocka_unit_test(threads_without_a_heap_are_sampled_too),
        cmocka_unit_test(each_large_block_is_told_once_when_it_brings_the_thread_its_heap_too),
        cmocka_unit_test(threads_that_free_each_others_samples_lose_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
