/* SPDX-License-Identifier: MIT */
/*
 * The workloads of the object layer whose instructions budget.py counts under callgrind: what a
 * program that shares objects does all the time. Source: must-reach figures of the object layer, a
 * pair of an owner's counts against a plain one. Usage: budget_objects WORKLOAD SIZE ROUNDS
 */
#include "check.h"
#include "common.h"
#include "poolmalloc/object.h"

#include <string.h>

static struct pm_type type = {.name = "budgeted", .size = sizeof(struct pm_object)};

/* So that the pair is not taken for nothing. */
#define USE(object) __asm__ volatile("" : : "r"(object) : "memory")

/* The loop's own share is a decrement and a branch. */
static __attribute__((noinline)) void owned_pairs(struct pm_object *object, uint64_t rounds)
{
    while (rounds--) {
        pm_incref(object);
        USE(object);
        pm_decref(object);
        USE(object);
    }
}

static __attribute__((noinline)) void safepoints(struct pm_object *object, uint64_t rounds)
{
    while (rounds--) {
        pm_safepoint();
        USE(object);
    }
}

static int visit_nothing(struct pm_object *object, pm_visit visit, void *arg)
{
    (void)object, (void)visit, (void)arg;
    return 0;
}

/* One made and dropped: of it, calloc and free, through the domain or of a gc pool, are most. */
static __attribute__((noinline)) void lives(struct pm_object *object, uint64_t rounds)
{
    while (rounds--) {
        USE(object);
        pm_decref(pm_object_new(&type));
    }
}

int main(int count, char **arguments)
{
    CHECK(count == 4, "usage: budget_objects owned|safepoint|life|gc SIZE ROUNDS");
    type.size = parse_number("SIZE", arguments[2]);
    uint64_t rounds = parse_number("ROUNDS", arguments[3]);
    void (*work)(struct pm_object *, uint64_t) = owned_pairs;
    if (strcmp(arguments[1], "safepoint") == 0)
        work = safepoints;
    else if (strcmp(arguments[1], "life") == 0 || strcmp(arguments[1], "gc") == 0)
        work = lives;
    if (strcmp(arguments[1], "gc") == 0) {
        type.flags = PM_TYPE_GC;
        type.traverse = visit_nothing;
    }
    CHECK(pm_object_thread_attach(), "not attached");
    struct pm_object *object = pm_object_new(&type);
    work(object, 2000);
    work(object, rounds);
    pm_decref(object);
    pm_object_thread_detach();
    return 0;
}
