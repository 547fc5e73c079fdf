/* SPDX-License-Identifier: MIT */
/* poolmalloc stats: a picture for people, or a row of figures for each look. */
#include "stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CLASSES_MOST = 10,
    CLASSES_LEAST = 3,
    THREADS_LEAST = 3,
    LOCK_LINES = 2, /* besides the locks: a heading, and a blank line before it */
};

/* ---- totals ---- */

static uint64_t bytes_in_use(const struct pm_stats *s)
{
    return s->live_bytes + s->span_bytes + s->guarded_bytes;
}

static void put_total(struct samples *s, const char *label, uint64_t now, uint64_t before)
{
    char number[NUMBER_BYTES], rate[NUMBER_BYTES] = "";
    with_commas(number, (int64_t)now, false);
    if (s->seconds > 0)
        with_commas(rate, (int64_t)rate_of(s, now, before), true);
    put_line(&s->screen, "%-34s %20s %18s", label, number, rate);
}

static void put_totals(struct samples *s)
{
    const struct pm_stats *n = &s->now.stats.stats, *b = &s->before.stats.stats;
    const struct {
        const char *label;
        uint64_t now, before;
        bool is_rare; /* shown only if there is any */
    } rows[] = {
        {"bytes in use", bytes_in_use(n), bytes_in_use(b), false},
        {"  in pools", n->live_bytes, b->live_bytes, false},
        {"  in large blocks", n->span_bytes, b->span_bytes, false},
        {"  in guarded blocks", n->guarded_bytes, b->guarded_bytes, true},
        {"bytes freed, held back in batches", n->batched_bytes, b->batched_bytes, false},
        {"bytes free in pools", n->available_bytes, b->available_bytes, false},
        {"bytes that threads keep", n->kept_bytes + n->stash_bytes, b->kept_bytes + b->stash_bytes,
         false},
        {"bytes free, perhaps resident", n->dirty_bytes, b->dirty_bytes, false},
        {"bytes of all arenas", n->arenas * n->arena_bytes, b->arenas * b->arena_bytes, false},
        {"blocks in use", n->live_blocks + n->spans + n->guarded_blocks,
         b->live_blocks + b->spans + b->guarded_blocks, false},
        {"blocks handed out", n->mallocs, b->mallocs, false},
        {"blocks freed", n->frees, b->frees, false},
        {"blocks freed by other threads", n->remote_frees, b->remote_frees, false},
        {"slow paths of malloc", n->refills, b->refills, false},
        {"bytes given back to the system", n->purged_bytes, b->purged_bytes, false},
    };
    put_heading(&s->screen, "%34s %20s %18s", "", "now", s->seconds > 0 ? "per second" : "");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].is_rare || rows[i].now != 0)
            put_total(s, rows[i].label, rows[i].now, rows[i].before);
    }
}

/* ---- classes ---- */

static uint64_t class_bytes(const struct pm_stats_page_class *row)
{
    return row->live_blocks * row->block_bytes;
}

static int by_class_bytes(const void *a, const void *b)
{
    uint64_t one = class_bytes(a), other = class_bytes(b);
    return one < other ? 1 : one > other ? -1 : 0;
}

static void put_class(struct samples *s, const struct pm_stats_page_class *row)
{
    const struct pm_stats_page_class *was = class_before(s, row->block_bytes);
    char in_use[NUMBER_BYTES], pools[NUMBER_BYTES], blocks[NUMBER_BYTES], rate[NUMBER_BYTES] = "";
    if (s->seconds > 0)
        with_commas(rate, (int64_t)rate_of(s, class_bytes(row), was != NULL ? class_bytes(was) : 0),
                    true);
    put_line(&s->screen, "%11lu %16s %16s %14s %16s", (unsigned long)row->block_bytes,
             with_commas(in_use, (int64_t)class_bytes(row), false),
             with_commas(pools, (int64_t)row->pool_bytes, false),
             with_commas(blocks, (int64_t)row->live_blocks, false), rate);
}

static void put_classes(struct samples *s, unsigned most)
{
    struct pm_stats_page_class rows[PM_STATS_PAGE_CLASSES];
    uint64_t shown = s->now.classes < most ? s->now.classes : most;
    memcpy(rows, s->now.class_rows, sizeof rows);
    qsort(rows, s->now.classes, sizeof *rows, by_class_bytes);
    put_line(&s->screen, "%s", "");
    put_heading(&s->screen, "%11s %16s %16s %14s %16s", "block bytes", "bytes in use",
                "bytes of pools", "blocks in use", s->seconds > 0 ? "bytes per second" : "");
    for (uint64_t i = 0; i < shown; i++)
        put_class(s, &rows[i]);
    if (shown < s->now.classes)
        put_line(&s->screen, "and %lu size classes more", (unsigned long)(s->now.classes - shown));
}

/* ---- threads ---- */

static int by_thread_bytes(const void *a, const void *b)
{
    const struct pm_stats_page_thread *one = a, *other = b;
    if (one->pool_bytes != other->pool_bytes)
        return one->pool_bytes < other->pool_bytes ? 1 : -1;
    return one->thread_id < other->thread_id ? -1 : one->thread_id > other->thread_id;
}

static void put_thread(struct samples *s, const struct pm_stats_page_thread *row)
{
    const struct pm_stats_page_thread *was = thread_before(s, row->thread_id);
    char name[WATCHED_NAME_BYTES], in_use[NUMBER_BYTES], pools[NUMBER_BYTES];
    char mallocs[NUMBER_BYTES] = "", frees[NUMBER_BYTES] = "";
    thread_name(&s->watched, row->thread_id, name);
    if (s->seconds > 0 && was != NULL) {
        uint64_t freed = row->frees + row->remote_frees,
                 freed_then = was->frees + was->remote_frees;
        with_commas(mallocs, (int64_t)rate_of(s, row->mallocs, was->mallocs), false);
        with_commas(frees, (int64_t)rate_of(s, freed, freed_then), false);
    }
    put_line(&s->screen, "%8lu %-15s %15s %15s %11s %11s", (unsigned long)row->thread_id, name,
             with_commas(in_use, (int64_t)row->live_bytes, false),
             with_commas(pools, (int64_t)row->pool_bytes, false), mallocs, frees);
}

static void put_threads(struct samples *s, unsigned most)
{
    struct pm_stats_page_thread rows[PM_STATS_PAGE_THREADS];
    uint64_t shown = s->now.threads < most ? s->now.threads : most;
    uint64_t more = s->now.threads - shown + s->now.threads_left_out;
    memcpy(rows, s->now.thread_rows, sizeof rows);
    qsort(rows, s->now.threads, sizeof *rows, by_thread_bytes);
    put_line(&s->screen, "%s", "");
    put_heading(&s->screen, "%8s %-15s %15s %15s %11s %11s", "thread", "name", "in use there",
                "bytes of pools", s->seconds > 0 ? "mallocs/s" : "",
                s->seconds > 0 ? "frees/s" : "");
    for (uint64_t i = 0; i < shown; i++)
        put_thread(s, &rows[i]);
    if (more != 0)
        put_line(&s->screen, "and %lu thread%s more", (unsigned long)more, more == 1 ? "" : "s");
}

/* ---- locks ---- */

static void put_locks(struct samples *s)
{
    put_line(&s->screen, "%s", "");
    put_heading(&s->screen, "%-12s %16s %16s %14s %14s", "lock", "acquisitions", "contended",
                s->seconds > 0 ? "acquired/s" : "", s->seconds > 0 ? "contended/s" : "");
    for (uint64_t i = 0; i < s->now.locks; i++) {
        const struct pm_stats_page_lock *row = &s->now.lock_rows[i], *was = &s->before.lock_rows[i];
        char acquisitions[NUMBER_BYTES], contended[NUMBER_BYTES];
        char per_second[NUMBER_BYTES] = "", contended_per_second[NUMBER_BYTES] = "";
        if (s->seconds > 0) {
            double rate = rate_of(s, row->acquisitions, was->acquisitions);
            with_commas(per_second, (int64_t)rate, false);
            rate = rate_of(s, row->contended, was->contended);
            with_commas(contended_per_second, (int64_t)rate, false);
        }
        put_line(&s->screen, "%-12s %16s %16s %14s %14s", row->name,
                 with_commas(acquisitions, (int64_t)row->acquisitions, false),
                 with_commas(contended, (int64_t)row->contended, false), per_second,
                 contended_per_second);
    }
}

/* How many rows of `wanted` fit, if `others` lines have to come as well. */
static unsigned fitting(const struct screen *screen, unsigned wanted, unsigned others,
                        unsigned least)
{
    unsigned left = rows_left(screen);
    unsigned room = left > others ? left - others : 0;
    if (room < least)
        room = least;
    return room < wanted ? room : wanted;
}

void show_table(struct samples *s)
{
    const unsigned table_lines = 3; /* a blank one, a heading, "and so many more" */
    unsigned locks = LOCK_LINES + (unsigned)s->now.locks;
    unsigned threads = table_lines + (unsigned)s->now.threads;
    begin_picture(&s->screen);
    unsigned long all = s->now.threads + s->now.threads_left_out;
    put_heading(&s->screen, "Process %d (%s): %lu thread%s, as of %.1f s ago", (int)s->watched.pid,
                s->watched.name, all, all == 1 ? "" : "s", s->age_s);
    put_totals(s);
    put_classes(s, fitting(&s->screen, CLASSES_MOST, table_lines + threads + locks, CLASSES_LEAST));
    put_threads(s, fitting(&s->screen, PM_STATS_PAGE_THREADS, table_lines + locks, THREADS_LEAST));
    put_locks(s);
    end_picture(&s->screen);
}

/* ---- rows ---- */

void show_row(struct samples *s)
{
    const struct pm_stats *n = &s->now.stats.stats, *b = &s->before.stats.stats;
    time_t now = time(NULL);
    char clock[16] = "";
    struct tm broken;
    if (localtime_r(&now, &broken) != NULL)
        strftime(clock, sizeof clock, "%H:%M:%S", &broken);
    if (!s->screen.is_begun)
        printf("    time    bytes in use      large bytes     arenas bytes  perhaps resident"
               "   mallocs/s     frees/s  contended/s  threads\n");
    s->screen.is_begun = true;
    printf("%8s %15lu %16lu %16lu %17lu %11.0f %11.0f %12.0f %8lu\n", clock,
           (unsigned long)bytes_in_use(n), (unsigned long)n->span_bytes,
           (unsigned long)(n->arenas * n->arena_bytes), (unsigned long)n->dirty_bytes,
           rate_of(s, n->mallocs, b->mallocs),
           rate_of(s, n->frees + n->remote_frees, b->frees + b->remote_frees),
           rate_of(s, n->lock_contended, b->lock_contended),
           (unsigned long)(s->now.threads + s->now.threads_left_out));
}
