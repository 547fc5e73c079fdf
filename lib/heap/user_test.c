/* SPDX-License-Identifier: MIT */
/* User heaps: what belongs to one, comes back to it, and goes with it. */
#include "heap/testing.h"
#include "heap/user.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, SIZE = 64, SOME = 600, LARGE = 3 * PM_UNIT_BYTES, THREADS = 4 };

static void *blocks[TEST_BLOCKS_MAX];

static void *user_alloc(struct pm_user_heap *heap, size_t n)
{
    void *block = test_told(pm_user_alloc(heap, n, 1, false, "test"));
    require(block != NULL);
    return block;
}

static struct pm_user_heap *start_with_heap(size_t limit_bytes)
{
    test_heap_start(WINDOW_ARENAS);
    struct pm_user_heap *heap = pm_user_new(limit_bytes);
    require(heap != NULL);
    return heap;
}

/* Of all sizes: pools of several classes, large blocks in one arena and of several. */
static void fill(struct pm_user_heap *heap, void **to, unsigned n)
{
    static const size_t sizes[] = {1, SIZE, 500, 3000, 40000, LARGE, 2 * PM_ARENA_BYTES};
    for (unsigned i = 0; i < n; i++)
        to[i] = user_alloc(heap, sizes[i % 97 < 6 ? i % 97 : 6 * (i % 97 == 96)]);
}

ISOLATED(what_is_freed_is_used_again_and_empty_pools_go_back)
{
    struct pm_user_heap *heap = start_with_heap(SIZE_MAX);
    unsigned capacity = pm_class_capacity(pm_class_of(SIZE));
    for (unsigned i = 0; i < 3 * capacity; i++)
        blocks[i] = user_alloc(heap, SIZE);
    require(heap->bytes == 3 * PM_UNIT_BYTES);
    test_release(blocks[0]);
    require(user_alloc(heap, SIZE) == blocks[0]);
    test_release_some(blocks, 0, 3 * capacity);
    require(heap->bytes == PM_UNIT_BYTES && pm_user_check()); /* one is kept */
    require(heap->mallocs == 3 * capacity + 1 && heap->frees == 3 * capacity + 1);
    pm_user_destroy(heap);
    require(test_nothing_is_lost());
}

ISOLATED(destroying_gives_back_every_unit_whatever_lives)
{
    struct pm_user_heap *heap = start_with_heap(SIZE_MAX);
    for (unsigned round = 0; round < 3; round++) {
        fill(heap, blocks, SOME);
        for (unsigned i = 0; i < SOME; i += 1 + round)
            test_release(blocks[i]);
        require(pm_user_check());
        pm_user_destroy(heap);
        require(test_nothing_is_lost());
        require(pm_user_new(SIZE_MAX) == heap && heap->bytes == 0); /* the shell serves again */
    }
}

static void use_destroyed(const void *heap)
{
    pm_user_destroy((struct pm_user_heap *)(uintptr_t)heap);
    pm_user_alloc((struct pm_user_heap *)(uintptr_t)heap, SIZE, 1, false, "pm_heap_malloc");
}

ISOLATED(a_heap_that_was_destroyed_is_a_named_error)
{
    require(test_aborts(use_destroyed, start_with_heap(SIZE_MAX), "not a user heap"));
}

static void free_too_often(const void *heap)
{
    void *block = user_alloc((struct pm_user_heap *)(uintptr_t)heap, SIZE);
    test_release(block);
    test_release(block);
}

ISOLATED(more_frees_than_live_blocks_are_named)
{
    require(test_aborts(free_too_often, start_with_heap(SIZE_MAX), "freed twice"));
}

ISOLATED(the_limit_holds_and_what_is_freed_serves_again)
{
    struct pm_user_heap *heap = start_with_heap(2 * PM_UNIT_BYTES);
    unsigned n = 0, capacity = pm_class_capacity(pm_class_of(SIZE));
    while ((blocks[n] = pm_user_alloc(heap, SIZE, 1, false, "test")) != NULL)
        n++;
    require(errno == ENOMEM && n == 2 * capacity);
    require(pm_user_alloc(heap, LARGE, 1, false, "test") == NULL);
    test_release(blocks[7]);
    require(user_alloc(heap, SIZE) == blocks[7]);
    pm_user_set_limit(heap, SIZE_MAX, "test");
    user_alloc(heap, SIZE);
    pm_user_set_limit(heap, 1, "test"); /* less than it has: nothing more, nothing lost */
    require(pm_user_alloc(heap, 2 * SIZE, 1, false, "test") == NULL && pm_user_check());
    pm_user_destroy(heap);
}

ISOLATED(large_blocks_count_while_they_live_and_are_resized_within_the_limit)
{
    struct pm_user_heap *heap = start_with_heap(8 * PM_UNIT_BYTES);
    char *block = user_alloc(heap, LARGE);
    require(heap->bytes == LARGE && pm_user_of(block, "test") == heap);
    require(pm_heap_resize(block, 2 * LARGE, "realloc") && heap->bytes == 2 * LARGE);
    require(!pm_heap_resize(block, 3 * LARGE, "realloc") && heap->bytes == 2 * LARGE);
    require(pm_heap_resize(block, LARGE, "realloc") && heap->bytes == LARGE && pm_user_check());
    pm_user_set_limit(heap, LARGE + 1, "test"); /* whole units are what a large block takes */
    require(!pm_heap_resize(block, LARGE + 1, "realloc") && heap->bytes == LARGE);
    test_release(block);
    require(pm_user_alloc(heap, LARGE + 1, 1, false, "test") == NULL && errno == ENOMEM);
    test_release(user_alloc(heap, LARGE));
    require(heap->bytes == 0);
    pm_user_destroy(heap);
    require(test_nothing_is_lost());
}

static void *allocate_and_free_theirs(void *arg)
{
    struct pm_user_heap *heap = arg;
    test_get_heap();
    for (unsigned i = 0; i < SOME; i++) {
        void *own = test_alloc(SIZE);
        require(pm_user_of(own, "test") == NULL);
        test_release(blocks[i]); /* in streaks, far beyond an eighth of a pool */
        require(heap->frees == i + 1);
    }
    return NULL;
}

ISOLATED(a_thread_that_frees_into_a_heap_never_gets_its_pools)
{
    struct pm_user_heap *heap = start_with_heap(SIZE_MAX);
    for (unsigned i = 0; i < 2 * SOME; i++)
        blocks[i] = user_alloc(heap, SIZE);
    test_in_thread(allocate_and_free_theirs, heap);
    for (unsigned i = SOME; i < 2 * SOME; i++)
        require(pm_user_of(blocks[i], "test") == heap);
    require(pm_user_check());
    pm_user_destroy(heap);
}

static void *free_first(void *done)
{
    test_release(blocks[0]);
    pm_store_release((_Atomic bool *)done, true);
    return NULL;
}

/* A free reads whose the block is, and waits for the lock; meanwhile the heap is destroyed. */
ISOLATED(a_free_that_finds_its_block_gone_does_nothing)
{
    pthread_t thread;
    _Atomic bool done = false;
    struct pm_user_heap *heap = start_with_heap(SIZE_MAX);
    blocks[0] = user_alloc(heap, SIZE);
    struct pm_pool *pool = test_pool_of(blocks[0]);
    pm_lock_acquire(&heap->lock);
    require(pthread_create(&thread, NULL, free_first, (void *)&done) == 0);
    while (!(pm_load_relaxed(&heap->lock.state) & PM_LOCK_WAITED) && !pm_load_acquire(&done))
        sched_yield();
    require(!pm_load_acquire(&done));
    pm_store_release(&pm_pool_remote(pool)->user, NULL);
    pm_lock_release(&heap->lock);
    require(pthread_join(thread, NULL) == 0);
    require(pool->count == 1 && heap->frees == 0);
    pm_store_release(&pm_pool_remote(pool)->user, heap);
    pm_user_destroy(heap);
    require(test_nothing_is_lost());
}

struct worker {
    struct pm_user_heap *heap;
    uint64_t seed;
    pthread_t thread;
};

static _Atomic(unsigned char *) shared[64]; /* blocks that any thread may take and free */

static void *work(void *arg)
{
    struct worker *worker = arg;
    for (unsigned i = 0; i < 20 * SOME; i++) {
        size_t n = 1 + test_random_below(&worker->seed, i % 64 == 0 ? 2 * LARGE : 2000);
        unsigned char *block = user_alloc(worker->heap, n);
        block[0] = block[n - 1] = 7;
        block = pm_exchange_acq_rel(&shared[test_random_below(&worker->seed, 64)], block);
        if (block != NULL) {
            require(block[0] == 7);
            test_release(block);
        }
    }
    return NULL;
}

ISOLATED(threads_that_share_a_heap_lose_nothing)
{
    struct worker workers[THREADS];
    struct pm_user_heap *heap = start_with_heap(SIZE_MAX);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.heap = heap, .seed = i + 1};
        require(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(workers[i].thread, NULL) == 0);
    require(pm_user_check() && heap->mallocs == THREADS * 20 * SOME);
    pm_user_destroy(heap);
    require(test_nothing_is_lost());
}

static void *make_and_destroy(void *arg)
{
    struct worker *worker = arg;
    for (unsigned i = 0; i < SOME / 4; i++) {
        void *some[50];
        struct pm_user_heap *heap = pm_user_new(SIZE_MAX);
        require(heap != NULL);
        for (unsigned j = 0; j < 50; j++) {
            some[j] = user_alloc(heap, 1 + test_random_below(&worker->seed, 5000));
            if (j % 3 == 0)
                test_release(some[j]);
        }
        pm_user_destroy(heap);
        test_release(test_alloc(1 + test_random_below(&worker->seed, 5000)));
    }
    return NULL;
}

ISOLATED(heaps_come_and_go_beside_each_other)
{
    struct worker workers[THREADS];
    test_heap_start(WINDOW_ARENAS);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].seed = i + 1;
        require(pthread_create(&workers[i].thread, NULL, make_and_destroy, &workers[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(workers[i].thread, NULL) == 0);
    require(pm_user_check() && test_nothing_is_lost());
}

struct seen {
    unsigned blocks;
    size_t bytes;
};

static bool count_down(void *block, size_t bytes, void *left)
{
    require(block != NULL && bytes > 0);
    return --*(unsigned *)left > 0;
}

static bool see(void *block, size_t bytes, void *arg)
{
    struct seen *seen = arg;
    for (unsigned i = 0; i < SOME; i++) {
        if (blocks[i] == block) {
            blocks[i] = NULL; /* seen once */
            seen->bytes += bytes;
            seen->blocks++;
            return true;
        }
    }
    require(!"a live block");
    return false;
}

ISOLATED(a_walk_visits_each_live_block_once_and_ends_when_it_is_told_to)
{
    size_t bytes = 0;
    struct pm_user_heap *heap = start_with_heap(SIZE_MAX);
    fill(heap, blocks, SOME);
    for (unsigned i = 0; i < SOME; i += 3) {
        test_release(blocks[i]);
        blocks[i] = NULL;
    }
    for (unsigned i = 0; i < SOME; i++)
        bytes += blocks[i] ? pm_heap_usable(blocks[i], "test") : 0;
    unsigned left = 5, all = SOME - SOME / 3; /* the last one is a large block */
    require(!pm_user_walk(heap, count_down, &left, "test") && left == 0);
    require(!pm_user_walk(heap, count_down, &all, "test") && all == 0);
    struct seen seen = {0};
    require(pm_user_walk(heap, see, &seen, "test"));
    require(seen.blocks == SOME - SOME / 3 && seen.bytes == bytes);
    pm_user_destroy(heap);
}

ISOLATED(aligned_and_zeroed_blocks_are)
{
    struct pm_user_heap *heap = start_with_heap(SIZE_MAX);
    for (size_t align = 1; align <= PM_ARENA_BYTES; align *= 2) {
        for (size_t n = 1; n <= LARGE; n = n * 5 + 1) {
            unsigned char *block = pm_user_alloc(heap, n, align, true, "test");
            require(block != NULL && (uintptr_t)block % align == 0);
            for (size_t i = 0; i < n; i++)
                require(block[i] == 0);
            memset(test_told(block), 255, n);
            test_release(block);
        }
    }
    require(pm_user_check());
    pm_user_destroy(heap);
    require(test_nothing_is_lost());
}

/* One empty pool of a class waits for the next block, where no other has room. */
ISOLATED(a_purge_takes_the_empty_pools_of_every_heap_and_nothing_else)
{
    struct pm_user_heap *heap = start_with_heap(SIZE_MAX), *other = pm_user_new(SIZE_MAX);
    void *small = test_told(pm_user_alloc(heap, SIZE, 1, false, "test"));
    void *medium = test_told(pm_user_alloc(other, PM_BLOCK_MAX, 1, false, "test"));
    void *stays = test_told(pm_user_alloc(other, SIZE, 1, false, "test"));
    test_release(small);
    test_release(medium);
    size_t before = other->bytes;
    require(heap->bytes == PM_UNIT_BYTES && before > PM_BLOCK_MAX);
    require(pm_user_trim() && !pm_user_trim());
    require(heap->bytes == 0 && other->bytes == PM_UNIT_BYTES && pm_user_check());
    test_release(stays);
    pm_heap_trim();
    require(other->bytes == 0 && test_nothing_is_lost());
    require(pm_user_alloc(other, SIZE, 1, false, "test") != NULL && pm_user_check());
}

/* A full pool that gets a free block comes in front of the empty one. */
ISOLATED(a_purge_finds_the_empty_pool_behind_others_with_room)
{
    struct pm_user_heap *heap = start_with_heap(SIZE_MAX);
    unsigned capacity = pm_class_capacity(pm_class_of(SIZE));
    for (unsigned i = 0; i <= capacity; i++)
        blocks[i] = user_alloc(heap, SIZE);
    test_release(blocks[capacity]);
    test_release(blocks[0]);
    require(heap->bytes == 2 * PM_UNIT_BYTES);
    require(pm_user_trim() && heap->bytes == PM_UNIT_BYTES && pm_user_check());
    test_release_some(blocks, 1, capacity);
    require(pm_user_trim() && heap->bytes == 0 && pm_user_check());
}

ISOLATED(a_lost_heap_serves_no_more_and_keeps_what_it_has)
{
    struct pm_user_heap *heap = start_with_heap(SIZE_MAX);
    fill(heap, blocks, SOME);
    pm_user_give_up_in_child(&heap->lock);
    require(pm_user_alloc(heap, SIZE, 1, false, "test") == NULL && errno == ENOMEM);
    test_release_some(blocks, 0, SOME);
    require(heap->frees == 0 && pm_user_check());
    pm_user_destroy(heap);
    require(pm_user_new(SIZE_MAX) != heap);
}

static void check_fails(const void *arg)
{
    (void)arg;
    require(!pm_user_check());
}

static void expect_report(const char *what)
{
    char text[300];
    require(test_stderr_of(check_fails, NULL, text, sizeof text) == 0);
    require(strstr(text, what) != NULL);
}

ISOLATED(the_check_reports_lists_in_disorder_and_bytes_that_do_not_add_up)
{
    struct pm_user_heap *heap = start_with_heap(SIZE_MAX);
    unsigned capacity = pm_class_capacity(pm_class_of(SIZE));
    for (unsigned i = 0; i <= capacity; i++)
        blocks[i] = user_alloc(heap, SIZE);
    struct pm_pool *full = test_pool_of(blocks[0]);
    require(pm_user_check());
    heap->bytes++;
    expect_report("add up");
    heap->bytes--;
    pm_list_remove(&full->link);
    pm_list_push(&heap->pools[pm_class_of(SIZE)], &full->link);
    expect_report("after a full one");
    pm_store_release(&pm_pool_remote(full)->user, NULL);
    expect_report("another's");
}

static unsigned looks;

static void look(uint64_t now_ns)
{
    (void)now_ns;
    looks++;
}

/* A program whose blocks are all in user heaps gives back, and shows what it has, as others do. */
ISOLATED(user_heaps_look_at_the_clock)
{
    struct pm_user_heap *heap = start_with_heap(SIZE_MAX);
    pm_heap_set_watch(look); /* which is never satisfied */
    for (unsigned i = 0; i < 3 * PM_USER_TICK_EVERY; i++)
        test_release(pm_user_alloc(heap, 100, 1, false, "test"));
    require(looks == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_freed_is_used_again_and_empty_pools_go_back),
        cmocka_unit_test(destroying_gives_back_every_unit_whatever_lives),
        cmocka_unit_test(a_heap_that_was_destroyed_is_a_named_error),
        cmocka_unit_test(more_frees_than_live_blocks_are_named),
        cmocka_unit_test(the_limit_holds_and_what_is_freed_serves_again),
        cmocka_unit_test(large_blocks_count_while_they_live_and_are_resized_within_the_limit),
        cmocka_unit_test(a_thread_that_frees_into_a_heap_never_gets_its_pools),
        cmocka_unit_test(a_free_that_finds_its_block_gone_does_nothing),
        cmocka_unit_test(threads_that_share_a_heap_lose_nothing),
        cmocka_unit_test(heaps_come_and_go_beside_each_other),
        cmocka_unit_test(a_walk_visits_each_live_block_once_and_ends_when_it_is_told_to),
        cmocka_unit_test(aligned_and_zeroed_blocks_are),
        cmocka_unit_test(a_purge_takes_the_empty_pools_of_every_heap_and_nothing_else),
        cmocka_unit_test(a_purge_finds_the_empty_pool_behind_others_with_room),
        cmocka_unit_test(a_lost_heap_serves_no_more_and_keeps_what_it_has),
        cmocka_unit_test(the_check_reports_lists_in_disorder_and_bytes_that_do_not_add_up),
        cmocka_unit_test(user_heaps_look_at_the_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
