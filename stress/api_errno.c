/* SPDX-License-Identifier: MIT */
/*
 * errno: kept by free (POSIX 2024) and by every call that succeeds, set by every one that fails
 * (api_test.h).
 */
#include "api_makers.h"
#include "api_test.h"
#include "check.h"
#include "names.h"

#include <errno.h>
#include <stdint.h>

enum { before = 4711 };

static void kept(const char *call, size_t size)
{
    CHECK(errno == before, "%s of %zu bytes set errno to %d", call, size, errno);
}

static void give_back(void)
{
    for (int pad = 0; pad < 2; pad++)
        api_trim((size_t)pad << 20);
}

/* More than once: fresh memory, used memory, and memory that went back to the system. */
void every_maker_keeps_errno_when_it_succeeds(void)
{
    enum { at_once = 40, rounds = 3 };
    void *blocks[at_once];
    for (const struct maker *maker = makers; maker < makers + maker_count; maker++) {
        for (size_t i = 0; i < kind_count * rounds; i++) {
            size_t size = kinds[i % kind_count];
            int count = size < 64 * 1024 ? at_once : 3;
            for (int b = 0; b < count; b++) {
                errno = before;
                blocks[b] = must_make(maker, (size_t)64 << b % 8, size);
                kept(maker->name, size);
            }
            while (count > 0)
                api_free(blocks[--count]);
            if (i % kind_count == 0)
                give_back();
        }
    }
}

void realloc_keeps_errno_when_it_succeeds(void)
{
    for (size_t from = 0; from < kind_count; from++) {
        for (size_t to = 0; to < kind_count; to++) {
            void *block = must_make(&makers[0], 0, kinds[from]);
            errno = before;
            block = api_realloc(block, kinds[to]);
            CHECK(block, "realloc from %zu to %zu failed", kinds[from], kinds[to]);
            kept("realloc", kinds[to]);
            CHECK(api_usable_size(block) >= kinds[to], "too small");
            kept("malloc_usable_size", kinds[to]);
            api_free(block);
            kept("free", kinds[to]);
        }
    }
}

void every_taker_keeps_errno(void)
{
    for (int m = 0; m < maker_count; m++) {
        for (int t = 0; t < taker_count; t++) {
            for (size_t i = 0; takers[t].allowed(&makers[m]) && i < kind_count; i++) {
                void *block = must_make(&makers[m], 64, kinds[i]);
                errno = before;
                takers[t].take(block, 64, kinds[i]);
                kept(takers[t].name, kinds[i]);
            }
        }
    }
    errno = before;
    api_free(opaque_pointer(NULL));
    api_free_sized(opaque_pointer(NULL), 8);
    api_free_aligned_sized(opaque_pointer(NULL), 8, 8);
    kept("free of NULL", 0);
}

/* Much is freed at once, so that it goes back to the system within free. */
void giving_memory_back_keeps_errno(void)
{
    enum { count = 32 };
    const size_t size = REDUCED((size_t)8 << 20);
    void *blocks[count];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < count; i++) {
            blocks[i] = must_make(&makers[round], 0, size);
            paint_ends(blocks[i], size, 9);
        }
        errno = before;
        for (int i = 0; i < count; i++)
            api_free(blocks[i]);
        kept("free", size);
        give_back();
        kept("malloc_trim", 0);
    }
}

void failures_set_errno_and_successes_do_not_clear_it(void)
{
    for (const struct maker *maker = makers; maker < makers + maker_count; maker++) {
        for (size_t i = 0; i < kind_count; i++) {
            errno = 0;
            CHECK(!maker->make(64, SIZE_MAX - kinds[i]) && errno == ENOMEM,
                  "%s of too much failed with %d", maker->name, errno);
            void *block = must_make(maker, 64, kinds[i]);
            CHECK(errno == ENOMEM, "%s that succeeded set errno to %d", maker->name, errno);
            api_free(block);
            CHECK(errno == ENOMEM, "free set errno to %d", errno);
        }
        if (maker->least_alignment == 0)
            continue;
        errno = 0;
        CHECK(!maker->make(48, 100) && errno == EINVAL, "%s aligned to 48 failed with %d",
              maker->name, errno);
    }
}
