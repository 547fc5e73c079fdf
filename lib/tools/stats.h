/* SPDX-License-Identifier: MIT */
/*
 * Statistics as text: what the files of the tools layer share. A report is a look (api/figures.h),
 * written in one of three forms. Writing allocates nothing, takes no lock, and needs some hundred
 * bytes of the stack; a look has room for as many threads as figures.h says and is a structure of
 * some 15 KiB, the caller's.
 */
#ifndef PM_TOOLS_STATS_H
#define PM_TOOLS_STATS_H

#include "api/figures.h"
#include "base/options.h"
#include "base/lock.h"

struct pm_report {
    struct pm_figures figures;
    struct pm_threads_figures threads;
};

/* Text on its way to whoever wants it, some lines or a piece of a line at a time. */
struct pm_out {
    void (*write)(void *arg, const char *text);
    void *arg;
    bool first; /* of a JSON object or array: no comma before the next */
    unsigned used;
    char text[256];
};
void pm_out_start(struct pm_out *out, void (*write)(void *arg, const char *text), void *arg);
void pm_out_put(struct pm_out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pm_out_end(struct pm_out *out);

/* A writer for pm_out_start, and its argument: a file descriptor, whether it took all so far, and a
 * buffer, so that few steps write a report. pm_out_file_end writes what is left there. */
struct pm_out_file {
    int file;
    bool failed;
    size_t used;
    char text[4096];
};
void pm_out_file_start(struct pm_out_file *to, int file);
void pm_out_to_file(void *arg, const char *text);

/* Paths that options give. The pattern with %p as the process's number, and what follows it. */
#define PM_OUT_PATH_BYTES (PM_OPTION_TEXT_BYTES + 64)
void pm_out_path(char path[PM_OUT_PATH_BYTES], const char *pattern, const char *more);
/* The same, followed by .0001, .0002 and so on and the ending. */
void pm_out_numbered_path(char path[PM_OUT_PATH_BYTES], const char *pattern, unsigned number,
                          const char *ending);
void pm_out_file_end(struct pm_out_file *to);

/* The three forms. Table and JSON ask the system what the threads are called, a few calls each;
 * the table only if `names`: a program under a filter of system calls may print it all the same. */
void pm_stats_write_counters(struct pm_out *out, const struct pm_report *report);
void pm_stats_write_table(struct pm_out *out, const struct pm_report *report, bool names);
void pm_stats_write_json(struct pm_out *out, const struct pm_report *report);

/* ---- what table and JSON both say ---- */

/* The parts whose sum is all arenas, with their names in JSON and in the table. */
struct pm_stats_part {
    const char *key, *label;
    uint64_t bytes;
};
enum { PM_STATS_PARTS = 12 };
void pm_stats_parts(const struct pm_stats *stats, struct pm_stats_part parts[PM_STATS_PARTS]);

/* The locks of a rank: what they are called ("other": this file does not know), and how often they
 * were taken. */
struct pm_stats_lock {
    const char *name;
    uint64_t acquisitions, contended;
};
struct pm_stats_lock pm_stats_lock_of(unsigned rank);

#endif
