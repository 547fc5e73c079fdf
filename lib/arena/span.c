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
    if (a != NULL)
        dirty = claim_empties(a, arenas, now);
    pm_lock_release(&pm_arena_lock);
    if (a == NULL && !pm_arena_grow(arenas, align, &a, now))
        return NULL;
    pm_lock_acquire(&pm_arena_lock);
    pm_arena_totals.span_units += units;
    pm_lock_release(&pm_arena_lock);
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

/* Gives units of the span from `from` on back, all of them taken as dirty up to `dirty_end`. */
static void give_tail(struct pm_window *w, size_t head, struct pm_span *span, size_t from,
                      size_t dirty_end)
{
    size_t end = span->arenas ? (size_t)span->arenas * PM_ARENA_UNITS : span->units;
    if (span->arenas)
        from = (size_t)arenas_of(from) * PM_ARENA_UNITS;
    uint64_t now = pm_os_now_ns();
    pm_lock_acquire(&pm_arena_lock);
    for (size_t at = from; at < end;) {
        struct pm_arena *a = pm_arena_of(w, head + at);
        unsigned first = (head + at) % PM_ARENA_UNITS;
        unsigned n =
            end - at < PM_ARENA_UNITS - first ? (unsigned)(end - at) : PM_ARENA_UNITS - first;
        unsigned dirty = dirty_end <= at ? 0 : dirty_end - at < n ? (unsigned)(dirty_end - at) : n;
        pm_arena_unfile(a);
        a->free |= pm_bits_run(first, n);
        a->dirty |= pm_bits_run(first, dirty);
        pm_arena_file(a);
        pm_arena_totals.span_arenas -= span->arenas != 0;
        at += n;
    }
    pm_lock_release(&pm_arena_lock);
    pm_purge_excess(now);
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
    pm_lock_acquire(&pm_arena_lock);
    pm_arena_totals.span_units -= span.units;
    pm_lock_release(&pm_arena_lock);
    give_tail(w, unit, &span, 0, dirty_end(&span));
}

size_t pm_span_usable(struct pm_window *w, const void *ptr, const char *function)
{
    return pm_span_at(w, span_unit(w, ptr, function))->units << PM_UNIT_SHIFT;
}

/* Claims what follows the span; true: it is all free. */
static bool claim_tail(struct pm_window *w, size_t unit, const struct pm_span *span, size_t units)
{
    uint64_t now = pm_os_now_ns();
    bool claimed = true;
    pm_lock_acquire(&pm_arena_lock);
    if (span->arenas == 0) {
        struct pm_arena *a = pm_arena_of(w, unit);
        unsigned first = (unsigned)(unit % PM_ARENA_UNITS + span->units);
        unsigned more = (unsigned)(units - span->units);
        claimed = first + more <= PM_ARENA_UNITS &&
                  (a->free & pm_bits_run(first, more)) == pm_bits_run(first, more);
        if (claimed)
            pm_arena_claim(a, first, more, now);
    } else {
        uint32_t more = arenas_of(units) - span->arenas;
        uint32_t next = (uint32_t)(unit / PM_ARENA_UNITS) + span->arenas;
        claimed = w->next_arena >= next && w->next_arena - next >= more;
        for (uint32_t i = 0; claimed && i < more; i++)
            claimed = ~w->arenas[next + i].free == 0;
        if (claimed)
            claim_empties(&w->arenas[next], more, now);
    }
    pm_lock_release(&pm_arena_lock);
    return claimed;
}

bool pm_span_resize(struct pm_window *w, void *ptr, size_t bytes, const char *function)
{
    size_t unit = span_unit(w, ptr, function);
    struct pm_span *span = pm_span_at(w, unit);
    if (bytes > PM_WINDOW_MAX_BYTES)
        return false;
    size_t units = units_of(bytes),
           room = span->arenas ? (size_t)span->arenas * PM_ARENA_UNITS : span->units;
    if (units > room) {
        if ((span->arenas == 0 && units >= PM_ARENA_UNITS) || !claim_tail(w, unit, span, units))
            return false;
        span->was_clean = 0; /* of the new part nothing is known */
    } else if (span->arenas == 0 ? units < span->units : arenas_of(units) < span->arenas) {
        give_tail(w, unit, span, units, dirty_end(span));
    }
    pm_lock_acquire(&pm_arena_lock);
    pm_arena_totals.span_units += units - span->units;
    pm_lock_release(&pm_arena_lock);
    span->units = units;
    span->arenas = span->arenas ? arenas_of(units) : 0;
    span->peak_units = units > span->peak_units ? units : span->peak_units;
    return true;
}
