/* SPDX-License-Identifier: MIT */
/*
 * The last moments of a thread: finalizers that run while it detaches, and attach it again; frames
 * of deferred references on a stack that is gone; objects whose turn to die had not come; what was
 * being described.
 */
#include "object/container.h"
#include "object/testing.h"
#include "poolmalloc/deferred.h"
#include "poolmalloc/domains.h"
#include "poolmalloc/gc.h"
#include "poolmalloc/values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>

/* ---- finalizers while a thread detaches ---- */

static void (*finalizer)(void);
static _Atomic unsigned finals;

static void finalize(struct pm_object *object)
{
    (void)object;
    atomic_fetch_add(&finals, 1);
    finalizer();
}

static struct pm_type final_type = {
    .name = "final", .size = sizeof(struct pm_object), .finalize = finalize};

static pthread_barrier_t barrier;

/* The last reference, which the other thread drops, waits in the thread's queue when it returns. */
static void leave_one_queued(struct pm_object **object)
{
    *object = pm_object_new(&final_type);
    require(*object != NULL);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
}

static void *detach_with_one_queued(void *object)
{
    require(pm_object_thread_attach());
    leave_one_queued(object);
    pm_object_thread_detach();
    require(pm_object_thread.slot == NULL);
    return NULL;
}

static void *detach_twice_with_one_queued(void *object)
{
    require(pm_object_thread_attach());
    leave_one_queued(object);
    pm_object_thread_detach();
    require(pm_object_thread.slot != NULL && pm_object_thread.attached == 1);
    struct pm_object *another = test_box_new(); /* it works as ever */
    pm_decref(another);
    pm_object_thread_detach();
    require(pm_object_thread.slot == NULL);
    return NULL;
}

static void with_a_finalizer(void (*call)(void), void *(*body)(void *))
{
    struct pm_object *object;
    pthread_t thread;
    unsigned before = finals;
    finalizer = call;
    pthread_barrier_init(&barrier, NULL, 2);
    require(pthread_create(&thread, NULL, body, &object) == 0);
    pthread_barrier_wait(&barrier);
    pm_decref(object);
    pthread_barrier_wait(&barrier);
    require(pthread_join(thread, NULL) == 0);
    pthread_barrier_destroy(&barrier);
    assert_int_equal(finals - before, 1);
}

static void attach_and_detach(void)
{
    require(pm_object_thread_attach());
    pm_object_thread_detach();
}

static void a_finalizer_may_attach_and_detach_while_its_thread_detaches(void **state)
{
    (void)state;
    with_a_finalizer(attach_and_detach, detach_with_one_queued);
}

static void attach_once_more(void)
{
    require(pm_object_thread_attach());
}

static void or_attach_it_once_more(void **state)
{
    (void)state;
    with_a_finalizer(attach_once_more, detach_twice_with_one_queued);
}

static void end_thread(void)
{
    pthread_exit(NULL);
}

static void *end_with_one_queued(void *object)
{
    require(pm_object_thread_attach());
    leave_one_queued(object);
    return NULL; /* what detaches the thread is ended, and called again */
}

static void or_end_it_while_its_end_detaches_it(void **state)
{
    uint32_t attached = pm_load_relaxed(&pm_slots_attached);
    (void)state;
    with_a_finalizer(end_thread, end_with_one_queued);
    assert_int_equal(pm_load_relaxed(&pm_slots_attached), attached);
}

/* ---- references that a safepoint has taken out of the queue ---- */

enum { QUEUED = 20, ENDS_AT = 7 };

static void end_at_the_seventh(void)
{
    if (finals == ENDS_AT)
        pthread_exit(NULL);
}

static void *end_at_a_safepoint(void *objects)
{
    require(pm_object_thread_attach());
    for (unsigned i = 0; i < QUEUED; i++)
        ((struct pm_object **)objects)[i] = pm_object_new(&final_type);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    pm_safepoint();
    require(false);
    return NULL;
}

static void what_a_safepoint_has_begun_with_is_dropped_when_its_thread_ends(void **state)
{
    struct pm_object *objects[QUEUED];
    pthread_t thread;
    (void)state;
    finals = 0;
    finalizer = end_at_the_seventh;
    pthread_barrier_init(&barrier, NULL, 2);
    require(pthread_create(&thread, NULL, end_at_a_safepoint, objects) == 0);
    pthread_barrier_wait(&barrier);
    for (unsigned i = 0; i < QUEUED; i++)
        pm_decref(objects[i]);
    pthread_barrier_wait(&barrier);
    require(pthread_join(thread, NULL) == 0);
    pthread_barrier_destroy(&barrier);
    assert_int_equal(finals, QUEUED);
}

/* ---- deferred references that a sweep gives up ---- */

static void *end_in_a_sweep(void *unused)
{
    require(pm_object_thread_attach());
    for (unsigned i = 0; i < QUEUED; i++) {
        struct pm_object *object = pm_object_new(&final_type);
        require(object != NULL && pm_object_set_deferred(object));
        pm_decref(object);
    }
    pm_deferred_reclaim();
    require(false);
    return unused;
}

static void what_a_sweep_has_begun_with_is_dropped_when_its_thread_ends(void **state)
{
    pthread_t thread;
    (void)state;
    finals = 0;
    finalizer = end_at_the_seventh;
    pm_object_thread_pause(); /* the sweep does not wait for this thread */
    require(pthread_create(&thread, NULL, end_in_a_sweep, NULL) == 0);
    require(pthread_join(thread, NULL) == 0);
    pm_object_thread_resume();
    assert_int_equal(finals, QUEUED);
}

/* ---- what was described, on a stack that is gone ---- */

static struct pm_object *queue_one_and_end(struct pm_object *object)
{
    (void)object;
    pthread_barrier_wait(&barrier); /* its last reference is dropped by another thread */
    pthread_barrier_wait(&barrier);
    pthread_exit(NULL);
}

static struct pm_type ending_type = {
    .name = "ending", .size = sizeof(struct pm_object), .repr = queue_one_and_end};
static struct pm_object *queued, *described;

static void *end_in_a_repr(void *unused)
{
    require(pm_object_thread_attach());
    queued = pm_object_new(&final_type);
    described = pm_object_new(&ending_type);
    require(queued != NULL && described != NULL);
    pm_repr(described);
    require(false);
    return unused;
}

static void show_and_nest(void)
{
    unsigned depth = 0;
    struct pm_object *list = pm_list_new(NULL, 0), *text = pm_repr(list);
    require(text != NULL && strcmp(pm_str_text(text), "[]") == 0);
    while (pm_nesting_enter())
        depth++;
    require(depth == PM_NESTING_MAX);
    pm_nesting_forget();
    pm_decref(text);
    pm_decref(list);
}

static void a_repr_in_which_its_thread_ended_is_forgotten(void **state)
{
    pthread_t thread;
    (void)state;
    finals = 0;
    finalizer = show_and_nest;
    pthread_barrier_init(&barrier, NULL, 2);
    require(pthread_create(&thread, NULL, end_in_a_repr, NULL) == 0);
    pthread_barrier_wait(&barrier);
    pm_decref(queued);
    pthread_barrier_wait(&barrier);
    require(pthread_join(thread, NULL) == 0);
    pthread_barrier_destroy(&barrier);
    assert_int_equal(finals, 1);
    pm_decref(described);
}

/* ---- objects that die by each other, deeper than they nest ---- */

enum { LEVELS = 100 };

/* It leads to the next level and to a leaf, which dies after that. */
struct level {
    struct pm_object object;
    struct pm_object *next, *leaf;
};

static void level_free(struct pm_object *object)
{
    struct level *level = (struct level *)object;
    if (level->next != NULL)
        pm_decref(level->next);
    pm_decref(level->leaf);
}

static unsigned leaves;

static void leaf_free(struct pm_object *object)
{
    (void)object;
    if (++leaves == 1)
        pthread_exit(NULL);
}

static struct pm_type level_type = {
    .name = "level", .size = sizeof(struct level), .free = level_free};
static struct pm_type leaf_type = {
    .name = "leaf", .size = sizeof(struct pm_object), .free = leaf_free};

static void *drop_all_levels(void *arg)
{
    struct pm_object *next = NULL;
    require(pm_object_thread_attach());
    for (unsigned i = 0; i < LEVELS; i++) {
        struct pm_object *object = pm_object_new(&level_type);
        struct pm_object *leaf = pm_object_new(&leaf_type);
        require(object != NULL && leaf != NULL);
        *(struct level *)object = (struct level){*object, next, leaf};
        next = object;
    }
    pm_decref(next);
    require(false);
    return arg;
}

/* Of the levels in which the thread ends, what they would have dropped afterwards is lost. */
static void what_was_put_by_dies_when_its_thread_ends(void **state)
{
    pthread_t thread;
    (void)state;
    require(pthread_create(&thread, NULL, drop_all_levels, NULL) == 0);
    require(pthread_join(thread, NULL) == 0);
    assert_true(leaves > LEVELS / 2);
}

/* ---- frames of a stack that is gone ---- */

enum { STACK_BYTES = 32768 };

/* Made before the library's: the destructor of the lower one is called first. */
static pthread_key_t first_key;
static struct pm_object *held;

/* The thread's destructor that comes first: what lay on the stack is overwritten, and others look
 * for frames meanwhile. */
static void overwrite_stack(void *unused)
{
    volatile unsigned char stack[STACK_BYTES];
    (void)unused;
    for (size_t i = 0; i < sizeof stack; i++)
        stack[i] = 0xa5;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    require(stack[0] == 0xa5);
}

static PM_NOINLINE void end_in_a_frame(void)
{
    struct pm_deferred_frame outer, inner;
    uintptr_t references[2], others[1];
    pm_deferred_enter(&outer, references, 2);
    pm_deferred_set(&outer, 1, held);
    pm_deferred_enter(&inner, others, 1);
    pm_object_thread_pause();
    pthread_exit(NULL);
}

static void *end_while_paused(void *unused)
{
    require(pthread_setspecific(first_key, &first_key) == 0);
    require(pm_object_thread_attach());
    end_in_a_frame();
    return unused;
}

static void frames_of_a_thread_that_ends_paused_are_not_looked_at(void **state)
{
    pthread_t thread;
    unsigned deaths = test_deaths;
    (void)state;
    held = test_box_new();
    assert_true(pm_object_set_deferred(held));
    pthread_barrier_init(&barrier, NULL, 2);
    require(pthread_create(&thread, NULL, end_while_paused, NULL) == 0);
    pthread_barrier_wait(&barrier);
    pm_decref(held);
    assert_int_equal(pm_deferred_reclaim(), 0); /* it has not detached yet */
    assert_true(pm_gc_collect(2, NULL));
    assert_int_equal(test_deaths - deaths, 0);
    pthread_barrier_wait(&barrier);
    require(pthread_join(thread, NULL) == 0);
    pthread_barrier_destroy(&barrier);
    assert_int_equal(pm_deferred_reclaim(), 1);
    assert_int_equal(test_deaths - deaths, 1);
}

static void *refuse(void *context, size_t size)
{
    (void)context, (void)size;
    errno = ENOMEM;
    return NULL;
}

static void without_memory_for_a_copy_they_are_counted(void **state)
{
    struct pm_allocator before, hook;
    struct pm_deferred_frame frame;
    uintptr_t references[1];
    (void)state;
    struct pm_object *object = test_box_new();
    assert_true(pm_object_set_deferred(object));
    pm_deferred_enter(&frame, references, 1);
    pm_deferred_set(&frame, 0, object);
    assert_int_equal(pm_refcount(object), 2);
    assert_true(pm_get_allocator(PM_DOMAIN_RAW, &before));
    hook = before;
    hook.malloc = refuse;
    assert_true(pm_set_allocator(PM_DOMAIN_RAW, &hook));
    pm_object_thread_pause();
    assert_true(pm_set_allocator(PM_DOMAIN_RAW, &before));
    assert_int_equal(pm_refcount(object), 3);
    pm_object_thread_resume();
    assert_ptr_equal(pm_deferred_get(&frame, 0), object);
    pm_deferred_leave(&frame);
    assert_int_equal(pm_refcount(object), 2);
    pm_decref(object);
    assert_int_equal(pm_deferred_reclaim(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finalizer_may_attach_and_detach_while_its_thread_detaches),
        cmocka_unit_test(or_attach_it_once_more),
        cmocka_unit_test(or_end_it_while_its_end_detaches_it),
        cmocka_unit_test(what_a_safepoint_has_begun_with_is_dropped_when_its_thread_ends),
        cmocka_unit_test(what_a_sweep_has_begun_with_is_dropped_when_its_thread_ends),
        cmocka_unit_test(a_repr_in_which_its_thread_ended_is_forgotten),
        cmocka_unit_test(what_was_put_by_dies_when_its_thread_ends),
        cmocka_unit_test(frames_of_a_thread_that_ends_paused_are_not_looked_at),
        cmocka_unit_test(without_memory_for_a_copy_they_are_counted),
    };
    require(pthread_key_create(&first_key, overwrite_stack) == 0);
    require(pm_object_thread_attach());
    pm_gc_disable();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
