/* SPDX-License-Identifier: MIT */
/* Tables for terminals. See view.h. */
#include "command.h"
#include "memory.h"
#include "view.h"

#include <inttypes.h>
#include <poolmalloc/trace.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN "<unknown>"

const char *view_domain_name(unsigned domain)
{
    static const char *const names[PM_TRACE_DOMAINS] = {
        [PM_TRACE_RAW] = "raw",       [PM_TRACE_MEM] = "mem", [PM_TRACE_OBJECT] = "object",
        [PM_TRACE_MALLOC] = "malloc", [PM_TRACE_NEW] = "new", [PM_TRACE_NEW_ARRAY] = "new[]",
        [PM_TRACE_HEAP] = "heap",
    };
    static char text[32];
    if (domain < PM_TRACE_DOMAINS)
        return names[domain];
    snprintf(text, sizeof text, "domain %u", domain);
    return text;
}

const char *view_time_text(uint64_t time)
{
    static char text[64];
    time_t seconds = (time_t)time;
    struct tm parts;
    text[0] = 0;
    if (time != 0 && gmtime_r(&seconds, &parts) != NULL)
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

char *view_exactness(const struct recording *recording)
{
    if (recording->kind == RECORDING_SNAPSHOT)
        return get_text("traced: each block, exact");
    if (recording->mean_bytes <= 1)
        return get_text("each block, exact");
    return get_text("sampled: one byte in %" PRIu64 " on average, scaled to what that stands for",
                    recording->mean_bytes);
}

static void print_fact(const char *name, const char *text)
{
    if (text != NULL && text[0] != 0)
        printf("%-9s %s\n", name, text);
}

static void print_number(const char *name, uint64_t number, const char *unit)
{
    if (number != 0)
        printf("%-9s %" PRIu64 "%s\n", name, number, unit);
}

void view_print_about(const struct recording *recording)
{
    char *exactness = view_exactness(recording);
    print_fact("file:", recording->input.path);
    print_fact("program:", recording->program);
    print_number("pid:", recording->process_id, "");
    print_fact("time:", view_time_text(recording->time));
    print_fact("figures:", exactness);
    print_number("peak:", recording->peak_bytes, " bytes");
    print_number("frames:", recording->frame_limit, " at most, of each stack");
    free(exactness);
}

static char *text_of_place(const struct pm_snapshot_frame *frame)
{
    const char *name = frame->function != NULL ? frame->function : UNKNOWN;
    if (frame->file == NULL)
        return get_text("%s", name);
    return frame->line != 0 ? get_text("%s %s:%" PRIu64, name, frame->file, frame->line)
                            : get_text("%s %s", name, frame->file);
}

char *view_frame_text(const struct pm_snapshot_frame *frame, enum pm_snapshot_group group)
{
    const char *module = frame->module != NULL ? frame->module : UNKNOWN;
    switch (group) {
    case PM_SNAPSHOT_BY_MODULE:
        return get_text("%s", module);
    case PM_SNAPSHOT_BY_FILE:
        return get_text("%s", frame->file != NULL ? frame->file : module);
    case PM_SNAPSHOT_BY_LINE:
        return frame->file != NULL ? get_text("%s:%" PRIu64, frame->file, frame->line)
                                   : get_text("%s", module);
    case PM_SNAPSHOT_BY_FUNCTION:
        return get_text("%s", frame->function != NULL ? frame->function : UNKNOWN);
    default:
        return text_of_place(frame);
    }
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole != 0 ? 100.0 * (double)part / (double)whole : 0;
}

/* The figures of a row, without what they are of. */
static void print_figures(uint64_t bytes, uint64_t blocks, double share, bool is_diff,
                          int64_t bytes_diff, int64_t blocks_diff)
{
    if (is_diff)
        printf("%+14" PRId64 " %14" PRIu64 " %+12" PRId64 " %12" PRIu64, bytes_diff, bytes,
               blocks_diff, blocks);
    else
        printf("%14" PRIu64 " %6.2f%% %12" PRIu64, bytes, share, blocks);
}

static void print_row(const struct pm_snapshot_row *row, const struct view_options *options,
                      uint64_t sum_bytes, bool is_diff)
{
    print_figures(row->bytes, row->blocks, percent(row->bytes, sum_bytes), is_diff, row->bytes_diff,
                  row->blocks_diff);
    if (options->group == PM_SNAPSHOT_BY_DOMAIN) {
        printf("  %s\n", view_domain_name(row->domain));
        return;
    }
    for (unsigned i = 0; i < row->frame_count; i++) {
        char *text = view_frame_text(&row->frames[i], options->group);
        if (i == 0)
            printf("  %s\n", text);
        else
            printf("%*s%s\n", is_diff ? 58 : 38, "", text);
        free(text);
    }
    if (row->frame_count == 0)
        printf("  %s\n", UNKNOWN);
}

void view_print_table(const struct pm_snapshot_table *table, const struct view_options *options,
                      const struct pm_snapshot_about *sums, bool is_diff)
{
    const char *what = options->group_name;
    size_t shown = table->count < options->top ? table->count : options->top;
    if (is_diff)
        printf("%14s %14s %12s %12s  %s\n", "bytes diff", "bytes", "blocks diff", "blocks", what);
    else
        printf("%14s %7s %12s  %s%s\n", "bytes", "share", "blocks", what,
               options->cumulative ? ", with all that it called" : "");
    for (size_t i = 0; i < shown; i++)
        print_row(&table->rows[i], options, sums[0].bytes, is_diff);
    if (shown < table->count)
        printf("... and %zu more\n", table->count - shown);
    print_figures(sums[0].bytes, sums[0].blocks, percent(sums[0].bytes, sums[0].bytes), is_diff,
                  is_diff ? (int64_t)(sums[0].bytes - sums[1].bytes) : 0,
                  is_diff ? (int64_t)(sums[0].blocks - sums[1].blocks) : 0);
    printf("  total\n");
}
