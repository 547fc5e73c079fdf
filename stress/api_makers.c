/* SPDX-License-Identifier: MIT */
/* See api_makers.h. */
#include "api_makers.h"
#include "api_test.h"
#include "check.h"
#include "names.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

/* Every size and alignment goes through opaque_size: a compiler knows these functions by their
 * names, and warns of, or folds, what is wrong on purpose. */

static void *by_malloc(size_t alignment, size_t size)
{
    (void)alignment;
    return api_malloc(opaque_size(size));
}

static void *by_calloc(size_t alignment, size_t size)
{
    (void)alignment;
    return api_calloc(1, opaque_size(size));
}

static void *by_realloc(size_t alignment, size_t size)
{
    (void)alignment;
    return api_realloc(opaque_pointer(NULL), opaque_size(size));
}

static void *by_reallocarray(size_t alignment, size_t size)
{
    (void)alignment;
    return api_reallocarray(opaque_pointer(NULL), opaque_size(size), 1);
}

static void *by_aligned_alloc(size_t alignment, size_t size)
{
    return opaque_pointer(api_aligned_alloc(opaque_size(alignment), opaque_size(size)));
}

static void *by_memalign(size_t alignment, size_t size)
{
    return opaque_pointer(api_memalign(opaque_size(alignment), opaque_size(size)));
}

static void *by_posix_memalign(size_t alignment, size_t size)
{
    int target;
    void *block = &target;
    int before = errno;
    int code = api_posix_memalign(&block, opaque_size(alignment), opaque_size(size));
    CHECK(errno == before, "posix_memalign(%zu, %zu) changed errno from %d to %d", alignment, size,
          before, errno);
    if (code == 0)
        return block;
    CHECK(block == &target, "posix_memalign(%zu, %zu) failed and stored %p", alignment, size,
          block);
    errno = code;
    return NULL;
}

static void *by_valloc(size_t alignment, size_t size)
{
    (void)alignment;
    return opaque_pointer(api_valloc(opaque_size(size)));
}

static void *by_pvalloc(size_t alignment, size_t size)
{
    (void)alignment;
    return opaque_pointer(api_pvalloc(opaque_size(size)));
}

const struct maker makers[maker_count] = {
    {"malloc", by_malloc, 0, by_errno, false},
    {"calloc", by_calloc, 0, by_errno, false},
    {"realloc", by_realloc, 0, by_errno, false},
    {"reallocarray", by_reallocarray, 0, by_errno, false},
    {"aligned_alloc", by_aligned_alloc, 1, by_errno, false},
    {"memalign", by_memalign, 1, by_errno, false},
    {"posix_memalign", by_posix_memalign, sizeof(void *), by_code, false},
    {"valloc", by_valloc, 0, by_errno, true},
    {"pvalloc", by_pvalloc, 0, by_errno, true},
};

static size_t alignment_of(const struct maker *maker, size_t asked)
{
    if (maker->pages)
        return (size_t)sysconf(_SC_PAGESIZE);
    if (maker->least_alignment == 0 || asked < STRESS_MIN_ALIGNMENT)
        return STRESS_MIN_ALIGNMENT;
    return asked;
}

void *must_make(const struct maker *maker, size_t alignment, size_t size)
{
    void *block = maker->make(alignment, size);
    CHECK(block, "%s of %zu bytes, alignment %zu: failed, errno %d", maker->name, size, alignment,
          errno);
    size_t wanted = alignment_of(maker, alignment);
    CHECK((uintptr_t)block % wanted == 0, "%s of %zu bytes: %p is not aligned to %zu", maker->name,
          size, block, wanted);
    size_t usable = api_usable_size(block);
    CHECK(usable >= size, "%s of %zu bytes: %zu are usable", maker->name, size, usable);
    return block;
}

static void to_free(void *block, size_t alignment, size_t size)
{
    (void)alignment, (void)size;
    api_free(block);
}

static void to_realloc_zero(void *block, size_t alignment, size_t size)
{
    (void)alignment, (void)size;
    CHECK(!api_realloc(block, opaque_size(0)), "realloc to 0 gave a block");
}

static void to_realloc_growing(void *block, size_t alignment, size_t size)
{
    (void)alignment;
    block = api_realloc(block, size * 2 + 1);
    CHECK(block, "realloc from %zu to twice as much failed", size);
    api_free(block);
}

static void to_reallocarray_shrinking(void *block, size_t alignment, size_t size)
{
    (void)alignment;
    block = api_reallocarray(block, size / 3 + 1, 1);
    CHECK(block, "reallocarray from %zu to a third failed", size);
    api_free(block);
}

static void to_free_sized(void *block, size_t alignment, size_t size)
{
    (void)alignment;
    api_free_sized(block, size);
}

static void to_free_aligned_sized(void *block, size_t alignment, size_t size)
{
    api_free_aligned_sized(block, alignment, size);
}

static bool any(const struct maker *maker)
{
    (void)maker;
    return true;
}

/* C23 7.24.3.4: from malloc, calloc or realloc. */
static bool by_size_alone(const struct maker *maker)
{
    return maker->least_alignment == 0 && !maker->pages;
}

/* C23 7.24.3.5: from aligned_alloc. */
static bool by_aligned_alloc_alone(const struct maker *maker)
{
    return strcmp(maker->name, "aligned_alloc") == 0;
}

const struct taker takers[taker_count] = {
    {"free", to_free, any},
    {"realloc to 0", to_realloc_zero, any},
    {"realloc that grows", to_realloc_growing, any},
    {"reallocarray that shrinks", to_reallocarray_shrinking, any},
    {"free_sized", to_free_sized, by_size_alone},
    {"free_aligned_sized", to_free_aligned_sized, by_aligned_alloc_alone},
};

#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)
const size_t kinds[] = {
    1,          8,          9,           16,         24,         100,      512,     513,
    1000,       KIB(1) + 1, KIB(4),      KIB(8),     KIB(8) + 1, KIB(15),  KIB(16), KIB(32),
    KIB(40),    KIB(64),    KIB(64) + 1, KIB(100),   KIB(252),   KIB(260), MIB(1),  MIB(2) - 1,
#if !STRESS_REDUCED
    MIB(2) + 1, MIB(3),     MIB(4),      MIB(9) + 5,
#endif
};
const size_t kind_count = sizeof kinds / sizeof *kinds;
