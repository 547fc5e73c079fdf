/* SPDX-License-Identifier: MIT */
/*
 * The program that runs the workloads; bench/compare.py starts it once per row and allocator.
 *
 *     pm_bench --rows              the rows: name, kind (micro or workload), clock (cpu or wall),
 *                                  threads, what it stands for
 *     pm_bench --provider          which file provides malloc, calloc, realloc and free
 *     pm_bench [--row=NAME] [--scale=0.2] [--threads=1,2,8] [Google Benchmark's options]
 *
 * A row becomes a benchmark whose iterations are its operations, so that the reported time is the
 * time per operation. The report also says who provided malloc and the peak resident set.
 */
#include "workload.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>

/* A row, or one of its thread counts. */
struct bench_case {
    const struct bench_row *row;
    enum bench_kind kind;
    size_t threads;
    char name[64];
};

static struct bench_case cases[1024];
static size_t case_count;

static double scale = 1.0;
static const char *only_row;                        /* NULL: all */
static size_t thread_counts[BENCH_THREADS_MAX + 1]; /* of --threads, ended by 0 */
static volatile uint64_t sink;

__attribute__((noreturn, format(printf, 1, 2))) static void refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("pm_bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static void add_case(const struct bench_rows *rows, const struct bench_row *row, size_t threads)
{
    if (case_count == sizeof(cases) / sizeof(cases[0]))
        bench_die("more rows than pm_bench has room for: raise the size of cases");
    struct bench_case *one = &cases[case_count++];
    *one = (struct bench_case){.row = row, .kind = rows->kind, .threads = threads};
    if (row->thread_counts != NULL)
        snprintf(one->name, sizeof(one->name), "%s/%zu", row->name, threads);
    else
        snprintf(one->name, sizeof(one->name), "%s", row->name);
}

static void add_cases(void)
{
    for (const struct bench_rows *rows = bench_all_rows(); rows != NULL; rows = rows->next) {
        for (size_t i = 0; i < rows->count; i++) {
            const struct bench_row *row = &rows->row[i];
            const size_t *counts = thread_counts[0] != 0 ? thread_counts : row->thread_counts;
            if (row->thread_counts == NULL)
                add_case(rows, row, row->threads == 0 ? 1 : row->threads);
            else
                for (size_t k = 0; counts[k] != 0; k++)
                    add_case(rows, row, counts[k]);
        }
    }
}

static void run_case(struct gbench_state *state, void *context)
{
    const struct bench_case *one = context;
    struct bench_run how = {
        .ops = bench_scaled_ops(one->row, one->threads, scale),
        .threads = one->threads,
        .context = one->row->context,
    };
    /* Read later, so that the compiler must keep what the workload computed. */
    sink = one->row->run(state, &how);
    gbench_items(state, gbench_iterations_done(state));
    gbench_counter(state, "peak_rss_kib", (double)bench_peak_rss_kib(), GBENCH_VALUE);
    gbench_counter(state, "page_faults", (double)bench_page_faults(), GBENCH_VALUE);
}

/* How many. */
static size_t register_cases(void)
{
    size_t count = 0;
    for (size_t i = 0; i < case_count; i++) {
        struct bench_case *one = &cases[i];
        if (only_row != NULL && strcmp(only_row, one->name) != 0)
            continue;
        struct gbench *bench = gbench_register(one->name, run_case, one);
        gbench_iterations(bench, bench_scaled_ops(one->row, one->threads, scale));
        gbench_clock(bench, one->row->clock);
        count++;
    }
    return count;
}

static void print_rows(void)
{
    for (size_t i = 0; i < case_count; i++) {
        const struct bench_row *row = cases[i].row;
        bool wall = row->clock == GBENCH_WALL || row->clock == GBENCH_MANUAL;
        printf("%s\t%s\t%s\t%zu\t%s\n", cases[i].name,
               cases[i].kind == BENCH_MICRO ? "micro" : "workload", wall ? "wall" : "cpu",
               cases[i].threads, row->what);
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
    if (*end != '\0' || !(scale > 0 && scale <= 1000))
        refuse("--scale=%s: give a number above 0, up to 1000", text);
}

static void set_thread_counts(const char *text)
{
    const char *left = text;
    for (size_t count = 0; count < BENCH_THREADS_MAX; count++) {
        char *end;
        unsigned long threads = strtoul(left, &end, 10);
        if (end == left || threads < 1 || threads > BENCH_THREADS_MAX)
            break;
        thread_counts[count] = threads;
        if (*end == '\0')
            return;
        if (*end != ',')
            break;
        left = end + 1;
    }
    refuse("--threads=%s: give numbers of 1 to %d, as 1,2,8", text, BENCH_THREADS_MAX);
}

/* The text behind `option` when `argument` starts with it; else NULL. */
static const char *value_of(const char *argument, const char *option)
{
    size_t length = strlen(option);
    return strncmp(argument, option, length) == 0 ? argument + length : NULL;
}

enum command { RUN, PRINT_ROWS, PRINT_PROVIDERS };

/* Leaves Google Benchmark's options in argv. */
static enum command read_options(int *argc, char **argv)
{
    enum command command = RUN;
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        const char *value;
        if (strcmp(argv[i], "--rows") == 0)
            command = PRINT_ROWS;
        else if (strcmp(argv[i], "--provider") == 0)
            command = PRINT_PROVIDERS;
        else if ((value = value_of(argv[i], "--row=")) != NULL)
            only_row = value;
        else if ((value = value_of(argv[i], "--scale=")) != NULL)
            set_scale(value);
        else if ((value = value_of(argv[i], "--threads=")) != NULL)
            set_thread_counts(value);
        else
            argv[kept++] = argv[i];
    }
    argv[kept] = NULL;
    *argc = kept;
    return command;
}

int main(int argc, char **argv)
{
    enum command command = read_options(&argc, argv);
    add_cases();
    if (command == PRINT_ROWS)
        print_rows();
    if (command == PRINT_PROVIDERS)
        print_providers();
    if (command != RUN)
        return 0;
    if (register_cases() == 0)
        refuse("no row is called %s: see --rows", only_row);
    gbench_context("malloc_provider", provider("malloc"));
    return gbench_run(&argc, argv);
}
