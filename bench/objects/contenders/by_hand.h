/* SPDX-License-Identifier: MIT */
/*
 * What a program writes that counts by hand: a counter in the node, malloc and free of the C
 * library. Included by plain.h and atomic.h, which define count_up() and count_down_to_zero(). A
 * list, which hangs on `right`, dies in a loop.
 */
#include "workload.h"

#define CONTENDER_NODES 1
#define CONTENDER_COUNTS 1
#define CONTENDER_FREEZES 0
#define CONTENDER_COLLECTS 0

struct node {
    uint64_t count;
    struct node *left, *right;
    uint64_t value;
};

static inline void count_up(uint64_t *count);
static inline bool count_down_to_zero(uint64_t *count);

static inline const char *contender_version(void)
{
    return "";
}

static inline void contender_call(void (*call)(void *), void *arg)
{
    call(arg);
}

static inline void contender_begin(void) {}

static inline void contender_end(void) {}

static inline void contender_wait_begin(void) {}

static inline void contender_wait_end(void) {}

static inline void contender_safepoint(void) {}

static inline struct node *node_new(struct node *left, struct node *right, uint64_t value)
{
    struct node *node = malloc(sizeof(*node));
    if (__builtin_expect(node == NULL, 0))
        bench_die("out of memory");
    *node = (struct node){.count = 1, .left = left, .right = right, .value = value};
    return node;
}

static inline void node_take(struct node *node)
{
    count_up(&node->count);
}

static __attribute__((noinline, unused)) void node_die(struct node *node)
{
    for (;;) {
        struct node *left = node->left, *right = node->right;
        free(node);
        if (left != NULL && count_down_to_zero(&left->count))
            node_die(left);
        if (right == NULL || !count_down_to_zero(&right->count))
            return;
        node = right;
    }
}

static inline void node_drop(struct node *node)
{
    if (__builtin_expect(count_down_to_zero(&node->count), 0))
        node_die(node);
}
