/* SPDX-License-Identifier: MIT */
/* Counts that cannot be: each ends the program with a line that names the type. */
#include "object/testing.h"

#include "poolmalloc/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void drop_twice(const void *arg)
{
    struct pm_object *object = test_box_new();
    (void)arg;
    pm_incref(object);
    pm_decref(object);
    test_in_thread(test_take, object);
    pm_decref(object);
    pm_decref(object);
    pm_decref(object);
}

static void drop_in_death(struct pm_object *object)
{
    pm_decref(object);
}

static void take_in_death(struct pm_object *object)
{
    pm_incref(object);
}

static struct pm_type drops_type = {.name = "drops", .size = 24, .free = drop_in_death};
static struct pm_type takes_type = {.name = "takes", .size = 24, .free = take_in_death};

static void make_and_drop(const void *type)
{
    pm_decref(pm_object_new((struct pm_type *)type));
}

/* Two references that never were, dropped by another thread: the owner finds it out. */
static void drop_what_others_have(const void *arg)
{
    struct pm_object *object = test_box_new();
    (void)arg;
    test_in_thread(test_drop, object);
    test_in_thread(test_drop, object);
    pm_safepoint();
}

static void drop_freed(const void *arg)
{
    struct pm_object *object = test_box_new();
    (void)arg;
    memset(object, 0xdd, sizeof *object); /* as the debug hooks leave it */
    pm_decref(object);
}

static void use_unattached(const void *arg)
{
    struct pm_object *object = test_box_new();
    (void)arg;
    pm_object_thread_pause();
    pm_incref(object);
}

static void misuse_ends_with_the_name_of_the_type(void **state)
{
    (void)state;
    assert_true(test_aborts(make_and_drop, &drops_type, "type drops: reference count below zero"));
    assert_true(test_aborts(make_and_drop, &takes_type, "type takes: the object is dead"));
    assert_true(test_aborts(drop_what_others_have, NULL, "type box: reference count below zero"));
    assert_true(
        test_aborts(drop_freed, NULL, "type unknown (freed memory): reference count below"));
    assert_true(test_aborts(use_unattached, NULL, "type box: the thread is not attached"));
    if (!PM_ASAN && !PM_CHECK) /* these look at freed memory, and say so themselves */
        assert_true(test_aborts(drop_twice, NULL, "reference count below zero"));
}

static void drop_what_others_have_traced(const void *arg)
{
    require(pm_trace_start(8));
    drop_what_others_have(arg);
}

static void drop_twice_traced(const void *arg)
{
    require(pm_trace_start(8));
    drop_twice(arg);
}

/* Of what is freed, too: the name of its type is not known then, and who made it is. */
static void a_report_has_the_stack_of_the_allocation_if_it_was_traced(void **state)
{
    char text[8000];
    (void)state;
    int status = test_stderr_of(drop_what_others_have_traced, NULL, text, sizeof text);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    char *what = strstr(text, "type box: reference count below zero");
    char *made = strstr(text, "\n    The block was allocated by:\n    #0 0x");
    assert_true(what != NULL && made != NULL && what < made);
    test_stderr_of(drop_what_others_have, NULL, text, sizeof text);
    assert_null(strstr(text, "allocated by"));
    if (PM_ASAN || PM_CHECK) /* as above */
        return;
    test_stderr_of(drop_twice_traced, NULL, text, sizeof text);
    what = strstr(text, "reference count below zero");
    made = strstr(text, "\n    The block was allocated by:\n    #0 0x");
    assert_true(what != NULL && made != NULL && what < made);
}

static void take_too_many(const void *arg)
{
    struct pm_object *object = test_box_new();
    (void)arg;
    test_in_thread(test_take, object);
    pm_decref(object);
    pm_store_relaxed(pm_shared_of(object),
                     (uint32_t)(PM_SHARED_MAX + 1) << PM_SHARED_SHIFT | PM_STATE_MERGED);
    pm_incref(object);
}

static void more_references_than_can_be_counted_are_refused(void **state)
{
    (void)state;
    assert_true(test_aborts(take_too_many, NULL, "type box: more than 535822336 references"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misuse_ends_with_the_name_of_the_type),
        cmocka_unit_test(a_report_has_the_stack_of_the_allocation_if_it_was_traced),
        cmocka_unit_test(more_references_than_can_be_counted_are_refused),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
