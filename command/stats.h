/* SPDX-License-Identifier: MIT */
/* poolmalloc stats: its forms. stats.c takes samples of a process's page, these write them. */
#ifndef PM_COMMAND_STATS_H
#define PM_COMMAND_STATS_H

#include "live.h"
#include "poolmalloc/stats_page.h"

struct samples {
    struct watched watched;
    struct screen screen;
    struct pm_stats_page now, before; /* the last two updates that were seen */
    bool has_news;                    /* `now` is of this look */
    double seconds;                   /* between the two, or since the last if that is longer; 0:
                                         rates are not known */
    double age_s;                     /* of the last one */
    unsigned long looks;
};

/* A word of the page is so much more each second than it was; 0 if that is not known. */
double rate_of(const struct samples *samples, uint64_t now, uint64_t before);

/* The row of the sample before for the same thread, class or lock; NULL: there was none. */
const struct pm_stats_page_thread *thread_before(const struct samples *samples, uint64_t thread_id);
const struct pm_stats_page_class *class_before(const struct samples *samples, uint64_t block_bytes);

void show_table(struct samples *samples);
void show_row(struct samples *samples);
void show_json(struct samples *samples);

#endif
