/* SPDX-License-Identifier: MIT */
/*
 * The statistics as one JSON object on one line, of the form that docs/statistics.md describes and
 * stress/stats/stats.py holds it to. Any thread; no lock is held while the caller's function runs.
 */
#include "base/options.h"
#include "os/os.h"
#include "tools/stats.h"

#include <string.h>

/* Keys and texts are printable ASCII: of what JSON escapes they could have two characters. */
static void put_string(struct pm_out *out, const char *text)
{
    pm_out_put(out, "\"");
    for (; *text != 0; text++)
        pm_out_put(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    pm_out_put(out, "\"");
}

static void put_key(struct pm_out *out, const char *key)
{
    if (!out->first)
        pm_out_put(out, ",");
    put_string(out, key);
    pm_out_put(out, ":");
    out->first = false;
}

static void put_number(struct pm_out *out, const char *key, uint64_t number)
{
    pm_out_put(out, "%s\"%s\":%lu", out->first ? "" : ",", key, (unsigned long)number);
    out->first = false;
}

static void put_text(struct pm_out *out, const char *key, const char *text)
{
    pm_out_put(out, "%s\"%s\":", out->first ? "" : ",", key);
    put_string(out, text);
    out->first = false;
}

static void put_open(struct pm_out *out, const char *bracket)
{
    pm_out_put(out, "%s", bracket);
    out->first = true;
}

static void put_close(struct pm_out *out, const char *bracket)
{
    pm_out_put(out, "%s", bracket);
    out->first = false;
}

/* An element of an array that is an object. */
static void put_element(struct pm_out *out)
{
    put_open(out, out->first ? "{" : ",{");
}

static void put_head(struct pm_out *out, const struct pm_report *report)
{
    put_text(out, "format", "poolmalloc-stats");
    put_number(out, "version", 1);
    put_number(out, "pid", pm_os_process_id());
    pm_out_put(out, ",\"arenas_known\":%s", report->figures.arenas_unknown ? "false" : "true");
    put_key(out, "geometry");
    put_open(out, "{");
    put_number(out, "unit_bytes", PM_UNIT_BYTES);
    put_number(out, "arena_bytes", PM_ARENA_BYTES);
    put_number(out, "granule_bytes", PM_GRANULE_BYTES);
    put_number(out, "block_max_bytes", PM_BLOCK_MAX);
    put_close(out, "}");
}

static void put_counters(struct pm_out *out, const struct pm_stats *s)
{
    put_key(out, "counters");
    put_open(out, "{");
    for (unsigned i = 0; i < pm_stats_row_count; i++)
        put_number(out, pm_stats_rows[i].name, pm_stats_value(s, &pm_stats_rows[i]));
    put_close(out, "}");
}

static void put_sum(struct pm_out *out, const struct pm_stats *s)
{
    struct pm_stats_part parts[PM_STATS_PARTS];
    uint64_t total = 0;
    pm_stats_parts(s, parts);
    put_key(out, "sum");
    put_open(out, "{");
    for (size_t i = 0; i < PM_STATS_PARTS; i++) {
        put_number(out, parts[i].key, parts[i].bytes);
        total += parts[i].bytes;
    }
    put_number(out, "total_bytes", total);
    put_close(out, "}");
}

static void put_class(struct pm_out *out, const struct pm_figures *f, unsigned class)
{
    const struct pm_class_stats *stats = &f->classes[class];
    uint64_t blocks = stats->pools * pm_class_capacity(class);
    put_element(out);
    put_number(out, "class", class);
    put_text(out, "kind", pm_class_is_gc(class) ? "gc" : "plain");
    put_number(out, "block_bytes", pm_class_bytes(class));
    put_number(out, "pools", stats->pools);
    put_number(out, "pool_bytes", stats->pools * pm_class_units(class) << PM_UNIT_SHIFT);
    put_number(out, "live_blocks", stats->live_blocks - f->batched_blocks[class]);
    put_number(out, "batched_blocks", f->batched_blocks[class]);
    put_number(out, "available_blocks", blocks - stats->live_blocks);
    put_close(out, "}");
}

static void put_classes(struct pm_out *out, const struct pm_figures *f)
{
    put_key(out, "classes");
    put_open(out, "[");
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        if (f->classes[class].pools != 0)
            put_class(out, f, class);
    }
    put_close(out, "]");
}

static void put_thread(struct pm_out *out, const struct pm_thread_figures *row)
{
    char name[PM_OS_THREAD_NAME_BYTES];
    uint64_t blocks = 0;
    for (unsigned i = 0; i < PM_BATCH_SLOTS; i++)
        blocks += row->heap.batched[i].blocks;
    pm_os_thread_name((unsigned)row->heap.thread_id, name);
    put_element(out);
    put_number(out, "thread_id", row->heap.thread_id);
    put_text(out, "name", name);
    put_number(out, "pool_bytes", row->pool_bytes);
    put_number(out, "live_bytes", row->live_bytes);
    put_number(out, "kept_bytes", row->heap.kept_bytes);
    put_number(out, "stash_bytes", row->heap.stash_bytes);
    put_number(out, "batched_blocks", blocks);
    put_number(out, "mallocs", row->heap.mallocs);
    put_number(out, "frees", row->heap.frees);
    put_number(out, "remote_frees", row->heap.remote_frees);
    put_close(out, "}");
}

static void put_threads(struct pm_out *out, const struct pm_threads_figures *threads)
{
    put_key(out, "threads");
    put_open(out, "[");
    for (unsigned i = 0; i < threads->count; i++)
        put_thread(out, &threads->rows[i]);
    put_close(out, "]");
    put_number(out, "threads_left_out", threads->left_out);
}

static void put_locks(struct pm_out *out)
{
    put_key(out, "locks");
    put_open(out, "[");
    for (unsigned rank = 0; rank < PM_RANK_COUNT; rank++) {
        struct pm_stats_lock lock = pm_stats_lock_of(rank);
        put_element(out);
        put_text(out, "name", lock.name);
        put_number(out, "acquisitions", lock.acquisitions);
        put_number(out, "contended", lock.contended);
        put_close(out, "}");
    }
    put_close(out, "]");
}

void pm_stats_write_json(struct pm_out *out, const struct pm_report *report)
{
    const struct pm_stats *stats = &report->figures.stats;
    put_open(out, "{");
    put_head(out, report);
    put_counters(out, stats);
    put_sum(out, stats);
    put_classes(out, &report->figures);
    put_threads(out, &report->threads);
    put_locks(out);
    put_key(out, "huge_pages");
    put_open(out, "{");
    put_text(out, "option", pm_options.huge_pages);
    put_number(out, "no_huge_arenas", stats->no_huge_arenas);
    put_close(out, "}");
    put_close(out, "}\n");
}

static void write_json(void (*write)(void *arg, const char *text), void *arg)
{
    struct pm_report report;
    struct pm_out out;
    pm_figures_look(PM_LOOK_CLOSELY, &report.figures, &report.threads);
    pm_out_start(&out, write, arg);
    pm_stats_write_json(&out, &report);
    pm_out_end(&out);
}

bool pm_stats_json_fd(int file)
{
    struct pm_out_file to;
    pm_out_file_start(&to, file);
    write_json(pm_out_to_file, &to);
    pm_out_file_end(&to);
    return !to.failed;
}

void pm_stats_json(void (*write)(void *arg, const char *text), void *arg)
{
    if (write != NULL)
        write_json(write, arg);
    else
        pm_stats_json_fd(PM_OS_STDERR);
}
