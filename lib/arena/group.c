/* SPDX-License-Identifier: MIT */
/*
 * Option cgroup: what the control group of the process allows, as the files of the system said
 * last. They are read when arenas are added and when free memory is due, at most once in
 * PM_GROUP_LOOK_NS: where system calls are made anyway, and never where memory is only taken or
 * given. See docs/decisions/010-the-control-group-is-looked-at-when-memory-grows.md.
 */
#include "arena/internal.h"
#include "base/options.h"
#include "os/os.h"

/* SIZE_MAX: nothing is limited. Relaxed, as all here: it orders nothing; who reads an older one
 * obeys it once more. */
static _Atomic size_t allowed_bytes = SIZE_MAX;
static _Atomic uint64_t next_look_ns;

/* Constant after the start, as all choices. */
bool pm_group_is_heeded(void)
{
    return pm_options.cgroup[0] != 'o'; /* off */
}

void pm_group_look(uint64_t now_ns)
{
    if (!pm_group_is_heeded())
        return;
    uint64_t due = pm_load_relaxed(&next_look_ns);
    /* One thread at a time; acquire orders nothing here. */
    if (now_ns >= due && pm_cas_acquire(&next_look_ns, &due, now_ns + PM_GROUP_LOOK_NS))
        pm_store_relaxed(&allowed_bytes, pm_os_group_limit_bytes());
}

size_t pm_group_limit_bytes(void)
{
    return pm_options.cgroup[0] == 'l' ? pm_load_relaxed(&allowed_bytes) : SIZE_MAX;
}

void pm_group_grown(size_t arenas, uint64_t now_ns)
{
    if (pm_load_relaxed(&allowed_bytes) != SIZE_MAX)
        pm_purge_excess(arenas * PM_ARENA_UNITS, now_ns);
}

size_t pm_group_keep_units(size_t in_use_units, size_t keep_units)
{
    size_t allowed = pm_load_relaxed(&allowed_bytes);
    if (pm_likely(allowed == SIZE_MAX))
        return keep_units;
    size_t mark = (allowed - allowed / PM_GROUP_SPARE_PART) >> PM_UNIT_SHIFT;
    size_t room = mark > in_use_units ? mark - in_use_units : 0;
    return room < keep_units ? room : keep_units;
}
