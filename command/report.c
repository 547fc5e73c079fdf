/* SPDX-License-Identifier: MIT */
/* poolmalloc report: who holds memory, of a snapshot or profile, as a table and as a page. */
#include "command.h"
#include "view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool print_report(const struct view_options *options, const struct recording *recording,
                         const pm_snapshot *snapshot)
{
    struct pm_snapshot_about sums;
    pm_snapshot_get_about(snapshot, &sums);
    struct pm_snapshot_table *table =
        pm_snapshot_statistics(snapshot, options->group, options->cumulative, &view_resolver);
    if (table == NULL) {
        complain("%s", strerror(errno));
        return false;
    }
    view_print_about(recording);
    printf("%-9s %s\n\n", "shown:", options->all ? "all allocations so far" : "live blocks");
    view_print_table(table, options, &sums, false);
    pm_snapshot_table_free(table);
    return true;
}

static bool show(const struct view_options *options, struct recording *recording)
{
    struct places places = {0};
    bool done = true;
    pm_snapshot *live = view_filter(view_of(&places, recording, false), options), *all = NULL;
    if (recording->has_all)
        all = view_filter(view_of(&places, recording, true), options);
    struct view_set sets[] = {{"live blocks", live}, {"all allocations", all}};
    if (options->output != NULL)
        done = view_write_page(options, recording, 1, sets, all != NULL ? 2 : 1, false);
    if (done && (options->output == NULL || options->text))
        done = print_report(options, recording, options->all ? all : live);
    pm_snapshot_free(live);
    pm_snapshot_free(all);
    places_free(&places);
    return done;
}

static int report_main(int count, char **arguments)
{
    struct view_options options;
    struct recording recording;
    int first;
    int status = view_options_read(&options, &command_report, count, arguments, 1, &first);
    if (status < 0) {
        status = STATUS_FAILED;
        symbols_warn_if_blind();
        if (recording_read(&recording, arguments[first])) {
            if (options.all && !recording.has_all)
                complain("%s has live blocks only: --all is not possible", arguments[first]);
            else
                status = show(&options, &recording) ? 0 : STATUS_FAILED;
            recording_free(&recording);
        }
    }
    view_options_free(&options);
    return status;
}

const struct command command_report = {
    .name = "report",
    .arguments = "[OPTION]... FILE",
    .summary = "show who holds memory, of a snapshot or heap profile",
    .details =
        "Show who holds memory, of FILE: a snapshot of traces, or a heap profile in the form of\n"
        "gperftools or of jemalloc. Without -o a table is printed.\n\n"
        "  --output=OUT.html, -o OUT.html\n"
        "                 write a page, all in one file, with a flame graph and tables\n"
        "  --text         print the table with -o, too\n"
        "  --by=WHAT      a row for each function, file, line, module, traceback or domain;\n"
        "                 function if not given\n"
        "  --cumulative   count a block for all functions of its stack, not the innermost alone\n"
        "  --all          all allocations so far, of a profile, instead of live blocks\n"
        "  --filter=[!][any-]KEY=PATTERN\n"
        "                 only stacks whose innermost frame, or any frame, fits: KEY is function,\n"
        "                 file, line (FILE:LINE), module or domain; *, ? and [...] stand for\n"
        "                 other text; with ! only what does not fit. Can be given several times:\n"
        "                 one of those without ! must fit, and all with !\n"
        "  --top=N        print the N first rows; 20 if not given\n"
        "  --help         print this and exit\n",
    .main = report_main,
};
