/* SPDX-License-Identifier: MIT */
/* Statistics in jemalloc's terms, and malloc_stats_print: see je_stats.h. Any thread. */
#include "api/je_stats.h"

#include "api/alias.h"
#include "api/figures.h"
#include "api/jemalloc.h"
#include "base/atomic.h"
#include "base/report.h"
#include "os/os.h"
#include "poolmalloc/poolmalloc.h"

#include <string.h>

enum { FIGURES = sizeof(struct pm_je_stats) / sizeof(uint64_t) };

/* docs/memory-order.md. */
static _Atomic uint64_t snapshot[FIGURES];
static _Atomic uint64_t class_snapshot[PM_CLASSES]; /* pools, and below them their live blocks */
static _Atomic uint64_t epoch;                      /* 0: there is none yet */

enum { CLASS_SHIFT = 32 };

/* Pools by the walk that counted their blocks: so what is allocated is never more than active. */
void pm_je_stats_of(const struct pm_figures *figures, struct pm_je_stats *to)
{
    const struct pm_stats *from = &figures->stats;
    uint64_t page = pm_os_page_bytes(), in_use = figures->pool_bytes + from->span_bytes;
    uint64_t cached = from->kept_bytes + from->stash_bytes;
    *to = (struct pm_je_stats){
        .small = figures->live_bytes,
        .large = from->span_bytes,
        .allocated = figures->live_bytes + from->span_bytes,
        .active = in_use,
        .metadata = from->heap_bytes,
        .resident = in_use + cached + from->dirty_bytes + from->heap_bytes,
        .mapped = figures->pool_bytes + from->span_held_bytes + cached,
        .retained = from->free_bytes - from->dirty_bytes,
        .thread_cache = cached,
        .active_pages = in_use / page,
        .dirty_pages = (cached + from->dirty_bytes) / page,
        .purges = from->purges,
        .purged_pages = from->purged_bytes / page,
        .threads = from->heaps_in_use,
    };
}

uint64_t pm_je_refresh(void)
{
    union {
        struct pm_je_stats stats;
        uint64_t figures[FIGURES];
    } now;
    struct pm_figures figures;
    pm_figures_take(&figures);
    pm_je_stats_of(&figures, &now.stats);
    for (unsigned i = 0; i < FIGURES; i++)
        pm_store_relaxed(&snapshot[i], now.figures[i]);
    const struct pm_class_stats *classes = figures.classes;
    for (unsigned i = 0; i < PM_CLASSES; i++) /* one word: no more blocks than the pools have */
        pm_store_relaxed(&class_snapshot[i],
                         classes[i].pools << CLASS_SHIFT | classes[i].live_blocks);
    /* Acquire-release: publishes the figures to who finds the number in pm_je_epoch. */
    uint64_t number = pm_load_relaxed(&epoch);
    while (!pm_cas_acq_rel(&epoch, &number, number + 1))
        continue;
    return number + 1;
}

uint64_t pm_je_epoch(void)
{
    uint64_t number = pm_load_acquire(&epoch); /* with the figures of pm_je_refresh */
    return number != 0 ? number : pm_je_refresh();
}

void pm_je_stats_at_epoch(struct pm_je_stats *stats)
{
    union {
        struct pm_je_stats stats;
        uint64_t figures[FIGURES];
    } last;
    pm_je_epoch();
    for (unsigned i = 0; i < FIGURES; i++)
        last.figures[i] = pm_load_relaxed(&snapshot[i]);
    *stats = last.stats;
}

struct pm_class_stats pm_je_class_at_epoch(unsigned class)
{
    pm_je_epoch();
    uint64_t word = pm_load_relaxed(&class_snapshot[class]);
    return (struct pm_class_stats){.pools = word >> CLASS_SHIFT, .live_blocks = (uint32_t)word};
}

/* ---- malloc_stats_print ---- */

struct report {
    void (*write)(void *, const char *);
    void *arg;
    bool json;
    bool first; /* of its JSON object */
};

static void write_stderr(void *arg, const char *text)
{
    (void)arg;
    pm_os_append_file("stderr", text, strlen(text));
}

static void put(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put(struct report *report, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    pm_vformat(text, sizeof text, format, args);
    va_end(args);
    report->write(report->arg, text);
}

static void put_open(struct report *report, const char *json_name, const char *title)
{
    if (report->json)
        put(report, "%s\"%s\":{", report->first ? "" : ",", json_name);
    else if (title != NULL)
        put(report, "%s:\n", title);
    report->first = true;
}

static void put_close(struct report *report)
{
    if (report->json)
        put(report, "}");
    report->first = false;
}

static void put_number(struct report *report, const char *name, uint64_t value)
{
    if (report->json)
        put(report, "%s\"%s\":%lu", report->first ? "" : ",", name, (unsigned long)value);
    else
        put(report, "  %s: %lu\n", name, (unsigned long)value);
    report->first = false;
}

static void put_general(struct report *report)
{
    if (report->json)
        put(report, "\"version\":\"%s\"", PM_JE_VERSION);
    else
        put(report, "Version: \"%s\"\n", PM_JE_VERSION);
    report->first = false;
    put_open(report, "arenas", "Sizes");
    put_number(report, "page", pm_os_page_bytes());
    put_number(report, "quantum", PM_JE_QUANTUM);
    put_number(report, "nbins", PM_JE_BINS);
    put_close(report);
}

/* One line in the text: that is where scripts look. */
static void put_summary(struct report *report, const struct pm_je_stats *stats)
{
    if (!report->json) {
        put(report,
            "Allocated: %lu, active: %lu, metadata: %lu, resident: %lu, mapped: %lu, "
            "retained: %lu\n",
            (unsigned long)stats->allocated, (unsigned long)stats->active,
            (unsigned long)stats->metadata, (unsigned long)stats->resident,
            (unsigned long)stats->mapped, (unsigned long)stats->retained);
        return;
    }
    put_open(report, "stats", NULL);
    put_number(report, "allocated", stats->allocated);
    put_number(report, "active", stats->active);
    put_number(report, "metadata", stats->metadata);
    put_number(report, "resident", stats->resident);
    put_number(report, "mapped", stats->mapped);
    put_number(report, "retained", stats->retained);
    put_close(report);
}

static void put_own(struct report *report, const struct pm_stats *stats)
{
    put_open(report, "poolmalloc", "Counters of poolmalloc");
    for (unsigned i = 0; i < pm_stats_row_count; i++)
        put_number(report, pm_stats_rows[i].name, pm_stats_value(stats, &pm_stats_rows[i]));
    put_close(report);
}

void pm_je_malloc_stats_print(void (*write_cb)(void *, const char *), void *cbopaque,
                              const char *opts)
{
    struct report report = {.write = write_cb ? write_cb : write_stderr, .arg = cbopaque};
    struct pm_figures figures;
    struct pm_je_stats stats;
    report.json = opts != NULL && strchr(opts, 'J') != NULL;
    pm_je_refresh();
    pm_figures_take(&figures);
    pm_je_stats_of(&figures, &stats);
    put(&report, report.json ? "{" : "___ Begin poolmalloc statistics ___\n");
    report.first = true;
    put_open(&report, "jemalloc", NULL);
    if (opts == NULL || strchr(opts, 'g') == NULL)
        put_general(&report);
    put_summary(&report, &stats);
    put_close(&report);
    put_own(&report, &figures.stats);
    put(&report, report.json ? "}\n" : "--- End poolmalloc statistics ---\n");
}

#if PM_OVERRIDE
void malloc_stats_print(void (*write_cb)(void *, const char *), void *cbopaque, const char *opts)
    SAME_AS(pm_je_malloc_stats_print);
#endif
