/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the collector share: nodes, which refer to each other, and whose deaths and
 * finalizers are counted. They lie in gc pools, or are too large for them, or there are no tables
 * beside the pools: test_gc_place says which. Only x_test.c files include it.
 */
#ifndef PM_OBJECT_GC_TESTING_H
#define PM_OBJECT_GC_TESTING_H

#include "object/gc.h"
#include "object/gc_internal.h"
#include "object/testing.h"
#include "poolmalloc/gc.h"

#define NODE_REFS 4

struct node {
    struct pm_object object;
    struct pm_object *refs[NODE_REFS];
    uintptr_t number;
};

/* The tests run on one thread unless they say otherwise. */
static _Atomic unsigned node_deaths, node_finals;

static inline int node_traverse(struct pm_object *object, pm_visit visit, void *arg)
{
    for (unsigned i = 0; i < NODE_REFS; i++) {
        struct pm_object *to = ((struct node *)object)->refs[i];
        int result = to != NULL ? visit(to, arg) : 0;
        if (result != 0)
            return result;
    }
    return 0;
}

static inline void node_set(struct pm_object *object, unsigned i, struct pm_object *to)
{
    struct pm_object *old = ((struct node *)object)->refs[i];
    if (to != NULL)
        pm_incref(to);
    ((struct node *)object)->refs[i] = to;
    if (old != NULL)
        pm_decref(old);
}

static inline void node_clear(struct pm_object *object)
{
    for (unsigned i = 0; i < NODE_REFS; i++)
        node_set(object, i, NULL);
}

static inline void node_free(struct pm_object *object)
{
    (void)object;
    atomic_fetch_add_explicit(&node_deaths, 1, memory_order_relaxed);
}

/* As a tuple's: it drops its references when it dies, and never before. */
static inline void node_free_uncleared(struct pm_object *object)
{
    node_clear(object);
    node_free(object);
}

/* Set by tests; called by nodes of the types that have a finalizer. */
static void (*node_final)(struct pm_object *object);

static inline void node_finalize(struct pm_object *object)
{
    atomic_fetch_add_explicit(&node_finals, 1, memory_order_relaxed);
    if (node_final != NULL)
        node_final(object);
}

#define NODE_TYPE(name_, size_, clear_, finalize_, free_)                                          \
    {                                                                                              \
        .name = name_, .size = size_, .flags = PM_TYPE_GC, .traverse = node_traverse,              \
        .clear = clear_, .finalize = finalize_, .free = free_                                      \
    }

#define NODE_LARGE (PM_GC_BYTES_MAX + 100)

enum node_kind { NODE_PLAIN, NODE_FINAL, NODE_UNCLEARED };

static struct pm_type node_types[][2] = {
    [NODE_PLAIN] = {NODE_TYPE("node", sizeof(struct node), node_clear, NULL, node_free),
                    NODE_TYPE("large node", NODE_LARGE, node_clear, NULL, node_free)},
    [NODE_FINAL] = {NODE_TYPE("final", sizeof(struct node), node_clear, node_finalize, node_free),
                    NODE_TYPE("large final", NODE_LARGE, node_clear, node_finalize, node_free)},
    [NODE_UNCLEARED] = {NODE_TYPE("uncleared", sizeof(struct node), NULL, NULL,
                                  node_free_uncleared),
                        NODE_TYPE("large uncleared", NODE_LARGE, NULL, NULL, node_free_uncleared)},
};

enum test_gc_place { IN_POOLS, TOO_LARGE, WITHOUT_TABLES };
static enum test_gc_place test_gc_place;

static inline struct pm_object *node_of(enum node_kind kind)
{
    struct pm_object *object = pm_object_new(&node_types[kind][test_gc_place == TOO_LARGE]);
    require(object != NULL);
    return object;
}

static inline struct pm_object *node_new(void)
{
    return node_of(NODE_PLAIN);
}

/* One that refers to itself, which nobody else does. */
static inline void node_drop_loop(enum node_kind kind)
{
    struct pm_object *object = node_of(kind);
    node_set(object, 0, object);
    pm_decref(object);
}

/* A ring of so many; the caller has a reference to the first. */
static inline struct pm_object *node_ring(enum node_kind kind, unsigned count)
{
    struct pm_object *first = node_of(kind), *last = first;
    for (unsigned i = 1; i < count; i++) {
        struct pm_object *next = node_of(kind);
        node_set(last, 0, next);
        pm_decref(next); /* its ring has it */
        last = next;
    }
    node_set(last, 0, first);
    return first;
}

/* ---- of one test ---- */

static unsigned node_deaths_before, node_finals_before;

/* The setup of a test: no finalizer, and deaths and finalizers count from here. */
static inline int node_begin(void **state)
{
    (void)state;
    node_final = NULL;
    node_deaths_before = node_deaths;
    node_finals_before = node_finals;
    return 0;
}

static inline unsigned node_deaths_since(void)
{
    return node_deaths - node_deaths_before;
}

static inline unsigned node_finals_since(void)
{
    return node_finals - node_finals_before;
}

/* What a collection of everything finds. */
static inline size_t node_collect(void)
{
    struct pm_gc_result result;
    require(pm_gc_collect(2, &result));
    return result.collected + result.uncollectable;
}

/* From now on objects are made there; there are none now. */
static inline void test_gc_choose(enum test_gc_place place)
{
    static size_t bytes;
    if (pm_gc_table.bytes != 0)
        bytes = pm_gc_table.bytes;
    pm_gc_table.bytes = place == WITHOUT_TABLES ? 0 : bytes;
    test_gc_place = place;
}

#endif
