/* SPDX-License-Identifier: MIT */
/* See snapshot_memory.h. */
#include "tools/snapshot_memory.h"
#include "base/bits.h"
#include "os/os.h"

#include <string.h>

enum { FIRST_BYTES = 16384, LARGEST_CHUNK_BYTES = 1 << 20 };

/* Whole pages. */
static void *take(size_t bytes)
{
    void *start = pm_os_reserve(bytes, pm_os_page_bytes());
    if (start != NULL && !pm_os_commit(start, bytes)) {
        pm_os_release(start, bytes);
        return NULL;
    }
    return start;
}

static void give(void *start, size_t bytes)
{
    pm_memory_mark(start, bytes, bytes); /* for who maps something else there */
    pm_os_release(start, bytes);
}

/* ---- an array that grows ---- */

static bool grow(struct pm_vector *vector, size_t needed_bytes)
{
    size_t room = vector->room_bytes != 0 ? vector->room_bytes * 2 : FIRST_BYTES;
    if (room < needed_bytes)
        room = needed_bytes;
    room = pm_align_up(room, pm_os_page_bytes());
    void *start = take(room);
    if (start == NULL)
        return false;
    if (vector->used_bytes != 0)
        memcpy(start, vector->start, vector->used_bytes);
    if (vector->room_bytes != 0)
        give(vector->start, vector->room_bytes);
    vector->start = start;
    vector->room_bytes = room;
    pm_memory_mark(start, vector->used_bytes, room);
    return true;
}

void *pm_vector_add(struct pm_vector *vector, size_t bytes)
{
    if (bytes > PTRDIFF_MAX / 4)
        return NULL;
    size_t needed = vector->used_bytes + bytes;
    if ((vector->start == NULL || needed > vector->room_bytes) && !grow(vector, needed))
        return NULL;
    void *place = (char *)vector->start + vector->used_bytes;
    vector->used_bytes = needed;
    pm_memory_mark(place, bytes, bytes);
    return place;
}

void pm_vector_free(struct pm_vector *vector)
{
    if (vector->room_bytes != 0)
        give(vector->start, vector->room_bytes);
    *vector = (struct pm_vector){0};
}

/* ---- what stays where it is ---- */

struct pm_store_chunk {
    struct pm_store_chunk *next;
    size_t used_bytes, room_bytes; /* with this head */
};

static struct pm_store_chunk *add_chunk(struct pm_store *store, size_t bytes)
{
    size_t room = store->chunks != NULL ? store->chunks->room_bytes * 2 : FIRST_BYTES;
    if (room > LARGEST_CHUNK_BYTES)
        room = LARGEST_CHUNK_BYTES;
    if (room < bytes + sizeof(struct pm_store_chunk))
        room = bytes + sizeof(struct pm_store_chunk);
    room = pm_align_up(room, pm_os_page_bytes());
    struct pm_store_chunk *chunk = take(room);
    if (chunk == NULL)
        return NULL;
    *chunk = (struct pm_store_chunk){store->chunks, sizeof *chunk, room};
    store->chunks = chunk;
    pm_memory_mark(chunk, sizeof *chunk, room);
    return chunk;
}

void *pm_store_add(struct pm_store *store, size_t bytes)
{
    if (bytes > PTRDIFF_MAX / 4)
        return NULL;
    bytes = pm_align_up(bytes, sizeof(uint64_t));
    struct pm_store_chunk *chunk = store->chunks;
    if (chunk == NULL || chunk->room_bytes - chunk->used_bytes < bytes)
        chunk = add_chunk(store, bytes);
    if (chunk == NULL)
        return NULL;
    void *place = (char *)chunk + chunk->used_bytes;
    chunk->used_bytes += bytes;
    pm_memory_mark(place, bytes, bytes);
    return place;
}

const char *pm_store_text(struct pm_store *store, const char *text, size_t length)
{
    char *copy = pm_store_add(store, length + 1);
    if (copy != NULL)
        memcpy(copy, text, length); /* the 0 is there: memory of the system's */
    return copy;
}

void pm_store_free(struct pm_store *store)
{
    struct pm_store_chunk *next, *chunk = store->chunks;
    store->chunks = NULL;
    for (; chunk != NULL; chunk = next) {
        next = chunk->next;
        give(chunk, chunk->room_bytes);
    }
}

/* ---- numbers by hash ---- */

struct slot {
    uint64_t hash;
    uint64_t number_and_1; /* 0: free */
};

enum { FIRST_SLOTS = FIRST_BYTES / sizeof(struct slot) };

static void put(struct slot *slots, size_t mask, struct slot entry)
{
    size_t at = entry.hash & mask;
    while (slots[at].number_and_1 != 0)
        at = (at + 1) & mask;
    slots[at] = entry;
}

static bool grow_index(struct pm_index *index)
{
    size_t room = index->slots.start != NULL ? (index->mask + 1) * 2 : FIRST_SLOTS;
    struct pm_vector larger = {0};
    if (pm_vector_add(&larger, room * sizeof(struct slot)) == NULL)
        return false;
    const struct slot *old = index->slots.start;
    for (size_t i = 0; old != NULL && i <= index->mask; i++) {
        if (old[i].number_and_1 != 0)
            put(larger.start, room - 1, old[i]);
    }
    pm_vector_free(&index->slots);
    index->slots = larger;
    index->mask = room - 1;
    return true;
}

uint32_t pm_index_find(const struct pm_index *index, uint64_t hash,
                       bool (*is)(const void *arg, uint32_t number), const void *arg)
{
    const struct slot *slots = index->slots.start;
    if (slots == NULL)
        return PM_INDEX_NONE;
    for (size_t at = hash & index->mask; slots[at].number_and_1 != 0; at = (at + 1) & index->mask) {
        uint32_t number = (uint32_t)(slots[at].number_and_1 - 1);
        if (slots[at].hash == hash && is(arg, number))
            return number;
    }
    return PM_INDEX_NONE;
}

bool pm_index_put(struct pm_index *index, uint64_t hash, uint32_t number)
{
    bool full = index->slots.start == NULL || index->used * 2 > index->mask;
    if (number == PM_INDEX_NONE || (full && !grow_index(index)))
        return false;
    put(index->slots.start, index->mask, (struct slot){hash, (uint64_t)number + 1});
    index->used++;
    return true;
}

void pm_index_free(struct pm_index *index)
{
    pm_vector_free(&index->slots);
    *index = (struct pm_index){0};
}
