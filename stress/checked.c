/* SPDX-License-Identifier: MIT */
/* See checked.h; calls that look, and change nothing, are in checked_looks.c. */
#include "checked.h"
#include "check.h"
#include "checked_own.h"
#include "names.h"

#include <errno.h>
#include <unistd.h>

/* Decides by which sized call a block may be freed. */
enum maker { by_malloc, by_aligned_alloc, by_other };

static const char *const names[] = {
    [entry_malloc] = API_PREFIX "malloc",
    [entry_calloc] = API_PREFIX "calloc",
    [entry_realloc] = API_PREFIX "realloc",
    [entry_reallocarray] = API_PREFIX "reallocarray",
    [entry_aligned_alloc] = API_PREFIX "aligned_alloc",
    [entry_memalign] = API_PREFIX "memalign",
    [entry_posix_memalign] = API_PREFIX "posix_memalign",
    [entry_valloc] = API_PREFIX "valloc",
    [entry_pvalloc] = API_PREFIX "pvalloc",
    [entry_heap_malloc] = "pm_heap_malloc",
};

/* Volatile: compilers assume of these functions that the alignment is a power of two. */
static void *(*const volatile aligned_alloc_itself)(size_t, size_t) = api_aligned_alloc;
static void *(*const volatile memalign_itself)(size_t, size_t) = api_memalign;
static int (*const volatile posix_memalign_itself)(void **, size_t, size_t) = api_posix_memalign;

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static bool takes_alignment(enum entry entry)
{
    return entry == entry_aligned_alloc || entry == entry_memalign || entry == entry_posix_memalign;
}

/* The block that the request stands for, without address. */
static struct block promised(const struct request *request, uint64_t id)
{
    struct block block = {.size_bytes = request->size, .id = id, .maker = by_other};
    switch (request->entry) {
    case entry_calloc:
    case entry_reallocarray:
        block.size_bytes *= request->count;
        block.maker = by_malloc;
        break;
    case entry_malloc:
    case entry_realloc:
    case entry_heap_malloc:
        block.maker = by_malloc;
        break;
    case entry_aligned_alloc:
        block.maker = by_aligned_alloc;
        break;
    case entry_pvalloc: /* whole pages, one for nothing */
        block.size_bytes += !block.size_bytes;
        block.size_bytes = (block.size_bytes + page_bytes() - 1) / page_bytes() * page_bytes();
        break;
    default:
        break;
    }
    bool of_pages = request->entry == entry_valloc || request->entry == entry_pvalloc;
    if (takes_alignment(request->entry) || of_pages)
        block.alignment = of_pages ? page_bytes() : request->alignment;
    return block;
}

/* errno stands for the result, as with the other calls. */
static void *call_posix_memalign(size_t alignment, size_t size)
{
    void *const untouched = &(char){0};
    void *result = untouched;
    int code = posix_memalign_itself(&result, alignment, size);
    CHECK(errno == errno_before, "posix_memalign(%zu, %zu) set errno to %d", alignment, size,
          errno);
    CHECK(!code == (result != untouched), "posix_memalign(%zu, %zu) returned %d and stored %p",
          alignment, size, code, result);
    CHECK(code || result, "posix_memalign(%zu, %zu) succeeded with NULL", alignment, size);
    if (code)
        errno = code;
    return code ? NULL : result;
}

static void *resize(const struct request *request, void *block)
{
    errno = errno_before;
    if (request->entry == entry_reallocarray)
        return api_reallocarray(block, request->count, request->size);
    return api_realloc(block, request->size);
}

static void *make(const struct request *request)
{
    errno = errno_before;
    switch (request->entry) {
    case entry_malloc:
        return api_malloc(request->size);
    case entry_calloc:
        return api_calloc(request->count, request->size);
    case entry_aligned_alloc:
        return aligned_alloc_itself(request->alignment, request->size);
    case entry_memalign:
        return memalign_itself(request->alignment, request->size);
    case entry_posix_memalign:
        return call_posix_memalign(request->alignment, request->size);
    case entry_valloc:
        return api_valloc(request->size);
    case entry_pvalloc:
        return api_pvalloc(request->size);
    case entry_heap_malloc:
        return shared_heap_malloc(request->size);
    default:
        return resize(request, NULL);
    }
}

static void errno_is(int expected, const struct request *request)
{
    CHECK(errno == expected, "%s of %zu bytes (count %zu, alignment %zu) left errno %d, not %d",
          names[request->entry], request->size, request->count, request->alignment, errno,
          expected);
}

bool checked_make(const struct request *request, uint64_t id, struct block *block)
{
    *block = promised(request, id);
    block->address = make(request);
    errno_is(block->address ? errno_before : ENOMEM, request);
    if (!block->address)
        return false;
    checked_usable(block);
    if (request->entry == entry_calloc)
        shadow_check_zero(block);
    shadow_add(block);
    return true;
}

static void refused(const struct request *request, const void *result, int error)
{
    CHECK(!result, "%s of %zu bytes (count %zu, alignment %zu) cannot be met, and gave %p",
          names[request->entry], request->size, request->count, request->alignment, result);
    errno_is(error, request);
}

void checked_refusal(const struct request *request, int error)
{
    refused(request, make(request), error);
}

bool checked_resize(struct block *block, const struct request *request, uint64_t id)
{
    struct block now = promised(request, id);
    now.hops = block->hops;
    shadow_remove(block);
    now.address = resize(request, block->address);
    errno_is(now.address ? errno_before : ENOMEM, request);
    if (!now.address) {
        shadow_restore(block);
        return false;
    }
    shadow_resized(block, &now);
    *block = now;
    return true;
}

/* The block is checked as a whole: a realloc that fails has moved and lost nothing. */
void checked_resize_refusal(const struct block *block, const struct request *request)
{
    shadow_remove(block);
    refused(request, resize(request, block->address), ENOMEM);
    shadow_restore(block);
}

void checked_free(const struct block *block, bool sized)
{
    shadow_remove(block);
    errno = errno_before;
    if (sized && block->maker == by_malloc)
        api_free_sized(block->address, block->size_bytes);
    else if (sized && block->maker == by_aligned_alloc)
        api_free_aligned_sized(block->address, block->alignment, block->size_bytes);
    else
        api_free(block->address);
    CHECK(errno == errno_before, "free of %zu bytes set errno to %d", block->size_bytes, errno);
}

void checked_free_by_realloc(const struct block *block, const struct request *request)
{
    shadow_remove(block);
    void *left = resize(request, block->address);
    CHECK(!left, "realloc of %zu bytes to nothing gave %p", block->size_bytes, left);
    errno_is(errno_before, request);
}

void checked_use_all(struct block *block, uint64_t id)
{
    size_t usable = checked_usable(block);
    shadow_remove(block);
    block->size_bytes = usable;
    block->id = id;
    block->maker = by_other; /* no sized call may name another size than was asked for */
    shadow_add(block);
}
