/* SPDX-License-Identifier: MIT */
/*
 * The arena list: which arena serves a request for a run of units. Arenas with some units free are
 * kept in bins by (longest free run, number of free units), so that the fullest arena that can
 * serve is found by a look at 64 words, not by a search; wholly free ones are in two lists of their
 * own. Everything under the arena lock.
 */
#include "arena/piece.h"
#include "base/report.h"
#include "os/os.h"

#include <string.h>

struct pm_lock pm_arena_lock = PM_LOCK_INIT(PM_RANK_ARENA);
struct pm_arena_totals pm_arena_totals;

static struct pm_link bins[PM_ARENA_UNITS][PM_ARENA_UNITS]; /* [longest run][free units] */
static uint64_t bins_used[PM_ARENA_UNITS]; /* for each longest run: the counts that have arenas */
static uint64_t runs_used;                 /* the longest runs that have arenas */
static struct pm_link dirty_empties, clean_empties, decommitted_empties, foreign_empties;
static struct pm_link dirty_arenas; /* with dirty free units, last touched first */

static void set_empty_bit(struct pm_arena *a, bool empty)
{
    uint64_t bit = (uint64_t)1 << a->index % 64;
    uint64_t *word = &pm_arena_window(a)->empties[a->index / 64];
    *word = empty ? *word | bit : *word & ~bit;
}

static size_t *count_of(enum pm_arena_place place)
{
    struct pm_arena_totals *t = &pm_arena_totals;
    return place == PM_DIRTY_EMPTY   ? &t->dirty_empties
           : place == PM_CLEAN_EMPTY ? &t->clean_empties
                                     : &t->decommitted;
}

static void file_empty(struct pm_arena *a)
{
    struct pm_link *list = a->decommitted ? &decommitted_empties
                           : a->foreign   ? &foreign_empties
                           : a->dirty     ? &dirty_empties
                                          : &clean_empties;
    bool dirty = a->dirty != 0 || a->foreign;
    a->place = a->decommitted ? PM_DECOMMITTED : dirty ? PM_DIRTY_EMPTY : PM_CLEAN_EMPTY;
    if (a->window == pm_window.number)
        pm_list_push(list, &a->link);
    else
        pm_list_push_back(list, &a->link); /* used last: frees there are off the fast path */
    *count_of(a->place) += 1;
    pm_arena_totals.foreign_empties += a->foreign;
    set_empty_bit(a, true);
}

void pm_arena_file(struct pm_arena *a)
{
    a->free_units = (uint8_t)pm_bits_count(a->free);
    a->longest = (uint8_t)pm_bits_longest_run(a->free);
    if (a->free_units == 0) {
        a->place = PM_NOWHERE;
    } else if (a->free_units == PM_ARENA_UNITS) {
        file_empty(a);
    } else {
        a->place = PM_BIN;
        pm_list_push(&bins[a->longest][a->free_units], &a->link);
        bins_used[a->longest] |= (uint64_t)1 << a->free_units;
        runs_used |= (uint64_t)1 << a->longest;
    }
    pm_assert(pm_arena_check_one(a));
}

static void unfile_bin(struct pm_arena *a)
{
    pm_list_remove(&a->link);
    if (!pm_list_empty(&bins[a->longest][a->free_units]))
        return;
    bins_used[a->longest] &= ~((uint64_t)1 << a->free_units);
    if (bins_used[a->longest] == 0)
        runs_used &= ~((uint64_t)1 << a->longest);
}

void pm_arena_unfile(struct pm_arena *a)
{
    pm_assert(pm_arena_check_one(a));
    if (a->place == PM_BIN) {
        unfile_bin(a);
    } else if (a->place != PM_NOWHERE) {
        pm_list_remove(&a->link);
        *count_of(a->place) -= 1;
        pm_arena_totals.foreign_empties -= a->foreign;
        set_empty_bit(a, false);
    }
    a->place = PM_NOWHERE;
}

static struct pm_arena *first_of(struct pm_link *list)
{
    return pm_list_empty(list) ? NULL : pm_container_of(list->next, struct pm_arena, link);
}

void pm_arena_lists_clear(void)
{
    memset(bins, 0, sizeof bins);
    memset(bins_used, 0, sizeof bins_used);
    runs_used = 0;
    dirty_empties = clean_empties = decommitted_empties = (struct pm_link){0};
    foreign_empties = dirty_arenas = (struct pm_link){0};
}

void pm_arena_remove_units(struct pm_arena *a, uint64_t units)
{
    bool was_dirty = a->dirty != 0;
    pm_assert(a->place == PM_NOWHERE && (a->free & units) == units);
    pm_arena_totals.free_units -= pm_bits_count(units);
    pm_arena_totals.dirty_units -= pm_bits_count(units & a->dirty);
    a->free &= ~units;
    a->dirty &= ~units;
    if (was_dirty && a->dirty == 0)
        pm_list_remove(&a->dirty_link);
}

void pm_arena_add_units(struct pm_arena *a, uint64_t units, uint64_t dirty, uint64_t now_ns)
{
    pm_assert(a->place == PM_NOWHERE && (a->free & units) == 0 && (dirty & ~units) == 0);
    a->free |= units;
    pm_arena_totals.free_units += pm_bits_count(units);
    if (dirty == 0 || a->foreign)
        return;
    pm_arena_totals.dirty_units += pm_bits_count(dirty);
    if (a->dirty != 0)
        pm_list_remove(&a->dirty_link);
    pm_list_push(&dirty_arenas, &a->dirty_link);
    a->dirty |= dirty;
    a->dirty_since = (uint32_t)(now_ns >> PM_TICK_SHIFT);
    pm_purge_set_deadline(now_ns);
}

void pm_arena_postpone(struct pm_arena *a, uint64_t now_ns)
{
    pm_list_remove(&a->dirty_link);
    pm_list_push(&dirty_arenas, &a->dirty_link);
    a->dirty_since = (uint32_t)(now_ns >> PM_TICK_SHIFT);
}

void pm_arena_prefer(struct pm_arena *a, uint32_t ticks)
{
    pm_list_remove(&a->dirty_link);
    pm_list_push_back(&dirty_arenas, &a->dirty_link);
    a->dirty_since -= ticks;
}

void pm_arena_use(struct pm_arena *a, bool first)
{
    pm_assert(a->place == PM_DIRTY_EMPTY && !a->foreign);
    pm_list_remove(&a->link);
    if (first)
        pm_list_push(&dirty_empties, &a->link);
    else
        pm_list_push_back(&dirty_empties, &a->link);
}

struct pm_arena *pm_arena_longest_dirty(void)
{
    if (pm_list_empty(&dirty_arenas))
        return NULL;
    return pm_container_of(dirty_arenas.prev, struct pm_arena, dirty_link);
}

uint32_t pm_arena_dirty_ticks(const struct pm_arena *a, uint64_t now_ns)
{
    uint32_t ticks = (uint32_t)(now_ns >> PM_TICK_SHIFT) - a->dirty_since;
    return ticks > INT32_MAX ? 0 : ticks; /* a clock that was read earlier */
}

struct pm_arena *pm_arena_take_decommitted(bool first_window)
{
    struct pm_arena *a = first_of(&decommitted_empties); /* those of the first window come first */
    if (a == NULL || (first_window && a->window != pm_window.number))
        return NULL;
    pm_arena_unfile(a);
    pm_arena_remove_units(a, ~(uint64_t)0);
    pm_arena_file(a);
    return a;
}

/* Fullest first; then what is resident; then what costs page faults. */
static struct pm_arena *find_any(unsigned units)
{
    unsigned fewest = PM_ARENA_UNITS, longest = 0;
    /* No arena in a bin has a run of all its units. */
    uint64_t served = units < PM_ARENA_UNITS ? runs_used >> units << units : 0;
    for (uint64_t runs = served; runs != 0; runs &= runs - 1) {
        unsigned run = (unsigned)__builtin_ctzll(runs);
        unsigned count = (unsigned)__builtin_ctzll(bins_used[run]);
        if (count < fewest) {
            fewest = count;
            longest = run;
        }
    }
    if (longest != 0)
        return first_of(&bins[longest][fewest]);
    struct pm_arena *a = first_of(&dirty_empties);
    a = a ? a : first_of(&clean_empties);
    return a ? a : first_of(&foreign_empties); /* last, so that they go back to the program */
}

struct pm_arena *pm_arena_find(unsigned units)
{
    struct pm_arena *a = find_any(units);
    /* A fresh arena costs no more page faults than a clean one, and is freed on the fast path. */
    bool grow_instead = a != NULL && a->place == PM_CLEAN_EMPTY && a->window != pm_window.number &&
                        pm_window_has_room(&pm_window);
    return grow_instead ? NULL : a;
}

struct pm_arena *pm_arena_oldest_dirty_empty(void)
{
    if (pm_list_empty(&dirty_empties))
        return NULL;
    return pm_container_of(dirty_empties.prev, struct pm_arena, link);
}

struct pm_arena *pm_arena_cheapest_empty(void)
{
    if (!pm_list_empty(&clean_empties))
        return pm_container_of(clean_empties.prev, struct pm_arena, link);
    return pm_arena_oldest_dirty_empty();
}

/* Which of its free units may hold old contents. */
static uint64_t dirty_of(const struct pm_arena *a, uint64_t units)
{
    return a->foreign ? units : a->dirty & units;
}

uint64_t pm_arena_claim(struct pm_arena *a, unsigned first, unsigned units, uint64_t now_ns)
{
    uint64_t mask = pm_bits_run(first, units);
    pm_assert((a->free & mask) == mask);
    uint64_t dirty = dirty_of(a, mask);
    pm_demand_note(pm_bits_count(mask & ~dirty), now_ns);
    pm_arena_unfile(a);
    pm_arena_remove_units(a, mask);
    pm_arena_file(a);
    return dirty >> first;
}

struct pm_arena *pm_arena_lock_with_run(unsigned units, uint64_t now_ns)
{
    for (unsigned reclaims = 0;;) {
        pm_lock_acquire(&pm_arena_lock);
        struct pm_arena *a = pm_arena_find(units);
        if (a != NULL)
            return a;
        pm_lock_release(&pm_arena_lock);
        if (reclaims == 0 && pm_arena_reclaim(false))
            reclaims = 1;
        else if (pm_arena_grow(1, 1, NULL, now_ns))
            continue;
        else if (reclaims < 2 && pm_arena_reclaim(true))
            reclaims = 2;
        else
            break;
    }
    pm_lock_acquire(&pm_arena_lock);
    struct pm_arena *a = find_any(units); /* also what growing would have been better than */
    if (a == NULL)
        pm_lock_release(&pm_arena_lock);
    return a;
}

void pm_arena_unlock_after_claim(struct pm_arena *a, uint64_t now_ns)
{
    pm_peak_look(now_ns);
    bool dense = a->free == 0 && a->no_huge;
    pm_lock_release(&pm_arena_lock);
    if (pm_unlikely(dense))
        pm_arena_densify(a);
}

/* The place for a run: the shortest hole that holds it, so that long holes stay long; among equals
 * the lowest. */
static unsigned best_start(uint64_t free_units, unsigned units)
{
    unsigned best = PM_ARENA_UNITS, best_length = PM_ARENA_UNITS + 1;
    for (uint64_t starts = pm_bits_run_starts(free_units, units); starts != 0;) {
        unsigned first = (unsigned)__builtin_ctzll(starts);
        uint64_t rest = free_units >> first;
        unsigned length = ~rest == 0 ? PM_ARENA_UNITS : (unsigned)__builtin_ctzll(~rest);
        if (length < best_length) {
            best = first;
            best_length = length;
        }
        starts = first + length >= PM_ARENA_UNITS ? 0 : starts & ~pm_bits_run(0, first + length);
    }
    return best;
}

bool pm_arena_take_run(unsigned units, struct pm_run *run)
{
    uint64_t now = pm_os_now_ns();
    struct pm_arena *a = pm_arena_lock_with_run(units, now);
    if (a == NULL)
        return false;
    unsigned first = best_start(a->free, units);
    run->dirty = pm_arena_claim(a, first, units, now);
    run->base = pm_arena_base(a) + ((size_t)first << PM_UNIT_SHIFT);
    run->units = units;
    pm_arena_unlock_after_claim(a, now);
    return true;
}

/* The group that gives most: dirty units first, since they cost no page faults; at the peak, where
 * clean ones cost others theirs, however many of these there are. */
static unsigned best_group(const struct pm_arena *a, bool at_peak)
{
    unsigned best = 0, best_score = 0;
    unsigned weight = at_peak ? PM_GROUP_UNITS + 1 : 2;
    uint64_t scores = pm_bits_count_bytes(a->dirty) * weight + pm_bits_count_bytes(a->free);
    for (unsigned first = 0; first < PM_ARENA_UNITS; first += PM_GROUP_UNITS) {
        unsigned score = scores >> first & 0xff;
        if (score > best_score) {
            best = first;
            best_score = score;
        }
    }
    return best;
}

/* Of the arenas with dirty units that were left alone longest, the fullest; not a wholly free one,
 * where large blocks may lie. */
static struct pm_arena *fullest_dirty(void)
{
    enum { LOOKS_MAX = 16 };
    struct pm_arena *fullest = NULL;
    struct pm_link *at = pm_list_empty(&dirty_arenas) ? &dirty_arenas : dirty_arenas.prev;
    for (unsigned looks = 0; at != &dirty_arenas && looks < LOOKS_MAX; at = at->prev, looks++) {
        struct pm_arena *a = pm_container_of(at, struct pm_arena, dirty_link);
        bool fuller = fullest == NULL || a->free_units < fullest->free_units;
        if (a->place == PM_BIN && fuller)
            fullest = a;
    }
    return fullest;
}

/* An arena with dirty units in its place, where clean ones would make the peak grow. */
static struct pm_arena *resident_instead(struct pm_arena *a)
{
    if (a->dirty != 0 || a->foreign)
        return a;
    struct pm_arena *dirty = fullest_dirty();
    return dirty != NULL && dirty->window == a->window ? dirty : a;
}

bool pm_arena_take_group(struct pm_group *group)
{
    uint64_t now = pm_os_now_ns();
    struct pm_arena *a = pm_arena_lock_with_run(1, now);
    if (a == NULL)
        return false;
    bool at_peak = pm_peak_excess(PM_GROUP_UNITS) != 0;
    a = at_peak ? resident_instead(a) : a;
    unsigned first = best_group(a, at_peak);
    uint64_t mask = a->free & (uint64_t)0xff << first;
    uint64_t dirty = dirty_of(a, mask);
    pm_demand_note(pm_bits_count(mask & ~dirty), now);
    pm_arena_unfile(a);
    group->units = (uint8_t)(mask >> first);
    group->dirty = (uint8_t)(dirty >> first);
    group->base = pm_arena_base(a) + ((size_t)first << PM_UNIT_SHIFT);
    pm_arena_remove_units(a, mask);
    pm_arena_file(a);
    pm_arena_unlock_after_claim(a, now);
    return true;
}

static void give(const char *base, uint64_t units, uint64_t dirty)
{
    uint64_t now = pm_os_now_ns();
    struct pm_window *w = pm_window_find(base);
    size_t unit = pm_window_index(w, base);
    unsigned first = unit % PM_ARENA_UNITS;
    struct pm_arena *a = pm_arena_of(w, unit);
    struct pm_piece_memory memory;
    memory.bytes = 0;
    pm_lock_acquire(&pm_arena_lock);
    pm_arena_unfile(a);
    pm_arena_add_units(a, units << first, dirty << first, now);
    pm_arena_file(a);
    bool excess = pm_purge_wanted(now);
    if (pm_unlikely(a->foreign && ~a->free == 0))
        memory = pm_piece_take_empty(w, false);
    pm_lock_release(&pm_arena_lock);
    pm_piece_give_back(&memory);
    if (pm_unlikely(excess))
        pm_purge_excess(pm_bits_count(units), now);
    pm_arena_tick(now);
}

void pm_arena_give_run(const struct pm_run *run)
{
    give(run->base, pm_bits_run(0, run->units), run->dirty & pm_bits_run(0, run->units));
}

/* Under the arena lock. `open` is the arena that was unfiled last, or NULL; so is the result. */
static struct pm_arena *add_run(struct pm_arena *open, const struct pm_run *run, uint64_t now_ns)
{
    struct pm_window *w = pm_window_find(run->base);
    size_t unit = pm_window_index(w, run->base);
    unsigned first = unit % PM_ARENA_UNITS;
    struct pm_arena *a = pm_arena_of(w, unit);
    if (a != open) {
        if (open != NULL)
            pm_arena_file(open);
        pm_arena_unfile(a);
    }
    uint64_t units = pm_bits_run(first, run->units);
    pm_arena_add_units(a, units, run->dirty << first & units, now_ns);
    return a;
}

static bool is_in_piece(const struct pm_run *run)
{
    return pm_unlikely(pm_window_is_piece(pm_window_find(run->base)));
}

/* In pieces they go one by one, as each may leave one that the program gets back. */
void pm_arena_give_runs(const struct pm_run *runs, unsigned count)
{
    uint64_t now = pm_os_now_ns();
    size_t units = 0;
    struct pm_arena *open = NULL;
    pm_lock_acquire(&pm_arena_lock);
    for (unsigned i = 0; i < count; i++) {
        if (is_in_piece(&runs[i]))
            continue;
        open = add_run(open, &runs[i], now);
        units += runs[i].units;
    }
    if (open != NULL)
        pm_arena_file(open);
    bool excess = pm_purge_wanted(now);
    pm_lock_release(&pm_arena_lock);
    if (pm_unlikely(excess))
        pm_purge_excess(units, now);
    pm_arena_tick(now);
    for (unsigned i = 0; i < count; i++) {
        if (is_in_piece(&runs[i]))
            pm_arena_give_run(&runs[i]);
    }
}

void pm_arena_give_group(const struct pm_group *group)
{
    if (group->units != 0)
        give(group->base, group->units, group->dirty & group->units);
}
