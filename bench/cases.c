/* SPDX-License-Identifier: MIT */
/* Cases and options; see cases.h. */
#include "cases.h"

#include <dlfcn.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>

static struct bench_case cases[1024];
static size_t case_count;

static double scale = 1.0;
static const char *only_row;                        /* NULL: all */
static size_t thread_counts[BENCH_THREADS_MAX + 1]; /* of --threads, ended by 0 */
static int core = -1;                               /* -1: any */
static volatile uint64_t sink;

void bench_refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static void set_scale(const char *text)
{
    char *end;
    scale = strtod(text, &end);
    if (*end != '\0' || !(scale > 0 && scale <= 1000))
        bench_refuse("--scale=%s: give a number above 0, up to 1000", text);
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
    bench_refuse("--threads=%s: give numbers of 1 to %d, as 1,2,8", text, BENCH_THREADS_MAX);
}

static void set_core(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);
    if (end == text || *end != '\0' || number < 0 || number >= CPU_SETSIZE)
        bench_refuse("--core=%s: give the number of a core", text);
    core = (int)number;
}

/* The text behind `option` when `argument` starts with it; else NULL. */
static const char *value_of(const char *argument, const char *option)
{
    size_t length = strlen(option);
    return strncmp(argument, option, length) == 0 ? argument + length : NULL;
}

bool bench_take_option(const char *argument)
{
    const char *value;
    if ((value = value_of(argument, "--row=")) != NULL)
        only_row = value;
    else if ((value = value_of(argument, "--scale=")) != NULL)
        set_scale(value);
    else if ((value = value_of(argument, "--threads=")) != NULL)
        set_thread_counts(value);
    else if ((value = value_of(argument, "--core=")) != NULL)
        set_core(value);
    else
        return false;
    return true;
}

static void add_case(const struct bench_rows *rows, const struct bench_row *row, size_t threads)
{
    if (case_count == sizeof(cases) / sizeof(cases[0]))
        bench_die("more rows than there is room for: raise the size of cases");
    struct bench_case *one = &cases[case_count++];
    *one = (struct bench_case){.row = row, .kind = rows->kind, .threads = threads};
    one->ops = bench_scaled_ops(row, threads, scale);
    if (row->thread_counts != NULL)
        snprintf(one->name, sizeof(one->name), "%s/%zu", row->name, threads);
    else
        snprintf(one->name, sizeof(one->name), "%s", row->name);
}

void bench_make_cases(void)
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

void bench_print_rows(void)
{
    for (size_t i = 0; i < case_count; i++) {
        const struct bench_row *row = cases[i].row;
        bool wall = row->clock == GBENCH_WALL || (row->clock == GBENCH_MANUAL && !row->cpu_time);
        printf("%s\t%s\t%s\t%zu\t%s\t%s\t%s\n", cases[i].name,
               cases[i].kind == BENCH_MICRO ? "micro" : "workload", wall ? "wall" : "cpu",
               cases[i].threads, row->unit != NULL ? row->unit : "operation",
               row->thread_counts != NULL ? row->name : "-", row->what);
    }
}

size_t bench_register_cases(gbench_fn *run)
{
    size_t count = 0;
    for (size_t i = 0; i < case_count; i++) {
        struct bench_case *one = &cases[i];
        if (only_row != NULL && strcmp(only_row, one->name) != 0)
            continue;
        struct gbench *bench = gbench_register(one->name, run, one);
        gbench_iterations(bench, one->ops);
        gbench_clock(bench, one->row->clock);
        count++;
    }
    if (count == 0)
        bench_refuse("no row is called %s: see --rows", only_row);
    return count;
}

static void take_core(void)
{
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET((size_t)core, &own);
    if (sched_setaffinity(0, sizeof(own), &own) != 0)
        bench_refuse("--core=%d: %s", core, strerror(errno));
}

void bench_run_case(struct gbench_state *state, const struct bench_case *one)
{
    if (core >= 0)
        take_core();
    struct bench_run how = {
        .ops = one->ops,
        .threads = one->threads,
        .context = one->row->context,
    };
    /* Read later, so that the compiler must keep what the workload computed. */
    sink = one->row->run(state, &how);
}

const char *bench_provider(const char *symbol)
{
    Dl_info info;
    void *address = dlsym(RTLD_DEFAULT, symbol);
    if (address == NULL || dladdr(address, &info) == 0 || info.dli_fname == NULL)
        return "unknown";
    return info.dli_fname;
}
