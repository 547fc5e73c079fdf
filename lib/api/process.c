/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* environ */
/*
 * What happens at the start of the process, around fork and at its end; statistics. The first
 * allocator call may come before the constructor, so that initialises nothing that is needed to
 * allocate.
 */
#include "api/figures.h"
#include "base/options.h"
#include "base/report.h"
#include "heap/heap.h"
#include "heap/user.h"
#include "os/os.h"
#include "poolmalloc/poolmalloc.h"

#include <pthread.h>
#include <unistd.h>

/* For malloc.c, which pulls this file in. */
extern const char pm_process_linked PM_HIDDEN;
const char pm_process_linked = 1;

bool pm_stats_get(struct pm_stats *stats)
{
    struct pm_heap_stats heap;
    struct pm_arena_stats arena;
    struct pm_floating_stats floating;
    pm_heap_stats(&heap);
    pm_arena_stats(&arena);
    pm_floating_stats(&floating);
    *stats = (struct pm_stats){
        .mallocs = heap.mallocs,
        .frees = heap.frees,
        .remote_frees = heap.remote_frees,
        .remote_batches = heap.remote_batches,
        .refills = heap.refills,
        .adopted_pools = heap.adopted,
        .floating_pools = floating.pools,
        .heaps = heap.heaps,
        .heaps_in_use = heap.heaps_in_use,
        .heap_bytes = heap.shell_bytes,
        .kept_bytes = heap.kept_bytes,
        .stash_bytes = heap.stash_bytes,
        .pool_bytes = arena.pool_units << PM_UNIT_SHIFT,
        .floating_bytes = arena.floating_units << PM_UNIT_SHIFT,
        .bytes_reserved = arena.bytes_reserved,
        .arenas = arena.arenas,
        .arenas_in_use = arena.arenas_in_use,
        .arena_bytes = PM_ARENA_BYTES,
        .free_bytes = arena.free_units << PM_UNIT_SHIFT,
        .dirty_bytes = arena.dirty_units << PM_UNIT_SHIFT,
        .spans = arena.spans,
        .span_bytes = arena.span_units << PM_UNIT_SHIFT,
        .span_held_bytes = arena.span_held_units << PM_UNIT_SHIFT,
        .purged_arenas = arena.purged_arenas,
        .purged_bytes = arena.purged_units << PM_UNIT_SHIFT,
        .purges = arena.purges,
        .decommitted_bytes = arena.decommitted_arenas << PM_ARENA_SHIFT,
        .lock_acquisitions =
            heap.lock_acquisitions + arena.lock_acquisitions + floating.lock_acquisitions,
        .lock_contended = heap.lock_contended + arena.lock_contended + floating.lock_contended,
    };
    return arena.bytes_reserved != 0;
}

bool pm_check(void)
{
    return pm_heap_check() && pm_user_check() && pm_arena_check();
}

#define STAT(name)                                                                                 \
    {                                                                                              \
#name, offsetof(struct pm_stats, name)                                                     \
    }

const struct pm_stats_row pm_stats_rows[] = {
    STAT(mallocs),         STAT(frees),         STAT(remote_frees),   STAT(remote_batches),
    STAT(refills),         STAT(adopted_pools), STAT(floating_pools), STAT(heaps),
    STAT(heaps_in_use),    STAT(heap_bytes),    STAT(bytes_reserved), STAT(arenas),
    STAT(arenas_in_use),   STAT(arena_bytes),   STAT(pool_bytes),     STAT(floating_bytes),
    STAT(kept_bytes),      STAT(stash_bytes),   STAT(spans),          STAT(span_bytes),
    STAT(span_held_bytes), STAT(free_bytes),    STAT(dirty_bytes),    STAT(decommitted_bytes),
    STAT(purged_arenas),   STAT(purged_bytes),  STAT(purges),         STAT(lock_acquisitions),
    STAT(lock_contended),
};

const unsigned pm_stats_row_count = sizeof pm_stats_rows / sizeof *pm_stats_rows;

static size_t format_events(char *text, size_t room)
{
#if PM_COUNT
    return pm_format(text, room, "slow_paths: %lu\natomic_updates: %lu\n",
                     (unsigned long)pm_load_relaxed(&pm_events[PM_EVENT_SLOW_PATH]),
                     (unsigned long)pm_load_relaxed(&pm_events[PM_EVENT_ATOMIC_UPDATE]));
#else
    (void)text, (void)room;
    return 0;
#endif
}

static void report_at_exit(const char *path)
{
    char text[2048];
    struct pm_stats stats;
    pm_stats_get(&stats);
    size_t used =
        pm_format(text, sizeof text, "poolmalloc statistics (pid %u)\n", pm_os_process_id());
    for (unsigned i = 0; i < pm_stats_row_count; i++) {
        const struct pm_stats_row *row = &pm_stats_rows[i];
        used += pm_format(text + used, sizeof text - used, "%s: %lu\n", row->name,
                          (unsigned long)pm_stats_value(&stats, row));
    }
    used += format_events(text + used, sizeof text - used);
    if (!pm_os_append_file(path, text, used))
        pm_warn("cannot write statistics to \"%s\" (option stats_at_exit)", path);
}

/* As early as can be (the shared library is linked -z initfirst): prepare handlers run in the
 * reverse order of their registration, so that ours, which takes the locks, comes after those of
 * everybody who may still allocate. No lock of ours is held here: the C library may allocate. */
static __attribute__((constructor(101))) void process_start(int count, char **arguments,
                                                            char **environment)
{
    (void)count;
    (void)arguments;
    if (environ == NULL) /* glibc: its own start-up comes later, but it passes these to us */
        environ = environment;
    pm_heap_process_init();
    if (pthread_atfork(pm_heap_fork_prepare, pm_heap_fork_parent, pm_heap_fork_child) != 0)
        pm_warn("no memory for fork handlers: a fork with threads running may hang");
}

static __attribute__((destructor)) void process_end(void)
{
    char path[PM_OPTION_TEXT_BYTES]; /* another thread may still change the option */
    if (pm_options_value("stats_at_exit", path, sizeof path) == 0 && path[0] != 0)
        report_at_exit(path);
}
