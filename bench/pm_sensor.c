/* SPDX-License-Identifier: MIT */
/*
 * How fast is each core just now? On a shared machine the other thread of a core, which belongs to
 * somebody else, takes a third of its speed away for a second, and nothing in the system says so.
 *
 *     pm_sensor FILE     until its standard input ends; says "ready" when it has begun
 *
 * A thread on each core that this process may use wakes every few milliseconds and times a loop
 * that keeps the whole core busy for some microseconds, less than half a percent of its time. The
 * times go to FILE, a ring for each core, for bench/comparison/sensor.py. What is measured at the
 * same time has no influence on them: the loop has the core for itself, and its data in the nearest
 * cache.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
    RECORDS = 4096, /* at least 20 seconds */
    PERIOD_NS = 5000000,
    STEPS = 5000, /* of the loop: about 4 us */
    TRIES = 3,    /* the quickest counts: an interrupt, or a cold cache, is no slow core */
    WORDS = 512,
};

/* As sensor.py reads it. */
struct ring {
    uint64_t core;
    _Atomic uint64_t count; /* records that were ever written, released after each */
    struct record {
        uint64_t at_ns; /* CLOCK_MONOTONIC */
        uint64_t taken_ns;
    } records[RECORDS];
};

static void die(const char *what)
{
    fprintf(stderr, "pm_sensor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Loads, stores and additions that do not wait for each other: what shares the core slows it. */
static uint64_t time_of_loop(volatile uint64_t *words)
{
    uint64_t started = now_ns();
    for (unsigned i = 0; i < STEPS; i++) {
        volatile uint64_t *line = &words[i * 8 % WORDS];
        line[0] += 1;
        line[2] = line[1];
    }
    return now_ns() - started;
}

static void *sense(void *argument)
{
    struct ring *ring = argument;
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET((int)ring->core, &own);
    if (pthread_setaffinity_np(pthread_self(), sizeof(own), &own) != 0)
        die("a core cannot be taken");
    volatile uint64_t words[WORDS] = {0};
    for (uint64_t count = 0;; count++) {
        uint64_t least = UINT64_MAX;
        for (int i = 0; i < TRIES; i++) {
            uint64_t taken = time_of_loop(words);
            least = taken < least ? taken : least;
        }
        ring->records[count % RECORDS] = (struct record){now_ns(), least};
        atomic_store_explicit(&ring->count, count + 1, memory_order_release);
        nanosleep(&(struct timespec){.tv_nsec = PERIOD_NS}, NULL);
    }
    return NULL;
}

static struct ring *make_rings(const char *path, size_t cores)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0 || ftruncate(file, (off_t)(cores * sizeof(struct ring))) != 0)
        die(path);
    void *rings =
        mmap(NULL, cores * sizeof(struct ring), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (rings == MAP_FAILED)
        die(path);
    return rings;
}

static void start(struct ring *ring, int core)
{
    pthread_t thread;
    ring->core = (uint64_t)core;
    errno = pthread_create(&thread, NULL, sense, ring);
    if (errno != 0)
        die("pthread_create");
}

int main(int argc, char **argv)
{
    if (argc != 2 || argv[1][0] == '-') { /* an option is no name for a file */
        fprintf(stderr, "usage: pm_sensor FILE\n");
        return 2;
    }
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        die("sched_getaffinity");
    struct ring *rings = make_rings(argv[1], (size_t)CPU_COUNT(&allowed));
    size_t count = 0;
    for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &allowed))
            start(&rings[count++], core);
    puts("ready");
    fflush(stdout);
    char ignored[64];
    while (read(STDIN_FILENO, ignored, sizeof(ignored)) > 0) {
    }
    return 0;
}
