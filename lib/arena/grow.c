/* SPDX-License-Identifier: MIT */
/*
 * Adding arenas, and with them windows. The grow lock is held over the system calls; who only takes
 * or gives units waits for the arena lock alone.
 */
#include "arena/internal.h"
#include "base/asan.h"
#include "base/options.h"
#include "os/os.h"

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
    return start - w->next_arena <= FILLER_ARENAS_MAX && start < w->arenas_end &&
           w->arenas_end - start >= arenas;
}

struct request {
    unsigned arenas, align;
    struct pm_window *found, *newest;
};

static void try_window(struct pm_window *w, void *arg)
{
    struct request *request = arg;
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

/* Outside the arena lock: the first touch of their table lines. Those from `span` on are asked for
 * as they are. */
static void init_arenas(struct pm_window *w, uint32_t span, uint32_t end)
{
    for (uint32_t i = w->next_arena; i < end; i++) {
        w->arenas[i] = (struct pm_arena){.window = w->number, .index = i};
        if (i < span)
            pm_asan_poison(pm_arena_base(&w->arenas[i]), PM_ARENA_BYTES);
    }
}

static void publish(struct pm_window *w, uint32_t start, uint32_t end, bool span, uint64_t now_ns)
{
    pm_lock_acquire(&pm_arena_lock);
    for (uint32_t i = w->next_arena; i < end; i++) {
        struct pm_arena *a = &w->arenas[i];
        if (span && i >= start) {
            pm_arena_totals.span_held_units += PM_ARENA_UNITS;
        } else {
            pm_arena_add_units(a, ~(uint64_t)0, 0, now_ns);
            pm_arena_file(a);
        }
    }
    pm_arena_totals.arenas += end - w->next_arena;
    pm_arena_totals.promised = 0;
    if (span) /* else when its units are taken */
        pm_demand_note((size_t)(end - start) * PM_ARENA_UNITS, now_ns);
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

bool pm_arena_commit(void *start, size_t bytes)
{
    if (!pm_os_commit(start, bytes))
        return false;
    if (pm_options.huge_pages[0] != 'd')
        pm_os_advise_huge(start, bytes, pm_options.huge_pages[0] == 'a');
    return true;
}

bool pm_arena_recommit(void *start, size_t bytes)
{
    pm_os_describe_used(start, bytes);
    return pm_arena_commit(start, bytes);
}

/* A decommitted arena comes back. */
static bool recommit(bool first_window)
{
    pm_lock_acquire(&pm_arena_lock);
    bool allowed = pm_limit_allows(1);
    struct pm_arena *a = allowed ? pm_arena_take_decommitted(first_window) : NULL;
    pm_lock_release(&pm_arena_lock);
    if (a == NULL)
        return false;
    bool done = pm_arena_recommit(pm_arena_base(a), PM_ARENA_BYTES);
    pm_lock_acquire(&pm_arena_lock);
    pm_arena_unfile(a);
    a->decommitted = !done;
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
           pm_arena_commit(memory, (size_t)(end - w->next_arena) << PM_ARENA_SHIFT);
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
    init_arenas(w, span ? start : end, end);
    publish(w, start, end, span != NULL, now_ns);
    if (span != NULL)
        *span = &w->arenas[start];
    return true;
}

bool pm_arena_grow(unsigned arenas, unsigned align, struct pm_arena **span, uint64_t now_ns)
{
    pm_lock_acquire(&pm_grow_lock);
    pm_group_look(now_ns);
    /* As long as the first window has room, what lies elsewhere is used last. */
    bool room = pm_window.next_arena < pm_window.arenas_end;
    bool done = (span == NULL && (already_there() || recommit(room))) ||
                grow(arenas, align, span, now_ns) || (span == NULL && recommit(false));
    pm_lock_release(&pm_grow_lock);
    if (done)
        pm_group_grown(arenas, now_ns);
    return done;
}

/* Relaxed: set once, at process start. */
static bool (*_Atomic reclaim)(void);

void pm_arena_set_reclaim(bool (*function)(void))
{
    pm_store_relaxed(&reclaim, function);
}

bool pm_arena_reclaim(void)
{
    bool (*function)(void) = pm_load_relaxed(&reclaim);
    return function != NULL && function();
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
