/* SPDX-License-Identifier: MIT */
/*
 * See trace_stacks.h. A table of buckets, each the newest of its records; a record is complete
 * before it is pushed there. Two threads that come with the same new stack find out when the push
 * of the second fails; what it wrote is lost, some bytes.
 */
#include "tools/trace_stacks.h"

#include <string.h>

enum { GRAIN_SHIFT = 4, BUCKETS_SHIFT = 16 };
#define ROOM_MAX ((size_t)1 << (PM_STACK_NUMBER_BITS + GRAIN_SHIFT))
#define ROOM_MIN ((size_t)16 << 20)
#define BUCKETS_BYTES (sizeof(uint32_t) << BUCKETS_SHIFT)

static struct pm_room records, buckets_room;
static _Atomic uint64_t used_bytes = 1 << GRAIN_SHIFT; /* of `records`; number 0 is none */
static _Atomic uint32_t *buckets;

/* Less where address space is limited. */
static bool make_records(void)
{
    for (size_t bytes = ROOM_MAX; bytes >= ROOM_MIN; bytes /= 2) {
        if (pm_room_make(&records, bytes))
            return true;
    }
    return false;
}

bool pm_trace_stacks_start(void)
{
    if (records.start == NULL && !make_records())
        return false;
    if (buckets_room.start == NULL && !pm_room_make(&buckets_room, BUCKETS_BYTES))
        return false;
    buckets = (_Atomic uint32_t *)(void *)buckets_room.start;
    return pm_room_need(&buckets_room, 0, BUCKETS_BYTES) && pm_room_need(&records, 0, 1);
}

void *pm_trace_taken(uint32_t number)
{
    return records.start + ((size_t)number << GRAIN_SHIFT);
}

struct pm_trace_stack *pm_trace_stack(uint32_t number)
{
    return pm_trace_taken(number);
}

/* The bound is looked at first, so that refused calls do not make the number wrap. Relaxed: what is
 * taken is the caller's alone. */
uint32_t pm_trace_take(size_t bytes)
{
    size_t whole = pm_align_up(bytes, (size_t)1 << GRAIN_SHIFT);
    if (pm_load_relaxed(&used_bytes) + whole > records.bytes)
        return 0;
    uint64_t at = pm_add_relaxed(&used_bytes, whole);
    if (at + whole > records.bytes || !pm_room_need(&records, at, whole))
        return 0;
    return (uint32_t)(at >> GRAIN_SHIFT);
}

static uint32_t hash_of(const uintptr_t *frames, unsigned count)
{
    uint64_t hash = count;
    for (unsigned i = 0; i < count; i++)
        hash = (hash ^ frames[i]) * 0x9e3779b97f4a7c15u, hash ^= hash >> 32;
    return (uint32_t)hash;
}

/* From `first` to before `end`; 0: not there. */
static uint32_t find(uint32_t first, uint32_t end, uint32_t hash, const uintptr_t *frames,
                     unsigned count)
{
    for (uint32_t number = first; number != end; number = pm_trace_stack(number)->next) {
        const struct pm_trace_stack *stack = pm_trace_stack(number);
        if (stack->hash == hash && stack->count == count &&
            memcmp(stack->frames, frames, count * sizeof *frames) == 0)
            return number;
    }
    return 0;
}

static PM_NOINLINE uint32_t add(_Atomic uint32_t *bucket, uint32_t newest, uint32_t hash,
                                const uintptr_t *frames, unsigned count)
{
    struct pm_trace_stack *stack;
    uint32_t number = pm_trace_take(sizeof *stack + count * sizeof *frames), found = 0;
    if (number == 0)
        return 0;
    stack = pm_trace_stack(number);
    stack->hash = hash;
    stack->count = count;
    memcpy(stack->frames, frames, count * sizeof *frames);
    do {
        uint32_t seen = stack->next = newest;
        /* Acquire-release: the record is complete for whoever finds it; pairs with pm_trace_intern,
         * and with itself: what others pushed meanwhile is looked at. */
        if (pm_cas_acq_rel(bucket, &newest, number))
            return number;
        found = find(newest, seen, hash, frames, count);
    } while (found == 0);
    return found;
}

static _Atomic uint32_t *bucket_of(uint32_t hash)
{
    return &buckets[hash >> (32 - BUCKETS_SHIFT)];
}

uint32_t pm_trace_find_stack(const uintptr_t *frames, unsigned count)
{
    uint32_t hash = hash_of(frames, count);
    /* Acquire: as below. */
    return find(pm_load_acquire(bucket_of(hash)), 0, hash, frames, count);
}

uint32_t pm_trace_intern(const uintptr_t *frames, unsigned count)
{
    uint32_t hash = hash_of(frames, count);
    _Atomic uint32_t *bucket = bucket_of(hash);
    /* Acquire pairs with the release in add. */
    uint32_t newest = pm_load_acquire(bucket), found = find(newest, 0, hash, frames, count);
    return found != 0 ? found : add(bucket, newest, hash, frames, count);
}
