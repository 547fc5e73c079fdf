/* SPDX-License-Identifier: MIT */
/* Hardened blocks in pools: see harden.h. Under the heap's lock. */
#include "heap/harden.h"

#include <string.h>

const struct pm_harden *pm_harden_now;

void pm_harden_set(const struct pm_harden *harden)
{
    pm_harden_now = harden;
}

void pm_harden_fail(const struct pm_user_heap *heap, enum pm_harden_fault fault,
                    const char *function, const void *block, size_t bytes, size_t at)
{
    struct pm_lock *lock = (struct pm_lock *)(uintptr_t)&heap->lock;
    if (pm_lock_state(lock) == PM_LOCK_INTERRUPTED) /* ours: who reports may allocate */
        pm_lock_release(lock);
    struct pm_harden_report report = {fault, function, block, bytes, at};
    pm_harden_now->fatal(&report);
    __builtin_trap(); /* it does not return */
}

/* ---- codes ---- */

/* Each bit of the word changes about half of the result's (splitmix64's finish, by Vigna). */
static uint64_t mix(uint64_t word)
{
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 27) * 0x94d049bb133111ebu;
    return word ^ word >> 31;
}

/* And back: the factors are the inverses modulo 2^64. */
static uint64_t unmix(uint64_t word)
{
    word = (word ^ word >> 31 ^ word >> 62) * 0x319642b2d24d8ec3u;
    word = (word ^ word >> 27 ^ word >> 54) * 0x96de1b173f119089u;
    return word ^ word >> 30 ^ word >> 60;
}

static uint64_t next_random(struct pm_user_heap *heap)
{
    heap->random += 0x9e3779b97f4a7c15u;
    return mix(heap->random);
}

/* Under the registry lock, or that of a heap that is not out yet. */
void pm_harden_start(struct pm_user_heap *heap)
{
    static _Atomic uint64_t heaps; /* relaxed: no two have the same key */
    uint64_t number = pm_add_relaxed(&heaps, 1) + 1;
    heap->key = mix(pm_harden_now->secret + mix(number));
    heap->random = mix(pm_harden_now->secret ^ heap->key);
    heap->waiting = heap->waiting_last = NULL;
    heap->waiting_bytes = heap->waiting_large_bytes = 0;
}

#define CODE_MASK (((uint64_t)1 << 48) - 1)
_Static_assert(PM_BLOCK_MAX - PM_HARDEN_BACK < 1 << 16, "a size fits what the code leaves");

static uint64_t key_at(const struct pm_user_heap *heap, const void *at)
{
    return mix(heap->key ^ (uintptr_t)at);
}

/* The lowest byte, which lies next to the data, is never zero: a string that is too long by its
 * end is found. */
static uint64_t last_word(uint64_t key, uint64_t n)
{
    return (mix(key + n) & CODE_MASK) | 1 | (n ^ key >> 48) << 48;
}

static uint64_t get(const char *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

static void put(char *to, uint64_t word)
{
    memcpy(to, &word, sizeof word);
}

static uint64_t canary(const struct pm_user_heap *heap, const void *at)
{
    return mix(~heap->key ^ (uintptr_t)at) | 0x0101010101010101u;
}

void pm_harden_write_canary(const struct pm_user_heap *heap, char *from, size_t bytes)
{
    uint64_t word = canary(heap, from);
    for (; bytes >= sizeof word; bytes -= sizeof word, from += sizeof word)
        put(from, word);
    memcpy(from, &word, bytes);
}

bool pm_harden_canary_is_whole(const struct pm_user_heap *heap, const char *from, size_t bytes)
{
    uint64_t word = canary(heap, from);
    for (; bytes >= sizeof word; bytes -= sizeof word, from += sizeof word) {
        if (get(from) != word)
            return false;
    }
    return memcmp(from, &word, bytes) == 0;
}

/* ---- links ---- */

/* A link is encoded by where it stands, so that it is none elsewhere; who changes a bit of it
 * changes about half of what it leads to. */
static void *get_link(const struct pm_user_heap *heap, const void *block)
{
    uint64_t word = get(block);
    if (pm_harden_now->links)
        word = unmix(word) ^ key_at(heap, block);
    return (void *)(uintptr_t)word;
}

static void put_link(const struct pm_user_heap *heap, void *block, const void *next)
{
    uint64_t word = (uintptr_t)next;
    put(block, pm_harden_now->links ? mix(word ^ key_at(heap, block)) : word);
}

static bool is_block_of(const struct pm_pool *pool, const void *ptr)
{
    uintptr_t offset = (uintptr_t)ptr - (uintptr_t)pool->base;
    return offset < (uintptr_t)pool->units << PM_UNIT_SHIFT &&
           pm_pool_is_block(pool, (uint32_t)offset);
}

/* The heap's pool that a block starts in there, of any pointer; NULL: it is none. */
static struct pm_pool *pool_at(const struct pm_user_heap *heap, const void *block)
{
    size_t unit;
    struct pm_window *w = pm_window_locate(block, &unit);
    if (w == NULL)
        return NULL;
    uint64_t route = pm_load_relaxed(pm_window_route(w, unit));
    if ((route & ~PM_ROUTE_DISTANCE_MASK) != PM_ROUTE_USER)
        return NULL;
    unit -= pm_route_distance(route);
    struct pm_pool *pool = pm_pool_at(w, unit);
    return pm_user_of_run(w, unit) == heap && is_block_of(pool, block) ? pool : NULL;
}

/* ---- carving ---- */

static void put_in_order(struct pm_user_heap *heap, uint16_t *order, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        order[i] = (uint16_t)i;
    for (unsigned i = n; pm_harden_now->order && i > 1; i--) { /* Fisher and Yates */
        unsigned other = (unsigned)((next_random(heap) >> 32) * i >> 32);
        uint16_t taken = order[other];
        order[other] = order[i - 1];
        order[i - 1] = taken;
    }
}

/* As a whole, so that any block may come first. */
static PM_NOINLINE void carve(struct pm_user_heap *heap, struct pm_pool *pool)
{
    uint16_t order[PM_UNIT_BYTES / PM_GRANULE_BYTES];
    char *first = pool->base + pool->first, *list = NULL;
    put_in_order(heap, order, pool->capacity);
    if (!pool->zero)
        memset(first, 0, (size_t)pool->capacity * pool->block_bytes);
    for (unsigned i = 0; i < pool->capacity; i++) {
        char *block = first + (size_t)order[i] * pool->block_bytes;
        put_link(heap, block, list);
        list = block;
    }
    pool->free = list;
    pool->carved = pool->capacity;
}

/* ---- taking ---- */

static size_t first_not_zero(const char *from, size_t bytes)
{
    size_t at = 0;
    while (at < bytes && from[at] == 0)
        at++;
    return at;
}

/* A line at a time: it is all of each block once more. */
static bool is_zero(const char *from, size_t bytes)
{
    enum { WORDS = 4, STEP = WORDS * sizeof(uint64_t) };
    uint64_t some = 0;
    for (; bytes >= STEP && some == 0; bytes -= STEP, from += STEP)
        some = get(from) | get(from + 8) | get(from + 16) | get(from + 24);
    return some == 0 && first_not_zero(from, bytes) == bytes;
}

static void check_left_alone(const struct pm_user_heap *heap, const char *block, size_t block_bytes)
{
    size_t bytes = block_bytes - sizeof(uint64_t);
    if (pm_harden_now->zero && pm_unlikely(!is_zero(block + sizeof(uint64_t), bytes)))
        pm_harden_fail(heap, PM_HARDEN_WRITTEN, "malloc", block, SIZE_MAX,
                       sizeof(uint64_t) + first_not_zero(block + sizeof(uint64_t), bytes));
}

static char *pop(struct pm_user_heap *heap, struct pm_pool *pool, const char *function)
{
    char *block = pool->free, *next = get_link(heap, block);
    if (pm_harden_now->links && next != NULL && pm_unlikely(!is_block_of(pool, next)))
        pm_harden_fail(heap, PM_HARDEN_LINK, function, block, SIZE_MAX, 0);
    pool->free = next;
    put(block, 0);
    return block;
}

static void make_live(const struct pm_user_heap *heap, char *block, size_t block_bytes, size_t n)
{
    size_t slack = block_bytes - PM_HARDEN_BACK - n;
    if (pm_harden_now->canaries)
        pm_harden_write_canary(heap, block + n, slack);
    put(block + block_bytes - PM_HARDEN_BACK, last_word(key_at(heap, block), n));
}

void *pm_harden_take(struct pm_user_heap *heap, struct pm_pool *pool, size_t n,
                     const char *function)
{
    if (pool->free == NULL)
        carve(heap, pool);
    char *block = pop(heap, pool, function);
    check_left_alone(heap, block, pool->block_bytes);
    make_live(heap, block, pool->block_bytes, n);
    return block;
}

/* ---- giving back ---- */

size_t pm_harden_bytes(const struct pm_user_heap *heap, const void *block, size_t block_bytes)
{
    uint64_t key = key_at(heap, block);
    uint64_t word = get((const char *)block + block_bytes - PM_HARDEN_BACK);
    uint64_t n = (word ^ key) >> 48;
    return n <= block_bytes - PM_HARDEN_BACK && word == last_word(key, n) ? (size_t)n : SIZE_MAX;
}

/* What was asked for of a block that has to be live. */
static size_t check_live(const struct pm_user_heap *heap, const char *block, size_t block_bytes,
                         const char *function)
{
    size_t n = pm_harden_bytes(heap, block, block_bytes), room = block_bytes - PM_HARDEN_BACK;
    if (pm_unlikely(n == SIZE_MAX))
        pm_harden_fail(heap, get(block + room) == 0 ? PM_HARDEN_FREED : PM_HARDEN_BEHIND, function,
                       block, SIZE_MAX, 0);
    if (pm_harden_now->canaries &&
        pm_unlikely(!pm_harden_canary_is_whole(heap, block + n, room - n)))
        pm_harden_fail(heap, PM_HARDEN_BEHIND, function, block, n, 0);
    return n;
}

static void wait_in_line(struct pm_user_heap *heap, char *block, size_t block_bytes,
                         const char *function)
{
    char *last = heap->waiting_last;
    put_link(heap, block, NULL);
    if (last != NULL && pm_harden_now->links && pm_unlikely(get_link(heap, last) != NULL))
        pm_harden_fail(heap, PM_HARDEN_LINK, function, last, SIZE_MAX, 0);
    if (last != NULL)
        put_link(heap, last, block);
    else
        heap->waiting = block;
    heap->waiting_last = block;
    heap->waiting_bytes += block_bytes;
}

void pm_harden_retire(struct pm_user_heap *heap, struct pm_pool *pool, void *ptr,
                      const char *function)
{
    size_t block_bytes = pool->block_bytes;
    char *block = ptr;
    check_live(heap, block, block_bytes, function);
    if (pm_harden_now->zero)
        memset(block, 0, block_bytes);
    else
        put(block + block_bytes - PM_HARDEN_BACK, 0);
    wait_in_line(heap, block, block_bytes, function);
    pool->waiting++;
}

void *pm_harden_due(struct pm_user_heap *heap, size_t keep_bytes, struct pm_pool **pool)
{
    char *block = heap->waiting;
    if (block == NULL || heap->waiting_bytes <= keep_bytes)
        return NULL;
    char *next = block != heap->waiting_last ? get_link(heap, block) : NULL;
    *pool = pool_at(heap, block);
    bool sound = *pool != NULL && (next != NULL) == (block != heap->waiting_last) &&
                 (next == NULL || !pm_harden_now->links || pool_at(heap, next) != NULL);
    if (pm_unlikely(!sound))
        pm_harden_fail(heap, PM_HARDEN_LINK, "free", block, SIZE_MAX, 0);
    heap->waiting = next;
    if (next == NULL)
        heap->waiting_last = NULL;
    heap->waiting_bytes -= (*pool)->block_bytes;
    (*pool)->waiting--;
    return block;
}

/* Before the first of the list or behind it, by chance: what was freed last need not come next. */
void pm_harden_push(struct pm_user_heap *heap, struct pm_pool *pool, void *block)
{
    char *first = pool->free;
    if (first == NULL || !pm_harden_now->order || next_random(heap) >> 63 != 0) {
        put_link(heap, block, first);
        pool->free = block;
        return;
    }
    char *second = get_link(heap, first);
    if (pm_harden_now->links && second != NULL && pm_unlikely(!is_block_of(pool, second)))
        pm_harden_fail(heap, PM_HARDEN_LINK, "free", first, SIZE_MAX, 0);
    put_link(heap, block, second);
    put_link(heap, first, block);
}

/* ---- live blocks ---- */

static bool resize_in_pool(const struct pm_user_heap *heap, struct pm_pool *pool, char *block,
                           size_t bytes, bool any)
{
    size_t room = pool->block_bytes - PM_HARDEN_BACK;
    bool same = bytes <= room && (any || pm_class_of(pm_harden_room(bytes)) == pool->class);
    if (same)
        make_live(heap, block, pool->block_bytes, bytes);
    return same;
}

/* Where the user heap's block is that ptr may be; false: it is no user heap's. */
static bool find_place(const void *ptr, struct pm_place_of *at, bool *large)
{
    size_t unit;
    at->window = pm_window_locate(ptr, &unit);
    if (at->window == NULL)
        return false;
    uint64_t route = pm_load_relaxed(pm_window_route(at->window, unit));
    uint64_t owner = route & ~PM_ROUTE_DISTANCE_MASK;
    *large = owner == PM_ROUTE_SPAN;
    at->unit = unit - (*large ? 0 : pm_route_distance(route));
    return owner == PM_ROUTE_USER || *large;
}

static size_t check_in_pool(const struct pm_user_heap *heap, struct pm_place_of at,
                            const char *block, const char *function)
{
    const struct pm_pool *pool = pm_pool_at(at.window, at.unit);
    pm_remote_check_block(pm_remote_at(at.window, at.unit), pool->base, block, function);
    return check_live(heap, block, pool->block_bytes, function);
}

/* Without the lock, which a walk may hold that calls its caller: nobody changes what is read of a
 * live block but who has it. */
bool pm_harden_find(void *ptr, const char *function, struct pm_harden_block *found)
{
    struct pm_place_of at;
    bool large;
    if (!find_place(ptr, &at, &large) || (found->heap = pm_user_of_run(at.window, at.unit)) == NULL)
        return false;
    if (large) {
        pm_harden_check_large(found->heap, at.window, at.unit, ptr, function);
        found->bytes = pm_span_note(at.window, at.unit)->bytes;
    } else {
        found->bytes = check_in_pool(found->heap, at, ptr, function);
    }
    return true;
}

bool pm_harden_resize(void *ptr, size_t bytes, bool any, const char *function)
{
    struct pm_place_of at;
    bool large, done;
    struct pm_user_heap *heap = NULL;
    if (find_place(ptr, &at, &large))
        heap = pm_user_lock_owner(at.window, at.unit);
    if (heap == NULL)
        return false;
    if (large) {
        pm_harden_check_large(heap, at.window, at.unit, ptr, function);
        done = any && pm_harden_resize_large(heap, at.window, at.unit, bytes);
    } else {
        check_in_pool(heap, at, ptr, function);
        done = resize_in_pool(heap, pm_pool_at(at.window, at.unit), ptr, bytes, any);
    }
    pm_lock_release(&heap->lock);
    return done;
}

bool pm_harden_live_at(struct pm_place_of at, void **block, size_t *bytes)
{
    struct pm_user_heap *heap = pm_user_lock_owner(at.window, at.unit);
    if (heap == NULL)
        return false;
    bool live;
    if (pm_load_relaxed(pm_window_route(at.window, at.unit)) == PM_ROUTE_SPAN) {
        live = pm_harden_large_at(at.window, at.unit, block, bytes);
    } else {
        const struct pm_pool *pool = pm_pool_at(at.window, at.unit);
        *bytes = pm_harden_bytes(heap, *block, pool->block_bytes);
        live = *bytes != SIZE_MAX;
    }
    pm_lock_release(&heap->lock);
    return live;
}

void pm_harden_look(const struct pm_pool *pool, struct pm_pool_blocks *blocks)
{
    pm_pool_look_begin(pool, blocks);
    for (unsigned i = 0; i < blocks->carved; i++) {
        const char *block = blocks->first + i * blocks->block_bytes;
        if (get(block + blocks->block_bytes - PM_HARDEN_BACK) == 0)
            blocks->is_free[i / 64] |= (uint64_t)1 << i % 64;
    }
}

/* A link that leads elsewhere is the program's fault, and a named error. */
bool pm_harden_check_pool(const struct pm_user_heap *heap, const struct pm_pool *pool)
{
    unsigned n = 0;
    for (char *block = pool->free, *next; block != NULL && n <= pool->carved; block = next, n++) {
        next = get_link(heap, block);
        if (next != NULL && !is_block_of(pool, next))
            pm_harden_fail(heap, PM_HARDEN_LINK, "malloc", block, SIZE_MAX, 0);
    }
    if (pool->count + pool->waiting + n != pool->carved) {
        pm_warn("pool check: %u live, %u waiting and %u free blocks of %u carved (pool %p)",
                (unsigned)pool->count, (unsigned)pool->waiting, n, (unsigned)pool->carved,
                (void *)pool->base);
        return false;
    }
    return true;
}
