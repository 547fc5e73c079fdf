/* SPDX-License-Identifier: MIT */
/*
 * Rows, sizes, tables, peak memory and teams of threads for the workloads; see workload.h.
 * Rows are entered by constructors, before main; everything else is called by the running row.
 */
#include "workload.h"

#include "workloads/cores.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static struct bench_rows *first_rows;
static struct bench_rows **last_rows = &first_rows;

void bench_enter(struct bench_rows *rows)
{
    *last_rows = rows;
    last_rows = &rows->next;
}

struct bench_rows *bench_all_rows(void)
{
    return first_rows;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    return b == 0 ? a : common_divisor(b, a % b);
}

int64_t bench_scaled_ops(const struct bench_row *row, size_t threads, double scale)
{
    int64_t step = row->step == 0 ? 1 : row->step;
    if (row->thread_counts != NULL)
        step *= (int64_t)threads / common_divisor(step, (int64_t)threads);
    int64_t steps = (int64_t)((double)row->ops * scale / (double)step);
    return (steps < 1 ? 1 : steps) * step;
}

/* In one write: two threads may find out at the same time, and the first abort() ends both. */
void bench_die(const char *format, ...)
{
    char line[512] = "bench: ";
    size_t used = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line + used, sizeof(line) - used - 1, format, arguments);
    va_end(arguments);
    if (length > 0)
        used += (size_t)length < sizeof(line) - used - 1 ? (size_t)length : sizeof(line) - used - 2;
    line[used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written;
    abort();
}

/* With a buffer of its own: stdio would ask the allocator that is being measured. */
uint64_t bench_peak_rss_kib(void)
{
    char text[8192];
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
    if (length < 0)
        bench_die("/proc/self/status: %s", strerror(errno));
    close(file);
    text[length] = '\0';
    const char *line = strstr(text, "\nVmHWM:");
    if (line == NULL)
        bench_die("/proc/self/status has no VmHWM");
    return strtoull(line + strlen("\nVmHWM:"), NULL, 10);
}

uint64_t bench_page_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_minflt + usage.ru_majflt);
}

/* A size for each of the BENCH_SIZES places from the quantile function, then shuffled: the table
 * holds the distribution exactly, without the luck of a draw. */
static void fill_sizes(struct bench_sizes *sizes, double (*quantile)(double, double, double),
                       uint32_t low, uint32_t high)
{
    struct bench_random random = {low * UINT64_C(1000003) + high};
    for (size_t i = 0; i < BENCH_SIZES; i++) {
        double size = quantile(((double)i + 0.5) / BENCH_SIZES, low, high);
        size_t place = bench_random_below(&random, i + 1);
        sizes->size[i] = sizes->size[place];
        sizes->size[place] = (uint32_t)size;
    }
}

static double uniform_quantile(double u, double low, double high)
{
    return low + u * (high + 1 - low);
}

static double log_uniform_quantile(double u, double low, double high)
{
    return low * pow(high / low, u);
}

static double pareto_quantile(double u, double low, double high)
{
    const double alpha = 1.16;
    double share = 1 - u * (1 - pow(low / high, alpha));
    return low * pow(share, -1 / alpha);
}

void bench_sizes_fixed(struct bench_sizes *sizes, uint32_t size)
{
    for (size_t i = 0; i < BENCH_SIZES; i++)
        sizes->size[i] = size;
}

void bench_sizes_uniform(struct bench_sizes *sizes, uint32_t low, uint32_t high)
{
    fill_sizes(sizes, uniform_quantile, low, high);
}

void bench_sizes_log_uniform(struct bench_sizes *sizes, uint32_t low, uint32_t high)
{
    fill_sizes(sizes, log_uniform_quantile, low, high);
}

void bench_sizes_pareto(struct bench_sizes *sizes, uint32_t low, uint32_t high)
{
    fill_sizes(sizes, pareto_quantile, low, high);
}

/* Where memory is sampled, tables are resident as a whole, so that they can be subtracted. */
#if BENCH_DETAIL
enum { TABLE_FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE };
#else
enum { TABLE_FLAGS = MAP_PRIVATE | MAP_ANONYMOUS };
#define detail_count_table(bytes) ((void)(bytes))
#endif

void *bench_table(size_t count, size_t size)
{
    void *table = mmap(NULL, count * size, PROT_READ | PROT_WRITE, TABLE_FLAGS, -1, 0);
    if (table == MAP_FAILED)
        bench_die("no memory for a table of %zu entries", count);
    detail_count_table((int64_t)(count * size));
    return table;
}

void bench_table_drop(void *table, size_t count, size_t size)
{
    munmap(table, count * size);
    detail_count_table(-(int64_t)(count * size));
}

pthread_t bench_thread_start(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run, argument);
    if (error != 0)
        bench_die("pthread_create: %s", strerror(error));
    return thread;
}

void bench_thread_join(pthread_t thread)
{
    int error = pthread_join(thread, NULL);
    if (error != 0)
        bench_die("pthread_join: %s", strerror(error));
}

struct member {
    const struct bench_team *team;
    pthread_barrier_t *together;
    size_t index;
    pthread_t thread;
    double started_seconds, ended_seconds;
};

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Each member takes its own times: with more threads than cores, the thread that would time them
 * from outside may itself wait for a core. Nobody clears up or ends while another one works. */
static void *run_member(void *argument)
{
    struct member *member = argument;
    const struct bench_team *team = member->team;
    bench_take_core(member->index, team->threads);
    if (team->prepare != NULL)
        team->prepare(team->context, member->index);
    pthread_barrier_wait(member->together);
    member->started_seconds = now_seconds();
    team->work(team->context, member->index);
    member->ended_seconds = now_seconds();
    pthread_barrier_wait(member->together);
    if (team->finish != NULL)
        team->finish(team->context, member->index);
    return NULL;
}

double bench_team_run(const struct bench_team *team)
{
    struct member *members = bench_table(team->threads, sizeof(members[0]));
    pthread_barrier_t together;
    pthread_barrier_init(&together, NULL, (unsigned)team->threads);
    for (size_t i = 0; i < team->threads; i++) {
        members[i] = (struct member){.team = team, .together = &together, .index = i};
        members[i].thread = bench_thread_start(run_member, &members[i]);
    }
    for (size_t i = 0; i < team->threads; i++)
        bench_thread_join(members[i].thread);
    double first = members[0].started_seconds, last = members[0].ended_seconds;
    for (size_t i = 1; i < team->threads; i++) {
        first = fmin(first, members[i].started_seconds);
        last = fmax(last, members[i].ended_seconds);
    }
    pthread_barrier_destroy(&together);
    bench_table_drop(members, team->threads, sizeof(members[0]));
    return last - first;
}
