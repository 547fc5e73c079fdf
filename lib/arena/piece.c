/* SPDX-License-Identifier: MIT */
/* See piece.h. */
#include "arena/piece.h"
#include "base/asan.h"
#include "base/options.h"
#include "os/pages.h"

#include <errno.h>

/* A place is the address of the first arena and, in the bits below, how many there are: one word,
 * so that who looks for an address never takes the start of one piece for that of another. */
#define COUNT_MASK ((uint64_t)PM_ARENA_BYTES - 1)

struct piece {
    struct pm_piece_memory memory;
    size_t capacity; /* arenas that its tables have lines for; constant */
};

static struct piece pieces[PM_PIECES_MAX];
static _Atomic uint64_t places[PM_PIECES_MAX];
/* Filled under the grow lock; a slot is complete before the count is raised. */
static _Atomic uint32_t pieces_count;

/* Under the grow lock; `wanted` and `held_arenas` under the arena lock, too. */
static struct {
    struct pm_arena_allocator by;
    bool wanted;
    bool unaligned; /* what it gives, so that an arena more is asked for */
} source;
static size_t held_arenas; /* of all live pieces */

static void *system_alloc(void *context, size_t bytes)
{
    (void)context;
    bytes = pm_align_up(bytes, pm_os_page_bytes());
    void *start = pm_os_reserve(bytes, PM_ARENA_BYTES);
    if (start == NULL || pm_os_commit(start, bytes))
        return start;
    pm_os_release(start, bytes);
    return NULL;
}

static void system_free(void *context, void *ptr, size_t bytes)
{
    (void)context;
    pm_os_release(ptr, pm_align_up(bytes, pm_os_page_bytes()));
}

static bool is_systems(const struct pm_arena_allocator *by)
{
    return by->alloc == system_alloc && by->free == system_free;
}

void pm_piece_set_source(const struct pm_arena_allocator *by)
{
    source.by = *by;
    source.wanted = !is_systems(by);
    source.unaligned = false;
}

void pm_arena_get_allocator(struct pm_arena_allocator *by)
{
    pm_lock_acquire(&pm_grow_lock);
    *by = source.wanted ? source.by : (struct pm_arena_allocator){NULL, system_alloc, system_free};
    pm_lock_release(&pm_grow_lock);
}

bool pm_piece_wanted(void)
{
    return source.wanted;
}

static struct pm_window *window_of(uint32_t slot)
{
    return pm_window_numbered(PM_WINDOWS_MAX + slot);
}

static uint32_t slot_of(const struct pm_window *w)
{
    return w->number - PM_WINDOWS_MAX;
}

uint32_t pm_piece_count(void)
{
    /* Acquire pairs with the release in fresh_slot: the counted windows lead to tables. */
    return pm_load_acquire(&pieces_count);
}

struct pm_window *pm_piece_find(const void *ptr, size_t *unit)
{
    for (uint32_t i = pm_piece_count(); i-- > 0;) {
        /* Relaxed: who has a block got it after this was written. */
        uint64_t place = pm_load_relaxed(&places[i]);
        uint64_t offset = (uintptr_t)ptr - (place & ~COUNT_MASK);
        if (offset >> PM_ARENA_SHIFT < (place & COUNT_MASK)) {
            *unit = (offset >> PM_UNIT_SHIFT) + PM_ARENA_UNITS;
            return window_of(i);
        }
    }
    return NULL;
}

size_t pm_piece_arenas(size_t least)
{
    size_t wanted = 1;
    pm_lock_acquire(&pm_arena_lock);
    while (wanted * 2 * PM_PIECE_PART <= held_arenas)
        wanted *= 2;
    pm_lock_release(&pm_arena_lock);
    return wanted > least ? wanted : least;
}

/* Of the retired ones the smallest whose tables suffice, or PM_PIECES_MAX. */
static uint32_t retired_slot(size_t arenas)
{
    uint32_t best = PM_PIECES_MAX;
    pm_lock_acquire(&pm_arena_lock); /* what its last holders wrote is seen */
    for (uint32_t i = 0; i < pm_load_relaxed(&pieces_count); i++) {
        if (pm_load_relaxed(&places[i]) == 0 && pieces[i].capacity >= arenas &&
            (best == PM_PIECES_MAX || pieces[i].capacity < pieces[best].capacity))
            best = i;
    }
    pm_lock_release(&pm_arena_lock);
    return best;
}

/* One more, or PM_PIECES_MAX. Its index space starts with an arena that is not there: the line of
 * unit 0 would lie on the routes. */
static uint32_t fresh_slot(size_t arenas)
{
    uint32_t slot = pm_load_relaxed(&pieces_count); /* under the grow lock */
    if (slot == PM_PIECES_MAX)
        return slot;
    struct pm_window *w = window_of(slot);
    size_t capacity = 1;
    while (capacity < arenas)
        capacity *= 2;
    if (!pm_window_make_tables(w, capacity + 1))
        return PM_PIECES_MAX;
    w->number = (uint16_t)(PM_WINDOWS_MAX + slot);
    w->first_arena = w->next_arena = w->arenas_end = 1;
    w->closed = true;
    pieces[slot].capacity = capacity;
    pm_store_release(&pieces_count, slot + 1); /* pairs with pm_piece_count */
    return slot;
}

static void *call_alloc(size_t bytes)
{
    int saved_errno = errno;
    pm_hook_depth++;
    void *start = source.by.alloc(source.by.context, bytes);
    pm_hook_depth--;
    errno = saved_errno;
    return start;
}

static void call_free(const struct pm_piece_memory *memory)
{
    int saved_errno = errno;
    pm_hook_depth++;
    memory->by.free(memory->by.context, memory->start, memory->bytes);
    pm_hook_depth--;
    errno = saved_errno;
}

void pm_piece_return(const struct pm_piece_memory *memory)
{
    pm_lock_acquire(&pm_decommit_lock); /* walks read what others may be giving back */
    call_free(memory);
    pm_lock_release(&pm_decommit_lock);
}

/* An arena more than `arenas` where they do not come aligned. No bytes: refused. */
static struct pm_piece_memory ask(size_t arenas)
{
    size_t bytes = (arenas + source.unaligned) << PM_ARENA_SHIFT;
    struct pm_piece_memory memory = {source.by, call_alloc(bytes), bytes};
    uintptr_t end = (uintptr_t)memory.start + bytes;
    if (memory.start == NULL) {
        memory.bytes = 0;
    } else if (end < bytes || end > (uintptr_t)1 << PM_ADDRESS_BITS) {
        call_free(&memory);
        memory.bytes = 0;
    } else if (!source.unaligned && ((uintptr_t)memory.start & (PM_ARENA_BYTES - 1)) != 0) {
        call_free(&memory);
        source.unaligned = true;
        return ask(arenas);
    }
    return memory;
}

struct pm_window *pm_piece_make(size_t arenas)
{
    if (arenas > COUNT_MASK)
        return NULL;
    uint32_t slot = retired_slot(arenas);
    if (slot == PM_PIECES_MAX)
        slot = fresh_slot(arenas);
    if (slot == PM_PIECES_MAX)
        return NULL;
    struct pm_piece_memory memory = ask(arenas);
    if (memory.bytes == 0)
        return NULL;
    struct pm_window *w = window_of(slot);
    uintptr_t first = pm_align_up((uintptr_t)memory.start, PM_ARENA_BYTES);
    pieces[slot].memory = memory;
    w->arenas_end = (uint32_t)(1 + arenas);
    pm_store_relaxed(&w->base, first - PM_ARENA_BYTES);
    return w;
}

void pm_piece_publish(struct pm_window *w)
{
    uint64_t arenas = w->arenas_end - 1;
    held_arenas += arenas;
    pm_store_relaxed(&w->units, (size_t)w->arenas_end * PM_ARENA_UNITS);
    /* Relaxed: pointers into it are handed on by who takes from it, under the arena lock. */
    pm_store_relaxed(&places[slot_of(w)], (pm_window_base(w) + PM_ARENA_BYTES) | arenas);
}

static bool is_empty(const struct pm_window *w)
{
    for (uint32_t i = w->first_arena; i < w->next_arena; i++) {
        if (~w->arenas[i].free != 0)
            return false;
    }
    return w->next_arena != w->first_arena;
}

/* So much as is kept of other memory at least: a block that is made and freed over and over does
 * not call the program each time. */
static bool may_stay(void)
{
    size_t keep = pm_load_relaxed(&pm_options.keep_bytes); /* a bound; see options.h */
    return pm_arena_totals.foreign_empties <= keep >> PM_ARENA_SHIFT;
}

struct pm_piece_memory pm_piece_take_empty(struct pm_window *w, bool any)
{
    struct pm_piece_memory none = {.bytes = 0};
    if (!is_empty(w) || (!any && may_stay()))
        return none;
    for (uint32_t i = w->first_arena; i < w->next_arena; i++) {
        pm_arena_unfile(&w->arenas[i]);
        pm_arena_remove_units(&w->arenas[i], ~(uint64_t)0);
    }
    size_t arenas = w->next_arena - w->first_arena;
    pm_arena_totals.arenas -= arenas;
    held_arenas -= arenas;
    w->next_arena = w->first_arena;
    pm_store_relaxed(&w->units, 0);
    pm_store_relaxed(&places[slot_of(w)], 0); /* before the program may give the memory again */
    struct pm_piece_memory memory = pieces[slot_of(w)].memory;
    pm_asan_unpoison(memory.start, memory.bytes);
    return memory;
}

bool pm_piece_give_back_empties(bool all)
{
    bool some = false;
    for (uint32_t i = 0; i < pm_piece_count() && (all || !some); i++) {
        pm_lock_acquire(&pm_arena_lock);
        struct pm_piece_memory memory = pm_piece_take_empty(window_of(i), true);
        pm_lock_release(&pm_arena_lock);
        some |= memory.bytes != 0;
        pm_piece_give_back(&memory);
    }
    return some;
}
