/* SPDX-License-Identifier: MIT */
/*
 * What the programs of this folder share: sets of blocks of every kind, which one thread or process
 * makes and another frees, threads, children, and the guard against hangs. Any thread may call
 * everything; nothing here allocates but by the names under test (names.h).
 */
#ifndef STRESS_LIFE_H
#define STRESS_LIFE_H

#include "check.h"
#include "common.h"
#include "names.h"

#include <pthread.h>
#include <sys/types.h>

#ifndef STRESS_SANITIZED
#define STRESS_SANITIZED 0
#endif

/* Blocks of one maker: of pools that they fill, of pools that are allocated from now, medium ones,
 * and large ones up to more than an arena. The set itself is a block too. */
struct set;

/* The rng decides the sizes; `mark` is what the blocks are filled with. */
struct set *set_make(struct rng *rng, unsigned char mark);
/* Fails when a block does not hold its mark. */
void set_free(struct set *set);

/* Makes and frees so many sets, some of them interleaved. */
void use_heap(struct rng *rng, unsigned sets);

/* From now on a hang ends the process, by SIGALRM. A child of fork needs a guard of its own. */
void guard_against_hangs(void);

pthread_t start_thread(void *(*run)(void *), void *argument);
void join_thread(pthread_t thread);

/* Waits for the child; fails unless it exited with that status. */
void expect_exit(pid_t child, int status, const char *what);

/* From now on the calling thread runs `last_words` in each of its last rounds of destructors, with
 * the number of the round, the first of which is 1. By then its heap may be gone. */
void at_thread_end(void (*last_words)(int round, void *argument), void *argument);
/* So many rounds there are. */
int thread_end_rounds(void);

#endif
