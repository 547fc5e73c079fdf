/* SPDX-License-Identifier: MIT */
/*
 * The Boehm-Demers-Weiser collector: nothing is counted, and what no pointer leads to is found and
 * freed when the heap has grown. Its defaults, with marking threads where there are several cores.
 */
#define GC_THREADS 1
#include <gc.h>

#include "workload.h"

#include <time.h>

#define CONTENDER_NAME "boehm"
#define CONTENDER_NODES 1
#define CONTENDER_COUNTS 0
#define CONTENDER_SHARES 0
#define CONTENDER_FREEZES 0
#define CONTENDER_COLLECTS 1

struct node {
    struct node *left, *right;
    uint64_t value;
};

static inline const char *contender_version(void)
{
    static char text[32];
    unsigned version = GC_get_version();
    snprintf(text, sizeof(text), "%u.%u.%u", version >> 16, version >> 8 & 0xff, version & 0xff);
    return text;
}

static inline void contender_call(void (*call)(void *), void *arg)
{
    call(arg);
}

static inline void contender_begin(void)
{
    GC_INIT();
}

static inline void contender_end(void) {}

static inline void contender_wait_begin(void) {}

static inline void contender_wait_end(void) {}

static inline void contender_safepoint(void) {}

static inline struct node *node_new(struct node *left, struct node *right, uint64_t value)
{
    struct node *node = GC_MALLOC(sizeof(*node));
    if (__builtin_expect(node == NULL, 0))
        bench_die("out of memory");
    node->left = left;
    node->right = right;
    node->value = value;
    return node;
}

static inline void node_take(struct node *node)
{
    (void)node;
}

static inline void node_drop(struct node *node)
{
    (void)node;
}

/* ---- collections ---- */

struct vertex {
    struct vertex *edges[3];
};

static double stopped_at_seconds, longest_seconds;

static double boehm_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Called by the thread that collects. */
static void on_event(GC_EventType event)
{
    if (event == GC_EVENT_PRE_STOP_WORLD)
        stopped_at_seconds = boehm_now();
    if (event == GC_EVENT_POST_START_WORLD && boehm_now() - stopped_at_seconds > longest_seconds)
        longest_seconds = boehm_now() - stopped_at_seconds;
}

static inline void collect_begin(bool by_themselves)
{
    GC_set_on_collection_event(on_event);
    if (!by_themselves)
        GC_disable();
}

/* It does not tell how many objects it has found. */
static inline uint64_t collect_all(void)
{
    bool disabled = GC_is_disabled() != 0;
    if (disabled)
        GC_enable();
    GC_gcollect();
    if (disabled)
        GC_disable();
    return 0;
}

static inline double collect_pause_seconds(void)
{
    return longest_seconds;
}

/* The collector looks into memory of its own only. */
static inline struct vertex **collect_table(uint64_t count)
{
    struct vertex **table = GC_MALLOC_UNCOLLECTABLE(count * sizeof(struct vertex *));
    if (table == NULL)
        bench_die("out of memory");
    return table;
}

static inline void collect_table_drop(struct vertex **table, uint64_t count)
{
    (void)count;
    GC_FREE(table);
}

static inline struct vertex *vertex_new(void)
{
    struct vertex *vertex = GC_MALLOC(sizeof(*vertex));
    if (__builtin_expect(vertex == NULL, 0))
        bench_die("out of memory");
    return vertex;
}

static inline void vertex_refer(struct vertex *vertex, uint64_t edge, struct vertex *to)
{
    vertex->edges[edge] = to;
}

static inline struct vertex *vertex_edge(struct vertex *vertex, uint64_t edge)
{
    return vertex->edges[edge];
}

static inline void vertex_drop(struct vertex *vertex)
{
    (void)vertex;
}
