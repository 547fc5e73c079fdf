/* SPDX-License-Identifier: MIT */
/*
 * Readers of heap profiles as text: gperftools' form, which pprof documents as legacy heap profile
 * ("heap profile: ... @ heap_v2/RATE", also "@ heapprofile" with exact figures), and jemalloc's
 * ("heap_v2/RATE"). See recording.h.
 */
#include "recording.h"

#include <stdint.h>

#define MAPS_HEADING "MAPPED_LIBRARIES:"

/* LIVE: BYTES [ALL: BYTES], with blanks anywhere; the brackets may be missing. */
static bool read_figures(struct input *in, struct recording_figures *live,
                         struct recording_figures *all)
{
    struct recording_figures *both[] = {live, all};
    *all = (struct recording_figures){0};
    for (int i = 0; i < 2; i++) {
        input_blanks(in);
        if (i == 1 && !input_skip(in, "["))
            return !in->has_failed;
        size_t start = in->at;
        input_blanks(in);
        if (!input_decimal(in, &both[i]->blocks) || !input_expect(in, ":"))
            return false;
        input_blanks(in);
        if (!input_decimal(in, &both[i]->bytes))
            return false;
        if (both[i]->blocks > INT64_MAX || both[i]->bytes > INT64_MAX)
            return input_fail(in, start, "figures below 2^63");
    }
    return input_expect(in, "]");
}

/* @ ADDRESS..., to the end of the line. */
static bool read_frames(struct recording *recording)
{
    struct input *in = &recording->input;
    if (!input_expect(in, "@"))
        return false;
    for (;;) {
        uint64_t address;
        input_blanks(in);
        if (input_skip(in, "\n"))
            return true;
        if (!input_hexadecimal(in, &address))
            return false;
        recording_add_frame(recording, address);
    }
}

static bool add_stack(struct recording *recording, size_t start, struct recording_figures live,
                      struct recording_figures all)
{
    return recording_add_stack(recording, live, all, 0) ||
           input_fail(&recording->input, start, "no more than 65535 frames in a stack");
}

/* Comments, as that of samples that were dropped. Then the mappings, to the end of the file, whose
 * last line must be whole. */
static bool read_maps(struct recording *recording)
{
    struct input *in = &recording->input;
    while (in->text[in->at] == '#')
        input_pass_line(in);
    while (input_skip(in, "\n"))
        continue;
    if (!input_expect(in, MAPS_HEADING) || !input_end_line(in))
        return false;
    if (in->text[in->length - 1] != '\n')
        return input_fail(in, in->length, "the end of a line of mappings");
    recording_set_maps(recording, in->at, in->length);
    return true;
}

/* After the @ of the first line. */
static bool read_form(struct recording *recording)
{
    struct input *in = &recording->input;
    if (input_skip(in, "heap_v2/"))
        return input_decimal(in, &recording->mean_bytes) && input_end_line(in);
    if (input_skip(in, "heapprofile\n"))
        return true;
    return input_fail(in, in->at, "\"heap_v2/\" or \"heapprofile\", the forms that are known");
}

bool recording_read_gperftools(struct recording *recording)
{
    struct input *in = &recording->input;
    struct recording_figures live, all;
    input_expect(in, "heap profile:");
    if (!read_figures(in, &live, &all)) /* the sums of what follows */
        return false;
    input_blanks(in);
    if (!input_expect(in, "@"))
        return false;
    input_blanks(in);
    if (!read_form(recording))
        return false;
    while (in->text[in->at] != '\n' && in->text[in->at] != '#' &&
           in->text[in->at] != MAPS_HEADING[0]) {
        size_t start = in->at;
        if (!read_figures(in, &live, &all))
            return false;
        input_blanks(in);
        if (!read_frames(recording) || !add_stack(recording, start, live, all))
            return false;
    }
    return read_maps(recording);
}

/*
 * The sums of all threads, "t*:", come first of a stack's lines and of the head's; those of single
 * threads are passed over.
 */
static bool read_threads(struct input *in, struct recording_figures *live,
                         struct recording_figures *all)
{
    input_blanks(in);
    if (!input_expect(in, "t*:") || !read_figures(in, live, all) || !input_end_line(in))
        return false;
    while (in->text[in->at] == ' ')
        input_pass_line(in);
    return true;
}

bool recording_read_jemalloc(struct recording *recording)
{
    struct input *in = &recording->input;
    struct recording_figures live, all;
    input_expect(in, "heap_v2/");
    if (!input_decimal(in, &recording->mean_bytes) || !input_end_line(in) ||
        !read_threads(in, &live, &all))
        return false;
    while (in->text[in->at] == '@') {
        size_t start = in->at;
        if (!read_frames(recording) || !read_threads(in, &live, &all) ||
            !add_stack(recording, start, live, all))
            return false;
    }
    return read_maps(recording);
}
