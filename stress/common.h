/* SPDX-License-Identifier: MIT */
/*
 * What every program of stress/ shares: a replayable random sequence, the choice of block sizes,
 * memory that does not come from the allocator under test, and the process's resident memory. Every
 * function may be called by any thread; a struct rng belongs to one thread.
 */
#ifndef STRESS_COMMON_H
#define STRESS_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state;
};

/* Sequence number `stream` of `seed`: streams of one seed are independent of each other. */
struct rng rng_make(uint64_t seed, uint64_t stream);
uint64_t rng_next(struct rng *rng);
/* A number in 0 .. bound-1, for bound > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);
/* True once in `n` times. */
bool rng_one_in(struct rng *rng, uint64_t n);

/* Mixes a word so that every bit of the result depends on every bit of the word. */
uint64_t mix64(uint64_t word);

/* A size in lowest .. highest, each power of two equally likely, often a size class border or one
 * byte beside it. */
size_t random_size(struct rng *rng, size_t lowest, size_t highest);

/* Zeroed memory straight from the system; fails the program when there is none. */
void *system_pages(size_t size);
void system_pages_free(void *pages, size_t size);

/* Bytes of this process that are in memory now; 0 where the system does not say. */
size_t resident_bytes(void);

/* A decimal (or 0x hexadecimal) argument; prints the name and ends the program when it is none. */
uint64_t parse_number(const char *name, const char *text);

/* Ends a child of fork. Not _exit(), nor anything else that is known not to return: before such a
 * call AddressSanitizer asks for the bounds of the stack, for which it allocates; and a thread that
 * vanished in the fork may hold its lock. */
void exit_child(int status);

#endif
