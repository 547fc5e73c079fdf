/* SPDX-License-Identifier: MIT */
/*
 * What the files of snapshots share. A snapshot is an array of stacks, whose frames lie in another
 * one, an index of the stacks, and what /proc/self/maps said. Any thread, but one at a time while
 * it is being filled.
 */
#ifndef PM_TOOLS_SNAPSHOT_INTERNAL_H
#define PM_TOOLS_SNAPSHOT_INTERNAL_H

#include "poolmalloc/snapshot.h"
#include "tools/snapshot_memory.h"

struct pm_snapshot_stack {
    uint64_t blocks, bytes;
    uint64_t first; /* of its frames, in the array of all */
    uint32_t domain, count;
};

/* A mapping with a name. */
struct pm_snapshot_module {
    uint64_t start, end, offset;
    const char *path;
};

struct pm_snapshot {
    struct pm_store store; /* this structure, and the texts */
    struct pm_vector stacks, frames;
    struct pm_index index;
    struct pm_vector maps;    /* the lines as they were */
    struct pm_vector modules; /* ascending */
    uint64_t maps_end;        /* of the last mapping, named or not */
    struct pm_snapshot_about about;
    bool is_own; /* taken by this process: its addresses are those of our functions */
};

static inline const struct pm_snapshot_stack *pm_snapshot_stacks(const pm_snapshot *snapshot)
{
    return snapshot->stacks.start;
}

static inline const uint64_t *pm_snapshot_frames(const pm_snapshot *snapshot,
                                                 const struct pm_snapshot_stack *stack)
{
    static const uint64_t unknown[1];
    return stack->count != 0 ? (const uint64_t *)snapshot->frames.start + stack->first : unknown;
}

/* Frames to go through: an unknown stack has one, at no address. */
static inline unsigned pm_snapshot_depth(const struct pm_snapshot_stack *stack)
{
    return stack->count != 0 ? stack->count : 1;
}

/* Adds a line of /proc/PID/maps, without its newline. 0; ENOMEM; EINVAL: *wrong is where in it
 * something else was expected, and *expected what. */
int pm_snapshot_add_mapping(pm_snapshot *snapshot, const char *line, size_t length, size_t *wrong,
                            const char **expected);
/* "": not known. What is no text of one line becomes '?'. */
bool pm_snapshot_set_program(pm_snapshot *snapshot, const char *path, size_t length);

/* ---- the places of a snapshot: each of its addresses once ---- */

struct pm_places {
    const pm_snapshot *snapshot;
    const struct pm_snapshot_resolver *resolver; /* or NULL */
    struct pm_vector addresses;
    struct pm_index index;
};
/* The numbers count from 0 in the order of first sights: *is_new, and the caller has to resolve it
 * and keep the result. PM_INDEX_NONE: out of memory. */
uint32_t pm_place_of(struct pm_places *places, uint64_t address, bool *is_new);
void pm_place_resolve(const struct pm_places *places, uint64_t address,
                      struct pm_snapshot_frame *frame);
void pm_places_free(struct pm_places *places);

/* ---- text: numbers and times, as files have them ---- */

#define PM_SNAPSHOT_FIRST_LINE "poolmalloc snapshot "
enum { PM_SNAPSHOT_VERSION = 1, PM_SNAPSHOT_NUMBER_BYTES = 21, PM_SNAPSHOT_TIME_BYTES = 21 };

/* Read a number at `at`, which moves behind it. False: there is none, or it is too large. */
bool pm_text_get_decimal(const char **at, const char *end, uint64_t *number);
bool pm_text_get_hex(const char **at, const char *end, uint64_t *number);
/* Write one, without a final 0; how many characters. */
size_t pm_text_put_decimal(char *to, uint64_t number);
size_t pm_text_put_hex(char *to, uint64_t number);
/* "1970-01-01T00:00:00Z", without a final 0. Years up to 9999. */
#define PM_SNAPSHOT_TIME_END UINT64_C(253402300800)
void pm_text_put_time(char *to, uint64_t time_s);
bool pm_text_get_time(const char **at, const char *end, uint64_t *time_s);

#endif
