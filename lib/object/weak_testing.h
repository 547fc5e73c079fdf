/* SPDX-License-Identifier: MIT */
/* What the tests of weak references share: a callback that notes its calls, and one more run. */
#ifndef PM_OBJECT_WEAK_TESTING_H
#define PM_OBJECT_WEAK_TESTING_H

#include "object/testing.h"
#include "object/weak.h"

#define TEST_CALLS_MAX 16

/* Written by one thread at a time. */
static struct {
    unsigned count;
    struct pm_object *weakrefs[TEST_CALLS_MAX], *args[TEST_CALLS_MAX];
    struct pm_object **follow; /* at each call; NULL: the one that it was called with */
    unsigned follow_count;
    bool found; /* one of them led to its object still */
} test_calls;

static inline void test_calls_forget(void)
{
    memset(&test_calls, 0, sizeof test_calls);
}

static inline void test_note(struct pm_object *weakref, struct pm_object *arg)
{
    struct pm_object **follow = test_calls.follow != NULL ? test_calls.follow : &weakref;
    unsigned follow_count = test_calls.follow != NULL ? test_calls.follow_count : 1;
    require(test_calls.count < TEST_CALLS_MAX);
    test_calls.weakrefs[test_calls.count] = weakref;
    test_calls.args[test_calls.count++] = arg;
    for (unsigned i = 0; i < follow_count; i++) {
        struct pm_object *object = pm_weakref_get(follow[i]);
        test_calls.found |= object != NULL;
        if (object != NULL)
            pm_decref(object);
    }
}

/* In a child: the whole program once more, and its blocks are overwritten when they are freed. */
static inline void test_again_with_hooks(void)
{
    unsetenv("POOLMALLOC_OPTIONS");
    setenv("POOLMALLOC", "debug", 1);
    setenv("TEST_WITH_HOOKS", "1", 1);
    test_run_anew(NULL, NULL);
}

#endif
