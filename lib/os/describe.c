/* SPDX-License-Identifier: MIT */
/*
 * What the options ask of the allocator's memory beside its use: names, core dumps, memory nodes,
 * no huge pages. Called for each window and each batch of heaps when they are made, and for arenas
 * that were decommitted, which are new mappings. All of it is advice: where the system refuses,
 * memory is used all the same.
 */
#include "base/atomic.h"
#include "base/options.h"
#include "base/report.h"
#include "os/os.h"

/* "bind:N" or "bind:N-M". */
static int bind_nodes(void *start, size_t bytes, const char *text)
{
    unsigned nodes[2] = {0, 0}, count = 0;
    for (text += sizeof "bind:" - 1; *text != 0; text++) {
        if (*text == '-')
            count = 1;
        else
            nodes[count] = nodes[count] * 10 + (unsigned)(*text - '0');
    }
    return pm_os_bind(start, bytes, nodes[0], nodes[count]);
}

static void place(void *start, size_t bytes)
{
    static _Atomic bool said; /* relaxed: at worst it is said twice */
    const char *numa = pm_options.numa;
    if (numa[0] == 'd')
        return;
    int error = numa[0] == 'i' ? pm_os_interleave(start, bytes) : bind_nodes(start, bytes, numa);
    if (error == 0 || pm_load_relaxed(&said))
        return;
    pm_store_relaxed(&said, true);
    pm_warn("option numa=%s: the system refuses (error %u); memory comes from where it likes", numa,
            (unsigned)error);
}

void pm_os_describe(void *start, size_t bytes, enum pm_os_part part)
{
    static const char *const names[] = {"poolmalloc tables", "poolmalloc arenas",
                                        "poolmalloc heaps"};
    if (pm_options.huge_pages[0] == 'n')
        pm_os_advise_huge(start, bytes, false);
    if (pm_options.mapping_names[1] == 'n') /* on */
        pm_os_name(start, bytes, names[part]);
    if (part != PM_OS_ARENAS)
        return;
    if (pm_options.core_dump[0] != 'a')
        pm_os_dump(start, bytes, false);
    place(start, bytes);
}

void pm_os_describe_used(void *start, size_t bytes)
{
    if (pm_options.core_dump[0] == 'd')
        pm_os_dump(start, bytes, true);
}
