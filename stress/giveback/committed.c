/* SPDX-License-Identifier: MIT */
/*
 * Memory that was freed and purged is not charged either. Stands for: machines with strict
 * overcommit (vm.overcommit_memory=2), where what a process was promised and does not use is
 * missing elsewhere. To be run while that setting is in force: limits.sh overcommit. Counted are
 * the mappings of this process that the system accounts; the system's own sum, Committed_AS, has
 * all processes in it and is no figure to be judged.
 * Usage: committed [mib=256]
 */
#include "check.h"
#include "common.h"
#include "giveback/measure.h"
#include "names.h"

#include <string.h>

enum { small_high = 4000, large_low = 100 * 1000, large_high = 8 << 20, room_mib = 8 };

/* Blocks of one kind, as a list through their first words. */
struct held {
    struct held *next;
};

static struct held *take(struct rng *rng, size_t bytes, size_t low, size_t high)
{
    struct held *list = NULL;
    while (bytes > 0) {
        size_t size = random_size(rng, low, high);
        struct held *held = api_malloc(size);
        CHECK(held, "no %zu bytes", size);
        memset(held, 1, size);
        held->next = list;
        list = held;
        bytes -= size < bytes ? size : bytes;
    }
    return list;
}

static void free_all(struct held *list)
{
    while (list) {
        struct held *next = list->next;
        api_free(list);
        list = next;
    }
}

int main(int count, char **arguments)
{
    static const char *const names[] = {"mib", NULL};
    options_check(count, arguments, names);
    size_t bytes = option_number(count, arguments, "mib", 256) * MIB;
    struct rng rng = rng_make(16, 0);
    free_all(take(&rng, MIB, 16, small_high));
    size_t before = measure_committed();
    struct held *small = take(&rng, bytes / 2, 16, small_high);
    struct held *large = take(&rng, bytes / 2, large_low, large_high);
    size_t full = measure_committed();
    CHECK(full >= before + bytes, "%zu bytes are not accounted: %zu, then %zu", bytes, before,
          full);
    free_all(small);
    free_all(large);
    measure_trim();
    report("committed_before_mib", (double)before / MIB);
    report("committed_full_mib", (double)full / MIB);
    double growth = (double)measure_committed() - (double)before;
    judge("committed_growth_after_trim_mib", growth / MIB, room_mib);
    return judged();
}
