/* SPDX-License-Identifier: MIT */
/* Tables and domains when the system has no memory to give. */
#include "api/domains_testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

ISOLATED(without_memory_for_its_copy_a_table_is_refused_and_the_old_one_stays)
{
    struct pm_allocator before, now;
    require(pm_get_allocator(PM_DOMAIN_RAW, &before));
    pm_os_fault_set(1, true);
    errno = 0;
    require(!pm_set_allocator(PM_DOMAIN_RAW, &test_libc) && errno == ENOMEM);
    require(pm_get_allocator(PM_DOMAIN_RAW, &now) && now.malloc == before.malloc);
    errno = 0;
    require(pm_object_malloc(10) == NULL && errno == ENOMEM);
    pm_os_fault_set(0, false);
    require(pm_set_allocator(PM_DOMAIN_RAW, &test_libc));
    require(pm_get_allocator(PM_DOMAIN_RAW, &now) && now.malloc == test_libc.malloc);
    pm_object_free(pm_object_malloc(10));
}

ISOLATED(without_memory_for_a_pool_a_block_of_the_raw_layer_stays_when_it_shrinks)
{
    require(pm_set_allocator(PM_DOMAIN_RAW, &test_libc));
    unsigned char *block = pm_object_malloc(1000);
    test_fill(block, 1000, 3);
    pm_os_fault_set(1, true);
    while (pm_object_malloc(100) != NULL)
        continue;
    require(pm_object_realloc(block, 100) == block && test_is_filled(block, 100, 3));
    require(pm_object_realloc(block, 90) == block);
    pm_os_fault_set(0, false);
    block = pm_object_realloc(block, 80);
    require(pm_heap_in_small_pool(block) && test_is_filled(block, 80, 3));
    pm_object_free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_for_its_copy_a_table_is_refused_and_the_old_one_stays),
        cmocka_unit_test(without_memory_for_a_pool_a_block_of_the_raw_layer_stays_when_it_shrinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
