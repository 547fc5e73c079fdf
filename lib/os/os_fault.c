/* SPDX-License-Identifier: MIT */
/* The fault-injecting double of the os layer, for tests only: see os.h. */
#include "base/atomic.h"
#include "os/os.h"

#define BIT(call) (1u << (call))
#define USUAL_KINDS                                                                                \
    (BIT(PM_OS_RESERVE) | BIT(PM_OS_MAKE_READABLE) | BIT(PM_OS_COMMIT) | BIT(PM_OS_PURGE))
_Static_assert(PM_OS_CALLS <= 32, "a bit for each");

/* Relaxed: tests set these while no other thread allocates. */
static _Atomic uint32_t calls, fail_nth;
static _Atomic uint32_t fail_kinds = USUAL_KINDS;
static _Atomic bool fail_for_good;

void pm_os_fault_set_kinds(unsigned kinds, unsigned nth, bool for_good)
{
    pm_store_relaxed(&calls, 0);
    pm_store_relaxed(&fail_kinds, kinds);
    pm_store_relaxed(&fail_for_good, for_good);
    pm_store_relaxed(&fail_nth, nth);
}

void pm_os_fault_set(unsigned nth, bool for_good)
{
    pm_os_fault_set_kinds(USUAL_KINDS, nth, for_good);
}

unsigned pm_os_fault_calls(void)
{
    return pm_load_relaxed(&calls);
}

bool pm_os_fault_now(enum pm_os_call kind)
{
    if ((pm_load_relaxed(&fail_kinds) & BIT(kind)) == 0)
        return false;
    uint32_t call = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) + 1;
    uint32_t nth = pm_load_relaxed(&fail_nth);
    return nth != 0 && (call == nth || (call > nth && pm_load_relaxed(&fail_for_good)));
}
