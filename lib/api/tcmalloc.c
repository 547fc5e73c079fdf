/* SPDX-License-Identifier: MIT */
/* The C names of gperftools' MallocExtension: see tcmalloc.h. Any thread. */
#include "api/tcmalloc.h"

#include "api/alias.h"
#include "api/je_stats.h"
#include "api/jemalloc.h"
#include "base/atomic.h"
#include "base/options.h"
#include "poolmalloc/poolmalloc.h"

#include <string.h>

void pm_tc_release_free_memory(void)
{
    pm_purge();
}

void pm_tc_release_to_system(size_t bytes)
{
    (void)bytes;
    pm_purge();
}

struct property {
    const char *name;
    size_t value;
};

int pm_tc_get_numeric_property(const char *property, size_t *value)
{
    struct pm_figures figures;
    struct pm_je_stats stats;
    pm_figures_take(&figures);
    pm_je_stats_of(&figures, &stats);
    const struct pm_stats own = figures.stats;
    const struct property properties[] = {
        {"generic.current_allocated_bytes", stats.allocated},
        {"generic.heap_size", own.arenas * own.arena_bytes},
        {"generic.total_physical_bytes", stats.resident},
        {"tcmalloc.current_total_thread_cache_bytes", stats.thread_cache},
        {"tcmalloc.max_total_thread_cache_bytes",
         pm_load_relaxed(&pm_options.heaps_keep_bytes)}, /* orders nothing */
        {"tcmalloc.pageheap_free_bytes", own.dirty_bytes},
        {"tcmalloc.pageheap_unmapped_bytes", own.free_bytes - own.dirty_bytes},
        {"tcmalloc.thread_cache_free_bytes", stats.thread_cache},
    };
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++) {
        if (strcmp(properties[i].name, property) == 0) {
            *value = properties[i].value;
            return 1;
        }
    }
    return 0;
}

int pm_tc_set_numeric_property(const char *property, size_t value)
{
    (void)property, (void)value;
    return 0;
}

struct buffer {
    char *at;
    size_t left; /* with the final 0 */
};

static void append(void *arg, const char *text)
{
    struct buffer *buffer = arg;
    size_t bytes = strlen(text);
    if (bytes >= buffer->left)
        bytes = buffer->left - 1;
    memcpy(buffer->at, text, bytes);
    buffer->at += bytes;
    buffer->left -= bytes;
    *buffer->at = 0;
}

void pm_tc_get_stats(char *buffer, int bytes)
{
    struct buffer to = {buffer, (size_t)bytes};
    if (bytes > 0)
        pm_je_malloc_stats_print(append, &to, NULL);
}

void pm_tc_mark_thread_idle(void)
{
    pm_thread_idle();
}

void pm_tc_mark_thread_busy(void) {}

size_t pm_tc_get_estimated_allocated_size(size_t bytes)
{
    return pm_je_nallocx(bytes, 0);
}

size_t pm_tc_get_allocated_size(const void *ptr)
{
    return pm_je_sallocx(ptr, 0);
}

enum pm_tc_ownership pm_tc_get_ownership(const void *ptr)
{
    return pm_owns(ptr) ? PM_TC_OWNED : PM_TC_NOT_OWNED;
}

size_t pm_tc_get_thread_cache_size(void)
{
    return 0;
}

int pm_tc_verify_all_memory(void)
{
    return pm_check();
}

#if PM_OVERRIDE
void MallocExtension_ReleaseFreeMemory(void) SAME_AS(pm_tc_release_free_memory);
void MallocExtension_ReleaseToSystem(size_t bytes) SAME_AS(pm_tc_release_to_system);
int MallocExtension_GetNumericProperty(const char *property, size_t *value)
    SAME_AS(pm_tc_get_numeric_property);
int MallocExtension_SetNumericProperty(const char *property, size_t value)
    SAME_AS(pm_tc_set_numeric_property);
void MallocExtension_GetStats(char *buffer, int bytes) SAME_AS(pm_tc_get_stats);
void MallocExtension_MarkThreadIdle(void) SAME_AS(pm_tc_mark_thread_idle);
void MallocExtension_MarkThreadTemporarilyIdle(void) SAME_AS(pm_tc_mark_thread_idle);
void MallocExtension_MarkThreadBusy(void) SAME_AS(pm_tc_mark_thread_busy);
size_t MallocExtension_GetEstimatedAllocatedSize(size_t bytes)
    SAME_AS(pm_tc_get_estimated_allocated_size);
size_t MallocExtension_GetAllocatedSize(const void *ptr) SAME_AS(pm_tc_get_allocated_size);
enum pm_tc_ownership MallocExtension_GetOwnership(const void *ptr) SAME_AS(pm_tc_get_ownership);
size_t MallocExtension_GetThreadCacheSize(void) SAME_AS(pm_tc_get_thread_cache_size);
int MallocExtension_VerifyAllMemory(void) SAME_AS(pm_tc_verify_all_memory);
#endif
