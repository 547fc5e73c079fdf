/* SPDX-License-Identifier: MIT */
/* What the tests of spans share. Only x_test.c files include it. */
#ifndef PM_ARENA_SPAN_TESTING_H
#define PM_ARENA_SPAN_TESTING_H

#include "arena/span.h"
#include "arena/testing.h"

static inline char *span(size_t units, size_t align, bool *zero)
{
    char *start = pm_span_alloc(units << PM_UNIT_SHIFT, align, zero);
    require(start != NULL && (uintptr_t)start % align == 0 && pm_arena_check());
    require((uintptr_t)start % PM_UNIT_BYTES == 0);
    pm_asan_unpoison(start, units << PM_UNIT_SHIFT);
    return start;
}

static inline char *simple_span(size_t units)
{
    bool zero = false;
    return span(units, 1, &zero);
}

static inline void span_free(char *start)
{
    pm_span_free(pm_window_find(start), start, "free");
    require(pm_arena_check());
}

static inline size_t usable(char *start)
{
    return pm_span_usable(pm_window_find(start), start, "test");
}

static inline bool resize(char *start, size_t units)
{
    bool done = pm_span_resize(pm_window_find(start), start, units << PM_UNIT_SHIFT, "realloc");
    require(pm_arena_check());
    pm_asan_unpoison(start, usable(start));
    return done;
}

#endif
