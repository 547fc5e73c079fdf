/* SPDX-License-Identifier: MIT */
/* The order of rows of statistics, that of tracemalloc's Statistic and StatisticDiff. The C
 * library's qsort may allocate: a heap of our own. */
#include "tools/snapshot_table.h"

#include <string.h>

static int of_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int of_texts(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "");
}

/* tracemalloc's frames are files and lines; what comes behind these tells the rest apart. */
static int of_frames(const struct pm_snapshot_frame *a, const struct pm_snapshot_frame *b)
{
    int order = of_texts(a->file, b->file);
    order = order != 0 ? order : of_numbers(a->line, b->line);
    order = order != 0 ? order : of_texts(a->function, b->function);
    order = order != 0 ? order : of_texts(a->module, b->module);
    order = order != 0 ? order : of_numbers(a->offset, b->offset);
    return order != 0 ? order : of_numbers(a->address, b->address);
}

/* From the outermost frame on, as a Traceback of Python 3.7 and later. */
static int of_tracebacks(const struct pm_snapshot_row *a, const struct pm_snapshot_row *b)
{
    unsigned i = a->frame_count, k = b->frame_count;
    while (i > 0 && k > 0) {
        int order = of_frames(&a->frames[--i], &b->frames[--k]);
        if (order != 0)
            return order;
    }
    return of_numbers(a->frame_count, b->frame_count);
}

static uint64_t size_of(int64_t diff)
{
    return diff < 0 ? 0 - (uint64_t)diff : (uint64_t)diff;
}

/* Above 0: `a` comes first. */
static int of_rows(const struct pm_snapshot_row *a, const struct pm_snapshot_row *b)
{
    int order = of_numbers(size_of(a->bytes_diff), size_of(b->bytes_diff));
    order = order != 0 ? order : of_numbers(a->bytes, b->bytes);
    order = order != 0 ? order : of_numbers(size_of(a->blocks_diff), size_of(b->blocks_diff));
    order = order != 0 ? order : of_numbers(a->blocks, b->blocks);
    order = order != 0 ? order : of_tracebacks(a, b);
    return order != 0 ? order : of_numbers(a->domain, b->domain);
}

static void swap(struct pm_snapshot_row *a, struct pm_snapshot_row *b)
{
    struct pm_snapshot_row kept = *a;
    *a = *b;
    *b = kept;
}

/* No row below `at` comes before one above it; at the root is what comes last. */
static void sift(struct pm_snapshot_row *rows, size_t at, size_t count)
{
    for (size_t below; (below = 2 * at + 1) < count; at = below) {
        if (below + 1 < count && of_rows(&rows[below + 1], &rows[below]) < 0)
            below++;
        if (of_rows(&rows[at], &rows[below]) <= 0)
            return;
        swap(&rows[at], &rows[below]);
    }
}

void pm_snapshot_sort_rows(struct pm_snapshot_row *rows, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift(rows, i, count);
    for (size_t i = count; i-- > 1;) {
        swap(&rows[0], &rows[i]);
        sift(rows, 0, i);
    }
}
