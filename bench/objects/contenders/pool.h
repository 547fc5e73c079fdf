/* SPDX-License-Identifier: MIT */
/* Objects of libpoolobject: biased counts, blocks of pools. See contender.h. */
#include "poolmalloc/object.h"
#include "workload.h"

#define CONTENDER_NAME "poolmalloc"
#define CONTENDER_NODES 1
#define CONTENDER_COUNTS 1
#define CONTENDER_SHARES 1
#define CONTENDER_FREEZES 1
#define CONTENDER_COLLECTS 0

struct node {
    struct pm_object object;
    struct node *left, *right;
    uint64_t value;
};

static void node_clear(struct pm_object *object)
{
    struct node *node = (struct node *)object, *left = node->left, *right = node->right;
    node->left = node->right = NULL;
    if (left != NULL)
        pm_decref(&left->object);
    if (right != NULL)
        pm_decref(&right->object);
}

static struct pm_type node_type = {
    .name = "node",
    .size = sizeof(struct node),
    .clear = node_clear,
};

static inline const char *contender_version(void)
{
    return ""; /* that of the sources */
}

static inline void contender_call(void (*call)(void *), void *arg)
{
    call(arg);
}

static inline void contender_begin(void)
{
    if (!pm_object_thread_attach())
        bench_die("a thread could not be attached");
}

static inline void contender_end(void)
{
    pm_object_thread_detach();
}

static inline void contender_wait_begin(void)
{
    pm_object_thread_pause();
}

static inline void contender_wait_end(void)
{
    pm_object_thread_resume();
}

static inline void contender_safepoint(void)
{
    pm_safepoint();
}

static inline struct node *node_new(struct node *left, struct node *right, uint64_t value)
{
    struct node *node = (struct node *)pm_object_new(&node_type);
    if (__builtin_expect(node == NULL, 0))
        bench_die("out of memory");
    node->left = left;
    node->right = right;
    node->value = value;
    return node;
}

static inline void node_take(struct node *node)
{
    pm_incref(&node->object);
}

static inline void node_drop(struct node *node)
{
    pm_decref(&node->object);
}

static inline void contender_freeze(struct node *node)
{
    if (!pm_object_set_immortal(&node->object))
        bench_die("a node could not be made immortal");
}
