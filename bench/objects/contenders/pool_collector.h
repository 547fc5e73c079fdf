/* SPDX-License-Identifier: MIT */
/* The collector of libpoolobject. See contender.h. */
static inline void collect_begin(bool by_themselves)
{
    if (!by_themselves)
        pm_gc_disable();
}

/* How many objects were trash. */
static inline uint64_t collect_all(void)
{
    struct pm_gc_result result;
    if (!pm_gc_collect(PM_GC_GENERATIONS - 1, &result))
        bench_die("nothing was collected");
    return result.collected;
}

static inline double collect_pause_seconds(void)
{
    struct pm_gc_stats stats;
    pm_gc_get_stats(&stats);
    return (double)stats.pause_ns_max * 1e-9;
}

static inline struct vertex **collect_table(uint64_t count)
{
    return bench_table(count, sizeof(struct vertex *));
}

static inline void collect_table_drop(struct vertex **table, uint64_t count)
{
    bench_table_drop(table, count, sizeof(struct vertex *));
}
