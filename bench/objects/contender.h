/* SPDX-License-Identifier: MIT */
/*
 * Who is compared: the rows are compiled once for each way to count references or to do without.
 * CONTENDER names a header of contenders/, which defines
 *
 *     CONTENDER_NAME        as the tables have it
 *     CONTENDER_NODES       1: it has all rows; 0: those of collect.c, and nothing below of nodes
 *     CONTENDER_COUNTS      1: references are counted; 0: a collector finds what is dropped
 *     CONTENDER_SHARES      1: several threads may count references of one object
 *     struct node           with left, right and value: two references and a number
 *     contender_version()   of the library; "" where there is none
 *     contender_call()      calls the row, on a stack that is deep enough for how nodes die
 *     contender_begin(), contender_end()               of a thread that uses nodes
 *     contender_wait_begin(), contender_wait_end()     around whatever blocks
 *     contender_safepoint()                            now and then
 *     node_new(), node_take(), node_drop()             see below
 *     CONTENDER_FREEZES     1: contender_freeze() stops the count of a node for good
 *     CONTENDER_COLLECTS    1: it has a collector, and for it
 *         struct vertex, vertex_new(), vertex_drop()   as of nodes, with three edges
 *         vertex_refer()                               sets an edge, which takes a reference
 *         vertex_edge()                                what it leads to, borrowed; or NULL
 *         collect_table(), collect_table_drop()        of references that keep vertices alive
 *         collect_begin()                              true: collections start by themselves
 *         collect_all()                                how many objects were trash, if it is known
 *         collect_pause_seconds()                      the longest, of other threads
 *
 * and these, which each of them has with one signature:
 */
#ifndef BENCH_OBJECTS_CONTENDER_H
#define BENCH_OBJECTS_CONTENDER_H

#include <stdbool.h>
#include <stdint.h>

#include CONTENDER

#if CONTENDER_NODES
/* A node with one reference, which the caller owns; it takes over those to left and right, either
 * of which may be NULL. Never NULL. */
static inline struct node *node_new(struct node *left, struct node *right, uint64_t value);
static inline void node_take(struct node *node);
static inline void node_drop(struct node *node);
#endif

#endif
