/* SPDX-License-Identifier: MIT */
/* The binary interface, as it was: check_abi.py --write makes this of the public headers. */
#ifndef POOLMALLOC_POOLMALLOC_H
#define POOLMALLOC_POOLMALLOC_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#define PM_API __attribute__((visibility("default")))
#else
#define PM_API
#endif
PM_API void *pm_malloc(size_t size);
PM_API void pm_free(void *ptr);
PM_API void *pm_calloc(size_t count, size_t size);
PM_API void *pm_realloc(void *ptr, size_t size);
PM_API void *pm_reallocarray(void *ptr, size_t count, size_t size);
PM_API void *pm_aligned_alloc(size_t alignment, size_t size);
PM_API void *pm_memalign(size_t alignment, size_t size);
PM_API int pm_posix_memalign(void **ptr, size_t alignment, size_t size);
PM_API void *pm_valloc(size_t size);
PM_API void *pm_pvalloc(size_t size);
PM_API size_t pm_malloc_usable_size(void *ptr);
PM_API void pm_free_sized(void *ptr, size_t size);
PM_API void pm_free_aligned_sized(void *ptr, size_t alignment, size_t size);
PM_API size_t pm_good_size(size_t size);
PM_API bool pm_owns(const void *ptr);
PM_API bool pm_expand(void *ptr, size_t size);
PM_API size_t pm_malloc_batch(size_t size, size_t count, void **blocks);
PM_API void pm_free_batch(void *const *blocks, size_t count);
PM_API int pm_malloc_trim(size_t keep);
PM_API bool pm_purge(void);
PM_API bool pm_thread_idle(void);
PM_API bool pm_option_set(const char *name, const char *value);
PM_API bool pm_option_get(const char *name, char *buffer, size_t room);
struct pm_stats {
    uint64_t mallocs;
    uint64_t frees;
    uint64_t remote_frees;
    uint64_t remote_batches;
    uint64_t refills;
    uint64_t adopted_pools;
    uint64_t floating_pools;
    uint64_t heaps, heaps_in_use;
    uint64_t heap_bytes;
    uint64_t bytes_reserved;
    uint64_t arenas, arenas_in_use;
    uint64_t arena_bytes;
    uint64_t pool_bytes;
    uint64_t kept_bytes;
    uint64_t stash_bytes;
    uint64_t span_held_bytes;
    uint64_t free_bytes;
    uint64_t floating_bytes;
    uint64_t spans;
    uint64_t span_bytes;
    uint64_t dirty_bytes;
    uint64_t decommitted_bytes;
    uint64_t purged_arenas;
    uint64_t purged_bytes;
    uint64_t purges;
    uint64_t lock_acquisitions, lock_contended;
    uint64_t purging_bytes;
    uint64_t live_bytes;
    uint64_t batched_bytes;
    uint64_t available_bytes;
    uint64_t header_bytes;
    uint64_t tail_bytes;
    uint64_t pools;
    uint64_t live_blocks, batched_blocks, available_blocks;
    uint64_t user_heaps;
    uint64_t no_huge_arenas;
    uint64_t guarded_blocks;
    uint64_t guarded_bytes;
};
PM_API bool pm_stats_get(struct pm_stats *stats);
PM_API bool pm_stats_get_sized(struct pm_stats *stats, size_t bytes);
#define pm_stats_get(stats) pm_stats_get_sized((stats), sizeof(struct pm_stats))
PM_API void pm_stats_print(void (*write)(void *arg, const char *text), void *arg);
PM_API void pm_stats_json(void (*write)(void *arg, const char *text), void *arg);
PM_API bool pm_stats_json_fd(int file);
struct pm_mallinfo2_figures {
    size_t arena;
    size_t ordblks;
    size_t smblks;
    size_t hblks;
    size_t hblkhd;
    size_t usmblks;
    size_t fsmblks;
    size_t uordblks;
    size_t fordblks;
    size_t keepcost;
};
PM_API struct pm_mallinfo2_figures pm_mallinfo2(void);
struct pm_mallinfo_figures {
    int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
PM_API struct pm_mallinfo_figures pm_mallinfo(void);
PM_API int pm_malloc_info(int options, FILE *stream);
PM_API void pm_malloc_stats(void);
PM_API int pm_mallopt(int parameter, int value);
PM_API bool pm_check(void);
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_DOMAINS_H
#define POOLMALLOC_DOMAINS_H
#ifdef __cplusplus
extern "C" {
#endif
enum pm_domain { PM_DOMAIN_RAW, PM_DOMAIN_MEM, PM_DOMAIN_OBJECT };
struct pm_allocator {
    void *context;
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t size);
    void *(*realloc)(void *context, void *ptr, size_t size);
    void (*free)(void *context, void *ptr);
};
PM_API bool pm_get_allocator(enum pm_domain domain, struct pm_allocator *table);
PM_API bool pm_set_allocator(enum pm_domain domain, const struct pm_allocator *table);
PM_API void *pm_raw_malloc(size_t size);
PM_API void *pm_mem_malloc(size_t size);
PM_API void *pm_object_malloc(size_t size);
PM_API void *pm_raw_calloc(size_t count, size_t size);
PM_API void *pm_mem_calloc(size_t count, size_t size);
PM_API void *pm_object_calloc(size_t count, size_t size);
PM_API void *pm_raw_realloc(void *ptr, size_t size);
PM_API void *pm_mem_realloc(void *ptr, size_t size);
PM_API void *pm_object_realloc(void *ptr, size_t size);
PM_API void pm_raw_free(void *ptr);
PM_API void pm_mem_free(void *ptr);
PM_API void pm_object_free(void *ptr);
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_GC_POOLS_H
#define POOLMALLOC_GC_POOLS_H
#include <stdbool.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
#define PM_GC_BYTES_MAX 512
PM_API void *pm_gc_calloc(size_t bytes);
PM_API void pm_gc_free(void *block);
struct pm_gc_pool {
    char *first;
    uint32_t block_bytes;
    uint32_t blocks;
};
PM_API bool pm_gc_pools_walk(bool (*visit)(const struct pm_gc_pool *pool, void *arg), void *arg);
PM_API void pm_gc_window(char **base, size_t *bytes);
#if defined(__GNUC__)
__attribute__((no_sanitize("address")))
#endif
static inline uint64_t
pm_gc_peek(const void *block)
{
    return __atomic_load_n((const uint64_t *)block + 1, __ATOMIC_RELAXED);
}
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_HEAP_H
#define POOLMALLOC_HEAP_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct pm_user_heap pm_user_heap;
PM_API pm_user_heap *pm_heap_new(size_t limit_bytes);
PM_API void pm_heap_destroy(pm_user_heap *heap);
PM_API void *pm_heap_malloc(pm_user_heap *heap, size_t size);
PM_API void *pm_heap_calloc(pm_user_heap *heap, size_t count, size_t size);
PM_API void *pm_heap_aligned_alloc(pm_user_heap *heap, size_t alignment, size_t size);
PM_API void *pm_heap_realloc(pm_user_heap *heap, void *ptr, size_t size);
PM_API pm_user_heap *pm_heap_of(const void *ptr);
PM_API size_t pm_heap_bytes(pm_user_heap *heap);
PM_API void pm_heap_set_limit(pm_user_heap *heap, size_t limit_bytes);
PM_API bool pm_heap_walk(pm_user_heap *heap, bool (*visit)(void *block, size_t bytes, void *arg),
                         void *arg);
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_HOOKS_H
#define POOLMALLOC_HOOKS_H
#ifdef __cplusplus
extern "C" {
#endif
struct pm_page_hooks {
    void *context;
    void *(*reserve)(void *context, size_t bytes, size_t alignment);
    bool (*commit)(void *context, void *start, size_t bytes);
    bool (*purge)(void *context, void *start, size_t bytes);
    bool (*decommit)(void *context, void *start, size_t bytes);
    void (*release)(void *context, void *start, size_t bytes);
};
PM_API void pm_get_page_hooks(struct pm_page_hooks *hooks);
PM_API bool pm_set_page_hooks(const struct pm_page_hooks *hooks);
struct pm_arena_allocator {
    void *context;
    void *(*alloc)(void *context, size_t size);
    void (*free)(void *context, void *ptr, size_t size);
};
PM_API void pm_get_arena_allocator(struct pm_arena_allocator *allocator);
PM_API bool pm_set_arena_allocator(const struct pm_arena_allocator *allocator);
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_PROFILE_H
#define POOLMALLOC_PROFILE_H
#ifdef __cplusplus
extern "C" {
#endif
PM_API bool pm_profile_start(size_t mean_bytes);
PM_API void pm_profile_stop(void);
PM_API bool pm_profile_is_on(void);
PM_API size_t pm_profile_rate(void);
PM_API uint64_t pm_profile_dropped(void);
PM_API void pm_profile_reset_all(void);
enum pm_profile_form {
    PM_PROFILE_GPERFTOOLS,
    PM_PROFILE_JEMALLOC
};
PM_API bool pm_profile_dump(const char *path, enum pm_profile_form form);
PM_API bool pm_profile_dump_fd(int fd, enum pm_profile_form form);
PM_API void pm_profile_leaks(void (*write)(void *arg, const char *text), void *arg);
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_PROFILE_PAGE_H
#define POOLMALLOC_PROFILE_PAGE_H
#ifdef __cplusplus
extern "C" {
#endif
#define PM_PROFILE_PAGE_NAME "poolmalloc-profile"
#define PM_PROFILE_PAGE_MAGIC UINT64_C(0x0a666f7270706d70)
#define PM_PROFILE_PAGE_VERSION 1
#define PM_PROFILE_FRAMES 32
struct pm_profile_row {
    uint64_t published;
    uint64_t mean_bytes;
    uint64_t live_blocks, live_bytes, all_blocks, all_bytes;
    uint64_t step;
    uint64_t depth;
    uint64_t frames[PM_PROFILE_FRAMES];
};
struct pm_profile_page {
    uint64_t magic, version;
    uint64_t bytes;
    uint64_t process_id;
    uint64_t header_bytes, row_bytes;
    uint64_t rows_room;
    uint64_t rows;
    uint64_t mean_bytes;
    uint64_t dropped_samples;
    uint64_t spare[6];
};
static inline bool pm_profile_page_is_valid(const struct pm_profile_page *page, size_t mapped_bytes)
{
    return mapped_bytes >= sizeof *page &&
           __atomic_load_n(&page->magic, __ATOMIC_ACQUIRE) == PM_PROFILE_PAGE_MAGIC &&
           page->version == PM_PROFILE_PAGE_VERSION && page->bytes <= mapped_bytes &&
           page->row_bytes >= sizeof(struct pm_profile_row) && page->header_bytes <= page->bytes &&
           page->rows_room <= (page->bytes - page->header_bytes) / page->row_bytes;
}
static inline uint64_t pm_profile_page_rows(const struct pm_profile_page *page)
{
    uint64_t rows = __atomic_load_n(&page->rows, __ATOMIC_RELAXED);
    return rows < page->rows_room ? rows : page->rows_room;
}
static inline bool pm_profile_page_read(const struct pm_profile_page *page, uint64_t index,
                                        struct pm_profile_row *copy)
{
    const char *start = (const char *)(const void *)page + page->header_bytes;
    const struct pm_profile_row *row =
        (const struct pm_profile_row *)(const void *)(start + index * page->row_bytes);
    copy->published = __atomic_load_n(&row->published, __ATOMIC_ACQUIRE);
    if (copy->published == 0)
        return false;
    copy->mean_bytes = row->mean_bytes;
    copy->live_blocks = __atomic_load_n(&row->live_blocks, __ATOMIC_RELAXED);
    copy->live_bytes = __atomic_load_n(&row->live_bytes, __ATOMIC_RELAXED);
    copy->all_blocks = __atomic_load_n(&row->all_blocks, __ATOMIC_RELAXED);
    copy->all_bytes = __atomic_load_n(&row->all_bytes, __ATOMIC_RELAXED);
    copy->step = row->step;
    copy->depth = row->depth < PM_PROFILE_FRAMES ? row->depth : PM_PROFILE_FRAMES;
    for (uint64_t i = 0; i < copy->depth; i++)
        copy->frames[i] = row->frames[i];
    return true;
}
static inline double pm_profile_scale(double size_bytes, uint64_t mean_bytes)
{
    double x = mean_bytes < 2 ? 40 : size_bytes / (double)mean_bytes, chance = 0, term = 1;
    int halved = 0;
    if (x >= 40 || !(x > 0))
        return 1;
    for (; x > 0.5; x /= 2)
        halved++;
    for (int k = 1; k < 16; k++) {
        term *= -x / k;
        chance -= term;
    }
    for (; halved > 0; halved--)
        chance *= 2 - chance;
    return 1 / chance;
}
static inline double pm_profile_row_scale(const struct pm_profile_row *row)
{
    double blocks = (double)row->all_blocks, bytes = (double)row->all_bytes;
    if (row->live_blocks > row->all_blocks) {
        blocks = (double)row->live_blocks;
        bytes = (double)row->live_bytes;
    }
    return blocks > 0 ? pm_profile_scale(bytes / blocks, row->mean_bytes) : 1;
}
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_SNAPSHOT_H
#define POOLMALLOC_SNAPSHOT_H
#ifdef __cplusplus
extern "C" {
#endif
typedef struct pm_snapshot pm_snapshot;
PM_API pm_snapshot *pm_snapshot_take(void);
PM_API pm_snapshot *pm_snapshot_new(void);
PM_API void pm_snapshot_free(pm_snapshot *snapshot);
PM_API bool pm_snapshot_add(pm_snapshot *snapshot, unsigned domain, const uintptr_t *frames,
                            unsigned count, uint64_t blocks, uint64_t bytes);
PM_API bool pm_snapshot_add_maps(pm_snapshot *snapshot, const char *text, size_t bytes);
struct pm_snapshot_about {
    uint64_t process_id;
    const char *program;
    uint64_t time_s;
    uint64_t traceback_limit;
    uint64_t traced_bytes;
    uint64_t peak_bytes;
    uint64_t stacks;
    uint64_t blocks, bytes;
};
PM_API void pm_snapshot_get_about(const pm_snapshot *snapshot, struct pm_snapshot_about *about);
PM_API bool pm_snapshot_set_about(pm_snapshot *snapshot, const struct pm_snapshot_about *about);
PM_API bool pm_snapshot_each(const pm_snapshot *snapshot,
                             bool (*visit)(unsigned domain, const uint64_t *frames, unsigned count,
                                           uint64_t blocks, uint64_t bytes, void *arg),
                             void *arg);
struct pm_snapshot_frame {
    uint64_t address;
    const char *module;
    uint64_t offset;
    const char *function;
    const char *file;
    uint64_t line;
};
PM_API bool pm_snapshot_frame_of(const pm_snapshot *snapshot, uint64_t address,
                                 struct pm_snapshot_frame *frame);
struct pm_snapshot_resolver {
    void (*resolve)(void *arg, struct pm_snapshot_frame *frame);
    void *arg;
};
enum pm_snapshot_group {
    PM_SNAPSHOT_BY_ADDRESS,
    PM_SNAPSHOT_BY_FUNCTION,
    PM_SNAPSHOT_BY_FILE,
    PM_SNAPSHOT_BY_LINE,
    PM_SNAPSHOT_BY_MODULE,
    PM_SNAPSHOT_BY_TRACEBACK,
    PM_SNAPSHOT_BY_DOMAIN,
};
struct pm_snapshot_row {
    uint64_t bytes, blocks;
    int64_t bytes_diff, blocks_diff;
    const struct pm_snapshot_frame *frames;
    unsigned frame_count;
    unsigned domain;
};
struct pm_snapshot_table {
    size_t count;
    const struct pm_snapshot_row *rows;
};
PM_API struct pm_snapshot_table *
pm_snapshot_statistics(const pm_snapshot *snapshot, enum pm_snapshot_group group, bool cumulative,
                       const struct pm_snapshot_resolver *resolver);
PM_API struct pm_snapshot_table *pm_snapshot_compare(const pm_snapshot *snapshot,
                                                     const pm_snapshot *old,
                                                     enum pm_snapshot_group group, bool cumulative,
                                                     const struct pm_snapshot_resolver *resolver);
PM_API void pm_snapshot_table_free(struct pm_snapshot_table *table);
struct pm_snapshot_filter {
    bool inclusive;
    bool all_frames;
    bool by_domain;
    unsigned domain;
    const char *module, *function, *file;
    uint64_t line;
};
PM_API pm_snapshot *pm_snapshot_filter(const pm_snapshot *snapshot,
                                       const struct pm_snapshot_filter *filters, size_t count,
                                       const struct pm_snapshot_resolver *resolver);
PM_API bool pm_snapshot_write(const pm_snapshot *snapshot, int file);
PM_API pm_snapshot *pm_snapshot_read(const char *path, char *error, size_t room);
PM_API pm_snapshot *pm_snapshot_read_fd(int file, const char *name, char *error, size_t room);
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_STATS_PAGE_H
#define POOLMALLOC_STATS_PAGE_H
#ifdef __cplusplus
extern "C" {
#endif
#define PM_STATS_PAGE_NAME "poolmalloc-stats"
#define PM_STATS_PAGE_MAGIC UINT64_C(0x0a73746174736d70)
#define PM_STATS_PAGE_VERSION 1
#define PM_STATS_PAGE_CLASSES 128
#define PM_STATS_PAGE_THREADS 120
#define PM_STATS_PAGE_FIELDS 64
#define PM_STATS_PAGE_LOCKS 16
struct pm_stats_page_class {
    uint64_t block_bytes, pools, pool_bytes;
    uint64_t live_blocks, batched_blocks, available_blocks;
};
struct pm_stats_page_thread {
    uint64_t thread_id;
    uint64_t pool_bytes, live_bytes, kept_bytes, stash_bytes, batched_blocks;
    uint64_t mallocs, frees, remote_frees;
};
struct pm_stats_page_lock {
    char name[16];
    uint64_t acquisitions, contended;
};
struct pm_stats_page {
    uint64_t magic, version, bytes;
    uint64_t sequence;
    uint64_t process_id;
    uint64_t updates;
    uint64_t updated_ns;
    uint64_t rest_ns;
    uint64_t fields;
    uint64_t classes, threads;
    uint64_t threads_left_out;
    uint64_t locks;
    union {
        struct pm_stats stats;
        uint64_t words[PM_STATS_PAGE_FIELDS];
    } stats;
    struct pm_stats_page_class class_rows[PM_STATS_PAGE_CLASSES];
    struct pm_stats_page_thread thread_rows[PM_STATS_PAGE_THREADS];
    struct pm_stats_page_lock lock_rows[PM_STATS_PAGE_LOCKS];
};
static inline bool pm_stats_page_read(const struct pm_stats_page *page, struct pm_stats_page *copy)
{
    const uint64_t *from = (const uint64_t *)(const void *)page;
    uint64_t *to = (uint64_t *)(void *)copy;
    if (__atomic_load_n(&page->magic, __ATOMIC_ACQUIRE) != PM_STATS_PAGE_MAGIC ||
        __atomic_load_n(&page->version, __ATOMIC_RELAXED) != PM_STATS_PAGE_VERSION)
        return false;
    for (int tries = 0; tries < 10000; tries++) {
        uint64_t before = __atomic_load_n(&page->sequence, __ATOMIC_ACQUIRE);
        for (size_t i = 0; before % 2 == 0 && i < sizeof *page / sizeof *from; i++)
            to[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
        if (before % 2 == 0 && __atomic_load_n(&page->sequence, __ATOMIC_RELAXED) == before)
            return true;
    }
    return false;
}
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_TRACE_H
#define POOLMALLOC_TRACE_H
#ifdef __cplusplus
extern "C" {
#endif
#define PM_TRACE_FRAMES_MAX 128
enum pm_trace_domain {
    PM_TRACE_RAW = PM_DOMAIN_RAW,
    PM_TRACE_MEM = PM_DOMAIN_MEM,
    PM_TRACE_OBJECT = PM_DOMAIN_OBJECT,
    PM_TRACE_MALLOC,
    PM_TRACE_NEW,
    PM_TRACE_NEW_ARRAY,
    PM_TRACE_HEAP,
    PM_TRACE_DOMAINS
};
PM_API bool pm_trace_start(unsigned frames);
PM_API void pm_trace_stop(void);
PM_API bool pm_trace_is_on(void);
PM_API void pm_trace_clear(void);
PM_API unsigned pm_trace_limit(void);
#define PM_TRACE_SLACK_BYTES 16384
PM_API void pm_trace_memory(size_t *current, size_t *peak);
PM_API void pm_trace_reset_peak(void);
PM_API size_t pm_trace_own_bytes(void);
PM_API unsigned pm_trace_of(unsigned domain, const void *ptr, uintptr_t *frames, unsigned most,
                            size_t *bytes);
PM_API void pm_trace_report(const void *ptr);
PM_API bool pm_trace_track(unsigned domain, const void *ptr, size_t bytes);
PM_API bool pm_trace_untrack(unsigned domain, const void *ptr);
#ifdef __cplusplus
}
#endif
#endif
#ifndef POOLMALLOC_WALK_H
#define POOLMALLOC_WALK_H
#ifdef __cplusplus
extern "C" {
#endif
enum pm_walk_which { PM_WALK_THREAD, PM_WALK_PROCESS };
struct pm_walk_block {
    void *block;
    size_t bytes;
    bool large;
    bool mine;
    uint64_t thread;
    pm_user_heap *heap;
};
PM_API bool pm_walk_blocks(enum pm_walk_which which,
                           bool (*visit)(const struct pm_walk_block *block, void *arg), void *arg);
#ifdef __cplusplus
}
#endif
#endif
