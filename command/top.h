/* SPDX-License-Identifier: MIT */
/*
 * poolmalloc top: who holds memory, by the samples of a process's profile page. top.c reads the
 * page, top_sum.c adds its rows up, top_table.c shows the sums.
 *
 * Amounts are doubles: each stands for what was sampled times its scale, an estimate without bias.
 */
#ifndef PM_COMMAND_TOP_H
#define PM_COMMAND_TOP_H

#include "live.h"
#include "poolmalloc/profile_page.h"
#include "symbols.h"

struct amounts {
    double live_bytes, live_blocks, all_bytes;
};

/* A stack, and then those that do not differ in the frames that are shown. */
struct top_stack {
    const struct pm_profile_row *row; /* one of its rows, for the frames */
    size_t shown;                     /* a number for the names of these frames */
    struct amounts amounts;
    double was_bytes; /* live, at the look before */
};

struct top_function {
    const char *name;
    struct amounts flat, cumulative; /* of its own calls; with those of what it calls */
    size_t seen;                     /* the last stack that it is in, from 1 */
};

enum top_sort { TOP_LIVE, TOP_ALL, TOP_BLOCKS };

struct top {
    struct watched watched;
    struct screen screen;
    struct live_times times;
    enum top_sort sort;
    bool cumulative; /* functions by that */
    unsigned depth;  /* frames of a stack that are shown */
    struct symbols *symbols;

    /* A copy of the page: the process cannot change it any more. */
    struct pm_profile_page *page;
    size_t page_room;
    struct pm_profile_row *rows;
    size_t row_count, row_room;

    /* By the row's number: the estimate of its live bytes at the look before. */
    double *was_bytes;
    size_t was_count, was_room;
    double looked_s, seconds; /* when, and since the look before; 0: there was none */

    struct top_stack *stacks;
    size_t stack_count, stack_room, different_stacks;
    struct top_function *functions;
    size_t function_count, function_room;
    struct amounts total;
};

/* Adds up the rows that were copied, by stack and by function, each sorted. */
void sum_rows(struct top *top);
/* What is sorted by. */
double amount_of(const struct top *top, const struct amounts *amounts);

void show_top(struct top *top);

#endif
