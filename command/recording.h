/* SPDX-License-Identifier: MIT */
/*
 * What a file says of who holds memory: a snapshot of traces (docs/snapshots.md), a heap profile in
 * gperftools' form, or one in jemalloc's. All become one: stacks with blocks and bytes, live and of
 * all allocations so far. report, diff and convert read it. One thread.
 */
#ifndef PM_COMMAND_RECORDING_H
#define PM_COMMAND_RECORDING_H

#include "input.h"
#include "symbols.h"

/* As recorded: of a profile, the samples. */
struct recording_figures {
    uint64_t blocks, bytes;
};

struct recording_stack {
    struct recording_figures live, all; /* all: 0 where it was not recorded */
    size_t first_frame;                 /* in the array of all */
    unsigned frame_count, domain;
};

enum recording_kind { RECORDING_SNAPSHOT, RECORDING_GPERFTOOLS, RECORDING_JEMALLOC };

struct recording {
    enum recording_kind kind;
    struct input input;
    uint64_t mean_bytes; /* one byte in so many was sampled; 0: nothing was, all is exact */
    bool has_all;
    uint64_t process_id; /* 0 here and below: not known */
    uint64_t time;       /* when it was taken, else when the file was written; seconds since 1970 */
    uint64_t frame_limit; /* the most frames that were recorded of a stack */
    uint64_t peak_bytes;
    const char *program; /* a path; NULL: not known */
    struct recording_stack *stacks;
    size_t stack_count, stack_room;
    uint64_t *frames; /* return addresses, innermost first */
    size_t frame_count, frame_room;
    const char *maps; /* lines of /proc/PID/maps */
    size_t maps_length;
    struct symbols *symbols;
    char *program_text;
};

/*
 * Reads the file, of whichever kind. False: it cannot be read, it is of another kind, of a later
 * version, truncated or damaged; which, and where, was said. Time and memory are by its length.
 */
bool recording_read(struct recording *recording, const char *path);
void recording_free(struct recording *recording);

/*
 * What was recorded of a stack stands for: a block of s bytes is sampled with the probability
 * 1 - exp(-s / mean), so each sample of that size counts for the inverse. gperftools' and
 * jemalloc's readers do the same with heap_v2.
 */
struct recording_figures recording_scaled(const struct recording *recording,
                                          struct recording_figures figures);

/* "a snapshot" or "a profile". */
const char *recording_kind_name(const struct recording *recording);

/* ---- for the readers of the kinds ---- */

/* Adds a frame to the stack that will be added next. */
void recording_add_frame(struct recording *recording, uint64_t address);

/* Adds a stack of the frames added since the last one. False: there are too many of them. */
bool recording_add_stack(struct recording *recording, struct recording_figures live,
                         struct recording_figures all, unsigned domain);

/* Where the mappings begin, after their heading: to the end of the file. */
void recording_set_maps(struct recording *recording, size_t start, size_t end);

/* Each reads the whole of recording->input; false: it said what is wrong. */
bool recording_read_snapshot(struct recording *recording);
bool recording_read_gperftools(struct recording *recording);
bool recording_read_jemalloc(struct recording *recording);

#endif
