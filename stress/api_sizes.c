/* SPDX-License-Identifier: MIT */
/*
 * Conformance of malloc, calloc, free, usable size, the sized frees and trim (api_test.h).
 */
#include "api_test.h"
#include "check.h"
#include "names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { mib = 1024 * 1024 };

static void *must_malloc(size_t size)
{
    void *block = api_malloc(size);
    CHECK(block, "malloc(%zu) failed", size);
    CHECK((uintptr_t)block % STRESS_MIN_ALIGNMENT == 0, "malloc(%zu) gave %p", size, block);
    return block;
}

static void three_neighbours_keep_their_contents(size_t size)
{
    void *blocks[3];
    for (unsigned i = 0; i < 3; i++) {
        blocks[i] = must_malloc(size);
        paint_ends(blocks[i], size, i);
    }
    for (unsigned i = 0; i < 3; i++)
        check_ends(blocks[i], size, i);
    for (unsigned i = 0; i < 3; i++)
        api_free(blocks[i]);
}

void malloc_gives_writable_distinct_blocks_of_every_size(void)
{
    for_each_border(16 * mib, three_neighbours_keep_their_contents);
}

void malloc_of_zero_gives_unique_pointers(void)
{
    enum { count = 1000 };
    static void *blocks[count];
    for (int i = 0; i < count; i++) {
        blocks[i] = i % 2 ? api_malloc(opaque_size(0)) : api_calloc(opaque_size(0), 8);
        CHECK(blocks[i], "a block of 0 bytes is NULL");
        for (int j = 0; j < i; j++)
            CHECK(blocks[j] != blocks[i], "%p was given out twice", blocks[i]);
    }
    for (int i = 0; i < count; i++)
        api_free(blocks[i]);
}

static void refuse_malloc(size_t size)
{
    errno = 0;
    void *block = api_malloc(opaque_size(size));
    CHECK(!block, "malloc(%zu) gave %p", size, block);
    CHECK(errno == ENOMEM, "malloc(%zu) set errno to %d", size, errno);
    errno = 0;
    block = api_calloc(1, opaque_size(size));
    CHECK(!block && errno == ENOMEM, "calloc(1, %zu) gave %p, errno %d", size, block, errno);
}

void malloc_of_too_much_fails_with_enomem(void)
{
    for (size_t below = 0; below <= 70000; below += below < 40 ? 1 : 997)
        refuse_malloc(SIZE_MAX - below);
    for (unsigned shift = 12; shift < 40; shift++)
        refuse_malloc(SIZE_MAX - ((size_t)1 << shift));
    for (size_t beside = 0; beside <= 64; beside++) {
        refuse_malloc((size_t)PTRDIFF_MAX + 1 + beside);
        refuse_malloc((size_t)PTRDIFF_MAX - beside);
    }
    three_neighbours_keep_their_contents(100); /* and the allocator still works */
}

static void whole_usable_size_keeps_contents(size_t size)
{
    void *blocks[3];
    for (unsigned i = 0; i < 3; i++) {
        blocks[i] = must_malloc(size);
        size_t usable = api_usable_size(blocks[i]);
        CHECK(usable >= size, "usable size %zu of %zu", usable, size);
        paint_ends(blocks[i], usable, i);
    }
    for (unsigned i = 0; i < 3; i++)
        check_ends(blocks[i], api_usable_size(blocks[i]), i);
    for (unsigned i = 0; i < 3; i++)
        api_free(blocks[i]);
}

void usable_size_is_wholly_writable(void)
{
    for_each_border(4 * mib, whole_usable_size_keeps_contents);
    CHECK(api_usable_size(NULL) == 0, "NULL has a usable size");
}

static void check_zero(const void *memory, size_t size)
{
    const unsigned char *bytes = memory;
    unsigned any = 0;
    for (size_t i = 0; i < size; i++)
        any |= bytes[i];
    CHECK(any == 0, "calloc of %zu bytes is not zero", size);
}

/* Several blocks, so that dirty memory comes back both as a block and as a whole pool or span. */
static void dirty_then_calloc(size_t size)
{
    enum { most = 20 };
    void *blocks[most];
    int count = size < 64 * 1024 ? most : 2;
    for (int i = 0; i < count; i++) {
        blocks[i] = must_malloc(size);
        memset(blocks[i], 0xff, api_usable_size(blocks[i]));
    }
    for (int i = 0; i < count; i++)
        api_free(blocks[i]);
    for (int i = 0; i < count; i++) {
        blocks[i] = i % 2 ? api_calloc(1, size) : api_calloc(size, 1);
        CHECK(blocks[i], "calloc of %zu bytes failed", size);
        check_zero(blocks[i], size);
    }
    for (int i = 0; i < count; i++)
        api_free(blocks[i]);
}

static void give_back(void)
{
#if !STRESS_STANDARD_NAMES
    pm_purge();
#endif
    api_trim(0);
}

void calloc_is_zero_after_dirty_reuse(void)
{
    for (int round = 0; round < 3; round++) {
        for_each_border(round == 0 ? 8 * mib : 64 * 1024, dirty_then_calloc);
        if (round > 0)
            give_back(); /* what was zeroed by the system must be known rightly, too */
    }
}

static void refuse_calloc(size_t count, size_t size)
{
    errno = 0;
    void *block = api_calloc(opaque_size(count), opaque_size(size));
    CHECK(!block, "calloc(%zu, %zu) gave %p", count, size, block);
    CHECK(errno == ENOMEM, "calloc(%zu, %zu) set errno to %d", count, size, errno);
}

void calloc_refuses_overflow(void)
{
    for (unsigned bits = 1; bits < 64; bits++) {
        size_t factor = (size_t)1 << bits;
        refuse_calloc(factor, SIZE_MAX / factor + 1);
        refuse_calloc(SIZE_MAX / factor + 1, factor);
        refuse_calloc(factor + 1, SIZE_MAX / factor + 1);
        refuse_calloc(SIZE_MAX, factor);
    }
    refuse_calloc(SIZE_MAX, SIZE_MAX);
    refuse_calloc((size_t)1 << 32, (size_t)1 << 32);
}

static void free_keeps_errno(size_t size)
{
    for (int value = 0; value < 40; value += 13) {
        void *block = must_malloc(size);
        errno = value;
        api_free(block);
        CHECK(errno == value, "free of %zu bytes changed errno from %d to %d", size, value, errno);
    }
}

void free_preserves_errno(void)
{
    for_each_border(64 * 1024, free_keeps_errno);
    for (size_t size = 128 * 1024; size <= (size_t)128 * mib; size *= 2)
        free_keeps_errno(size);
    errno = EDOM;
    api_free(NULL);
    CHECK(errno == EDOM, "free(NULL) changed errno");
}

void free_of_null_does_nothing(void)
{
    api_free(opaque_pointer(NULL));
    api_free_sized(opaque_pointer(NULL), 0);
    api_free_sized(opaque_pointer(NULL), 100);
    api_free_aligned_sized(opaque_pointer(NULL), 64, 128);
}

static void free_by_size(size_t size)
{
    void *block = must_malloc(size);
    paint_ends(block, size, 7);
    api_free_sized(block, size);
    block = api_calloc(1, size);
    CHECK(block, "calloc of %zu bytes failed", size);
    api_free_sized(block, size);
    block = api_realloc(NULL, size);
    CHECK(block, "realloc(NULL, %zu) failed", size);
    api_free_sized(block, size);
    for (size_t alignment = 8; alignment <= 8192; alignment *= 8) {
        block = api_aligned_alloc(alignment, size);
        CHECK(block, "aligned_alloc(%zu, %zu) failed", alignment, size);
        paint_ends(block, size, 7);
        api_free_aligned_sized(block, alignment, size);
    }
}

void sized_frees_take_the_size_asked_for(void)
{
    for_each_border(2 * mib, free_by_size);
    /* after a realloc, the size asked for is that of the realloc, wherever the block lies */
    for (size_t from = 32; from <= mib; from *= 2) {
        for (size_t to = 1; to <= mib; to *= 4) {
            void *block = api_realloc(must_malloc(from), to);
            CHECK(block, "realloc from %zu to %zu failed", from, to);
            api_free_sized(block, to);
        }
    }
}

void trim_leaves_live_blocks_alone(void)
{
    enum { count = 300 };
    static void *blocks[count];
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = must_malloc(i * 100);
        paint(blocks[i], i * 100, i);
    }
    for (unsigned i = 0; i < count; i += 2)
        api_free(blocks[i]);
    for (size_t pad = 0; pad <= mib; pad += mib) {
        int result = api_trim(pad);
        CHECK(result == 0 || result == 1, "malloc_trim(%zu) returned %d", pad, result);
        give_back();
    }
    for (unsigned i = 1; i < count; i += 2) {
        check_paint(blocks[i], i * 100, i);
        api_free(blocks[i]);
    }
}
