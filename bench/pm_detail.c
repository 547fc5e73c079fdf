/* SPDX-License-Identifier: MIT */
/*
 * The workloads again, compiled so that their calls are counted and some are timed: what a single
 * call takes, and how memory goes over the run. bench/comparison/details.py starts it once per row
 * and allocator. The time of the row itself means nothing here.
 *
 *     pm_detail --row=NAME [--scale=0.2] [--threads=1,2,8] [--core=0]
 *     pm_detail --rows
 *
 * prints one JSON object: malloc_provider, operations (pairs of the row), latency_ns (null when the
 * row has more threads than there are cores; p99 and p999 are null below 100 and 1000 samples),
 * memory ([ms, resident_kib, live_kib]), fragmentation (null with less than a MiB live) and
 * kept_kib: what is resident after the row freed its blocks, more than before it.
 */
#include "cases.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "detail/calls.h"
#include "detail/memory.h"

/* Of a full run: fifty above the last quantile. More would cost time, and heat other caches. */
enum { SAMPLES_ENOUGH = 500000 };

static const double quantiles[] = {0.1,  0.25,  0.5,   0.75,   0.9,   0.95,
                                   0.99, 0.995, 0.999, 0.9995, 0.9999};

static const struct bench_case *ran;
static const struct detail_memory *memory;

static size_t cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return (size_t)CPU_COUNT(&set);
    return (size_t)sysconf(_SC_NPROCESSORS_ONLN);
}

static bool has_latency(const struct bench_case *one)
{
    return one->threads <= cores();
}

/* Calls between two that are timed; 0: none is. */
static uint64_t spacing_of(const struct bench_case *one)
{
    uint64_t spacing = (uint64_t)one->ops * 2 / SAMPLES_ENOUGH;
    if (!has_latency(one))
        return 0;
    return spacing < 1 ? 1 : spacing;
}

static void run_case(struct gbench_state *state, void *context)
{
    ran = context;
    detail_clock_start();
    detail_calls_start(spacing_of(ran), ran->threads);
    detail_memory_start();
    bench_run_case(state, ran);
    memory = detail_memory_stop();
}

/* Runs the row with Google Benchmark's report put away; shown only when it tells of an error. */
static int run_quietly(char *program)
{
    char json[] = "--benchmark_format=json"; /* says nothing on stderr */
    char *arguments[] = {program, json, NULL};
    int count = 2, out = dup(STDOUT_FILENO), report = memfd_create("report", MFD_CLOEXEC);
    if (out < 0 || report < 0 || dup2(report, STDOUT_FILENO) < 0)
        bench_die("no place for the report: %s", strerror(errno));
    int status = gbench_run(&count, arguments);
    fflush(stdout);
    if (dup2(out, STDOUT_FILENO) < 0)
        bench_die("stdout: %s", strerror(errno));
    if (status != 0) {
        char text[4096];
        ssize_t length = pread(report, text, sizeof(text), 0);
        if (length > 0)
            fwrite(text, 1, (size_t)length, stderr);
    }
    return status;
}

static void print_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        if ((unsigned char)*text < ' ')
            printf("\\u%04x", (unsigned)*text);
        else
            putchar(*text);
    }
    putchar('"');
}

/* Null where fewer than one sample in the tail would have to stand for it. */
static void print_quantile(const char *name, const struct detail_histogram *ticks, double quantile)
{
    if ((double)ticks->samples * (1 - quantile) < 1 - 1e-6)
        printf("\"%s\": null, ", name);
    else
        printf("\"%s\": %.1f, ", name,
               detail_histogram_quantile(ticks, quantile) * detail_clock.ns_per_tick);
}

static void print_curve(const struct detail_histogram *ticks)
{
    printf("\"curve\": [");
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
        if ((double)ticks->samples * (1 - quantiles[i]) >= 1 - 1e-6)
            printf("[%g, %.1f], ", quantiles[i],
                   detail_histogram_quantile(ticks, quantiles[i]) * detail_clock.ns_per_tick);
    printf("[1, %.1f]]", (double)ticks->max * detail_clock.ns_per_tick);
}

static void print_latency(const char *name, enum detail_kind kind)
{
    static struct detail_latency latency;
    detail_calls_latency(kind, &latency);
    const struct detail_histogram *ticks = &latency.ticks;
    printf("\"%s\": ", name);
    if (ticks->samples == 0) {
        printf("null");
        return;
    }
    printf("{");
    print_quantile("p50", ticks, 0.5);
    print_quantile("p99", ticks, 0.99);
    print_quantile("p999", ticks, 0.999);
    printf("\"max\": %.1f, \"samples\": %llu, \"dropped\": %llu, ",
           (double)ticks->max * detail_clock.ns_per_tick, (unsigned long long)ticks->samples,
           (unsigned long long)latency.dropped);
    print_curve(ticks);
    printf("}");
}

static void print_latencies(void)
{
    printf(",\n \"latency_ns\": ");
    if (!has_latency(ran)) {
        printf("null");
        return;
    }
    printf("{");
    print_latency("malloc", DETAIL_MALLOC);
    printf(",\n  ");
    print_latency("free", DETAIL_FREE);
    printf("}");
}

static void print_memory(void)
{
    double fragmentation = detail_fragmentation(memory);
    printf(",\n \"memory\": [");
    for (size_t i = 0; i < memory->count; i++) {
        const struct detail_point *point = &memory->point[i];
        printf("%s[%.1f, %lld, %llu]", i == 0 ? "" : ", ", point->ms,
               (long long)point->resident_kib, (unsigned long long)point->live_bytes / 1024);
    }
    printf("],\n \"fragmentation\": ");
    if (fragmentation < 0)
        printf("null");
    else
        printf("%.3f", fragmentation);
    printf(",\n \"kept_kib\": %lld", (long long)(memory->point[memory->count - 1].resident_kib -
                                                 memory->point[0].resident_kib));
}

int main(int argc, char **argv)
{
    bool rows = false, row = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--rows") == 0)
            rows = true;
        else if (!bench_take_option(argv[i]))
            bench_refuse("%s: known are --row=, --scale=, --threads=, --core= and --rows", argv[i]);
        row |= strncmp(argv[i], "--row=", strlen("--row=")) == 0;
    }
    bench_make_cases();
    if (rows) {
        bench_print_rows();
        return 0;
    }
    if (!row)
        bench_refuse("--row=NAME is missing: see --rows");
    bench_register_cases(run_case);
    int status = run_quietly(argv[0]);
    if (status != 0)
        return status;
    printf("{\"malloc_provider\": ");
    print_string(bench_provider("malloc"));
    printf(", \"operations\": %lld", (long long)ran->ops);
    print_latencies();
    print_memory();
    printf("}\n");
    return 0;
}
