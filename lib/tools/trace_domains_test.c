/* SPDX-License-Identifier: MIT */
/* Tracing of domains, of other allocators' blocks, and of user heaps. */
#include "poolmalloc/domains.h"
#include "poolmalloc/heap.h"
#include "tools/debug.h"
#include "tools/trace_testing.h"

#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

ISOLATED(each_domain_is_traced_under_its_number)
{
    start();
    void *raw = pm_raw_malloc(SIZE), *mem = pm_mem_calloc(2, SIZE), *object = pm_object_malloc(0);
    require_seen(PM_TRACE_RAW, 1, SIZE);
    require_seen(PM_TRACE_MEM, 1, 2 * SIZE);
    require_seen(PM_TRACE_OBJECT, 1, 0);
    require_seen(PM_TRACE_MALLOC, 0, 0);
    mem = pm_mem_realloc(mem, LARGE); /* by way of the raw domain: traced once */
    require_seen(PM_TRACE_MEM, 1, LARGE);
    require_seen(PM_TRACE_RAW, 1, SIZE);
    require(pm_mem_realloc(mem, PTRDIFF_MAX) == NULL);
    require_traced(PM_TRACE_MEM, mem, LARGE);
    pm_raw_free(raw);
    pm_mem_free(mem);
    pm_object_free(object);
    pm_object_free(NULL);
    require(current() == 0);
    pm_trace_stop();
    struct pm_allocator table;
    require(pm_get_allocator(PM_DOMAIN_MEM, &table) && pm_domains.domains_now == NULL);
}

static char arena[MANY];

static void *static_malloc(void *context, size_t size)
{
    (void)context, (void)size;
    return arena;
}

static void *static_calloc(void *context, size_t count, size_t size)
{
    (void)context, (void)count, (void)size;
    return arena;
}

static void *static_realloc(void *context, void *ptr, size_t size)
{
    (void)context, (void)ptr, (void)size;
    return arena;
}

static void static_free(void *context, void *ptr)
{
    (void)context, (void)ptr;
}

ISOLATED(whoever_is_in_charge_of_a_domain_its_blocks_are_traced)
{
    const struct pm_allocator table = {NULL, static_malloc, static_calloc, static_realloc,
                                       static_free};
    struct pm_allocator now;
    require(pm_set_allocator(PM_DOMAIN_OBJECT, &table));
    for (int round = 0; round < 3; round++) {
        start();
        require(pm_object_malloc(SIZE) == arena);
        require_traced(PM_TRACE_OBJECT, arena, SIZE);
        require(pm_object_realloc(arena, 2 * SIZE) == arena && current() == 2 * SIZE);
        pm_object_free(arena);
        require(current() == 0);
        pm_trace_stop();
        require(pm_get_allocator(PM_DOMAIN_OBJECT, &now) && now.malloc == static_malloc);
    }
}

ISOLATED(blocks_of_other_allocators_are_tracked_by_domain_and_address)
{
    start();
    char *p = pm_malloc(SIZE), memory[MANY];
    for (size_t i = 0; i < MANY; i++)
        require(pm_trace_track(OTHER, memory + i, i));
    require(current() == SIZE + MANY * (MANY - 1) / 2);
    require(pm_trace_track(OTHER, memory + 7, 70)); /* replaces */
    require(current() == SIZE + MANY * (MANY - 1) / 2 + 63);
    require_traced(OTHER, memory + 7, 70);
    require(pm_trace_track(OTHER + 1, memory + 7, 1) && pm_trace_track(OTHER, p, 5));
    require_traced(OTHER, memory + 7, 70);
    require_traced(OTHER + 1, memory + 7, 1);
    require_traced(OTHER, p, 5);
    require_traced(PM_TRACE_MALLOC, p, SIZE);
    require(pm_trace_untrack(OTHER + 1, memory + 7) && !is_traced(OTHER + 1, memory + 7));
    require(pm_trace_untrack(OTHER + 1, memory + 7)); /* of none, nothing */
    require(pm_trace_untrack(OTHER, p));
    for (size_t i = 0; i < MANY; i++)
        require(pm_trace_untrack(OTHER, memory + i));
    require(current() == SIZE);
    require_seen(OTHER, 0, 0);
    pm_free(p);
    require(current() == 0);
}

ISOLATED(a_heap_that_is_destroyed_takes_its_traces_along)
{
    start();
    pm_user_heap *heap = pm_heap_new(0), *other = pm_heap_new(0);
    void *stays = pm_heap_malloc(other, SIZE);
    for (int i = 0; i < MANY; i++)
        require(pm_heap_malloc(heap, SIZE) != NULL);
    void *large = pm_heap_aligned_alloc(heap, 4096, LARGE);
    require_traced(PM_TRACE_HEAP, large, LARGE);
    require(current() == (MANY + 1) * SIZE + LARGE);
    require_seen(PM_TRACE_HEAP, MANY + 2, (MANY + 1) * SIZE + LARGE);
    pm_heap_destroy(heap);
    require(current() == SIZE);
    require_seen(PM_TRACE_HEAP, 1, SIZE);
    require_traced(PM_TRACE_HEAP, stays, SIZE);
    pm_heap_destroy(other);
    require(current() == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_domain_is_traced_under_its_number),
        cmocka_unit_test(whoever_is_in_charge_of_a_domain_its_blocks_are_traced),
        cmocka_unit_test(blocks_of_other_allocators_are_tracked_by_domain_and_address),
        cmocka_unit_test(a_heap_that_is_destroyed_takes_its_traces_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
