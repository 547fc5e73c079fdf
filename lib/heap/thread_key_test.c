/* SPDX-License-Identifier: MIT */
/*
 * A process that gets no key for the exit of its threads, and a thread whose value of the key
 * cannot be stored: no thread gets a heap that nobody would dissolve. The calls are replaced here.
 */
#include "heap/testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 16, BLOCKS = 400 };

static int key_error, value_error;

#if !PM_ASAN && !PM_TSAN /* their runtimes use these themselves */

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    (void)destructor;
    *key = 0;
    return key_error;
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
    (void)key;
    (void)value;
    return value_error;
}

#endif

/* More calls than a thread makes without a heap of its own. */
static void use_heap(void)
{
    void *blocks[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++)
        memset(blocks[i] = test_alloc(16 + i * 7), 1, 16 + i * 7);
    for (unsigned i = 0; i < BLOCKS; i++)
        test_release(blocks[i]);
}

static void *use_heap_in_thread(void *arg)
{
    use_heap();
    require(pm_heap_self == arg);
    return NULL;
}

ISOLATED(without_a_key_the_shared_heap_serves_every_thread)
{
    key_error = EAGAIN;
    test_heap_start(WINDOW_ARENAS);
    use_heap();
    test_in_thread(use_heap_in_thread, &pm_heap_none);
    require(pm_heap_self == &pm_heap_none && test_heap_stats().heaps == 0);
    require(test_nothing_is_lost());
}

ISOLATED(a_thread_whose_exit_nobody_would_see_gives_its_heap_back)
{
    value_error = ENOMEM;
    test_heap_start(WINDOW_ARENAS);
    for (int i = 0; i < 3; i++)
        test_in_thread(use_heap_in_thread, &pm_heap_dead);
    struct pm_heap_stats stats = test_heap_stats();
    require(stats.heaps == 1 && stats.heaps_in_use == 0);
    require(test_nothing_is_lost());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_key_the_shared_heap_serves_every_thread),
        cmocka_unit_test(a_thread_whose_exit_nobody_would_see_gives_its_heap_back),
    };
    if (PM_ASAN || PM_TSAN) {
        puts("skipped: the sanitizers use the calls that this test replaces");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
