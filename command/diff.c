/* SPDX-License-Identifier: MIT */
/* poolmalloc diff: what grew and shrank between two snapshots or two profiles. */
#include "command.h"
#include "view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { OLD, NEW, BOTH };

static bool print_difference(const struct view_options *options, const struct recording *recordings,
                             pm_snapshot *const views[BOTH])
{
    struct pm_snapshot_about sums[BOTH];
    pm_snapshot_get_about(views[NEW], &sums[0]);
    pm_snapshot_get_about(views[OLD], &sums[1]);
    struct pm_snapshot_table *table = pm_snapshot_compare(views[NEW], views[OLD], options->group,
                                                          options->cumulative, &view_resolver);
    if (table == NULL) {
        complain("%s", strerror(errno));
        return false;
    }
    for (int i = 0; i < BOTH; i++) {
        printf("%s\n", i == OLD ? "old" : "new");
        view_print_about(&recordings[i]);
    }
    printf("%-9s %s\n\n", "shown:", options->all ? "all allocations so far" : "live blocks");
    view_print_table(table, options, sums, true);
    pm_snapshot_table_free(table);
    return true;
}

static bool show(const struct view_options *options, struct recording *recordings)
{
    struct places places = {0};
    pm_snapshot *views[BOTH];
    bool done = true;
    for (int i = 0; i < BOTH; i++)
        views[i] = view_filter(view_of(&places, &recordings[i], options->all), options);
    struct view_set sets[] = {{"old", views[OLD]}, {"new", views[NEW]}};
    if (options->output != NULL)
        done = view_write_page(options, recordings, BOTH, sets, BOTH, true);
    if (done && (options->output == NULL || options->text))
        done = print_difference(options, recordings, views);
    pm_snapshot_free(views[OLD]);
    pm_snapshot_free(views[NEW]);
    places_free(&places);
    return done;
}

/* What cannot be compared is not: samples with exact figures, or what has no such figures. */
static bool are_comparable(const struct view_options *options, const struct recording *recordings)
{
    const struct recording *a = &recordings[OLD], *b = &recordings[NEW];
    if ((a->kind == RECORDING_SNAPSHOT) != (b->kind == RECORDING_SNAPSHOT)) {
        complain("%s is %s and %s is %s: they cannot be compared", a->input.path,
                 recording_kind_name(a), b->input.path, recording_kind_name(b));
        return false;
    }
    for (int i = 0; i < BOTH && options->all; i++) {
        if (!recordings[i].has_all) {
            complain("%s has live blocks only: --all is not possible", recordings[i].input.path);
            return false;
        }
    }
    return true;
}

static int diff_main(int count, char **arguments)
{
    struct view_options options;
    struct recording recordings[BOTH] = {{.input = {0}}};
    int first;
    int status = view_options_read(&options, &command_diff, count, arguments, BOTH, &first);
    if (status < 0) {
        symbols_warn_if_blind();
        bool done = recording_read(&recordings[OLD], arguments[first]) &&
                    recording_read(&recordings[NEW], arguments[first + 1]) &&
                    are_comparable(&options, recordings) && show(&options, recordings);
        status = done ? 0 : STATUS_FAILED;
        recording_free(&recordings[OLD]);
        recording_free(&recordings[NEW]);
    }
    view_options_free(&options);
    return status;
}

const struct command command_diff = {
    .name = "diff",
    .arguments = "[OPTION]... OLD NEW",
    .summary = "show what grew and shrank between two snapshots or profiles",
    .details =
        "Show what grew and what shrank from OLD to NEW, two snapshots of traces or two heap\n"
        "profiles, which may be of two runs of a program. What changed most comes first. Without\n"
        "-o a table is printed.\n\n"
        "  --output=OUT.html, -o OUT.html\n"
        "                 write a page, all in one file, with a flame graph and tables\n"
        "  --text         print the table with -o, too\n"
        "  --by=WHAT      a row for each function, file, line, module, traceback or domain;\n"
        "                 function if not given\n"
        "  --cumulative   count a block for all functions of its stack, not the innermost alone\n"
        "  --all          all allocations so far, of profiles, instead of live blocks\n"
        "  --filter=[!][any-]KEY=PATTERN\n"
        "                 only what fits, as with 'poolmalloc report'\n"
        "  --top=N        print the N first rows; 20 if not given\n"
        "  --help         print this and exit\n",
    .main = diff_main,
};
