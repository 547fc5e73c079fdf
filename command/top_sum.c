/* SPDX-License-Identifier: MIT */
/* poolmalloc top: from rows of samples to sums by stack and by function. See top.h. */
#include "memory.h"
#include "strings.h"
#include "top.h"

#include <stdlib.h>
#include <string.h>

double amount_of(const struct top *top, const struct amounts *amounts)
{
    switch (top->sort) {
    case TOP_ALL:
        return amounts->all_bytes;
    case TOP_BLOCKS:
        return amounts->live_blocks;
    default:
        return amounts->live_bytes;
    }
}

static void add(struct amounts *to, const struct amounts *more)
{
    to->live_bytes += more->live_bytes;
    to->live_blocks += more->live_blocks;
    to->all_bytes += more->all_bytes;
}

static struct amounts amounts_of(const struct pm_profile_row *row)
{
    double scale = pm_profile_row_scale(row);
    return (struct amounts){
        .live_bytes = scale * (double)row->live_bytes,
        .live_blocks = scale * (double)row->live_blocks,
        .all_bytes = scale * (double)row->all_bytes,
    };
}

/* ---- stacks ---- */

static int by_frames(const void *a, const void *b)
{
    const struct pm_profile_row *one = a, *other = b;
    if (one->depth != other->depth)
        return one->depth < other->depth ? -1 : 1;
    for (uint64_t i = 0; i < one->depth; i++) {
        if (one->frames[i] != other->frames[i])
            return one->frames[i] < other->frames[i] ? -1 : 1;
    }
    return 0;
}

/* What the row had at the look before; and it is remembered what it has now. */
static double exchange_bytes(struct top *top, const struct pm_profile_row *row, double bytes)
{
    size_t number = row->published - 1;
    top->was_bytes = get_room(top->was_bytes, &top->was_room, number + 1, sizeof *top->was_bytes);
    for (; top->was_count <= number; top->was_count++)
        top->was_bytes[top->was_count] = 0;
    double was = top->was_bytes[number];
    top->was_bytes[number] = bytes;
    return was;
}

/* Rows of one stack, which has them by size of the blocks, are one behind the other. */
static void sum_stacks(struct top *top)
{
    top->stack_count = 0;
    top->total = (struct amounts){0};
    if (top->row_count != 0)
        qsort(top->rows, top->row_count, sizeof *top->rows, by_frames);
    for (size_t i = 0; i < top->row_count; i++) {
        const struct pm_profile_row *row = &top->rows[i];
        struct amounts amounts = amounts_of(row);
        if (i == 0 || by_frames(row - 1, row) != 0) {
            top->stacks =
                get_room(top->stacks, &top->stack_room, top->stack_count + 1, sizeof *top->stacks);
            top->stacks[top->stack_count++] = (struct top_stack){.row = row};
        }
        struct top_stack *stack = &top->stacks[top->stack_count - 1];
        add(&stack->amounts, &amounts);
        add(&top->total, &amounts);
        stack->was_bytes += exchange_bytes(top, row, amounts.live_bytes);
    }
    top->different_stacks = top->stack_count;
}

static int by_shown(const void *a, const void *b)
{
    const struct top_stack *one = a, *other = b;
    return one->shown < other->shown ? -1 : one->shown > other->shown;
}

/* What looks the same becomes one. */
static void merge_stacks(struct top *top)
{
    size_t kept = 0;
    if (top->stack_count != 0)
        qsort(top->stacks, top->stack_count, sizeof *top->stacks, by_shown);
    for (size_t i = 0; i < top->stack_count; i++) {
        const struct top_stack *stack = &top->stacks[i];
        if (kept == 0 || by_shown(&top->stacks[kept - 1], stack) != 0) {
            top->stacks[kept++] = *stack;
            continue;
        }
        add(&top->stacks[kept - 1].amounts, &stack->amounts);
        top->stacks[kept - 1].was_bytes += stack->was_bytes;
    }
    top->stack_count = kept;
}

/* ---- functions ---- */

/* Where things are while they are added up. */
struct places {
    struct numbers functions; /* by name: equal ones are one */
    struct numbers stacks;    /* by the number of the frames before, and the function's */
};

static size_t function_called(struct top *top, struct places *places, const char *name)
{
    bool is_new;
    size_t *place = numbers_at(&places->functions, (uint64_t)(uintptr_t)name, &is_new);
    if (is_new) {
        *place = top->function_count;
        top->functions = get_room(top->functions, &top->function_room, top->function_count + 1,
                                  sizeof *top->functions);
        top->functions[top->function_count++] = (struct top_function){.name = name};
    }
    return *place;
}

/* A number, from 1, for the frames so far and one more. */
static size_t with_frame(struct places *places, size_t before, size_t function)
{
    bool is_new;
    size_t *number = numbers_at(&places->stacks, (uint64_t)before << 32 | function, &is_new);
    if (is_new)
        *number = places->stacks.count;
    return *number;
}

/* A function that is in the stack several times has its bytes once. */
static void add_stack(struct top *top, struct places *places, size_t number)
{
    struct top_stack *stack = &top->stacks[number];
    unsigned left = top->depth;
    for (uint64_t i = 0; i < stack->row->depth; i++) {
        const struct symbol_frame *frames;
        size_t count = symbols_find(top->symbols, stack->row->frames[i], &frames);
        for (size_t j = 0; j < count; j++) {
            size_t place = function_called(top, places, frames[j].name);
            struct top_function *function = &top->functions[place];
            if (left > 0) {
                stack->shown = with_frame(places, stack->shown, place);
                left--;
            }
            if (i == 0 && j == 0)
                add(&function->flat, &stack->amounts);
            if (function->seen != number + 1)
                add(&function->cumulative, &stack->amounts);
            function->seen = number + 1;
        }
    }
}

/* ---- sorting ---- */

static const struct top *sorted; /* for the functions that qsort calls */

static int larger_first(double one, double other)
{
    return one < other ? 1 : one > other ? -1 : 0;
}

static int by_stack_amount(const void *a, const void *b)
{
    const struct top_stack *one = a, *other = b;
    return larger_first(amount_of(sorted, &one->amounts), amount_of(sorted, &other->amounts));
}

static int by_function_amount(const void *a, const void *b)
{
    const struct top_function *one = a, *other = b;
    int flat = larger_first(amount_of(sorted, &one->flat), amount_of(sorted, &other->flat));
    int cumulative =
        larger_first(amount_of(sorted, &one->cumulative), amount_of(sorted, &other->cumulative));
    int first = sorted->cumulative ? cumulative : flat;
    int second = sorted->cumulative ? flat : cumulative;
    return first != 0 ? first : second != 0 ? second : strcmp(one->name, other->name);
}

void sum_rows(struct top *top)
{
    struct places places = {0};
    sum_stacks(top);
    top->function_count = 0;
    for (size_t i = 0; i < top->stack_count; i++)
        add_stack(top, &places, i);
    numbers_clear(&places.functions);
    numbers_clear(&places.stacks);
    merge_stacks(top);
    sorted = top;
    if (top->stack_count != 0)
        qsort(top->stacks, top->stack_count, sizeof *top->stacks, by_stack_amount);
    if (top->function_count != 0)
        qsort(top->functions, top->function_count, sizeof *top->functions, by_function_amount);
}
