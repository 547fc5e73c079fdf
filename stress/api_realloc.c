/* SPDX-License-Identifier: MIT */
/*
 * Conformance of realloc and reallocarray (api_test.h).
 */
#include "api_test.h"
#include "check.h"
#include "common.h"
#include "names.h"

#include <errno.h>
#include <stdint.h>

static const size_t ladder_top = REDUCED((size_t)64 << 20);

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void *must_realloc(void *block, size_t size)
{
    void *moved = api_realloc(block, size);
    CHECK(moved, "realloc to %zu bytes failed", size);
    size_t usable = api_usable_size(moved);
    CHECK(usable >= size, "realloc to %zu bytes gave %zu", size, usable);
    return moved;
}

void realloc_of_null_is_malloc(void)
{
    for (size_t size = 0; size < 3000; size += 7) {
        void *block = must_realloc(NULL, size);
        paint(block, size, 1);
        check_paint(block, size, 1);
        api_free(block);
    }
}

void realloc_to_zero_frees_and_returns_null(void)
{
    const size_t sizes[] = {0, 1, 100, 5000, 100000, 10 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *block = api_realloc(api_malloc(sizes[i]), opaque_size(0));
        CHECK(!block, "realloc(block of %zu, 0) gave %p", sizes[i], block);
        block = api_reallocarray(api_malloc(sizes[i]), opaque_size(0), 8);
        CHECK(!block, "reallocarray(block of %zu, 0, 8) gave %p", sizes[i], block);
    }
    /* that it frees: without it these would be 64 GiB */
    for (int i = 0; i < 4096; i++) {
        void *block = api_malloc(16 << 20);
        CHECK(block, "round %d: realloc to 0 does not free", i);
        block = api_realloc(block, opaque_size(0));
        CHECK(!block, "realloc to 0 gave %p", block);
    }
}

/* The whole contents are painted once per step, so a step of a tenth costs ten times the top. */
static void *climb(void *block, size_t *size, size_t to, size_t numerator, size_t denominator)
{
    while (*size != to) {
        size_t next = *size * numerator / denominator + 1;
        if (numerator > denominator ? next > to : next < to || next >= *size)
            next = to;
        block = must_realloc(block, next);
        check_paint(block, smaller(*size, next), 5);
        paint(block, next, 5);
        *size = next;
    }
    return block;
}

void realloc_keeps_contents_over_ladders(void)
{
    size_t size = 1;
    void *block = must_realloc(NULL, size);
    paint(block, size, 5);
    block = climb(block, &size, 64 * 1024, 9, 8);
    block = climb(block, &size, 1, 7, 8);
    block = climb(block, &size, ladder_top, 7, 4);
    block = climb(block, &size, 1, 3, 7);
    api_free(block);
}

/* Blocks live side by side, so that growing in place meets neighbours. */
void realloc_keeps_contents_over_random_walks(void)
{
    enum { count = 32 };
    void *blocks[count] = {NULL};
    size_t sizes[count] = {0};
    struct rng rng = rng_make(1, 1);
    for (int step = 0; step < REDUCED(6000); step++) {
        unsigned i = (unsigned)rng_below(&rng, count);
        size_t next = random_size(&rng, 1, step % 50 ? 32 * 1024 : 2 << 20);
        blocks[i] = must_realloc(blocks[i], next);
        check_paint(blocks[i], smaller(sizes[i], next), i);
        paint(blocks[i], next, i);
        sizes[i] = next;
    }
    for (unsigned i = 0; i < count; i++) {
        check_paint(blocks[i], sizes[i], i);
        api_free(blocks[i]);
    }
}

static void fail_to_realloc(size_t size)
{
    void *block = api_malloc(size);
    CHECK(block, "malloc(%zu) failed", size);
    paint(block, size, 9);
    const size_t too_much[] = {SIZE_MAX, SIZE_MAX - 4096, (size_t)PTRDIFF_MAX,
                               (size_t)PTRDIFF_MAX + 1};
    for (size_t i = 0; i < sizeof too_much / sizeof *too_much; i++) {
        errno = 0;
        void *moved = api_realloc(block, opaque_size(too_much[i]));
        CHECK(!moved, "realloc(block, %zu) gave %p", too_much[i], moved);
        CHECK(errno == ENOMEM, "realloc(block, %zu) set errno to %d", too_much[i], errno);
    }
    check_paint(block, size, 9);
    api_free(block);
}

void realloc_that_fails_leaves_the_block_alone(void)
{
    for (size_t size = 1; size <= 4 << 20; size *= 3)
        fail_to_realloc(size);
}

void reallocarray_multiplies_and_refuses_overflow(void)
{
    void *block = api_reallocarray(NULL, 10, 100);
    CHECK(block && api_usable_size(block) >= 1000, "reallocarray(NULL, 10, 100) gave %p", block);
    paint(block, 1000, 4);
    for (unsigned bits = 1; bits < 64; bits++) {
        size_t factor = (size_t)1 << bits;
        errno = 0;
        void *moved = api_reallocarray(block, opaque_size(factor), SIZE_MAX / factor + 1);
        CHECK(!moved, "reallocarray of 2^%u times too much gave %p", bits, moved);
        CHECK(errno == ENOMEM, "reallocarray of too much set errno to %d", errno);
        check_paint(block, 1000, 4);
    }
    block = api_reallocarray(block, 100, 100);
    CHECK(block, "reallocarray(block, 100, 100) failed");
    check_paint(block, 1000, 4);
    api_free(block);
}

void realloc_takes_aligned_blocks(void)
{
    for (size_t alignment = 16; alignment <= 1 << 20; alignment *= 4) {
        for (size_t size = 1; size <= 1 << 20; size *= 16) {
            void *block = api_aligned_alloc(alignment, size);
            CHECK(block, "aligned_alloc(%zu, %zu) failed", alignment, size);
            paint(block, size, 6);
            block = must_realloc(block, size * 2);
            check_paint(block, size, 6);
            block = must_realloc(block, size / 2 + 1);
            check_paint(block, smaller(size, size / 2 + 1), 6);
            api_free(block);
        }
    }
}
