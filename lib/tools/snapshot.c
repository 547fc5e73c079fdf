/* SPDX-License-Identifier: MIT */
/*
 * Snapshots: how they are filled, and what is in them. See poolmalloc/snapshot.h; the statistics
 * are in snapshot_stats.c, filters in snapshot_filter.c, files in snapshot_write.c and
 * snapshot_read.c.
 */
#include "tools/snapshot.h"
#include "base/bits.h"
#include "os/os.h"
#include "tools/snapshot_internal.h"
#include "tools/trace.h"

#include <errno.h>
#include <string.h>

_Static_assert(sizeof(uintptr_t) == sizeof(uint64_t), "addresses are those of files");

pm_snapshot *pm_snapshot_new(void)
{
    struct pm_store store = {0};
    pm_snapshot *snapshot = pm_store_add(&store, sizeof *snapshot);
    if (snapshot == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    snapshot->store = store;
    snapshot->about.program = "";
    return snapshot;
}

void pm_snapshot_free(pm_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    struct pm_store store = snapshot->store;
    pm_vector_free(&snapshot->stacks);
    pm_vector_free(&snapshot->frames);
    pm_index_free(&snapshot->index);
    pm_vector_free(&snapshot->maps);
    pm_vector_free(&snapshot->modules);
    pm_store_free(&store);
}

/* ---- stacks ---- */

struct wanted {
    const pm_snapshot *snapshot;
    const uint64_t *frames;
    unsigned domain, count;
};

static bool is_wanted(const void *arg, uint32_t number)
{
    const struct wanted *wanted = arg;
    const struct pm_snapshot_stack *stack = pm_snapshot_stacks(wanted->snapshot) + number;
    return stack->domain == wanted->domain && stack->count == wanted->count &&
           memcmp(pm_snapshot_frames(wanted->snapshot, stack), wanted->frames,
                  wanted->count * sizeof *wanted->frames) == 0;
}

static bool add_stack(pm_snapshot *snapshot, const struct wanted *wanted, uint64_t hash,
                      struct pm_snapshot_stack figures)
{
    size_t bytes = wanted->count * sizeof(uint64_t);
    size_t first = snapshot->frames.used_bytes / sizeof(uint64_t);
    struct pm_snapshot_stack *stack;
    uint64_t *frames = pm_vector_add(&snapshot->frames, bytes);
    if (frames == NULL)
        return false;
    if ((stack = pm_vector_add(&snapshot->stacks, sizeof *stack)) == NULL ||
        !pm_index_put(&snapshot->index, hash, (uint32_t)snapshot->about.stacks)) {
        snapshot->frames.used_bytes -= bytes;
        snapshot->stacks.used_bytes = snapshot->about.stacks * sizeof *stack;
        return false;
    }
    memcpy(frames, wanted->frames, bytes);
    *stack = figures;
    stack->first = first;
    snapshot->about.stacks++;
    return true;
}

static bool find_or_add(pm_snapshot *snapshot, const struct wanted *wanted, uint64_t blocks,
                        uint64_t bytes)
{
    uint64_t hash = pm_hash_word(PM_HASH_START, wanted->domain);
    for (unsigned i = 0; i < wanted->count; i++)
        hash = pm_hash_word(hash, wanted->frames[i]);
    uint32_t number = pm_index_find(&snapshot->index, hash, is_wanted, wanted);
    if (number == PM_INDEX_NONE)
        return add_stack(
            snapshot, wanted, hash,
            (struct pm_snapshot_stack){blocks, bytes, 0, wanted->domain, wanted->count});
    struct pm_snapshot_stack *stack = (struct pm_snapshot_stack *)snapshot->stacks.start + number;
    stack->blocks += blocks;
    stack->bytes += bytes;
    return true;
}

bool pm_snapshot_add(pm_snapshot *snapshot, unsigned domain, const uintptr_t *frames,
                     unsigned count, uint64_t blocks, uint64_t bytes)
{
    static const uint64_t none[1];
    struct wanted wanted = {snapshot, count != 0 ? frames : none, domain, count};
    if (blocks == 0)
        return true;
    if (count > UINT16_MAX || blocks > INT64_MAX - snapshot->about.blocks ||
        bytes > INT64_MAX - snapshot->about.bytes) {
        errno = EINVAL;
        return false;
    }
    if (!find_or_add(snapshot, &wanted, blocks, bytes)) {
        errno = ENOMEM;
        return false;
    }
    snapshot->about.blocks += blocks;
    snapshot->about.bytes += bytes;
    return true;
}

bool pm_snapshot_each(const pm_snapshot *snapshot,
                      bool (*visit)(unsigned domain, const uint64_t *frames, unsigned count,
                                    uint64_t blocks, uint64_t bytes, void *arg),
                      void *arg)
{
    const struct pm_snapshot_stack *stack = pm_snapshot_stacks(snapshot);
    for (uint64_t i = 0; i < snapshot->about.stacks; i++, stack++) {
        const uint64_t *frames = pm_snapshot_frames(snapshot, stack);
        if (!visit(stack->domain, frames, stack->count, stack->blocks, stack->bytes, arg))
            return false;
    }
    return true;
}

/* ---- about ---- */

void pm_snapshot_get_about(const pm_snapshot *snapshot, struct pm_snapshot_about *about)
{
    *about = snapshot->about;
}

bool pm_snapshot_set_program(pm_snapshot *snapshot, const char *path, size_t length)
{
    char *copy = pm_store_add(&snapshot->store, length + 1);
    if (copy == NULL)
        return false;
    for (size_t i = 0; i < length; i++)
        copy[i] = path[i] == 0 || path[i] == '\n' ? '?' : path[i];
    snapshot->about.program = copy;
    return true;
}

bool pm_snapshot_set_about(pm_snapshot *snapshot, const struct pm_snapshot_about *about)
{
    struct pm_snapshot_about whole = *about, *now = &snapshot->about;
    if (about->time_s >= PM_SNAPSHOT_TIME_END) {
        errno = EINVAL;
        return false;
    }
    const char *program = about->program != NULL ? about->program : "";
    if (!pm_snapshot_set_program(snapshot, program, strlen(program))) {
        errno = ENOMEM;
        return false;
    }
    whole.program = now->program;
    whole.stacks = now->stacks;
    whole.blocks = now->blocks;
    whole.bytes = now->bytes;
    *now = whole;
    return true;
}

/* ---- what is traced now ---- */

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
