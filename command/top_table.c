/* SPDX-License-Identifier: MIT */
/* poolmalloc top: a picture for people. See top.h. */
#include "top.h"

#include <stdio.h>
#include <string.h>

enum {
    MOST = 20,          /* functions, and stacks, where there is room for all */
    LEAST = 2,          /* in a picture in place, of each */
    LINES_OF_TABLE = 2, /* a blank one and a heading */
    STACK_BYTES = 450,  /* of a line; a terminal shows less */
};

static const char *rounded(char to[NUMBER_BYTES], double amount)
{
    return with_commas(to, (int64_t)(amount + 0.5), false);
}

static double percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

static void put_head(struct top *top)
{
    const struct watched *w = &top->watched;
    char bytes[NUMBER_BYTES], blocks[NUMBER_BYTES], mean[NUMBER_BYTES];
    put_heading(&top->screen, "Process %d (%s): about %s bytes in %s blocks, from %zu stacks",
                (int)w->pid, w->name, rounded(bytes, top->total.live_bytes),
                rounded(blocks, top->total.live_blocks), top->different_stacks);
    if (top->page->mean_bytes == 0)
        put_line(&top->screen, "The profiler is stopped; what was sampled before is shown.");
    else if (top->page->mean_bytes == 1)
        put_line(&top->screen, "Every block is sampled.");
    else
        put_line(&top->screen, "One byte in %s is sampled.",
                 with_commas(mean, (int64_t)top->page->mean_bytes, false));
    if (top->page->dropped_samples != 0)
        put_line(&top->screen, "There was no room for %lu samples: figures are too low.",
                 (unsigned long)top->page->dropped_samples);
}

/* ---- functions ---- */

static void put_functions(struct top *top, size_t most)
{
    static const char *const what[] = {
        [TOP_LIVE] = "bytes", [TOP_ALL] = "all bytes", [TOP_BLOCKS] = "blocks"};
    double total = amount_of(top, &top->total);
    put_line(&top->screen, "%s", "");
    put_heading(&top->screen, "%17s %6s %17s %6s  %s", what[top->sort], "", "with callees", "",
                "function");
    for (size_t i = 0; i < top->function_count && i < most; i++) {
        const struct top_function *function = &top->functions[i];
        double flat = amount_of(top, &function->flat);
        double cumulative = amount_of(top, &function->cumulative);
        char one[NUMBER_BYTES], other[NUMBER_BYTES];
        put_line(&top->screen, "%17s %5.1f%% %17s %5.1f%%  %s", rounded(one, flat),
                 percent(flat, total), rounded(other, cumulative), percent(cumulative, total),
                 function->name);
    }
}

/* ---- stacks ---- */

/* "innermost < its caller < ...", as many frames as are asked for. */
static void write_stack(const struct top *top, const struct pm_profile_row *row, char *text)
{
    size_t used = 0;
    unsigned left = top->depth;
    text[0] = 0;
    for (uint64_t i = 0; i < row->depth && left > 0; i++) {
        const struct symbol_frame *frames;
        size_t count = symbols_find(top->symbols, row->frames[i], &frames);
        for (size_t j = 0; j < count && left > 0 && used < STACK_BYTES - 1; j++, left--)
            used += (size_t)snprintf(text + used, STACK_BYTES - used, "%s%s",
                                     used == 0 ? "" : " < ", frames[j].name);
    }
    if (row->depth == 0)
        strcpy(text, "(not known)");
}

static void put_stacks(struct top *top, size_t most)
{
    put_line(&top->screen, "%s", "");
    put_heading(&top->screen, "%15s %11s %17s %13s  %s", "bytes", "blocks", "all bytes",
                top->seconds > 0 ? "per second" : "", "stack");
    for (size_t i = 0; i < top->stack_count && i < most; i++) {
        const struct top_stack *stack = &top->stacks[i];
        const struct amounts *amounts = &stack->amounts;
        char live[NUMBER_BYTES], blocks[NUMBER_BYTES], all[NUMBER_BYTES], change[NUMBER_BYTES] = "";
        char text[STACK_BYTES];
        write_stack(top, stack->row, text);
        if (top->seconds > 0)
            with_commas(change, (int64_t)((amounts->live_bytes - stack->was_bytes) / top->seconds),
                        true);
        put_line(&top->screen, "%15s %11s %17s %13s  %s", rounded(live, amounts->live_bytes),
                 rounded(blocks, amounts->live_blocks), rounded(all, amounts->all_bytes), change,
                 text);
    }
}

void show_top(struct top *top)
{
    begin_picture(&top->screen);
    put_head(top);
    unsigned left = rows_left(&top->screen);
    size_t half = left > 2 * LINES_OF_TABLE ? (left - 2 * LINES_OF_TABLE) / 2 : 0;
    half = half < LEAST ? LEAST : half > MOST ? MOST : half;
    put_functions(top, half);
    put_stacks(top, top->screen.in_place ? left : MOST);
    end_picture(&top->screen);
}
