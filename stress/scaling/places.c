/* SPDX-License-Identifier: MIT */
/* What lies at an address, of the library that the directory of lines watches. */
#include "scaling/lines.h"
#include "scaling/subject.h"

#include "arena/internal.h"
#include "base/lock.h"
#include "check.h"
#include "heap/internal.h"

/* Of the program, by the linker. */
extern char __executable_start[], _end[];

static bool between(uintptr_t address, const void *start, const void *end)
{
    return address >= (uintptr_t)start && address < (uintptr_t)end;
}

static enum lines_kind kind_of(uintptr_t address)
{
    const struct pm_window *w = &pm_window;
    char *base = pm_window_unit(w, 0);
    size_t units = pm_load_relaxed(&w->units);
    if (between(address, __executable_start, _end))
        return LINES_STATIC;
    if (between(address, base - units * PM_LINE_BYTES, base))
        return LINES_DESCRIPTORS;
    if (between(address, base, base + units * sizeof(uint64_t)))
        return LINES_ROUTES;
    if (between(address, w->remote_lines, w->remote_lines + units * PM_LINE_BYTES))
        return LINES_REMOTE;
    if (between(address, w->arenas, pm_window_unit(w, (size_t)w->first_arena * PM_ARENA_UNITS)))
        return LINES_ARENAS;
    return between(address, base, pm_window_unit(w, units)) ? LINES_BLOCKS : LINES_HEAPS;
}

static int lock_at(uintptr_t address)
{
    for (unsigned rank = 0; rank < PM_RANK_COUNT; rank++) {
        for (struct pm_lock *lock = pm_lock_of_rank(rank); lock != NULL; lock = lock->next) {
            if (address == (uintptr_t)&lock->state)
                return (int)rank;
        }
    }
    return -1;
}

void subject_start(unsigned cores)
{
    static const struct lines_names names = {kind_of, lock_at};
    pm_cold_most = 1 + (cores - 1) / PM_CORES_A_COLD_HEAP; /* as there */
    CHECK(pm_heap_process_init(), "the library does not start");
    lines_start(&names);
}
