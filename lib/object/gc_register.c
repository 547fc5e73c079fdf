/* SPDX-License-Identifier: MIT */
/*
 * The register of objects that may be part of cycles and lie in no gc pool: large ones, and all of
 * them where somebody has to see each allocation. A hash table by address, in shards with a lock
 * each, and a node for each object, which does not move. Attached threads; the stopper takes no
 * lock, as no thread is stopped while it has one.
 */
#include "object/gc_internal.h"

#include "poolmalloc/domains.h"

#define SHARDS_SHIFT 3
#define SHARDS (1u << SHARDS_SHIFT)
#define BUCKETS_MIN 16

struct shard {
    pthread_mutex_t lock; /* of all below; no other is taken under it but the allocator's */
    struct pm_gc_node **buckets;
    size_t count, buckets_count;         /* a power of two */
    struct pm_gc_node *few[BUCKETS_MIN]; /* the first ones */
} __attribute__((aligned(PM_LINE_BYTES)));

static struct shard shards[SHARDS];

void pm_gc_register_init(void)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&shards[i].lock, NULL);
        shards[i].buckets = shards[i].few;
        shards[i].buckets_count = BUCKETS_MIN;
    }
}

static uint64_t hash_of(const struct pm_object *object)
{
    return ((uintptr_t)object >> GC_GRANULE_SHIFT) * 0x9e3779b97f4a7c15u;
}

static struct shard *shard_of(uint64_t hash)
{
    return &shards[hash >> (64 - SHARDS_SHIFT)];
}

static struct pm_gc_node **bucket_of(const struct shard *shard, uint64_t hash)
{
    return &shard->buckets[hash >> 20 & (shard->buckets_count - 1)];
}

/* ---- invariants ---- */

/* Under the lock, or stopped. How many are in the list; SIZE_MAX: one does not belong there. */
static size_t bucket_check(const struct shard *shard, struct pm_gc_node *const *bucket)
{
    size_t count = 0;
    for (const struct pm_gc_node *node = *bucket; node != NULL; node = node->next, count++) {
        uint64_t hash = hash_of(node->object);
        if (shard_of(hash) == shard && bucket_of(shard, hash) == bucket)
            continue;
        pm_object_warn("register check: the node of %p is where nobody looks for it",
                       (void *)node->object);
        return SIZE_MAX;
    }
    return count;
}

static bool shard_check(const struct shard *shard)
{
    size_t count = 0;
    for (size_t i = 0; i < shard->buckets_count; i++) {
        size_t nodes = bucket_check(shard, &shard->buckets[i]);
        if (nodes == SIZE_MAX)
            return false;
        count += nodes;
    }
    if (count == shard->count)
        return true;
    pm_object_warn("register check: %zu nodes in a shard of %zu", count, shard->count);
    return false;
}

bool pm_gc_register_check(void)
{
    bool right = true;
    for (unsigned i = 0; i < SHARDS && right; i++)
        right = shard_check(&shards[i]);
    return right;
}

/* ---- changing ---- */

/* Under the lock. Without memory the lists get longer. */
static void make_room(struct shard *shard)
{
    if (shard->count < shard->buckets_count)
        return;
    size_t before = shard->buckets_count;
    struct pm_gc_node **old = shard->buckets;
    size_t count = before * 2;
    struct pm_gc_node **buckets = pm_raw_calloc(count, sizeof *buckets);
    if (buckets == NULL)
        return;
    shard->buckets = buckets;
    shard->buckets_count = count;
    for (size_t i = 0; i < before; i++)
        for (struct pm_gc_node *node = old[i], *next; node != NULL; node = next) {
            struct pm_gc_node **bucket = bucket_of(shard, hash_of(node->object));
            next = node->next;
            node->next = *bucket;
            *bucket = node;
        }
    if (old != shard->few)
        pm_raw_free(old);
    pm_object_assert(shard_check(shard));
}

bool pm_gc_register_add(struct pm_object *object)
{
    uint64_t hash = hash_of(object);
    struct shard *shard = shard_of(hash);
    struct pm_gc_node *node = pm_raw_malloc(sizeof *node);
    if (node == NULL)
        return false;
    *node = (struct pm_gc_node){.object = object};
    pthread_mutex_lock(&shard->lock);
    make_room(shard);
    struct pm_gc_node **bucket = bucket_of(shard, hash);
    node->next = *bucket;
    *bucket = node;
    shard->count++;
    pm_object_assert(bucket_check(shard, bucket) != SIZE_MAX);
    pthread_mutex_unlock(&shard->lock);
    if (pm_gc_offset(object) < pm_gc_table.bytes)
        pm_gc_set_mark(pm_gc_unit_of(pm_gc_offset(object)), GC_HAS_REGISTERED);
    return true;
}

uint32_t pm_gc_register_remove(struct pm_object *object)
{
    uint64_t hash = hash_of(object);
    struct shard *shard = shard_of(hash);
    pthread_mutex_lock(&shard->lock);
    struct pm_gc_node **link = bucket_of(shard, hash), *node;
    pm_object_assert(bucket_check(shard, link) != SIZE_MAX);
    while ((node = *link)->object != object)
        link = &node->next;
    *link = node->next;
    shard->count--;
    pthread_mutex_unlock(&shard->lock);
    uint32_t word = pm_load_relaxed(&node->word);
    pm_raw_free(node);
    return word;
}

struct pm_gc_node *pm_gc_register_find(const struct pm_object *object)
{
    uint64_t hash = hash_of(object);
    const struct shard *shard = shard_of(hash);
    struct pm_gc_node *node = *bucket_of(shard, hash);
    while (node != NULL && node->object != object)
        node = node->next;
    return node;
}

_Atomic uint32_t *pm_gc_word_elsewhere(const struct pm_object *object)
{
    struct pm_gc_node *node = pm_gc_register_find(object);
    return node != NULL ? &node->word : NULL;
}

void pm_gc_register_each(void (*visit)(struct pm_object *object, struct pm_gc_node *node,
                                       void *arg),
                         void *arg)
{
    for (unsigned i = 0; i < SHARDS; i++)
        for (size_t bucket = 0; bucket < shards[i].buckets_count; bucket++)
            for (struct pm_gc_node *node = shards[i].buckets[bucket]; node != NULL;
                 node = node->next)
                visit(node->object, node, arg);
}

size_t pm_gc_register_count(void)
{
    size_t count = 0;
    for (unsigned i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&shards[i].lock);
        count += shards[i].count;
        pthread_mutex_unlock(&shards[i].lock);
    }
    return count;
}

void pm_gc_register_lock(void)
{
    for (unsigned i = 0; i < SHARDS; i++)
        pthread_mutex_lock(&shards[i].lock);
}

void pm_gc_register_unlock(void)
{
    for (unsigned i = 0; i < SHARDS; i++)
        pthread_mutex_unlock(&shards[i].lock);
}
