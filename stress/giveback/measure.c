/* SPDX-License-Identifier: MIT */
/* See measure.h. Files are read into buffers on the stack: stdio would allocate one. */
#include "giveback/measure.h"
#include "check.h"
#include "common.h"
#include "names.h"
#include "poolmalloc/poolmalloc.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { line_bytes = 512 };

typedef void visit_line(const char *line, void *argument);

/* Hands each line of the file over, without its end; what is longer than a line may be is cut. */
static void each_line(const char *path, visit_line *visit, void *argument)
{
    char line[line_bytes], chunk[4096];
    size_t used = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0, "%s cannot be read", path);
    for (ssize_t got; (got = read(file, chunk, sizeof chunk)) > 0;) {
        for (ssize_t i = 0; i < got; i++) {
            if (chunk[i] != '\n') {
                if (used < sizeof line - 1)
                    line[used++] = chunk[i];
                continue;
            }
            line[used] = '\0';
            used = 0;
            visit(line, argument);
        }
    }
    close(file);
}

struct wanted {
    const char *name;
    size_t bytes;
};

static bool line_kib(const char *line, const char *name, size_t *bytes)
{
    size_t length = strlen(name);
    if (strncmp(line, name, length) != 0)
        return false;
    *bytes = strtoull(line + length, NULL, 10) * KIB;
    return true;
}

static void find_line(const char *line, void *argument)
{
    struct wanted *wanted = argument;
    line_kib(line, wanted->name, &wanted->bytes);
}

static size_t kib_in(const char *path, const char *name)
{
    struct wanted wanted = {name, 0};
    each_line(path, find_line, &wanted);
    return wanted.bytes;
}

size_t measure_resident(void)
{
    return kib_in("/proc/self/smaps_rollup", "Rss:");
}

size_t measure_status(const char *name)
{
    return kib_in("/proc/self/status", name);
}

size_t measure_peak(void)
{
    return measure_status("VmHWM:");
}

bool measure_peak_reset(void)
{
    int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    bool done = write(file, "5", 1) == 1;
    close(file);
    return done;
}

struct committed {
    size_t mapping_bytes, sum_bytes;
};

/* A mapping's size comes before its flags; "ac" is the one that is accounted. */
static void add_committed(const char *line, void *argument)
{
    struct committed *committed = argument;
    line_kib(line, "Size:", &committed->mapping_bytes);
    if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " ac"))
        committed->sum_bytes += committed->mapping_bytes;
}

size_t measure_committed(void)
{
    struct committed committed = {0, 0};
    each_line("/proc/self/smaps", add_committed, &committed);
    return committed.sum_bytes;
}

uint64_t measure_faults(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage failed");
    return (uint64_t)usage.ru_minflt;
}

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    CHECK(clock_gettime(clock, &now) == 0, "no clock");
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t measure_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t measure_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

#if STRESS_STANDARD_NAMES

/* Whichever allocator is preloaded has it, or none. */
static void *find_symbol(const char *name)
{
    return dlsym(RTLD_DEFAULT, name);
}

bool measure_counters(struct pm_stats *stats)
{
    bool (*get)(struct pm_stats *);
    *(void **)&get = find_symbol("pm_stats_get");
    memset(stats, 0, sizeof *stats);
    return get && get(stats);
}

void measure_trim(void)
{
    int (*control)(const char *, void *, size_t *, void *, size_t);
    int (*trim)(size_t); /* not every C library has it */
    *(void **)&control = find_symbol("mallctl");
    *(void **)&trim = find_symbol("malloc_trim");
    if (control)
        control("arena.4096.purge", NULL, NULL, NULL, 0); /* 4096 is its name of all arenas */
    else if (trim)
        trim(0);
}

#else

bool measure_counters(struct pm_stats *stats)
{
    return pm_stats_get(stats);
}

void measure_trim(void)
{
    pm_malloc_trim(0);
}

#endif

size_t measure_arena_bytes(void)
{
    struct pm_stats stats;
    return measure_counters(&stats) ? stats.arena_bytes : 2 * MIB;
}

static bool missed;

static void print_figure(const char *figure, double measured, const char *bar, const char *verdict)
{
    printf("%-32s %14.2f %14s %s\n", figure, measured, bar, verdict);
    fflush(stdout);
}

void judge(const char *figure, double measured, double bar)
{
    char text[32];
    bool good = measured <= bar;
    snprintf(text, sizeof text, "%.2f", bar);
    print_figure(figure, measured, text, good ? "ok" : "MISSED");
    missed |= !good;
}

void judge_resident(const char *figure, double measured, double bar)
{
    if (GIVEBACK_RESIDENT_COUNTS)
        judge(figure, measured, bar);
    else
        report(figure, measured);
}

void report(const char *figure, double measured)
{
    print_figure(figure, measured, "-", "-");
}

int judged(void)
{
    return missed;
}

static const char *value_of(const char *argument, const char *name)
{
    size_t length = strlen(name);
    bool same = strncmp(argument, name, length) == 0 && argument[length] == '=';
    return same ? argument + length + 1 : NULL;
}

const char *option(int count, char **arguments, const char *name, const char *otherwise)
{
    for (int i = 1; i < count; i++) {
        const char *value = value_of(arguments[i], name);
        if (value)
            return value;
    }
    return otherwise;
}

uint64_t option_number(int count, char **arguments, const char *name, uint64_t otherwise)
{
    const char *value = option(count, arguments, name, NULL);
    return value ? parse_number(name, value) : otherwise;
}

void options_check(int count, char **arguments, const char *const *names)
{
    for (int i = 1; i < count; i++) {
        bool known = false;
        for (const char *const *name = names; *name; name++)
            known |= value_of(arguments[i], *name) != NULL;
        if (known)
            continue;
        fprintf(stderr,
                "unknown argument \"%s\"; name=value, with one of the names:", arguments[i]);
        for (const char *const *name = names; *name; name++)
            fprintf(stderr, " %s", *name);
        fprintf(stderr, "\n");
        exit(2);
    }
}

void gate_open(struct gate *gate, unsigned stage)
{
    pthread_mutex_lock(&gate->lock);
    gate->stage = stage;
    pthread_cond_broadcast(&gate->opened);
    pthread_mutex_unlock(&gate->lock);
}

void gate_wait(struct gate *gate, unsigned stage)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->stage < stage)
        pthread_cond_wait(&gate->opened, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

void gate_arrive(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->arrived++;
    pthread_cond_signal(&gate->arrival);
    pthread_mutex_unlock(&gate->lock);
}

void gate_await(struct gate *gate, unsigned arrivals)
{
    pthread_mutex_lock(&gate->lock);
    while (gate->arrived < arrivals)
        pthread_cond_wait(&gate->arrival, &gate->lock);
    gate->arrived -= arrivals;
    pthread_mutex_unlock(&gate->lock);
}
