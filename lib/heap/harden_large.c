/* SPDX-License-Identifier: MIT */
/* Hardened large blocks: see harden.h. Under the heap's lock, also over what is asked of the
 * system. */
#include "heap/harden.h"
#include "os/os.h"

#include <string.h>

/* Marks of a span's note. */
enum { GUARDED = 1, CLOSED = 2 /* it was freed, and traps as a whole */ };

/* How a block lies in its span, in bytes from the start. */
struct layout {
    size_t offset; /* of the block */
    size_t front;  /* of the first page that it may touch; what is before traps */
    size_t end;    /* of its last page */
};

static bool can_guard(void)
{
    return pm_harden_now->guards && pm_os_page_bytes() <= PM_UNIT_BYTES / 4;
}

/* Whether what is closed as a whole closes nothing else: units may be parts of pages. */
static bool can_close(const struct pm_window *w)
{
    return pm_os_page_bytes() <= PM_UNIT_BYTES && pm_arena_is_systems(w);
}

/* Without pages that trap there is always a canary. */
static struct layout layout_of(size_t n, size_t align)
{
    size_t page = pm_os_page_bytes();
    size_t least = align > PM_GRANULE_BYTES ? align : PM_GRANULE_BYTES;
    if (!can_guard())
        return (struct layout){0, 0, pm_align_up(n + PM_HARDEN_BACK, page)};
    size_t front = align >= PM_UNIT_BYTES ? 0 : align > page ? align : page;
    size_t end = front + pm_align_up(n, page);
    return (struct layout){least < page ? end - pm_align_up(n, least) : front, front, end};
}

size_t pm_harden_span_bytes(size_t n, size_t align)
{
    return layout_of(n, align).end + (can_guard() ? pm_os_page_bytes() : 0);
}

/* False: the system refuses; then the block does without. */
static bool guard(struct pm_window *w, char *start, struct layout at)
{
    size_t bytes = pm_span_usable(w, start, "malloc");
    if (!can_guard() || !pm_arena_is_systems(w))
        return false;
    if (!pm_os_forbid(start + at.end, bytes - at.end))
        return false;
    if (at.front == 0 || pm_os_forbid(start, at.front))
        return true;
    return !pm_os_commit(start + at.end, bytes - at.end);
}

static void write_canary(const struct pm_user_heap *heap, char *start, struct layout at, size_t n)
{
    if (pm_harden_now->canaries)
        pm_harden_write_canary(heap, start + at.offset + n, at.end - at.offset - n);
}

void *pm_harden_lay_large(struct pm_user_heap *heap, char *start, size_t n, size_t align,
                          bool *zero)
{
    struct pm_window *w = pm_window_find(start);
    struct layout at = layout_of(n, align);
    if (!*zero)
        memset(start + at.front, 0, at.offset - at.front);
    write_canary(heap, start, at, n);
    *pm_span_note(w, pm_window_index(w, start)) = (struct pm_span_note){
        .offset = at.offset, .bytes = n, .marks = guard(w, start, at) ? GUARDED : 0};
    return start + at.offset;
}

/* That of a block as its note says, wherever it is. */
static struct layout layout_now(const struct pm_span_note *note)
{
    size_t page = pm_os_page_bytes();
    size_t back = can_guard() ? 0 : PM_HARDEN_BACK;
    return (struct layout){note->offset, note->offset & ~(page - 1),
                           pm_align_up(note->offset + note->bytes + back, page)};
}

static bool is_zero(const char *from, const char *to)
{
    while (from < to && *from == 0)
        from++;
    return from == to;
}

void pm_harden_check_large(const struct pm_user_heap *heap, struct pm_window *w, size_t unit,
                           const void *ptr, const char *function)
{
    const struct pm_span_note *note = pm_span_note(w, unit);
    const char *start = pm_window_unit(w, unit), *block = start + note->offset;
    struct layout at = layout_now(note);
    if (ptr != block)
        pm_fatal_interior(function, ptr, block, note->bytes);
    if ((note->marks & CLOSED) != 0)
        pm_harden_fail(heap, PM_HARDEN_FREED, function, block, note->bytes, 0);
    if (!is_zero(start + at.front, block))
        pm_harden_fail(heap, PM_HARDEN_BEFORE, function, block, note->bytes, 0);
    if (pm_harden_now->canaries &&
        !pm_harden_canary_is_whole(heap, block + note->bytes, at.end - at.offset - note->bytes))
        pm_harden_fail(heap, PM_HARDEN_BEHIND, function, block, note->bytes, 0);
}

void pm_harden_fatal_void(struct pm_window *w, const void *ptr, const char *function)
{
    void *start = pm_span_covering(w, pm_window_index(w, ptr));
    size_t unit = start != NULL ? pm_window_index(w, start) : 0;
    const struct pm_user_heap *heap = start != NULL ? pm_user_of_run(w, unit) : NULL;
    if (pm_hardened() && heap != NULL)
        pm_harden_check_large(heap, w, unit, ptr, function);
    pm_span_fatal_void(w, ptr, function);
}

/* Less than a page can be left behind the block: of more, some would be no canary. */
bool pm_harden_resize_large(const struct pm_user_heap *heap, struct pm_window *w, size_t unit,
                            size_t bytes)
{
    struct pm_span_note *note = pm_span_note(w, unit);
    struct layout at = layout_now(note);
    if (bytes > note->bytes)
        return false;
    note->bytes = bytes;
    struct layout now = layout_now(note);
    memset(pm_window_unit(w, unit) + now.end, 0, at.end - now.end);
    write_canary(heap, pm_window_unit(w, unit), now, bytes);
    return true;
}

bool pm_harden_large_at(struct pm_window *w, size_t unit, void **block, size_t *bytes)
{
    const struct pm_span_note *note = pm_span_note(w, unit);
    *block = pm_window_unit(w, unit) + note->offset;
    *bytes = note->bytes;
    return (note->marks & CLOSED) == 0;
}

bool pm_harden_open_large(struct pm_window *w, size_t unit)
{
    struct pm_span_note *note = pm_span_note(w, unit);
    char *start = pm_window_unit(w, unit);
    if (note->marks != 0 && can_close(w) && !pm_os_commit(start, pm_span_usable(w, start, "free")))
        return false;
    note->marks = 0;
    return true;
}

/* False: it stays, and waits on. */
static bool let_go(struct pm_user_heap *heap, void *start)
{
    struct pm_window *w = pm_window_find(start);
    size_t unit = pm_window_index(w, start), bytes = pm_span_usable(w, start, "free");
    if (!pm_harden_open_large(w, unit))
        return false;
    heap->waiting_large_bytes -= bytes;
    pm_list_remove(pm_span_link(w, unit));
    pm_store_release(&pm_remote_at(w, unit)->user, NULL); /* as in pm_user_free_span */
    pm_span_free(w, start, "free");
    return true;
}

bool pm_harden_let_large_go(struct pm_user_heap *heap, size_t keep_bytes)
{
    bool some = false;
    while (!pm_list_empty(&heap->waiting_large) && heap->waiting_large_bytes > keep_bytes &&
           let_go(heap, pm_span_of_link(heap->waiting_large.next)))
        some = true;
    return some;
}

/* Its whole pages go back at once. What the system does not take is cleared at least. */
static void clear(char *start, struct layout at)
{
    bool waits = pm_harden_now->quarantine_bytes != 0;
    if (!waits && !pm_harden_now->zero)
        return;
    char *end = start + at.end, *from = start + at.front;
    size_t page = pm_os_page_bytes();
    size_t before = -(uintptr_t)from & (page - 1), behind = (uintptr_t)end & (page - 1);
    size_t bytes = at.end - at.front, apart = before + behind;
    if (apart >= bytes || !pm_os_purge(from + before, bytes - apart))
        before = bytes, behind = 0;
    if (pm_harden_now->zero) {
        memset(from, 0, before);
        memset(end - behind, 0, behind);
    }
}

void pm_harden_retire_large(struct pm_user_heap *heap, struct pm_window *w, size_t unit)
{
    struct pm_span_note *note = pm_span_note(w, unit);
    char *start = pm_window_unit(w, unit);
    size_t bytes = pm_span_usable(w, start, "free");
    size_t keep_bytes = pm_harden_now->quarantine_bytes;
    clear(start, layout_now(note));
    note->marks |= CLOSED;
    pm_list_push_back(&heap->waiting_large, pm_span_link(w, unit));
    heap->waiting_large_bytes += bytes;
    if (bytes / PM_HARDEN_LARGE_FACTOR <= keep_bytes && keep_bytes != 0 && can_close(w))
        pm_os_forbid(start, bytes); /* refused: it waits as it is */
    pm_harden_let_large_go(heap, keep_bytes * PM_HARDEN_LARGE_FACTOR);
}
