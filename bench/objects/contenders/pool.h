/* SPDX-License-Identifier: MIT */
/* Objects of libpoolobject: biased counts, blocks of pools. See contender.h. */
#include "poolmalloc/gc.h"
#include "workload.h"

#define CONTENDER_NAME "poolmalloc"
#define CONTENDER_NODES 1
#define CONTENDER_COUNTS 1
#define CONTENDER_SHARES 1
#define CONTENDER_FREEZES 1
#define CONTENDER_COLLECTS 1

#include "pool_threads.h"

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

/* ---- collections ---- */

#include "pool_collector.h"

struct vertex {
    struct pm_object object;
    struct vertex *edges[3];
};

static int vertex_traverse(struct pm_object *object, pm_visit visit, void *arg)
{
    const struct vertex *vertex = (struct vertex *)object;
    for (size_t i = 0; i < 3; i++) {
        int result = vertex->edges[i] == NULL ? 0 : visit(&vertex->edges[i]->object, arg);
        if (result != 0)
            return result;
    }
    return 0;
}

static void vertex_clear(struct pm_object *object)
{
    struct vertex *vertex = (struct vertex *)object;
    for (size_t i = 0; i < 3; i++) {
        struct vertex *to = vertex->edges[i];
        vertex->edges[i] = NULL;
        if (to != NULL)
            pm_decref(&to->object);
    }
}

static struct pm_type vertex_type = {
    .name = "vertex",
    .size = sizeof(struct vertex),
    .flags = PM_TYPE_GC,
    .traverse = vertex_traverse,
    .clear = vertex_clear,
};

static inline struct vertex *vertex_new(void)
{
    struct vertex *vertex = (struct vertex *)pm_object_new(&vertex_type);
    if (__builtin_expect(vertex == NULL, 0))
        bench_die("out of memory");
    return vertex;
}

/* An edge is set once. */
static inline void vertex_refer(struct vertex *vertex, uint64_t edge, struct vertex *to)
{
    pm_incref(&to->object);
    vertex->edges[edge] = to;
}

static inline struct vertex *vertex_edge(struct vertex *vertex, uint64_t edge)
{
    return vertex->edges[edge];
}

static inline void vertex_drop(struct vertex *vertex)
{
    pm_decref(&vertex->object);
}
