/* SPDX-License-Identifier: MIT */
/* Heap profiles as text, in gperftools' form and in jemalloc's. See convert.h. */
#include "convert.h"

#include <inttypes.h>

struct both {
    struct recording_figures live, all;
};

static struct both sums_of(const struct recording *recording)
{
    struct both sums = {{0, 0}, {0, 0}};
    for (size_t i = 0; i < recording->stack_count; i++) {
        const struct recording_stack *stack = &recording->stacks[i];
        sums.live.blocks += stack->live.blocks;
        sums.live.bytes += stack->live.bytes;
        sums.all.blocks += stack->all.blocks;
        sums.all.bytes += stack->all.bytes;
    }
    return sums;
}

static void put_figures(FILE *file, struct both both)
{
    fprintf(file, "%" PRIu64 ": %" PRIu64 " [%" PRIu64 ": %" PRIu64 "]", both.live.blocks,
            both.live.bytes, both.all.blocks, both.all.bytes);
}

static void put_frames(FILE *file, const struct recording *recording,
                       const struct recording_stack *stack)
{
    fputc('@', file);
    for (unsigned i = 0; i < stack->frame_count; i++)
        fprintf(file, " 0x%" PRIx64, recording->frames[stack->first_frame + i]);
    fputc('\n', file);
}

static void put_maps(FILE *file, const struct recording *recording)
{
    fputs("\nMAPPED_LIBRARIES:\n", file);
    fwrite(recording->maps, 1, recording->maps_length, file);
}

void convert_to_gperftools(const struct recording *recording, FILE *file)
{
    fputs("heap profile: ", file);
    put_figures(file, sums_of(recording));
    if (recording->mean_bytes <= 1) /* what was not sampled is not to be scaled */
        fputs(" @ heapprofile\n", file);
    else
        fprintf(file, " @ heap_v2/%" PRIu64 "\n", recording->mean_bytes);
    for (size_t i = 0; i < recording->stack_count; i++) {
        const struct recording_stack *stack = &recording->stacks[i];
        fputs("  ", file);
        put_figures(file, (struct both){stack->live, stack->all});
        fputc(' ', file);
        put_frames(file, recording, stack);
    }
    put_maps(file, recording);
}

static void put_threads(FILE *file, struct both both)
{
    fputs("  t*: ", file);
    put_figures(file, both);
    fputc('\n', file);
}

void convert_to_jemalloc(const struct recording *recording, FILE *file)
{
    /* A mean of 1 is the nearest to "not sampled" that jeprof knows. */
    fprintf(file, "heap_v2/%" PRIu64 "\n",
            recording->mean_bytes > 1 ? recording->mean_bytes : UINT64_C(1));
    put_threads(file, sums_of(recording));
    for (size_t i = 0; i < recording->stack_count; i++) {
        const struct recording_stack *stack = &recording->stacks[i];
        put_frames(file, recording, stack);
        put_threads(file, (struct both){stack->live, stack->all});
    }
    put_maps(file, recording);
}
