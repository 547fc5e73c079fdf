/* SPDX-License-Identifier: MIT */
/*
 * The program of one contender; bench/compare_objects.py starts it once for each row and round.
 *
 *     objects_NAME --rows                      name, unit, clock and a line of words of each row
 *     objects_NAME --row=NAME [--scale=0.2]    runs it, and prints what was measured as JSON
 */
#include "contender.h"
#include "row.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const struct object_row *const tables[] = {
#if CONTENDER_NODES
    counts_rows, structures_rows, threads_rows, cycles_rows,
#endif
    collect_rows};
enum { TABLES = sizeof(tables) / sizeof(tables[0]) };

static void print_rows(void)
{
    for (size_t i = 0; i < TABLES; i++)
        for (const struct object_row *row = tables[i]; row->name != NULL; row++)
            printf("%s\t%s\t%s\t%s\n", row->name, row->unit, row->clock == ROW_CPU ? "cpu" : "wall",
                   row->what);
}

static const struct object_row *find_row(const char *name)
{
    for (size_t i = 0; i < TABLES; i++)
        for (const struct object_row *row = tables[i]; row->name != NULL; row++)
            if (strcmp(row->name, name) == 0)
                return row;
    bench_die("%s has no row %s", CONTENDER_NAME, name);
}

struct call {
    const struct object_row *row;
    struct measured measured;
    uint64_t start_rss_kib; /* the most that was resident before the row */
};

static void run(void *arg)
{
    struct call *call = arg;
    contender_begin();
    call->start_rss_kib = bench_peak_rss_kib();
    call->row->run(&call->measured);
    contender_end();
}

static void print(const struct call *call)
{
    const struct measured *measured = &call->measured;
    double each = 1e9 / (double)measured->operations;
    printf("{\"row\": \"%s\", \"contender\": \"%s\", \"version\": \"%s\"", call->row->name,
           CONTENDER_NAME, contender_version());
    printf(", \"operations\": %llu, \"result\": %llu", (unsigned long long)measured->operations,
           (unsigned long long)measured->result);
    printf(", \"time_ns\": %.6g", measured->seconds * each);
    if (measured->drop_seconds > 0)
        printf(", \"drop_ns\": %.6g", measured->drop_seconds * each);
    if (measured->pause_seconds > 0)
        printf(", \"pause_us\": %.6g", measured->pause_seconds * 1e6);
    printf(", \"peak_rss_kib\": %llu, \"start_rss_kib\": %llu}\n",
           (unsigned long long)bench_peak_rss_kib(), (unsigned long long)call->start_rss_kib);
}

int main(int count, char **arguments)
{
    const char *name = NULL;
    double scale = 1;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--rows") == 0) {
            print_rows();
            return 0;
        }
        if (strncmp(arguments[i], "--row=", 6) == 0)
            name = arguments[i] + 6;
        else if (strncmp(arguments[i], "--scale=", 8) == 0)
            scale = strtod(arguments[i] + 8, NULL);
        else
            bench_die("unknown option %s", arguments[i]);
    }
    if (name == NULL || !(scale > 0))
        bench_die("usage: --rows | --row=NAME [--scale=X]");
    struct call call = {.row = find_row(name)};
    double operations = (double)call.row->operations * scale;
    call.measured.operations = operations < 1 ? 1 : (uint64_t)operations;
    call.measured.clock = call.row->clock == ROW_CPU ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    contender_call(run, &call);
    print(&call);
    return 0;
}
