/* SPDX-License-Identifier: MIT */
/* See system.h. Any thread, which is not watched meanwhile. */
#include "tools/system.h"

#include "heap/user.h"
#include "poolmalloc/poolmalloc.h"

#include <string.h>

#define WEAK __attribute__((weak, visibility("default")))
extern void *__libc_malloc(size_t size) WEAK;
extern void *__libc_calloc(size_t count, size_t size) WEAK;
extern void *__libc_realloc(void *ptr, size_t size) WEAK;
extern void *__libc_memalign(size_t alignment, size_t size) WEAK;
extern void __libc_free(void *ptr) WEAK;
/* Declared here, so that a static program is not made to link it. */
extern void *dlsym(void *handle, const char *name) WEAK;
#define NEXT_LIBRARY ((void *)-1l) /* RTLD_NEXT, of all C libraries */

bool pm_system_is_there(void)
{
    return !PM_ASAN && __libc_malloc != NULL && __libc_calloc != NULL && __libc_realloc != NULL &&
           __libc_memalign != NULL && __libc_free != NULL && dlsym != NULL;
}

static void *make(const struct pm_request *request)
{
    if (request->heap != NULL)
        return pm_user_alloc(request->heap, request->bytes, request->align, request->zero,
                             request->function);
    if (request->align > PM_GRANULE_BYTES) {
        void *block = __libc_memalign(request->align, request->bytes);
        return block != NULL && request->zero ? memset(block, 0, request->bytes) : block;
    }
    return request->zero ? __libc_calloc(1, request->bytes) : __libc_malloc(request->bytes);
}

static void give_back_plain(void *ptr)
{
    __libc_free(ptr);
}

const struct pm_debug_below pm_system_below = {make, give_back_plain, false};

static void give_back(void *ptr, const struct pm_return *how)
{
    (void)how;
    if (pm_arena_owns(ptr))
        pm_free(ptr);
    else
        __libc_free(ptr);
}

static void *resize(void *ptr, size_t bytes, const char *function)
{
    (void)function;
    return pm_arena_owns(ptr) ? pm_realloc(ptr, bytes) : __libc_realloc(ptr, bytes);
}

/* Relaxed: all who look find the same. */
static size_t (*_Atomic usable_size)(void *ptr);

static size_t usable(const void *ptr, const char *function)
{
    (void)function;
    size_t (*ask)(void *) = pm_load_relaxed(&usable_size);
    void *plain = (void *)(uintptr_t)ptr;
    if (pm_arena_owns(ptr))
        return pm_malloc_usable_size(plain);
    if (ask == NULL) {
        void *found = dlsym(NEXT_LIBRARY, "malloc_usable_size");
        memcpy(&ask, &found, sizeof ask);
        pm_store_relaxed(&usable_size, ask);
    }
    return ask(plain);
}

static void *shown(void *block, size_t *bytes)
{
    (void)bytes;
    return block;
}

const struct pm_watch pm_system_watch = {make, give_back, resize, usable, shown};
