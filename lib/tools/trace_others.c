/* SPDX-License-Identifier: MIT */
/*
 * See trace_others.h. Nodes are never given back: what is dropped waits in its shard for the next.
 * So a walk may follow a chain without the lock: at worst a node that is used again leads it into
 * another chain of the shard, and it misses some or sees some twice, as others are at work.
 */
#include "tools/trace_others.h"

#include "base/lock.h"
#include "poolmalloc/trace.h"

enum { SHARDS = 64, BUCKETS_SHIFT = 18 };
#define BUCKETS ((size_t)1 << BUCKETS_SHIFT)

/* Under the shard's lock, but that a walk reads what is atomic. */
struct node {
    _Atomic uint32_t next; /* number of the next in the bucket or of the free ones; 0: none */
    uint32_t key;          /* the domain; 0: one of the library's */
    uintptr_t ptr;
    _Atomic uint64_t mark; /* epoch << 32 | domain; 0: not in use */
    _Atomic uint64_t stack, bytes;
};

static struct {
    struct pm_lock lock;
    uint32_t free;
} shards[SHARDS];

static struct pm_room room;
static _Atomic uint32_t *buckets;
/* There is a node, or was one. Relaxed: set before a node is linked; who misses it, misses a node
 * of this moment. */
static _Atomic bool used;

bool pm_trace_others_start(void)
{
    if (buckets != NULL)
        return true;
    if (room.start == NULL && !pm_room_make(&room, BUCKETS * sizeof *buckets))
        return false;
    if (!pm_room_need(&room, 0, BUCKETS * sizeof *buckets))
        return false;
    buckets = (_Atomic uint32_t *)(void *)room.start;
    for (unsigned i = 0; i < SHARDS; i++) {
        shards[i].lock.rank = PM_RANK_TRACE;
        pm_lock_register(&shards[i].lock);
    }
    return true;
}

static struct node *node_at(uint32_t number)
{
    return pm_trace_taken(number);
}

static uint32_t key_of(unsigned domain)
{
    return domain < PM_TRACE_DOMAINS ? 0 : domain;
}

static size_t bucket_of(uint32_t key, const void *ptr)
{
    uint64_t hash = ((uintptr_t)ptr ^ (uint64_t)key << 40) * 0x9e3779b97f4a7c15u;
    return hash >> (64 - BUCKETS_SHIFT);
}

/* Where the number of the node is, or the 0 at the end of the chain. */
static _Atomic uint32_t *find(size_t bucket, uint32_t key, const void *ptr)
{
    _Atomic uint32_t *at = &buckets[bucket];
    for (uint32_t number; (number = pm_load_relaxed(at)) != 0; at = &node_at(number)->next) {
        if (node_at(number)->ptr == (uintptr_t)ptr && node_at(number)->key == key)
            break;
    }
    return at;
}

static struct pm_traced read_node(const struct node *node, unsigned epoch)
{
    /* Acquire pairs with the release in write_node. */
    uint64_t mark = pm_load_acquire(&node->mark);
    if (mark >> 32 != epoch)
        return (struct pm_traced){0};
    return (struct pm_traced){.bytes = pm_load_relaxed(&node->bytes),
                              .stack = (uint32_t)pm_load_relaxed(&node->stack),
                              .domain = (uint32_t)mark};
}

static void write_node(struct node *node, unsigned epoch, const struct pm_traced *traced)
{
    pm_store_relaxed(&node->bytes, traced->bytes);
    pm_store_relaxed(&node->stack, traced->stack);
    /* Release: a walk that sees the mark sees them, or later ones. */
    pm_store_release(&node->mark, (uint64_t)epoch << 32 | traced->domain);
}

/* Under the shard's lock; 0: out of memory. */
static uint32_t new_node(unsigned shard, uint32_t key, const void *ptr)
{
    uint32_t number = shards[shard].free;
    if (number != 0)
        shards[shard].free = pm_load_relaxed(&node_at(number)->next);
    else
        number = pm_trace_take(sizeof(struct node));
    if (number == 0)
        return 0;
    pm_store_relaxed(&used, true);
    node_at(number)->ptr = (uintptr_t)ptr;
    node_at(number)->key = key;
    return number;
}

static void free_node(unsigned shard, _Atomic uint32_t *at)
{
    uint32_t number = pm_load_relaxed(at);
    struct node *node = node_at(number);
    pm_store_relaxed(&node->mark, 0);
    pm_store_relaxed(at, pm_load_relaxed(&node->next));
    pm_store_relaxed(&node->next, shards[shard].free);
    shards[shard].free = number;
}

bool pm_trace_others_put(const void *ptr, unsigned epoch, const struct pm_traced *traced,
                         uint64_t *replaced)
{
    uint32_t key = key_of(traced->domain), number;
    size_t bucket = bucket_of(key, ptr), shard = bucket % SHARDS;
    pm_lock_acquire(&shards[shard].lock);
    _Atomic uint32_t *at = find(bucket, key, ptr);
    *replaced = 0;
    if ((number = pm_load_relaxed(at)) != 0) {
        *replaced = read_node(node_at(number), epoch).bytes;
        write_node(node_at(number), epoch, traced);
    } else if ((number = new_node((unsigned)shard, key, ptr)) != 0) {
        write_node(node_at(number), epoch, traced);
        pm_store_relaxed(&node_at(number)->next, pm_load_relaxed(&buckets[bucket]));
        /* Release: a walk finds it complete. */
        pm_store_release(&buckets[bucket], number);
    }
    pm_lock_release(&shards[shard].lock);
    return number != 0;
}

struct pm_traced pm_trace_others_drop(unsigned domain, const void *ptr, unsigned epoch)
{
    struct pm_traced traced = {0};
    uint32_t key = key_of(domain);
    size_t bucket = bucket_of(key, ptr), shard = bucket % SHARDS;
    /* Nothing is there, as a rule where few are traced. Relaxed: what the caller may know of was
     * put there before it knew. */
    if (pm_load_relaxed(&buckets[bucket]) == 0)
        return traced;
    pm_lock_acquire(&shards[shard].lock);
    _Atomic uint32_t *at = find(bucket, key, ptr);
    if (pm_load_relaxed(at) != 0) {
        traced = read_node(node_at(pm_load_relaxed(at)), epoch);
        free_node((unsigned)shard, at);
    }
    pm_lock_release(&shards[shard].lock);
    return traced;
}

struct pm_traced pm_trace_others_get(unsigned domain, const void *ptr, unsigned epoch)
{
    struct pm_traced traced = {0};
    uint32_t key = key_of(domain);
    size_t bucket = bucket_of(key, ptr), shard = bucket % SHARDS;
    pm_lock_acquire(&shards[shard].lock);
    uint32_t number = pm_load_relaxed(find(bucket, key, ptr));
    if (number != 0)
        traced = read_node(node_at(number), epoch);
    pm_lock_release(&shards[shard].lock);
    return traced;
}

void pm_trace_others_purge(unsigned epoch)
{
    for (size_t bucket = 0; pm_load_relaxed(&used) && bucket < BUCKETS; bucket++) {
        unsigned shard = bucket % SHARDS;
        _Atomic uint32_t *at = &buckets[bucket];
        if (pm_load_relaxed(at) == 0)
            continue;
        pm_lock_acquire(&shards[shard].lock);
        for (uint32_t number; (number = pm_load_relaxed(at)) != 0;) {
            if (pm_load_relaxed(&node_at(number)->mark) >> 32 == epoch)
                at = &node_at(number)->next;
            else
                free_node(shard, at);
        }
        pm_lock_release(&shards[shard].lock);
    }
}

/* A chain is never longer than all nodes that there are; a walk that was led astray ends, too. */
void pm_trace_others_each(unsigned epoch, void (*visit)(const struct pm_traced *traced, void *arg),
                          void *arg)
{
    for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
        /* Acquire pairs with the release in pm_trace_others_put. */
        uint32_t number = pm_load_acquire(&buckets[bucket]), left = (uint32_t)1 << 24;
        for (; number != 0 && left > 0; left--) {
            struct pm_traced traced = read_node(node_at(number), epoch);
            if (traced.stack != 0)
                visit(&traced, arg);
            number = pm_load_relaxed(&node_at(number)->next);
        }
    }
}
