/* SPDX-License-Identifier: MIT */
/*
 * A key-value cache under a byte budget, as Redis with maxmemory: an entry, its key and its value
 * are blocks; what was not asked for the longest is evicted. The sizes of the values drift up and
 * down over the run, so that new values do not fit where the old ones were: what an allocator
 * cannot use again for other sizes stays resident, and the cost of finding room shows as time.
 * An operation is one request: a hit reads the value or, one time in four, replaces it by one of
 * another size; a miss inserts, and evicts until the budget holds.
 * Source: sizes of keys and values as in the model of the ETC pool by Atikoglu, Xu, Frachtenberg,
 * Jiang, Paleczny, "Workload Analysis of a Large-Scale Key-Value Store", SIGMETRICS 2012; the drift
 * after Rumble, Kejriwal, Ousterhout, "Log-structured Memory for DRAM-based Storage", FAST 2014,
 * whose workloads change the size distribution of a full store.
 */
#include "workload.h"

#include <math.h>

enum {
    BUDGET_BYTES = 32 << 20,
    KEYS = 1 << 20,
    BUCKET_BITS = 18,
    BUCKETS = 1 << BUCKET_BITS,
    BATCH = 500,
    REPLACED_ONE_IN = 4,
    KEY_BYTES_MIN = 24, /* room for the size, the number of the key and the mark */
    KEY_BYTES_MAX = 250,
    VALUE_BYTES_MIN = 16,
    VALUE_BYTES_MAX = 1 << 20
};

/* The factors on the values' sizes over the run, with straight lines between them. */
static const double drift[] = {1, 0.3, 4, 0.6, 2};
enum { DRIFTS = sizeof(drift) / sizeof(drift[0]) - 1 };

struct key {
    uint32_t bytes;
    uint64_t number;
};

struct entry {
    uint32_t bytes;
    struct entry *chained;       /* of the same bucket */
    struct entry *newer, *older; /* in the order of use */
    struct key *key;
    void *value;
    uint64_t number;
    uint64_t mark; /* its last byte is bench_alloc's */
};

struct cache {
    struct entry **bucket;
    struct entry *newest, *oldest;
    uint64_t bytes;
    struct bench_random random;
    uint64_t sum;
};

static struct bench_sizes key_sizes, value_sizes;

/* Generalized extreme value distribution (30.7984, 8.20449, 0.078688) of the length of keys. */
static double key_quantile(double u)
{
    const double location = 30.7984, scale = 8.20449, shape = 0.078688;
    return location + scale / shape * (pow(-log(u), -shape) - 1);
}

/* Generalized Pareto distribution (0, 214.476, 0.348238) of the length of values. */
static double value_quantile(double u)
{
    const double scale = 214.476, shape = 0.348238;
    return scale / shape * (pow(1 - u, -shape) - 1);
}

static void fill_sizes(struct bench_sizes *sizes, double (*quantile)(double), double low,
                       double high)
{
    struct bench_random random = {900};
    for (size_t i = 0; i < BENCH_SIZES; i++) {
        double size = fmin(fmax(quantile(((double)i + 0.5) / BENCH_SIZES), low), high);
        size_t place = bench_random_below(&random, i + 1);
        sizes->size[i] = sizes->size[place];
        sizes->size[place] = (uint32_t)size;
    }
}

static double drift_at(double progress)
{
    size_t leg = (size_t)(progress * DRIFTS);
    if (leg >= DRIFTS)
        return drift[DRIFTS];
    double along = progress * DRIFTS - (double)leg;
    return drift[leg] * (1 - along) + drift[leg + 1] * along;
}

static struct entry **bucket_of(struct cache *cache, uint64_t number)
{
    return &cache->bucket[(number * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - BUCKET_BITS)];
}

static struct entry *find(struct cache *cache, uint64_t number)
{
    struct entry *entry = *bucket_of(cache, number);
    while (entry != NULL && (entry->number != number || entry->key->number != number))
        entry = entry->chained;
    return entry;
}

static void unlink_use(struct cache *cache, struct entry *entry)
{
    *(entry->newer != NULL ? &entry->newer->older : &cache->newest) = entry->older;
    *(entry->older != NULL ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void link_newest(struct cache *cache, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = entry;
    cache->newest = entry;
}

static void *new_value(struct cache *cache, double factor)
{
    double drawn = factor * bench_size(&value_sizes, bench_random(&cache->random));
    uint32_t bytes = drawn < VALUE_BYTES_MIN ? VALUE_BYTES_MIN : (uint32_t)drawn;
    cache->bytes += bytes;
    return bench_alloc(bytes);
}

static void insert(struct cache *cache, uint64_t number, double factor)
{
    struct entry *entry = bench_alloc(sizeof(*entry));
    struct entry **bucket = bucket_of(cache, number);
    entry->key = bench_alloc(bench_size(&key_sizes, bench_random(&cache->random)));
    entry->key->number = number;
    entry->number = number;
    entry->value = new_value(cache, factor);
    entry->chained = *bucket;
    *bucket = entry;
    link_newest(cache, entry);
    cache->bytes += entry->bytes + entry->key->bytes;
}

static void evict_oldest(struct cache *cache)
{
    struct entry *entry = cache->oldest;
    struct entry **link = bucket_of(cache, entry->number);
    while (*link != entry)
        link = &(*link)->chained;
    *link = entry->chained;
    unlink_use(cache, entry);
    uint32_t bytes = bench_free(entry->value) + bench_free(entry->key);
    bytes += bench_free(entry);
    cache->bytes -= bytes;
    cache->sum += bytes;
}

static void use(struct cache *cache, struct entry *entry, double factor)
{
    unlink_use(cache, entry);
    link_newest(cache, entry);
    if (bench_random(&cache->random) % REPLACED_ONE_IN == 0) {
        cache->bytes -= bench_free(entry->value);
        entry->value = new_value(cache, factor);
    } else {
        cache->sum += bench_block_size(entry->value);
    }
}

/* The cube makes low numbers popular: a tenth of the keys gets nearly half of the requests. */
static void request(struct cache *cache, double factor)
{
    double drawn = (double)bench_random_below(&cache->random, UINT64_C(1) << 32) / 4294967296.0;
    uint64_t number = (uint64_t)(drawn * drawn * drawn * KEYS);
    struct entry *entry = find(cache, number);
    if (entry != NULL)
        use(cache, entry, factor);
    else
        insert(cache, number, factor);
    while (cache->bytes > BUDGET_BYTES)
        evict_oldest(cache);
}

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    struct cache cache = {.bucket = bench_table(BUCKETS, sizeof(cache.bucket[0])), .random = {901}};
    int64_t done = 0;
    fill_sizes(&key_sizes, key_quantile, KEY_BYTES_MIN, KEY_BYTES_MAX);
    fill_sizes(&value_sizes, value_quantile, VALUE_BYTES_MIN, VALUE_BYTES_MAX);
    while (gbench_keep_running_batch(state, BATCH)) {
        double factor = drift_at((double)done / (double)how->ops);
        for (int i = 0; i < BATCH; i++)
            request(&cache, factor);
        done += BATCH;
    }
    while (cache.oldest != NULL)
        evict_oldest(&cache);
    bench_table_drop(cache.bucket, BUCKETS, sizeof(cache.bucket[0]));
    return cache.sum;
}

static const struct bench_row rows[] = {
    {"kvcache/drift", "a key-value cache of 32 MiB with eviction, sizes drift", 450000, BATCH,
     GBENCH_PROCESS_CPU, run, .unit = "request"},
};

BENCH_ROWS(BENCH_WORKLOAD, rows)
