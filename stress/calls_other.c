/* SPDX-License-Identifier: MIT */
/*
 * Calls that make and free nothing (calls.h): requests that must fail, and calls that look at the
 * allocator or give its memory back.
 */
#include "calls.h"
#include "check.h"
#include "names.h"

#include <errno.h>

/* Above what any address space has; from half of SIZE_MAX on also above PTRDIFF_MAX. */
static size_t far_too_much(struct rng *rng)
{
    static const size_t bases[] = {(size_t)1 << 50, PTRDIFF_MAX, (size_t)1 << 63, SIZE_MAX};
    size_t base = bases[rng_below(rng, sizeof bases / sizeof *bases)];
    return base - rng_below(rng, 70000);
}

/* Two factors whose product overflows, or is far too much. */
static size_t other_factor(struct rng *rng, size_t *first)
{
    *first = (size_t)1 << (1 + rng_below(rng, 30));
    return rng_one_in(rng, 2) ? SIZE_MAX / *first + 1 + rng_below(rng, 9)
                              : far_too_much(rng) / *first;
}

static size_t no_power_of_two(struct rng *rng)
{
    size_t value = rng_next(rng) >> rng_below(rng, 62);
    return (value & (value - 1)) == 0 ? 3 * (value ? value : 1) : value;
}

static void expect_error(const char *call, void *result, int error)
{
    CHECK(!result, "%s that cannot be met gave %p", call, result);
    CHECK(errno == error, "%s that cannot be met set errno to %d instead of %d", call, errno,
          error);
}

static void fail_to_make(struct rng *rng)
{
    size_t first, alignment = (size_t)1 << rng_below(rng, 63);
    size_t second = other_factor(rng, &first), small = rng_below(rng, 5000);
    errno = 0;
    switch (rng_below(rng, 8)) {
    case 0:
        return expect_error("malloc", api_malloc(far_too_much(rng)), ENOMEM);
    case 1:
        return expect_error("calloc", api_calloc(first, second), ENOMEM);
    case 2:
        return expect_error("aligned_alloc", api_aligned_alloc(alignment, far_too_much(rng)),
                            ENOMEM);
    case 3:
        return expect_error("memalign", api_memalign((size_t)1 << 50, small), ENOMEM);
    case 4:
        return expect_error("valloc", api_valloc(far_too_much(rng)), ENOMEM);
    case 5:
        return expect_error("pvalloc", api_pvalloc(far_too_much(rng)), ENOMEM);
    case 6:
        return expect_error("aligned_alloc", api_aligned_alloc(no_power_of_two(rng), small),
                            EINVAL);
    default:
        return expect_error("memalign", api_memalign(no_power_of_two(rng), small), EINVAL);
    }
}

static void fail_to_memalign(struct rng *rng)
{
    bool wrong = rng_one_in(rng, 2);
    size_t alignment = wrong ? no_power_of_two(rng) : sizeof(void *) << rng_below(rng, 20);
    size_t size = wrong ? rng_below(rng, 5000) : far_too_much(rng);
    if (wrong && rng_one_in(rng, 4))
        alignment = (size_t)1 << rng_below(rng, 3); /* less than a pointer */
    void *untouched = rng;
    errno = EDOM;
    int code = api_posix_memalign(&untouched, alignment, size);
    CHECK(code == (wrong ? EINVAL : ENOMEM), "posix_memalign(%zu, %zu) returned %d", alignment,
          size, code);
    CHECK(untouched == rng && errno == EDOM,
          "posix_memalign(%zu, %zu) failed and left the pointer as %p, errno as %d", alignment,
          size, untouched, errno);
}

/* The block is checked as a whole: a realloc that fails has moved and lost nothing. */
static void fail_to_resize(struct rng *rng, const struct block *block)
{
    size_t first, second = other_factor(rng, &first);
    shadow_remove(block);
    errno = 0;
    if (rng_one_in(rng, 2))
        expect_error("realloc", api_realloc(block->address, far_too_much(rng)), ENOMEM);
    else
        expect_error("reallocarray", api_reallocarray(block->address, first, second), ENOMEM);
    shadow_restore(block);
}

void caller_ask_too_much(struct caller *caller, const struct block *block)
{
    uint64_t which = rng_below(&caller->rng, 4);
    if (which == 0 && block)
        fail_to_resize(&caller->rng, block);
    else if (which == 1)
        fail_to_memalign(&caller->rng);
    else
        fail_to_make(&caller->rng);
}

void caller_give_back(struct caller *caller)
{
#if !STRESS_STANDARD_NAMES
    if (rng_one_in(&caller->rng, 4)) {
        pm_purge();
        return;
    }
#endif
    int something = api_trim(rng_below(&caller->rng, 2) * 65536);
    CHECK(something == 0 || something == 1, "malloc_trim returned %d", something);
}

#if !STRESS_STANDARD_NAMES
static void look_at_statistics(bool alone)
{
    struct pm_stats stats;
    CHECK(pm_stats_get(&stats), "no statistics");
    CHECK(stats.arenas_in_use <= stats.arenas && stats.heaps_in_use <= stats.heaps,
          "%llu of %llu arenas and %llu of %llu heaps are in use",
          (unsigned long long)stats.arenas_in_use, (unsigned long long)stats.arenas,
          (unsigned long long)stats.heaps_in_use, (unsigned long long)stats.heaps);
    uint64_t held = stats.pool_bytes + stats.kept_bytes + stats.stash_bytes +
                    stats.span_held_bytes + stats.free_bytes;
    CHECK(!alone || held == stats.arenas * stats.arena_bytes,
          "%llu arenas of %llu bytes hold %llu bytes", (unsigned long long)stats.arenas,
          (unsigned long long)stats.arena_bytes, (unsigned long long)held);
    CHECK(!alone || stats.frees + stats.remote_frees <= stats.mallocs,
          "%llu frees and %llu remote ones of %llu blocks", (unsigned long long)stats.frees,
          (unsigned long long)stats.remote_frees, (unsigned long long)stats.mallocs);
}
#endif

void caller_look_around(struct caller *caller, bool alone)
{
    uint64_t which = rng_below(&caller->rng, 256);
    CHECK(api_usable_size(NULL) == 0, "the usable size of NULL is not 0");
    api_free(NULL);
    api_free_sized(NULL, which);
    api_free_aligned_sized(NULL, 64, which);
#if !STRESS_STANDARD_NAMES
    if (which < 16)
        pm_thread_idle();
    else if (which == 16)
        CHECK(pm_check(), "the allocator's own structures are broken");
    else if (which < 160)
        look_at_statistics(alone);
    else
        caller_give_back(caller);
#else
    (void)alone;
    caller_give_back(caller);
#endif
}
