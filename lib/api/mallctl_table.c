/* SPDX-License-Identifier: MIT */
/*
 * What each name of mallctl answers here: see mallctl.h. There is one arena, index 0, which all
 * threads share; the indexes that programs make beside it are names for the same memory, and have
 * figures of 0. Any thread.
 */
#include "api/mallctl.h"

#include "api/je_stats.h"
#include "base/atomic.h"
#include "base/options.h"
#include "heap/heap.h"
#include "os/os.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>
#include <string.h>

#define ALL_ARENAS 4096 /* jemalloc's MALLCTL_ARENAS_ALL */

static struct pm_ctl_indexes arenas = {.taken = {1}, .end = 1};
static struct pm_ctl_indexes tcaches;

/* With those that are destroyed, as in jemalloc: the number stands for all of them. */
static unsigned arena_count(void)
{
    return pm_ctl_index_end(&arenas);
}

/* An index of jemalloc's old way to say "all", the number of arenas, is still used by programs. */
bool pm_ctl_has_index(const struct pm_ctl *ctl, size_t index)
{
    if (strncmp(ctl->name, "arenas.bin.", strlen("arenas.bin.")) == 0)
        return index < PM_JE_BINS;
    size_t arena = pm_ctl_first(index);
    return (arena <= arena_count() || arena == ALL_ARENAS) && pm_ctl_second(index) < PM_JE_BINS;
}

/* ---- values ---- */

static uint64_t constant(const struct pm_ctl *ctl, size_t index)
{
    (void)index;
    return ctl->value;
}

static uint64_t text(const struct pm_ctl *ctl, size_t index)
{
    (void)index;
    return (uintptr_t)ctl->text;
}

static bool is_made(size_t arena)
{
    return arena > 0 && arena < arena_count();
}

/* One of the figures of the last snapshot, at ctl->value. */
static uint64_t figure(const struct pm_ctl *ctl, size_t index)
{
    struct pm_je_stats stats;
    pm_je_stats_at_epoch(&stats);
    return is_made(index) ? 0
                          : *(const uint64_t *)(const void *)((const char *)&stats + ctl->value);
}

static uint64_t is_initialized(const struct pm_ctl *ctl, size_t index)
{
    (void)ctl;
    return !is_made(index) || pm_ctl_index_is_taken(&arenas, index);
}

static uint64_t get_epoch(const struct pm_ctl *ctl, size_t index)
{
    (void)ctl, (void)index;
    return pm_je_epoch();
}

/* The value does not matter. */
static int set_epoch(const struct pm_ctl *ctl, size_t index, uint64_t value)
{
    (void)ctl, (void)index, (void)value;
    pm_je_refresh();
    return 0;
}

static uint64_t get_page_bytes(const struct pm_ctl *ctl, size_t index)
{
    (void)ctl, (void)index;
    return pm_os_page_bytes();
}

static uint64_t get_arena_count(const struct pm_ctl *ctl, size_t index)
{
    (void)ctl, (void)index;
    return arena_count();
}

static unsigned class_of_bin(size_t bin)
{
    if (bin < PM_JE_SMALL_BINS)
        return pm_class_of((bin + 1) << PM_GRANULE_SHIFT);
    return (unsigned)(PM_SMALL_CLASSES + bin - PM_JE_SMALL_BINS);
}

static uint64_t get_bin_bytes(const struct pm_ctl *ctl, size_t bin)
{
    (void)ctl;
    return pm_class_bytes(class_of_bin(bin));
}

static uint64_t get_bin_blocks(const struct pm_ctl *ctl, size_t bin)
{
    (void)ctl;
    return pm_class_capacity(class_of_bin(bin));
}

static uint64_t get_bin_pool_bytes(const struct pm_ctl *ctl, size_t bin)
{
    (void)ctl;
    return (uint64_t)pm_class_units(class_of_bin(bin)) << PM_UNIT_SHIFT;
}

/* The same of that snapshot. */
static struct pm_class_stats bin_at_epoch(size_t index)
{
    struct pm_class_stats none = {0};
    return is_made(pm_ctl_first(index)) ? none
                                        : pm_je_class_at_epoch(class_of_bin(pm_ctl_second(index)));
}

static uint64_t get_live_blocks(const struct pm_ctl *ctl, size_t index)
{
    (void)ctl;
    return bin_at_epoch(index).live_blocks;
}

static uint64_t get_pools(const struct pm_ctl *ctl, size_t index)
{
    (void)ctl;
    return bin_at_epoch(index).pools;
}

static uint64_t get_huge_pages(const struct pm_ctl *ctl, size_t index)
{
    (void)ctl, (void)index;
    return (uintptr_t)pm_options.huge_pages;
}

static uint64_t get_delay_ms(const struct pm_ctl *ctl, size_t index)
{
    (void)ctl, (void)index;
    return pm_load_relaxed(&pm_options.purge_delay_ms); /* it orders nothing */
}

/* ---- actions ---- */

/* Of all arenas, as there is one delay. -1 is never, for which the longest stands. */
static int set_delay_ms(const struct pm_ctl *ctl, size_t index, uint64_t value)
{
    (void)ctl, (void)index;
    uint64_t ms = (int64_t)value == -1 ? PM_PURGE_DELAY_MS_MAX : value;
    if (pm_options_change_number("purge_delay_ms", ms) != 0)
        return EFAULT;
    pm_purge_delay_changed();
    return 0;
}

/* There never is memory in that state, so any delay is kept. */
static int set_muzzy_delay_ms(const struct pm_ctl *ctl, size_t index, uint64_t value)
{
    (void)ctl, (void)index;
    return (int64_t)value < -1 ? EFAULT : 0;
}

/* A constant that may be set to what it is. */
static int set_same(const struct pm_ctl *ctl, size_t index, uint64_t value)
{
    (void)index;
    return value == ctl->value ? 0 : EFAULT;
}

static int set_thread_limit(const struct pm_ctl *ctl, size_t index, uint64_t value)
{
    (void)ctl, (void)index;
    return value == 0 ? 0 : EINVAL; /* above opt.max_background_threads */
}

static int set_thread_arena(const struct pm_ctl *ctl, size_t index, uint64_t value)
{
    (void)ctl, (void)index;
    return pm_ctl_index_is_taken(&arenas, value) ? 0 : EFAULT;
}

static int purge(const struct pm_ctl *ctl, size_t index, uint64_t value)
{
    (void)ctl, (void)index, (void)value;
    pm_purge();
    return 0;
}

/* What is due by the deadline. */
static int decay(const struct pm_ctl *ctl, size_t index, uint64_t value)
{
    (void)ctl, (void)index, (void)value;
    pm_arena_tick(pm_os_now_ns());
    return 0;
}

static int idle(const struct pm_ctl *ctl, size_t index, uint64_t value)
{
    (void)ctl, (void)index, (void)value;
    pm_heap_idle();
    return 0;
}

/* A thread cannot do without its heap; what it holds it can let go of. */
static int set_thread_cache(const struct pm_ctl *ctl, size_t index, uint64_t enabled)
{
    if (enabled)
        return 0;
    idle(ctl, index, 0);
    return EFAULT;
}

static int make_arena(uint64_t *index)
{
    return pm_ctl_index_take(&arenas, index) ? 0 : EAGAIN;
}

/* Its blocks are not told from others, so they stay. BIND frees them before, and ends when it is
 * refused. */
static int destroy_arena(const struct pm_ctl *ctl, size_t index, uint64_t value)
{
    (void)ctl, (void)value;
    return is_made(index) && pm_ctl_index_give(&arenas, index) ? 0 : EFAULT;
}

static int make_tcache(uint64_t *index)
{
    return pm_ctl_index_take(&tcaches, index) ? 0 : EAGAIN;
}

static int flush_tcache(const struct pm_ctl *ctl, size_t index, uint64_t tcache)
{
    (void)ctl, (void)index;
    return pm_ctl_index_is_taken(&tcaches, tcache) ? 0 : EFAULT;
}

static int destroy_tcache(const struct pm_ctl *ctl, size_t index, uint64_t tcache)
{
    (void)ctl, (void)index;
    return pm_ctl_index_give(&tcaches, tcache) ? 0 : EFAULT;
}

/* ---- the rows ---- */

#define ROW(name_, kind_, ...)                                                                     \
    {                                                                                              \
        .name = name_, .kind = PM_CTL_##kind_, __VA_ARGS__                                         \
    }
#define CONSTANT(name_, kind_, value_) ROW(name_, kind_, .get = constant, .value = value_)
#define WORD(name_, text_) ROW(name_, TEXT, .get = text, .text = text_)
#define STAT(name_, kind_, field)                                                                  \
    ROW(name_, kind_, .get = figure, .value = offsetof(struct pm_je_stats, field))
#define DELAY(name_) ROW(name_, SSIZE, .get = get_delay_ms, .set = set_delay_ms)
#define MUZZY(name_) ROW(name_, SSIZE, .get = constant, .set = set_muzzy_delay_ms)

/* clang-format off */
const struct pm_ctl pm_ctl_rows[] = {
    ROW("arena.<i>.decay", VOID, .set = decay),
    ROW("arena.<i>.destroy", VOID, .set = destroy_arena),
    DELAY("arena.<i>.dirty_decay_ms"),
    WORD("arena.<i>.dss", "disabled"),
    ROW("arena.<i>.initialized", BOOL, .get = is_initialized),
    MUZZY("arena.<i>.muzzy_decay_ms"),
    ROW("arena.<i>.purge", VOID, .set = purge),
    ROW("arenas.bin.<i>.nregs", UNSIGNED, .get = get_bin_blocks),
    ROW("arenas.bin.<i>.size", SIZE, .get = get_bin_bytes),
    ROW("arenas.bin.<i>.slab_size", SIZE, .get = get_bin_pool_bytes),
    ROW("arenas.create", UNSIGNED, .make = make_arena),
    DELAY("arenas.dirty_decay_ms"),
    MUZZY("arenas.muzzy_decay_ms"),
    ROW("arenas.narenas", UNSIGNED, .get = get_arena_count),
    CONSTANT("arenas.nbins", UNSIGNED, PM_JE_BINS),
    CONSTANT("arenas.nhbins", UNSIGNED, PM_JE_BINS),
    CONSTANT("arenas.nlextents", UNSIGNED, 0),
    ROW("arenas.page", SIZE, .get = get_page_bytes),
    CONSTANT("arenas.quantum", SIZE, PM_JE_QUANTUM),
    CONSTANT("arenas.tcache_max", SIZE, PM_BLOCK_MAX),
    ROW("background_thread", BOOL, .get = constant, .set = set_same),
    CONSTANT("config.cache_oblivious", BOOL, false),
    CONSTANT("config.debug", BOOL, PM_CHECK),
    CONSTANT("config.fill", BOOL, false),
    CONSTANT("config.lazy_lock", BOOL, false),
    WORD("config.malloc_conf", ""),
    CONSTANT("config.opt_safety_checks", BOOL, PM_CHECK),
    CONSTANT("config.prof", BOOL, false),
    CONSTANT("config.prof_libgcc", BOOL, false),
    CONSTANT("config.prof_libunwind", BOOL, false),
    CONSTANT("config.stats", BOOL, true),
    CONSTANT("config.utrace", BOOL, false),
    CONSTANT("config.xmalloc", BOOL, false),
    ROW("epoch", UINT64, .get = get_epoch, .set = set_epoch, .set_first = true),
    ROW("max_background_threads", SIZE, .get = constant, .set = set_thread_limit),
    CONSTANT("opt.abort", BOOL, false),
    CONSTANT("opt.abort_conf", BOOL, false),
    CONSTANT("opt.background_thread", BOOL, false),
    CONSTANT("opt.cache_oblivious", BOOL, false),
    ROW("opt.dirty_decay_ms", SSIZE, .get = get_delay_ms),
    WORD("opt.dss", "disabled"),
    WORD("opt.junk", "false"),
    CONSTANT("opt.max_background_threads", SIZE, 0),
    WORD("opt.metadata_thp", "disabled"),
    CONSTANT("opt.muzzy_decay_ms", SSIZE, 0),
    CONSTANT("opt.narenas", UNSIGNED, 1),
    WORD("opt.percpu_arena", "disabled"),
    CONSTANT("opt.retain", BOOL, true),
    CONSTANT("opt.stats_print", BOOL, false),
    WORD("opt.stats_print_opts", ""),
    CONSTANT("opt.tcache", BOOL, true),
    CONSTANT("opt.tcache_max", SIZE, PM_BLOCK_MAX),
    ROW("opt.thp", TEXT, .get = get_huge_pages),
    CONSTANT("opt.utrace", BOOL, false),
    CONSTANT("opt.xmalloc", BOOL, false),
    CONSTANT("opt.zero", BOOL, false),
    WORD("opt.zero_realloc", "free"),
    STAT("stats.active", SIZE, active),
    STAT("stats.allocated", SIZE, allocated),
    STAT("stats.arenas.<i>.base", SIZE, metadata),
    ROW("stats.arenas.<i>.bins.<j>.curregs", SIZE, .get = get_live_blocks),
    ROW("stats.arenas.<i>.bins.<j>.curslabs", SIZE, .get = get_pools),
    ROW("stats.arenas.<i>.dirty_decay_ms", SSIZE, .get = get_delay_ms),
    STAT("stats.arenas.<i>.dirty_npurge", UINT64, purges),
    STAT("stats.arenas.<i>.dirty_purged", UINT64, purged_pages),
    WORD("stats.arenas.<i>.dss", "disabled"),
    CONSTANT("stats.arenas.<i>.internal", SIZE, 0),
    STAT("stats.arenas.<i>.large.allocated", SIZE, large),
    STAT("stats.arenas.<i>.mapped", SIZE, mapped),
    CONSTANT("stats.arenas.<i>.metadata_thp", SIZE, 0),
    CONSTANT("stats.arenas.<i>.muzzy_decay_ms", SSIZE, 0),
    CONSTANT("stats.arenas.<i>.muzzy_nmadvise", UINT64, 0),
    CONSTANT("stats.arenas.<i>.muzzy_npurge", UINT64, 0),
    CONSTANT("stats.arenas.<i>.muzzy_purged", UINT64, 0),
    STAT("stats.arenas.<i>.nthreads", UNSIGNED, threads),
    STAT("stats.arenas.<i>.pactive", SIZE, active_pages),
    STAT("stats.arenas.<i>.pdirty", SIZE, dirty_pages),
    CONSTANT("stats.arenas.<i>.pmuzzy", SIZE, 0),
    STAT("stats.arenas.<i>.resident", SIZE, resident),
    STAT("stats.arenas.<i>.retained", SIZE, retained),
    STAT("stats.arenas.<i>.small.allocated", SIZE, small),
    STAT("stats.arenas.<i>.tcache_bytes", SIZE, thread_cache),
    CONSTANT("stats.background_thread.num_runs", UINT64, 0),
    CONSTANT("stats.background_thread.num_threads", SIZE, 0),
    CONSTANT("stats.background_thread.run_interval", UINT64, 0),
    STAT("stats.mapped", SIZE, mapped),
    STAT("stats.metadata", SIZE, metadata),
    CONSTANT("stats.metadata_thp", SIZE, 0),
    STAT("stats.resident", SIZE, resident),
    STAT("stats.retained", SIZE, retained),
    ROW("tcache.create", UNSIGNED, .make = make_tcache),
    ROW("tcache.destroy", UNSIGNED, .set = destroy_tcache),
    ROW("tcache.flush", UNSIGNED, .set = flush_tcache),
    ROW("thread.arena", UNSIGNED, .get = constant, .set = set_thread_arena),
    ROW("thread.idle", VOID, .set = idle),
    ROW("thread.tcache.enabled", BOOL, .get = constant, .set = set_thread_cache, .value = true),
    ROW("thread.tcache.flush", VOID, .set = idle),
    WORD("version", PM_JE_VERSION),
};
/* clang-format on */
const size_t pm_ctl_count = sizeof pm_ctl_rows / sizeof *pm_ctl_rows;
