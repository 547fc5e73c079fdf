/* SPDX-License-Identifier: MIT */
/* Options by call: what is taken, what it changes at once, what is refused and with which errno. */
#include "base/config.h"
#include "base/testing.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static bool is(const char *name, const char *value)
{
    char text[256];
    return pm_option_get(name, text, sizeof text) && strcmp(text, value) == 0;
}

/* With that errno, and nothing is changed. */
static bool is_refused(const char *name, const char *value, int error)
{
    errno = 0;
    return !pm_option_set(name, value) && errno == error;
}

static struct pm_stats stats_now(void)
{
    struct pm_stats stats;
    require(pm_stats_get(&stats));
    return stats;
}

ISOLATED(an_option_that_is_set_is_told_and_errno_kept)
{
    errno = EDOM;
    require(pm_option_set("keep_bytes", "3072k") && is("keep_bytes", "3m"));
    require(pm_option_set("purge_delay_ms", "25") && is("purge_delay_ms", "25"));
    require(pm_option_set("stats_at_exit", "/tmp/x") && is("stats_at_exit", "/tmp/x"));
    require(pm_option_set("stats_at_exit", "") && is("stats_at_exit", ""));
    require(errno == EDOM);
}

ISOLATED(what_cannot_be_set_is_refused_with_an_errno_that_says_why)
{
    require(is_refused("keep_byte", "1", ENOENT) && is_refused("", "1", ENOENT));
    require(is_refused("huge_pages", "never", EPERM) && is("huge_pages", "default"));
    require(is_refused("window_bytes", "nonsense", EPERM));
    require(is_refused("keep_bytes", "2x", EINVAL) && is("keep_bytes", "2m"));
    require(is_refused("keep_bytes", "", EINVAL) && is_refused("keep_bytes", NULL, EINVAL));
    require(is_refused("purge_delay_ms", "99999999999", EINVAL) && is("purge_delay_ms", "1000"));
    require(is_refused(NULL, "1", EINVAL));
}

ISOLATED(what_cannot_be_told_is_refused_with_an_errno_that_says_why)
{
    char text[8];
    require(!pm_option_get("keep_byte", text, sizeof text) && errno == ENOENT);
    require(!pm_option_get("huge_pages", text, 7) && errno == ERANGE); /* "default" and its end */
    require(pm_option_get("huge_pages", text, 8) && strcmp(text, "default") == 0);
    require(!pm_option_get("keep_bytes", text, 0) && errno == ERANGE);
    require(!pm_option_get(NULL, text, sizeof text) && errno == EINVAL);
    require(!pm_option_get("keep_bytes", NULL, 8) && errno == EINVAL);
}

ISOLATED(a_bound_set_by_call_holds_from_the_next_free_on)
{
    require(pm_option_set("keep_bytes", "1g") && pm_option_set("purge_delay_ms", "3600000"));
    void *block = pm_malloc(8 * PM_ARENA_BYTES);
    memset(block, 1, 8 * PM_ARENA_BYTES);
    pm_free(block);
    require(stats_now().dirty_bytes >= 8 * PM_ARENA_BYTES);
    require(pm_option_set("keep_bytes", "0"));
    block = pm_malloc(8 * PM_ARENA_BYTES);
    pm_free(block);
    require(stats_now().dirty_bytes < 2 * PM_ARENA_BYTES);
}

ISOLATED(a_shorter_delay_set_by_call_moves_the_deadline)
{
    require(pm_option_set("keep_bytes", "1g") && pm_option_set("purge_delay_ms", "3600000"));
    pm_free(pm_malloc(8 * PM_ARENA_BYTES));
    require(stats_now().dirty_bytes >= 8 * PM_ARENA_BYTES);
    require(pm_option_set("purge_delay_ms", "1"));
    /* Slow paths, which look at the clock, until it has gone on by a tick or two. */
    for (int calls = 0; stats_now().dirty_bytes >= 8 * PM_ARENA_BYTES; calls++) {
        require(calls < 1000000);
        pm_free(pm_malloc(PM_ARENA_BYTES / 2));
    }
}

enum { LIMIT_BYTES = 64 << 20, BLOCKS = 4000 };

static void *blocks[BLOCKS];

/* NULL with ENOMEM instead of the 65th MiB, for every way to allocate; then all is well again. */
static unsigned fill(size_t size)
{
    unsigned n = 0;
    while (n < BLOCKS && (blocks[n] = pm_malloc(size)) != NULL)
        n++;
    require(n < BLOCKS && errno == ENOMEM);
    struct pm_stats stats = stats_now();
    require(stats.arenas * stats.arena_bytes - stats.decommitted_bytes <= LIMIT_BYTES);
    return n;
}

static void empty(unsigned n)
{
    while (n > 0)
        pm_free(blocks[--n]);
    require(pm_check());
}

ISOLATED(beyond_the_limit_every_call_gives_enomem_and_the_block_stays)
{
    require(pm_option_set("limit_bytes", "64m"));
    for (size_t size = 20000; size <= 20000000; size *= 10) {
        errno = 0;
        unsigned n = fill(size);
        require(n * size >= LIMIT_BYTES / 2);
        require(pm_calloc(1, LIMIT_BYTES) == NULL && errno == ENOMEM);
        memset(blocks[0], 7, size);
        errno = 0;
        require(pm_realloc(blocks[0], LIMIT_BYTES) == NULL && errno == ENOMEM);
        require(((char *)blocks[0])[size - 1] == 7);
        require(pm_aligned_alloc(4096, LIMIT_BYTES) == NULL);
        empty(n);
    }
    require(pm_option_set("limit_bytes", "0"));
    void *block = pm_malloc(2 * LIMIT_BYTES);
    require(block != NULL);
    pm_free(block);
}

enum { THREADS = 3, ROUNDS = 3000 };

/* A text of one letter only: no reader finds a part of another's. */
static void *set_and_get(void *arg)
{
    char mine[200], text[256];
    memset(mine, 'a' + (int)(uintptr_t)arg, sizeof mine - 1);
    mine[sizeof mine - 1 - 50 * (uintptr_t)arg] = 0;
    for (int i = 0; i < ROUNDS; i++) {
        require(pm_option_set("stats_at_exit", mine));
        require(pm_option_get("stats_at_exit", text, sizeof text));
        require(strspn(text, (char[]){text[0], 0}) == strlen(text));
        require(strlen(text) == sizeof mine - 1 - 50 * (size_t)(text[0] - 'a'));
        require(pm_option_set("keep_bytes", i % 2 ? "1m" : "4m"));
        require(pm_option_get("keep_bytes", text, sizeof text));
        require(strcmp(text, "1m") == 0 || strcmp(text, "4m") == 0);
        pm_free(pm_malloc(100000));
    }
    return NULL;
}

ISOLATED(threads_may_set_and_get_at_the_same_time)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, set_and_get, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require(pm_option_set("stats_at_exit", "")); /* this process has a destructor that reads it */
}

static void ask_for_statistics_and_exit(const void *path)
{
    require(pm_option_set("stats_at_exit", path));
    exit(0);
}

ISOLATED(statistics_are_written_to_the_file_that_was_set_last)
{
    char text[4000];
    require(test_stderr_of(ask_for_statistics_and_exit, "stderr", text, sizeof text) == 0);
    require(strncmp(text, "poolmalloc statistics (pid ", 27) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_option_that_is_set_is_told_and_errno_kept),
        cmocka_unit_test(what_cannot_be_set_is_refused_with_an_errno_that_says_why),
        cmocka_unit_test(what_cannot_be_told_is_refused_with_an_errno_that_says_why),
        cmocka_unit_test(a_bound_set_by_call_holds_from_the_next_free_on),
        cmocka_unit_test(a_shorter_delay_set_by_call_moves_the_deadline),
        cmocka_unit_test(beyond_the_limit_every_call_gives_enomem_and_the_block_stays),
        cmocka_unit_test(threads_may_set_and_get_at_the_same_time),
        cmocka_unit_test(statistics_are_written_to_the_file_that_was_set_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
