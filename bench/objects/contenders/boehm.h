/* SPDX-License-Identifier: MIT */
/*
 * The Boehm-Demers-Weiser collector: nothing is counted, and what no pointer leads to is found and
 * freed when the heap has grown. Its defaults, with marking threads where there are several cores.
 */
#define GC_THREADS 1
#include <gc.h>

#include "workload.h"

#define CONTENDER_NAME "boehm"
#define CONTENDER_COUNTS 0
#define CONTENDER_SHARES 0
#define CONTENDER_FREEZES 0

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
