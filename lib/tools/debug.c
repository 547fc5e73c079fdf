/* SPDX-License-Identifier: MIT */
/*
 * The debug hooks: see debug.h. Each function runs in the thread that called the allocator, which
 * is not watched meanwhile; what is called here by its pm_ name does its plain work. Any thread; no
 * lock.
 *
 * Not every block has a header: what a signal handler got while it interrupted a function here, or
 * the C library while a thread got its heap, is plain. Where the pools are below, an address tells
 * which it is: a plain block starts where its place in the pool does, data never do.
 */
#include "tools/debug.h"
#include "tools/debug_report.h"
#include "tools/quarantine.h"

#include "base/asan.h"
#include "heap/user.h"
#include "poolmalloc/poolmalloc.h"

#include <string.h>

/* Of all makes since the start; nothing is ordered by it. */
static _Atomic uint64_t serials;

static const struct {
    unsigned char letter;
    const char *name;
} makers[PM_MAKERS + 1] = {
    [PM_MAKER_MALLOC] = {'c', "malloc"},
    [PM_MAKER_NEW] = {'n', "operator new"},
    [PM_MAKER_NEW_ARRAY] = {'a', "operator new[]"},
    [PM_MAKER_HEAP] = {'h', "user heap"},
    [PM_MAKER_RAW] = {'r', "raw domain"},
    [PM_MAKER_MEM] = {'m', "mem domain"},
    [PM_MAKER_OBJECT] = {'o', "object domain"},
    [PM_MAKERS] = {'?', "none"},
};

unsigned char pm_debug_letter(enum pm_maker maker)
{
    return makers[maker].letter;
}

const char *pm_debug_maker_name(enum pm_maker maker)
{
    return makers[maker].name;
}

static enum pm_maker maker_of(unsigned char letter)
{
    unsigned maker = 0;
    while (maker < PM_MAKERS && makers[maker].letter != letter)
        maker++;
    return (enum pm_maker)maker;
}

/* ---- below ---- */

void *pm_debug_pools_make(const struct pm_request *request)
{
    if (request->heap != NULL)
        return pm_user_alloc(request->heap, request->bytes + PM_ASAN_REDZONE_BYTES, request->align,
                             request->zero, request->function);
    if (!request->zero)
        return pm_memalign(request->align, request->bytes);
    if (request->align <= PM_GRANULE_BYTES)
        return pm_calloc(1, request->bytes);
    void *block = pm_memalign(request->align, request->bytes);
    return block ? memset(block, 0, request->bytes) : NULL;
}

static const struct pm_debug_below pools = {pm_debug_pools_make, pm_free, true};
static const struct pm_debug_below *below = &pools; /* constant once anything is made */

void pm_debug_init(const struct pm_debug_below *wanted)
{
    below = wanted != NULL ? wanted : &pools;
}

static const struct pm_debug_below *below_of(const void *ptr)
{
    return below->pools || pm_arena_owns(ptr) ? &pools : below;
}

/* ---- the layout ---- */

static void put_word(char *at, size_t word)
{
    for (size_t i = PM_DEBUG_WORD; i-- > 0; word >>= 8)
        at[i] = (char)word;
}

static size_t get_word(const char *at)
{
    size_t word = 0;
    for (size_t i = 0; i < PM_DEBUG_WORD; i++)
        word = word << 8 | (unsigned char)at[i];
    return word;
}

#define FIRST_BYTE_SHIFT (8 * (PM_DEBUG_WORD - 1))

/* A word at a time: it reads all of each block twice. */
static bool all_are(const char *from, size_t bytes, int value)
{
    size_t pattern = SIZE_MAX / 0xFF * (unsigned char)value, word;
    for (; bytes >= sizeof word; bytes -= sizeof word, from += sizeof word) {
        memcpy(&word, from, sizeof word);
        if (word != pattern)
            return false;
    }
    while (bytes > 0 && (unsigned char)*from == value)
        bytes--, from++;
    return bytes == 0;
}

uint64_t pm_debug_serial(const struct pm_debug_block *block)
{
    return get_word(block->data + block->bytes + PM_DEBUG_WORD);
}

struct pm_debug_block pm_debug_read(char *data, char *start, size_t room_bytes)
{
    size_t front = (size_t)(data - start);
    size_t size = get_word(data - PM_DEBUG_FRONT);
    size_t shift = front > PM_DEBUG_FRONT ? pm_log2_floor(front) : 0;
    unsigned char letter = (unsigned char)data[-(ptrdiff_t)PM_DEBUG_WORD];
    struct pm_debug_block block = {.data = data, .start = start, .room_bytes = room_bytes};
    block.letter = letter & (unsigned char)~PM_DEBUG_FREED;
    block.maker = maker_of(block.letter);
    block.freed = (letter & PM_DEBUG_FREED) != 0 && block.maker != PM_MAKERS &&
                  all_are(data - PM_DEBUG_PADS, PM_DEBUG_PADS, PM_DEBUG_DEAD);
    block.bytes = size & (((size_t)1 << FIRST_BYTE_SHIFT) - 1);
    block.sound = size >> FIRST_BYTE_SHIFT == shift && room_bytes >= front + PM_DEBUG_BACK &&
                  block.bytes <= room_bytes - front - PM_DEBUG_BACK;
    return block;
}

/* ---- making ---- */

static size_t at_most(size_t bytes, size_t most)
{
    return bytes < most ? bytes : most;
}

static void write_around(char *start, size_t front, const struct pm_request *request)
{
    char *data = start + front, *tail = data + request->bytes;
    size_t shift = front > PM_DEBUG_FRONT ? pm_log2_floor(front) : 0;
    size_t guarded = at_most(front, PM_DEBUG_FRONT_MAX);
    memset(start, PM_DEBUG_GUARD, PM_DEBUG_FRONT);
    memset(data - guarded, PM_DEBUG_GUARD, guarded);
    put_word(data - PM_DEBUG_FRONT, request->bytes | shift << FIRST_BYTE_SHIFT);
    data[-(ptrdiff_t)PM_DEBUG_WORD] = (char)pm_debug_letter(request->maker);
    if (!request->zero)
        memset(data, PM_DEBUG_NEW, at_most(request->bytes, PM_DEBUG_MARK_MAX));
    memset(tail, PM_DEBUG_GUARD, PM_DEBUG_WORD);
    put_word(tail + PM_DEBUG_WORD, pm_add_relaxed(&serials, 1) + 1);
}

void *pm_debug_make(const struct pm_request *request)
{
    size_t front = request->align > PM_DEBUG_FRONT ? request->align : PM_DEBUG_FRONT;
    struct pm_request more = *request;
    if (request->bytes >> FIRST_BYTE_SHIFT != 0 ||
        __builtin_add_overflow(request->bytes, front + PM_DEBUG_BACK, &more.bytes))
        return NULL;
    const struct pm_debug_below *from = request->heap != NULL ? &pools : below;
    char *start = from->make(&more);
    if (start == NULL)
        return NULL;
    pm_asan_unpoison(start, more.bytes);
    write_around(start, front, request);
    return start + front;
}

/* ---- looking ---- */

/* The front of a block that has one: pads, or the size of one whose front is the least. */
static bool has_wide_front(const char *start)
{
    return all_are(start, PM_DEBUG_WORD, PM_DEBUG_GUARD);
}

static bool starts_a_block(char *start, size_t room_bytes)
{
    if (has_wide_front(start))
        return all_are(start, PM_DEBUG_FRONT, PM_DEBUG_GUARD);
    struct pm_debug_block block = pm_debug_read(start + PM_DEBUG_FRONT, start, room_bytes);
    return block.maker != PM_MAKERS &&
           (block.freed ||
            (block.sound && all_are(block.data - PM_DEBUG_PADS, PM_DEBUG_PADS, PM_DEBUG_GUARD)));
}

static bool is_whole(const struct pm_debug_block *block)
{
    return block->sound && block->maker != PM_MAKERS;
}

/* Where the data of the block are, by the header before them; 0: none is whole. In a wide front
 * that of an older block may stand yet. */
static size_t front_of(char *start, size_t room_bytes)
{
    bool wide = has_wide_front(start);
    size_t most = wide ? room_bytes : PM_DEBUG_FRONT, dead = 0;
    for (size_t front = wide ? 2 * PM_DEBUG_FRONT : PM_DEBUG_FRONT; front <= most; front *= 2) {
        struct pm_debug_block block = pm_debug_read(start + front, start, room_bytes);
        if (is_whole(&block) && !block.freed)
            return front;
        if (is_whole(&block))
            dead = front;
    }
    return dead;
}

/* By the header, if that is whole; of one that was written to, by what else tells. */
static bool is_front(char *start, size_t room_bytes, size_t front)
{
    if (!has_wide_front(start))
        return front == PM_DEBUG_FRONT;
    if (front <= PM_DEBUG_FRONT || !pm_is_pow2(front))
        return false;
    struct pm_debug_block block = pm_debug_read(start + front, start, room_bytes);
    return is_whole(&block) || front_of(start, room_bytes) == 0;
}

/* False: the block is plain. What is no start of data is a named error. */
static bool look_in_pools(char *ptr, const char *function, struct pm_debug_block *block)
{
    char *start;
    size_t room;
    switch (pm_heap_block_at(ptr, &start, &room)) {
    case PM_HEAP_FOREIGN:
        pm_fatal_foreign(function, ptr);
    case PM_HEAP_NO_BLOCK:
        pm_fatal_not_allocated(function, ptr);
    default:
        break;
    }
    room -= PM_ASAN_REDZONE_BYTES;
    pm_asan_unpoison(start, room);
    if (ptr == start && !starts_a_block(start, room))
        return false;
    if (!is_front(start, room, (size_t)(ptr - start)))
        pm_debug_fatal_interior(function, ptr, start, room);
    *block = pm_debug_read(ptr, start, room);
    return true;
}

/* Nobody knows where blocks start: the bytes before it have to tell. */
static void look_elsewhere(char *ptr, struct pm_debug_block *block)
{
    unsigned shift = (unsigned char)ptr[-(ptrdiff_t)PM_DEBUG_FRONT];
    size_t front = shift > pm_log2_floor(PM_DEBUG_FRONT) && shift < FIRST_BYTE_SHIFT
                       ? (size_t)1 << shift
                       : PM_DEBUG_FRONT;
    *block = pm_debug_read(ptr, ptr - front, SIZE_MAX);
}

/* The same, of a block that has to be live: not freed, and of a family. */
static bool look(const void *ptr, const char *function, struct pm_debug_block *block)
{
    char *plain = pm_untagged(ptr);
    if (!below_of(plain)->pools)
        look_elsewhere(plain, block);
    else if (!look_in_pools(plain, function, block))
        return false;
    if (block->freed)
        pm_debug_fatal_freed(function, block);
    return true;
}

/* What malloc makes a user heap makes, too. */
static bool is_given_back_by(enum pm_maker made, enum pm_maker given_back)
{
    return made == given_back || (made == PM_MAKER_HEAP && given_back == PM_MAKER_MALLOC);
}

static bool is_front_whole(const struct pm_debug_block *block)
{
    size_t wide = at_most((size_t)(block->data - block->start), PM_DEBUG_FRONT_MAX);
    return all_are(block->data - wide, wide - PM_DEBUG_FRONT, PM_DEBUG_GUARD) &&
           all_are(block->data - PM_DEBUG_PADS, PM_DEBUG_PADS, PM_DEBUG_GUARD);
}

static void check(const struct pm_debug_block *block, enum pm_maker maker, const char *function)
{
    if (block->maker == PM_MAKERS || !is_given_back_by(block->maker, maker))
        pm_debug_fatal_id(function, block, maker);
    if (!block->sound || !is_front_whole(block))
        pm_debug_fatal_leading(function, block);
    if (!all_are(block->data + block->bytes, PM_DEBUG_WORD, PM_DEBUG_GUARD))
        pm_debug_fatal_trailing(function, block);
}

static void check_told(const struct pm_debug_block *block, const struct pm_return *how)
{
    if (how->sized && how->bytes != block->bytes)
        pm_debug_fatal_size(how->function, block, how->bytes);
    if (!pm_is_pow2(how->align) || (uintptr_t)block->data % how->align != 0)
        pm_debug_fatal_alignment(how->function, block, how->align);
}

static size_t debug_usable(const void *ptr, const char *function)
{
    struct pm_debug_block block;
    if (!look(ptr, function, &block))
        return pm_malloc_usable_size(pm_untagged(ptr)) + PM_ASAN_REDZONE_BYTES;
    if (!block.sound)
        pm_debug_fatal_leading(function, &block);
    return block.bytes;
}

static void *debug_shown(void *start, size_t *bytes)
{
    size_t room = *bytes - PM_ASAN_REDZONE_BYTES;
    pm_asan_unpoison(start, room);
    size_t front = front_of(start, room);
    if (front == 0)
        return start;
    *bytes = pm_debug_read((char *)start + front, start, room).bytes;
    return (char *)start + front;
}

/* ---- giving back ---- */

void pm_debug_release(const struct pm_debug_block *block)
{
    below_of(block->start)->give_back(block->start);
}

static void mark_dead(const struct pm_debug_block *block)
{
    char *data = block->data;
    data[-(ptrdiff_t)PM_DEBUG_WORD] = (char)(block->letter | PM_DEBUG_FREED);
    memset(data - PM_DEBUG_PADS, PM_DEBUG_DEAD, PM_DEBUG_PADS);
    memset(data, PM_DEBUG_DEAD, at_most(block->bytes, PM_DEBUG_MARK_MAX));
    memset(data + block->bytes, PM_DEBUG_DEAD, PM_DEBUG_WORD);
}

/* A heap that is destroyed takes its blocks along: they must not wait. */
static void retire(const struct pm_debug_block *block)
{
    mark_dead(block);
    if (block->maker == PM_MAKER_HEAP)
        pm_debug_release(block);
    else
        pm_quarantine_put(block);
}

/* Of a block that went through look() before it was marked. */
static struct pm_debug_block find_dead(char *data)
{
    struct pm_debug_block block;
    if (!below_of(data)->pools)
        look_elsewhere(data, &block);
    else if (!look_in_pools(data, "free", &block))
        pm_fatal_not_allocated("free", data);
    return block;
}

struct pm_debug_block pm_debug_check_dead(char *data)
{
    struct pm_debug_block block = find_dead(data);
    if (!block.freed || !block.sound)
        pm_debug_fatal_dead(&block, data - PM_DEBUG_PADS);
    size_t bytes = block.bytes + PM_DEBUG_WORD, at = 0;
    if (all_are(data, bytes, PM_DEBUG_DEAD))
        return block;
    while ((unsigned char)data[at] == PM_DEBUG_DEAD)
        at++;
    pm_debug_fatal_dead(&block, data + at);
}

void pm_debug_give_back(void *ptr, const struct pm_return *how)
{
    struct pm_debug_block block;
    if (!look(ptr, how->function, &block)) {
        pm_free(pm_untagged(ptr));
        return;
    }
    check(&block, how->maker, how->function);
    check_told(&block, how);
    retire(&block);
}

/* Always to another place, so that what still points to the old one is found. */
void *pm_debug_resize(void *ptr, size_t bytes, enum pm_maker maker, const char *function)
{
    struct pm_debug_block block;
    if (!look(ptr, function, &block))
        return pm_realloc(pm_untagged(ptr), bytes + (bytes == 0));
    check(&block, maker, function);
    struct pm_request request = {
        .bytes = bytes, .align = 1, .maker = block.maker, .function = function};
    if (block.maker == PM_MAKER_HEAP)
        request.heap = pm_user_of(block.start, function);
    void *data = pm_debug_make(&request);
    if (data == NULL && bytes <= block.bytes) { /* callers do not expect that less is refused */
        request.zero = true;                    /* the contents stay */
        write_around(block.start, (size_t)(block.data - block.start), &request);
        return block.data;
    }
    if (data == NULL)
        return NULL;
    memcpy(data, block.data, bytes < block.bytes ? bytes : block.bytes);
    retire(&block);
    return data;
}

static void *debug_resize(void *ptr, size_t bytes, const char *function)
{
    return pm_debug_resize(ptr, bytes, PM_MAKER_MALLOC, function);
}

const struct pm_watch pm_debug_watch = {pm_debug_make, pm_debug_give_back, debug_resize,
                                        debug_usable, debug_shown};
