/* SPDX-License-Identifier: MIT */
/*
 * Objects that refer to each other in a circle: doubly linked lists, trees with a way to the
 * parent, closures. Counts alone never free them, so a program takes the circle apart
 * (cycles/by-hand), or a collector finds it.
 */
#include "contender.h"
#include "row.h"

enum { RING_NODES = 100 };

static void refer(struct node **field, struct node *to)
{
    node_take(to);
    *field = to;
}

/* Each node has its two neighbours; the caller has a reference to the first. */
static struct node *ring_new(unsigned nodes)
{
    struct node *first = node_new(NULL, NULL, 0), *last = first;
    for (uint64_t i = 1; i < nodes; i++) {
        struct node *node = node_new(NULL, NULL, i);
        refer(&node->left, last);
        last->right = node; /* the reference to it */
        last = node;
    }
    refer(&last->right, first);
    refer(&first->left, last);
    return first;
}

static uint64_t ring_sum(const struct node *first)
{
    uint64_t sum = 0;
    const struct node *node = first;
    do {
        sum += node->value;
        node = node->right;
    } while (node != first);
    return sum;
}

/* Without the references back, it is a list, and without the last one forward, one that ends. */
static void ring_take_apart(struct node *first)
{
    struct node *node = first, *last = NULL;
    do {
        struct node *left = node->left;
        node->left = NULL;
        node_drop(left);
        last = node;
        node = node->right;
    } while (node != first);
    last->right = NULL;
    node_drop(first);
}

static void by_hand(struct measured *measured)
{
    uint64_t rings = measured->operations / RING_NODES, sum = 0;
    if (rings == 0)
        rings = 1;
    row_clock_on(measured);
    for (uint64_t i = 0; i < rings; i++) {
        struct node *ring = ring_new(RING_NODES);
        sum += ring_sum(ring);
        ring_take_apart(ring);
        node_drop(ring);
        contender_safepoint();
    }
    row_clock_off(measured);
    measured->operations = rings * RING_NODES;
    measured->result = sum;
}

const struct object_row cycles_rows[] = {
    {"cycles/by-hand", "node",
     "rings of 100 nodes with both neighbours, taken apart by the program", 1000000, ROW_CPU,
     by_hand},
    {0},
};
