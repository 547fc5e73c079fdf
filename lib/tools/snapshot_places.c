/* SPDX-License-Identifier: MIT */
/* The addresses of a snapshot, each of which is looked up once: see snapshot_internal.h. */
#define _GNU_SOURCE /* dladdr */
#include "tools/snapshot_internal.h"

#include <dlfcn.h>

struct wanted {
    const uint64_t *addresses;
    uint64_t address;
};

static bool is_wanted(const void *arg, uint32_t number)
{
    const struct wanted *wanted = arg;
    return wanted->addresses[number] == wanted->address;
}

uint32_t pm_place_of(struct pm_places *places, uint64_t address, bool *is_new)
{
    struct wanted wanted = {places->addresses.start, address};
    uint64_t hash = pm_hash_word(PM_HASH_START, address);
    uint32_t number = pm_index_find(&places->index, hash, is_wanted, &wanted);
    *is_new = number == PM_INDEX_NONE;
    if (!*is_new)
        return number;
    number = (uint32_t)(places->addresses.used_bytes / sizeof address);
    uint64_t *place = pm_vector_add(&places->addresses, sizeof address);
    if (place == NULL)
        return PM_INDEX_NONE;
    *place = address;
    if (pm_index_put(&places->index, hash, number))
        return number;
    places->addresses.used_bytes -= sizeof address;
    return PM_INDEX_NONE;
}

/* The functions that modules of this process export. */
static void resolve_here(struct pm_snapshot_frame *frame)
{
    Dl_info info;
    if (frame->address != 0 && dladdr((void *)(uintptr_t)(frame->address - 1), &info) != 0)
        frame->function = info.dli_sname;
}

void pm_place_resolve(const struct pm_places *places, uint64_t address,
                      struct pm_snapshot_frame *frame)
{
    pm_snapshot_frame_of(places->snapshot, address, frame);
    if (places->resolver != NULL)
        places->resolver->resolve(places->resolver->arg, frame);
    else if (places->snapshot->is_own)
        resolve_here(frame);
}

void pm_places_free(struct pm_places *places)
{
    pm_vector_free(&places->addresses);
    pm_index_free(&places->index);
}
