/* SPDX-License-Identifier: MIT */
/* From addresses to places, and from recordings to snapshots of places. See view.h. */
#include "view.h"
#include "command.h"
#include "memory.h"
#include "progress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PLACES_MAX = UINT16_MAX };

static const char *one(struct places *places, const char *text)
{
    return text != NULL ? strings_one(&places->strings, text, strlen(text)) : NULL;
}

static size_t find_place(struct places *places, const struct symbol_frame *frame)
{
    char *text = get_text("%s\n%s\n%u\n%s", frame->name, frame->file != NULL ? frame->file : "",
                          frame->line, frame->module != NULL ? frame->module : "");
    const char *key = one(places, text);
    free(text);
    bool is_new;
    size_t *number = numbers_at(&places->by_key, (uintptr_t)key, &is_new);
    if (is_new) {
        places->all = get_room(places->all, &places->room, places->count + 1, sizeof *places->all);
        struct place *place = get_memory(sizeof *place);
        *place = (struct place){
            .name = one(places, frame->name),
            .file = one(places, frame->file),
            .module = one(places, frame->module),
            .line = frame->line,
            .is_function = frame->is_function,
        };
        places->all[places->count] = place;
        *number = ++places->count;
    }
    return *number - 1;
}

/* Frames come again and again, and each is made a place once. */
static const struct place *place_of(struct places *places, const struct symbol_frame *frame)
{
    bool is_new;
    size_t *number = numbers_at(&places->by_frame, (uintptr_t)frame, &is_new);
    if (is_new)
        *number = find_place(places, frame);
    return places->all[*number];
}

void places_free(struct places *places)
{
    for (size_t i = 0; i < places->count; i++)
        free(places->all[i]);
    free(places->all);
    numbers_clear(&places->by_key);
    numbers_clear(&places->by_frame);
    strings_clear(&places->strings);
    *places = (struct places){0};
}

/* The stack's places; beyond the most that a snapshot takes they are left out. */
static unsigned expand(struct places *places, struct recording *recording,
                       const struct recording_stack *stack, uintptr_t *expanded)
{
    unsigned count = 0;
    for (unsigned i = 0; i < stack->frame_count; i++) {
        const struct symbol_frame *frames;
        size_t found =
            symbols_find(recording->symbols, recording->frames[stack->first_frame + i], &frames);
        for (size_t j = 0; j < found && count < PLACES_MAX; j++)
            expanded[count++] = (uintptr_t)place_of(places, &frames[j]);
    }
    return count;
}

/* Without memory there is nothing else to do. */
static _Noreturn void end_without_memory(void)
{
    complain("%s", strerror(ENOMEM));
    exit(STATUS_FAILED);
}

pm_snapshot *view_of(struct places *places, struct recording *recording, bool all)
{
    pm_snapshot *snapshot = pm_snapshot_new();
    uintptr_t *expanded = get_memory(PLACES_MAX * sizeof *expanded);
    struct progress progress = {.what = "looking up functions", .most = recording->stack_count};
    for (size_t i = 0; snapshot != NULL && i < recording->stack_count; i++) {
        const struct recording_stack *stack = &recording->stacks[i];
        struct recording_figures figures =
            recording_scaled(recording, all ? stack->all : stack->live);
        unsigned count = expand(places, recording, stack, expanded);
        /* Sums without room were refused when the recording was read. */
        if (!pm_snapshot_add(snapshot, stack->domain, expanded, count, figures.blocks,
                             figures.bytes))
            end_without_memory();
        progress_show(&progress, i);
    }
    progress_end(&progress);
    free(expanded);
    if (snapshot == NULL)
        end_without_memory();
    return snapshot;
}

/* The address is that of a place; it stands for the offset, too: equal places are one. */
static void resolve(void *arg, struct pm_snapshot_frame *frame)
{
    (void)arg;
    const struct place *place = (const struct place *)(uintptr_t)frame->address;
    if (place == NULL)
        return;
    frame->module = place->module != NULL ? place->module : "[unknown]";
    frame->offset = frame->address;
    frame->function = place->name;
    frame->file = place->file;
    frame->line = place->line;
}

const struct pm_snapshot_resolver view_resolver = {.resolve = resolve};

pm_snapshot *view_filter(pm_snapshot *snapshot, const struct view_options *options)
{
    if (options->filter_count == 0)
        return snapshot;
    pm_snapshot *filtered =
        pm_snapshot_filter(snapshot, options->filters, options->filter_count, &view_resolver);
    pm_snapshot_free(snapshot);
    if (filtered == NULL)
        end_without_memory();
    return filtered;
}
