/* SPDX-License-Identifier: MIT */
/* What of the sampled blocks is live, by stack, for people: see poolmalloc/profile.h. */
#define _GNU_SOURCE /* dladdr */
#include "os/os.h"
#include "tools/profile.h"
#include "tools/profile_internal.h"

#include <dlfcn.h>

/* Of a stack: all its rows, at the place of the first of them. */
struct stack {
    uint64_t blocks, bytes;         /* sampled */
    uint64_t all_blocks, all_bytes; /* what these stand for */
};

static void add_row(struct stack *to, uint32_t number)
{
    struct pm_profile_row row;
    pm_profile_row_read(pm_profile_row_at(number), &row);
    double scale = pm_profile_row_scale(&row);
    to->blocks += row.live_blocks;
    to->bytes += row.live_bytes;
    to->all_blocks += (uint64_t)((double)row.live_blocks * scale + 0.5);
    to->all_bytes += (uint64_t)((double)row.live_bytes * scale + 0.5);
}

static struct stack gather(struct stack *stacks, uint32_t rows)
{
    struct stack sum = {0};
    for (uint32_t i = 0; i < rows; i++) {
        if (pm_profile_row_at(i) == NULL)
            continue;
        add_row(&stacks[pm_profile_row_of_stack(i)], i);
        add_row(&sum, i);
    }
    return sum;
}

/* The largest; `rows`: none has a live block. */
static uint32_t largest(const struct stack *stacks, uint32_t rows)
{
    uint32_t best = rows;
    for (uint32_t i = 0; i < rows; i++) {
        if (stacks[i].blocks != 0 && (best == rows || stacks[i].all_bytes > stacks[best].all_bytes))
            best = i;
    }
    return best;
}

/* A return address belongs to the call before it. */
static void put_frame(struct pm_out *out, unsigned number, uintptr_t address)
{
    Dl_info info;
    pm_out_put(out, "    #%u %p", number, (void *)address);
    if (dladdr((void *)(address - 1), &info) == 0 || info.dli_fname == NULL) {
        pm_out_put(out, "\n");
        return;
    }
    if (info.dli_sname != NULL)
        pm_out_put(out, " %s", info.dli_sname);
    pm_out_put(out, " (%s+%p)\n", info.dli_fname, (void *)(address - (uintptr_t)info.dli_fbase));
}

static void put_stack(struct pm_out *out, uint32_t first, const struct stack *stack)
{
    const struct pm_profile_row *row = pm_profile_row_at(first);
    pm_out_put(out, "\nabout %lu bytes in %lu blocks", stack->all_bytes, stack->all_blocks);
    pm_out_put(out, " (sampled: %lu bytes in %lu), allocated from\n", stack->bytes, stack->blocks);
    for (unsigned i = 0; i < row->depth; i++)
        put_frame(out, i, (uintptr_t)row->frames[i]);
    if (row->depth == 0)
        pm_out_put(out, "    (the stack could not be taken)\n");
}

static void put_stacks(struct pm_out *out, struct stack *stacks, uint32_t rows, struct stack rest)
{
    for (unsigned shown = 0; shown < PM_PROFILE_LEAKS_SHOWN; shown++) {
        uint32_t next = largest(stacks, rows);
        if (next == rows)
            return;
        put_stack(out, next, &stacks[next]);
        rest.all_bytes -= stacks[next].all_bytes;
        rest.all_blocks -= stacks[next].all_blocks;
        rest.blocks -= stacks[next].blocks;
        stacks[next].blocks = 0;
    }
    if (rest.blocks != 0)
        pm_out_put(out, "\nfrom further stacks: about %lu bytes in %lu blocks\n", rest.all_bytes,
                   rest.all_blocks);
}

static void put_head(struct pm_out *out, const struct stack *sum)
{
    pm_out_put(out, "poolmalloc leak report (pid %u): about %lu bytes in %lu blocks are live\n",
               pm_os_process_id(), sum->all_bytes, sum->all_blocks);
    pm_out_put(out, "(sampled: %lu bytes in %lu blocks, one byte in %lu; for lines of source write",
               sum->bytes, sum->blocks, pm_profile_last_rate());
    pm_out_put(out, " a profile,\nprofile_at_exit=FILE, and ask `poolmalloc report FILE`)\n");
    if (pm_profile_dropped() != 0)
        pm_out_put(out, "there was no room for %lu more samples (profile_stacks, or memory)\n",
                   pm_profile_dropped());
}

/* The room for the sums is the system's, for a moment. */
void pm_profile_write_leaks(struct pm_out *out)
{
    uint32_t rows = pm_profile_table_is_there() ? pm_profile_rows() : 0;
    size_t bytes = pm_align_up(rows * sizeof(struct stack) + 1, pm_os_page_bytes());
    struct stack *stacks = pm_os_reserve(bytes, pm_os_page_bytes());
    if (stacks != NULL && pm_os_commit(stacks, bytes)) {
        struct stack sum = gather(stacks, rows);
        put_head(out, &sum);
        put_stacks(out, stacks, rows, sum);
    } else {
        pm_out_put(out, "poolmalloc leak report (pid %u): no memory for it\n", pm_os_process_id());
    }
    if (stacks != NULL)
        pm_os_release(stacks, bytes);
}
