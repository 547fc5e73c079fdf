/* SPDX-License-Identifier: MIT */
/*
 * The entry points under test: one call each, with all that can be checked of its contract then
 * and there, in step with the shadow model (shadow.h). What is called is chosen elsewhere: at
 * random in calls.h, by a fuzzer's input in fuzz/calls.h.
 *
 * Any thread may call any function; a struct block belongs to one thread at a time. Each call that
 * succeeds must leave errno alone, and each refusal must set the documented error.
 */
#ifndef STRESS_CHECKED_H
#define STRESS_CHECKED_H

#include "shadow.h"

enum { errno_before = 4711 }; /* of each call that must not change it */

enum entry {
    entry_malloc,
    entry_calloc,       /* count and size */
    entry_realloc,      /* of NULL, where a block is made */
    entry_reallocarray, /* the same; count and size */
    entry_aligned_alloc,
    entry_memalign,
    entry_posix_memalign,
    entry_valloc,
    entry_pvalloc,
    entry_heap_malloc, /* of a user heap that all threads share; malloc by standard names */
};

struct request {
    enum entry entry;
    size_t size;
    size_t count;     /* where the entry point takes one */
    size_t alignment; /* the same */
};

/* Makes a block and fills it. False: refused with ENOMEM, and `block` is not to be used. */
bool checked_make(const struct request *request, uint64_t id, struct block *block);

/* The request must fail so; an error of posix_memalign is what it returns. */
void checked_refusal(const struct request *request, int error);

/* realloc or reallocarray to more than nothing. False: refused with ENOMEM, the block is whole. */
bool checked_resize(struct block *block, const struct request *request, uint64_t id);

/* The same where it must be refused. */
void checked_resize_refusal(const struct block *block, const struct request *request);

/* Checks the whole block and frees it; `sized`: by the sized call that its maker allows, if any. */
void checked_free(const struct block *block, bool sized);

/* Frees by realloc or reallocarray to nothing. */
void checked_free_by_realloc(const struct block *block, const struct request *request);

/* What must do nothing with NULL, whatever the size. */
void checked_nothing(size_t size);

/* The usable size, of which there must be as much as was asked for. */
size_t checked_usable(const struct block *block);

/* From now on all usable bytes are in use, as some programs do. */
void checked_use_all(struct block *block, uint64_t id);

void checked_trim(size_t pad);

/* What other threads do meanwhile, on which depends what statistics must show: at rest all bytes
 * add up, while calls are counted late in threads other than the calling one. */
enum others { others_at_work, others_at_rest, no_others };

/* What poolmalloc has of its own; nothing where the standard names are called. */
void checked_statistics(enum others others);
void checked_structures(void);
void checked_purge(void);
void checked_idle(void);

#endif
