/* SPDX-License-Identifier: MIT */
/*
 * What a fuzzed sequence of calls knows: the live blocks in numbered slots, the rest of the input,
 * and how much work is left. The contents of blocks are the shadow model's (shadow.h). One thread
 * at a time.
 */
#ifndef STRESS_FUZZ_MODEL_H
#define STRESS_FUZZ_MODEL_H

#include "checked.h"
#include "feed.h"

enum { model_slots = 2048 };

struct model {
    struct feed feed;
    bool variation;    /* of the call at hand: one bit of its first byte */
    size_t bytes_left; /* that may still be filled for this input */
    size_t calls_left;
    size_t live;                     /* slots in use */
    struct block slots[model_slots]; /* address NULL: empty */
};

extern struct model model;

/* A size from the input, smaller when much was filled already. */
size_t model_size(void);

/* The slot that the input names, or the next one that is in use, or is empty. NULL: there is none.
 */
struct block *model_slot_used(void);
struct block *model_slot_empty(void);

/* Makes a block. Alignments of more than 64 MiB may be refused: the window need not have an address
 * for them. */
void model_make(struct block *slot, const struct request *request);

/* The block of the slot, which is empty from then on. */
struct block model_taken(struct block *slot);

void model_resize(struct block *slot, const struct request *request);

/* In place, if that is possible. */
void model_expand(struct block *slot, size_t size);

/* All usable bytes are in use from then on. */
void model_use_all(struct block *slot);

#endif
