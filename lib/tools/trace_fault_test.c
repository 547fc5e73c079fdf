/* SPDX-License-Identifier: MIT */
/* Tracing where memory is refused: it stops itself and says so, and the program goes on. */
#include "base/options.h"
#include "heap/testing.h"
#include "os/os.h"
#include "poolmalloc/trace.h"
#include "tools/trace.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { FRAMES = 8, MANY = 20000, REFUSED = 1 << PM_OS_RESERVE | 1 << PM_OS_COMMIT };

/* Each call to the system that a start makes, refused. */
ISOLATED(a_start_without_memory_is_refused_and_can_be_tried_again)
{
    unsigned nth = 0, calls;
    pm_free(pm_malloc(1));
    do {
        pm_os_fault_set_kinds(REFUSED, ++nth, true);
        errno = 0;
        bool started = pm_trace_start(FRAMES);
        calls = pm_os_fault_calls();
        pm_os_fault_set_kinds(0, 0, false);
        require(started || errno == ENOMEM);
        require(started == pm_trace_is_on());
        void *block = pm_malloc(100);
        require(block != NULL);
        pm_free(block);
        pm_trace_stop();
    } while (calls >= nth);
    require(nth > 3);
    require(pm_trace_start(FRAMES));
}

/* The arena is there already, so that only the tracing asks the system for something. */
static void run_out(const void *arg)
{
    static void *blocks[MANY];
    size_t sum = 0;
    (void)arg;
    for (unsigned i = 0; i < MANY; i++)
        blocks[i] = pm_malloc(100);
    for (unsigned i = 0; i < MANY; i++)
        pm_free(blocks[i]);
    require(pm_trace_start(FRAMES));
    pm_os_fault_set_kinds(1 << PM_OS_COMMIT, 1, true);
    for (unsigned i = 0; i < MANY; i++) {
        blocks[i] = pm_malloc(100);
        require(blocks[i] != NULL);
    }
    pm_os_fault_set_kinds(0, 0, false);
    require(!pm_trace_is_on() && pm_trace_limit() == 0);
    pm_trace_memory(&sum, NULL);
    require(sum == 0);
    for (unsigned i = 0; i < MANY; i++)
        pm_free(blocks[i]);
    require(pm_trace_start(FRAMES)); /* and now there is memory again */
    blocks[0] = pm_malloc(100);
    pm_trace_memory(&sum, NULL);
    require(sum == 100);
    pm_trace_stop();
}

static unsigned lines_of(const char *text)
{
    unsigned lines = 0;
    for (; *text != 0; text++)
        lines += *text == '\n';
    return lines;
}

static void it_stops_itself_and_says_so_once_and_the_allocation_succeeds(void **state)
{
    char text[1000];
    (void)state;
    assert_int_equal(test_stderr_of(run_out, NULL, text, sizeof text), 0);
    assert_non_null(strstr(text, "poolmalloc: tracing has stopped: there is no memory"));
    assert_int_equal(lines_of(text), 1);
}

/* Of other allocators' blocks. */
ISOLATED(a_block_that_cannot_be_tracked_is_told_by_false)
{
    char *address = NULL;
    unsigned tracked = 0;
    require(pm_trace_start(FRAMES));
    pm_os_fault_set_kinds(1 << PM_OS_COMMIT, 1, true);
    while (tracked < MANY && pm_trace_track(PM_TRACE_DOMAINS, ++address, 1))
        tracked++;
    pm_os_fault_set_kinds(0, 0, false);
    require(tracked > 0 && tracked < MANY && !pm_trace_is_on());
    require(!pm_trace_track(PM_TRACE_DOMAINS, address, 1));
}

/* Nothing can be reserved beside the window: the table of the others takes all. */
ISOLATED(without_room_beside_the_window_blocks_are_traced_all_the_same)
{
    size_t sum = 0;
    void *blocks[100];
    pm_free(pm_malloc(1));
    pm_os_fault_set_kinds(1 << PM_OS_RESERVE, 4, true); /* stacks take two, others one */
    require(pm_trace_start(FRAMES));
    pm_os_fault_set_kinds(0, 0, false);
    for (unsigned i = 0; i < 100; i++)
        blocks[i] = pm_malloc(i);
    pm_trace_memory(&sum, NULL);
    require(sum == 99 * 50 && pm_trace_slots_room.start == NULL);
    for (unsigned i = 0; i < 100; i++)
        pm_free(blocks[i]);
    pm_trace_memory(&sum, NULL);
    require(sum == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_without_memory_is_refused_and_can_be_tried_again),
        cmocka_unit_test(it_stops_itself_and_says_so_once_and_the_allocation_succeeds),
        cmocka_unit_test(a_block_that_cannot_be_tracked_is_told_by_false),
        cmocka_unit_test(without_room_beside_the_window_blocks_are_traced_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
