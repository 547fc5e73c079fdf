/* SPDX-License-Identifier: MIT */
/*
 * Structures that are made node by node and die by the last reference to their root: what a parser,
 * a compiler or an interpreter does all day.
 *
 *     list/100k        a list of 100,000 nodes; each node's death brings the next one's
 *     tree/complete    of 65,535 nodes, made from the leaves up, and dropped in that order
 *     tree/search      keys inserted in random order: memory in another order than the tree
 *     binary-trees/14  many short-lived trees of all depths beside a long-lived one. After "binary
 *                      trees" of the Computer Language Benchmarks Game, which adapted it from Hans
 *                      Boehm's GCBench (1997): a tree one deeper than the deepest is made and
 *                      dropped; one of that depth is kept; then as many trees of depth 4, 6, 8...
 *                      are made, walked and dropped as have about the same number of nodes
 */
#include "contender.h"
#include "row.h"

enum { LIST_NODES = 100000, TREE_DEPTH = 15, SEARCH_NODES = 100000, SHALLOW = 4, DEEP = 14 };

/* The clock is on; from now on it is told apart what dropping takes. */
static void drop_timed(struct measured *measured, struct node *root)
{
    row_clock_off(measured);
    row_clock_on(measured);
    node_drop(root);
    contender_safepoint();
    double seconds = row_clock_off(measured);
    if (CONTENDER_COUNTS)
        measured->drop_seconds += seconds;
}

/* ---- lists ---- */

static struct node *list_new(uint64_t nodes)
{
    struct node *list = NULL;
    for (uint64_t i = 0; i < nodes; i++)
        list = node_new(NULL, list, i);
    return list;
}

static uint64_t list_sum(const struct node *list)
{
    uint64_t sum = 0;
    for (; list != NULL; list = list->right)
        sum += list->value;
    return sum;
}

static void lists(struct measured *measured)
{
    uint64_t nodes = measured->operations < LIST_NODES ? measured->operations : LIST_NODES;
    uint64_t turns = measured->operations / nodes;
    measured->operations = turns * nodes;
    for (uint64_t i = 0; i < turns; i++) {
        row_clock_on(measured);
        struct node *list = list_new(nodes);
        if (i == turns - 1) {
            row_clock_off(measured);
            measured->result = list_sum(list);
            row_clock_on(measured);
        }
        drop_timed(measured, list);
    }
}

/* ---- complete trees ---- */

static struct node *tree_new(unsigned depth)
{
    if (depth == 0)
        return node_new(NULL, NULL, 1);
    struct node *left = tree_new(depth - 1), *right = tree_new(depth - 1);
    return node_new(left, right, 1);
}

static uint64_t tree_sum(const struct node *tree)
{
    if (tree->left == NULL)
        return tree->value;
    return tree->value + tree_sum(tree->left) + tree_sum(tree->right);
}

static void complete_trees(struct measured *measured)
{
    unsigned depth = TREE_DEPTH;
    while (depth > 1 && UINT64_C(2) << depth > measured->operations)
        depth--;
    uint64_t nodes = (UINT64_C(2) << depth) - 1;
    uint64_t turns = measured->operations < nodes ? 1 : measured->operations / nodes;
    measured->operations = turns * nodes;
    for (uint64_t i = 0; i < turns; i++) {
        row_clock_on(measured);
        struct node *tree = tree_new(depth);
        if (i == turns - 1) {
            row_clock_off(measured);
            measured->result = tree_sum(tree);
            row_clock_on(measured);
        }
        drop_timed(measured, tree);
    }
}

/* ---- search trees ---- */

static void search_insert(struct node **root, uint64_t key)
{
    while (*root != NULL)
        root = key < (*root)->value ? &(*root)->left : &(*root)->right;
    *root = node_new(NULL, NULL, key);
}

static uint64_t search_sum(const struct node *tree)
{
    return tree == NULL ? 0 : tree->value + search_sum(tree->left) + search_sum(tree->right);
}

/* Keys that every contender can draw alike, Python with numbers of any size as well: Lehmer's
 * generator with the multiplier and modulus of MINSTD. */
static uint64_t next_key(uint64_t key)
{
    return key * 48271 % 2147483647;
}

static void search_trees(struct measured *measured)
{
    uint64_t nodes = measured->operations < SEARCH_NODES ? measured->operations : SEARCH_NODES;
    uint64_t turns = measured->operations / nodes, key = 1;
    measured->operations = turns * nodes;
    for (uint64_t i = 0; i < turns; i++) {
        struct node *tree = NULL;
        row_clock_on(measured);
        for (uint64_t j = 0; j < nodes; j++)
            search_insert(&tree, key = next_key(key));
        row_clock_off(measured);
        measured->result += search_sum(tree);
        row_clock_on(measured);
        drop_timed(measured, tree);
    }
}

/* ---- binary trees ---- */

static uint64_t made_and_dropped(unsigned depth)
{
    struct node *tree = tree_new(depth);
    uint64_t sum = tree_sum(tree);
    node_drop(tree);
    contender_safepoint();
    return sum;
}

/* `result` is the number of nodes that were made and walked, which is that of operations. */
static void binary_trees(struct measured *measured)
{
    unsigned deepest = DEEP;
    while (deepest > SHALLOW && UINT64_C(128) << deepest > measured->operations)
        deepest--;
    row_clock_on(measured);
    uint64_t sum = made_and_dropped(deepest + 1);
    struct node *kept = tree_new(deepest);
    for (unsigned depth = SHALLOW; depth <= deepest; depth += 2)
        for (uint64_t i = UINT64_C(1) << (deepest - depth + SHALLOW); i > 0; i--)
            sum += made_and_dropped(depth);
    sum += tree_sum(kept);
    node_drop(kept);
    row_clock_off(measured);
    measured->operations = measured->result = sum;
}

const struct object_row structures_rows[] = {
    {"list/100k", "node", "lists of 100,000 nodes made and dropped", 2000000, ROW_CPU, lists},
    {"tree/complete", "node", "trees of 65,535 nodes made from the leaves up, and dropped", 2000000,
     ROW_CPU, complete_trees},
    {"tree/search", "node", "100,000 random keys inserted into a tree, which is dropped", 400000,
     ROW_CPU, search_trees},
    {"binary-trees/14", "node", "the Benchmarks Game's: short-lived trees beside a long-lived one",
     UINT64_C(128) << DEEP, ROW_CPU, binary_trees},
    {0},
};
