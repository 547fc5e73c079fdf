/* SPDX-License-Identifier: MIT */
/*
 * Memory of snapshots: from the system, so that taking one changes nothing of what it shows. An
 * array that grows, a store of texts and arrays that stay where they are, and an index of numbers
 * by hash. Each is empty when it is zero; each belongs to one thread, and fails by NULL or false,
 * which changes nothing.
 */
#ifndef PM_TOOLS_SNAPSHOT_MEMORY_H
#define PM_TOOLS_SNAPSHOT_MEMORY_H

#include "base/asan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of the room, only the first bytes are in use: AddressSanitizer reports accesses to the rest. */
static inline void pm_memory_mark(const void *room, size_t used_bytes, size_t room_bytes)
{
#if PM_ASAN
    pm_asan_unpoison(room, used_bytes);
    pm_asan_poison((const char *)room + used_bytes, room_bytes - used_bytes);
#else
    (void)room, (void)used_bytes, (void)room_bytes;
#endif
}

struct pm_vector {
    void *start; /* moves when it grows */
    size_t used_bytes, room_bytes;
};
/* Room for so many bytes more, which count as used. */
void *pm_vector_add(struct pm_vector *vector, size_t bytes);
void pm_vector_free(struct pm_vector *vector);

struct pm_store {
    struct pm_store_chunk *chunks; /* the one in use first */
};
/* Zero, aligned for any field. */
void *pm_store_add(struct pm_store *store, size_t bytes);
/* A copy with a final 0. */
const char *pm_store_text(struct pm_store *store, const char *text, size_t length);
void pm_store_free(struct pm_store *store);

/* Numbers from 0 on, of what the caller keeps: found by the hash, told apart by the caller. */
#define PM_INDEX_NONE UINT32_MAX
struct pm_index {
    struct pm_vector slots;
    size_t used, mask;
};
uint32_t pm_index_find(const struct pm_index *index, uint64_t hash,
                       bool (*is)(const void *arg, uint32_t number), const void *arg);
bool pm_index_put(struct pm_index *index, uint64_t hash, uint32_t number);
void pm_index_free(struct pm_index *index);

/* A hash of words, one after the other. */
#define PM_HASH_START UINT64_C(0x9e3779b97f4a7c15)
static inline uint64_t pm_hash_word(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0xff51afd7ed558ccd);
    return hash ^ hash >> 32;
}

#endif
