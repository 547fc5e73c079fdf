/* SPDX-License-Identifier: MIT */
/* See stack.h: stacks in reports. */
#include "base/report.h"
#include "os/os.h"
#include "tools/stack_internal.h"

#include <string.h>

/* Little, as handlers may run on small stacks. */
enum { AT_ONCE = 8, NAME_BYTES = 256 };

/* Where a frame lies. Modules are mapped in pieces, one behind the other, the first from the start
 * of the file on: what tools know as its addresses counts from there. */
struct place {
    uintptr_t address, module_start; /* 0: not known */
    char module[NAME_BYTES];
};

struct search {
    struct place places[AT_ONCE];
    unsigned count;
    uintptr_t module_start;
};

static bool note_places(const struct pm_os_mapping *mapping, void *arg)
{
    struct search *search = arg;
    if (mapping->offset == 0 && mapping->name[0] != 0)
        search->module_start = mapping->start;
    for (unsigned i = 0; i < search->count; i++) {
        struct place *place = &search->places[i];
        if (place->address < mapping->start || place->address >= mapping->end ||
            mapping->name[0] == 0)
            continue;
        place->module_start = search->module_start;
        pm_format(place->module, sizeof place->module, "%s", mapping->name);
    }
    return true;
}

static void report_some(const uintptr_t *frames, unsigned count, unsigned first)
{
    struct search search;
    memset(&search, 0, sizeof search);
    search.count = count;
    for (unsigned i = 0; i < count; i++)
        search.places[i].address = frames[i];
    pm_os_each_mapping(note_places, &search);
    for (unsigned i = 0; i < count; i++) {
        const struct place *place = &search.places[i];
        if (place->module[0] == 0)
            pm_print("    #%u %p\n", first + i, (void *)place->address);
        else
            pm_print("    #%u %p %s+%p\n", first + i, (void *)place->address, place->module,
                     (void *)(place->address - place->module_start));
    }
}

void pm_stack_report(const uintptr_t *frames, unsigned count)
{
    for (unsigned i = 0; i < count; i += AT_ONCE)
        report_some(frames + i, count - i < AT_ONCE ? count - i : AT_ONCE, i);
}

enum { FRAMES = 16 };

void pm_stack_report_here(void)
{
    uintptr_t frames[FRAMES];
    unsigned count = pm_stack_take(frames, FRAMES);
    if (count != 0)
        pm_print("    The error was found in a call by:\n");
    pm_stack_report(frames, count);
}
