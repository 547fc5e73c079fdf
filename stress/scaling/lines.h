/* SPDX-License-Identifier: MIT */
/*
 * A directory of cache lines, as a machine with a core for each thread keeps it: which cores have a
 * copy of a line, and who wrote to it last. From all loads and stores of the library (hooks.c) it
 * counts what grows with the number of cores: transfers of lines between them.
 *
 *   transfer   a load of a line that another core wrote to since this one had it, or a store to a
 *              line of which another core has a copy. Caches hold everything: what is not counted
 *              is what comes from memory, or comes again after it had no room.
 *   update     an atomic read-modify-write, whether the line is at hand or not
 *
 * One thread runs at a time (turns.h), so that nothing here is shared, and a run is repeated
 * exactly.
 */
#ifndef STRESS_SCALING_LINES_H
#define STRESS_SCALING_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINES_BYTES = 64, LINES_CORES = 257, LINES_LOCKS = 64, LINES_HELD = 8, LINES_HOTTEST = 3 };

enum lines_kind {
    LINES_BLOCKS,      /* of the memory that blocks are in, by the library: links of free ones */
    LINES_ROUTES,      /* whose the units are */
    LINES_DESCRIPTORS, /* what the owner of a pool, or of a large block, writes */
    LINES_REMOTE,      /* what other threads push on */
    LINES_ARENAS,      /* which units are free */
    LINES_LOCK_WORDS,  /* a line for each lock */
    LINES_STATIC,      /* heads of lists, sums, the cold heap */
    LINES_HEAPS,       /* thread heaps, and what threads have for themselves */
    LINES_PROGRAM,     /* of blocks, by the program: the same with any allocator */
    LINES_KINDS
};

/* While a lock is held, its own line included. */
struct lines_lock {
    uintptr_t address;
    unsigned rank;
    uint64_t acquisitions, accesses, transfers;
};

struct lines_hot {
    uintptr_t address;
    enum lines_kind kind;
    uint64_t transfers;
};

struct lines_counts {
    uint64_t accesses;
    uint64_t updates[LINES_KINDS], transfers[LINES_KINDS];
    struct lines_lock locks[LINES_LOCKS];
    unsigned lock_count;
    struct lines_hot hottest[LINES_HOTTEST]; /* but those of locks; hottest first */
};

/* What the directory asks about an address: subject.c, or a test. */
struct lines_names {
    enum lines_kind (*kind_of)(uintptr_t address);
    /* The rank of the lock whose state is at that address; below zero: there is none. */
    int (*lock_at)(uintptr_t address);
};

/* Forgets all lines. */
void lines_start(const struct lines_names *names);
/* Which core the calling thread runs on, from now on. */
void lines_set_core(unsigned core);
/* Counts from zero, of whatever cores do until lines_stop(). */
void lines_record(void);
const struct lines_counts *lines_stop(void);

/* ---- for hooks.c, and for the program's own accesses ---- */

enum lines_access { LINES_LOAD, LINES_STORE, LINES_UPDATE };
void lines_access(uintptr_t address, size_t bytes, enum lines_access access);
/* The program reads or writes a block of its own. */
void lines_program_access(const void *block, size_t bytes, enum lines_access access);
/* The word at that address went from one value to another by an update, which is counted here: if
 * it is a lock's, the calling thread has that, or lets go of it. */
void lines_update(uintptr_t address, size_t bytes, uint64_t from, uint64_t to);

#endif
