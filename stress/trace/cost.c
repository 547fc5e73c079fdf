/* SPDX-License-Identifier: MIT */
/*
 * What tracing costs: two loops that do nothing but allocate, after those that comparisons of
 * allocators use (a pair of malloc and free of one size; sizes at random among many live blocks, as
 * larson does, Larson and Krishnan 1998), with as many threads as are asked for, below a few
 * frames.
 *
 *     trace_cost THREADS SECONDS
 *
 * A line for each loop: its name, threads, nanoseconds of a pair on one processor. Run it with and
 * without POOLMALLOC_OPTIONS=trace=8; docs/tracing.md has the figures.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LIVE = 10000, SMALL = 64, RANDOM_MAX = 1000, DEPTH = 6, CHUNK = 20000, THREADS_MAX = 64 };

static _Atomic int ready, go, stop;

struct worker {
    pthread_t thread;
    void (*chunk)(struct worker *);
    uint64_t pairs, random;
    void **blocks;
};

static void *volatile sink;

static __attribute__((noinline)) void pairs(struct worker *self)
{
    for (int i = 0; i < CHUNK; i++) {
        void *block = malloc(SMALL);
        sink = block;
        free(block);
    }
    self->pairs += CHUNK;
}

static __attribute__((noinline)) void mix(struct worker *self)
{
    for (int i = 0; i < CHUNK; i++) {
        uint64_t x = self->random;
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        self->random = x;
        void **slot = &self->blocks[x % LIVE];
        free(*slot);
        *slot = malloc(1 + (x >> 32) % RANDOM_MAX);
    }
    self->pairs += CHUNK;
}

static __attribute__((noinline)) void descend(struct worker *self, int depth)
{
    if (depth > 0)
        descend(self, depth - 1);
    else
        self->chunk(self);
    __asm__ volatile("" ::: "memory"); /* no tail call */
}

static void *work(void *arg)
{
    struct worker *self = arg;
    self->blocks = calloc(LIVE, sizeof *self->blocks);
    self->random = (uintptr_t)self | 1;
    descend(self, DEPTH); /* warm */
    self->pairs = 0;
    ready++;
    while (!go)
        usleep(100);
    while (!stop)
        descend(self, DEPTH);
    for (int i = 0; i < LIVE; i++)
        free(self->blocks[i]);
    free(self->blocks);
    return NULL;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void run(const char *name, void (*chunk)(struct worker *), int threads, double seconds)
{
    static struct worker workers[THREADS_MAX];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    ready = go = stop = 0;
    for (int i = 0; i < threads; i++) {
        workers[i] = (struct worker){.chunk = chunk};
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    while (ready < threads)
        usleep(1000);
    double start = now();
    go = 1;
    usleep((useconds_t)(seconds * 1e6));
    stop = 1;
    double took = now() - start;
    uint64_t pairs_done = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        pairs_done += workers[i].pairs;
    }
    double busy = took * (double)(threads < processors ? threads : processors);
    printf("%-6s %3d threads  %7.2f ns\n", name, threads, busy * 1e9 / (double)pairs_done);
    fflush(stdout);
}

int main(int count, char **arguments)
{
    int threads = count > 1 ? atoi(arguments[1]) : 1;
    double seconds = count > 2 ? atof(arguments[2]) : 1;
    if (threads < 1 || threads > THREADS_MAX)
        return 2;
    run("pair", pairs, threads, seconds);
    run("random", mix, threads, seconds);
    return 0;
}
