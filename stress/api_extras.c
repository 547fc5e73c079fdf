/* SPDX-License-Identifier: MIT */
/*
 * glibc's statistics and parameters, and the small functions that the C library lacks: good_size,
 * owns, expand, batches. Those have pm_ names only (api_test.h).
 */
#include "api_makers.h"
#include "api_test.h"
#include "check.h"
#include "names.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

enum { count = 1000, size = 200, large_bytes = 10 << 20, before = 4711 };

static struct pm_mallinfo2_figures info_now(void)
{
    struct pm_mallinfo2_figures info = api_mallinfo2();
    CHECK(info.arena == info.uordblks + info.fordblks, "%zu bytes, %zu in use, %zu free",
          info.arena, info.uordblks, info.fordblks);
    CHECK(info.keepcost <= info.fordblks, "%zu of %zu free bytes", info.keepcost, info.fordblks);
    return info;
}

/* No other thread is at work, but the C library allocates as it likes: at least so many. */
void mallinfo_adds_up_and_follows_what_is_allocated(void)
{
    void *blocks[count];
    if (!allocator_is_the_pools())
        return;
    struct pm_mallinfo2_figures none = info_now();
    for (int i = 0; i < count; i++)
        blocks[i] = must_make(&makers[0], 0, size);
    void *large = must_make(&makers[0], 0, large_bytes);
    struct pm_mallinfo2_figures all = info_now();
    CHECK(all.uordblks >= none.uordblks + (size_t)count * size, "%zu bytes in use", all.uordblks);
    CHECK(all.hblks == none.hblks + 1 && all.hblkhd >= none.hblkhd + large_bytes,
          "%zu large blocks of %zu bytes", all.hblks, all.hblkhd);
    api_free(large);
    for (int i = 0; i < count; i++)
        api_free(blocks[i]);
    api_trim(0);
    struct pm_mallinfo2_figures after = info_now();
    CHECK(after.uordblks < all.uordblks && after.hblks == none.hblks,
          "%zu bytes and %zu large blocks in use", after.uordblks, after.hblks);
}

static void same(const char *field, int old, size_t now)
{
    CHECK(old >= 0 && (size_t)old == (now < INT_MAX ? now : INT_MAX), "%s: %d, not %zu", field, old,
          now);
}

void the_old_mallinfo_says_the_same_as_far_as_an_int_goes(void)
{
    struct pm_mallinfo2_figures info = info_now();
    struct pm_mallinfo_figures old = api_mallinfo();
    same("arena", old.arena, info.arena);
    same("ordblks", old.ordblks, info.ordblks);
    same("hblks", old.hblks, info.hblks);
    same("hblkhd", old.hblkhd, info.hblkhd);
    same("uordblks", old.uordblks, info.uordblks);
    same("fordblks", old.fordblks, info.fordblks);
    same("keepcost", old.keepcost, info.keepcost);
    CHECK(old.smblks == 0 && old.usmblks == 0 && old.fsmblks == 0, "what does not exist is not 0");
}

void mallopt_accepts_what_glibc_accepts_and_refuses_the_rest(void)
{
    static const struct {
        int parameter, value, result;
    } cases[] = {
        {1, 0, 1},        {1, 160, 1},      {1, 161, 0},      {1, -1, 0},       {2, 5, 1},
        {3, 5, 1},        {4, 5, 1},        {-1, 1 << 20, 1}, {-1, INT_MAX, 1}, {-2, 1 << 20, 1},
        {-3, 1 << 20, 1}, {-3, INT_MAX, 0}, {-3, -1, 0},      {-4, 0, 1},       {-5, 3, 1},
        {-6, 0x55, 1},    {-7, 1, 1},       {-8, 2, 1},       {0, 1, 0},        {5, 1, 0},
        {-9, 1, 0},       {-100, 1, 0},     {INT_MAX, 1, 0},  {INT_MIN, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        errno = before;
        int result = api_mallopt(cases[i].parameter, cases[i].value);
        CHECK(result == cases[i].result && errno == before, "mallopt(%d, %d) is %d, errno %d",
              cases[i].parameter, cases[i].value, result, errno);
        api_free(must_make(&makers[0], 0, size));
    }
}

void malloc_info_refuses_options_and_leaves_errno_alone(void)
{
    for (int options = -2; options <= 2; options++) {
        errno = before;
        int result = options ? api_malloc_info(options, stdout) : EINVAL;
        CHECK(result == EINVAL && errno == before, "malloc_info(%d) is %d, errno %d", options,
              result, errno);
    }
}

void a_good_size_is_what_a_block_of_every_maker_holds(void)
{
    for (const struct maker *maker = makers; maker < makers + maker_count; maker++) {
        for (size_t i = 0; i < kind_count; i++) {
            char *block = must_make(maker, 16, kinds[i]);
            size_t usable = api_usable_size(block), good = pm_good_size(kinds[i]);
            CHECK(good >= kinds[i] && good <= usable, "%s of %zu: %zu, not %zu", maker->name,
                  kinds[i], usable, good);
            CHECK(maker != &makers[0] || good == usable || allocator_is_the_c_librarys(),
                  "malloc of %zu: %zu, not %zu", kinds[i], usable, good);
            api_free(block);
        }
    }
    CHECK(pm_good_size((size_t)PTRDIFF_MAX) == 0, "there is a block of PTRDIFF_MAX bytes");
}

void blocks_of_every_maker_are_owned_and_other_memory_is_not(void)
{
    int here;
    static int there;
    if (allocator_is_the_c_librarys())
        return;
    for (const struct maker *maker = makers; maker < makers + maker_count; maker++) {
        for (size_t i = 0; i < kind_count; i++) {
            char *block = must_make(maker, 64, kinds[i]);
            size_t last = kinds[i] ? kinds[i] - 1 : 0;
            CHECK(pm_owns(block) && pm_owns(block + last / 2) && pm_owns(block + last),
                  "%s of %zu bytes: %p is not owned", maker->name, kinds[i], (void *)block);
            api_free(block);
        }
    }
    CHECK(!pm_owns(NULL) && !pm_owns(&here) && !pm_owns(&there), "others' memory is owned");
    for (unsigned bit = 0; bit < 64; bit++) /* any address at all; no crash is what counts */
        CHECK(!pm_owns((void *)((uintptr_t)1 << bit)) || bit > 12, "1 << %u is owned", bit);
}

void blocks_of_every_maker_expand_in_place_or_stay_as_they_are(void)
{
    for (const struct maker *maker = makers; maker < makers + maker_count; maker++) {
        for (size_t i = 0; i < kind_count; i++) {
            char *block = must_make(maker, 64, kinds[i]);
            paint_ends(block, kinds[i], 7);
            size_t more = 2 * kinds[i] + 100;
            errno = before;
            bool done = pm_expand(block, more);
            CHECK(errno == before, "errno is %d", errno);
            CHECK(api_usable_size(block) >= (done ? more : kinds[i]), "%s of %zu bytes: too small",
                  maker->name, kinds[i]);
            check_ends(block, kinds[i], 7);
            CHECK(pm_expand(block, kinds[i]), "%s of %zu bytes does not hold them", maker->name,
                  kinds[i]);
            check_ends(block, kinds[i], 7);
            CHECK(!pm_expand(block, SIZE_MAX), "a block of SIZE_MAX bytes");
            api_free(block);
        }
    }
    CHECK(!pm_expand(NULL, 1), "NULL was expanded");
}

void a_batch_goes_to_single_calls_and_back(void)
{
    void *blocks[count];
    for (size_t i = 0; i < kind_count; i++) {
        size_t n = kinds[i] <= 4096 ? count : 10;
        errno = before;
        CHECK(pm_malloc_batch(kinds[i], n, blocks) == n, "too few of %zu bytes", kinds[i]);
        CHECK(errno == before, "errno is %d", errno);
        for (size_t b = 0; b < n; b++)
            paint_ends(blocks[b], kinds[i], (unsigned)b);
        for (size_t b = 0; b < n; b++)
            check_ends(blocks[b], kinds[i], (unsigned)b);
        for (size_t b = 0; b < n; b += 2) {
            api_free(blocks[b]);
            blocks[b] = b % 4 ? NULL : must_make(&makers[b % (size_t)maker_count], 64, kinds[i]);
        }
        errno = before;
        pm_free_batch(blocks, n);
        CHECK(errno == before, "errno is %d", errno);
    }
    errno = 0;
    CHECK(pm_malloc_batch(SIZE_MAX, 3, blocks) == 0 && errno == ENOMEM, "errno is %d", errno);
}
