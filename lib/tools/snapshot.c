/* SPDX-License-Identifier: MIT */
/*
 * Snapshots: how they are filled, and what is in them. See poolmalloc/snapshot.h; the statistics
 * are in snapshot_stats.c, filters in snapshot_filter.c, files in snapshot_write.c and
 * snapshot_read.c. Of what is traced in this process snapshot_take.c makes one: apart, since who
 * only reads snapshots, as the command does, is not to be linked to an allocator.
 */
#include "tools/snapshot.h"
#include "base/bits.h"
#include "tools/snapshot_internal.h"

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
