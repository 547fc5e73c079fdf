/* SPDX-License-Identifier: MIT */
/* mallctl: figures, purging, what can be changed and what not, indexes, several threads. */
#include "api/je_stats.h"
#include "api/jemalloc.h"
#include "api/mallctl.h"
#include "api/testing.h"
#include "arena/arena.h"
#include "base/asan.h"
#include "base/options.h"
#include "base/testing.h"
#include "os/os.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

ISOLATED(figures_are_those_of_the_last_epoch)
{
    uint64_t one = 1, now = 0;
    size_t length = sizeof now;
    uint64_t before = test_number("stats.allocated"), first = test_number("epoch");
    void *block = pm_je_mallocx(5 * PM_ARENA_BYTES, 0);
    require(test_number("stats.allocated") == before && test_number("epoch") == first);
    require(pm_je_mallctl("epoch", &now, &length, &one, sizeof one) == 0 && now == first + 1);
    require(test_number("epoch") == first + 1);
    require(test_number("stats.allocated") >= before + 5 * PM_ARENA_BYTES);
    uint64_t large = test_number("stats.arenas.0.large.allocated");
    require(large >= 5 * PM_ARENA_BYTES && large <= 5 * PM_ARENA_BYTES + PM_UNIT_BYTES);
    pm_je_dallocx(block, 0);
    require(test_number("stats.arenas.0.large.allocated") == large);
    require(pm_je_mallctl("epoch", NULL, NULL, &one, sizeof one) == 0);
    require(test_number("stats.arenas.0.large.allocated") == 0);
}

ISOLATED(figures_fit_each_other_and_those_of_the_header)
{
    struct pm_stats own;
    static void *blocks[1000];
    uint64_t live_bytes = 0;
    for (size_t i = 0; i < 1000; i++)
        blocks[i] = pm_je_mallocx(1 + i * 97, 0);
    for (size_t i = 0; i < 1000; i += 2) {
        pm_je_dallocx(blocks[i], 0);
        live_bytes += pm_je_sallocx(blocks[i + 1], 0) + PM_ASAN_REDZONE_BYTES;
    }
    pm_je_refresh();
    pm_stats_get(&own);
    require(test_number("stats.allocated") == live_bytes);
    require(test_number("stats.active") == own.pool_bytes + own.span_bytes);
    require(test_number("stats.allocated") < test_number("stats.active"));
    require(test_number("stats.active") <= test_number("stats.resident"));
    require(test_number("stats.active") <= test_number("stats.mapped"));
    require(test_number("stats.metadata") == own.heap_bytes);
    require(test_number("stats.retained") == own.free_bytes - own.dirty_bytes);
    require(test_number("stats.arenas.0.small.allocated") == live_bytes - own.span_bytes);
    require(test_number("stats.arenas.0.large.allocated") == own.span_bytes);
    /* Of pages larger than a unit, the last may be in use in part. */
    require(test_number("stats.arenas.0.pactive") ==
            test_number("stats.active") / test_number("arenas.page"));
    require(test_number("stats.arenas.0.nthreads") == 1);
    require(test_number("stats.arenas.0.resident") == test_number("stats.resident"));
    require(test_number("stats.arenas.4096.resident") == test_number("stats.resident"));
}

ISOLATED(a_purge_of_any_arena_gives_all_back)
{
    static const char *const names[] = {"arena.0.purge", "arena.1.purge", "arena.4096.purge"};
    struct pm_stats stats;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *block = pm_je_mallocx(4 * PM_BLOCK_MAX, 0);
        memset(block, 1, 4 * PM_BLOCK_MAX);
        pm_je_dallocx(block, 0);
        require(pm_stats_get(&stats) && stats.dirty_bytes >= 4 * PM_BLOCK_MAX);
        require(pm_je_mallctl(names[i], NULL, NULL, NULL, 0) == 0);
        require(pm_stats_get(&stats) && stats.dirty_bytes == 0);
    }
    require(pm_je_mallctl("arena.2.purge", NULL, NULL, NULL, 0) == ENOENT);
}

ISOLATED(decay_gives_back_what_is_due_and_nothing_else)
{
    struct pm_stats stats;
    pm_options.purge_delay_ms = 3600000;
    void *block = pm_je_mallocx(4 * PM_BLOCK_MAX, 0);
    memset(block, 1, 4 * PM_BLOCK_MAX);
    pm_je_dallocx(block, 0);
    require(pm_je_mallctl("arena.0.decay", NULL, NULL, NULL, 0) == 0);
    require(pm_stats_get(&stats) && stats.dirty_bytes >= 4 * PM_BLOCK_MAX);
    require(test_number("arenas.dirty_decay_ms") == 3600000);
    pm_purge_deadline_ns = 0;
    pm_options.purge_delay_ms = 0;
    require(pm_je_mallctl("arena.0.decay", NULL, NULL, NULL, 0) == 0);
    require(pm_stats_get(&stats) && stats.dirty_bytes == 0);
}

static void what_cannot_be_changed_says_so_when_it_is_asked_to(void **state)
{
    bool on = true, off = false, was = true;
    size_t length = sizeof was;
    (void)state;
    assert_int_equal(pm_je_mallctl("background_thread", &was, &length, &on, 1), EFAULT);
    assert_false(was); /* read all the same */
    assert_int_equal(pm_je_mallctl("background_thread", NULL, NULL, &off, 1), 0);
    assert_int_equal(test_set_number("max_background_threads", 4, 8), EINVAL);
    assert_int_equal(test_set_number("max_background_threads", 0, 8), 0);
    size_t delay_ms = pm_options.purge_delay_ms;
    assert_int_equal(test_set_number("arenas.dirty_decay_ms", 5, 8), 0);
    assert_int_equal(pm_options.purge_delay_ms, 5);
    assert_int_equal(test_set_number("arena.0.dirty_decay_ms", (uint64_t)-1, 8), 0);
    assert_int_equal(test_number("arenas.dirty_decay_ms"), PM_PURGE_DELAY_MS_MAX);
    assert_int_equal(test_set_number("arenas.dirty_decay_ms", delay_ms, 8), 0);
    assert_int_equal(test_set_number("arena.0.dirty_decay_ms", (uint64_t)-2, 8), EFAULT);
    assert_int_equal(test_set_number("arenas.muzzy_decay_ms", 10000, 8), 0);
    assert_int_equal(test_set_number("arenas.muzzy_decay_ms", (uint64_t)-2, 8), EFAULT);
    assert_int_equal(test_set_number("thread.tcache.enabled", true, 1), 0);
    assert_int_equal(test_set_number("thread.tcache.enabled", false, 1), EFAULT);
    assert_int_equal(test_set_number("thread.arena", 0, 4), 0);
    assert_int_equal(test_set_number("thread.arena", 4000, 4), EFAULT);
}

ISOLATED(an_idle_thread_lets_go_of_what_it_holds)
{
    static const char *const names[] = {"thread.idle", "thread.tcache.flush"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (unsigned n = 0; n <= 2 * PM_CALLS_BEFORE_HEAP; n++)
            pm_je_dallocx(pm_je_mallocx(16 + n * 16, 0), 0);
        require(pm_je_mallctl(names[i], NULL, NULL, NULL, 0) == 0);
        require(!pm_thread_idle());
    }
}

ISOLATED(arenas_and_caches_that_programs_make_are_names_for_the_common_one)
{
    unsigned arena, cache, next;
    size_t length = sizeof arena;
    char name[60];
    require(pm_je_mallctl("arenas.create", &arena, &length, NULL, 0) == 0 && arena == 1);
    require(test_number("arenas.narenas") == 2 && test_number("arena.1.initialized") == 1);
    require(pm_je_mallctl("arenas.create", &arena, &length, &length, 8) == EPERM); /* no hooks */
    require(pm_je_mallctl("tcache.create", &cache, &length, NULL, 0) == 0 && cache == 0);
    int flags = (int)(((cache + 2) << PM_JE_TCACHE_SHIFT) | ((arena + 1) << PM_JE_ARENA_SHIFT));
    void *block = pm_je_mallocx(100, flags);
    pm_je_refresh();
    snprintf(name, sizeof name, "stats.arenas.%u.resident", arena);
    require(test_number(name) == 0 && test_number("stats.arenas.0.resident") > 0);
    require(test_number("stats.arenas.2.resident") ==
            test_number("stats.resident")); /* all of them */
    require(test_set_number("thread.arena", arena, 4) == 0);
    pm_je_dallocx(block, flags);
    require(test_set_number("tcache.flush", cache, 4) == 0);
    require(test_set_number("tcache.destroy", cache, 4) == 0);
    require(test_set_number("tcache.destroy", cache, 4) == EFAULT);
    require(test_set_number("tcache.flush", cache, 4) == EFAULT);
    require(test_set_number("tcache.flush", UINT32_MAX, 4) == EFAULT);
    require(pm_je_mallctl("tcache.create", &next, &length, NULL, 0) == 0 && next == cache);
}

ISOLATED(arenas_that_are_destroyed_leave_an_index_that_serves_again)
{
    unsigned first, second, again;
    size_t length = sizeof first;
    pm_je_dallocx(pm_je_mallocx(1000, 0), 0);
    require(pm_je_mallctl("arenas.create", &first, &length, NULL, 0) == 0 && first == 1);
    require(pm_je_mallctl("arenas.create", &second, &length, NULL, 0) == 0 && second == 2);
    require(pm_je_mallctl("arena.1.destroy", NULL, NULL, NULL, 0) == 0);
    require(pm_je_mallctl("arena.1.destroy", NULL, NULL, NULL, 0) == EFAULT);
    require(test_number("arenas.narenas") == 3); /* 2 is an arena still, and not all of them */
    require(test_number("stats.arenas.2.resident") == 0);
    require(test_number("stats.arenas.3.resident") > 0);
    require(test_number("arena.1.initialized") == 0 && test_number("arena.2.initialized") == 1);
    require(test_set_number("thread.arena", 1, 4) == EFAULT);
    require(pm_je_mallctl("arenas.create", &again, &length, NULL, 0) == 0 && again == 1);
    require(test_number("arenas.narenas") == 3);
    require(pm_je_mallctl("arena.0.destroy", NULL, NULL, NULL, 0) == EFAULT);
    require(pm_je_mallctl("arena.3.destroy", NULL, NULL, NULL, 0) == EFAULT);
    require(pm_je_mallctl("arena.4096.destroy", NULL, NULL, NULL, 0) == EFAULT);
}

static uint64_t bin_number(unsigned arena, unsigned bin, const char *what)
{
    char name[60];
    snprintf(name, sizeof name, "stats.arenas.%u.bins.%u.%s", arena, bin, what);
    return test_number(name);
}

/* Redis from 7.4 on adds up what is free in the pools, and ends when a name is missing. */
ISOLATED(bins_say_how_many_blocks_and_pools_they_have)
{
    unsigned bins = (unsigned)test_number("arenas.nbins"), seen = 0;
    char name[60];
    for (unsigned i = 0; i < 500; i++)
        require(pm_je_mallocx(1000, 0) != NULL);
    pm_je_refresh();
    for (unsigned bin = 0; bin < bins; bin++) {
        snprintf(name, sizeof name, "arenas.bin.%u.size", bin);
        bool used = test_number(name) == pm_je_nallocx(1000, 0) + PM_ASAN_REDZONE_BYTES;
        uint64_t live = bin_number(4096, bin, "curregs"), pools = bin_number(0, bin, "curslabs");
        snprintf(name, sizeof name, "arenas.bin.%u.nregs", bin);
        require(live <= test_number(name) * pools && (pools > 0) == (live > 0));
        require(!used || live == 500);
        seen += used;
    }
    require(seen == 1);
    unsigned arena;
    size_t length = sizeof arena;
    require(pm_je_mallctl("arenas.create", &arena, &length, NULL, 0) == 0);
    require(bin_number(arena, 5, "curregs") == 0 && bin_number(arena, 5, "curslabs") == 0);
}

ISOLATED(indexes_run_out_and_come_back)
{
    unsigned index = 0;
    size_t length = sizeof index;
    for (unsigned i = 0; i < PM_CTL_INDEXES; i++)
        require(pm_je_mallctl("tcache.create", &index, &length, NULL, 0) == 0 && index == i);
    require(pm_je_mallctl("tcache.create", &index, &length, NULL, 0) == EAGAIN);
    require(test_set_number("tcache.destroy", 77, 4) == 0);
    require(pm_je_mallctl("tcache.create", &index, &length, NULL, 0) == 0 && index == 77);
}

static void what_programs_ask_first_is_answered(void **state)
{
    const char *text;
    size_t length = sizeof text;
    (void)state;
    assert_int_equal(pm_je_mallctl("version", &text, &length, NULL, 0), 0);
    assert_string_equal(text, PM_JE_VERSION);
    assert_int_equal(pm_je_mallctl("opt.thp", &text, &length, NULL, 0), 0);
    assert_string_equal(text, pm_options.huge_pages);
    assert_int_equal(test_number("arenas.page"), pm_os_page_bytes());
    assert_int_equal(test_number("arenas.quantum"), PM_GRANULE_BYTES);
    assert_int_equal(test_number("opt.narenas"), 1);
    assert_int_equal(test_number("config.stats"), 1);
}

enum { THREADS = 4, ROUNDS = 300 };

static void *use_all(void *arg)
{
    (void)arg;
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned cache, arena = 0;
        uint64_t one = 1;
        size_t length = sizeof cache;
        require(pm_je_mallctl("epoch", NULL, NULL, &one, sizeof one) == 0);
        require(pm_je_mallctl("tcache.create", &cache, &length, NULL, 0) == 0);
        require(cache < THREADS);
        void *block = pm_je_mallocx(16 + round, PM_JE_ZERO);
        require(block != NULL && test_number("epoch") > round);
        require(test_number("stats.allocated") < test_number("arenas.page") << 40);
        block = pm_je_rallocx(block, 4 * PM_BLOCK_MAX, PM_JE_ZERO);
        pm_je_dallocx(block, 0);
        require(test_set_number("tcache.destroy", cache, 4) == 0);
        require(test_set_number("thread.arena", arena, 4) == 0);
        if (round % 50 == 0)
            require(pm_je_mallctl("arena.0.purge", NULL, NULL, NULL, 0) == 0);
    }
    return NULL;
}

ISOLATED(threads_that_ask_at_the_same_time_get_answers_of_their_own)
{
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, use_all, NULL) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require(test_number("epoch") >= THREADS * ROUNDS);
    require(test_set_number("tcache.destroy", 0, 4) == EFAULT); /* all came back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_those_of_the_last_epoch),
        cmocka_unit_test(figures_fit_each_other_and_those_of_the_header),
        cmocka_unit_test(a_purge_of_any_arena_gives_all_back),
        cmocka_unit_test(decay_gives_back_what_is_due_and_nothing_else),
        cmocka_unit_test(an_idle_thread_lets_go_of_what_it_holds),
        cmocka_unit_test(arenas_and_caches_that_programs_make_are_names_for_the_common_one),
        cmocka_unit_test(arenas_that_are_destroyed_leave_an_index_that_serves_again),
        cmocka_unit_test(bins_say_how_many_blocks_and_pools_they_have),
        cmocka_unit_test(indexes_run_out_and_come_back),
        cmocka_unit_test(threads_that_ask_at_the_same_time_get_answers_of_their_own),
        cmocka_unit_test(what_cannot_be_changed_says_so_when_it_is_asked_to),
        cmocka_unit_test(what_programs_ask_first_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
