/* SPDX-License-Identifier: MIT */
/*
 * A process whose start-up gets no memory for fork handlers says so and goes on. The constructor
 * runs before main, so the test looks at another run of itself.
 */
#include "base/testing.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* In front of the C library's. */
int pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    (void)prepare;
    (void)parent;
    (void)child;
    return ENOMEM;
}

static void run_anew(const void *arg)
{
    execl("/proc/self/exe", "process_start_test", arg, (char *)NULL);
    _exit(2);
}

static void fork_handlers_that_cannot_be_registered_are_warned_of(void **state)
{
    char text[1000];
    (void)state;
    assert_int_equal(test_stderr_of(run_anew, "allocate", text, sizeof text), 0);
    assert_string_equal(text, "poolmalloc: no memory for fork handlers: a fork with threads "
                              "running may hang\n");
}

static int allocate(void)
{
    void *block = pm_malloc(100);
    require(block != NULL);
    pm_free(block);
    return 0;
}

int main(int count, char **arguments)
{
    (void)arguments;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fork_handlers_that_cannot_be_registered_are_warned_of),
    };
    if (count > 1)
        return allocate();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
