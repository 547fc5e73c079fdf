/* SPDX-License-Identifier: MIT */
/*
 * mallinfo, malloc_info, malloc_stats, mallopt: under pm_ names and, where PM_OVERRIDE says so,
 * under glibc's. Any thread. docs/statistics.md has what each figure and parameter means.
 */
#include "api/alias.h"
#include "api/figures.h"
#include "base/atomic.h"
#include "base/options.h"
#include "base/report.h"
#include "heap/heap.h"

#include <errno.h>
#include <limits.h>

/* For malloc.c, which pulls this file in. */
extern const char pm_gnu_linked PM_HIDDEN;
const char pm_gnu_linked = 1;

/* Free memory that only a trim, or a deadline, gives back: no pool is cut from it. */
static uint64_t trimmable(const struct pm_stats *s)
{
    return s->kept_bytes + s->stash_bytes + s->dirty_bytes;
}

static struct pm_mallinfo2_figures info_of(const struct pm_figures *f)
{
    const struct pm_stats *s = &f->stats;
    size_t arena = f->pool_bytes + trimmable(s);
    return (struct pm_mallinfo2_figures){
        .arena = arena,
        .ordblks = f->available_blocks,
        .hblks = s->spans,
        .hblkhd = s->span_held_bytes,
        .uordblks = f->live_bytes,
        .fordblks = arena - f->live_bytes, /* a part of pool_bytes, by the same walk */
        .keepcost = trimmable(s),
    };
}

struct pm_mallinfo2_figures pm_mallinfo2(void)
{
    struct pm_figures figures;
    pm_figures_take(&figures);
    return info_of(&figures);
}

static int saturated(size_t n)
{
    return n < INT_MAX ? (int)n : INT_MAX;
}

struct pm_mallinfo_figures pm_mallinfo(void)
{
    struct pm_mallinfo2_figures info = pm_mallinfo2();
    return (struct pm_mallinfo_figures){
        .arena = saturated(info.arena),
        .ordblks = saturated(info.ordblks),
        .smblks = saturated(info.smblks),
        .hblks = saturated(info.hblks),
        .hblkhd = saturated(info.hblkhd),
        .usmblks = saturated(info.usmblks),
        .fsmblks = saturated(info.fsmblks),
        .uordblks = saturated(info.uordblks),
        .fordblks = saturated(info.fordblks),
        .keepcost = saturated(info.keepcost),
    };
}

/* ---- malloc_info ---- */

static void put(FILE *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(FILE *stream, const char *format, ...)
{
    char text[200];
    va_list args;
    va_start(args, format);
    pm_vformat(text, sizeof text, format, args);
    va_end(args);
    fputs(text, stream);
}

static void put_total(FILE *stream, const char *type, uint64_t count, uint64_t size)
{
    put(stream, "<total type=\"%s\" count=\"%lu\" size=\"%lu\"/>\n", type, (unsigned long)count,
        (unsigned long)size);
}

static void put_size(FILE *stream, const char *element, const char *type, uint64_t size)
{
    put(stream, "<%s type=\"%s\" size=\"%lu\"/>\n", element, type, (unsigned long)size);
}

/* `total` and `count` are of what is free, as glibc has it. */
static void put_class(FILE *stream, const struct pm_figures *f, unsigned class, unsigned from)
{
    const char *kind = pm_class_is_gc(class) ? " kind=\"gc\"" : "";
    const struct pm_class_stats *stats = &f->classes[class];
    uint64_t available = stats->pools * pm_class_capacity(class) - stats->live_blocks;
    put(stream, "<size%s from=\"%u\" to=\"%u\" total=\"%lu\" count=\"%lu\"", kind, from,
        (unsigned)pm_class_bytes(class), (unsigned long)(available * pm_class_bytes(class)),
        (unsigned long)available);
    put(stream, " used=\"%lu\" pools=\"%lu\"/>\n", (unsigned long)stats->live_blocks,
        (unsigned long)stats->pools);
}

static void put_classes(FILE *stream, const struct pm_figures *f)
{
    put(stream, "<sizes>\n");
    for (unsigned class = 0, below = 0; class < PM_CLASSES; class ++) {
        if (pm_class_is_gc(class))
            continue;
        if (f->classes[class].pools != 0)
            put_class(stream, f, class, below + 1);
        below = pm_class_bytes(class);
    }
    for (unsigned below = 8, class; below < PM_SMALL_MAX; below = pm_class_bytes(class)) {
        class = pm_class_gc(below + 1);
        if (f->classes[class].pools != 0)
            put_class(stream, f, class, below + 1);
    }
    put(stream, "</sizes>\n");
}

/* Of the pools, or of all: what glibc has of an arena and, summed up, of the process. */
static void put_summary(FILE *stream, const struct pm_figures *f, bool all)
{
    struct pm_mallinfo2_figures info = info_of(f);
    uint64_t mapped = f->stats.arenas * f->stats.arena_bytes;
    put_total(stream, "fast", 0, 0);
    put_total(stream, "rest", info.ordblks, info.fordblks);
    put_total(stream, "used", f->live_blocks, info.uordblks);
    if (all)
        put_total(stream, "mmap", info.hblks, info.hblkhd);
    put_size(stream, "system", "current", info.arena + (all ? info.hblkhd : 0));
    put_size(stream, "system", "max", mapped);
    put_size(stream, "aspace", "total", all ? f->stats.bytes_reserved : mapped);
    put_size(stream, "aspace", "mprotect", mapped);
}

int pm_malloc_info(int options, FILE *stream)
{
    struct pm_figures figures;
    if (options != 0)
        return EINVAL;
    pm_figures_take(&figures);
    put(stream, "<malloc version=\"1\">\n<heap nr=\"0\">\n");
    put_classes(stream, &figures);
    put_summary(stream, &figures, false);
    put(stream, "</heap>\n");
    put_summary(stream, &figures, true);
    put(stream, "</malloc>\n");
    return 0;
}

void pm_malloc_stats(void)
{
    pm_stats_print(NULL, NULL);
}

/* ---- mallopt ---- */

/* glibc's numbers, which not every C library's headers have. */
enum parameter {
    MXFAST = 1,
    NLBLKS = 2,
    GRAIN = 3,
    KEEP = 4,
    TRIM_THRESHOLD = -1,
    TOP_PAD = -2,
    MMAP_THRESHOLD = -3,
    MMAP_MAX = -4,
    CHECK_ACTION = -5,
    PERTURB = -6,
    ARENA_TEST = -7,
    ARENA_MAX = -8,
};

enum { MXFAST_MAX = 80 * sizeof(size_t) / 4, MMAP_THRESHOLD_MAX = 4 * 1024 * 1024 * sizeof(long) };

/* The delay before trimming was switched off, and 1; 0: it is on. Relaxed: a number by itself; two
 * threads that switch at the same time leave one of their settings. */
static _Atomic size_t delay_before_ms;

/* glibc never trims then; here the deadline is as far off as can be, too. */
static void trim_never(void)
{
    size_t delay_ms = pm_load_relaxed(&pm_options.purge_delay_ms);
    if (delay_ms != PM_PURGE_DELAY_MS_MAX)
        pm_store_relaxed(&delay_before_ms, delay_ms + 1);
    pm_options_change_number("purge_delay_ms", PM_PURGE_DELAY_MS_MAX);
    pm_options_change_number("keep_bytes", SIZE_MAX);
}

static void set_trim_threshold(int value)
{
    size_t before = pm_load_relaxed(&delay_before_ms);
    if (value < 0) {
        trim_never();
    } else {
        pm_options_change_number("keep_bytes", (size_t)value);
        if (before != 0)
            pm_options_change_number("purge_delay_ms", before - 1);
        pm_store_relaxed(&delay_before_ms, 0);
    }
    pm_purge_delay_changed();
}

int pm_mallopt(int parameter, int value)
{
    pm_heap_process_init(); /* else the environment would have the last word */
    switch (parameter) {
    case TRIM_THRESHOLD:
        set_trim_threshold(value);
        return 1;
    case MXFAST:
        return value >= 0 && value <= (int)MXFAST_MAX;
    case MMAP_THRESHOLD:
        return value >= 0 && value <= (int)MMAP_THRESHOLD_MAX;
    case NLBLKS:
    case GRAIN:
    case KEEP:
    case TOP_PAD:
    case MMAP_MAX:
    case CHECK_ACTION:
    case PERTURB:
    case ARENA_TEST:
    case ARENA_MAX:
        return 1;
    default:
        return 0;
    }
}

#if PM_OVERRIDE
struct pm_mallinfo2_figures mallinfo2(void) SAME_AS(pm_mallinfo2);
struct pm_mallinfo_figures mallinfo(void) SAME_AS(pm_mallinfo);
int malloc_info(int options, FILE *stream) SAME_AS(pm_malloc_info);
void malloc_stats(void) SAME_AS(pm_malloc_stats);
int mallopt(int parameter, int value) SAME_AS(pm_mallopt);
#endif
