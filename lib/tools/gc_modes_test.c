/* SPDX-License-Identifier: MIT */
/* No block of a gc pool where a mode or a service looks at each block; in programs of their own. */
#include "base/testing.h"
#include "poolmalloc/gc_pools.h"
#include "poolmalloc/poolmalloc.h"
#include "poolmalloc/trace.h"
#include "tools/system.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { SIZE = 64, MANY = 3000 };

static bool no_pool(const struct pm_gc_pool *pool, void *arg)
{
    (void)pool, (void)arg;
    return false;
}

static bool is_refused(size_t bytes)
{
    errno = 0;
    void *block = pm_gc_calloc(bytes);
    if (block == NULL)
        return errno == ENOTSUP;
    pm_gc_free(block);
    return false;
}

/* ---- the programs ---- */

static int refused(void)
{
    for (int i = 0; i < 100; i++) {
        require(is_refused(SIZE));
        pm_free(pm_calloc(1, SIZE));
    }
    require(pm_gc_pools_walk(no_pool, NULL));
    pm_gc_free(NULL);
    return 0;
}

static int served(void)
{
    require(!is_refused(SIZE));
    require(!pm_gc_pools_walk(no_pool, NULL));
    return 0;
}

/* Tracing begins and ends in between; blocks made before come back meanwhile. */
static int traced(void)
{
    static void *blocks[MANY];
    size_t bytes;
    for (int i = 0; i < MANY; i++)
        require((blocks[i] = pm_gc_calloc(SIZE)) != NULL);
    require(pm_trace_start(4));
    require(is_refused(SIZE));
    for (int i = 0; i < MANY / 2; i++)
        pm_gc_free(blocks[i]);
    require(is_refused(SIZE));
    pm_trace_memory(&bytes, NULL);
    require(bytes == 0);
    pm_trace_stop();
    for (int i = 0; i < MANY / 2; i++)
        require((blocks[i] = pm_gc_calloc(SIZE)) != NULL);
    for (int i = 0; i < MANY; i++)
        pm_gc_free(blocks[i]);
    struct pm_stats stats;
    require(pm_stats_get(&stats) && stats.live_blocks + stats.batched_blocks < MANY / 2);
    return 0;
}

static const struct program {
    const char *name;
    int (*run)(void);
} programs[] = {{"refused", refused}, {"served", served}, {"traced", traced}};

/* ---- the tests ---- */

struct how {
    const char *program, *mode, *options;
};

static void start(const void *arg)
{
    const struct how *how = arg;
    setenv("POOLMALLOC", how->mode, 1);
    setenv("POOLMALLOC_OPTIONS", how->options, 1);
    test_run_anew(how->program, NULL);
}

static void require_run(const char *program, const char *mode, const char *options)
{
    struct how how = {program, mode, options};
    char text[2000];
    int status = test_stderr_of(start, &how, text, sizeof text);
    if (status != 0)
        fprintf(stderr, "%s in mode %s, %s: %s\n", program, mode, options, text);
    assert_int_equal(status, 0);
}

static void a_mode_that_looks_at_each_block_gets_them_all(void **state)
{
    (void)state;
    require_run("served", "default", "");
    require_run("served", "pool", "");
    require_run("refused", "debug", "");
    require_run(pm_system_is_there() ? "refused" : "served", "malloc",
                ""); /* see docs/options.md */
    require_run("refused", "malloc_debug", "");
    require_run(PM_ASAN ? "served" : "refused", "hardened", ""); /* see docs/hardened.md */
    require_run("refused", "default", "trace=4");
}

static void so_does_tracing_from_its_start_to_its_end(void **state)
{
    (void)state;
    require_run("traced", "default", "");
}

int main(int count_of_arguments, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mode_that_looks_at_each_block_gets_them_all),
        cmocka_unit_test(so_does_tracing_from_its_start_to_its_end),
    };
    for (size_t i = 0; count_of_arguments == 2 && i < sizeof programs / sizeof *programs; i++) {
        if (strcmp(arguments[1], programs[i].name) == 0)
            return programs[i].run();
    }
    if (test_emulated())
        return test_starts_nothing();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
