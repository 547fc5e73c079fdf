/* SPDX-License-Identifier: MIT */
/*
 * The allocator under a filter of system calls, which seccomp.py puts together from
 * docs/seccomp.md: everything that asks the system for something is done after the filter was put
 * on, and the program comes to its end, or is ended by SIGSYS.
 *
 *   stress_seccomp allow|refuse=ERRNO|start WORK RULE...
 *
 *   allow    what no rule names ends the program
 *   refuse   what a rule names fails with that errno value
 *   start    as allow, and then the program is started anew under the filter, to do WORK
 *
 *   WORK     nothing, one (thread), purged (the same, with a purge before the filter), threads
 *
 * After the filter nothing is printed by the C library, whose buffers may want memory.
 */
#include "check.h"
#include "common.h"
#include "filter.h"
#include "poolmalloc/heap.h"
#include "poolmalloc/poolmalloc.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BLOCKS = 20000, LARGE = 12, THREADS = 4, ROUNDS = 2, STORED = 400 };

static void *blocks[BLOCKS];
static bool refused; /* what is refused may cost memory, and blocks */

static void fill(void *block, size_t bytes)
{
    if (block != NULL)
        memset(block, 0x5a, bytes);
    CHECK(block != NULL || refused, "no block of %zu bytes", bytes);
}

/* Pools of every class, in more arenas than a small window has. */
static void small_blocks(struct rng *rng)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t bytes = random_size(rng, 1, 20000);
        blocks[i] = pm_malloc(bytes);
        fill(blocks[i], bytes);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (rng_one_in(rng, 8))
            continue;
        pm_free(blocks[i]);
        blocks[i] = NULL;
    }
    pm_purge(); /* of arenas that are free in part */
    for (size_t i = 0; i < BLOCKS; i++) {
        pm_free(blocks[i]);
        blocks[i] = NULL;
    }
    pm_purge();
}

/* Grown where they are, moved by the page tables, aligned, cleared. */
static void large_blocks(void)
{
    void *large[LARGE];
    for (size_t i = 0; i < LARGE; i++)
        fill(large[i] = pm_malloc((i + 1) << 19), (i + 1) << 19);
    for (size_t i = 0; i < LARGE; i++) {
        char *grown = pm_realloc(large[i], (i + 8) << 20);
        CHECK(grown == NULL || (grown[0] == 0x5a && grown[((i + 1) << 19) - 1] == 0x5a),
              "what was written is not there any more");
        fill(grown, (i + 8) << 20);
        large[i] = grown != NULL ? grown : large[i];
    }
    for (size_t i = 0; i < LARGE; i += 2) {
        void *less = pm_realloc(large[i], 3 << 19);
        large[i] = less != NULL ? less : large[i];
    }
    void *aligned = pm_aligned_alloc(8 << 20, 5 << 20), *cleared = pm_calloc(3, 1 << 20);
    CHECK((aligned != NULL && cleared != NULL) || refused, "no block");
    pm_free(aligned);
    pm_free(cleared);
    for (size_t i = 0; i < LARGE; i++)
        pm_free(large[i]);
}

/* Beyond a limit free arenas are decommitted to make room. */
static void limited(void)
{
    enum { UNITS = 64 };
    void *parts[UNITS];
    pm_option_set("limit_bytes", "64m");
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < UNITS; i++)
            parts[i] = pm_malloc(round == 0 ? 500000 : 30000);
        for (size_t i = 0; i < UNITS; i++)
            pm_free(parts[i]);
        void *whole = pm_malloc(50 << 20);
        CHECK(whole != NULL || refused, "no block within the limit");
        pm_free(whole);
    }
    pm_option_set("limit_bytes", "0");
}

/* What was left alone goes back by the deadline, which somebody who allocates notices. */
static void deadline(void)
{
    struct timespec start, now;
    pm_option_set("purge_delay_ms", "1");
    pm_free(pm_malloc(1 << 20));
    clock_gettime(CLOCK_MONOTONIC_COARSE, &start);
    do {
        pm_free(pm_malloc(100000));
        clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 60);
    pm_option_set("purge_delay_ms", "1000");
}

static void user_heap(void)
{
    pm_user_heap *heap = pm_heap_new(0);
    CHECK(heap != NULL || refused, "no heap");
    if (heap == NULL)
        return;
    for (size_t i = 0; i < 2000; i++)
        pm_heap_malloc(heap, 1 + i * 7);
    pm_heap_malloc(heap, 5 << 20);
    pm_heap_destroy(heap);
}

static void look(void)
{
    struct pm_stats stats;
    char value[64];
    pm_stats_get(&stats);
    pm_malloc_stats();
    pm_option_get("huge_pages", value, sizeof value);
    CHECK(pm_check(), "pm_check");
}

static void one_thread(void)
{
    struct rng rng = rng_make(40, 0);
    for (int round = 0; round < ROUNDS; round++) {
        small_blocks(&rng);
        large_blocks();
        limited();
        user_heap();
    }
    deadline();
    look();
    pm_thread_idle();
}

static void *_Atomic shared[STORED];

/* Blocks go round between the threads, which meet at the locks. */
static void *thread_work(void *arg)
{
    struct rng rng = rng_make(41, (uint64_t)(uintptr_t)arg);
    for (int i = 0; i < 40000; i++) {
        size_t bytes = random_size(&rng, 1, 300000);
        void *block = pm_malloc(bytes);
        CHECK(block != NULL, "no block of %zu bytes", bytes);
        memset(block, 1, bytes < 100 ? bytes : 100);
        pm_free(__atomic_exchange_n((void **)&shared[rng_below(&rng, STORED)], block,
                                    __ATOMIC_ACQ_REL));
        if (i % 4000 == 0)
            pm_purge();
    }
    return NULL;
}

static void child_and_wait(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        pm_free(pm_malloc(3 << 20));
        exit_child(pm_check() ? 0 : 1);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0, "the child: %d", status);
}

static void threads(void)
{
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, thread_work, (void *)i) == 0, "no thread");
    child_and_wait();
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < STORED; i++)
        pm_free(shared[i]);
    one_thread();
}

static void work(const char *name)
{
    if (strcmp(name, "nothing") == 0)
        pm_free(pm_malloc(1));
    else if (strcmp(name, "threads") == 0)
        threads();
    else
        one_thread();
    _exit(0);
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "do") == 0)
        work(arguments[2]);
    CHECK(count > 3, "usage: stress_seccomp allow|refuse=ERRNO|start WORK RULE...");
    const char *how = arguments[1], *what = arguments[2];
    for (int i = 3; i < count; i++)
        filter_add(arguments[i]);
    if (strcmp(what, "purged") == 0)
        pm_purge(); /* the files of the first purge are read */
    if (strncmp(how, "refuse=", 7) == 0) {
        refused = true;
        filter_refuse((int)parse_number("errno", how + 7));
    } else {
        filter_allow_only();
    }
    if (strcmp(how, "start") == 0) {
        execl("/proc/self/exe", arguments[0], "do", what, (char *)NULL);
        CHECK(false, "not started");
    }
    work(what);
    return 0;
}
