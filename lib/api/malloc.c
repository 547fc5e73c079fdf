/* SPDX-License-Identifier: MIT */
/*
 * The malloc family, under pm_ names and, where PM_OVERRIDE says so, under the C library's. All of
 * it is in this file, so that a static link takes all or nothing; what it needs besides is named at
 * the end. Any thread.
 */
#include "api/alias.h"
#include "api/blocks.h"
#include "base/report.h"
#include "heap/fast.h"
#include "heap/user.h"
#include "os/os.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>
#include <string.h>

/* The fast paths start a line: a pair of calls took a quarter longer where free began in the middle
 * of one. */
#define FAST __attribute__((aligned(PM_LINE_BYTES)))

FAST void *pm_malloc(size_t size)
{
    return told(pm_thread_malloc(padded(size)), size);
}

FAST void pm_free(void *ptr)
{
    pm_thread_free(ptr, "free");
}

void *pm_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (pm_unlikely(__builtin_mul_overflow(count, size, &bytes)))
        return fail(ENOMEM);
    size_t room = padded(bytes);
    if (pm_unlikely(room - 1 >= PM_DIRECT_MAX)) /* 0 too */
        return told_zero(pm_thread_calloc_medium(room), bytes);
    void *block = pm_thread_try_malloc(room - 1);
    if (pm_unlikely(block == NULL))
        return told_zero(pm_thread_calloc_medium(room), bytes);
    clear_block(told(block, bytes), bytes - 1);
    return block;
}

/* A block of a user heap stays in its heap. */
static void *alloc_beside(const void *ptr, size_t have, size_t size, const char *function)
{
    struct pm_user_heap *heap = pm_user_of(ptr, function);
    if (pm_likely(heap == NULL))
        return size > have ? told(pm_thread_malloc_to_grow(ptr, padded(size)), size)
                           : pm_malloc(size);
    return told(pm_user_alloc(heap, padded(size), 1, false, function), size);
}

/* The end of a move. */
PM_INLINE void *replace(void *ptr, size_t have, void *block, size_t size, const char *function)
{
    pm_asan_unpoison(ptr, have);
    memcpy(block, ptr, have < size ? have : size);
    pm_thread_free(ptr, function);
    return block;
}

static PM_NOINLINE void *move(void *ptr, size_t have, size_t size, const char *function)
{
    void *block = NULL;
    if (have >= PM_MOVE_MIN_BYTES && !PM_VALGRIND) /* it does not know such moves */
        block = pm_heap_move_large(ptr, padded(size), function);
    if (block != NULL)
        return told(block, size);
    int saved_errno = errno;
    block = alloc_beside(ptr, have, size, function);
    if (block == NULL && size <= have) { /* callers do not expect that less is refused */
        errno = saved_errno;
        return told(ptr, size);
    }
    if (block == NULL)
        return NULL;
    return replace(ptr, have, block, size, function);
}

/* The same of a block in a pool that no user heap and no watch has to do with. */
static PM_NOINLINE void *move_pooled(void *ptr, size_t have, size_t size, const char *function)
{
    have -= PM_ASAN_REDZONE_BYTES;
    void *block = NULL;
    if (pm_unlikely(padded(size) > PM_DIRECT_MAX && size > have))
        block = pm_thread_malloc_to_grow(ptr, padded(size));
    else
        block = pm_thread_malloc_at_hand(padded(size));
    if (pm_unlikely(block == NULL))
        return move(ptr, have, size, function);
    return replace(ptr, have, told(block, size), size, function);
}

static PM_NOINLINE void *resize(void *ptr, size_t size, const char *function)
{
    if (ptr == NULL)
        return pm_malloc(size);
    if (size == 0) {
        pm_thread_free(ptr, function);
        return NULL;
    }
    if (size > PTRDIFF_MAX)
        return fail(ENOMEM);
    const struct pm_watch *watch = pm_watch_asked();
    if (pm_unlikely(watch != NULL))
        return told(pm_watch_resize(watch, ptr, padded(size), function), size);
    size_t pooled = PM_VALGRIND ? 0 : pm_heap_pooled_bytes(ptr);
    if (pooled != 0 ? pm_heap_stays(pooled, padded(size))
                    : pm_heap_resize(ptr, padded(size), function))
        return told(ptr, size);
    if (pooled != 0)
        return move_pooled(ptr, pooled, size, function);
    return move(ptr, usable_of(ptr, function), size, function);
}

void *pm_realloc(void *ptr, size_t size)
{
    const struct pm_pool *pool = PM_VALGRIND ? NULL : pm_thread_own_pool(ptr);
    if (pm_unlikely(pool == NULL || size - 1 >= PTRDIFF_MAX)) /* 0 too */
        return resize(ptr, size, "realloc");
    if (pm_heap_stays(pool->block_bytes, padded(size)))
        return told(ptr, size);
    return move_pooled(ptr, pool->block_bytes, size, "realloc");
}

void *pm_reallocarray(void *ptr, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return fail(ENOMEM);
    return resize(ptr, bytes, "reallocarray");
}

void *pm_memalign(size_t alignment, size_t size)
{
    if (pm_unlikely(!pm_is_pow2(alignment)))
        return fail(EINVAL);
    void *block = pm_thread_aligned_at_hand(padded(size), alignment);
    if (pm_likely(block != NULL))
        return told(block, size);
    if (size > PTRDIFF_MAX || alignment > PTRDIFF_MAX)
        return fail(ENOMEM);
    return told(pm_thread_malloc_aligned(padded(size), alignment), size);
}

void *pm_aligned_alloc(size_t alignment, size_t size)
{
    return pm_memalign(alignment, size);
}

static PM_NOINLINE int posix_memalign_slow(void **ptr, size_t alignment, size_t size)
{
    if (!pm_is_pow2(alignment) || alignment % sizeof(void *) != 0)
        return EINVAL;
    int saved_errno = errno;
    void *block = pm_memalign(alignment, size);
    errno = saved_errno;
    if (block == NULL)
        return ENOMEM;
    *ptr = block;
    return 0;
}

int pm_posix_memalign(void **ptr, size_t alignment, size_t size)
{
    /* More than one bit, or one below a pointer's size. 0 has neither, and nothing at hand. */
    bool wrong = (alignment & ((alignment - 1) | (sizeof(void *) - 1))) != 0;
    void *block = pm_unlikely(wrong) ? NULL : pm_thread_aligned_at_hand(padded(size), alignment);
    if (pm_unlikely(block == NULL))
        return posix_memalign_slow(ptr, alignment, size);
    *ptr = told(block, size);
    return 0;
}

void *pm_valloc(size_t size)
{
    return pm_memalign(pm_os_page_bytes(), size);
}

void *pm_pvalloc(size_t size)
{
    size_t page = pm_os_page_bytes();
    if (size > PTRDIFF_MAX - page)
        return fail(ENOMEM);
    return pm_memalign(page, pm_align_up(size ? size : 1, page));
}

size_t pm_malloc_usable_size(void *ptr)
{
    if (ptr == NULL)
        return 0;
    size_t usable = usable_of(ptr, "malloc_usable_size");
    pm_asan_unpoison(ptr, usable); /* the caller may use all of it now */
    return usable;
}

void pm_free_sized(void *ptr, size_t size)
{
    free_told(ptr, 1, size, PM_MAKER_MALLOC, "free_sized");
}

void pm_free_aligned_sized(void *ptr, size_t alignment, size_t size)
{
    free_told(ptr, alignment, size, PM_MAKER_MALLOC, "free_aligned_sized");
}

bool pm_thread_idle(void)
{
    return pm_heap_idle();
}

bool pm_purge(void)
{
    pm_heap_trim();
    return pm_arena_purge_all();
}

int pm_malloc_trim(size_t keep)
{
    (void)keep;
    return pm_purge();
}

#if PM_OVERRIDE
void *malloc(size_t size) SAME_AS(pm_malloc);
void free(void *ptr) SAME_AS(pm_free);
void *calloc(size_t count, size_t size) SAME_AS(pm_calloc);
void *realloc(void *ptr, size_t size) SAME_AS(pm_realloc);
void *reallocarray(void *ptr, size_t count, size_t size) SAME_AS(pm_reallocarray);
void *aligned_alloc(size_t alignment, size_t size) SAME_AS(pm_aligned_alloc);
void *memalign(size_t alignment, size_t size) SAME_AS(pm_memalign);
int posix_memalign(void **ptr, size_t alignment, size_t size) SAME_AS(pm_posix_memalign);
void *valloc(size_t size) SAME_AS(pm_valloc);
void *pvalloc(size_t size) SAME_AS(pm_pvalloc);
size_t malloc_usable_size(void *ptr) SAME_AS(pm_malloc_usable_size);
int malloc_trim(size_t keep) SAME_AS(pm_malloc_trim);
void free_sized(void *ptr, size_t size) SAME_AS(pm_free_sized);
void free_aligned_sized(void *ptr, size_t alignment, size_t size) SAME_AS(pm_free_aligned_sized);
/* tcmalloc's names for the same: see tcmalloc.h. */
void *tc_malloc(size_t size) SAME_AS(pm_malloc);
void tc_free(void *ptr) SAME_AS(pm_free);
void *tc_calloc(size_t count, size_t size) SAME_AS(pm_calloc);
void *tc_realloc(void *ptr, size_t size) SAME_AS(pm_realloc);
void *tc_memalign(size_t alignment, size_t size) SAME_AS(pm_memalign);
int tc_posix_memalign(void **ptr, size_t alignment, size_t size) SAME_AS(pm_posix_memalign);
void *tc_valloc(size_t size) SAME_AS(pm_valloc);
void *tc_pvalloc(size_t size) SAME_AS(pm_pvalloc);
size_t tc_malloc_size(void *ptr) SAME_AS(pm_malloc_usable_size);
#endif

/* Refers to the start-up file, to the rest of the C library's names, to what options start of the
 * tools, and to the modes, so that a static link takes them along. */
extern const char pm_process_linked, pm_gnu_linked, pm_stats_report_linked, pm_profile_linked;
const void *const pm_malloc_needs[] PM_HIDDEN = {&pm_process_linked, &pm_gnu_linked,
                                                 &pm_stats_report_linked, &pm_profile_linked,
                                                 (const void *)pm_watch_at_start};
