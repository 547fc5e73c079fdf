/* SPDX-License-Identifier: MIT */
/*
 * One thread's part of the stress programs: a random sequence of calls (calls.h) over blocks that
 * the worker holds, gives to others and gets from others. A worker belongs to one thread at a time;
 * its mailbox belongs to all.
 */
#ifndef STRESS_WORKER_H
#define STRESS_WORKER_H

#include "calls.h"
#include "mailbox.h"
#include "shadow.h"

enum { worker_slots = 512 };

/* Whom a worker gives blocks to: of a tree's, to its parent and its children. Those before
 * transfer_varying may take turns. */
enum transfer { transfer_none, transfer_next, transfer_any, transfer_varying, transfer_tree };

struct shared {
    struct worker *workers;
    size_t worker_count;
    enum transfer transfer;
    enum caller_style style;
    bool may_fail;      /* memory is short on purpose */
    unsigned most_hops; /* who gets a block gives it on, so often at most */
    size_t live_limit_bytes;
    size_t largest_bytes;
    _Atomic size_t live_bytes; /* relaxed: steers the choice of calls and orders nothing */
    _Atomic uint64_t steps;    /* relaxed: of lives that have ended; for the report */
    _Atomic uint64_t failures; /* the same, of requests refused for lack of memory */
};

struct worker {
    struct shared *shared;
    size_t index;
    struct caller caller;
    uint64_t steps;
    enum transfer transfer;
    size_t block_count;
    int exit_rounds; /* destructor rounds that this life has still to come through */
    struct block blocks[worker_slots];
    struct mailbox mailbox;
};

/* Prepares the worker for a thread: life number `life` of its place. */
void worker_begin(struct worker *worker, uint64_t seed, uint64_t life);

/* One random call, with its checks. */
void worker_step(struct worker *worker);

/* Adds up what this life did; its thread may still release blocks. */
void worker_end(struct worker *worker);

/* Frees `count` of the blocks held, or all of them when there are fewer. */
void worker_release(struct worker *worker, size_t count);

/* Leaves the blocks held to whoever next has this place, or to others, freeing what no mailbox has
 * room for. */
void worker_bequeath(struct worker *worker);

/* Frees every block in the mailbox of `other`, which may be the same; the caller knows that nobody
 * puts any more, or does not mind. */
void worker_drain(struct worker *worker, struct worker *other);

/* One block made and freed at once, as code in a thread-exit destructor does. */
void worker_make_and_free(struct worker *worker);

#endif
