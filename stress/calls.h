/* SPDX-License-Identifier: MIT */
/*
 * Checked calls of the entry points under test (checked.h), chosen at random. A struct caller
 * belongs to one thread at a time; a block that one caller made may be resized and freed by
 * another.
 */
#ifndef STRESS_CALLS_H
#define STRESS_CALLS_H

#include "common.h"
#include "checked.h"

enum caller_style {
    style_usual, /* what programs call: mostly malloc, modest alignments */
    style_every, /* every entry point alike, alignments up to the largest */
    style_plain, /* malloc and free only */
};

struct caller {
    struct rng rng;
    uint64_t next_id;
    enum caller_style style;
    bool may_fail; /* memory is short on purpose: NULL with ENOMEM is an answer */
    uint64_t failures;
};

/* Callers whose streams differ give their blocks different ids. */
struct caller caller_begin(uint64_t seed, uint64_t stream, enum caller_style style);

/* A block of `size` bytes, or of a few less or more where the call wants it so, filled. False only
 * where memory is short. */
bool caller_make(struct caller *caller, size_t size, struct block *block);

/* realloc or reallocarray; false, with the block as it was, only where memory is short. A size of 0
 * is taken for 1. */
bool caller_resize(struct caller *caller, struct block *block, size_t size);

/* Checks the whole block and writes it anew. */
void caller_rewrite(struct caller *caller, struct block *block);

/* Checks the whole block and frees it, by any call that its maker allows. */
void caller_free(struct caller *caller, const struct block *block);

/* The same by realloc to nothing. */
void caller_free_by_realloc(struct caller *caller, const struct block *block);

/* A request that cannot be met: the error must be the documented one, and `block` stay whole. */
void caller_ask_too_much(struct caller *caller, const struct block *block);

/* The calls that make and free nothing: usable size, trim, purge, idle, statistics, check. */
void caller_look_around(struct caller *caller, enum others others);

/* A round of what poolmalloc has of its own: a user heap, a domain, a batch (checked_own.h). */
void caller_own_round(struct caller *caller);

/* pm_expand, mostly by a little. */
void caller_expand(struct caller *caller, struct block *block, size_t highest);

/* Gives memory back to the system. */
void caller_give_back(struct caller *caller);

/* A size at a border of pages, pools, kinds of blocks or arenas, or a few bytes beside it. */
size_t caller_border_size(struct caller *caller, size_t highest);

#endif
