/* SPDX-License-Identifier: MIT */
/*
 * The program that runs the workloads; bench/compare.py starts it once per row and allocator.
 *
 *     pm_bench --rows              the rows: name, clock (cpu or wall), what it stands for
 *     pm_bench --provider          which file provides malloc, calloc, realloc and free
 *     pm_bench [--row=NAME] [--scale=0.2] [Google Benchmark's options]
 *
 * A row becomes a benchmark whose iterations are its operations, so that the reported time is the
 * time per operation. The report also says who provided malloc and the peak resident set.
 */
#include "workload.h"

#include <dlfcn.h>
#include <string.h>

static double scale = 1.0;
static const char *only_row; /* NULL: all */
static volatile uint64_t sink;

static void run_row(struct gbench_state *state, void *context)
{
    const struct bench_row *row = context;
    /* Read later, so that the compiler must keep what the workload computed. */
    sink = row->run(state, bench_scaled_ops(row, scale), row->context);
    gbench_items(state, gbench_iterations_done(state));
    gbench_counter(state, "peak_rss_kib", (double)bench_peak_rss_kib(), GBENCH_VALUE);
}

/* How many. */
static size_t register_rows(void)
{
    size_t count = 0;
    for (const struct bench_rows *rows = bench_all_rows(); rows != NULL; rows = rows->next) {
        for (size_t i = 0; i < rows->count; i++) {
            const struct bench_row *row = &rows->row[i];
            if (only_row != NULL && strcmp(only_row, row->name) != 0)
                continue;
            struct gbench *bench = gbench_register(row->name, run_row, (void *)(uintptr_t)row);
            gbench_iterations(bench, bench_scaled_ops(row, scale));
            gbench_clock(bench, row->clock);
            count++;
        }
    }
    return count;
}

static void print_rows(void)
{
    for (const struct bench_rows *rows = bench_all_rows(); rows != NULL; rows = rows->next) {
        for (size_t i = 0; i < rows->count; i++) {
            const struct bench_row *row = &rows->row[i];
            bool wall = row->clock == GBENCH_WALL || row->clock == GBENCH_MANUAL;
            printf("%s\t%s\t%s\n", row->name, wall ? "wall" : "cpu", row->what);
        }
    }
}

/* The file whose definition of `symbol` this process uses. */
static const char *provider(const char *symbol)
{
    Dl_info info;
    void *address = dlsym(RTLD_DEFAULT, symbol);
    if (address == NULL || dladdr(address, &info) == 0 || info.dli_fname == NULL)
        return "unknown";
    return info.dli_fname;
}

static void print_providers(void)
{
    static const char *const symbols[] = {"malloc", "calloc", "realloc", "free"};
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
        printf("%s\t%s\n", symbols[i], provider(symbols[i]));
}

static void set_scale(const char *text)
{
    char *end;
    scale = strtod(text, &end);
    if (*end != '\0' || !(scale > 0 && scale <= 1000)) {
        fprintf(stderr, "pm_bench: --scale=%s: give a number above 0, up to 1000\n", text);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    int kept = 1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--rows") == 0) {
            print_rows();
            return 0;
        }
        if (strcmp(argv[i], "--provider") == 0) {
            print_providers();
            return 0;
        }
        if (strncmp(argv[i], "--row=", strlen("--row=")) == 0)
            only_row = argv[i] + strlen("--row=");
        else if (strncmp(argv[i], "--scale=", strlen("--scale=")) == 0)
            set_scale(argv[i] + strlen("--scale="));
        else
            argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    if (register_rows() == 0) {
        fprintf(stderr, "pm_bench: no row is called %s: see --rows\n", only_row);
        return 2;
    }
    gbench_context("malloc_provider", provider("malloc"));
    return gbench_run(&kept, argv);
}
