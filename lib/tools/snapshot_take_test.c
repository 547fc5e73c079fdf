/* SPDX-License-Identifier: MIT */
/* Snapshots of what is traced: of eight threads to the byte; straight to a file; the process that
 * they tell of. Places are told apart by the function of this file that allocates. */
#define _GNU_SOURCE /* dladdr */
#include "api/figures.h"
#include "poolmalloc/trace.h"
#include "tools/snapshot.h"
#include "tools/snapshot_testing.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

enum {
    THREADS = 8,
    SITES = 3,
    SLOTS = 200,
    ROUNDS = 12,
    CALLS = PM_TSAN || PM_SCHEDULE ? 100 : 1000,
    FRAMES = 16
};

/* ---- three places that allocate ---- */

#define SITE(name)                                                                                 \
    static __attribute__((noinline)) void *name(size_t bytes)                                      \
    {                                                                                              \
        void *block = pm_malloc(bytes);                                                            \
        __asm__ volatile("" : "+r"(block)); /* so that the call is not the last */                 \
        return block;                                                                              \
    }
SITE(site_a)
SITE(site_b)
SITE(site_c)

static void *(*const sites[SITES])(size_t) = {site_a, site_b, site_c};
static const char *const site_names[SITES] = {"site_a", "site_b", "site_c"};

/* The site with the greatest start below the call. */
static void resolve_site(void *arg, struct pm_snapshot_frame *frame)
{
    uintptr_t best = 0;
    (void)arg;
    for (int i = 0; i < SITES; i++) {
        uintptr_t start = (uintptr_t)sites[i];
        if (start < frame->address && frame->address - start < 256 && start > best) {
            best = start;
            frame->function = site_names[i];
        }
    }
}

static const struct pm_snapshot_resolver by_site = {resolve_site, NULL};

/* ---- eight threads, and what they have ---- */

struct slot {
    void *block;
    size_t bytes;
    int site;
};

static struct slot slots[THREADS][SLOTS];
static pthread_barrier_t barrier;

/* Blocks of one thread are freed by the next one, too. */
static void work(uint64_t *random, unsigned thread, unsigned round)
{
    struct slot *mine = slots[(thread + round) % THREADS];
    for (int i = 0; i < CALLS; i++) {
        struct slot *slot = &mine[test_random_below(random, SLOTS)];
        pm_free(slot->block);
        slot->block = NULL;
        if (test_random_below(random, 4) == 0)
            continue;
        slot->site = (int)test_random_below(random, SITES);
        slot->bytes = test_random_below(random, 3000);
        slot->block = sites[slot->site](slot->bytes);
        require(slot->block != NULL);
    }
}

static void *run(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (unsigned round = 0; round < ROUNDS; round++) {
        work(&random, (unsigned)(uintptr_t)arg, round);
        pthread_barrier_wait(&barrier); /* what is there is looked at */
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

struct sums {
    uint64_t bytes[SITES], blocks[SITES];
};

static struct sums sums_of_slots(void)
{
    struct sums sums = {0};
    for (int i = 0; i < THREADS * SLOTS; i++) {
        const struct slot *slot = &slots[i / SLOTS][i % SLOTS];
        if (slot->block != NULL) {
            sums.bytes[slot->site] += slot->bytes;
            sums.blocks[slot->site]++;
        }
    }
    return sums;
}

static int site_of(const struct pm_snapshot_row *row)
{
    for (unsigned k = 0; k < row->frame_count; k++) {
        for (int i = 0; i < SITES; i++) {
            const char *function = row->frames[k].function;
            if (function != NULL && strcmp(function, site_names[i]) == 0)
                return i;
        }
    }
    return -1;
}

/* What the rows of each site add up to, and the differences. Rows of other places (the threads' own
 * memory, say) are none of ours. Tracebacks may begin inside the library, which is a part of the
 * program here. */
static void require_sums(struct pm_snapshot_table *table, const struct sums *sums,
                         const struct sums *before)
{
    struct sums found = {0}, diffs = {0};
    require(table != NULL);
    for (size_t i = 0; i < table->count; i++) {
        const struct pm_snapshot_row *row = &table->rows[i];
        int site = site_of(row);
        if (site < 0)
            continue;
        found.bytes[site] += row->bytes;
        found.blocks[site] += row->blocks;
        diffs.bytes[site] += (uint64_t)row->bytes_diff;
        diffs.blocks[site] += (uint64_t)row->blocks_diff;
    }
    for (int i = 0; i < SITES; i++) {
        require(found.bytes[i] == sums->bytes[i] && found.blocks[i] == sums->blocks[i]);
        require(diffs.bytes[i] == sums->bytes[i] - before->bytes[i]);
        require(diffs.blocks[i] == sums->blocks[i] - before->blocks[i]);
    }
    pm_snapshot_table_free(table);
}

/* Written straight from the traces and read again, it is the same. */
static pm_snapshot *by_way_of_a_file(void)
{
    char error[200];
    FILE *stream = tmpfile();
    require(stream != NULL && pm_snapshot_write_now(fileno(stream)));
    require(lseek(fileno(stream), 0, SEEK_SET) == 0);
    pm_snapshot *snapshot = pm_snapshot_read_fd(fileno(stream), "now", error, sizeof error);
    require(snapshot != NULL);
    fclose(stream);
    return snapshot;
}

ISOLATED(of_eight_threads_every_sum_and_difference_is_right_to_the_byte)
{
    pthread_t threads[THREADS];
    struct sums before = {0};
    require(pthread_barrier_init(&barrier, NULL, THREADS + 1) == 0);
    require(pm_trace_start(FRAMES));
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, run, (void *)i) == 0);
    pm_snapshot *old = pm_snapshot_take();
    for (unsigned round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&barrier);
        struct sums sums = sums_of_slots();
        pm_snapshot *now = round % 2 == 0 ? pm_snapshot_take() : by_way_of_a_file();
        require(now != NULL && old != NULL);
        if (round != 0) { /* else the old one was taken while they worked */
            require_sums(pm_snapshot_compare(now, old, PM_SNAPSHOT_BY_TRACEBACK, false, &by_site),
                         &sums, &before);
            require_sums(pm_snapshot_compare(now, old, PM_SNAPSHOT_BY_FUNCTION, true, &by_site),
                         &sums, &before);
        }
        pm_snapshot_free(old);
        old = now;
        before = sums;
        pthread_barrier_wait(&barrier);
    }
    for (int i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    pm_snapshot_free(old);
    pm_trace_stop();
}

/* Nothing of a snapshot is allocated by malloc, so nothing is traced, or counted. */
ISOLATED(taking_and_looking_allocates_nothing)
{
    struct pm_stats before, after;
    require(pm_trace_start(FRAMES));
    void *block = site_a(100);
    require(pm_stats_get(&before));
    pm_snapshot *snapshot = pm_snapshot_take();
    struct pm_snapshot_table *table =
        pm_snapshot_statistics(snapshot, PM_SNAPSHOT_BY_TRACEBACK, false, NULL);
    pm_snapshot *copy = pm_snapshot_filter(snapshot, NULL, 0, NULL);
    require(snapshot != NULL && table != NULL && copy != NULL);
    require(pm_stats_get(&after));
    require(after.mallocs == before.mallocs && after.live_bytes == before.live_bytes);
    pm_snapshot_table_free(table);
    pm_snapshot_free(copy);
    pm_snapshot_free(snapshot);
    pm_free(block);
}

ISOLATED(what_is_not_traced_gives_an_empty_snapshot_of_this_process)
{
    struct pm_snapshot_about about;
    struct pm_snapshot_frame frame;
    char path[4096] = "";
    time_t earliest = time(NULL);
    void *block = site_a(100);
    pm_snapshot *snapshot = pm_snapshot_take();
    require(snapshot != NULL);
    require(readlink("/proc/self/exe", path, sizeof path - 1) > 0);
    pm_snapshot_get_about(snapshot, &about);
    require(about.stacks == 0 && about.traceback_limit == 0 && about.traced_bytes == 0);
    require(about.process_id == (uint64_t)getpid() && strcmp(about.program, path) == 0);
    require(about.time_s >= (uint64_t)earliest - 1 && about.time_s <= (uint64_t)time(NULL) + 1);
    require(pm_snapshot_frame_of(snapshot, (uintptr_t)site_a + 1, &frame));
    require(strcmp(frame.module, path) == 0);
    pm_snapshot_free(snapshot);
    pm_free(block);
}

ISOLATED(the_figures_of_the_tracing_are_told)
{
    struct pm_snapshot_about about;
    size_t current, peak;
    require(pm_trace_start(FRAMES));
    void *large = site_a(50000), *small = site_b(20);
    pm_free(large);
    pm_trace_memory(&current, &peak);
    pm_snapshot *snapshot = pm_snapshot_take();
    pm_snapshot_get_about(snapshot, &about);
    require(about.traceback_limit == FRAMES);
    require(about.traced_bytes == current && about.peak_bytes == peak && peak >= 50020);
    require(about.bytes == current && about.blocks >= 1);
    pm_snapshot_free(snapshot);
    pm_free(small);
}

/* Of a module's exported functions: here the C library's. */
ISOLATED(without_a_resolver_exported_functions_are_known_in_the_process_itself)
{
    const uintptr_t inside = (uintptr_t)strtoul + 1;
    Dl_info info;
    if (dladdr((void *)(inside - 1), &info) == 0 || info.dli_sname == NULL)
        test_skipped("nothing is exported, as in a static program");
    pm_snapshot *snapshot = pm_snapshot_take();
    require(snapshot != NULL && pm_snapshot_add(snapshot, 0, &inside, 1, 1, 10));
    struct pm_snapshot_table *table =
        pm_snapshot_statistics(snapshot, PM_SNAPSHOT_BY_FUNCTION, false, NULL);
    require(table != NULL && table->count == 1 && table->rows[0].frames[0].function != NULL);
    require(strstr(table->rows[0].frames[0].function, "strtoul") != NULL);
    pm_snapshot_table_free(table);
    pm_snapshot_free(snapshot);
}

ISOLATED(a_full_disk_is_told_by_a_dump_too)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (full < 0)
        test_skipped("there is no /dev/full");
    errno = 0;
    require(!pm_snapshot_write_now(full) && errno == ENOSPC);
    pm_free(site_a(10));
}

/* ---- dumps in signal handlers ---- */

enum { SIGNALS = 200 };

static _Atomic int dumped;
static int wanted = SIGNALS;
static int dump_files[SIGNALS];

static void dump(int signal)
{
    int saved_errno = errno;
    (void)signal;
    require(pm_snapshot_write_now(dump_files[dumped]));
    dumped++;
    errno = saved_errno;
}

static void *allocate(void *arg)
{
    static void *blocks[SLOTS];
    uint64_t random = 1;
    (void)arg;
    while (dumped < wanted) {
        void **block = &blocks[test_random_below(&random, SLOTS)];
        pm_free(*block);
        *block = site_a(test_random_below(&random, 3000));
    }
    for (int i = 0; i < SLOTS; i++)
        pm_free(blocks[i]);
    return NULL;
}

/* The handler interrupts malloc, free and the tracing, wherever they are. */
ISOLATED(a_dump_by_a_signal_is_whole_whatever_it_interrupted)
{
    pthread_t thread;
    char error[200];
    const struct sigaction action = {.sa_handler = dump};
    if (test_emulated() || PM_TSAN || PM_SCHEDULE)
        wanted = SIGNALS / 10;
    require(sigaction(SIGUSR1, &action, NULL) == 0 && pm_trace_start(FRAMES));
    for (int i = 0; i < wanted; i++)
        require((dump_files[i] = fileno(tmpfile())) >= 0);
    require(pthread_create(&thread, NULL, allocate, NULL) == 0);
    for (int i = 0; i < wanted; i++) {
        require(pthread_kill(thread, SIGUSR1) == 0);
        while (dumped <= i)
            sched_yield();
    }
    require(pthread_join(thread, NULL) == 0);
    for (int i = 0; i < wanted; i++) {
        struct pm_snapshot_about about;
        require(lseek(dump_files[i], 0, SEEK_SET) == 0);
        pm_snapshot *snapshot = pm_snapshot_read_fd(dump_files[i], "dump", error, sizeof error);
        require(snapshot != NULL);
        pm_snapshot_get_about(snapshot, &about);
        require(about.blocks <= SLOTS + 100 && about.traceback_limit == FRAMES);
        pm_snapshot_free(snapshot);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_eight_threads_every_sum_and_difference_is_right_to_the_byte),
        cmocka_unit_test(taking_and_looking_allocates_nothing),
        cmocka_unit_test(what_is_not_traced_gives_an_empty_snapshot_of_this_process),
        cmocka_unit_test(the_figures_of_the_tracing_are_told),
        cmocka_unit_test(without_a_resolver_exported_functions_are_known_in_the_process_itself),
        cmocka_unit_test(a_full_disk_is_told_by_a_dump_too),
        cmocka_unit_test(a_dump_by_a_signal_is_whole_whatever_it_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
