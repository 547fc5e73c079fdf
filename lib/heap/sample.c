/* SPDX-License-Identifier: MIT */
/* See sample.h. */
#include "heap/sample.h"
#include "heap/internal.h"
#include "heap/user.h"

struct pm_sampling pm_sampling;

/* ---- chance ---- */

/* A counter that is mixed (splitmix64): one for all threads, since few numbers are drawn. */
static uint64_t random_word(void)
{
    uint64_t word = pm_add_relaxed(&pm_sampling.seed, 0x9e3779b97f4a7c15u);
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 27) * 0x94d049bb133111ebu;
    return word ^ word >> 31;
}

/* -ln(word / 2^64) in units of 2^-FRACTION_BITS: the digits of the logarithm to base 2 come one by
 * one, by squaring. */
enum { FRACTION_BITS = 20 };

static uint64_t minus_ln(uint64_t word)
{
    const uint64_t ln2 = 0xb17217f7; /* in units of 2^-32 */
    word |= 1;
    unsigned leading = (unsigned)__builtin_clzll(word);
    uint64_t mantissa = word << leading >> 32; /* 1 <= it < 2, in units of 2^-31 */
    uint64_t log2 = 63 - leading;
    for (int bit = 0; bit < FRACTION_BITS; bit++) {
        mantissa = mantissa * mantissa >> 31;
        uint64_t digit = mantissa >> 32;
        mantissa >>= digit;
        log2 = log2 << 1 | digit;
    }
    return (((uint64_t)64 << FRACTION_BITS) - log2) * ln2 >> 32;
}

/* How many bytes pass before the one that is chosen. */
static uint64_t draw_bytes(void)
{
    uint64_t mean = pm_load_relaxed(&pm_sampling.mean_bytes), product;
    if (mean == 1) /* each block, without a chance to miss one */
        return 0;
    if (__builtin_mul_overflow(minus_ln(random_word()), mean, &product))
        return UINT64_MAX;
    return product >> FRACTION_BITS;
}

/* The how-manieth allocation of the class, from now on, is chosen. */
static uint32_t draw(unsigned class)
{
    uint64_t every = pm_load_relaxed(&pm_sampling.every);
    uint64_t blocks = every ? every : draw_bytes() / pm_class_bytes(class) + 1;
    return blocks < INT32_MAX ? (uint32_t)blocks : INT32_MAX;
}

/* One that takes a slow path anyway. */
static bool chosen_at_once(size_t bytes)
{
    uint64_t every = pm_load_relaxed(&pm_sampling.every);
    return every ? every == 1 : draw_bytes() < bytes;
}

/* ---- start and end ---- */

bool pm_sampling_prepare(const struct pm_sampler *sampler)
{
    struct pm_user_heap *none = NULL, *heap;
    if (!pm_heap_process_init())
        return false;
    if (pm_load_acquire(&pm_sampling.heap) == NULL) {
        if ((heap = pm_user_new_unasked()) == NULL)
            return false;
        if (!pm_cas_acq_rel(&pm_sampling.heap, &none, heap)) /* another thread was faster */
            pm_user_destroy(heap);
    }
    pm_store_release(&pm_sampling.sampler, sampler);
    return true;
}

void pm_sampling_start(uint64_t mean_bytes)
{
    pm_add_relaxed(&pm_sampling.epoch, 1);
    pm_store_relaxed(&pm_sampling.mean_bytes, mean_bytes);
}

void pm_sampling_stop(void)
{
    pm_store_relaxed(&pm_sampling.mean_bytes, 0);
}

/* ---- samples ---- */

/* The heap is entered, or the thread has none: what the sampler allocates, the cold heap serves. */
static void *take_sample(unsigned class)
{
    size_t bytes = pm_class_bytes(class);
    const struct pm_sampler *sampler = pm_load_acquire(&pm_sampling.sampler);
    struct pm_user_heap *heap = pm_load_acquire(&pm_sampling.heap);
    void *block = pm_user_alloc(heap, bytes, 1, false, "malloc");
    if (block != NULL)
        sampler->taken(block, bytes);
    return block;
}

void *pm_sample_cold(unsigned class)
{
    struct pm_heap *self = pm_heap_self;
    if (self == &pm_heap_making || pm_class_is_gc(class) || !chosen_at_once(pm_class_bytes(class)))
        return NULL;
    pm_heap_self = &pm_heap_making;
    void *block = take_sample(class);
    pm_heap_self = self;
    return block;
}

static void tell_of_span(struct pm_heap *self, void *block, size_t bytes)
{
    pm_heap_self = &pm_heap_making;
    pm_load_acquire(&pm_sampling.sampler)->taken(block, bytes);
    pm_heap_self = self;
}

void pm_sample_span(void *block, size_t bytes)
{
    if (pm_heap_self != &pm_heap_making && chosen_at_once(bytes))
        tell_of_span(pm_heap_self, block, bytes);
}

void pm_sample_freed(void *block)
{
    pm_load_acquire(&pm_sampling.sampler)->freed(block);
}

void *pm_sample_lift(void *block)
{
    if (pm_likely(!pm_sampling_was_on()))
        return NULL;
    return pm_load_acquire(&pm_sampling.sampler)->lifted(block);
}

void pm_sample_lay(void *record, void *block, void *moved, size_t bytes)
{
    if (pm_unlikely(record != NULL))
        pm_load_acquire(&pm_sampling.sampler)->laid(record, moved == NULL ? block : NULL);
    if (moved != NULL && pm_unlikely(pm_sampling_on()))
        pm_sample_span(moved, bytes);
}

void pm_sample_resized(void *block, size_t bytes)
{
    if (pm_unlikely(pm_sampling_was_on()))
        pm_sample_freed(block);
    if (pm_unlikely(pm_sampling_on()))
        pm_sample_span(block, bytes);
}

/* ---- bounds ---- */

/* Blocks that the list keeps at most while bounds are near: what it has more is counted when it is
 * looked at, one by one. */
enum { KEEP_MAX = 64, KEEP_PART = 3 };

static void set_bound(struct pm_pool *pool, uint32_t frees)
{
    pool->count = frees < PM_COUNT_CURRENT ? frees : PM_COUNT_CURRENT;
    pool->start = (uint16_t)pool->count;
}

/* A third of what may pass stays on the list, the rest is frees: a program that allocates and frees
 * in turn comes to the end in few steps, one that only allocates, or only frees, in some more. */
static unsigned blocks_to_keep(uint32_t may_pass, unsigned local)
{
    if (may_pass >= 2 * local)
        return local;
    unsigned keep = may_pass / KEEP_PART < KEEP_MAX ? may_pass / KEEP_PART : KEEP_MAX;
    return keep < local ? keep : local;
}

/* `passed` allocations are not accounted for yet. */
static void bound(struct pm_heap *heap, unsigned class, uint32_t passed)
{
    struct pm_pool *pool = heap->current[class];
    if (pool == &pm_pool_none)
        return;
    unsigned local = pool->carved - pm_pool_live_base(pool) - passed;
    int32_t left = (int32_t)(heap->until[class] - 1 - passed); /* before the chosen one */
    uint32_t may_pass = left > 0 ? (uint32_t)left : 0;
    unsigned keep = blocks_to_keep(may_pass, local);
    pm_assert(local == pm_pool_count_local(pool));
    if (keep < local)
        pm_pool_withhold(pool, keep, local);
    set_bound(pool, may_pass - keep + 1);
}

/* Rates have changed since the heap drew its numbers. */
static void draw_anew(struct pm_heap *heap)
{
    uint64_t epoch = pm_load_relaxed(&pm_sampling.epoch);
    if (heap->sample_epoch == epoch)
        return;
    heap->sample_epoch = epoch;
    for (unsigned class = 0; class < PM_CLASSES; class ++)
        heap->until[class] = draw(class);
}

/* A gc block is in a gc pool, or is none. The caller gets none, and asks for a plain one of that
 * size in its place: that is the sample. (With a granule of 8, one of the size class below may be
 * asked for; the next one of this class is it then.) */
static void choose_in_its_place(struct pm_heap *heap, unsigned gc_class)
{
    unsigned class = pm_class_of(pm_class_bytes(gc_class));
    struct pm_pool *pool = heap->current[class];
    if (pool != &pm_pool_none)
        pm_heap_account(heap, pool, pm_pool_count_local(pool));
    heap->until[class] = 1;
    bound(heap, class, 0);
}

void *pm_sample_refill(struct pm_heap *heap, unsigned class, bool *zero)
{
    struct pm_pool *pool = heap->current[class];
    if (pool != &pm_pool_none)
        pm_heap_account(heap, pool, 0); /* its list is empty */
    draw_anew(heap);
    if ((int32_t)heap->until[class] <= 1) {
        heap->until[class] = draw(class);
        if (pm_class_is_gc(class)) {
            choose_in_its_place(heap, class);
            return NULL;
        }
        void *sample = take_sample(class);
        *zero = false;
        if (sample != NULL)
            return sample;
    }
    void *block = pm_heap_refill(heap, class, zero);
    bound(heap, class, block != NULL);
    return block;
}

void pm_sample_look(struct pm_heap *heap, struct pm_pool *pool)
{
    pm_heap_enter(heap);
    pm_heap_account(heap, pool, pm_pool_count_local(pool));
    draw_anew(heap);
    bound(heap, pool->class, 0);
    pm_heap_leave(heap);
}
