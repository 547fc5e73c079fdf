/* SPDX-License-Identifier: MIT */
/*
 * GLib's boxes: a count before the node, malloc and free of the C library. Included by glib.h and
 * glib_atomic.h, which define BOX(name), the family of functions. A list dies by recursion, as the
 * function that clears a box cannot know whether another one is about to die.
 */
#include "workload.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>

#define CONTENDER_NODES 1
#define CONTENDER_COUNTS 1
#define CONTENDER_FREEZES 0
#define CONTENDER_COLLECTS 0

enum { STACK_MIB = 256 }; /* of which a list of 100,000 nodes touches about 10 */

struct node {
    struct node *left, *right;
    uint64_t value;
};

static inline const char *contender_version(void)
{
    static char text[32];
    snprintf(text, sizeof(text), "%u.%u.%u", glib_major_version, glib_minor_version,
             glib_micro_version);
    return text;
}

struct deep_call {
    void (*call)(void *);
    void *arg;
};

static void *call_deep(void *arg)
{
    const struct deep_call *deep = arg;
    deep->call(deep->arg);
    return NULL;
}

static inline void contender_call(void (*call)(void *), void *arg)
{
    struct deep_call deep = {call, arg};
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)STACK_MIB << 20);
    int error = pthread_create(&thread, &attributes, call_deep, &deep);
    if (error != 0)
        bench_die("pthread_create: %s", strerror(error));
    bench_thread_join(thread);
    pthread_attr_destroy(&attributes);
}

static inline void contender_begin(void) {}

static inline void contender_end(void) {}

static inline void contender_wait_begin(void) {}

static inline void contender_wait_end(void) {}

static inline void contender_safepoint(void) {}

/* Never NULL: GLib ends the program when memory is short. */
static inline struct node *node_new(struct node *left, struct node *right, uint64_t value)
{
    struct node *node = BOX(alloc)(sizeof(*node));
    *node = (struct node){.left = left, .right = right, .value = value};
    return node;
}

static inline void node_take(struct node *node)
{
    BOX(acquire)(node);
}

static void node_clear(gpointer box)
{
    struct node *left = ((struct node *)box)->left, *right = ((struct node *)box)->right;
    if (left != NULL)
        BOX(release_full)(left, node_clear);
    if (right != NULL)
        BOX(release_full)(right, node_clear);
}

static inline void node_drop(struct node *node)
{
    BOX(release_full)(node, node_clear);
}
