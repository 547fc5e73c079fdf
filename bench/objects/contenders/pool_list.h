/* SPDX-License-Identifier: MIT */
/* Lists of libpoolobject for the graphs, as Python's: three items each, 0 where there is no edge.
 * See contender.h. */
#include "poolmalloc/containers.h"
#include "poolmalloc/gc.h"
#include "workload.h"

#define CONTENDER_NAME "poolmalloc-list"
#define CONTENDER_NODES 0
#define CONTENDER_COUNTS 1
#define CONTENDER_SHARES 1
#define CONTENDER_FREEZES 0
#define CONTENDER_COLLECTS 1

#include "pool_collector.h"
#include "pool_threads.h"

/* Is a list: what follows the header is the library's. */
struct vertex {
    struct pm_object object;
};

static inline struct vertex *vertex_new(void)
{
    struct pm_object *none = pm_int_new(0); /* it is there, and immortal */
    struct pm_object *items[] = {none, none, none}, *list = pm_list_new(items, 3);
    if (__builtin_expect(list == NULL, 0))
        bench_die("out of memory");
    return (struct vertex *)list;
}

static inline void vertex_refer(struct vertex *vertex, uint64_t edge, struct vertex *to)
{
    if (!pm_list_set(&vertex->object, (ptrdiff_t)edge, &to->object))
        bench_die("an item of a list was not set");
}

static inline struct vertex *vertex_edge(struct vertex *vertex, uint64_t edge)
{
    struct pm_object *item = pm_list_get(&vertex->object, (ptrdiff_t)edge);
    if (item == NULL)
        bench_die("a list has lost an item");
    pm_decref(item); /* the list has it */
    return pm_object_type(item) == &pm_list_type ? (struct vertex *)item : NULL;
}

static inline void vertex_drop(struct vertex *vertex)
{
    pm_decref(&vertex->object);
}
