/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the fault sweep share. sweep.c starts the processes, run.c is what one of them
 * does with its fault, actor.c is a thread's sequence of allocator calls
 * and marks.c what its blocks carry, scenario.c its threads.
 */
#ifndef STRESS_FAULTS_RUN_H
#define STRESS_FAULTS_RUN_H

#include "common.h"
#include "mailbox.h"
#include "os/os.h"

/* One process: which call to the system fails, and what it does. */
struct run {
    unsigned kinds; /* a bit for each enum pm_os_call */
    unsigned nth;   /* 0: none fails */
    bool for_good;
    uint64_t seed;
    unsigned steps;          /* of each thread that allocates */
    uint64_t arenas_at_most; /* that the process may ever have added; 0: not known yet */
    uint64_t probe_arenas;   /* in use at the peak of the probe; 0: measure it first, with nth 0 */
};

/* What it found. */
struct finding {
    uint64_t calls;   /* of those kinds, in the scenario with the fault */
    uint64_t refused; /* allocations that got NULL there */
    uint64_t arenas, probe_arenas;
};

/* The whole of a run; fails the process through CHECK. */
struct finding run_all(const struct run *run);

enum {
    run_makers = 3, /* threads that allocate */
    run_threads = run_makers + 1,
    run_seconds = 120, /* then a process is taken to hang */
};

/* The scenario once. All it made is freed and its threads have ended. No process may be refused
 * more than so many allocations; how many they were in this one is the result. */
uint64_t scenario(const struct run *run, uint64_t life, uint64_t refusals_at_most);

enum { actor_slots = 160 };

/* One thread's random sequence of calls and the blocks that it holds. */
struct actor {
    struct rng rng;
    uint64_t next_id, refused;
    size_t live_bytes, count;
    struct block held[actor_slots];
};

/* Where threads leave blocks for each other to free. */
extern struct mailbox mailboxes[run_threads];

/* `stream`: different for each actor of a process. */
void actor_begin(struct actor *actor, uint64_t seed, uint64_t stream);
/* One call, or a streak of calls, with its checks. */
void actor_step(struct actor *actor);
/* A block whose alignment is that of many arenas. */
void actor_make_far_aligned(struct actor *actor);
/* Frees or gives away all but `left` of the blocks held. */
void actor_release(struct actor *actor, size_t left);
/* Frees a block from that mailbox; false: there was none. */
bool actor_free_mail(struct actor *actor, struct mailbox *mailbox);

/* Figures that must hold at any time, whatever the other threads do. */
void check_stats_sane(void);

#endif
