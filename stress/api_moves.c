/* SPDX-License-Identifier: MIT */
/*
 * realloc and reallocarray between all kinds of sizes, of blocks of every maker (api_test.h).
 */
#include "api_makers.h"
#include "api_test.h"
#include "check.h"
#include "names.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

enum { wholly = 32 * 1024, stride = 509, near_border = 600 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Every byte of what is small. Of what is large the start, the place where the kept part ends, and
 * some bytes of each page: large blocks are moved page by page. */
static void paint_parts(void *memory, size_t size, size_t kept)
{
    unsigned char *bytes = memory;
    size_t edge = smaller(kept, near_border);
    if (size > wholly) {
        for (size_t i = 0; i < size; i += stride)
            bytes[i] = (unsigned char)(i / stride + 1);
        paint(bytes, near_border, 6);
        paint(bytes + kept - edge, edge, 7);
    } else {
        paint(bytes, size, 6);
    }
}

static void check_parts(const void *memory, size_t size, size_t kept)
{
    const unsigned char *bytes = memory;
    size_t edge = smaller(kept, near_border);
    if (size > wholly) {
        check_paint(bytes, kept < 2 * near_border ? 0 : near_border, 6);
        check_paint(bytes + kept - edge, edge, 7);
        for (size_t i = 0; i < kept; i += stride)
            CHECK(bytes[i] == (unsigned char)(i / stride + 1) || i < near_border ||
                      i + near_border >= kept,
                  "byte %zu of %zu that were kept of %zu is %#x", i, kept, size, bytes[i]);
    } else {
        check_paint(bytes, kept, 6);
    }
}

static void resize(const struct maker *maker, size_t from, size_t to)
{
    void *block = must_make(maker, 256, from);
    paint_parts(block, from, smaller(from, to));
    void *moved = to % 2 ? api_realloc(block, to) : api_reallocarray(block, to / 2, 2);
    CHECK(moved, "%s block: realloc from %zu to %zu failed", maker->name, from, to);
    CHECK((uintptr_t)moved % STRESS_MIN_ALIGNMENT == 0, "realloc to %zu gave %p", to, moved);
    size_t usable = api_usable_size(moved);
    CHECK(usable >= to, "realloc from %zu to %zu gave %zu usable bytes", from, to, usable);
    check_parts(moved, from, smaller(from, to));
    api_free(moved);
}

void contents_are_kept_from_every_kind_of_size_to_every_other(void)
{
    for (size_t from = 0; from < kind_count; from++)
        for (size_t to = 0; to < kind_count; to++)
            resize(&makers[0], kinds[from], kinds[to]);
}

void blocks_of_every_maker_are_resized(void)
{
    for (const struct maker *maker = makers + 1; maker < makers + maker_count; maker++)
        for (size_t from = 0; from < kind_count; from += 3)
            for (size_t to = 1; to < kind_count; to += 3)
                resize(maker, kinds[from], kinds[to]);
}

enum { SURELY_IN_A_POOL = 4096 };

/* poolmalloc.h: when the new size fits the block and is at least half of it, of a large block over
 * three quarters of it. */
void a_block_stays_where_it_is_when_the_documentation_says_so(void)
{
    if (!allocator_is_the_pools())
        return;
    for (size_t i = 0; i < kind_count; i++) {
        char *block = must_make(&makers[0], 0, kinds[i]);
        size_t usable = api_usable_size(block);
        uintptr_t address = (uintptr_t)block;
        const size_t sizes[] = {usable - usable / 4 + 1, usable, usable - usable / 8, usable - 1,
                                usable <= SURELY_IN_A_POOL ? usable - usable / 2 : usable};
        for (int s = 0; s < 5; s++) {
            if (sizes[s] == 0 || sizes[s] > usable)
                continue;
            block = api_realloc(block, sizes[s]);
            CHECK((uintptr_t)block == address, "realloc of %zu usable bytes to %zu moved the block",
                  usable, sizes[s]);
            CHECK(api_usable_size(block) >= sizes[s], "usable size of %zu after realloc to %zu",
                  api_usable_size(block), sizes[s]);
            if (api_usable_size(block) != usable)
                break; /* a large block became smaller where it is */
        }
        api_free(block);
    }
}

static void refuse(void *block, size_t count, size_t size, bool product)
{
    errno = 0;
    void *moved = product ? api_reallocarray(block, opaque_size(count), opaque_size(size))
                          : api_realloc(block, opaque_size(size));
    CHECK(!moved, "a realloc to %zu times %zu gave %p", count, size, moved);
    CHECK(errno == ENOMEM, "a realloc to %zu times %zu failed with %d", count, size, errno);
}

void refused_reallocs_leave_blocks_of_every_kind_alone(void)
{
    const size_t sizes[] = {
        SIZE_MAX,        SIZE_MAX - 1,   SIZE_MAX - 4096, PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1,
        PTRDIFF_MAX - 8, (size_t)1 << 62};
    for (const struct maker *maker = makers; maker < makers + maker_count; maker++) {
        for (size_t i = 0; i < kind_count; i++) {
            void *block = must_make(maker, 4096, kinds[i]);
            size_t usable = api_usable_size(block);
            paint_ends(block, kinds[i], 8);
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
                refuse(block, 1, sizes[s], false);
                refuse(block, 1, sizes[s], true);
                refuse(block, sizes[s], 4, true);
            }
            refuse(block, (size_t)1 << 32, (size_t)1 << 32, true);
            CHECK(api_usable_size(block) == usable, "a refused realloc changed the usable size");
            check_ends(block, kinds[i], 8);
            api_free(block);
        }
    }
}

/* As glibc does; of reallocarray too, whichever factor is zero. */
void every_product_of_zero_frees_and_returns_null(void)
{
    const size_t factors[][2] = {{0, 0}, {0, 1}, {1, 0}, {0, SIZE_MAX}, {SIZE_MAX, 0}};
    for (const struct maker *maker = makers; maker < makers + maker_count; maker++) {
        for (size_t i = 0; i < kind_count; i++) {
            for (int f = 0; f < 5; f++) {
                void *block = must_make(maker, 64, kinds[i]);
                errno = EDOM;
                block =
                    api_reallocarray(block, opaque_size(factors[f][0]), opaque_size(factors[f][1]));
                CHECK(!block, "reallocarray to %zu times %zu gave %p", factors[f][0], factors[f][1],
                      block);
                CHECK(errno == EDOM, "reallocarray to nothing set errno to %d", errno);
            }
        }
    }
}
