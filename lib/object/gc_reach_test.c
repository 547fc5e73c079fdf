/* SPDX-License-Identifier: MIT */
/* What is reached, in whatever order it lies in memory, and in gc pools and elsewhere by turns. */
#include "object/gc_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { LINKS = 400, NODES = 30000 };

static struct pm_object *nodes[NODES];

static struct pm_object *node_in(enum test_gc_place place)
{
    test_gc_place = place;
    struct pm_object *object = node_new();
    test_gc_place = IN_POOLS;
    return object;
}

/* All made; the caller has a reference to each. */
static void make_nodes(unsigned count, bool large_by_turns)
{
    for (unsigned i = 0; i < count; i++)
        nodes[i] = node_in(large_by_turns && i % 2 != 0 ? TOO_LARGE : IN_POOLS);
}

/* From number 0 all others are reached, and nothing is left of them when it is dropped. */
static void require_reached(unsigned count)
{
    atomic_store(&node_deaths, 0);
    for (unsigned i = 1; i < count; i++)
        pm_decref(nodes[i]);
    assert_int_equal(node_collect(), 0);
    assert_int_equal(node_collect(), 0);
    node_set(nodes[0], NODE_REFS - 1, nodes[0]); /* a cycle: it does not die by its count */
    pm_decref(nodes[0]);
    assert_int_equal(node_collect(), count);
    assert_int_equal(atomic_load(&node_deaths), count);
}

static void what_lies_in_pools_and_elsewhere_by_turns_is_reached(void **state)
{
    (void)state;
    for (unsigned backwards = 0; backwards < 2; backwards++) {
        make_nodes(LINKS, true);
        if (backwards)
            for (unsigned i = 0; i < LINKS / 2; i++) {
                struct pm_object *other = nodes[i];
                nodes[i] = nodes[LINKS - 1 - i];
                nodes[LINKS - 1 - i] = other;
            }
        for (unsigned i = 0; i + 1 < LINKS; i++)
            node_set(nodes[i], 0, nodes[i + 1]);
        require_reached(LINKS);
    }
}

static void refer_as_a_tree(void)
{
    for (unsigned i = 1; i < NODES; i++)
        node_set(nodes[(i - 1) / 2], (i - 1) % 2, nodes[i]);
}

static void a_tree_made_from_the_root_on_is_reached(void **state)
{
    (void)state;
    make_nodes(NODES, false);
    refer_as_a_tree();
    require_reached(NODES);
}

static void a_tree_is_reached_wherever_its_nodes_lie(void **state)
{
    uint64_t seed = 9;
    (void)state;
    make_nodes(NODES, false);
    for (unsigned i = NODES - 1; i > 0; i--) {
        size_t other = test_random_below(&seed, i + 1);
        struct pm_object *object = nodes[i];
        nodes[i] = nodes[other];
        nodes[other] = object;
    }
    refer_as_a_tree();
    require_reached(NODES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lies_in_pools_and_elsewhere_by_turns_is_reached),
        cmocka_unit_test(a_tree_made_from_the_root_on_is_reached),
        cmocka_unit_test(a_tree_is_reached_wherever_its_nodes_lie),
    };
    require(pm_object_thread_attach());
    pm_gc_disable();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
