/* SPDX-License-Identifier: MIT */
/* The sampling child process; see memory.h. */
#include "detail/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "detail/calls.h"
#include "workload.h"

#define FIRST_DISTANCE_MS 1.0 /* a quick run takes some tens */

static struct detail_memory *memory; /* shared with the child, which writes it */
static pid_t child;
static int to_child;

void detail_memory_add(struct detail_memory *to, double *distance_ms,
                       const struct detail_point *point)
{
    if (to->count == DETAIL_POINTS_MAX) {
        for (size_t i = 0; i < DETAIL_POINTS_MAX / 2; i++)
            to->point[i] = to->point[2 * i];
        to->count = DETAIL_POINTS_MAX / 2;
        *distance_ms *= 2;
    }
    if (to->count == 0 || point->live_bytes > to->peak.live_bytes)
        to->peak = *point;
    to->point[to->count++] = *point;
}

/* The second number of statm, in KiB. The child has no stdio: its buffers are the parent's. */
static int64_t resident_kib(int statm)
{
    char text[256];
    ssize_t length = pread(statm, text, sizeof(text) - 1, 0);
    if (length <= 0)
        return -1;
    text[length] = '\0';
    const char *second = strchr(text, ' ');
    return second == NULL ? -1 : strtoll(second, NULL, 10) * (sysconf(_SC_PAGESIZE) / 1024);
}

static bool add_point(int statm, uint64_t began_ns, double *distance_ms)
{
    struct detail_point point = {.live_bytes = detail_live_bytes()};
    int64_t tables_kib = (int64_t)(detail_table_bytes() / 1024);
    int64_t kib = resident_kib(statm);
    point.resident_kib = kib - tables_kib;
    point.ms = (double)(detail_monotonic_ns() - began_ns) * 1e-6;
    detail_memory_add(memory, distance_ms, &point);
    return kib >= 0;
}

/* True when the parent said that the row is done, or is no more. */
static bool wait_for_end(int to_parent, double ms)
{
    struct pollfd wait = {.fd = to_parent, .events = POLLIN};
    struct timespec time = {(time_t)(ms / 1000), 0};
    time.tv_nsec = (long)((ms - (double)time.tv_sec * 1000) * 1e6);
    return ppoll(&wait, 1, &time, NULL) > 0;
}

__attribute__((noreturn)) static void sample(int statm, int to_parent)
{
    uint64_t began_ns = detail_monotonic_ns();
    double distance_ms = FIRST_DISTANCE_MS;
    bool good = add_point(statm, began_ns, &distance_ms) && write(to_parent, "", 1) == 1;
    for (bool ended = false; good && !ended;) {
        ended = wait_for_end(to_parent, distance_ms);
        good = add_point(statm, began_ns, &distance_ms);
    }
    _exit(good ? 0 : 1);
}

void detail_memory_start(void)
{
    int ends[2];
    char ready;
    int statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (statm < 0)
        bench_die("/proc/self/statm: %s", strerror(errno));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        bench_die("socketpair: %s", strerror(errno));
    memory = mmap(NULL, sizeof(*memory), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED)
        bench_die("no memory for the points: %s", strerror(errno));
    child = fork();
    if (child < 0)
        bench_die("fork: %s", strerror(errno));
    if (child == 0) {
        close(ends[0]);
        sample(statm, ends[1]);
    }
    close(ends[1]);
    close(statm);
    to_child = ends[0];
    if (read(to_child, &ready, 1) != 1)
        bench_die("the sampling process ended at once");
}

const struct detail_memory *detail_memory_stop(void)
{
    int status;
    close(to_child);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            bench_die("waitpid: %s", strerror(errno));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        bench_die("the sampling process failed");
    return memory;
}

double detail_fragmentation(const struct detail_memory *of)
{
    if (of->peak.live_bytes < DETAIL_LIVE_MIN)
        return -1;
    int64_t taken_kib = of->peak.resident_kib - of->point[0].resident_kib;
    return (double)taken_kib * 1024 / (double)of->peak.live_bytes;
}
