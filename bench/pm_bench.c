/* SPDX-License-Identifier: MIT */
/*
 * The program that runs the workloads; bench/compare.py starts it once per row and allocator.
 *
 *     pm_bench --rows              the rows: name, kind (micro or workload), clock (cpu or wall),
 *                                  threads, unit, series of thread counts, what it stands for
 *     pm_bench --provider          which file provides malloc, calloc, realloc and free
 *     pm_bench [--row=NAME] [--scale=0.2] [--threads=1,2,8] [--core=0]
 *              [Google Benchmark's options]
 *
 * A row becomes a benchmark whose iterations are its operations, so that the reported time is the
 * time per operation. The report also says who provided malloc, the peak resident set, and the page
 * faults, of the process so far and of the row alone.
 */
#include "cases.h"

#include <string.h>

static void run_case(struct gbench_state *state, void *context)
{
    uint64_t faults_before = bench_page_faults();
    bench_run_case(state, context);
    gbench_counter(state, "row_page_faults", (double)(bench_page_faults() - faults_before),
                   GBENCH_VALUE);
    gbench_items(state, gbench_iterations_done(state));
    gbench_counter(state, "peak_rss_kib", (double)bench_peak_rss_kib(), GBENCH_VALUE);
    gbench_counter(state, "page_faults", (double)bench_page_faults(), GBENCH_VALUE);
}

static void print_providers(void)
{
    static const char *const symbols[] = {"malloc", "calloc", "realloc", "free"};
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
        printf("%s\t%s\n", symbols[i], bench_provider(symbols[i]));
}

enum command { RUN, PRINT_ROWS, PRINT_PROVIDERS };

/* Leaves Google Benchmark's options in argv. */
static enum command read_options(int *argc, char **argv)
{
    enum command command = RUN;
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--rows") == 0)
            command = PRINT_ROWS;
        else if (strcmp(argv[i], "--provider") == 0)
            command = PRINT_PROVIDERS;
        else if (!bench_take_option(argv[i]))
            argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    *argc = kept;
    return command;
}

int main(int argc, char **argv)
{
    enum command command = read_options(&argc, argv);
    bench_make_cases();
    if (command == PRINT_ROWS)
        bench_print_rows();
    if (command == PRINT_PROVIDERS)
        print_providers();
    if (command != RUN)
        return 0;
    bench_register_cases(run_case);
    gbench_context("malloc_provider", bench_provider("malloc"));
    return gbench_run(&argc, argv);
}
