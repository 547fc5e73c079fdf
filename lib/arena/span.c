/* SPDX-License-Identifier: MIT */
/* Making, freeing and resizing spans: see span.h. Moving them: span_move.c. Any thread. */
#include "arena/piece.h"
#include "arena/span.h"
#include "base/asan.h"
#include "base/report.h"
#include "os/os.h"

#include <string.h>

/* Who is likely to grow is given a hole of so many units, or else one so many times as large. */
enum { ROOM_UNITS = PM_ARENA_UNITS * 3 / 4, ROOM_LEAST = 2 };

static size_t units_of(size_t bytes)
{
    return bytes / PM_UNIT_BYTES + (bytes % PM_UNIT_BYTES != 0);
}

static uint32_t arenas_of(size_t units)
{
    return (uint32_t)(units / PM_ARENA_UNITS + (units % PM_ARENA_UNITS != 0));
}

/* One by one, for what must not be written: see PM_LINE_NOT_OF_SPANS. */
static void set_descriptor(struct pm_span *to, const struct pm_span *span)
{
    to->units = span->units;
    to->peak_units = span->peak_units;
    to->arenas = span->arenas;
    to->was_clean = span->was_clean;
    to->link = span->link;
    to->note = span->note;
}

static void *span_init(struct pm_arena *a, unsigned first, struct pm_span span, bool *zero)
{
    struct pm_window *w = pm_arena_window(a);
    size_t unit = (size_t)a->index * PM_ARENA_UNITS + first;
    *zero = span.was_clean;
    set_descriptor(pm_span_at(w, unit), &span);
    /* Who got the pointer needs no order: passing it on is one. Release is for who looks at spans
     * of others, in covered(). */
    pm_store_release(pm_window_route(w, unit), PM_ROUTE_SPAN);
    return pm_window_unit(w, unit);
}

/* Starts in `free` of an aligned run; align in units, a power of two up to an arena. */
static uint64_t aligned_starts(uint64_t free_units, unsigned units, unsigned align)
{
    uint64_t at = 1;
    for (unsigned step = align; step < PM_ARENA_UNITS; step *= 2)
        at |= at << step;
    return pm_bits_run_starts(free_units, units) & at;
}

/* Under the arena lock: takes units of an arena, and releases it. */
static void *claim_in_arena(struct pm_arena *a, unsigned first, unsigned units, uint64_t now,
                            bool *zero)
{
    uint64_t dirty = pm_arena_claim(a, first, units, now);
    pm_arena_totals.span_units += units;
    pm_arena_totals.span_held_units += units;
    pm_arena_unlock_after_claim(a, now);
    struct pm_span span = {.units = units, .peak_units = units, .was_clean = dirty == 0};
    void *block = span_init(a, first, span, zero);
    pm_arena_settle();
    return block;
}

static void *alloc_in_arena(unsigned units, unsigned align, bool *zero)
{
    uint64_t now = pm_os_now_ns();
    struct pm_arena *a = pm_arena_lock_with_run(units + align - 1, now);
    if (a == NULL)
        return NULL;
    unsigned first = (unsigned)__builtin_ctzll(aligned_starts(a->free, units, align));
    return claim_in_arena(a, first, units, now, zero);
}

/* Whether what lies before a hole stays as it is: the end of the arena, or of a pool. A hint: who
 * has just taken units has yet to set their routes. */
static bool ends_for_good(const struct pm_arena *a, unsigned first)
{
    size_t unit = (size_t)a->index * PM_ARENA_UNITS + first;
    return first == 0 ||
           pm_load_relaxed(pm_window_route(pm_arena_window(a), unit - 1)) > PM_ROUTE_SPAN;
}

/* In the arena's longest hole: at its start, or in its middle, so that a large block before it has
 * room as well. */
static unsigned roomy_start(const struct pm_arena *a, unsigned units)
{
    unsigned first = (unsigned)__builtin_ctzll(pm_bits_run_starts(a->free, a->longest));
    return ends_for_good(a, first) ? first : first + (a->longest - units) / 2;
}

void *pm_span_alloc_roomy(size_t bytes)
{
    bool zero = false;
    size_t units = units_of(bytes);
    uint64_t now = pm_os_now_ns();
    if (units * ROOM_LEAST > PM_ARENA_UNITS)
        return pm_span_alloc(bytes, 1, &zero);
    pm_lock_acquire(&pm_arena_lock);
    struct pm_arena *a = NULL;
    for (size_t room = ROOM_UNITS; a == NULL && room > units * ROOM_LEAST; room /= 2)
        a = pm_arena_find((unsigned)room);
    if (a == NULL)
        a = pm_arena_find((unsigned)units * ROOM_LEAST);
    if (a != NULL)
        return claim_in_arena(a, roomy_start(a, (unsigned)units), (unsigned)units, now, &zero);
    pm_lock_release(&pm_arena_lock);
    return pm_span_alloc(bytes, 1, &zero);
}

struct claim {
    struct pm_arena *arenas;
    size_t dirty;                /* how many units were */
    size_t decommitted, no_huge; /* how many arenas were */
};

/* Under the arena lock: takes wholly free arenas. */
static struct claim claim_empties(struct pm_arena *a, size_t arenas, uint64_t now_ns)
{
    struct claim claim = {.arenas = a};
    for (size_t i = 0; i < arenas; i++) {
        claim.dirty += a[i].foreign ? PM_ARENA_UNITS : pm_bits_count(a[i].dirty);
        claim.decommitted += a[i].decommitted;
        claim.no_huge += a[i].no_huge;
        a[i].no_huge = 0;
        pm_arena_unfile(&a[i]);
        pm_arena_remove_units(&a[i], ~(uint64_t)0);
        pm_arena_file(&a[i]);
    }
    pm_arena_totals.span_held_units += arenas * PM_ARENA_UNITS;
    pm_demand_note(arenas * PM_ARENA_UNITS - claim.dirty, now_ns);
    return claim;
}

/* Under the arena lock: wholly free arenas come back as they were; nothing is known to be clean. */
static void unclaim(const struct claim *claim, size_t arenas, uint64_t now_ns)
{
    for (size_t i = 0; i < arenas; i++) {
        struct pm_arena *a = &claim->arenas[i];
        pm_arena_unfile(a);
        pm_arena_add_units(a, ~(uint64_t)0, a->decommitted ? 0 : ~(uint64_t)0, now_ns);
        pm_arena_file(a);
    }
    pm_arena_totals.span_held_units -= arenas * PM_ARENA_UNITS;
}

/* Commits what of the claim was not. False: it went back. */
static bool commit_claim(const struct claim *claim, size_t arenas, uint64_t now_ns)
{
    if (claim->decommitted == 0) {
        if (claim->no_huge != 0)
            pm_os_advise_huge(pm_arena_base(claim->arenas), arenas << PM_ARENA_SHIFT, true);
        return true;
    }
    bool done = pm_arena_recommit(claim->arenas, arenas);
    pm_lock_acquire(&pm_arena_lock);
    if (!done)
        unclaim(claim, arenas, now_ns);
    for (size_t i = 0; done && i < arenas; i++)
        claim->arenas[i].decommitted = 0;
    pm_lock_release(&pm_arena_lock);
    return done;
}

static size_t decommitted_of(const struct pm_arena *a, size_t arenas)
{
    size_t count = 0;
    for (size_t i = 0; i < arenas; i++)
        count += a[i].decommitted;
    return count;
}

/* Wholly free arenas, within the limit. None: the layers above gave something back, or free arenas
 * elsewhere did, so that to try again makes sense, or *last. */
static struct claim find_arenas(uint32_t arenas, unsigned align, bool clean, uint64_t now_ns,
                                bool *last)
{
    struct claim claim = {0};
    pm_lock_acquire(&pm_arena_lock);
    struct pm_arena *a = pm_arena_find_empties(arenas, align, clean);
    size_t decommitted = a != NULL ? decommitted_of(a, arenas) : 0;
    if (a != NULL && pm_limit_allows(decommitted))
        claim = claim_empties(a, arenas, now_ns);
    pm_lock_release(&pm_arena_lock);
    if (claim.arenas == NULL)
        *last = !(a != NULL && pm_limit_make_room(decommitted, now_ns)) && !pm_arena_reclaim(false);
    return claim;
}

static struct claim find_or_grow(uint32_t arenas, unsigned align, bool clean, uint64_t now_ns)
{
    struct claim claim = {0};
    bool last = false;
    for (unsigned tries = 0; tries < 2 && claim.arenas == NULL && !last; tries++)
        claim = find_arenas(arenas, align, clean, now_ns, &last);
    if (claim.arenas == NULL && align == 1 && pm_arena_lengthen(arenas, clean, now_ns))
        claim = find_arenas(arenas, align, clean, now_ns, &last);
    if (claim.arenas != NULL && !commit_claim(&claim, arenas, now_ns))
        claim.arenas = NULL;
    else if (claim.arenas == NULL && !pm_arena_grow(arenas, align, &claim.arenas, now_ns))
        claim.arenas = NULL;
    return claim;
}

static struct claim take_arenas(uint32_t arenas, unsigned align, bool clean, uint64_t now_ns)
{
    struct claim claim = find_or_grow(arenas, align, clean, now_ns);
    if (claim.arenas == NULL && pm_arena_reclaim(true)) /* with what heaps kept, however little */
        claim = find_or_grow(arenas, align, clean, now_ns);
    return claim;
}

static void *alloc_arenas(size_t units, unsigned align, bool *zero)
{
    uint64_t now = pm_os_now_ns();
    uint32_t arenas = arenas_of(units);
    struct claim claim = take_arenas(arenas, align, *zero, now);
    if (claim.arenas == NULL)
        return NULL;
    pm_lock_acquire(&pm_arena_lock);
    pm_arena_totals.span_units += units;
    pm_peak_look(now);
    pm_lock_release(&pm_arena_lock);
    bool clean = claim.dirty == 0 && !claim.arenas->foreign;
    struct pm_span span = {
        .units = units, .peak_units = units, .arenas = arenas, .was_clean = clean};
    char *block = span_init(claim.arenas, 0, span, zero);
    size_t rest = (size_t)arenas * PM_ARENA_UNITS - units;
    pm_asan_poison(block + (units << PM_UNIT_SHIFT), rest << PM_UNIT_SHIFT);
    pm_arena_settle();
    return block;
}

size_t pm_span_good_bytes(size_t bytes)
{
    return bytes > PM_WINDOW_MAX_BYTES ? 0 : pm_align_up(bytes ? bytes : 1, PM_UNIT_BYTES);
}

void *pm_span_alloc(size_t bytes, size_t align, bool *zero)
{
    if (bytes > PM_WINDOW_MAX_BYTES || align > PM_WINDOW_MAX_BYTES)
        return NULL;
    size_t units = units_of(bytes ? bytes : 1);
    size_t align_units = align > PM_UNIT_BYTES ? align >> PM_UNIT_SHIFT : 1;
    if (units + align_units - 1 < PM_ARENA_UNITS)
        return alloc_in_arena((unsigned)units, (unsigned)align_units, zero);
    size_t align_arenas = align_units > PM_ARENA_UNITS ? align_units / PM_ARENA_UNITS : 1;
    return alloc_arenas(units, (unsigned)align_arenas, zero);
}

/* Under the arena lock: some units of one arena come back. */
static void give_units(struct pm_arena *a, unsigned first, unsigned units, unsigned dirty,
                       uint64_t now_ns)
{
    pm_arena_unfile(a);
    pm_arena_add_units(a, pm_bits_run(first, units), pm_bits_run(first, dirty), now_ns);
    pm_arena_file(a);
}

static unsigned at_most(size_t n, size_t most)
{
    return (unsigned)(n < most ? n : most);
}

/* The units [from, end) of the span come back, dirty as far as `dirty_end`; `left` is what it may
 * use from now on. */
static void give_tail(struct pm_window *w, size_t head, struct pm_span *span, size_t from,
                      size_t end, size_t dirty_end, size_t left)
{
    uint64_t now = pm_os_now_ns();
    struct pm_piece_memory memory;
    memory.bytes = 0;
    pm_lock_acquire(&pm_arena_lock);
    for (size_t at = from; at < end;) {
        unsigned first = (head + at) % PM_ARENA_UNITS;
        unsigned units = at_most(end - at, PM_ARENA_UNITS - first);
        unsigned dirty = dirty_end > at ? at_most(dirty_end - at, units) : 0;
        give_units(pm_arena_of(w, head + at), first, units, dirty, now);
        at += units;
    }
    pm_arena_totals.span_units -= span->units - left;
    pm_arena_totals.span_held_units -= end - from;
    span->units = left; /* under the lock, as pm_span says */
    bool excess = pm_purge_wanted(now);
    if (pm_unlikely(pm_window_is_piece(w)))
        memory = pm_piece_take_empty(w, false);
    pm_lock_release(&pm_arena_lock);
    pm_piece_give_back(&memory);
    if (pm_unlikely(excess))
        pm_purge_excess(end - from, now);
    pm_arena_tick(now);
}

static size_t dirty_end(const struct pm_span *span)
{
    return span->was_clean ? span->peak_units : SIZE_MAX;
}

void *pm_span_covering(struct pm_window *w, size_t unit)
{
    for (size_t at = unit; at-- > (size_t)w->first_arena * PM_ARENA_UNITS;) {
        uint64_t route = pm_load_relaxed(pm_window_route(w, at));
        if (route == PM_ROUTE_VOID)
            continue;
        bool covered = route == PM_ROUTE_SPAN && pm_span_at(w, at)->units > unit - at;
        return covered ? pm_window_unit(w, at) : NULL;
    }
    return NULL;
}

void pm_span_fatal_void(struct pm_window *w, const void *ptr, const char *function)
{
    size_t unit = pm_window_index(w, ptr);
    void *start = pm_span_covering(w, unit);
    if (start == NULL)
        pm_fatal_not_allocated(function, ptr);
    pm_fatal_interior(function, ptr, start,
                      pm_span_at(w, pm_window_index(w, start))->units << PM_UNIT_SHIFT);
}

size_t pm_span_unit(struct pm_window *w, const void *ptr, const char *function)
{
    size_t unit = pm_window_index(w, ptr);
    char *start = pm_window_unit(w, unit);
    if (pm_unlikely(ptr != start))
        pm_fatal_interior(function, ptr, start, pm_span_at(w, unit)->units << PM_UNIT_SHIFT);
    return unit;
}

size_t pm_span_retire(struct pm_window *w, void *ptr, const char *function)
{
    size_t unit = pm_span_unit(w, ptr, function);
    /* Acquire-release: of two threads that free the block, one sees the other. */
    if (pm_exchange_acq_rel(pm_window_route(w, unit), PM_ROUTE_VOID) != PM_ROUTE_SPAN)
        pm_fatal_not_allocated(function, ptr);
    const struct pm_span *span = pm_span_at(w, unit);
    pm_asan_poison(ptr, span->units << PM_UNIT_SHIFT);
    bool can_wait =
        (span->arenas != 0) == (span->units >= PM_ARENA_UNITS) && !pm_window_is_piece(w);
    return can_wait ? span->units : 0;
}

/* Whole arenas only: others may have units that came back just now. */
static void hasten_purge(struct pm_window *w, size_t unit, const struct pm_span *span)
{
    pm_lock_acquire(&pm_arena_lock);
    for (uint32_t i = 0; i < span->arenas; i++)
        pm_purge_hasten(&w->arenas[unit / PM_ARENA_UNITS + i]);
    pm_lock_release(&pm_arena_lock);
}

void pm_span_give(struct pm_window *w, void *ptr, bool unused)
{
    size_t unit = pm_window_index(w, ptr);
    struct pm_span span = *pm_span_at(w, unit);
    give_tail(w, unit, &span, 0, pm_span_held_units(&span), dirty_end(&span), 0);
    if (unused)
        hasten_purge(w, unit, &span);
}

void pm_span_free(struct pm_window *w, void *ptr, const char *function)
{
    pm_span_retire(w, ptr, function);
    pm_span_give(w, ptr, false);
}

void pm_span_revive(struct pm_window *w, void *ptr)
{
    size_t unit = pm_window_index(w, ptr);
    pm_span_at(w, unit)->was_clean = 0;
    pm_store_release(pm_window_route(w, unit), PM_ROUTE_SPAN); /* as in span_init */
}

size_t pm_span_usable(struct pm_window *w, const void *ptr, const char *function)
{
    return pm_span_at(w, pm_span_unit(w, ptr, function))->units << PM_UNIT_SHIFT;
}

/* Under the arena lock: claims what follows the span; false: it is not all free. */
static bool claim_units(struct pm_arena *a, unsigned first, size_t more, uint64_t now_ns)
{
    if (more > PM_ARENA_UNITS - first)
        return false;
    uint64_t mask = pm_bits_run(first, (unsigned)more);
    if ((a->free & mask) != mask)
        return false;
    pm_arena_claim(a, first, (unsigned)more, now_ns);
    pm_arena_totals.span_held_units += more;
    return true;
}

static bool claim_arenas(struct pm_window *w, size_t next, size_t more, uint64_t now_ns,
                         struct claim *claim)
{
    if (next > w->next_arena || w->next_arena - next < more)
        return false;
    for (size_t i = 0; i < more; i++) {
        if (~w->arenas[next + i].free != 0 || w->arenas[next + i].decommitted)
            return false;
    }
    *claim = claim_empties(&w->arenas[next], more, now_ns);
    return true;
}

static bool grow_span(struct pm_window *w, size_t unit, struct pm_span *span, size_t units)
{
    uint64_t now = pm_os_now_ns();
    size_t held = pm_span_held_units(span), end = unit + held;
    pm_lock_acquire(&pm_arena_lock);
    size_t more = span->arenas ? arenas_of(units) - span->arenas : 0;
    struct claim claim = {0};
    bool claimed = units <= held;
    if (!claimed && span->arenas == 0)
        claimed = claim_units(pm_arena_of(w, unit), (unsigned)(end - 1) % PM_ARENA_UNITS + 1,
                              units - held, now);
    else if (!claimed)
        claimed = claim_arenas(w, end / PM_ARENA_UNITS, more, now, &claim);
    if (claimed) {
        pm_arena_totals.span_units += units - span->units;
        span->units = units;
        pm_peak_look(now);
    }
    pm_lock_release(&pm_arena_lock);
    if (!claimed)
        return false;
    if (claim.no_huge != 0)
        pm_os_advise_huge(pm_arena_base(claim.arenas), more << PM_ARENA_SHIFT, true);
    span->was_clean &= units <= held; /* of a new part nothing is known */
    span->arenas = span->arenas ? arenas_of(units) : 0;
    span->peak_units = units > span->peak_units ? units : span->peak_units;
    pm_arena_settle();
    return true;
}

/* False: the little that would be left of whole arenas is better moved, so that these stay whole.
 */
static bool shrink_span(struct pm_window *w, size_t unit, struct pm_span *span, size_t units)
{
    if (span->arenas != 0 && units < PM_ARENA_UNITS)
        return false;
    size_t keep = span->arenas ? (size_t)arenas_of(units) * PM_ARENA_UNITS : units;
    pm_asan_poison(pm_window_unit(w, unit + units), (span->units - units) << PM_UNIT_SHIFT);
    give_tail(w, unit, span, keep, pm_span_held_units(span), dirty_end(span), units);
    span->arenas = span->arenas ? arenas_of(units) : 0;
    return true;
}

bool pm_span_resize(struct pm_window *w, void *ptr, size_t bytes, const char *function)
{
    size_t unit = pm_span_unit(w, ptr, function);
    struct pm_span *span = pm_span_at(w, unit);
    if (bytes > PM_WINDOW_MAX_BYTES)
        return false;
    size_t units = units_of(bytes);
    if (units > span->units)
        return grow_span(w, unit, span, units);
    return units == span->units || shrink_span(w, unit, span, units);
}

struct pm_link *pm_span_link(struct pm_window *w, size_t unit)
{
    return &pm_span_at(w, unit)->link;
}

struct pm_span_note *pm_span_note(struct pm_window *w, size_t unit)
{
    return &pm_span_at(w, unit)->note;
}

struct line {
    const char *start;
    void *unit;
};

/* Descriptor lines lie below the tables of their window, where no other window reaches. */
static void find_unit_of_line(struct pm_window *w, void *arg)
{
    struct line *line = arg;
    size_t unit = (pm_window_tables(w) - (uintptr_t)line->start) / PM_LINE_BYTES;
    if (pm_below_relaxed(unit, &w->units))
        line->unit = pm_window_unit(w, unit);
}

void *pm_span_of_link(const struct pm_link *link)
{
    struct line line = {(const char *)link - offsetof(struct pm_span, link), NULL};
    pm_window_each(find_unit_of_line, &line);
    return line.unit;
}
