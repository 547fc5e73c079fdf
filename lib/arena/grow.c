/* SPDX-License-Identifier: MIT */
/*
 * Adding arenas, and with them windows. The grow lock is held over the system calls; who only takes
 * or gives units waits for the arena lock alone.
 */
#include "arena/piece.h"
#include "base/asan.h"
#include "base/options.h"
#include "os/pages.h"

struct pm_lock pm_grow_lock = PM_LOCK_INIT(PM_RANK_GROW);

/* The next arenas of a window that start at a multiple of `align` arenas (by address). */
static uint32_t aligned_next(const struct pm_window *w, unsigned align)
{
    uintptr_t first = (pm_window_base(w) >> PM_ARENA_SHIFT) + w->next_arena;
    return w->next_arena + (uint32_t)(-first & (align - 1));
}

/* More arenas than these are not added only to reach an aligned one. */
enum { FILLER_ARENAS_MAX = 32 };

static bool has_room(const struct pm_window *w, unsigned arenas, unsigned align)
{
    uint32_t start = aligned_next(w, align);
    return !w->closed && start - w->next_arena <= FILLER_ARENAS_MAX && start < w->arenas_end &&
           w->arenas_end - start >= arenas;
}

struct request {
    unsigned arenas, align;
    struct pm_window *found, *newest;
};

static void try_window(struct pm_window *w, void *arg)
{
    struct request *request = arg;
    if (pm_window_is_piece(w))
        return;
    if (request->found == NULL && has_room(w, request->arenas, request->align))
        request->found = w;
    request->newest = w;
}

/* The oldest that has room: what lies in the first window is freed on the fast path. */
static struct pm_window *window_with_room(unsigned arenas, unsigned align)
{
    struct request request = {.arenas = arenas, .align = align};
    pm_window_each(try_window, &request);
    if (request.found != NULL)
        return request.found;
    struct pm_window *newest = request.newest;
    size_t bytes = (size_t)newest->arenas_end << PM_ARENA_SHIFT;
    bytes = newest == &pm_window ? PM_WINDOW_ADD_BYTES : bytes * 2;
    return pm_window_add(bytes, arenas, (size_t)align << PM_ARENA_SHIFT);
}

/* New arenas of a window, from its next one up to `end`; [span, span_end) are asked for as they
 * are. */
struct fresh {
    struct pm_window *window;
    uint32_t span, span_end, end;
};

static bool in_span(const struct fresh *fresh, uint32_t arena)
{
    return arena >= fresh->span && arena < fresh->span_end;
}

/* Outside the arena lock: the first touch of their table lines. */
static void init_arenas(const struct fresh *fresh)
{
    struct pm_window *w = fresh->window;
    for (uint32_t i = w->next_arena; i < fresh->end; i++) {
        w->arenas[i] =
            (struct pm_arena){.window = w->number, .index = i, .foreign = pm_window_is_piece(w)};
        if (!in_span(fresh, i))
            pm_asan_poison(pm_arena_base(&w->arenas[i]), PM_ARENA_BYTES);
    }
}

static void publish(const struct fresh *fresh, uint64_t now_ns)
{
    struct pm_window *w = fresh->window;
    uint32_t end = fresh->end, span_arenas = fresh->span_end - fresh->span;
    pm_lock_acquire(&pm_arena_lock);
    if (pm_window_is_piece(w))
        pm_piece_publish(w);
    for (uint32_t i = w->next_arena; i < end; i++) {
        struct pm_arena *a = &w->arenas[i];
        if (in_span(fresh, i)) {
            pm_arena_totals.span_held_units += PM_ARENA_UNITS;
        } else {
            pm_arena_add_units(a, ~(uint64_t)0, 0, now_ns);
            pm_arena_file(a);
        }
    }
    pm_arena_totals.arenas += end - w->next_arena;
    pm_arena_totals.promised = 0;
    if (span_arenas != 0 && !pm_window_is_piece(w)) /* else when its units are taken */
        pm_demand_note((size_t)span_arenas * PM_ARENA_UNITS, now_ns);
    w->next_arena = end;
    pm_lock_release(&pm_arena_lock);
}

/* Another thread may have added, or given back, what we came for. */
static bool already_there(void)
{
    pm_lock_acquire(&pm_arena_lock);
    bool there = pm_arena_find(PM_ARENA_UNITS - 1) != NULL;
    pm_lock_release(&pm_arena_lock);
    return there;
}

bool pm_arena_commit(const struct pm_window *w, void *start, size_t bytes)
{
    if (!pm_pages_commit(w->pages, start, bytes))
        return false;
    if (pm_options.huge_pages[0] != 'd')
        pm_os_advise_huge(start, bytes, pm_options.huge_pages[0] == 'a');
    return true;
}

bool pm_arena_recommit(const struct pm_arena *first, size_t arenas)
{
    char *start = pm_arena_base(first);
    pm_os_describe_used(start, arenas << PM_ARENA_SHIFT);
    return pm_arena_commit(pm_arena_window(first), start, arenas << PM_ARENA_SHIFT);
}

/* A decommitted arena comes back. */
static bool recommit(bool first_window)
{
    pm_lock_acquire(&pm_arena_lock);
    bool allowed = pm_limit_allows(1);
    struct pm_arena *a = allowed ? pm_arena_take_decommitted(first_window) : NULL;
    pm_arena_totals.purging_units += a != NULL ? PM_ARENA_UNITS : 0;
    pm_lock_release(&pm_arena_lock);
    if (a == NULL)
        return false;
    bool done = pm_arena_recommit(a, 1);
    pm_lock_acquire(&pm_arena_lock);
    pm_arena_unfile(a);
    a->decommitted = !done;
    pm_arena_arrived(PM_ARENA_UNITS);
    pm_arena_add_units(a, ~(uint64_t)0, 0, 0);
    pm_arena_file(a);
    pm_lock_release(&pm_arena_lock);
    return done;
}

/* The arenas up to `end`. */
static bool commit_next(struct pm_window *w, uint32_t end)
{
    char *memory = pm_window_unit(w, (size_t)w->next_arena * PM_ARENA_UNITS);
    return pm_window_commit_tables(w, end) &&
           pm_arena_commit(w, memory, (size_t)(end - w->next_arena) << PM_ARENA_SHIFT);
}

static void add_fresh(const struct fresh *fresh, struct pm_arena **span, uint64_t now_ns)
{
    init_arenas(fresh);
    publish(fresh, now_ns);
    if (span != NULL)
        *span = &fresh->window->arenas[fresh->span];
}

static bool grow(unsigned arenas, unsigned align, struct pm_arena **span, uint64_t now_ns)
{
    if (!pm_limit_make_room(arenas, now_ns))
        return false;
    struct pm_window *w = window_with_room(arenas, align); /* perhaps a new one */
    if (w == NULL)
        return false;
    uint32_t start = aligned_next(w, align), end = start + arenas; /* with arenas to fill up */
    if (!pm_limit_promise(end - w->next_arena, now_ns))
        return false;
    if (!commit_next(w, end)) {
        pm_limit_promise(0, now_ns);
        return false;
    }
    add_fresh(&(struct fresh){w, start, span ? end : start, end}, span, now_ns);
    return true;
}

static struct pm_window *make_piece(size_t arenas, uint64_t now_ns)
{
    if (!pm_limit_promise(arenas, now_ns))
        return NULL;
    struct pm_window *w = pm_piece_make(arenas);
    if (w == NULL)
        pm_limit_promise(0, now_ns);
    return w;
}

/* From the program, which may be asked for more than is needed now; what is comes last. */
static bool grow_piece(unsigned arenas, unsigned align, struct pm_arena **span, uint64_t now_ns)
{
    size_t least = (size_t)arenas + align - 1, wanted = pm_piece_arenas(least);
    if (!pm_limit_make_room(least, now_ns))
        return false;
    struct pm_window *w = make_piece(wanted, now_ns);
    if (w == NULL && wanted > least)
        w = make_piece(least, now_ns);
    if (w == NULL)
        return false;
    uint32_t end = w->arenas_end, start = end - arenas;
    uintptr_t number = (pm_window_base(w) >> PM_ARENA_SHIFT) + start;
    start -= (uint32_t)(number & (align - 1));
    add_fresh(&(struct fresh){w, start, span ? start + arenas : start, end}, span, now_ns);
    return true;
}

bool pm_arena_grow(unsigned arenas, unsigned align, struct pm_arena **span, uint64_t now_ns)
{
    pm_lock_acquire(&pm_grow_lock);
    pm_group_look(now_ns);
    /* As long as the first window has room, what lies elsewhere is used last. */
    bool room = pm_window_has_room(&pm_window);
    bool hooked = pm_piece_wanted(), run = span == NULL;
    bool done = (run && (already_there() || (!hooked && recommit(room)))) ||
                (hooked ? grow_piece(arenas, align, span, now_ns)
                        : grow(arenas, align, span, now_ns) || (run && recommit(false)));
    pm_lock_release(&pm_grow_lock);
    if (done)
        pm_group_grown(arenas, now_ns);
    return done;
}

/* Under the arena lock: how many arenas at the end of the window are wholly free, and committed. */
static unsigned free_at_end(const struct pm_window *w, bool clean)
{
    uint32_t first = w->next_arena;
    while (first > w->first_arena && ((w->arenas[first - 1].place == PM_DIRTY_EMPTY && !clean) ||
                                      w->arenas[first - 1].place == PM_CLEAN_EMPTY))
        first--;
    return w->next_arena - first;
}

bool pm_arena_lengthen(unsigned arenas, bool clean, uint64_t now_ns)
{
    pm_lock_acquire(&pm_grow_lock);
    pm_group_look(now_ns);
    if (pm_limit_is_set()) { /* nothing is to be committed in vain */
        pm_lock_release(&pm_grow_lock);
        return false;
    }
    pm_lock_acquire(&pm_arena_lock);
    unsigned there = pm_piece_wanted() ? 0 : free_at_end(&pm_window, clean);
    pm_lock_release(&pm_arena_lock);
    bool done = there >= arenas; /* by another thread, meanwhile */
    unsigned more = done ? 0 : arenas - there;
    if (!done)
        done = more <= there && has_room(&pm_window, more, 1) && grow(more, 1, NULL, now_ns);
    pm_lock_release(&pm_grow_lock);
    if (done && more > 0)
        pm_group_grown(more, now_ns);
    return done;
}

/* Relaxed: set once, at process start. */
static bool (*_Atomic reclaim)(bool all);

void pm_arena_set_reclaim(bool (*function)(bool all))
{
    pm_store_relaxed(&reclaim, function);
}

bool pm_arena_reclaim(bool all)
{
    bool (*function)(bool) = pm_load_relaxed(&reclaim);
    return function != NULL && function(all);
}

bool pm_arena_init(void)
{
    pm_lock_register(&pm_grow_lock);
    pm_lock_register(&pm_decommit_lock);
    pm_lock_register(&pm_arena_lock);
    pm_lock_acquire(&pm_grow_lock);
    bool done = pm_window_init();
    pm_lock_release(&pm_grow_lock);
    return done;
}
