/* SPDX-License-Identifier: MIT */
/*
 * See workloads.h. They are those of the comparison (bench/workloads/) as far as their names go,
 * and stand for the same: with a turn for each thread after the other, and for all thread counts
 * with the same memory in use, so that only the number of threads changes. After their sources
 * there.
 */
#include "scaling/workloads.h"

#include "check.h"
#include "scaling/lines.h"
#include "scaling/subject.h"

enum {
    SLOTS = 8192,      /* live blocks of all threads together */
    TABLE_TURNS = 500, /* so many turns, and tables change hands */
    BATCH = 100,
    LIST = 64,
    VISITS = 100, /* blocks of a thread that does more than say hello */
    LARGE_BYTES = 256 << 10,
};

static void *slots[SLOTS];
static void *lists[WORKERS_MAX];

/* Blocks are written to at both ends, and read there before they are freed. */
static void *make(size_t bytes)
{
    char *block = subject_malloc(bytes);
    CHECK(block != NULL, "no %zu bytes", bytes);
    lines_program_access(block, sizeof(uint64_t), LINES_STORE);
    lines_program_access(block + bytes - 1, 1, LINES_STORE);
    return block;
}

static void drop(void *block)
{
    if (block == NULL)
        return;
    lines_program_access(block, sizeof(uint64_t), LINES_LOAD);
    subject_free(block);
}

static void turn_pair(struct worker *worker)
{
    (void)worker;
    drop(make(64));
}

static void turn_batch(struct worker *worker)
{
    void *blocks[BATCH];
    (void)worker;
    CHECK(subject_malloc_batch(64, BATCH, blocks) == BATCH, "no batch of blocks");
    for (unsigned i = 0; i < BATCH; i++)
        lines_program_access(blocks[i], sizeof(uint64_t), LINES_STORE);
    subject_free_batch(blocks, BATCH);
}

/* Replaces a block of the table of that thread. */
static void replace_in(struct worker *worker, unsigned of, size_t lowest, size_t highest)
{
    unsigned each = SLOTS / worker->threads;
    void **slot = &slots[of * each + rng_below(&worker->rng, each)];
    drop(*slot);
    *slot = make(random_size(&worker->rng, lowest, highest));
}

static void turn_own(struct worker *worker)
{
    replace_in(worker, worker->index, 16, 1024);
}

static void turn_table(struct worker *worker)
{
    uint64_t changes = worker->turn / TABLE_TURNS;
    replace_in(worker, (unsigned)((worker->index + changes) % worker->threads), 8, 1000);
}

static void turn_any(struct worker *worker)
{
    replace_in(worker, (unsigned)rng_below(&worker->rng, worker->threads), 16, 1024);
}

/* A list is linked behind the word that make() writes. */
static void put_list(void **list, struct worker *worker, size_t lowest, size_t highest)
{
    for (unsigned i = 0; i < LIST; i++) {
        void **block = make(random_size(&worker->rng, lowest, highest));
        block[1] = *list;
        *list = block;
    }
}

static void drop_list(void **list)
{
    while (*list != NULL) {
        void **block = *list;
        *list = block[1];
        drop(block);
    }
}

/* Even threads fill their list, odd ones empty one that an even thread filled; a thread that is
 * alone does both in turn. */
static void exchange(struct worker *worker, unsigned from, size_t lowest, size_t highest)
{
    uint64_t side = worker->threads == 1 ? worker->turn : worker->index;
    if (side % 2 == 0)
        put_list(&lists[worker->threads == 1 ? 0 : worker->index], worker, lowest, highest);
    else
        drop_list(&lists[worker->threads == 1 ? 0 : from]);
}

static void turn_hand_over(struct worker *worker)
{
    exchange(worker, worker->index - 1, 64, 64);
}

static void turn_hand_over_mixed(struct worker *worker)
{
    exchange(worker, worker->index - 1, 24, 1024);
}

/* From each of the producers in turn. */
static void turn_hand_to_any(struct worker *worker)
{
    unsigned producers = (worker->threads + 1) / 2;
    unsigned from = (unsigned)((worker->index / 2 + worker->turn) % producers) * 2;
    exchange(worker, from, 24, 1024);
}

/* And a small one between, so that the thread has a heap. */
static void turn_large(struct worker *worker)
{
    if (worker->block == NULL) {
        drop(make(64));
        worker->block = make(LARGE_BYTES);
        return;
    }
    drop(worker->block);
    worker->block = NULL;
}

static void *visit_once(void *argument)
{
    struct worker *worker = argument;
    lines_set_core(worker->index);
    drop(make(64));
    return NULL;
}

static void *visit_classes(void *argument)
{
    struct worker *worker = argument;
    void *blocks[VISITS];
    lines_set_core(worker->index);
    for (unsigned i = 0; i < VISITS; i++) {
        blocks[i] = make(random_size(&worker->rng, 8, 16384));
        worker_yield(worker);
    }
    for (unsigned i = 0; i < VISITS; i++) {
        drop(blocks[i]);
        worker_yield(worker);
    }
    return NULL;
}

static void live(struct worker *worker, void *(*visit)(void *))
{
    pthread_t thread;
    int code = pthread_create(&thread, NULL, visit, worker);
    CHECK(code == 0, "pthread_create returned %d", code);
    pthread_join(thread, NULL);
}

static void turn_life(struct worker *worker)
{
    live(worker, visit_once);
}

static void turn_life_classes(struct worker *worker)
{
    live(worker, visit_classes);
}

const struct workload workloads[] = {
    {"pairs", "malloc and free of 64 bytes", turn_pair, 2, 20000},
    {"batches", "the same, 100 at a time", turn_batch, 2 * BATCH, 400000},
    {"threads", "one of 8192 blocks replaced, each thread has its share", turn_own, 2, 60000},
    {"larson", "the same, and shares change hands", turn_table, 2, 60000},
    {"any", "the same, of any thread's share", turn_any, 2, 60000},
    {"handover", "64 bytes to another thread that frees, in lists of 64", turn_hand_over, LIST,
     200000},
    {"handover-mixed", "the same, 24 to 1024 bytes", turn_hand_over_mixed, LIST, 200000},
    {"handover-any", "the same, from any producer to any consumer", turn_hand_to_any, LIST, 200000},
    {"large", "malloc and free of 256 KiB, and of 64 bytes", turn_large, 1, 10000},
    {"life", "start and end of a thread with one block", turn_life, 2, 2000},
    {"life-classes", "the same, with 100 blocks of 8 bytes to 16 KiB", turn_life_classes, 2, 512},
};

const unsigned workload_count = sizeof workloads / sizeof *workloads;
