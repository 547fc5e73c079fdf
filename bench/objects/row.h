/* SPDX-License-Identifier: MIT */
/*
 * A row of the comparison of objects: what it does, and what is measured of it. One row is run in
 * one process, by one contender (contender.h).
 */
#ifndef BENCH_OBJECTS_ROW_H
#define BENCH_OBJECTS_ROW_H

#include "workload.h"

#include <time.h>

struct measured {
    uint64_t operations; /* to be done; the row may set what it did */
    clockid_t clock;
    double seconds;       /* what the clock ran for */
    double drop_seconds;  /* of these, while structures were dropped; 0: not told apart */
    double pause_seconds; /* the longest that a collector held the program up; 0: no collector */
    uint64_t result;      /* the same for every contender, or the run fails */
    double on_seconds;    /* when the clock was started */
};

enum row_clock {
    ROW_CPU, /* user and system time of the process, with all its threads */
    ROW_WALL
};

/* A table of them ends by a row without a name. */
struct object_row {
    const char *name;    /* family/variant */
    const char *unit;    /* what an operation is */
    const char *what;    /* one line for the reader of the table */
    uint64_t operations; /* of a whole run: 0.05 to 0.3 seconds */
    enum row_clock clock;
    void (*run)(struct measured *measured);
};

extern const struct object_row counts_rows[], structures_rows[], threads_rows[], cycles_rows[],
    collect_rows[];

static inline double row_seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline void row_clock_on(struct measured *measured)
{
    measured->on_seconds = row_seconds(measured->clock);
}

/* How long it was on, in seconds, which were added. */
static inline double row_clock_off(struct measured *measured)
{
    double seconds = row_seconds(measured->clock) - measured->on_seconds;
    measured->seconds += seconds;
    return seconds;
}

#endif
