/* SPDX-License-Identifier: MIT */
/* Making, freeing and resizing spans: see span.h. Any thread. */
#include "arena/span.h"
#include "base/asan.h"
#include "base/report.h"
#include "os/os.h"

static size_t units_of(size_t bytes)
{
    return bytes / PM_UNIT_BYTES + (bytes % PM_UNIT_BYTES != 0);
}

static uint32_t arenas_of(size_t units)
{
    return (uint32_t)(units / PM_ARENA_UNITS + (units % PM_ARENA_UNITS != 0));
}

static void *span_init(struct pm_arena *a, unsigned first, struct pm_span span, bool *zero)
{
    size_t unit = (size_t)a->index * PM_ARENA_UNITS + first;
    *zero = span.was_clean;
    *pm_span_at(a->window, unit) = span;
    /* Relaxed: the route is read by whoever got the pointer, and passing it on orders the two. */
    pm_store_relaxed(pm_window_route(a->window, unit), PM_ROUTE_SPAN);
    return pm_window_unit(a->window, unit);
}

/* Starts in `free` of an aligned run; align in units, a power of two up to an arena. */
static uint64_t aligned_starts(uint64_t free_units, unsigned units, unsigned align)
{
    uint64_t at = 1;
    for (unsigned step = align; step < PM_ARENA_UNITS; step *= 2)
        at |= at << step;
    return pm_bits_run_starts(free_units, units) & at;
}

static void *alloc_in_arena(unsigned units, unsigned align, bool *zero)
{
    uint64_t now = pm_os_now_ns();
    for (;;) {
        unsigned first = 0;
        uint64_t dirty = 0;
        pm_lock_acquire(&pm_arena_lock);
        struct pm_arena *a = pm_arena_find(units + align - 1);
        if (a != NULL) {
            first = (unsigned)__builtin_ctzll(aligned_starts(a->free, units, align));
            dirty = pm_arena_claim(a, first, units, now);
            pm_arena_totals.span_units += units;
        }
        pm_lock_release(&pm_arena_lock);
        if (a != NULL)
            return span_init(a, first, (struct pm_span){units, units, 0, dirty == 0}, zero);
        if (!pm_arena_grow(1, 1, NULL, now))
            return NULL;
    }
}

/* Under the arena lock: takes wholly free arenas; how many of them were dirty. */
static size_t claim_empties(struct pm_arena *a, size_t arenas, uint64_t now_ns)
{
    size_t dirty = 0;
    for (size_t i = 0; i < arenas; i++) {
        dirty += a[i].dirty != 0;
        pm_arena_unfile(&a[i]);
        a[i].free = a[i].dirty = 0;
        pm_arena_file(&a[i]);
    }
    pm_arena_totals.span_arenas += arenas;
    pm_demand_note(arenas - dirty, now_ns);
    return dirty;
}

static void *alloc_arenas(size_t units, unsigned align, bool *zero)
{
    uint64_t now = pm_os_now_ns();
    uint32_t arenas = arenas_of(units);
    size_t dirty = 0;
    pm_lock_acquire(&pm_arena_lock);
    struct pm_arena *a = pm_arena_find_empties(arenas, align);
    if (a != NULL) {
        dirty = claim_empties(a, arenas, now);
        pm_arena_totals.span_units += units;
    }
    pm_lock_release(&pm_arena_lock);
    if (a == NULL) {
        if (!pm_arena_grow(arenas, align, &a, now))
            return NULL;
        pm_lock_acquire(&pm_arena_lock);
        pm_arena_totals.span_units += units;
        pm_lock_release(&pm_arena_lock);
    }
    return span_init(a, 0, (struct pm_span){units, units, arenas, dirty == 0}, zero);
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

/* Under the arena lock: some units of one arena come back. True: it is empty now. */
static bool give_units(struct pm_arena *a, unsigned first, unsigned units, unsigned dirty)
{
    pm_arena_unfile(a);
    a->free |= pm_bits_run(first, units);
    a->dirty |= pm_bits_run(first, dirty);
    pm_arena_file(a);
    return a->place == PM_DIRTY_EMPTY;
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
    bool emptied = false;
    uint64_t now = pm_os_now_ns();
    pm_lock_acquire(&pm_arena_lock);
    for (size_t at = from; at < end;) {
        unsigned first = (head + at) % PM_ARENA_UNITS;
        unsigned units = at_most(end - at, PM_ARENA_UNITS - first);
        unsigned dirty = dirty_end > at ? at_most(dirty_end - at, units) : 0;
        emptied |= give_units(pm_arena_of(w, head + at), first, units, dirty);
        pm_arena_totals.span_arenas -= span->arenas != 0 && units == PM_ARENA_UNITS;
        at += units;
    }
    pm_arena_totals.span_units -= span->units - left;
    pm_lock_release(&pm_arena_lock);
    span->units = left;
    if (emptied)
        pm_purge_excess(now);
}

/* The units that the span holds: whole arenas, or what it may use. */
static size_t held_units(const struct pm_span *span)
{
    return span->arenas ? (size_t)span->arenas * PM_ARENA_UNITS : span->units;
}

static size_t dirty_end(const struct pm_span *span)
{
    return span->was_clean ? span->peak_units : SIZE_MAX;
}

/* The start of the live span that covers a unit whose route is void, or NULL: for error reports. */
static void *covering_span(struct pm_window *w, size_t unit)
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
    void *start = covering_span(w, unit);
    if (start == NULL)
        pm_fatal_not_allocated(function, ptr);
    pm_fatal_interior(function, ptr, start,
                      pm_span_at(w, pm_window_index(w, start))->units << PM_UNIT_SHIFT);
}

/* The unit at whose start ptr lies. */
static size_t span_unit(struct pm_window *w, const void *ptr, const char *function)
{
    size_t unit = pm_window_index(w, ptr);
    char *start = pm_window_unit(w, unit);
    if (pm_unlikely(ptr != start))
        pm_fatal_interior(function, ptr, start, pm_span_at(w, unit)->units << PM_UNIT_SHIFT);
    return unit;
}

void pm_span_free(struct pm_window *w, void *ptr, const char *function)
{
    size_t unit = span_unit(w, ptr, function);
    /* Acquire-release: of two threads that free the block, one sees the other. */
    if (pm_exchange_acq_rel(pm_window_route(w, unit), PM_ROUTE_VOID) != PM_ROUTE_SPAN)
        pm_fatal_not_allocated(function, ptr);
    struct pm_span span = *pm_span_at(w, unit);
    pm_asan_poison(ptr, span.units << PM_UNIT_SHIFT);
    give_tail(w, unit, &span, 0, held_units(&span), dirty_end(&span), 0);
}

size_t pm_span_usable(struct pm_window *w, const void *ptr, const char *function)
{
    return pm_span_at(w, span_unit(w, ptr, function))->units << PM_UNIT_SHIFT;
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
    return true;
}

static bool claim_arenas(struct pm_window *w, size_t next, size_t more, uint64_t now_ns)
{
    if (next > w->next_arena || w->next_arena - next < more)
        return false;
    for (size_t i = 0; i < more; i++) {
        if (~w->arenas[next + i].free != 0)
            return false;
    }
    claim_empties(&w->arenas[next], more, now_ns);
    return true;
}

static bool grow_span(struct pm_window *w, size_t unit, struct pm_span *span, size_t units)
{
    uint64_t now = pm_os_now_ns();
    size_t held = held_units(span), end = unit + held;
    pm_lock_acquire(&pm_arena_lock);
    bool claimed = units <= held;
    if (!claimed && span->arenas == 0)
        claimed = claim_units(pm_arena_of(w, unit), (unsigned)(end - 1) % PM_ARENA_UNITS + 1,
                              units - held, now);
    else if (!claimed)
        claimed = claim_arenas(w, end / PM_ARENA_UNITS, arenas_of(units) - span->arenas, now);
    if (claimed)
        pm_arena_totals.span_units += units - span->units;
    pm_lock_release(&pm_arena_lock);
    if (!claimed)
        return false;
    span->was_clean &= units <= held; /* of a new part nothing is known */
    span->arenas = span->arenas ? arenas_of(units) : 0;
    span->units = units;
    span->peak_units = units > span->peak_units ? units : span->peak_units;
    return true;
}

/* False: the little that would be left of whole arenas is better moved, so that these stay whole.
 */
static bool shrink_span(struct pm_window *w, size_t unit, struct pm_span *span, size_t units)
{
    if (span->arenas != 0 && units < PM_ARENA_UNITS)
        return false;
    size_t keep = span->arenas ? (size_t)arenas_of(units) * PM_ARENA_UNITS : units;
    give_tail(w, unit, span, keep, held_units(span), dirty_end(span), units);
    span->arenas = span->arenas ? arenas_of(units) : 0;
    return true;
}

bool pm_span_resize(struct pm_window *w, void *ptr, size_t bytes, const char *function)
{
    size_t unit = span_unit(w, ptr, function);
    struct pm_span *span = pm_span_at(w, unit);
    if (bytes > PM_WINDOW_MAX_BYTES)
        return false;
    size_t units = units_of(bytes);
    if (units > span->units)
        return grow_span(w, unit, span, units);
    return units == span->units || shrink_span(w, unit, span, units);
}
