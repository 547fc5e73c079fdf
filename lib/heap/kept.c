/* SPDX-License-Identifier: MIT */
/*
 * What a heap keeps without using it: empty pools, and units of one group that are not cut yet. The
 * owner takes from there before it asks the arena layer. So that nobody's sleep holds memory, any
 * thread may take it away: when memory is purged, before a new arena is mapped, and by deadline.
 *
 *   a slot of `kept`   class << 56 | address of the pool's descriptor | units    0: empty
 *   `stash`            base of the group << 1 | units << 8 | dirty               0: empty
 *
 *   who            slot                      stash
 *   the owner      0 -> pool, by a store     0 -> group, by a store; fewer units, by CAS
 *   any thread     pool -> 0, by exchange    group -> 0, by exchange
 *
 * A pool in a slot is retired: its descriptor is only read by who took it from the slot.
 */
#include "base/options.h"
#include "heap/internal.h"
#include "os/os.h"

enum {
    SEARCH_POOLS = 8, /* how many kept pools are looked at for one of the class */
    CLASS_SHIFT = PM_ADDRESS_BITS,
    UNITS_MASK = PM_LINE_BYTES - 1,
};

_Static_assert(PM_CLASSES <= 1 << (64 - CLASS_SHIFT), "a class fits above the address");
_Static_assert(PM_POOL_UNITS_MAX <= UNITS_MASK, "units fit below the address");
_Static_assert(PM_ADDRESS_BITS + 1 <= 64, "the base of a group fits, shifted by one");
_Static_assert(PM_UNIT_SHIFT + 3 >= 15, "with the base of a group shifted by one, 16 bits are 0");

/* Kept by all heaps; relaxed, it orders nothing. On a line of its own: every slow path of every
 * thread reads what would lie beside it (docs/scaling.md). */
static struct {
    _Atomic uint64_t bytes;
} __attribute__((aligned(PM_LINE_BYTES))) kept_of_all;

static uint64_t slot_of(const struct pm_pool *pool)
{
    return (uint64_t)pool->class << CLASS_SHIFT | (uintptr_t)pool | pool->units;
}

static struct pm_pool *slot_pool(uint64_t slot)
{
    return (struct pm_pool *)(uintptr_t)(slot & (((uint64_t)1 << CLASS_SHIFT) - 1) &
                                         ~(uint64_t)UNITS_MASK);
}

static uint64_t slot_bytes(uint64_t slot)
{
    return (slot & UNITS_MASK) << PM_UNIT_SHIFT;
}

static void count_taken(struct pm_heap *heap, uint64_t slot)
{
    pm_count_shared(&heap->kept_bytes, -slot_bytes(slot));
    pm_count_shared(&kept_of_all.bytes, -slot_bytes(slot));
}

/* Empties the slot. NULL: another thread was faster, or it was empty. Acquire pairs with the
 * release in pm_heap_keep: the descriptor is as its last owner left it. */
static struct pm_pool *take_slot(struct pm_heap *heap, unsigned slot)
{
    if (pm_load_relaxed(&heap->kept[slot]) == 0) /* spares the exchange */
        return NULL;
    uint64_t word = pm_exchange_acquire(&heap->kept[slot], 0);
    if (word == 0)
        return NULL;
    count_taken(heap, word);
    return slot_pool(word);
}

static void give(struct pm_pool *pool)
{
    struct pm_run run = pm_pool_run(pool);
    pm_arena_give_run(&run);
}

void pm_heap_return_end(struct pm_returns *returns)
{
    if (returns->count != 0)
        pm_arena_give_runs(returns->runs, returns->count);
    returns->count = 0;
}

void pm_heap_return(struct pm_returns *returns, const struct pm_pool *pool)
{
    if (returns->count == PM_RETURNS_MAX)
        pm_heap_return_end(returns);
    returns->runs[returns->count++] = pm_pool_run(pool);
}

/* The slot after the one that was filled last, emptied. */
static unsigned next_slot(struct pm_heap *heap)
{
    heap->kept_last = (heap->kept_last + 1) % PM_KEPT_SLOTS;
    struct pm_pool *oldest = take_slot(heap, heap->kept_last);
    if (oldest != NULL)
        give(oldest);
    return heap->kept_last;
}

void pm_heap_keep(struct pm_heap *heap, struct pm_pool *pool)
{
    uint64_t bytes = (uint64_t)pool->units << PM_UNIT_SHIFT;
    uint64_t all = pm_load_relaxed(&kept_of_all.bytes) + bytes;
    /* Relaxed: bounds, which pm_option_set may change at any time. */
    uint64_t most = pm_load_relaxed(&pm_options.heap_keep_bytes);
    bool allocates = heap->current[pool->class] != &pm_pool_none; /* else it takes none back */
    if (!allocates || bytes > most || all > pm_load_relaxed(&pm_options.heaps_keep_bytes))
        return give(pool);
    /* The newest is worth more than the oldest: a slot further on is next. */
    unsigned slot = next_slot(heap);
    for (unsigned i = 1; pm_load_relaxed(&heap->kept_bytes) + bytes > most && i < PM_KEPT_SLOTS;
         i++) {
        struct pm_pool *old = take_slot(heap, (slot + i) % PM_KEPT_SLOTS);
        if (old != NULL)
            give(old);
    }
    pool->place = PM_PLACE_KEPT;
    pm_count_shared(&heap->kept_bytes, bytes);
    pm_count_shared(&kept_of_all.bytes, bytes);
    /* Release: who takes the pool from the slot sees its descriptor. Only we fill slots. */
    pm_store_release(&heap->kept[slot], slot_of(pool));
}

/* The slot of a pool of the class, still carved as it was; else of one of the same number of units,
 * to be cut anew; PM_KEPT_SLOTS: none. Last filled first. */
static unsigned find_slot(struct pm_heap *heap, unsigned class)
{
    unsigned same_units = PM_KEPT_SLOTS, units = pm_class_units(class);
    for (unsigned i = 0, seen = 0; i < PM_KEPT_SLOTS && seen < SEARCH_POOLS; i++) {
        unsigned at = (heap->kept_last - i) % PM_KEPT_SLOTS;
        /* Relaxed: only what the exchange finds counts. */
        uint64_t word = pm_load_relaxed(&heap->kept[at]);
        if (word == 0)
            continue;
        seen++;
        if (word >> CLASS_SHIFT == class)
            return at;
        if (same_units == PM_KEPT_SLOTS && (word & UNITS_MASK) == units)
            same_units = at;
    }
    return same_units;
}

struct pm_pool *pm_heap_take_kept(struct pm_heap *heap, unsigned class)
{
    if (pm_load_relaxed(&heap->kept_bytes) == 0)
        return NULL;
    unsigned slot = find_slot(heap, class);
    struct pm_pool *pool = slot < PM_KEPT_SLOTS ? take_slot(heap, slot) : NULL;
    if (pool == NULL)
        return NULL;
    pool->place = PM_PLACE_NONE;
    if (pool->class == class) {
        pm_pool_revive(pool, pm_heap_route(heap));
        return pool;
    }
    struct pm_run run = pm_pool_run(pool);
    if (pm_class_is_gc(class) && pm_unlikely(!pm_gc_may_lie_at(run.base))) {
        pm_arena_give_run(&run);
        return NULL;
    }
    return pm_pool_cut(&run, class, pm_heap_route(heap));
}

static uint64_t stash_word(const struct pm_group *group)
{
    return (uintptr_t)group->base << 1 | (uint64_t)group->units << 8 | group->dirty;
}

static struct pm_group stash_group(uint64_t word)
{
    return (struct pm_group){(char *)(word >> 16 << 15), (uint8_t)(word >> 8), (uint8_t)word};
}

/* One unit of the stash, dirty ones first: they are resident. */
static bool take_stashed(struct pm_heap *heap, struct pm_run *run)
{
    uint64_t word = pm_load_relaxed(&heap->stash), rest;
    do {
        struct pm_group group = stash_group(word);
        if (group.units == 0)
            return false;
        unsigned pick = group.units & group.dirty ? group.units & group.dirty : group.units;
        unsigned unit = (unsigned)__builtin_ctz(pick);
        *run = (struct pm_run){group.base + ((size_t)unit << PM_UNIT_SHIFT), 1,
                               group.dirty >> unit & 1};
        group.units &= (uint8_t) ~(1u << unit);
        group.dirty &= group.units;
        rest = group.units != 0 ? stash_word(&group) : 0;
        /* Acquire is more than is needed: units come with nothing to be seen. */
    } while (!pm_cas_acquire(&heap->stash, &word, rest));
    return true;
}

bool pm_heap_take_units(struct pm_heap *heap, unsigned units, struct pm_run *run)
{
    struct pm_group group;
    if (units > 1)
        return pm_arena_take_run(units, run);
    while (!take_stashed(heap, run)) {
        if (!pm_arena_take_group(&group))
            return false;
        pm_store_relaxed(&heap->stash, stash_word(&group)); /* it was empty, and only we fill it */
    }
    return true;
}

uint64_t pm_heap_stash_bytes(const struct pm_heap *heap)
{
    struct pm_group group = stash_group(pm_load_relaxed(&heap->stash));
    return (uint64_t)pm_bits_count(group.units) << PM_UNIT_SHIFT;
}

static bool give_pools_and_stash(struct pm_heap *heap)
{
    bool some = false;
    struct pm_returns returns;
    returns.count = 0;
    for (unsigned slot = 0; slot < PM_KEPT_SLOTS; slot++) {
        struct pm_pool *pool = take_slot(heap, slot);
        if (pool == NULL)
            continue;
        pm_heap_return(&returns, pool);
        some = true;
    }
    pm_heap_return_end(&returns);
    if (pm_load_relaxed(&heap->stash) == 0)
        return some;
    struct pm_group group = stash_group(pm_exchange_acquire(&heap->stash, 0));
    pm_arena_give_group(&group);
    return some || group.units != 0;
}

bool pm_heap_give_kept(struct pm_heap *heap)
{
    bool some = pm_heap_give_spans(heap);
    return give_pools_and_stash(heap) || some;
}

static bool give_idle(struct pm_heap *heap)
{
    uint64_t refills = pm_load_relaxed(&heap->refills);
    bool busy = refills != pm_load_relaxed(&heap->refills_seen);
    pm_store_relaxed(&heap->refills_seen, refills);
    bool some = pm_heap_give_unused_spans(heap, pm_os_now_ns());
    return (!busy && give_pools_and_stash(heap)) || some;
}

static bool give_kept_unless_busy(struct pm_heap *heap, bool idle)
{
    if (idle)
        return give_idle(heap);
    pm_store_relaxed(&heap->refills_seen, pm_load_relaxed(&heap->refills));
    return pm_heap_give_kept(heap);
}

bool pm_heap_give_kept_of_all(bool idle)
{
    bool some = give_kept_unless_busy(pm_cold_static(0), idle);
    some |= give_kept_unless_busy(pm_cold_static(1), idle);
    /* Acquire pairs with the release in pm_heap_new_shell: the heap is complete. */
    for (struct pm_heap *heap = pm_load_acquire(&pm_registry.heaps); heap; heap = heap->next)
        some |= give_kept_unless_busy(heap, idle);
    return some;
}

/* Not for a little: the heaps would have to take it back one by one. */
bool pm_heap_reclaim(bool all)
{
    if (all)
        return pm_heap_give_kept_of_all(false);
    bool some =
        pm_load_relaxed(&pm_purge_leased_units) >= PM_ARENA_UNITS && pm_heap_give_spans_of_all();
    return some || (pm_load_relaxed(&kept_of_all.bytes) >= PM_ARENA_BYTES &&
                    pm_heap_give_kept_of_all(false));
}

/* Relaxed: who reads an older one only tries in vain. */
static _Atomic uint64_t kept_due_ns;

/* Release when it is set, acquire when it is called: with what the watch needs. */
_Atomic uint64_t pm_heap_watch_due_ns = UINT64_MAX;
static void (*_Atomic watch)(uint64_t now_ns);

void pm_heap_set_watch(void (*function)(uint64_t now_ns))
{
    pm_store_relaxed(&watch, function);
    pm_store_release(&pm_heap_watch_due_ns, 0);
}

PM_NOINLINE void pm_heap_tick_now(void)
{
    uint64_t now_ns = pm_os_now_ns();
    pm_arena_tick(now_ns);
    if (pm_unlikely(now_ns >= pm_load_acquire(&pm_heap_watch_due_ns)))
        pm_load_relaxed (&watch)(now_ns);
    uint64_t due = pm_load_relaxed(&kept_due_ns);
    uint64_t next = now_ns + pm_purge_delay_ns();
    /* One thread at a time; acquire orders nothing here. */
    if (now_ns >= due && pm_cas_acquire(&kept_due_ns, &due, next) && due != 0)
        pm_heap_give_kept_of_all(true);
}
