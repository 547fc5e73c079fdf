/* SPDX-License-Identifier: MIT */
/*
 * What a fuzzed sequence of calls knows: the live blocks in numbered slots, each with the call that
 * made it, the rest of the input, and how much work is left. The contents of blocks are the shadow
 * model's (shadow.h). One thread at a time.
 */
#ifndef STRESS_FUZZ_MODEL_H
#define STRESS_FUZZ_MODEL_H

#include "feed.h"
#include "shadow.h"

enum { model_slots = 2048 };

/* Which sized free the block may be given to. */
enum maker { by_malloc, by_aligned_alloc, by_other };

struct slot {
    struct block block; /* address NULL: empty */
    enum maker maker;
};

struct model {
    struct feed feed;
    bool variation;    /* of the call at hand: one bit of its first byte */
    size_t bytes_left; /* that may still be filled for this input */
    size_t calls_left;
    size_t live; /* slots in use */
    struct slot slots[model_slots];
};

extern struct model model;

/* errno is this before each call that must not change it. */
enum { errno_before = 4711 };

/* A size from the input, smaller when much was filled already. */
size_t model_size(void);

/* The slot that the input names, or the next one that is in use, or is empty. NULL: there is none.
 */
struct slot *model_slot_used(void);
struct slot *model_slot_empty(void);

/* A block was handed out; it is filled. errno must still be errno_before. */
void model_made(struct slot *slot, void *address, size_t size, size_t alignment, enum maker maker);

/* The block of the slot is whole, and goes. */
struct block model_taken(struct slot *slot);

/* The same for a realloc: the slot's block was moved, or stays. */
void model_resized(struct slot *slot, const struct block *before, void *address, size_t size);
void model_not_resized(const struct block *before);

/* Fails unless errno is what it was before the call. */
void model_errno_kept(const char *call);

#endif
