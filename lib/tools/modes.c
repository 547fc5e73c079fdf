/* SPDX-License-Identifier: MIT */
/*
 * Modes: who watches from the start of the process on, by the option `allocator`, which POOLMALLOC
 * sets. The names mean what PYTHONMALLOC's mean.
 *
 *   default, pool         the pools, and nobody watches
 *   debug, pool_debug     debug hooks before the pools
 *   malloc                the C library's
 *   malloc_debug          debug hooks before that
 *   hardened              hardened heaps (hardened.h)
 */
#include "api/domains.h"
#include "base/options.h"
#include "base/report.h"
#include "heap/watch.h"
#include "tools/debug_domains.h"
#include "tools/hardened.h"
#include "tools/quarantine.h"
#include "tools/stack.h"
#include "tools/system.h"
#include "tools/trace.h"

#include <string.h>

static const struct mode {
    char name[PM_OPTION_CHOICE_BYTES];
    bool debug, system, hardened;
} modes[] = {
    {.name = "default"},
    {.name = "pool"},
    {.name = "debug", .debug = true},
    {.name = "pool_debug", .debug = true},
    {.name = "malloc", .system = true},
    {.name = "malloc_debug", .debug = true, .system = true},
    {.name = "hardened", .hardened = true},
};

/* Written once, under the lock of start-up. */
static struct mode mode_now;

static struct mode mode_wanted(void)
{
    size_t i = 0;
    while (strcmp(modes[i].name, pm_options.allocator) != 0) /* the option takes no other names */
        i++;
    struct mode mode = modes[i];
    if (PM_VALGRIND && (mode.debug || mode.system)) {
        pm_warn("allocator %s: not in a build for valgrind, whose tools check more", mode.name);
        return modes[0];
    }
    if (PM_WATCHED && mode.hardened) {
        pm_warn("allocator %s: not in a build for AddressSanitizer or valgrind, which check more",
                mode.name);
        return modes[0];
    }
    if (mode.system && !pm_system_is_there()) {
        pm_warn(
            "allocator %s: the C library's malloc cannot be reached in this program: its C library "
            "does not export it; the pools serve in its place",
            mode.name);
        mode.system = false;
    }
    return mode;
}

static const struct pm_watch *watch_of_mode(void)
{
    if (mode_now.debug) {
        pm_debug_init(mode_now.system ? &pm_system_below : NULL);
        return &pm_debug_watch;
    }
    if (mode_now.hardened) {
        pm_hardened_init();
        return &pm_hardened_watch;
    }
    return mode_now.system ? &pm_system_watch : NULL;
}

static const struct pm_domain_set *domains_of_mode(void)
{
    if (mode_now.debug)
        return &pm_debug_domains;
    return mode_now.system || mode_now.hardened ? &pm_domains_of_malloc : NULL;
}

/* Tracing stands before them. */
const struct pm_watch *pm_watch_at_start(void)
{
    mode_now = mode_wanted();
    return pm_trace_at_start(watch_of_mode());
}

const struct pm_domain_set *pm_domains_at_start(void)
{
    return pm_trace_domains_at_start(domains_of_mode());
}

/* Reports of errors show stacks, too. */
static __attribute__((constructor(102))) void start(void)
{
    pm_heap_process_init();
    if (mode_now.debug || mode_now.hardened || pm_trace_wanted())
        pm_stack_start();
    if (mode_now.debug || mode_now.hardened)
        pm_fatal_set_more(pm_stack_report_here);
    pm_trace_out_start();
}

/* Before the C library gives back its own; blocks that are freed later are not looked at. */
static __attribute__((destructor)) void look_at_the_end(void)
{
    if (mode_now.debug)
        pm_quarantine_check();
}
