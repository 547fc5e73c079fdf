/* SPDX-License-Identifier: MIT */
/*
 * A program that was written for jemalloc, or for tcmalloc: it declares their interface itself, as
 * their manuals have it, and must find all of it here. Built with OTHER_NAMES_WEAK=1, against no
 * library, its references are weak, as RocksDB's and folly's are, and the library is preloaded.
 * Stands for: servers that were linked to another allocator. Source: jemalloc(3) of version 5.3,
 * and malloc_extension_c.h of gperftools.
 * Usage: other_names
 */
#include "check.h"
#include "common.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if OTHER_NAMES_WEAK
#define WEAK __attribute__((weak))
#else
#define WEAK
#endif
void *mallocx(size_t size, int flags) WEAK;
void *rallocx(void *ptr, size_t size, int flags) WEAK;
size_t xallocx(void *ptr, size_t size, size_t extra, int flags) WEAK;
size_t sallocx(const void *ptr, int flags) WEAK;
void dallocx(void *ptr, int flags) WEAK;
void sdallocx(void *ptr, size_t size, int flags) WEAK;
size_t nallocx(size_t size, int flags) WEAK;
int mallctl(const char *name, void *oldp, size_t *oldlenp, void *newp, size_t newlen) WEAK;
int mallctlnametomib(const char *name, size_t *mibp, size_t *miblenp) WEAK;
int mallctlbymib(const size_t *mib, size_t miblen, void *oldp, size_t *oldlenp, void *newp,
                 size_t newlen) WEAK;
void malloc_stats_print(void (*write_cb)(void *, const char *), void *cbopaque,
                        const char *opts) WEAK;
size_t malloc_usable_size(void *ptr) WEAK;

#define MALLOCX_LG_ALIGN(la) ((int)(la))
#define MALLOCX_ALIGN(a) (__builtin_ffsl((long)(a)) - 1)
#define MALLOCX_ZERO 0x40
#define MALLOCX_TCACHE(tc) (((tc) + 2) << 8)
#define MALLOCX_TCACHE_NONE MALLOCX_TCACHE(-1)
#define MALLOCX_ARENA(a) (((a) + 1) << 20)

typedef enum { UNKNOWN_OWNERSHIP, OWNED, NOT_OWNED } ownership;
void MallocExtension_GetStats(char *buffer, int buffer_length) WEAK;
int MallocExtension_GetNumericProperty(const char *property, size_t *value) WEAK;
int MallocExtension_SetNumericProperty(const char *property, size_t value) WEAK;
void MallocExtension_MarkThreadIdle(void) WEAK;
void MallocExtension_MarkThreadTemporarilyIdle(void) WEAK;
void MallocExtension_MarkThreadBusy(void) WEAK;
void MallocExtension_ReleaseToSystem(size_t num_bytes) WEAK;
void MallocExtension_ReleaseFreeMemory(void) WEAK;
size_t MallocExtension_GetEstimatedAllocatedSize(size_t size) WEAK;
size_t MallocExtension_GetAllocatedSize(const void *p) WEAK;
size_t MallocExtension_GetThreadCacheSize(void) WEAK;
ownership MallocExtension_GetOwnership(const void *p) WEAK;
int MallocExtension_VerifyAllMemory(void) WEAK;
void *tc_malloc(size_t size) WEAK;
void tc_free(void *ptr) WEAK;
void *tc_calloc(size_t count, size_t size) WEAK;
void *tc_realloc(void *ptr, size_t size) WEAK;
void *tc_memalign(size_t alignment, size_t size) WEAK;
int tc_posix_memalign(void **ptr, size_t alignment, size_t size) WEAK;
void *tc_valloc(size_t size) WEAK;
void *tc_pvalloc(size_t size) WEAK;
size_t tc_malloc_size(void *ptr) WEAK;

static void all_names_are_there(void)
{
#if OTHER_NAMES_WEAK
    CHECK(mallocx && rallocx && xallocx && sallocx && dallocx && sdallocx && nallocx,
          "the allocation functions");
    CHECK(mallctl && mallctlnametomib && mallctlbymib && malloc_stats_print && malloc_usable_size,
          "the control functions");
    CHECK(MallocExtension_GetStats && MallocExtension_GetNumericProperty &&
              MallocExtension_SetNumericProperty && MallocExtension_MarkThreadIdle &&
              MallocExtension_MarkThreadTemporarilyIdle && MallocExtension_MarkThreadBusy &&
              MallocExtension_ReleaseToSystem && MallocExtension_ReleaseFreeMemory &&
              MallocExtension_GetEstimatedAllocatedSize && MallocExtension_GetAllocatedSize &&
              MallocExtension_GetThreadCacheSize && MallocExtension_GetOwnership &&
              MallocExtension_VerifyAllMemory,
          "MallocExtension");
    CHECK(tc_malloc && tc_free && tc_calloc && tc_realloc && tc_memalign && tc_posix_memalign &&
              tc_valloc && tc_pvalloc && tc_malloc_size,
          "the family of tc_malloc");
#endif
}

/* Blocks of either interface go to the other: they are of one allocator. */
static void blocks_of_both_interfaces_are_the_same(void)
{
    for (size_t n = 1; n < 300000; n += 1 + n / 6) {
        char *block = mallocx(n, MALLOCX_ALIGN(256) | MALLOCX_ZERO | MALLOCX_TCACHE_NONE);
        CHECK(block != NULL && (uintptr_t)block % 256 == 0 && block[0] == 0 && block[n - 1] == 0,
              "mallocx(%zu)", n);
        CHECK(sallocx(block, 0) == malloc_usable_size(block), "size of %p", (void *)block);
        CHECK(nallocx(n, MALLOCX_LG_ALIGN(8)) == sallocx(block, 0), "nallocx(%zu)", n);
        memset(block, 1, n);
        block = realloc(block, 2 * n);
        CHECK(block != NULL && block[0] == 1 && block[n - 1] == 1, "realloc to %zu", 2 * n);
        size_t have = malloc_usable_size(block);
        block = rallocx(block, 3 * have, MALLOCX_ZERO | MALLOCX_ARENA(0));
        CHECK(block != NULL && block[0] == 1 && block[3 * have - 1] == 0, "rallocx of %zu", n);
        CHECK(xallocx(block, 3 * have, 0, 0) >= 3 * have, "xallocx of %zu", n);
        free(block);
        dallocx(malloc(n), 0);
        sdallocx(calloc(1, n), n, 0);
    }
}

/* Widths as the manual has them. */
static void names_have_the_types_of_the_manual(void)
{
    static const struct {
        const char *name;
        size_t width;
    } names[] = {
        {"version", sizeof(const char *)},
        {"epoch", sizeof(uint64_t)},
        {"background_thread", sizeof(_Bool)},
        {"max_background_threads", sizeof(size_t)},
        {"config.debug", sizeof(_Bool)},
        {"config.malloc_conf", sizeof(const char *)},
        {"config.prof", sizeof(_Bool)},
        {"config.stats", sizeof(_Bool)},
        {"opt.abort", sizeof(_Bool)},
        {"opt.retain", sizeof(_Bool)},
        {"opt.dss", sizeof(const char *)},
        {"opt.narenas", sizeof(unsigned)},
        {"opt.percpu_arena", sizeof(const char *)},
        {"opt.background_thread", sizeof(_Bool)},
        {"opt.max_background_threads", sizeof(size_t)},
        {"opt.dirty_decay_ms", sizeof(ssize_t)},
        {"opt.muzzy_decay_ms", sizeof(ssize_t)},
        {"opt.stats_print", sizeof(_Bool)},
        {"opt.junk", sizeof(const char *)},
        {"opt.zero", sizeof(_Bool)},
        {"opt.tcache", sizeof(_Bool)},
        {"opt.tcache_max", sizeof(size_t)},
        {"opt.thp", sizeof(const char *)},
        {"opt.zero_realloc", sizeof(const char *)},
        {"thread.arena", sizeof(unsigned)},
        {"thread.tcache.enabled", sizeof(_Bool)},
        {"arena.0.initialized", sizeof(_Bool)},
        {"arena.0.dss", sizeof(const char *)},
        {"arena.0.dirty_decay_ms", sizeof(ssize_t)},
        {"arenas.narenas", sizeof(unsigned)},
        {"arenas.dirty_decay_ms", sizeof(ssize_t)},
        {"arenas.quantum", sizeof(size_t)},
        {"arenas.page", sizeof(size_t)},
        {"arenas.tcache_max", sizeof(size_t)},
        {"arenas.nbins", sizeof(unsigned)},
        {"arenas.nhbins", sizeof(unsigned)},
        {"arenas.bin.0.size", sizeof(size_t)},
        {"arenas.bin.0.nregs", sizeof(uint32_t)},
        {"arenas.bin.0.slab_size", sizeof(size_t)},
        {"arenas.nlextents", sizeof(unsigned)},
        {"arenas.create", sizeof(unsigned)},
        {"tcache.create", sizeof(unsigned)},
        {"stats.allocated", sizeof(size_t)},
        {"stats.active", sizeof(size_t)},
        {"stats.metadata", sizeof(size_t)},
        {"stats.resident", sizeof(size_t)},
        {"stats.mapped", sizeof(size_t)},
        {"stats.retained", sizeof(size_t)},
        {"stats.background_thread.num_threads", sizeof(size_t)},
        {"stats.background_thread.num_runs", sizeof(uint64_t)},
        {"stats.arenas.0.nthreads", sizeof(unsigned)},
        {"stats.arenas.0.dss", sizeof(const char *)},
        {"stats.arenas.0.pactive", sizeof(size_t)},
        {"stats.arenas.0.pdirty", sizeof(size_t)},
        {"stats.arenas.0.pmuzzy", sizeof(size_t)},
        {"stats.arenas.0.mapped", sizeof(size_t)},
        {"stats.arenas.0.resident", sizeof(size_t)},
        {"stats.arenas.0.dirty_npurge", sizeof(uint64_t)},
        {"stats.arenas.0.small.allocated", sizeof(size_t)},
        {"stats.arenas.0.large.allocated", sizeof(size_t)},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t given = 0; given <= 16; given++) {
            unsigned char value[16];
            size_t length = given, mib[8], miblen = 8;
            int wanted = given == names[i].width ? 0 : EINVAL;
            CHECK(mallctl(names[i].name, value, &length, NULL, 0) == wanted, "%s, %zu bytes",
                  names[i].name, given);
            length = given;
            CHECK(mallctlnametomib(names[i].name, mib, &miblen) == 0, "%s", names[i].name);
            CHECK(mallctlbymib(mib, miblen, value, &length, NULL, 0) == wanted,
                  "%s by number, %zu bytes", names[i].name, given);
        }
    }
    CHECK(mallctl("no.such.name", NULL, NULL, NULL, 0) == ENOENT, "no.such.name");
}

/* The calls that Redis 7.0 makes for INFO memory, MEMORY PURGE and jemalloc-bg-thread. */
static void a_server_asks_what_it_uses_and_purges(void)
{
    uint64_t epoch = 1;
    size_t bytes = sizeof epoch, allocated, active, resident, after;
    unsigned arenas;
    char name[32];
    void *block = malloc(40 << 20);
    CHECK(block != NULL, "malloc");
    memset(block, 1, 40 << 20);
    CHECK(mallctl("epoch", &epoch, &bytes, &epoch, bytes) == 0, "epoch");
    CHECK(mallctl("stats.resident", &resident, &bytes, NULL, 0) == 0, "resident");
    CHECK(mallctl("stats.active", &active, &bytes, NULL, 0) == 0, "active");
    CHECK(mallctl("stats.allocated", &allocated, &bytes, NULL, 0) == 0, "allocated");
    CHECK(allocated >= 40 << 20 && allocated <= active && active <= resident,
          "allocated %zu, active %zu, resident %zu", allocated, active, resident);
    free(block);
    bytes = sizeof arenas;
    CHECK(mallctl("arenas.narenas", &arenas, &bytes, NULL, 0) == 0, "arenas");
    snprintf(name, sizeof name, "arena.%u.purge", arenas);
    CHECK(mallctl(name, NULL, NULL, NULL, 0) == 0, "%s", name);
    bytes = sizeof epoch;
    CHECK(mallctl("epoch", &epoch, &bytes, &epoch, bytes) == 0, "epoch");
    CHECK(mallctl("stats.resident", &after, &bytes, NULL, 0) == 0, "resident");
    CHECK(after + (40 << 20) <= resident, "resident %zu, then %zu", resident, after);
    char on = 1;
    CHECK(mallctl("background_thread", NULL, NULL, &on, 1) == EFAULT, "a background thread");
}

static void count_text(void *bytes, const char *text)
{
    *(size_t *)bytes += strlen(text);
}

static void reports_are_written(void)
{
    char text[4096];
    size_t bytes = 0;
    malloc_stats_print(count_text, &bytes, "J");
    CHECK(bytes > 200, "a report of %zu bytes", bytes);
    MallocExtension_GetStats(text, sizeof text);
    CHECK(strstr(text, "Allocated: ") != NULL, "%s", text);
}

static void tcmallocs_names_answer(void)
{
    size_t value = 0;
    int here;
    void *block = malloc(1000);
    CHECK(MallocExtension_GetOwnership(block) == OWNED, "%p", block);
    CHECK(MallocExtension_GetOwnership(&here) == NOT_OWNED, "%p", (void *)&here);
    CHECK(MallocExtension_GetAllocatedSize(block) == malloc_usable_size(block), "size");
    CHECK(MallocExtension_GetEstimatedAllocatedSize(1000) == nallocx(1000, 0), "size");
    CHECK(MallocExtension_GetNumericProperty("generic.current_allocated_bytes", &value) == 1 &&
              value >= 1000,
          "%zu bytes", value);
    CHECK(MallocExtension_GetNumericProperty("generic.nothing", &value) == 0, "a property");
    CHECK(MallocExtension_SetNumericProperty("generic.heap_size", 1) == 0, "a property");
    free(block);
    MallocExtension_MarkThreadTemporarilyIdle();
    MallocExtension_MarkThreadIdle();
    MallocExtension_MarkThreadBusy();
    CHECK(MallocExtension_GetThreadCacheSize() == 0, "of a thread");
    MallocExtension_ReleaseToSystem(1);
    MallocExtension_ReleaseFreeMemory();
    CHECK(MallocExtension_GetNumericProperty("tcmalloc.pageheap_free_bytes", &value) == 1 &&
              value == 0,
          "%zu bytes", value);
    CHECK(MallocExtension_VerifyAllMemory() == 1, "the structures");
}

static void tcmallocs_family_is_mallocs(void)
{
    void *aligned = NULL;
    char *block = tc_calloc(10, 100);
    CHECK(block != NULL && block[999] == 0, "tc_calloc");
    block = realloc(block, 2000);
    block = tc_realloc(block, 3000);
    CHECK(tc_malloc_size(block) == malloc_usable_size(block), "tc_malloc_size");
    free(block);
    tc_free(malloc(100));
    free(tc_malloc(100));
    free(tc_memalign(64, 100));
    free(tc_valloc(100));
    free(tc_pvalloc(100));
    CHECK(tc_posix_memalign(&aligned, 4096, 10) == 0 && (uintptr_t)aligned % 4096 == 0, "aligned");
    tc_free(aligned);
}

int main(void)
{
    all_names_are_there();
    blocks_of_both_interfaces_are_the_same();
    names_have_the_types_of_the_manual();
    a_server_asks_what_it_uses_and_purges();
    reports_are_written();
    tcmallocs_names_answer();
    tcmallocs_family_is_mallocs();
    puts("other_names: ok");
    return 0;
}
