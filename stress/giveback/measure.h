/* SPDX-License-Identifier: MIT */
/*
 * What the programs of stress/giveback/ measure and how they judge it. Each prints one line for
 * each figure, "name measured bar verdict", and ends with status 1 when a bar was missed;
 * compare.py reads the same lines. Nothing here takes memory from the allocator under test. The
 * figures are for one thread, the gate is for all.
 */
#ifndef GIVEBACK_MEASURE_H
#define GIVEBACK_MEASURE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* AddressSanitizer and ThreadSanitizer keep memory of their own for each byte and each thread, so
 * there resident memory says nothing about the allocator: bars on it are not judged. */
#ifndef GIVEBACK_RESIDENT_COUNTS
#define GIVEBACK_RESIDENT_COUNTS 1
#endif

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* How the programs say that the system does not let them try. */
enum { exit_skipped = 77 };

/* Bytes of this process in memory now, counted page by page: the figure in statm lags behind. */
size_t measure_resident(void);
/* The most that was resident since the start or the last reset; false: the system cannot. */
bool measure_peak_reset(void);
size_t measure_peak(void);
/* A figure of /proc/self/status, such as "VmData:", in bytes. */
size_t measure_status(const char *name);
/* Bytes that the system has promised to this process, and counts under strict overcommit. */
size_t measure_committed(void);
/* Page faults of the process that needed no input. */
uint64_t measure_faults(void);
uint64_t measure_now_ns(void);
/* Processor time of all threads of the process, ended ones included. */
uint64_t measure_cpu_ns(void);

/* The allocator's own counters; false where poolmalloc is not the allocator. */
struct pm_stats;
bool measure_counters(struct pm_stats *stats);
/* Size of an arena; that of poolmalloc's default geometry where the allocator has none. */
size_t measure_arena_bytes(void);
/* All that the allocator has to give back by a call; for jemalloc its own, malloc_trim else. */
void measure_trim(void);

/* Prints the figure; a measured value above the bar is a failure. */
void judge(const char *figure, double measured, double bar);
/* The same of a figure that follows from resident memory. */
void judge_resident(const char *figure, double measured, double bar);
/* Prints a figure that has no bar. */
void report(const char *figure, double measured);
/* Of main: 1 when a bar was missed. */
int judged(void);

/* The value of an argument "name=value", or what is given for default. */
const char *option(int count, char **arguments, const char *name, const char *otherwise);
uint64_t option_number(int count, char **arguments, const char *name, uint64_t otherwise);
/* Ends the program when an argument is none of the names, which end with NULL. */
void options_check(int count, char **arguments, const char *const *names);

/* Threads go through stages together: one thread opens them, the others wait for them and say that
 * they have done their part. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened, arrival;
    unsigned stage, arrived;
};
#define GATE_INIT                                                                                  \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0        \
    }

void gate_open(struct gate *gate, unsigned stage);
void gate_wait(struct gate *gate, unsigned stage);
void gate_arrive(struct gate *gate);
/* Until so many have arrived, and counts anew. */
void gate_await(struct gate *gate, unsigned arrivals);

#endif
