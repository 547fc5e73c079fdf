/* SPDX-License-Identifier: MIT */
/*
 * Sizes and products that no block can have, by every entry point (api_test.h).
 */
#include "api_makers.h"
#include "api_test.h"
#include "check.h"
#include "names.h"

#include <errno.h>
#include <stdint.h>

static const size_t half = (size_t)PTRDIFF_MAX;

static void refuse(const struct maker *maker, size_t alignment, size_t size)
{
    errno = 0;
    void *block = maker->make(alignment, size);
    CHECK(!block, "%s of %zu bytes gave %p", maker->name, size, block);
    CHECK(errno == ENOMEM, "%s of %zu bytes failed with %d", maker->name, size, errno);
}

void every_maker_refuses_what_is_larger_than_an_object_may_be(void)
{
    for (const struct maker *maker = makers; maker < makers + maker_count; maker++) {
        for (size_t away = 0; away <= 4100; away++) {
            refuse(maker, 64, SIZE_MAX - away);
            refuse(maker, 64, half + 1 + away);
            refuse(maker, 64, half - away); /* an object may be that large, but no memory is */
        }
        for (unsigned bits = 12; bits < 63; bits++) {
            refuse(maker, 64, SIZE_MAX - ((size_t)1 << bits));
            refuse(maker, 64, half + ((size_t)1 << bits));
            refuse(maker, 64, ((size_t)1 << bits) - 1 + half + 1);
        }
        api_free(must_make(maker, 64, 100)); /* it still works */
    }
}

static void refuse_product(size_t count, size_t size)
{
    static void *block;
    if (!block)
        block = api_malloc(100);
    paint(block, 100, 3);
    errno = 0;
    void *product = api_calloc(opaque_size(count), opaque_size(size));
    CHECK(!product && errno == ENOMEM, "calloc(%zu, %zu) gave %p, errno %d", count, size, product,
          errno);
    errno = 0;
    product = api_reallocarray(opaque_pointer(NULL), opaque_size(count), opaque_size(size));
    CHECK(!product && errno == ENOMEM, "reallocarray(NULL, %zu, %zu) gave %p, errno %d", count,
          size, product, errno);
    errno = 0;
    product = api_reallocarray(block, opaque_size(count), opaque_size(size));
    CHECK(!product && errno == ENOMEM, "reallocarray(block, %zu, %zu) gave %p, errno %d", count,
          size, product, errno);
    check_paint(block, 100, 3);
}

static void refuse_both_ways(size_t count, size_t size)
{
    refuse_product(count, size);
    refuse_product(size, count);
}

/* Products that wrap to 0, to little, and to much; and those just above what an object may be. */
void products_that_overflow_are_refused_in_either_order(void)
{
    for (unsigned bits = 1; bits < 64; bits++) {
        size_t factor = (size_t)1 << bits;
        size_t least = SIZE_MAX / factor + 1; /* the product is 0 */
        for (size_t more = 0; more < 40; more++)
            refuse_both_ways(factor, least + more);
        refuse_both_ways(factor - 1, SIZE_MAX / (factor - 1)); /* little below, no overflow */
        refuse_both_ways(factor + 1, SIZE_MAX / (factor + 1) + 1);
        refuse_both_ways(factor, half / factor + 1); /* no overflow */
        refuse_both_ways(factor, SIZE_MAX);
        refuse_both_ways(factor, half);
    }
    const size_t root = (size_t)1 << 32;
    for (size_t i = 0; i < 64; i++) {
        refuse_both_ways(root + i, root);
        refuse_both_ways(root + i, root - i);
        refuse_both_ways(root - 1 - i, root + 2 + i); /* about SIZE_MAX, on either side */
    }
    refuse_both_ways(SIZE_MAX, SIZE_MAX);
    refuse_both_ways(3, 6148914691236517206u); /* wraps to 2 */
}

void a_product_with_zero_is_a_block_of_zero_bytes(void)
{
    const size_t others[] = {0, 1, 16, half, half + 1, SIZE_MAX};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        void *blocks[] = {
            api_calloc(opaque_size(0), opaque_size(others[i])),
            api_calloc(opaque_size(others[i]), opaque_size(0)),
            api_reallocarray(opaque_pointer(NULL), opaque_size(0), opaque_size(others[i])),
            api_reallocarray(opaque_pointer(NULL), opaque_size(others[i]), opaque_size(0)),
        };
        for (int b = 0; b < 4; b++) {
            CHECK(blocks[b], "call %d: 0 times %zu gave nothing, errno %d", b, others[i], errno);
            for (int other = 0; other < b; other++)
                CHECK(blocks[b] != blocks[other], "0 times %zu gave %p twice", others[i],
                      blocks[b]);
        }
        for (int b = 0; b < 4; b++)
            api_free(blocks[b]);
    }
}

/* Address space alone: nothing is touched but the ends. */
void very_large_requests_are_served_or_refused_with_enomem(void)
{
    for (const struct maker *maker = makers; maker < makers + maker_count; maker++) {
        if (maker->make == makers[1].make)
            continue; /* calloc may have to write all of it */
        for (unsigned bits = 26; bits < (STRESS_REDUCED ? 29 : 38); bits++) {
            size_t size = ((size_t)1 << bits) + 1;
            errno = 0;
            char *block = maker->make(64, size);
            CHECK(block || errno == ENOMEM, "%s of %zu bytes failed with %d", maker->name, size,
                  errno);
            if (!block)
                continue;
            CHECK(api_usable_size(block) >= size, "%s of %zu bytes has %zu", maker->name, size,
                  api_usable_size(block));
            block[0] = block[size - 1] = 1;
            api_free(block);
        }
    }
}
