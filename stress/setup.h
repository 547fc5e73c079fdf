/* SPDX-License-Identifier: MIT */
/*
 * What the seeded stress programs share around their workers: options, the line that repeats a run,
 * the threads of a run, and the checks after the last free. Called by the main thread.
 */
#ifndef STRESS_SETUP_H
#define STRESS_SETUP_H

#include "worker.h"

#include <pthread.h>

/* "--name NUMBER", or "--name WORD" where `word` is set: then it must be one of `words`, and
 * *number becomes its place there. Ends with a line of no name. */
struct option {
    const char *name;
    uint64_t *number;
    uint64_t lowest, highest;
    const char *const *words; /* ended by NULL */
};

/* Reads the options; what is wrong ends the program with a message and status 2. Prints the line
 * that repeats the run, which every failed check prints too. */
void setup_options(const char *program, const struct option *options, int count, char **arguments);

/* Makes shared->worker_count workers, and the shadow model. */
void setup_workers(struct shared *shared, uint64_t seed);

/* Frees what is in mailboxes, checks that nothing is live and that the allocator is whole, and
 * prints the summary line. The threads have ended. */
void setup_finish(const char *program, struct shared *shared);

pthread_t setup_start(void *(*run)(void *), void *argument);
void setup_join(pthread_t thread);

#endif
