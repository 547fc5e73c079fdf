/* SPDX-License-Identifier: MIT */
/*
 * One process of the fault sweep (run.h): the scenario with a fault, then everything must have come
 * back and the figures must add up; then the scenario again without a fault, in which nothing may
 * be refused; then a probe, which must get by with as many arenas as in a process without faults.
 * All but the scenario is one thread.
 */
#include "run.h"
#include "check.h"

#include "poolmalloc/poolmalloc.h"

#include <string.h>

/* Fields that came later than this program: the build looks into the header for them. */
#ifndef SWEEP_HAVE_POOL_BYTES
#define SWEEP_HAVE_POOL_BYTES 0
#endif

enum {
    probe_sizes = 24, /* small and medium ones, evenly spread */
    probe_each = 20,
    probe_spans = 24,
    probe_arenas = 3,
    probe_blocks = probe_sizes * probe_each + probe_spans + probe_arenas,
};

static unsigned long long number(uint64_t n)
{
    return n;
}

static struct pm_stats stats_now(void)
{
    struct pm_stats stats;
    pm_stats_get(&stats);
    return stats;
}

/* All blocks are free, no other thread is left, the system refuses nothing. */
static void check_all_came_back(void)
{
    pm_purge();
    CHECK(pm_check(), "after all was freed");
    check_stats_sane();
    struct pm_stats s = stats_now();
    CHECK(s.mallocs == s.frees + s.remote_frees, "%llu mallocs, %llu frees, %llu remote frees",
          number(s.mallocs), number(s.frees), number(s.remote_frees));
    uint64_t held = s.kept_bytes + s.span_bytes;
#if SWEEP_HAVE_POOL_BYTES
    held += s.pool_bytes + s.stash_bytes;
#endif
    CHECK(s.span_bytes == 0, "%llu bytes in spans", number(s.span_bytes));
    CHECK(s.free_bytes + held == s.arenas * s.arena_bytes,
          "%llu arenas of %llu bytes, of which %llu are free and %llu held", number(s.arenas),
          number(s.arena_bytes), number(s.free_bytes), number(held));
    CHECK(s.dirty_bytes == 0, "%llu bytes dirty after a purge", number(s.dirty_bytes));
    CHECK(s.floating_pools == 0, "%llu floating pools without a block", number(s.floating_pools));
}

static void *probe_block(size_t size)
{
    char *block = pm_calloc(1, size);
    CHECK(block != NULL, "no %zu bytes for the probe", size);
    CHECK(block[0] == 0 && block[size / 2] == 0 && block[size - 1] == 0, "calloc is not zero");
    block[0] = block[size / 2] = block[size - 1] = 1;
    return block;
}

/* The first calls of a thread may be served differently from the later ones. */
static void warm_up(void)
{
    for (size_t size = 1; size < PM_BLOCK_MAX; size += PM_BLOCK_MAX / 256)
        pm_free(probe_block(size));
    pm_purge();
}

/* How many arenas a fixed sequence of allocations takes, starting from nothing in use. The same,
 * but for one, in every process, whatever happened before: no free is between them, so that no time
 * matters. */
static uint64_t probe(void)
{
    static void *blocks[probe_blocks];
    size_t count = 0;
    warm_up();
    for (size_t i = 1; i <= probe_sizes; i++) {
        for (size_t each = 0; each < probe_each; each++)
            blocks[count++] = probe_block(i * i * (PM_BLOCK_MAX / 2) / (probe_sizes * probe_sizes));
    }
    for (size_t i = 0; i < probe_spans; i++)
        blocks[count++] = probe_block(PM_BLOCK_MAX + 1 + i * PM_UNIT_BYTES / 4);
    for (size_t i = 1; i <= probe_arenas; i++)
        blocks[count++] = probe_block(i * PM_ARENA_BYTES);
    uint64_t arenas = stats_now().arenas_in_use;
    while (count > 0)
        pm_free(blocks[--count]);
    return arenas;
}

/* These are the calls without which there is no memory to be had; the others may be refused at any
 * time, and no caller of malloc may notice. */
static uint64_t refusals_at_most(const struct run *run)
{
    unsigned needed = 1u << PM_OS_RESERVE | 1u << PM_OS_MAKE_READABLE | 1u << PM_OS_COMMIT;
    if (run->nth == 0 || (run->kinds & needed) == 0)
        return 0;
    return run->for_good ? UINT64_MAX : 1; /* one failure costs at most one request */
}

struct finding run_all(const struct run *run)
{
    struct finding found = {0};
    shadow_start(run->seed);
    uint64_t expected = run->probe_arenas ? run->probe_arenas : probe();
    found.refused = scenario(run, 1, refusals_at_most(run));
    found.calls = pm_os_fault_calls();
    pm_os_fault_set(0, false);
    check_all_came_back();
    scenario(run, 2, 0);
    check_all_came_back();
    found.arenas = stats_now().arenas;
    CHECK(run->arenas_at_most == 0 || found.arenas <= run->arenas_at_most,
          "%llu arenas, where processes without a fault need at most %llu", number(found.arenas),
          number(run->arenas_at_most));
    found.probe_arenas = probe();
    /* The first heap of a process has all blocks of its own; another one shares the first of each
     * class, so that there may be two pools of it. Which one the main thread has depends on the
     * faults. What is lost at each fault would be more than that in the end. */
    CHECK(found.probe_arenas <= expected + 1 && expected <= found.probe_arenas + 1,
          "the probe takes %llu arenas, %llu in a fresh process", number(found.probe_arenas),
          number(expected));
    check_all_came_back();
    return found;
}
