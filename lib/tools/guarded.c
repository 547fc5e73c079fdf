/* SPDX-License-Identifier: MIT */
/* See guarded.h: making guarded blocks, and giving them back. Any thread. */
#include "tools/guarded.h"

#include "base/asan.h"
#include "base/options.h"
#include "base/report.h"
#include "heap/guests.h"
#include "os/os.h"
#include "tools/guarded_report.h"
#include "tools/guarded_slots.h"
#include "tools/stack.h"

#include <string.h>

struct pm_guarded_range pm_guarded_range;
struct pm_guarded_table pm_guarded_table;

#define TABLE pm_guarded_table

/* ---- chance ---- */

static __thread struct {
    uint64_t seed;
    uint32_t until; /* the how-manieth call from now on is chosen; 0: not drawn yet */
} chance;

/* splitmix64. Threads start at different places, and so does each run. */
static uint64_t random_word(void)
{
    if (chance.seed == 0)
        chance.seed = (uintptr_t)&chance ^ pm_os_now_ns() ^ (uint64_t)pm_os_thread_id() << 32;
    uint64_t word = chance.seed += 0x9e3779b97f4a7c15u;
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 27) * 0x94d049bb133111ebu;
    return word ^ word >> 31;
}

/* From 1 to twice the mean, so that no habit of the program goes in step with it. */
static uint32_t draw(void)
{
    return 1 + (uint32_t)(random_word() % (2 * (uint64_t)TABLE.one_in - 1));
}

/* ---- slots ---- */

/* The one that was freed first, of those never used the first. */
static bool free_to_busy(size_t *slot, uint64_t *least)
{
    for (;;) {
        *least = UINT64_MAX;
        for (size_t i = 0; i < TABLE.count; i++) {
            uint64_t word = pm_load_relaxed(&TABLE.states[i].word); /* the exchange decides */
            if (pm_guarded_state_of(word) == PM_GUARDED_FREE && word < *least) {
                *least = word;
                *slot = i;
            }
        }
        if (*least == UINT64_MAX)
            return false;
        if (pm_guarded_to_busy(*slot, *least))
            return true;
    }
}

void pm_guarded_note(struct pm_guarded_call *call)
{
    call->thread = pm_os_thread_id();
    call->count = pm_stack_take_seldom(call->frames, PM_GUARDED_FRAMES);
}

/* ---- making ---- */

struct rim {
    char *front, *back;
    size_t front_bytes, back_bytes;
};

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

static struct rim rim_of(const struct pm_guarded_slot *slot, char *block, size_t bytes)
{
    size_t before = (uintptr_t)block - slot->touchable;
    size_t behind = slot->touchable_bytes - before - bytes;
    struct rim rim = {.front_bytes = least_of(before, PM_GUARDED_RIM),
                      .back = block + bytes,
                      .back_bytes = least_of(behind, PM_GUARDED_RIM)};
    rim.front = block - rim.front_bytes;
    return rim;
}

static char *place(size_t number, const struct pm_request *request)
{
    struct pm_guarded_slot *slot = &TABLE.slots[number];
    size_t bytes = request->bytes > 0 ? request->bytes : 1; /* none of them in a guard */
    size_t align = request->align > PM_GRANULE_BYTES ? request->align : PM_GRANULE_BYTES;
    uintptr_t start = pm_guarded_slot_start(number);
    slot->touchable = start;
    slot->touchable_bytes = pm_align_up(bytes, TABLE.page_bytes);
    if ((random_word() & 1) == 0) {
        start += pm_guarded_slot_bytes();
        slot->touchable = start - slot->touchable_bytes;
        start = (start - bytes) & ~(align - 1);
    }
    return (char *)start;
}

static void *make_in(size_t number, const struct pm_request *request)
{
    struct pm_guarded_slot *slot = &TABLE.slots[number];
    char *block = place(number, request);
    if (!pm_os_commit((void *)slot->touchable, slot->touchable_bytes))
        return NULL;
    pm_asan_unpoison((void *)slot->touchable, slot->touchable_bytes);
    struct rim rim = rim_of(slot, block, request->bytes);
    memset(rim.front, PM_GUARDED_RIM_VALUE, rim.front_bytes);
    memset(rim.back, PM_GUARDED_RIM_VALUE, rim.back_bytes);
    pm_store_release(&slot->block, (uintptr_t)block);
    pm_store_release(&slot->bytes, request->bytes);
    pm_guarded_note(&slot->made);
    return block;
}

/* What pages were never touched since they were reserved reads as zero. */
static void *make(const struct pm_request *request)
{
    size_t number;
    uint64_t word;
    if (!free_to_busy(&number, &word))
        return NULL;
    void *block = make_in(number, request);
    pm_guarded_busy_to(number, word | (block != NULL ? PM_GUARDED_LIVE : PM_GUARDED_FREE));
    return block;
}

static PM_COLD void *make_due(const struct pm_request *request)
{
    if (pm_guarded_range.bytes == 0)
        return NULL;
    if (chance.until == 0) /* the thread's first call */
        chance.until = draw();
    if (--chance.until != 0)
        return NULL;
    chance.until = draw();
    if (request->heap != NULL || request->bytes > pm_guarded_slot_bytes() ||
        request->align > TABLE.page_bytes)
        return NULL;
    void *block = NULL;
    if (pm_add_relaxed(&TABLE.live, 1) < TABLE.count / 2)
        block = make(request);
    if (block == NULL)
        pm_add_relaxed(&TABLE.live, (uint64_t)-1);
    return block;
}

void *pm_guarded_make(const struct pm_request *request)
{
    if (pm_unlikely(chance.until <= 1))
        return make_due(request);
    chance.until--;
    return NULL;
}

/* ---- giving back ---- */

/* The block at ptr is live, and the caller's alone from now on. Else a named error. */
static size_t live_to_busy(void *ptr, const char *function)
{
    size_t number = pm_guarded_slot_at((uintptr_t)ptr);
    for (;;) {
        uint64_t word = pm_guarded_settled(number);
        if (pm_guarded_state_of(word) != PM_GUARDED_LIVE ||
            pm_load_acquire(&TABLE.slots[number].block) != (uintptr_t)ptr)
            pm_guarded_fatal_no_block(function, ptr, number);
        if (pm_guarded_to_busy(number, word))
            return number;
    }
}

/* The byte of the rim nearest to the block that was written to; NULL: none. */
static const char *written_in(const struct rim *rim)
{
    for (size_t i = 0; i < rim->back_bytes; i++) {
        if ((unsigned char)rim->back[i] != PM_GUARDED_RIM_VALUE)
            return rim->back + i;
    }
    for (size_t i = rim->front_bytes; i-- > 0;) {
        if ((unsigned char)rim->front[i] != PM_GUARDED_RIM_VALUE)
            return rim->front + i;
    }
    return NULL;
}

static void check(const struct pm_guarded_slot *slot, char *block, const struct pm_return *how)
{
    size_t bytes = pm_load_acquire(&slot->bytes);
    struct rim rim = rim_of(slot, block, bytes);
    const char *at = written_in(&rim);
    if (at != NULL)
        pm_guarded_fatal_written(how->function, slot, at);
    if (how->sized && how->bytes != bytes)
        pm_guarded_fatal_size(how->function, slot, how->bytes);
    if (!pm_is_pow2(how->align) || (uintptr_t)block % how->align != 0)
        pm_guarded_fatal_alignment(how->function, slot, how->align);
}

/* Nobody can touch it any more, and its memory is the system's. */
static bool make_untouchable(const struct pm_guarded_slot *slot)
{
    void *start = (void *)slot->touchable;
    if (pm_os_decommit(start, slot->touchable_bytes))
        return true;
    pm_os_purge(start, slot->touchable_bytes);
    return false;
}

void pm_guarded_give_back(void *ptr, const struct pm_return *how)
{
    char *block = pm_untagged(ptr);
    size_t number = live_to_busy(block, how->function);
    struct pm_guarded_slot *slot = &TABLE.slots[number];
    check(slot, block, how);
    pm_guarded_note(&slot->freed);
    uint64_t word = (pm_add_relaxed(&TABLE.frees, 1) + 1) << PM_GUARDED_STATE_BITS;
    bool done = make_untouchable(slot);
    pm_guarded_busy_to(number, word | (done ? PM_GUARDED_FREE : PM_GUARDED_LOST));
    pm_add_relaxed(&TABLE.live, (uint64_t)-1);
}

size_t pm_guarded_usable(const void *ptr, const char *function)
{
    const void *plain = pm_untagged(ptr);
    size_t number = pm_guarded_slot_at((uintptr_t)plain);
    struct pm_guarded_block block = pm_guarded_look(number);
    if (block.state != PM_GUARDED_LIVE || block.start != (uintptr_t)plain)
        pm_guarded_fatal_no_block(function, plain, number);
    return block.bytes;
}

/* ---- for the heap layer ---- */

static bool own(const void *ptr)
{
    return pm_guarded_owns(ptr);
}

static bool in_block(const void *ptr)
{
    struct pm_guarded_block block = pm_guarded_look(pm_guarded_slot_at((uintptr_t)ptr));
    return block.state == PM_GUARDED_LIVE && (uintptr_t)ptr - block.start < block.bytes;
}

static void give_back(void *ptr, const char *function)
{
    struct pm_return how = {.function = function, .align = 1};
    pm_guarded_give_back(ptr, &how);
}

static bool walk(bool (*visit)(void *block, size_t bytes, void *arg), void *arg)
{
    for (size_t i = 0; i < TABLE.count; i++) {
        struct pm_guarded_block block = pm_guarded_look(i);
        if (block.state == PM_GUARDED_LIVE && !visit((void *)block.start, block.bytes, arg))
            return false;
    }
    return true;
}

static bool add(void *block, size_t bytes, void *arg)
{
    struct pm_guests_count *count = arg;
    (void)block;
    count->blocks++;
    count->bytes += bytes;
    return true;
}

static void count_all(struct pm_guests_count *count)
{
    *count = (struct pm_guests_count){.frees = pm_load_relaxed(&TABLE.frees)};
    walk(add, count);
}

static const struct pm_guests guests = {own,  in_block, give_back, pm_guarded_usable,
                                        walk, count_all};

/* ---- start ---- */

static bool reserve(size_t count)
{
    size_t page = pm_os_page_bytes();
    size_t states_bytes = pm_align_up(count * sizeof *TABLE.states, PM_LINE_BYTES);
    size_t table_bytes = pm_align_up(states_bytes + count * sizeof *TABLE.slots, page);
    size_t range_bytes = count * (PM_GUARDED_PAGES + 1) * page + page;
    char *table = pm_os_reserve(table_bytes, page);
    char *range = table != NULL ? pm_os_reserve(range_bytes, page) : NULL;
    if (range == NULL || !pm_os_commit(table, table_bytes)) {
        if (range != NULL)
            pm_os_release(range, range_bytes);
        if (table != NULL)
            pm_os_release(table, table_bytes);
        return false;
    }
    TABLE.states = (void *)table;
    TABLE.slots = (void *)(table + states_bytes);
    TABLE.count = count;
    TABLE.page_bytes = page;
    pm_guarded_range = (struct pm_guarded_range){(uintptr_t)range, range_bytes};
    return true;
}

bool pm_guarded_start(unsigned one_in)
{
    if (one_in == 0)
        return false;
    if (!reserve(2 * pm_load_relaxed(&pm_options.guarded_slots))) {
        pm_warn("no guarded blocks (option guarded_one_in): out of memory");
        return false;
    }
    TABLE.one_in = one_in;
    pm_guarded_catch_faults();
    pm_guests_set(&guests);
    return true;
}
