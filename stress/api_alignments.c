/* SPDX-License-Identifier: MIT */
/*
 * Alignments from 1 byte to 4 GiB and beyond, powers of two and others (api_test.h).
 */
#include "api_makers.h"
#include "api_test.h"
#include "check.h"
#include "names.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

static const size_t granted_always = (size_t)64 << 20;
static const unsigned highest_bits = 32;

static bool takes_alignments(const struct maker *maker)
{
    return maker->least_alignment > 0;
}

/* True: there was an address for it. */
static bool one_aligned(const struct maker *maker, size_t alignment, size_t size)
{
    errno = 0;
    char *block = maker->make(alignment, size);
    if (!block) {
        CHECK(errno == ENOMEM && alignment > granted_always, "%s(%zu, %zu) failed with errno %d",
              maker->name, alignment, size, errno);
        return false;
    }
    CHECK(((uintptr_t)block & (alignment - 1)) == 0, "%s(%zu, %zu) gave %p", maker->name, alignment,
          size, (void *)block);
    size_t usable = api_usable_size(block);
    CHECK(usable >= size, "%s(%zu, %zu): %zu usable bytes", maker->name, alignment, size, usable);
    paint_ends(block, size, 4);
    check_ends(block, size, 4);
    api_free(block);
    return true;
}

/* The size need not be a multiple of the alignment (C17 asked for that, C23 does not). */
void alignments_up_to_4_gib_are_kept(void)
{
    const size_t sizes[] = {0, 1, 17, 4095, 65537, 3 << 20};
    size_t asked = 0, granted = 0;
    for (unsigned bits = 0; bits <= highest_bits; bits++) {
        for (const struct maker *maker = makers; maker < makers + maker_count; maker++) {
            if (!takes_alignments(maker) || (size_t)1 << bits < maker->least_alignment)
                continue;
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++, asked++)
                granted += one_aligned(maker, (size_t)1 << bits, sizes[i]);
        }
    }
    printf("  %zu of %zu requests had an address\n", granted, asked);
}

static void refuse(const struct maker *maker, size_t alignment, size_t size, int error)
{
    errno = 0;
    void *block = maker->make(alignment, size);
    CHECK(!block, "%s(%zu, %zu) gave %p", maker->name, alignment, size, block);
    CHECK(errno == error, "%s(%zu, %zu) failed with %d, not %d", maker->name, alignment, size,
          errno, error);
}

/* Whatever the size, also one that cannot be: the alignment is looked at first. */
void numbers_beside_powers_of_two_are_refused_whatever_the_size(void)
{
    const size_t sizes[] = {0, 1, 100, 100000, PTRDIFF_MAX, SIZE_MAX};
    for (const struct maker *maker = makers; maker < makers + maker_count; maker++) {
        if (!takes_alignments(maker))
            continue;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (unsigned bits = 2; bits < 64; bits++) {
                size_t power = (size_t)1 << bits;
                refuse(maker, power - 1, sizes[i], EINVAL);
                refuse(maker, power + 1, sizes[i], EINVAL);
                refuse(maker, power + power / 2, sizes[i], EINVAL);
            }
            refuse(maker, 0, sizes[i], EINVAL);
            refuse(maker, SIZE_MAX, sizes[i], EINVAL);
        }
    }
}

void posix_memalign_takes_multiples_of_a_pointer_only(void)
{
    for (size_t alignment = 0; alignment <= 70000; alignment++) {
        void *const untouched = &alignment;
        void *block = untouched;
        bool good =
            alignment % sizeof(void *) == 0 && alignment > 0 && (alignment & (alignment - 1)) == 0;
        int code = api_posix_memalign(&block, opaque_size(alignment), 24);
        CHECK(code == (good ? 0 : EINVAL), "posix_memalign(%zu) returned %d", alignment, code);
        CHECK(good == (block != untouched), "posix_memalign(%zu) stored %p", alignment, block);
        CHECK(!good || (uintptr_t)block % alignment == 0, "posix_memalign(%zu) stored %p",
              alignment, block);
        if (good)
            api_free(block);
    }
}

void alignments_that_no_address_has_are_out_of_memory(void)
{
    for (const struct maker *maker = makers; maker < makers + maker_count; maker++) {
        for (unsigned bits = 48; takes_alignments(maker) && bits < 64; bits++) {
            refuse(maker, (size_t)1 << bits, 0, ENOMEM);
            refuse(maker, (size_t)1 << bits, 100, ENOMEM);
        }
    }
}

void sizes_that_wrap_when_rounded_up_are_refused(void)
{
    for (const struct maker *maker = makers; maker < makers + maker_count; maker++) {
        for (unsigned bits = 3; takes_alignments(maker) && bits <= highest_bits; bits++) {
            size_t alignment = (size_t)1 << bits;
            refuse(maker, alignment, SIZE_MAX, ENOMEM);
            refuse(maker, alignment, SIZE_MAX - alignment, ENOMEM);
            refuse(maker, alignment, SIZE_MAX - alignment + 1, ENOMEM);
            refuse(maker, alignment, SIZE_MAX - alignment + 2, ENOMEM);
            refuse(maker, alignment, (size_t)PTRDIFF_MAX + 1, ENOMEM);
            refuse(maker, alignment, (size_t)PTRDIFF_MAX - alignment, ENOMEM);
        }
    }
}
