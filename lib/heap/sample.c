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

/* -ln(word / 2^64) in units of 2^-FRACTION_BITS, less than 2^-12 off: the logarithm to base 2, by
 * lines between 33 points. */
enum { FRACTION_BITS = 20, POINTS_SHIFT = 5, BETWEEN_BITS = 26 };

static uint64_t minus_ln(uint64_t word)
{
    static const uint32_t points[] = {
        /* log2(1 + i / 32) in units of 2^-FRACTION_BITS */
        0,      46551,  91711,  135563, 178179, 219628, 259971, 299266, 337566,  374920,  411375,
        446971, 481749, 515745, 548995, 581529, 613378, 644570, 675132, 705089,  734464,  763280,
        791557, 819315, 846573, 873348, 899658, 925518, 950944, 975949, 1000547, 1024752, 1048576,
    };
    const uint64_t ln2 = 0xb17217f7; /* in units of 2^-32 */
    word |= 1;
    unsigned leading = (unsigned)__builtin_clzll(word);
    uint64_t fraction = word << leading << 1 >> 33; /* of what is between 1 and 2, 31 bits */
    uint64_t i = fraction >> BETWEEN_BITS, between = fraction - (i << BETWEEN_BITS);
    uint64_t log2 = ((uint64_t)63 - leading) << FRACTION_BITS;
    log2 += points[i] + ((points[i + 1] - points[i]) * between >> BETWEEN_BITS);
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

/* Which of the two bounds was reached. */
enum reached { END_OF_LIST, END_OF_FREES };

/* Blocks that the list keeps at most when frees come first: what it has more is counted when it is
 * looked at, one by one. */
enum { KEEP_MAX = 64, PARTS = 4 };

static void set_bound(struct pm_pool *pool, uint32_t frees)
{
    pool->count = frees < PM_COUNT_CURRENT ? frees : PM_COUNT_CURRENT;
    pool->start = (uint16_t)pool->count;
}

/* What may pass is divided between the list and the frees, and what was reached last gets the
 * larger part: a program goes on as it did. So one that only allocates comes to the end in few
 * steps, and one that allocates and frees in turn does. */
static unsigned blocks_to_keep(uint32_t may_pass, unsigned local, enum reached reached)
{
    if (may_pass >= 2 * local)
        return local;
    unsigned part = (may_pass + PARTS - 1) / PARTS, keep = may_pass - may_pass / PARTS;
    if (reached == END_OF_FREES)
        keep = part < KEEP_MAX ? part : KEEP_MAX;
    return keep < local ? keep : local;
}

/* `passed` allocations are not accounted for yet. */
static void bound(struct pm_heap *heap, unsigned class, uint32_t passed, enum reached reached)
{
    struct pm_pool *pool = heap->current[class];
    if (pool == &pm_pool_none)
        return;
    unsigned local = pool->carved - pm_pool_live_base(pool) - passed;
    int32_t left = (int32_t)(heap->until[class] - 1 - passed); /* before the chosen one */
    uint32_t may_pass = left > 0 ? (uint32_t)left : 0;
    unsigned keep = blocks_to_keep(may_pass, local, reached);
    pm_assert(local == pm_pool_count_local(pool));
    if (keep < local)
        pm_pool_withhold(pool, keep, local);
    set_bound(pool, may_pass - keep + 1);
}

static uint64_t epoch_now(void)
{
    return pm_load_relaxed(&pm_sampling.epoch);
}

/* Rates have changed since the heap drew its numbers. */
static void draw_anew(struct pm_heap *heap)
{
    uint64_t epoch = epoch_now();
    if (heap->sample_epoch == epoch)
        return;
    heap->sample_epoch = epoch;
    for (unsigned class = 0; class < PM_CLASSES; class ++)
        heap->until[class] = draw(class);
}

/* The block of the current pool that was not returned after all. */
static void put_back(struct pm_heap *heap, unsigned class, void *block)
{
    struct pm_pool *pool = heap->current[class];
    if (block == NULL)
        return;
    pm_block_set_next(block, pool->free);
    pool->free = block;
}

/* A gc block is in a gc pool, or is none. The caller gets none, and asks for a plain one of that
 * size in its place: that is the sample. */
static void choose_in_its_place(struct pm_heap *heap)
{
    unsigned class = pm_class_of(heap->gc_asked);
    struct pm_pool *pool = heap->current[class];
    if (pool != &pm_pool_none)
        pm_heap_account(heap, pool, pm_pool_count_local(pool));
    heap->until[class] = 1;
    bound(heap, class, 0, END_OF_LIST);
}

/* What is returned in place of the block, if it is the chosen one; NULL: of a gc class. */
static void *exchange(struct pm_heap *heap, unsigned class, void *block)
{
    heap->until[class] = draw(class);
    bool gc = pm_class_is_gc(class);
    void *sample = gc ? NULL : take_sample(class);
    if (!gc && sample == NULL) /* out of memory */
        return block;
    put_back(heap, class, block);
    if (gc)
        choose_in_its_place(heap);
    return sample;
}

static PM_NOINLINE void *refill_near(struct pm_heap *heap, unsigned class, void *block, bool *zero)
{
    void *given = block;
    draw_anew(heap);
    if ((int32_t)heap->until[class] <= 1)
        given = exchange(heap, class, block);
    if (given != block)
        *zero = false;
    bound(heap, class, block != NULL && given == block, END_OF_LIST);
    return given;
}

/* As long as the chosen one is far, the list may have all that the pool has. */
void *pm_sample_refill(struct pm_heap *heap, unsigned class, bool *zero)
{
    void *block = pm_heap_refill(heap, class, zero);
    struct pm_pool *pool = heap->current[class];
    int32_t left = (int32_t)heap->until[class] - 2, most = pool->carved;
    if (pm_unlikely(block == NULL || left <= 2 * most || heap->sample_epoch != epoch_now()))
        return refill_near(heap, class, block, zero);
    set_bound(pool, (uint32_t)(left - most));
    return block;
}

void pm_sample_look(struct pm_heap *heap, struct pm_pool *pool)
{
    pm_heap_enter(heap);
    pm_heap_account(heap, pool, pm_pool_count_local(pool));
    draw_anew(heap);
    bound(heap, pool->class, 0, END_OF_FREES);
    pm_heap_leave(heap);
}
