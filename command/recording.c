/* SPDX-License-Identifier: MIT */
/* Recordings: of which kind a file is, and what all kinds have. See recording.h. */
#include "recording.h"
#include "command.h"
#include "memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void recording_add_frame(struct recording *recording, uint64_t address)
{
    recording->frames = get_room(recording->frames, &recording->frame_room,
                                 recording->frame_count + 1, sizeof *recording->frames);
    recording->frames[recording->frame_count++] = address;
}

bool recording_add_stack(struct recording *recording, struct recording_figures live,
                         struct recording_figures all, unsigned domain)
{
    const struct recording_stack *last =
        recording->stack_count > 0 ? &recording->stacks[recording->stack_count - 1] : NULL;
    size_t first = last != NULL ? last->first_frame + last->frame_count : 0;
    if (recording->frame_count - first > UINT16_MAX)
        return false;
    recording->stacks = get_room(recording->stacks, &recording->stack_room,
                                 recording->stack_count + 1, sizeof *recording->stacks);
    recording->stacks[recording->stack_count++] = (struct recording_stack){
        .live = live,
        .all = all,
        .first_frame = first,
        .frame_count = (unsigned)(recording->frame_count - first),
        .domain = domain,
    };
    recording->has_all |= all.blocks > 0;
    return true;
}

void recording_set_maps(struct recording *recording, size_t start, size_t end)
{
    recording->maps = recording->input.text + start;
    recording->maps_length = end - start;
}

/* The first file that is mapped: a program lies below its libraries. */
static const char *first_path(struct recording *recording)
{
    size_t line = strcspn(recording->maps, "\n");
    const char *slash = memchr(recording->maps, '/', line);
    if (slash == NULL)
        return NULL;
    recording->program_text = get_text("%.*s", (int)(recording->maps + line - slash), slash);
    return recording->program_text;
}

static bool read_by_kind(struct recording *recording)
{
    const char *text = recording->input.text;
    if (strncmp(text, "poolmalloc snapshot ", 20) == 0) {
        recording->kind = RECORDING_SNAPSHOT;
        return recording_read_snapshot(recording);
    }
    if (strncmp(text, "heap profile:", 13) == 0) {
        recording->kind = RECORDING_GPERFTOOLS;
        return recording_read_gperftools(recording);
    }
    if (strncmp(text, "heap_v2/", 8) == 0) {
        recording->kind = RECORDING_JEMALLOC;
        return recording_read_jemalloc(recording);
    }
    return input_fail(&recording->input, 0,
                      "\"poolmalloc snapshot\", \"heap profile:\" or \"heap_v2/\"");
}

/* Whether the sums can be shown, and be written in the forms of others: as signed numbers. */
static bool sums_are_small(const struct recording *recording)
{
    uint64_t sums[4] = {0};
    for (size_t i = 0; i < recording->stack_count; i++) {
        struct recording_figures live = recording_scaled(recording, recording->stacks[i].live);
        struct recording_figures all = recording_scaled(recording, recording->stacks[i].all);
        const uint64_t figures[] = {live.blocks, live.bytes, all.blocks, all.bytes};
        for (int j = 0; j < 4; j++) {
            if (__builtin_add_overflow(sums[j], figures[j], &sums[j]) || sums[j] > INT64_MAX) {
                complain("%s: the sums are beyond 2^63 - 1", recording->input.path);
                return false;
            }
        }
    }
    return true;
}

bool recording_read(struct recording *recording, const char *path)
{
    *recording = (struct recording){0};
    if (!input_read(&recording->input, path) || !read_by_kind(recording) ||
        !sums_are_small(recording)) {
        recording_free(recording);
        return false;
    }
    if (recording->time == 0 && recording->input.written > 0)
        recording->time = (uint64_t)recording->input.written;
    if (recording->program == NULL && recording->maps_length > 0)
        recording->program = first_path(recording);
    recording->symbols =
        symbols_of_maps(recording->maps, recording->maps_length, (time_t)recording->time);
    return true;
}

void recording_free(struct recording *recording)
{
    symbols_free(recording->symbols);
    input_free(&recording->input);
    free(recording->stacks);
    free(recording->frames);
    free(recording->program_text);
    *recording = (struct recording){0};
}

/* What has no room becomes the most there is, which sums_are_small refuses. */
static uint64_t rounded(double number)
{
    return number < 0x1p63 ? (uint64_t)llround(number) : UINT64_MAX;
}

struct recording_figures recording_scaled(const struct recording *recording,
                                          struct recording_figures figures)
{
    /* A mean of one byte is the word for "each block" (gperftools' sample parameter, too). */
    if (recording->mean_bytes <= 1 || figures.blocks == 0)
        return figures;
    double size = (double)figures.bytes / (double)figures.blocks;
    double weight = size > 0 ? 1 / -expm1(-size / (double)recording->mean_bytes) : 1;
    return (struct recording_figures){
        .blocks = rounded((double)figures.blocks * weight),
        .bytes = rounded((double)figures.bytes * weight),
    };
}

const char *recording_kind_name(const struct recording *recording)
{
    return recording->kind == RECORDING_SNAPSHOT ? "a snapshot" : "a profile";
}
