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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_for_its_copy_a_table_is_refused_and_the_old_one_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
