/* SPDX-License-Identifier: MIT */
/* Filters of snapshots, as tracemalloc's Filter and DomainFilter: see poolmalloc/snapshot.h. */
#include "base/bits.h"
#include "tools/snapshot_internal.h"

#include <errno.h>
#include <string.h>

/* ---- patterns ---- */

/* "[a-z]", "[!a-z]" at `at`; *end: behind it, NULL: it is not closed, and "[" is a character. */
static bool is_in_set(const char *at, char c, const char **end)
{
    bool inverted = at[1] == '!', found = false;
    const char *from = at + 1 + inverted, *close = *from != 0 ? strchr(from + 1, ']') : NULL;
    *end = close != NULL ? close + 1 : NULL;
    while (close != NULL && from < close) {
        bool is_range = from + 2 < close && from[1] == '-';
        char last = is_range ? from[2] : from[0];
        found |=
            (unsigned char)from[0] <= (unsigned char)c && (unsigned char)c <= (unsigned char)last;
        from += is_range ? 3 : 1;
    }
    return found != inverted;
}

/* Whether one element of the pattern, not a star, takes the character; *next: behind it. */
static bool takes(const char *pattern, char c, const char **next)
{
    if (*pattern == '[') {
        bool in = is_in_set(pattern, c, next);
        if (*next != NULL)
            return in;
    }
    *next = pattern + 1;
    return *pattern == '?' || *pattern == c;
}

/* A star that has to give way to a later one need not be tried again: no more than the product of
 * both lengths is looked at. */
static bool fits_pattern(const char *pattern, const char *text)
{
    const char *star = NULL, *after_star = NULL, *next;
    if (pattern == NULL)
        return true;
    if (text == NULL)
        text = "<unknown>";
    while (*text != 0) {
        if (*pattern == '*') {
            star = ++pattern;
            after_star = text;
        } else if (*pattern != 0 && takes(pattern, *text, &next)) {
            pattern = next;
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = ++after_star;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == 0;
}

/* ---- stacks ---- */

static bool fits_frame(const struct pm_snapshot_filter *filter,
                       const struct pm_snapshot_frame *frame)
{
    return (filter->line == 0 || filter->line == frame->line) &&
           fits_pattern(filter->module, frame->module) &&
           fits_pattern(filter->function, frame->function) &&
           fits_pattern(filter->file, frame->file);
}

struct filtering {
    const struct pm_snapshot_filter *filters;
    size_t count;
    struct pm_places places;
    struct pm_vector fitting; /* of each place, for each filter: bool */
};

/* Which filters the frame at the address fits; NULL: out of memory. */
static const bool *fits_of(struct filtering *f, uint64_t address)
{
    bool is_new;
    uint32_t place = pm_place_of(&f->places, address, &is_new);
    if (place == PM_INDEX_NONE)
        return NULL;
    if (!is_new)
        return (const bool *)f->fitting.start + place * f->count;
    struct pm_snapshot_frame frame;
    bool *fits = pm_vector_add(&f->fitting, f->count);
    if (fits == NULL)
        return NULL;
    pm_place_resolve(&f->places, address, &frame);
    for (size_t i = 0; i < f->count; i++)
        fits[i] = fits_frame(&f->filters[i], &frame);
    return fits;
}

/* False: out of memory. */
static bool fits_stack(struct filtering *f, size_t number, const struct pm_snapshot_stack *stack,
                       bool *fits)
{
    const uint64_t *frames = pm_snapshot_frames(f->places.snapshot, stack);
    unsigned depth = f->filters[number].all_frames ? pm_snapshot_depth(stack) : 1;
    *fits = false;
    for (unsigned i = 0; i < depth && !*fits; i++) {
        const bool *of_frame = fits_of(f, frames[i]);
        if (of_frame == NULL)
            return false;
        *fits = of_frame[number];
    }
    return true;
}

/* False: out of memory. */
static bool lets_through(struct filtering *f, const struct pm_snapshot_stack *stack, bool *through)
{
    bool some_inclusive = false, included = false, excluded = false;
    for (size_t i = 0; i < f->count && !excluded; i++) {
        const struct pm_snapshot_filter *filter = &f->filters[i];
        bool fits = false;
        if (!fits_stack(f, i, stack, &fits))
            return false;
        fits = fits && (!filter->by_domain || filter->domain == stack->domain);
        some_inclusive |= filter->inclusive;
        included |= filter->inclusive && fits;
        excluded |= !filter->inclusive && fits;
    }
    *through = !excluded && (included || !some_inclusive);
    return true;
}

static bool copy_stacks(struct filtering *f, pm_snapshot *to)
{
    const pm_snapshot *from = f->places.snapshot;
    const struct pm_snapshot_stack *stack = pm_snapshot_stacks(from);
    for (uint64_t i = 0; i < from->about.stacks; i++, stack++) {
        bool through;
        const uint64_t *frames = pm_snapshot_frames(from, stack);
        if (!lets_through(f, stack, &through))
            return false;
        if (through &&
            !pm_snapshot_add(to, stack->domain, frames, stack->count, stack->blocks, stack->bytes))
            return false;
    }
    return true;
}

pm_snapshot *pm_snapshot_filter(const pm_snapshot *snapshot,
                                const struct pm_snapshot_filter *filters, size_t count,
                                const struct pm_snapshot_resolver *resolver)
{
    struct filtering f = {filters, count, {.snapshot = snapshot, .resolver = resolver}, {0}};
    pm_snapshot *copy = pm_snapshot_new();
    if (copy == NULL)
        return NULL;
    copy->is_own = snapshot->is_own;
    bool done = pm_snapshot_set_about(copy, &snapshot->about) &&
                pm_snapshot_add_maps(copy, snapshot->maps.start, snapshot->maps.used_bytes) &&
                copy_stacks(&f, copy);
    pm_places_free(&f.places);
    pm_vector_free(&f.fitting);
    if (done)
        return copy;
    pm_snapshot_free(copy);
    errno = ENOMEM;
    return NULL;
}
