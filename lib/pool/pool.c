/* SPDX-License-Identifier: MIT */
/* What the owner of a pool does with it: see the tables in pool.h. */
#include "base/probe.h"
#include "os/os.h"
#include "pool/pool.h"

static size_t head_unit(const struct pm_pool *pool, struct pm_window **w)
{
    *w = pm_window_find(pool->base);
    return pm_window_index(*w, pool->base);
}

struct pm_remote *pm_pool_remote(const struct pm_pool *pool)
{
    struct pm_window *w;
    size_t unit = head_unit(pool, &w);
    return pm_remote_at(w, unit);
}

static void set_routes(const struct pm_pool *pool, uint64_t owner)
{
    struct pm_window *w;
    size_t unit = head_unit(pool, &w);
    pm_window_set_routes(w, unit, pool->units, owner);
}

/* Modulo 2^32. The start is right in 3 bits, each step doubles them. */
static uint32_t inverse_of_odd(uint32_t odd)
{
    uint32_t inverse = odd;
    for (int bits = 3; bits < 32; bits *= 2)
        inverse *= 2 - odd * inverse;
    return inverse;
}

static void cut_remote(struct pm_remote *remote, const struct pm_pool *pool)
{
    unsigned capacity = pool->capacity;
    unsigned quarter = capacity / 4 ? capacity / 4 : 1;
    unsigned eighth = capacity / PM_ADOPT_PART;
    if (eighth < PM_ADOPT_BLOCKS)
        eighth = quarter < PM_ADOPT_BLOCKS ? quarter : PM_ADOPT_BLOCKS;
    remote->block_bytes = pool->block_bytes;
    remote->shift = pool->shift;
    remote->inverse = pool->inverse;
    remote->first = pool->first;
    remote->capacity = (uint16_t)capacity;
    remote->adopt_live = (uint16_t)(capacity - eighth);
    pm_store_relaxed(&remote->class, pool->class); /* relaxed: see pm_pool_walk */
    /* Release: pushers, who got their block through us, and finders see the constants above. */
    pm_store_release(&remote->word, pm_word_make(PM_OWNED, NULL, NULL, 0));
}

/* One by one: walks look at the atomic field whatever the line was before. */
static void cut_descriptor(struct pm_pool *pool, const struct pm_run *run, unsigned class)
{
    uint32_t block_bytes = pm_class_bytes(class), shift = (uint32_t)__builtin_ctz(block_bytes);
    pool->free = NULL;
    pool->count = 0;
    pool->block_bytes = block_bytes;
    pool->link = (struct pm_link){0};
    pool->base = run->base;
    pool->carved = 0;
    pool->capacity = (uint16_t)pm_class_capacity(class);
    pm_pool_set_live_base(pool, 0);
    pool->class = (uint8_t) class;
    pool->units = (uint8_t)run->units;
    pool->place = PM_PLACE_NONE;
    pool->zero = run->dirty == 0;
    pool->worn = (pm_bits_run(0, run->units) & ~run->dirty) == 0;
    pool->first = (uint16_t)pm_class_first(class);
    pool->start = 0;
    pool->waiting = 0;
    pool->shift = (uint8_t)shift;
    pool->inverse = inverse_of_odd(block_bytes >> shift);
}

struct pm_pool *pm_pool_cut(const struct pm_run *run, unsigned class, uint64_t owner)
{
    struct pm_window *w = pm_window_find(run->base);
    size_t unit = pm_window_index(w, run->base);
    struct pm_pool *pool = pm_pool_at(w, unit);
    pm_assert(run->units == pm_class_units(class));
    cut_descriptor(pool, run, class);
    cut_remote(pm_remote_at(w, unit), pool);
    pm_window_set_routes(w, unit, run->units, owner);
    return pool;
}

void pm_pool_revive(struct pm_pool *pool, uint64_t owner)
{
    /* Release as in cut_remote: the pool goes on with the same constants. */
    pm_store_release(&pm_pool_remote(pool)->word, pm_word_make(PM_OWNED, NULL, NULL, 0));
    set_routes(pool, owner);
}

void *pm_pool_carve_one(struct pm_pool *pool)
{
    if (pool->carved == pool->capacity)
        return NULL;
    return pool->base + pool->first + (size_t)pool->carved++ * pool->block_bytes;
}

/* How many blocks start in the rest of the page that the first starts in. */
static unsigned blocks_in_page(const char *first, uint32_t block_bytes)
{
    size_t rest = pm_os_page_bytes() - ((uintptr_t)first & (pm_os_page_bytes() - 1));
    return (unsigned)((rest + block_bytes - 1) / block_bytes);
}

/* Two a turn, since each allocation pays for a turn. */
static void link_blocks(char *block, unsigned n, size_t block_bytes)
{
    for (; n > 2; n -= 2) {
        char *next = block + block_bytes, *after = next + block_bytes;
        pm_block_set_next(block, next);
        pm_block_set_next(next, after);
        block = after;
    }
    if (n == 2) {
        pm_block_set_next(block, block + block_bytes);
        block += block_bytes;
    }
    pm_block_set_next(block, NULL);
}

/* Bytes 8..15, which tell of a gc block whether it is an object. Whatever was there before. */
PM_INLINE_UNWATCHED void clear_headers(char *block, unsigned n, size_t block_bytes)
{
    for (; n > 0; n--, block += block_bytes)
        ((uint64_t *)(void *)block)[1] = 0;
}

/* Not beyond the page, so that no further one is touched before it is needed; unless that saves
 * none. */
bool pm_pool_carve(struct pm_pool *pool)
{
    unsigned n = (unsigned)(pool->capacity - pool->carved);
    if (n == 0)
        return false;
    size_t block_bytes = pool->block_bytes;
    char *first = pool->base + pool->first + pool->carved * block_bytes;
    unsigned in_page = blocks_in_page(first, pool->block_bytes);
    if (pool->worn && in_page < PM_CARVE_WORN_BLOCKS)
        in_page = PM_CARVE_WORN_BLOCKS;
    n = n < in_page ? n : in_page;
    n = n < PM_CARVE_BATCH_BLOCKS ? n : PM_CARVE_BATCH_BLOCKS;
    link_blocks(first, n, block_bytes);
    if (pm_unlikely(!pool->zero) && pm_class_is_gc(pool->class))
        clear_headers(first, n, block_bytes);
    pool->carved += (uint16_t)n;
    pool->free = first;
    return true;
}

/* The list has n blocks; counted, so that one that the program's misuse has made circular ends. */
static void append(void *list, unsigned n, void *chain)
{
    while (--n > 0)
        list = pm_block_next(list);
    pm_block_set_next(list, chain);
}

unsigned pm_pool_take_remote(struct pm_pool *pool)
{
    struct pm_remote *remote = pm_pool_remote(pool);
    if (pm_word_count(pm_load_relaxed(&remote->word)) == 0) /* a hint; the exchange decides */
        return 0;
    /* Acquire-release: the pushers' links and last uses of the blocks are seen; pairs with
     * pm_remote_push. */
    uint64_t word = pm_exchange_acq_rel(&remote->word, pm_word_make(PM_OWNED, NULL, NULL, 0));
    void *chain = pm_word_head(word, pool->base);
    void *local = pool->free;
    pool->free = chain;
    if (local != NULL)
        append(chain, pm_word_count(word), local);
    return pm_word_count(word);
}

/* Cuts the local list behind that many blocks; the rest of it. */
static void *cut_local(struct pm_pool *pool, unsigned keep)
{
    void *last = NULL, *rest = pool->free;
    for (; keep > 0; keep--) {
        last = rest;
        rest = pm_block_next(rest);
    }
    if (last != NULL)
        pm_block_set_next(last, NULL);
    else
        pool->free = NULL;
    return rest;
}

void pm_pool_withhold(struct pm_pool *pool, unsigned keep, unsigned local)
{
    struct pm_remote *remote = pm_pool_remote(pool);
    unsigned n = local - keep;
    void *rest = cut_local(pool, keep);
    uint64_t word = pm_load_relaxed(&remote->word), next;
    do {
        void *others = pm_word_head(word, pool->base);
        if (others != NULL)
            append(rest, n, others);
        next = pm_word_make(PM_OWNED, pool->base, rest, pm_word_count(word) + n);
        /* Acquire-release, as in pm_pool_take_remote: the list goes on with others' blocks. */
    } while (!pm_cas_acq_rel(&remote->word, &word, next));
    pm_pool_set_live_base(pool, pm_pool_live_base(pool) + n);
}

unsigned pm_pool_count_local(const struct pm_pool *pool)
{
    unsigned n = 0;
    for (const void *block = pool->free; block != NULL; block = pm_block_next(block)) {
        if (n++ == pool->carved)
            pm_fatal_circular(pool->base, pool->block_bytes);
    }
    return n;
}

static bool float_full(struct pm_pool *pool, uint64_t owner)
{
    struct pm_remote *remote = pm_pool_remote(pool);
    uint64_t owned = pm_word_make(PM_OWNED, NULL, NULL, 0);
    pm_assert(pool->free == NULL && pool->carved == pool->capacity);
    if (pm_word_count(pm_load_relaxed(&remote->word)) != 0)
        return false;
    pool->place = PM_PLACE_NONE;
    set_routes(pool, PM_ROUTE_FLOATING);
    /* Release: whoever gets the pool sees what its last owner wrote. Pairs with pm_remote_push. */
    if (pm_cas_acq_rel(&remote->word, &owned,
                       pm_word_make(PM_FLOATING, NULL, NULL, pool->capacity)))
        return true;
    set_routes(pool, owner);
    return false;
}

bool pm_pool_float_full(struct pm_pool *pool, uint64_t owner)
{
    /* For the probe, at which the pool is ours no more. */
    const char *base = pool->base;
    unsigned class = pool->class, capacity = pool->capacity;
    bool done = float_full(pool, owner);
    if (done)
        PM_PROBE3(float, class, base, capacity);
    return done;
}

/* Empty remote list, local list of `local` blocks: one try. */
static bool try_float(struct pm_pool *pool, struct pm_remote *remote, unsigned live)
{
    uint64_t owned = pm_word_make(PM_OWNED, NULL, NULL, 0);
    void *list = pool->free;
    const char *base = pool->base;
    unsigned class = pool->class;
    bool publish = live <= remote->adopt_live;
    uint64_t next = pm_word_make(publish ? PM_PUBLISHED : PM_FLOATING, base, list, live);
    pool->free = NULL;
    pool->place = PM_PLACE_NONE;
    if (publish)
        pm_floating_lock_acquire();
    /* Acquire-release, as in pm_pool_float_full. */
    bool done = pm_cas_acq_rel(&remote->word, &owned, next);
    if (done && publish)
        pm_floating_insert(pool);
    if (publish)
        pm_floating_lock_release();
    if (!done)
        pool->free = list;
    else
        PM_PROBE3(float, class, base, live);
    return done;
}

bool pm_pool_float(struct pm_pool *pool, unsigned local, uint64_t owner)
{
    struct pm_remote *remote = pm_pool_remote(pool);
    set_routes(pool, PM_ROUTE_FLOATING);
    do {
        local += pm_pool_take_remote(pool);
        if (local == pool->carved) {
            set_routes(pool, owner);
            return false;
        }
    } while (!try_float(pool, remote, pool->carved - local));
    return true;
}

void pm_pool_retire(struct pm_pool *pool)
{
    struct pm_window *w;
    size_t unit = head_unit(pool, &w);
    pool->place = PM_PLACE_NONE;
    pm_window_set_routes(w, unit, pool->units, PM_ROUTE_VOID);
    /* Release: the next maker of a pool here, through the arena lock, comes after us anyway. */
    pm_store_release(&pm_remote_at(w, unit)->word, pm_word_make(PM_FREE, NULL, NULL, 0));
    if (pm_class_is_gc(pool->class))
        pm_gc_wait_for_walk();
}

struct pm_run pm_pool_run(const struct pm_pool *pool)
{
    /* Units past the last carved block were never touched. */
    size_t used = pool->first + (size_t)pool->carved * pool->block_bytes;
    unsigned units = (unsigned)((used + PM_UNIT_BYTES - 1) >> PM_UNIT_SHIFT);
    struct pm_run run = {pool->base, pool->units, ~(uint64_t)0};
    if (pool->zero)
        run.dirty = pm_bits_run(0, pool->carved ? units : 0);
    return run;
}

bool pm_pool_check(const struct pm_pool *pool)
{
    unsigned n = 0;
    for (char *block = pool->free; block != NULL; block = pm_block_next(block)) {
        size_t offset = (size_t)(block - pool->base) - pool->first;
        if (offset % pool->block_bytes != 0 || offset / pool->block_bytes >= pool->carved ||
            ++n > pool->carved) {
            pm_warn("pool check: the local list of pool %p (blocks of %u bytes) leads to %p",
                    (void *)pool->base, (unsigned)pool->block_bytes, (void *)block);
            return false;
        }
    }
    if (pool->place == PM_PLACE_PARKED && pool->count + n != pool->carved) {
        pm_warn("pool check: %u live and %u free blocks of %u carved (pool %p)",
                (unsigned)pool->count, n, (unsigned)pool->carved, (void *)pool->base);
        return false;
    }
    return true;
}
