/* SPDX-License-Identifier: MIT */
/* Reserving windows and committing their tables: see window.h for the layout. */
#include "arena/piece.h"
#include "base/options.h"
#include "base/report.h"
#include "os/pages.h"

/* The base before there is a window: no pointer lies within `units` of it, not even NULL. */
struct pm_window pm_window = {.base = (uintptr_t)1 << 63};

/* The added windows. Filled under the grow lock; a slot is written before the count is raised. Then
 * those of pieces. */
static struct pm_window added[PM_WINDOWS_MAX - 1 + PM_PIECES_MAX];
static _Atomic uint32_t added_count;

static struct pm_window *locate_added(const void *ptr, size_t *unit)
{
    /* Acquire pairs with the release in pm_window_add: the counted slots are complete. */
    for (uint32_t i = pm_load_acquire(&added_count); i-- > 0;) {
        *unit = pm_window_index(&added[i], ptr);
        if (*unit < pm_load_relaxed(&added[i].units))
            return &added[i];
    }
    return pm_piece_find(ptr, unit);
}

struct pm_window *pm_window_find_added(const void *ptr)
{
    size_t unit;
    return locate_added(ptr, &unit);
}

struct pm_window *pm_window_locate(const void *ptr, size_t *unit)
{
    *unit = pm_window_index(&pm_window, ptr);
    bool first = pm_below_relaxed(*unit, &pm_window.units);
    return first ? &pm_window : locate_added(ptr, unit);
}

struct pm_window *pm_window_numbered(unsigned number)
{
    return number == 0 ? &pm_window : &added[number - 1];
}

void pm_window_each(void (*visit)(struct pm_window *, void *), void *arg)
{
    if (pm_load_acquire(&pm_window.units) == 0) /* pairs with window_make */
        return;
    visit(&pm_window, arg);
    uint32_t count = pm_load_acquire(&added_count);
    for (uint32_t i = 0; i < count; i++)
        visit(&added[i], arg);
    count = pm_piece_count();
    for (uint32_t i = 0; i < count; i++)
        visit(pm_window_numbered(PM_WINDOWS_MAX + i), arg);
}

void pm_window_set_routes(const struct pm_window *w, size_t unit, unsigned units, uint64_t owner)
{
    unsigned step = owner == PM_ROUTE_VOID ? 0 : PM_ROUTE_STEP;
    for (unsigned i = 0; i < units; i++) /* relaxed: see docs/memory-order.md, routes */
        pm_store_relaxed(pm_window_route(w, unit + i), owner + i * step);
}

/* Sizes of the tables for a number of arenas, each a whole number of pages. */
struct layout {
    size_t lines, routes, remotes, arenas, empties;
};

static struct layout layout_of(size_t arenas)
{
    size_t page = pm_os_page_bytes(), units = arenas * PM_ARENA_UNITS;
    return (struct layout){
        .lines = pm_align_up(units * PM_LINE_BYTES, page),
        .routes = pm_align_up(units * sizeof(uint64_t), page),
        .remotes = pm_align_up(units * PM_LINE_BYTES, page),
        .arenas = pm_align_up(arenas * sizeof(struct pm_arena), page),
        .empties = pm_align_up((arenas + 63) / 64 * sizeof(uint64_t), page),
    };
}

static size_t header_arenas(const struct layout *l)
{
    size_t bytes = l->routes + l->remotes + l->arenas + l->empties;
    return (bytes + PM_ARENA_BYTES - 1) >> PM_ARENA_SHIFT;
}

static void place_tables(struct pm_window *w, char *tables, const struct layout *l)
{
    w->tables = (uintptr_t)tables;
    w->remote_lines = tables + l->routes;
    w->arenas = (struct pm_arena *)(void *)(w->remote_lines + l->remotes);
    w->empties = (uint64_t *)(void *)((char *)w->arenas + l->arenas);
}

bool pm_window_make_tables(struct pm_window *w, size_t arenas)
{
    const struct pm_page_hooks *pages = pm_pages_now();
    struct layout l = layout_of(arenas);
    size_t bytes = l.lines + l.routes + l.remotes + l.arenas + l.empties;
    char *start = pm_pages_reserve(pages, bytes, pm_os_page_bytes());
    if (start == NULL)
        return false;
    if (!pm_pages_commit(pages, start, bytes)) {
        pm_pages_release(pages, start, bytes);
        return false;
    }
    pm_os_describe(start, bytes, PM_OS_TABLES);
    place_tables(w, start + l.lines, &l);
    w->tables_end = (uint32_t)arenas;
    return true;
}

/* Start-up is tried again with each call of the program, and fails the same way. */
static bool first_time(void)
{
    static _Atomic bool said; /* relaxed: at worst it is said twice */
    bool first = !pm_load_relaxed(&said);
    pm_store_relaxed(&said, true);
    return first;
}

static bool pages_fit(void)
{
    bool fit = pm_os_page_bytes() <= PM_ARENA_BYTES;
    if (!fit && first_time())
        pm_warn("the system's pages of %zu bytes are larger than an arena (%zu bytes): no memory "
                "can be allocated; build with larger units",
                pm_os_page_bytes(), PM_ARENA_BYTES);
    return fit;
}

/* What is packed beside an address of a window has only so many bits for it. */
static bool addresses_fit(const char *start, size_t bytes)
{
    const uintptr_t end = (uintptr_t)1 << PM_ADDRESS_BITS;
    bool fit = bytes <= end && (uintptr_t)start <= end - bytes;
    if (!fit && first_time())
        pm_warn("the system gave memory at %p, but addresses above 2^%u cannot be used: less "
                "memory, or none, can be allocated",
                (const void *)start, (unsigned)PM_ADDRESS_BITS);
    return fit;
}

/* What was reserved, and where in it the window starts. */
struct reservation {
    char *all, *start;
    size_t all_bytes;
};

/* Only the system takes parts of what it gave. */
static void trim(struct reservation *r, size_t bytes)
{
    pm_os_release(r->all, (size_t)(r->start - r->all));
    pm_os_release(r->start + bytes, (size_t)(r->all + r->all_bytes - (r->start + bytes)));
    *r = (struct reservation){r->start, r->start, bytes};
}

/* Reserves the window's address space, so that the first usable arena, which lies `lead` bytes
 * behind the start, is aligned. */
static bool reserve(const struct pm_page_hooks *by, size_t bytes, size_t lead, size_t align,
                    struct reservation *r)
{
    size_t all_bytes = bytes + align - PM_ARENA_BYTES;
    char *all = pm_pages_reserve(by, all_bytes, PM_ARENA_BYTES);
    if (all == NULL)
        return false;
    if (!addresses_fit(all, all_bytes)) {
        pm_pages_release(by, all, all_bytes);
        return false;
    }
    size_t skip = -((uintptr_t)all + lead) & (align - 1);
    *r = (struct reservation){all, all + skip, all_bytes};
    if (by == NULL)
        trim(r, bytes);
    return true;
}

/* `align` of the first usable arena, at least PM_ARENA_BYTES. False: the system refuses the address
 * space. */
static bool window_make(struct pm_window *w, size_t usable_arenas, size_t align)
{
    size_t arenas = usable_arenas;
    struct layout l = layout_of(arenas);
    while (arenas < usable_arenas + header_arenas(&l)) { /* the header needs table entries too */
        arenas = usable_arenas + header_arenas(&l);
        l = layout_of(arenas);
    }
    size_t front = pm_align_up(l.lines, PM_ARENA_BYTES);
    size_t bytes = front + (arenas << PM_ARENA_SHIFT);
    size_t first = header_arenas(&l);
    struct reservation r;
    w->pages = pm_pages_now();
    if (!reserve(w->pages, bytes, front + (first << PM_ARENA_SHIFT), align, &r))
        return false;
    char *base = r.start + front;
    if (!pm_pages_make_readable(w->pages, base, l.routes)) {
        pm_pages_release(w->pages, r.all, r.all_bytes);
        return false;
    }
    if (w->pages == NULL)
        pm_os_release(r.start, front - l.lines);
    size_t header = first << PM_ARENA_SHIFT;
    pm_os_describe(base - l.lines, l.lines + header, PM_OS_TABLES);
    pm_os_describe(base + header, (arenas - first) << PM_ARENA_SHIFT, PM_OS_ARENAS);
    place_tables(w, base, &l);
    w->closed = pm_piece_wanted();
    w->first_arena = w->next_arena = (uint32_t)first;
    w->arenas_end = (uint32_t)arenas;
    w->tables_end = 0;
    pm_store_relaxed(&w->base, (uintptr_t)base);
    /* Release: pm_window_each looks at the rest of the window when it sees this. */
    pm_store_release(&w->units, (size_t)w->arenas_end * PM_ARENA_UNITS);
    return true;
}

static size_t first_window_bytes(void)
{
    size_t bytes = pm_load_relaxed(&pm_options.window_bytes); /* set before any thread allocated */
    size_t limit = pm_os_address_limit_bytes();
    if (bytes == 0) {
        size_t wanted = pm_os_ram_bytes() * PM_WINDOW_RAM_FACTOR;
        bytes = PM_WINDOW_MIN_BYTES;
        while (bytes < wanted && bytes < PM_WINDOW_MAX_BYTES)
            bytes *= 2;
    }
    if (limit != SIZE_MAX && bytes > limit / 4)
        bytes = limit / 4; /* the rest is for stacks, libraries and windows added later */
    if (bytes > PM_WINDOW_MAX_BYTES)
        bytes = PM_WINDOW_MAX_BYTES;
    return bytes;
}

bool pm_window_init(void)
{
    if (pm_load_relaxed(&pm_window.units) != 0) /* an earlier start-up failed later on */
        return true;
    if (!pages_fit())
        return false;
    for (size_t arenas = first_window_bytes() >> PM_ARENA_SHIFT;; arenas /= 2) {
        if (window_make(&pm_window, arenas ? arenas : 1, PM_ARENA_BYTES))
            return true;
        if (arenas <= 1)
            return false;
    }
}

struct pm_window *pm_window_add(size_t bytes, size_t least, size_t align)
{
    uint32_t count = pm_load_relaxed(&added_count);
    if (count == PM_WINDOWS_MAX - 1)
        return NULL;
    struct pm_window *w = &added[count];
    w->number = (uint16_t)(count + 1);
    size_t wanted = bytes >> PM_ARENA_SHIFT;
    for (wanted = wanted > least ? wanted : least; !window_make(w, wanted, align);) {
        if (wanted <= least)
            return NULL;
        wanted = wanted / 2 > least ? wanted / 2 : least;
    }
    pm_store_release(&added_count, count + 1); /* pairs with pm_window_find */
    return w;
}

static bool commit_part(const struct pm_window *w, char *table, size_t entry_bytes, uint32_t from,
                        uint32_t end)
{
    size_t page = pm_os_page_bytes();
    size_t start = from * entry_bytes & ~(page - 1);
    size_t bytes = pm_align_up(end * entry_bytes, page) - start;
    return pm_pages_commit(w->pages, table + start, bytes);
}

/* Under the grow lock. A failure half way is harmless: committing twice is. */
bool pm_window_commit_tables(struct pm_window *w, uint32_t arenas_end)
{
    if (arenas_end <= w->tables_end)
        return true;
    uint32_t from = w->tables_end;
    uint32_t end = (uint32_t)pm_align_up(arenas_end, PM_TABLE_STEP_ARENAS);
    if (end > w->arenas_end)
        end = w->arenas_end;
    char *base = (char *)pm_window_base(w);
    size_t line_bytes = PM_ARENA_UNITS * PM_LINE_BYTES;
    size_t lines = pm_align_up(end * line_bytes, pm_os_page_bytes());
    size_t old_lines = from * line_bytes / pm_os_page_bytes() * pm_os_page_bytes();
    bool done = commit_part(w, base, PM_ARENA_UNITS * sizeof(uint64_t), from, end) &&
                commit_part(w, w->remote_lines, line_bytes, from, end) &&
                commit_part(w, (char *)w->arenas, sizeof(struct pm_arena), from, end) &&
                commit_part(w, (char *)w->empties, sizeof(uint64_t), from / 64, (end + 63) / 64) &&
                pm_pages_commit(w->pages, base - lines, lines - old_lines);
    if (done) {
        size_t first = from > w->first_arena ? from : w->first_arena;
        size_t bytes = (end - first) << PM_ARENA_SHIFT;
        pm_os_describe_used(base + (first << PM_ARENA_SHIFT), bytes);
        w->tables_end = end;
    }
    return done;
}
