/* SPDX-License-Identifier: MIT */
/* The workloads whose cost is counted for each operation, from 1 to 256 threads. */
#ifndef STRESS_SCALING_WORKLOADS_H
#define STRESS_SCALING_WORKLOADS_H

#include "common.h"

#include <pthread.h>

enum { WORKERS_MAX = 256 };

/* One thread. What it does in a turn is the least that others would notice: one replaced block, or
 * one list handed over. */
struct worker {
    unsigned index, threads;
    uint64_t turn; /* number of the present one */
    struct rng rng;
    void *block; /* of workloads that have one */
    pthread_t thread;
};

struct workload {
    const char *name, *what; /* what an operation is */
    void (*turn)(struct worker *worker);
    unsigned operations_of_two_turns;
    unsigned operations; /* measured, of all threads together, and as many before */
};

/* Everybody else has a turn before this returns. As often in each turn of a workload. */
void worker_yield(const struct worker *worker);

extern const struct workload workloads[];
extern const unsigned workload_count;

#endif
