/* SPDX-License-Identifier: MIT */
/* Options by call. Any thread; the first call starts the allocator, so that the file and the
 * environment do not come later and win. */
#include "base/options.h"
#include "heap/heap.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>

static bool done(int error)
{
    if (error != 0)
        errno = error;
    return error == 0;
}

bool pm_option_set(const char *name, const char *value)
{
    pm_heap_process_init(); /* there are options even where there is no memory */
    int error = name != NULL && value != NULL ? pm_options_change(name, value) : EINVAL;
    if (error == 0)
        pm_purge_delay_changed(); /* perhaps: it costs the next tick a look */
    return done(error);
}

bool pm_option_get(const char *name, char *buffer, size_t room)
{
    pm_heap_process_init();
    bool sound = name != NULL && buffer != NULL;
    return done(sound ? pm_options_value(name, buffer, room) : EINVAL);
}
