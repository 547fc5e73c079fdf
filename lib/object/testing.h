/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests of the object layer share: a type whose deaths are counted, and threads that
 * are attached. Only x_test.c files include it.
 */
#ifndef PM_OBJECT_TESTING_H
#define PM_OBJECT_TESTING_H

#include "base/testing.h"
#include "object/internal.h"
#include "poolmalloc/object.h"

#include <pthread.h>

/* An object that may hold another one. */
struct test_box {
    struct pm_object object;
    struct test_box *next;
};

static _Atomic unsigned test_deaths;

static inline int test_box_traverse(struct pm_object *object, pm_visit visit, void *arg)
{
    struct test_box *next = ((struct test_box *)object)->next;
    return next != NULL ? visit(&next->object, arg) : 0;
}

static inline void test_box_clear(struct pm_object *object)
{
    struct test_box *next = ((struct test_box *)object)->next;
    ((struct test_box *)object)->next = NULL;
    if (next != NULL)
        pm_decref(&next->object);
}

static inline void test_box_free(struct pm_object *object)
{
    (void)object;
    atomic_fetch_add(&test_deaths, 1);
}

static struct pm_type test_box_type = {
    .name = "box",
    .size = sizeof(struct test_box),
    .flags = PM_TYPE_GC,
    .traverse = test_box_traverse,
    .clear = test_box_clear,
    .free = test_box_free,
};

static inline struct pm_object *test_box_new(void)
{
    struct pm_object *object = pm_object_new(&test_box_type);
    require(object != NULL);
    return object;
}

/* ---- threads ---- */

struct test_call {
    void (*call)(void *arg);
    void *arg;
};

static inline void *test_attached(void *arg)
{
    struct test_call *call = arg;
    require(pm_object_thread_attach());
    call->call(call->arg);
    pm_object_thread_detach();
    return NULL;
}

/* Calls it in another thread, which is attached meanwhile, and waits for that. */
static inline void test_in_thread(void (*call)(void *), void *arg)
{
    struct test_call in = {call, arg};
    pthread_t thread;
    require(pthread_create(&thread, NULL, test_attached, &in) == 0);
    require(pthread_join(thread, NULL) == 0);
}

static inline void test_drop(void *object)
{
    pm_decref(object);
}

static inline void test_take(void *object)
{
    pm_incref(object);
}

/* Makes a box, to which the caller then has the reference; its maker is gone. */
static inline void test_make(void *object)
{
    *(struct pm_object **)object = test_box_new();
}

/* ---- a place for one reference that threads exchange ---- */

struct test_cell {
    pthread_mutex_t lock;
    struct pm_object *object;
};

/* The reference that the cell had. */
static inline struct pm_object *test_exchange(struct test_cell *cell, struct pm_object *object)
{
    pthread_mutex_lock(&cell->lock);
    struct pm_object *old = cell->object;
    cell->object = object;
    pthread_mutex_unlock(&cell->lock);
    return old;
}

/* ---- the two counts, looked at from outside ---- */

static inline enum pm_state test_state(const struct pm_object *object)
{
    return pm_state_of(pm_load_relaxed(pm_shared_of(object)));
}

static inline int32_t test_shared(const struct pm_object *object)
{
    return pm_count_of(pm_load_relaxed(pm_shared_of(object)));
}

static inline uint32_t test_local(const struct pm_object *object)
{
    return (uint16_t)pm_load_relaxed(pm_owned_of(object));
}

static inline uint32_t test_owner(const struct pm_object *object)
{
    return pm_load_relaxed(pm_owned_of(object)) >> 16;
}

#endif
