/* SPDX-License-Identifier: MIT */
/* Snapshots of what is traced now in this process. See poolmalloc/snapshot.h. */
#include "os/os.h"
#include "tools/snapshot_internal.h"
#include "tools/trace.h"

#include <errno.h>

struct taking {
    pm_snapshot *snapshot;
    bool failed;
};

static void take_stack(unsigned domain, const uintptr_t *frames, unsigned count, uint64_t blocks,
                       uint64_t bytes, void *arg)
{
    struct taking *taking = arg;
    if (!taking->failed)
        taking->failed = !pm_snapshot_add(taking->snapshot, domain, frames, count, blocks, bytes);
}

static bool read_all(int file, struct pm_vector *text)
{
    enum { PIECE_BYTES = 4096 };
    for (long got = 1; got > 0;) {
        char *room = pm_vector_add(text, PIECE_BYTES);
        if (room == NULL)
            return false;
        got = pm_os_read(file, room, PIECE_BYTES);
        text->used_bytes -= PIECE_BYTES - (size_t)(got > 0 ? got : 0);
    }
    return true;
}

/* Where the system does not tell, addresses are all there is: better than nothing. */
static bool take_maps(pm_snapshot *snapshot)
{
    struct pm_vector text = {0};
    int file = pm_os_open_read("/proc/self/maps");
    if (file < 0)
        return true;
    bool done = read_all(file, &text) &&
                (pm_snapshot_add_maps(snapshot, text.start, text.used_bytes) || errno == EINVAL);
    pm_os_close(file);
    pm_vector_free(&text);
    return done;
}

static bool take_about(pm_snapshot *snapshot)
{
    char path[4096];
    size_t current, peak, length = pm_os_program_path(path, sizeof path);
    snapshot->about.process_id = pm_os_process_id();
    snapshot->about.time_s = pm_os_time_s();
    pm_trace_memory(&current, &peak);
    snapshot->about.traceback_limit = pm_trace_limit();
    snapshot->about.traced_bytes = current;
    snapshot->about.peak_bytes = peak;
    return pm_snapshot_set_program(snapshot, path, length);
}

pm_snapshot *pm_snapshot_take(void)
{
    struct taking taking = {pm_snapshot_new(), false};
    if (taking.snapshot == NULL)
        return NULL;
    taking.snapshot->is_own = true;
    pm_trace_each(take_stack, &taking);
    /* The maps come last, so that they have what was loaded meanwhile. */
    if (!taking.failed && take_about(taking.snapshot) && take_maps(taking.snapshot))
        return taking.snapshot;
    pm_snapshot_free(taking.snapshot);
    errno = ENOMEM;
    return NULL;
}
