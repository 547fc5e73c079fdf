/* SPDX-License-Identifier: MIT */
/* The fault-injecting double of the os layer, for tests only: see os.h. */
#include "base/atomic.h"
#include "os/os.h"

/* Relaxed: tests set these while no other thread allocates. */
static _Atomic uint32_t calls, fail_nth;
static _Atomic bool fail_for_good;

void pm_os_fault_set(unsigned nth, bool for_good)
{
    pm_store_relaxed(&calls, 0);
    pm_store_relaxed(&fail_for_good, for_good);
    pm_store_relaxed(&fail_nth, nth);
}

unsigned pm_os_fault_calls(void)
{
    return pm_load_relaxed(&calls);
}

bool pm_os_fault_now(void)
{
    uint32_t call = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) + 1;
    uint32_t nth = pm_load_relaxed(&fail_nth);
    return nth != 0 && (call == nth || (call > nth && pm_load_relaxed(&fail_for_good)));
}
