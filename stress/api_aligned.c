/* SPDX-License-Identifier: MIT */
/*
 * Conformance of aligned_alloc, memalign, posix_memalign, valloc and pvalloc (api_test.h).
 */
#include "api_test.h"
#include "check.h"
#include "names.h"

#include <errno.h>
#include <stdint.h>
#include <unistd.h>

static const size_t highest_alignment = (size_t)64 << 20;

/* The three functions, called alike; posix_memalign's stricter rule is met by the callers. */
static void *by_posix_memalign(size_t alignment, size_t size)
{
    void *block = NULL;
    int code = api_posix_memalign(&block, alignment, size);
    CHECK(code == 0, "posix_memalign(%zu, %zu) returned %d", alignment, size, code);
    return block;
}

static void *by_memalign(size_t alignment, size_t size)
{
    return api_memalign(alignment, size);
}

typedef void *aligned_maker(size_t alignment, size_t size);
/* Volatile: the C library declares what aligned_alloc returns as aligned, from which clang would
 * draw conclusions where the alignment is none. */
static aligned_maker *const volatile makers[] = {api_aligned_alloc, by_memalign, by_posix_memalign};
enum { maker_count = 3 };
/* Volatile: clang believes that valloc leaves errno alone. */
static void *(*const volatile page_makers[])(size_t) = {api_valloc, api_pvalloc};

static void *must_align(int maker, size_t alignment, size_t size)
{
    void *block = makers[maker](alignment, size);
    CHECK(block, "maker %d gave nothing for alignment %zu, size %zu", maker, alignment, size);
    CHECK((uintptr_t)block % alignment == 0, "maker %d: %p is not aligned to %zu (size %zu)", maker,
          block, alignment, size);
    size_t usable = api_usable_size(block);
    CHECK(usable >= size, "maker %d: usable size %zu of %zu", maker, usable, size);
    return block;
}

static void one_aligned(int maker, size_t alignment, size_t size)
{
    if (maker == 2 && alignment < sizeof(void *))
        return;
    void *block = must_align(maker, alignment, size);
    size_t edge = size < 4096 ? size : 4096;
    paint(block, edge, 1);
    paint((char *)block + size - edge, edge, 2);
    check_paint((char *)block + size - edge, edge, 2);
    api_free(block);
}

void aligned_blocks_are_aligned_for_every_power_of_two(void)
{
    const size_t sizes[] = {0, 1, 8, 17, 100, 1000, 4096, 5000, 32768, 33000, 65537, 300000};
    for (size_t alignment = 1; alignment <= highest_alignment; alignment *= 2) {
        for (int maker = 0; maker < maker_count; maker++) {
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                one_aligned(maker, alignment, sizes[i]);
            one_aligned(maker, alignment, alignment - 1);
            one_aligned(maker, alignment, alignment);
            one_aligned(maker, alignment, alignment + 1);
        }
    }
}

void aligned_blocks_do_not_overlap(void)
{
    enum { count = 24 };
    void *blocks[count];
    const size_t sizes[] = {1, 40, 300, 4000, 40000, 70000};
    for (size_t alignment = 8; alignment <= 1 << 20; alignment *= 2) {
        for (unsigned i = 0; i < count; i++) {
            size_t size = sizes[i % 6];
            blocks[i] = must_align((int)(i % maker_count), alignment, size);
            paint(blocks[i], size, i);
        }
        for (unsigned i = 0; i < count; i++)
            check_paint(blocks[i], sizes[i % 6], i);
        for (unsigned i = 0; i < count; i++)
            api_free(blocks[i]);
    }
}

static const size_t not_powers[] = {
    3,    5,    6,    7,     9,     12,       24,           48,           100,
    1000, 4095, 4097, 65535, 65537, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2, SIZE_MAX - 4095};
enum { not_power_count = sizeof not_powers / sizeof *not_powers };

static void refuse(int maker, size_t alignment, size_t size)
{
    errno = 0;
    void *block = makers[maker](opaque_size(alignment), size);
    CHECK(!block, "maker %d took alignment %zu", maker, alignment);
    CHECK(errno == EINVAL, "maker %d: alignment %zu set errno to %d", maker, alignment, errno);
}

void aligned_alloc_refuses_what_is_no_power_of_two(void)
{
    refuse(0, 0, 100);
    for (int i = 0; i < not_power_count; i++) {
        refuse(0, not_powers[i], 0);
        refuse(0, not_powers[i], 100);
        refuse(0, not_powers[i], 100000);
    }
}

void memalign_refuses_what_is_no_power_of_two(void)
{
    for (int i = 0; i < not_power_count; i++)
        refuse(1, not_powers[i], 100);
}

static void refuse_posix(size_t alignment, size_t size, int wanted_code)
{
    int target;
    void *result = &target;
    errno = EDOM;
    int code = api_posix_memalign(&result, opaque_size(alignment), opaque_size(size));
    CHECK(code == wanted_code, "posix_memalign(%zu, %zu) returned %d", alignment, size, code);
    CHECK(result == &target, "posix_memalign(%zu, %zu) changed the pointer", alignment, size);
    CHECK(errno == EDOM, "posix_memalign(%zu, %zu) set errno to %d", alignment, size, errno);
}

void posix_memalign_returns_the_code_and_leaves_the_pointer_alone(void)
{
    for (size_t alignment = 0; alignment < sizeof(void *); alignment++)
        refuse_posix(alignment, 100, EINVAL);
    for (int i = 0; i < not_power_count; i++)
        refuse_posix(not_powers[i], 100, EINVAL);
    for (size_t alignment = sizeof(void *); alignment <= highest_alignment; alignment *= 2) {
        refuse_posix(alignment, SIZE_MAX, ENOMEM);
        refuse_posix(alignment, SIZE_MAX - alignment, ENOMEM);
        refuse_posix(alignment, SIZE_MAX - alignment + 1, ENOMEM);
        refuse_posix(alignment, (size_t)PTRDIFF_MAX, ENOMEM);
        refuse_posix(alignment, (size_t)PTRDIFF_MAX + 1, ENOMEM);
    }
    errno = EDOM;
    api_free(by_posix_memalign(64, 100));
    CHECK(errno == EDOM, "posix_memalign that succeeded set errno to %d", errno);
}

static void refuse_size(int maker, size_t alignment, size_t size)
{
    errno = 0;
    void *block = makers[maker](opaque_size(alignment), opaque_size(size));
    CHECK(!block, "maker %d gave %p for alignment %zu, size %zu", maker, block, alignment, size);
    CHECK(errno == ENOMEM, "maker %d: alignment %zu, size %zu set errno to %d", maker, alignment,
          size, errno);
}

void aligned_requests_of_too_much_fail(void)
{
    for (int maker = 0; maker < 2; maker++) {
        for (size_t alignment = 1; alignment <= highest_alignment; alignment *= 2) {
            refuse_size(maker, alignment, SIZE_MAX);
            refuse_size(maker, alignment, SIZE_MAX - alignment);
            refuse_size(maker, alignment, (size_t)PTRDIFF_MAX);
            refuse_size(maker, alignment, (size_t)PTRDIFF_MAX + 1);
        }
        /* powers of two that no address space has */
        refuse_size(maker, (size_t)1 << 50, 100);
        refuse_size(maker, (size_t)1 << 62, 100);
    }
}

void valloc_and_pvalloc_align_to_pages(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t sizes[] = {0, 1, 100, 4095, 4096, 4097, 50000, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *block = api_valloc(sizes[i]);
        CHECK(block && (uintptr_t)block % page == 0, "valloc(%zu) gave %p", sizes[i], block);
        paint(block, sizes[i], 3);
        api_free(block);
        block = api_pvalloc(sizes[i]);
        CHECK(block && (uintptr_t)block % page == 0, "pvalloc(%zu) gave %p", sizes[i], block);
        size_t rounded = (sizes[i] + page - 1) / page * page;
        size_t usable = api_usable_size(block);
        CHECK(usable >= rounded, "pvalloc(%zu) gave %zu usable bytes", sizes[i], usable);
        paint(block, rounded, 3);
        api_free(block);
    }
    errno = 0;
    CHECK(!page_makers[0](SIZE_MAX) && errno == ENOMEM, "valloc(SIZE_MAX), errno %d", errno);
    errno = 0;
    CHECK(!page_makers[1](SIZE_MAX) && errno == ENOMEM, "pvalloc(SIZE_MAX), errno %d", errno);
}
