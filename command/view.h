/* SPDX-License-Identifier: MIT */
/*
 * Recordings as report and diff show them: with a frame for each function, inlined ones too, in
 * place of addresses, and with the wishes of the user, which both commands take by the same
 * options. One thread.
 */
#ifndef PM_COMMAND_VIEW_H
#define PM_COMMAND_VIEW_H

#include "recording.h"
#include "strings.h"

#include <poolmalloc/snapshot.h>

/*
 * A place in the source, as far as it is known. Of all recordings of a command, equal ones are one,
 * so that two runs of a program, or two builds, can be compared.
 */
struct place {
    const char *name;   /* as in struct symbol_frame */
    const char *file;   /* or NULL */
    const char *module; /* path, or NULL */
    unsigned line;      /* or 0 */
    bool is_function;
};

struct places {
    struct strings strings;
    struct numbers by_key;   /* from the address of a text with all of a place, to its number + 1 */
    struct numbers by_frame; /* from the address of a symbol_frame to the number */
    struct place **all;
    size_t count, room;
};
void places_free(struct places *places);

/*
 * The figures of a recording, scaled, as a snapshot whose addresses are those of struct place: what
 * the library's statistics, filters and comparisons take with view_resolver. all: of all
 * allocations, not of what is live. Ends the command where there is no memory.
 */
pm_snapshot *view_of(struct places *places, struct recording *recording, bool all);
extern const struct pm_snapshot_resolver view_resolver;

/* ---- view_options.c: what the user asks for ---- */

enum { FILTERS_MAX = 64 };

struct view_options {
    enum pm_snapshot_group group;
    const char *group_name;
    bool cumulative;
    bool all;           /* all allocations, instead of what is live */
    bool text;          /* print a table even where a page is written */
    const char *output; /* of the page; NULL: none */
    size_t top;         /* rows of a printed table */
    struct pm_snapshot_filter filters[FILTERS_MAX];
    size_t filter_count;
    char *patterns[FILTERS_MAX]; /* what filters point to */
};

/* Reads the options of a command, and leaves in *first where its files begin, of which there must
 * be as many as files. The exit status, if the command is to end; -1: it is not. */
struct command;
int view_options_read(struct view_options *options, const struct command *command, int count,
                      char **arguments, int files, int *first);
void view_options_free(struct view_options *options);

/* What the filters let through of a snapshot, which is freed. Ends the command as above. */
pm_snapshot *view_filter(pm_snapshot *snapshot, const struct view_options *options);

/* ---- view_text.c: tables for terminals ---- */

/* The frame of a row, for people: the texts stay as long as the table. The caller frees it. */
char *view_frame_text(const struct pm_snapshot_frame *frame, enum pm_snapshot_group group);

/* Prints what is known of a recording, a line for each thing. */
void view_print_about(const struct recording *recording);

/* Prints the table; sums are for percentages and the last line. is_diff: with differences. */
void view_print_table(const struct pm_snapshot_table *table, const struct view_options *options,
                      const struct pm_snapshot_about *sums, bool is_diff);

/* "raw", "malloc" and so on; a program's own are "domain N". Good until the next call. */
const char *view_domain_name(unsigned domain);

/* Of a time in seconds since 1970, as ISO 8601, UTC; "" for 0. Good until the next call. */
const char *view_time_text(uint64_t time);

/* How exact the figures are, in words. The caller frees it. */
char *view_exactness(const struct recording *recording);

/* ---- view_page.c: one HTML file ---- */

/* What the page has of one moment. */
struct view_set {
    const char *name; /* for people: "live blocks" */
    const pm_snapshot *snapshot;
};

/*
 * Writes the page. Of a report the sets are views of the same recording; of a difference is_diff is
 * set, and the two are what was and what is. False: it cannot be written, as was said; then no file
 * is left that was not there.
 */
bool view_write_page(const struct view_options *options, const struct recording *recordings,
                     size_t recording_count, const struct view_set *sets, size_t set_count,
                     bool is_diff);

#endif
