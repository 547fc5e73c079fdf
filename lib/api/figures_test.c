/* SPDX-License-Identifier: MIT */
/*
 * Statistics are right to the byte while eight threads rest, whatever made the blocks; and within
 * what is in flight, and never negative, while they work. The test knows each block: it keeps them.
 */
#include "api/figures.h"
#include "base/asan.h"
#include "base/options.h"
#include "base/testing.h"
#include "poolmalloc/heap.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { THREADS = 8, SLOTS = 1500, LOOKS = PM_TSAN || PM_SCHEDULE ? 20 : 200 };

/* A thread, what it has, and random numbers of its own. Others touch its slots while it rests. */
struct worker {
    pthread_t thread;
    uint64_t seed;
    void *slots[SLOTS];
    pm_user_heap *heap;
    void *of_heap[SLOTS / 10];
};
static struct worker workers[THREADS];
static pthread_barrier_t before, after;

static size_t any_size(struct worker *w)
{
    size_t size = (size_t)8 << test_random_below(&w->seed, 10);
    return size + test_random_below(&w->seed, size);
}

static void **any_slot(struct worker *w)
{
    return &w->slots[test_random_below(&w->seed, SLOTS)];
}

/* ---- what the rows do, in every thread at the same time ---- */

static void do_malloc(struct worker *w)
{
    for (int i = 0; i < SLOTS; i++) {
        if (w->slots[i] == NULL)
            w->slots[i] = pm_malloc(any_size(w));
    }
}

static void do_calloc(struct worker *w)
{
    for (int i = 0; i < SLOTS / 2; i++) {
        void **slot = any_slot(w);
        pm_free(*slot);
        *slot = pm_calloc(any_size(w), 3);
    }
}

static void do_realloc(struct worker *w)
{
    for (int i = 0; i < SLOTS / 2; i++) {
        void **slot = any_slot(w);
        *slot = pm_realloc(*slot, any_size(w) * (i % 100 == 0 ? 20 : 1));
        require(*slot != NULL);
    }
}

static void do_aligned(struct worker *w)
{
    for (int i = 0; i < SLOTS / 4; i++) {
        void **slot = any_slot(w);
        pm_free(*slot);
        *slot = pm_aligned_alloc((size_t)16 << test_random_below(&w->seed, 9), any_size(w));
    }
}

/* Below an arena and above; they grow, shrink and move. */
static void do_large(struct worker *w)
{
    for (int i = 0; i < 8; i++) {
        void **slot = any_slot(w);
        pm_free(*slot);
        *slot = pm_malloc(PM_BLOCK_MAX + 1 + test_random_below(&w->seed, 2 * PM_ARENA_BYTES));
        if (i % 2 == 0)
            *slot = pm_realloc(*slot, PM_BLOCK_MAX + test_random_below(&w->seed, PM_ARENA_BYTES));
        require(*slot != NULL);
    }
}

static void do_batches(struct worker *w)
{
    enum { AT_ONCE = SLOTS / 4 };
    unsigned first = (unsigned)test_random_below(&w->seed, SLOTS - AT_ONCE);
    pm_free_batch(&w->slots[first], AT_ONCE);
    require(pm_malloc_batch(any_size(w), AT_ONCE, &w->slots[first]) == AT_ONCE);
}

static void do_local_frees(struct worker *w)
{
    for (int i = 0; i < SLOTS; i += 3) {
        pm_free(w->slots[i]);
        w->slots[i] = NULL;
    }
}

/* Of the neighbour, who leaves these slots alone. Some stay in batches. */
static void do_remote_frees(struct worker *w)
{
    struct worker *other = &workers[(w - workers + 1) % THREADS];
    for (int i = 1; i < SLOTS; i += 2) {
        pm_free(other->slots[i]);
        other->slots[i] = NULL;
    }
}

static void do_user_heaps(struct worker *w)
{
    for (int i = 0; i < SLOTS / 10; i++) {
        pm_free(w->of_heap[i]);
        w->of_heap[i] = pm_heap_malloc(w->heap, any_size(w) * (i % 50 == 0 ? 50 : 1));
        require(w->of_heap[i] != NULL);
    }
    for (int i = 0; i < SLOTS / 10; i += 2) {
        pm_free(w->of_heap[i]);
        w->of_heap[i] = NULL;
    }
}

/* With what lives in it. */
static void do_destroy(struct worker *w)
{
    pm_heap_destroy(w->heap);
    w->heap = pm_heap_new(0);
    memset(w->of_heap, 0, sizeof w->of_heap);
}

/* The counter of a current pool wraps. */
static void do_pairs(struct worker *w)
{
    for (unsigned i = 0; i < PM_COUNT_CURRENT + 5; i++)
        pm_free(pm_malloc(100));
    (void)w;
}

static void do_idle(struct worker *w)
{
    (void)w;
    pm_thread_idle();
}

static const struct row {
    const char *name;
    void (*run)(struct worker *w);
} rows[] = {
    {"malloc", do_malloc},
    {"calloc", do_calloc},
    {"realloc", do_realloc},
    {"aligned", do_aligned},
    {"large", do_large},
    {"local frees", do_local_frees},
    {"malloc", do_malloc},
    {"batches", do_batches},
    {"remote frees", do_remote_frees},
    {"pairs", do_pairs},
    {"user heaps", do_user_heaps},
    {"malloc", do_malloc},
    {"destroyed heaps", do_destroy},
    {"remote frees", do_remote_frees},
    {"user heaps", do_user_heaps},
    {"idle threads", do_idle},
};
enum { ROWS = sizeof rows / sizeof *rows };

static void *work(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < ROWS; i++) {
        pthread_barrier_wait(&before);
        rows[i].run(w);
        pthread_barrier_wait(&after);
    }
    pthread_barrier_wait(&before); /* the last row is looked at before anybody exits */
    return NULL;
}

/* ---- what must be seen ---- */

struct known {
    uint64_t blocks, bytes, large, large_bytes;
};

/* By its route: alignment makes large blocks of small sizes, too. */
static bool is_large(const void *block)
{
    struct pm_window *w = pm_window_find(block);
    return pm_load_relaxed(pm_window_route(w, pm_window_index(w, block))) == PM_ROUTE_SPAN;
}

static void know(struct known *known, void *block)
{
    if (block == NULL)
        return;
    size_t bytes = pm_malloc_usable_size(block) + PM_ASAN_REDZONE_BYTES;
    bool large = is_large(block);
    known->blocks += !large;
    known->bytes += large ? 0 : bytes;
    known->large += large;
    known->large_bytes += large ? bytes : 0;
}

static struct known all_known(void)
{
    struct known known = {0};
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < SLOTS; i++)
            know(&known, workers[t].slots[i]);
        for (int i = 0; i < SLOTS / 10; i++)
            know(&known, workers[t].of_heap[i]);
    }
    return known;
}

static void require_same(const char *row, const char *what, uint64_t seen, uint64_t known)
{
    if (seen != known)
        fprintf(stderr, "%s: %s: %lu, not %lu\n", row, what, (unsigned long)seen,
                (unsigned long)known);
    require(seen == known);
}

static uint64_t parts_of_arenas(const struct pm_stats *s)
{
    return s->pool_bytes + s->kept_bytes + s->stash_bytes + s->span_held_bytes + s->free_bytes +
           s->purging_bytes;
}

/* The classes, by a look of its own. */
static void require_classes(const char *row)
{
    static struct pm_figures f;
    static struct pm_threads_figures threads;
    uint64_t known[PM_CLASSES] = {0}, pool_bytes = 0, held = 0;
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < SLOTS + SLOTS / 10; i++) {
            void *block = i < SLOTS ? workers[t].slots[i] : workers[t].of_heap[i - SLOTS];
            size_t bytes = pm_malloc_usable_size(block) + PM_ASAN_REDZONE_BYTES;
            if (block != NULL && !is_large(block))
                known[pm_class_of(bytes)]++;
        }
    }
    require(pm_figures_look(PM_LOOK_CLOSELY, &f, &threads));
    require(pm_figures_add_up(&f, true));
    for (unsigned class = 0; class < PM_CLASSES; class ++)
        require_same(row, "blocks of a class",
                     f.classes[class].live_blocks - f.batched_blocks[class], known[class]);
    require(threads.left_out == 0 && threads.count == f.stats.heaps_in_use);
    for (unsigned i = 0; i < threads.count; i++) {
        pool_bytes += threads.rows[i].pool_bytes;
        held += threads.rows[i].heap.kept_bytes + threads.rows[i].heap.stash_bytes;
    }
    require(pool_bytes + f.stats.floating_bytes <= f.stats.pool_bytes);
    require(held <= f.stats.kept_bytes + f.stats.stash_bytes);
}

static void require_exact(const char *row)
{
    struct pm_stats s;
    struct known known = all_known();
    require(pm_stats_get(&s));
    require_same(row, "live blocks", s.live_blocks, known.blocks);
    require_same(row, "their bytes", s.live_bytes, known.bytes);
    require_same(row, "large blocks", s.spans, known.large);
    require_same(row, "their bytes", s.span_bytes, known.large_bytes);
    require_same(row, "handed out and not freed",
                 s.mallocs - s.frees - s.remote_frees - s.batched_blocks,
                 known.blocks + known.large);
    require_same(row, "pools",
                 s.live_bytes + s.batched_bytes + s.available_bytes + s.header_bytes + s.tail_bytes,
                 s.pool_bytes);
    require_same(row, "arenas", parts_of_arenas(&s), s.arenas * s.arena_bytes);
    require_same(row, "user heaps", s.user_heaps, THREADS);
    struct pm_mallinfo2_figures info = pm_mallinfo2();
    require_same(row, "mallinfo", info.uordblks, s.live_bytes + s.batched_bytes);
    require_classes(row);
}

static void run_all_rows(void)
{
    for (int t = 0; t < THREADS; t++)
        require(pthread_create(&workers[t].thread, NULL, work, &workers[t]) == 0);
    for (int i = 0; i < ROWS; i++) {
        pthread_barrier_wait(&before);
        pthread_barrier_wait(&after);
        require_exact(rows[i].name);
    }
    pthread_barrier_wait(&before);
    for (int t = 0; t < THREADS; t++)
        require(pthread_join(workers[t].thread, NULL) == 0);
    require_exact("exited threads");
}

static void run_twice(size_t window_bytes)
{
    pm_options.window_bytes = window_bytes;
    require(pthread_barrier_init(&before, NULL, THREADS + 1) == 0);
    require(pthread_barrier_init(&after, NULL, THREADS + 1) == 0);
    for (int t = 0; t < THREADS; t++) {
        workers[t].seed = (uint64_t)t;
        workers[t].heap = pm_heap_new(0);
    }
    run_all_rows();
    pm_purge();
    require_exact("a purge");
    run_all_rows(); /* beside what those that exited left */
    for (int t = 0; t < THREADS; t++) {
        pm_free_batch(workers[t].slots, SLOTS);
        pm_heap_destroy(workers[t].heap);
        workers[t].heap = pm_heap_new(0);
        memset(workers[t].slots, 0, sizeof workers[t].slots);
        memset(workers[t].of_heap, 0, sizeof workers[t].of_heap);
    }
    require_exact("frees of all by one");
    pm_purge();
    struct pm_stats s;
    require(pm_stats_get(&s) && s.free_bytes == s.arenas * s.arena_bytes && s.batched_blocks == 0);
}

ISOLATED(at_rest_every_figure_is_right_to_the_byte_whatever_made_the_blocks)
{
    run_twice(0);
}

ISOLATED(so_it_is_in_added_windows)
{
    run_twice(4 * PM_ARENA_BYTES);
}

/* ---- under load ---- */

static _Atomic bool enough;

static void *work_on(void *arg)
{
    struct worker *w = arg;
    while (!atomic_load(&enough)) {
        void **slot = any_slot(w);
        pm_free(*slot);
        *slot = pm_malloc(any_size(w));
        require(*slot != NULL);
    }
    return NULL;
}

/* What a thread may have done since its last slow path: a pool of each class. */
static uint64_t most_in_flight(void)
{
    uint64_t bytes = 0;
    for (unsigned class = 0; class < PM_CLASSES; class ++)
        bytes += (uint64_t)pm_class_units(class) << PM_UNIT_SHIFT;
    return bytes;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* Of memory that is on its way between two parts of the sum, each thread has a run or a group; what
 * is kept, or was at the first of the looks, may be seen in both, or in neither. */
static void require_within_bounds(uint64_t least_bytes, uint64_t most_bytes)
{
    static struct pm_figures f;
    const uint64_t run = (PM_POOL_UNITS_MAX + PM_GROUP_UNITS) * PM_UNIT_BYTES;
    require(pm_figures_look(PM_LOOK_CLOSELY, &f, NULL) && pm_figures_add_up(&f, false));
    const struct pm_stats *s = &f.stats;
    require(distance(parts_of_arenas(s), s->arenas * s->arena_bytes) <=
            PM_HEAPS_KEEP_BYTES_DEFAULT + 3 * (THREADS + 1) * run);
    uint64_t in_flight = THREADS * most_in_flight();
    require(s->live_bytes + in_flight >= least_bytes && s->live_bytes <= most_bytes + in_flight);
    require(s->live_bytes + s->batched_bytes + s->available_bytes + s->header_bytes +
                s->tail_bytes ==
            f.pool_bytes);
    const uint64_t *fields = (const uint64_t *)s;
    for (size_t i = 0; i < sizeof *s / sizeof *fields; i++)
        require(fields[i] <= INT64_MAX);
}

ISOLATED(under_load_figures_stay_within_what_is_in_flight_and_none_is_negative)
{
    uint64_t least = 0, most = 0;
    for (int t = 0; t < THREADS; t++) {
        workers[t].seed = (uint64_t)t;
        do_malloc(&workers[t]);
    }
    for (int t = 0; t < THREADS; t++) {
        least += SLOTS * 8;
        most += SLOTS * (uint64_t)pm_good_size(PM_BLOCK_MAX / 2);
        require(pthread_create(&workers[t].thread, NULL, work_on, &workers[t]) == 0);
    }
    for (int i = 0; i < LOOKS; i++)
        require_within_bounds(least, most);
    atomic_store(&enough, true);
    for (int t = 0; t < THREADS; t++)
        require(pthread_join(workers[t].thread, NULL) == 0);
    struct pm_stats s;
    struct known known = all_known();
    require(pm_stats_get(&s) && s.live_blocks == known.blocks && s.live_bytes == known.bytes);
}

/* ---- the size of the structure ---- */

ISOLATED(a_caller_with_a_smaller_or_larger_structure_gets_what_both_know)
{
    struct {
        struct pm_stats known;
        uint64_t later[4];
    } larger;
    struct pm_stats all, old;
    void *block = pm_malloc(100);
    require(pm_stats_get(&all) && all.live_blocks == 1 && all.live_bytes > 100);
    memset(&larger, 0xff, sizeof larger);
    require(pm_stats_get_sized(&larger.known, sizeof larger));
    require(larger.known.live_bytes == all.live_bytes && larger.known.heaps == all.heaps);
    for (int i = 0; i < 4; i++)
        require(larger.later[i] == 0);
    memset(&old, 0xff, sizeof old);
    require((pm_stats_get)(&old)); /* the function, as an old program finds it */
    require(old.mallocs == 1 && old.lock_acquisitions >= all.lock_acquisitions);
    require(old.purging_bytes == UINT64_MAX && old.no_huge_arenas == UINT64_MAX);
    memset(&old, 0xff, sizeof old);
    require(pm_stats_get_sized(&old, 0) && old.mallocs == UINT64_MAX);
    pm_free(block);
}

static void look_with(const void *damage)
{
    static struct pm_figures f;
    pm_free(pm_malloc(100));
    require(pm_figures_take(&f) && pm_figures_add_up(&f, true));
    *(uint64_t *)((char *)&f.stats + *(const size_t *)damage) += 1000000000;
    require(!pm_figures_add_up(&f, true));
}

/* Each violation says what it is. */
ISOLATED(what_does_not_add_up_is_reported)
{
    static const struct {
        size_t field;
        const char *what;
    } damages[] = {
        {offsetof(struct pm_stats, floating_bytes), "more floats than there are pools"},
        {offsetof(struct pm_stats, dirty_bytes), "more is dirty than free"},
        {offsetof(struct pm_stats, frees), "more was freed than handed out"},
        {offsetof(struct pm_stats, tail_bytes), "pools are not the sum of their parts"},
        {offsetof(struct pm_stats, kept_bytes), "arenas are not the sum of their parts"},
        {offsetof(struct pm_stats, mallocs), "handed out and not freed are not those alive"},
    };
    char text[1000];
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        require(test_stderr_of(look_with, &damages[i].field, text, sizeof text) == 0);
        require(strstr(text, damages[i].what) != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_rest_every_figure_is_right_to_the_byte_whatever_made_the_blocks),
        cmocka_unit_test(so_it_is_in_added_windows),
        cmocka_unit_test(under_load_figures_stay_within_what_is_in_flight_and_none_is_negative),
        cmocka_unit_test(a_caller_with_a_smaller_or_larger_structure_gets_what_both_know),
        cmocka_unit_test(what_does_not_add_up_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
