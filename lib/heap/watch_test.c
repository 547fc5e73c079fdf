/* SPDX-License-Identifier: MIT */
/* Watching: what a service sees, and that a thread which nobody watches is on the fast path. */
#include "heap/fast.h"
#include "heap/testing.h"
#include "heap/user.h"
#include "heap/watch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 128, LARGE = 3 * PM_BLOCK_MAX, ROUNDS = 100 };

static _Atomic uint64_t makes, returns;
static struct pm_request last;

static void *count_make(const struct pm_request *request)
{
    last = *request;
    pm_count_shared(&makes, 1);
    if (request->heap != NULL)
        return pm_user_alloc(request->heap, request->bytes, request->align, request->zero, "");
    if (request->zero)
        return pm_thread_calloc_medium(request->bytes);
    return pm_thread_malloc_aligned(request->bytes, request->align);
}

static void count_give_back(void *ptr, const struct pm_return *how)
{
    pm_count_shared(&returns, 1);
    pm_thread_free(ptr, how->function);
    errno = EDOM; /* the caller's is none of the watch's business */
}

static void *count_resize(void *ptr, size_t bytes, const char *function)
{
    return pm_heap_resize(ptr, bytes, function) ? ptr : NULL;
}

static size_t count_usable(const void *ptr, const char *function)
{
    return pm_heap_usable(ptr, function) - 1; /* so that a test can tell */
}

static void *count_shown(void *block, size_t *bytes)
{
    (void)bytes;
    return block;
}

static const struct pm_watch counting = {count_make, count_give_back, count_resize, count_usable,
                                         count_shown};

/* Each test but the last starts with it. */
static void start(void)
{
    test_heap_start(WINDOW_ARENAS);
    test_get_heap();
    pm_watch_set(&counting);
    pm_store_relaxed(&makes, 0);
    pm_store_relaxed(&returns, 0);
}

static void require_seen(uint64_t made, uint64_t given_back)
{
    require(pm_load_relaxed(&makes) == made);
    require(pm_load_relaxed(&returns) == given_back);
}

ISOLATED(every_malloc_and_free_of_every_size_is_seen)
{
    static const size_t sizes[] = {0,    1,    16,           PM_DIRECT_MAX, PM_DIRECT_MAX + 1,
                                   3000, 9000, PM_BLOCK_MAX, LARGE,         2 * PM_ARENA_BYTES};
    uint64_t calls = 0;
    start();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (unsigned round = 0; round < ROUNDS; round++) {
            void *block = pm_thread_malloc(sizes[i]);
            require(block != NULL && last.bytes == sizes[i] && !last.zero);
            pm_thread_free(block, "free");
            calls++;
            require_seen(calls, calls);
        }
    }
}

ISOLATED(aligned_zeroed_and_batched_blocks_are_seen)
{
    void *blocks[10];
    start();
    void *block = pm_thread_malloc_aligned(100, 256);
    require(block != NULL && last.align == 256);
    pm_thread_free(block, "free");
    char *zero = pm_thread_calloc_medium(2000);
    require(last.zero && zero != NULL && zero[0] == 0 && zero[1999] == 0);
    pm_thread_free(zero, "free");
    require(pm_thread_malloc_at_hand(64) == NULL); /* operator new goes its slow way */
    require_seen(2, 2);
    require(pm_thread_malloc_batch(64, 10, blocks) == 10);
    require_seen(12, 2);
    pm_thread_free_batch(blocks, 10, "free");
    require_seen(12, 12);
}

ISOLATED(a_free_says_its_family)
{
    struct pm_return how = {.function = "free_sized", .sized = true, .bytes = 7, .align = 1};
    start();
    pm_thread_free(pm_thread_malloc(5), "operator delete");
    pm_thread_free(pm_thread_malloc(5), "operator delete[]");
    pm_watch_give_back(pm_watch_asked(), pm_thread_malloc(7), &how);
    require_seen(3, 3);
    require(pm_thread_malloc(SIZE_MAX / 2 + 2) == NULL && errno == ENOMEM);
    require_seen(3, 3); /* nothing to see */
}

ISOLATED(errno_is_the_callers)
{
    start();
    void *block = pm_thread_malloc(64);
    errno = EEXIST;
    pm_thread_free(block, "free");
    require(errno == EEXIST);
}

ISOLATED(sizes_are_the_watch_s_and_nothing_is_resized_behind_it)
{
    start();
    char *block = pm_thread_malloc(64);
    require(pm_heap_usable(block, "test") == 63);
    require(!pm_heap_resize(block, 64, "test"));
    require(pm_heap_expand(block, 63, "test") && !pm_heap_expand(block, 64, "test"));
    pm_thread_free(block, "free");
}

ISOLATED(what_the_watch_does_itself_is_not_watched)
{
    start();
    pm_watch_suspend();
    require(pm_heap_self->real && pm_watch_asked() == NULL);
    pm_thread_free(pm_thread_malloc(64), "free");
    pm_watch_suspend();
    pm_watch_resume();
    require(pm_heap_self->real);
    pm_watch_resume();
    require(!pm_heap_self->real && pm_watch_asked() == &counting);
    require_seen(0, 0);
}

ISOLATED(idle_and_statistics_find_the_heap_of_a_watched_thread)
{
    struct pm_heap_stats before, after;
    start();
    pm_heap_stats(&before);
    void *block = pm_thread_malloc(64);
    pm_heap_stats(&after);
    require(after.mallocs == before.mallocs + 1);
    require(pm_heap_check());
    require(pm_heap_idle() && !pm_heap_idle());
    pm_thread_free(block, "free");
    require_seen(1, 1);
}

/* ---- other threads ---- */

static pthread_barrier_t gate;

static void meet(void)
{
    pthread_barrier_wait(&gate);
}

static void *make_one(void *arg)
{
    (void)arg;
    return pm_thread_malloc(48);
}

ISOLATED(a_new_thread_is_watched_from_its_first_call_to_its_end)
{
    pthread_t thread;
    void *block;
    start();
    require(pthread_create(&thread, NULL, make_one, NULL) == 0);
    require(pthread_join(thread, &block) == 0);
    require_seen(1, 0);
    pm_thread_free(block, "free");
    require_seen(1, 1);
}

static void *allocate_much(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < PM_CALLS_BEFORE_HEAP + 2; i++)
        pm_thread_free(pm_thread_malloc(64), "free");
    require(pm_watch_heap_of_thread()->real);
    return pm_watch_heap_of_thread();
}

ISOLATED(the_heap_of_a_watched_thread_dissolves_at_its_end)
{
    struct pm_heap_stats before, after;
    pthread_t thread;
    void *heap;
    start();
    pm_heap_stats(&before);
    require(pthread_create(&thread, NULL, allocate_much, NULL) == 0);
    require(pthread_join(thread, &heap) == 0);
    pm_heap_stats(&after);
    require(after.heaps_in_use == before.heaps_in_use && !((struct pm_heap *)heap)->in_use);
}

/* Has a heap before anybody watches. */
static void *join_late(void *arg)
{
    (void)arg;
    test_get_heap();
    struct pm_heap *heap = pm_heap_self;
    meet(); /* now somebody watches */
    meet();
    require(pm_heap_self == heap);
    void *blocks[2 * PM_UNIT_BYTES / 64];
    for (unsigned i = 0; i < sizeof blocks / sizeof *blocks; i++)
        blocks[i] = pm_thread_malloc(64);
    require(pm_heap_self == &pm_heap_watched);
    uint64_t seen = pm_load_relaxed(&makes);
    pm_thread_free(pm_thread_malloc(64), "free");
    require(pm_load_relaxed(&makes) == seen + 1);
    meet(); /* now nobody does */
    meet();
    for (unsigned i = 0; i < sizeof blocks / sizeof *blocks; i++)
        pm_thread_free(blocks[i], "free");
    require(pm_heap_self == heap);
    return NULL;
}

ISOLATED(a_running_thread_joins_at_a_slow_path_and_leaves_at_its_next_call)
{
    pthread_t thread;
    start();
    pm_watch_set(NULL);
    require(pm_watch_asked() == NULL && pm_heap_self->real);
    require(pthread_barrier_init(&gate, NULL, 2) == 0);
    require(pthread_create(&thread, NULL, join_late, NULL) == 0);
    meet();
    pm_watch_set(&counting);
    meet();
    meet();
    pm_watch_set(NULL);
    meet();
    require(pthread_join(thread, NULL) == 0);
}

ISOLATED(an_unwatched_thread_is_on_the_fast_path)
{
    start();
    pm_watch_set(NULL);
    void *block = pm_thread_malloc(64);
    pm_thread_free(block, "free");
    require(pm_heap_self->real && pm_thread_malloc_at_hand(64) == block);
    pm_thread_free(block, "free");
    require_seen(0, 0);
}

ISOLATED(any_address_is_told_where_it_lies)
{
    test_heap_start(WINDOW_ARENAS);
    char *start, *small = pm_thread_malloc(100), *large = pm_thread_malloc(2 * LARGE);
    char on_stack;
    size_t bytes;
    require(pm_heap_block_at(&on_stack, &start, &bytes) == PM_HEAP_FOREIGN);
    require(pm_heap_block_at(small + 99, &start, &bytes) == PM_HEAP_BLOCK);
    require(start == small && bytes >= 100);
    require(pm_heap_block_at(large, &start, &bytes) == PM_HEAP_BLOCK && start == large);
    start = NULL;
    require(pm_heap_block_at(large + 2 * LARGE - 1, &start, &bytes) == PM_HEAP_BLOCK);
    require(start == large && bytes >= 2 * LARGE);
    pm_thread_free(large, "free");
    require(pm_heap_block_at(large + PM_UNIT_BYTES, &start, &bytes) == PM_HEAP_NO_BLOCK);
    pm_thread_free(small, "free");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_malloc_and_free_of_every_size_is_seen),
        cmocka_unit_test(aligned_zeroed_and_batched_blocks_are_seen),
        cmocka_unit_test(a_free_says_its_family),
        cmocka_unit_test(errno_is_the_callers),
        cmocka_unit_test(sizes_are_the_watch_s_and_nothing_is_resized_behind_it),
        cmocka_unit_test(what_the_watch_does_itself_is_not_watched),
        cmocka_unit_test(idle_and_statistics_find_the_heap_of_a_watched_thread),
        cmocka_unit_test(a_new_thread_is_watched_from_its_first_call_to_its_end),
        cmocka_unit_test(the_heap_of_a_watched_thread_dissolves_at_its_end),
        cmocka_unit_test(a_running_thread_joins_at_a_slow_path_and_leaves_at_its_next_call),
        cmocka_unit_test(an_unwatched_thread_is_on_the_fast_path),
        cmocka_unit_test(any_address_is_told_where_it_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
