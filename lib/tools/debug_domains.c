/* SPDX-License-Identifier: MIT */
/*
 * The debug hooks of the domains, as tables that a program's own may stand before. They do without
 * the layers of the default tables: whichever size is asked for, the hooks ask for the whole below.
 * The context is the letter. Any thread.
 */
#include "tools/debug_domains.h"
#include "tools/debug.h"

#include <errno.h>

static const enum pm_maker raw = PM_MAKER_RAW, mem = PM_MAKER_MEM, object = PM_MAKER_OBJECT;

static enum pm_maker maker_of(const void *context)
{
    return *(const enum pm_maker *)context;
}

static void *make(void *context, size_t bytes, bool zero)
{
    struct pm_request request = {
        .bytes = bytes, .align = 1, .zero = zero, .maker = maker_of(context), .function = "malloc"};
    return pm_watch_make(&pm_debug_watch, &request);
}

static void *debug_malloc(void *context, size_t size)
{
    return make(context, size, false);
}

static void *debug_calloc(void *context, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX; /* refused with ENOMEM */
    return make(context, bytes, true);
}

static void *debug_realloc(void *context, void *ptr, size_t size)
{
    if (ptr == NULL)
        return make(context, size, false);
    int saved_errno = errno;
    pm_watch_suspend();
    void *block = pm_debug_resize(ptr, size, maker_of(context), "realloc");
    pm_watch_resume();
    errno = block != NULL ? saved_errno : ENOMEM;
    return block;
}

static void debug_free(void *context, void *ptr)
{
    struct pm_return how = {.function = "free", .maker = maker_of(context), .align = 1};
    if (ptr != NULL)
        pm_watch_give_back(&pm_debug_watch, ptr, &how);
}

#define TABLE(maker)                                                                               \
    {                                                                                              \
        (void *)(uintptr_t) & (maker), debug_malloc, debug_calloc, debug_realloc, debug_free       \
    }

const struct pm_domain_set pm_debug_domains = {.of = {[PM_DOMAIN_RAW] = TABLE(raw),
                                                      [PM_DOMAIN_MEM] = TABLE(mem),
                                                      [PM_DOMAIN_OBJECT] = TABLE(object)}};
