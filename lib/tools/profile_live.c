/* SPDX-License-Identifier: MIT */
/* The sampled blocks that are live: see profile_table.h. */
#include "tools/profile_internal.h"

#include "base/report.h"
#include "os/os.h"

struct pm_profile_live {
    uint64_t bytes;
    uint32_t row;
};

/* Those who look for a block that is none of ours, as most frees do, read one line of the cache. */
enum { PLACES = 7 };
static const uintptr_t lifted = 1; /* in place of an address: taken, and nobody's to find */

struct line {
    _Atomic uintptr_t blocks[PLACES]; /* 0: free */
    _Atomic uint64_t next;            /* number of the line that follows; 0: none */
    struct pm_profile_live lives[PLACES];
} __attribute__((aligned(PM_LINE_BYTES)));

_Static_assert(offsetof(struct line, lives) == PM_LINE_BYTES, "addresses fill a line");

enum { BUCKETS = 1 << PM_PROFILE_BUCKETS_SHIFT };

static struct pm_profile_room lines; /* the first ones are the buckets */

/* Less where address space is limited. */
bool pm_profile_live_init(void)
{
    size_t first, most = PM_PROFILE_LINES_MAX;
    while (!pm_profile_room_init(&lines, sizeof(struct line), most)) {
        most /= 2;
        if (most < 2 * BUCKETS)
            return false;
    }
    return pm_load_relaxed(&lines.used) != 0 || pm_profile_room_take(&lines, BUCKETS, &first) ||
           pm_load_relaxed(&lines.used) != 0;
}

/* Acquire pairs with the acquire-release of `used`: the buckets are there. */
bool pm_profile_live_is_there(void)
{
    return pm_load_acquire(&lines.used) != 0;
}

static struct line *line_at(uint64_t number)
{
    char *start = pm_load_acquire(&lines.start); /* see pm_profile_room_init */
    return (struct line *)(void *)start + number;
}

static struct line *bucket_of(const void *block)
{
    uint64_t mixed = ((uint64_t)(uintptr_t)block >> PM_GRANULE_SHIFT) * 0x9e3779b97f4a7c15u;
    return line_at(mixed >> (64 - PM_PROFILE_BUCKETS_SHIFT));
}

/* NULL: it is the last. Acquire pairs with the release in line_behind. */
static struct line *next_of(struct line *line)
{
    uint64_t next = pm_load_acquire(&line->next);
    return next == 0 ? NULL : line_at(next);
}

/* The next one, which is added if need be. NULL: out of memory. One that was added at the same time
 * by two threads follows the other's. */
static struct line *line_behind(struct line *line)
{
    size_t fresh;
    struct line *next = next_of(line);
    if (next != NULL)
        return next;
    if (!pm_profile_room_take(&lines, 1, &fresh))
        return NULL;
    for (;;) {
        uint64_t none = 0;
        /* Acquire-release: the line is committed. */
        if (pm_cas_acq_rel(&line->next, &none, (uint64_t)fresh))
            return line_at(fresh);
        line = line_at(none);
    }
}

static struct pm_profile_live *claim(struct line *line, uintptr_t address)
{
    for (unsigned i = 0; i < PLACES; i++) {
        uintptr_t free = pm_load_relaxed(&line->blocks[i]);
        /* Acquire pairs with the release of who let go of it: the rest of the place is ours. */
        if (free == 0 && pm_cas_acquire(&line->blocks[i], &free, address))
            return &line->lives[i];
    }
    return NULL;
}

static struct pm_profile_live *place_for(const void *block)
{
    for (struct line *line = bucket_of(block); line != NULL; line = line_behind(line)) {
        struct pm_profile_live *live = claim(line, (uintptr_t)block);
        if (live != NULL)
            return live;
    }
    return NULL;
}

static _Atomic uintptr_t *address_of(struct pm_profile_live *live)
{
    char *start = pm_load_acquire(&lines.start); /* see pm_profile_room_init */
    struct line *line = line_at((size_t)((char *)live - start) / sizeof(struct line));
    return &line->blocks[live - line->lives];
}

/* The place of the block, or NULL. Relaxed: the block's way from its taker to its freer orders what
 * is in the place, and a place of another block does not concern us. */
static struct pm_profile_live *find(const void *block)
{
    for (struct line *line = bucket_of(block); line != NULL; line = next_of(line)) {
        for (unsigned i = 0; i < PLACES; i++) {
            if (pm_load_relaxed(&line->blocks[i]) == (uintptr_t)block)
                return &line->lives[i];
        }
    }
    return NULL;
}

bool pm_profile_live_add(const void *block, uint32_t row, size_t bytes)
{
    struct pm_profile_live *live = place_for(block);
    if (live == NULL)
        return false;
    *live = (struct pm_profile_live){.bytes = bytes, .row = row};
    struct pm_profile_change change = {1, bytes, 1, bytes};
    pm_profile_count(row, &change);
    return true;
}

void pm_profile_live_drop(struct pm_profile_live *live)
{
    struct pm_profile_change change = {.live_blocks = 0 - (uint64_t)1,
                                       .live_bytes = 0 - live->bytes};
    pm_profile_count(live->row, &change);
    pm_store_release(address_of(live), 0); /* pairs with the acquire in claim */
}

bool pm_profile_live_remove(const void *block)
{
    struct pm_profile_live *live = find(block);
    if (live != NULL)
        pm_profile_live_drop(live);
    return live != NULL;
}

struct pm_profile_live *pm_profile_live_lift(const void *block)
{
    struct pm_profile_live *live = find(block);
    if (live != NULL)
        pm_store_relaxed(address_of(live), lifted); /* the place stays the caller's */
    return live;
}

/* The address belongs to this bucket: it is the one that the block was lifted from. */
void pm_profile_live_lay(struct pm_profile_live *live, const void *block)
{
    pm_store_relaxed(address_of(live), (uintptr_t)block);
}

/* What the live blocks come to, by row, is what the row says. */
static bool check_row(uint32_t number)
{
    const struct pm_profile_row *row = pm_profile_row_at(number);
    struct pm_profile_row copy;
    uint64_t blocks = 0, bytes = 0;
    if (row == NULL)
        return true;
    pm_profile_row_read(row, &copy);
    for (size_t l = 0; l < pm_load_relaxed(&lines.used); l++) {
        for (unsigned i = 0; i < PLACES; i++) {
            struct line *line = line_at(l);
            bool of_row = pm_load_relaxed(&line->blocks[i]) != 0 && line->lives[i].row == number;
            blocks += of_row;
            bytes += of_row ? line->lives[i].bytes : 0;
        }
    }
    if (blocks == copy.live_blocks && bytes == copy.live_bytes)
        return true;
    pm_print("profile row %u: %lu blocks, %lu bytes are live, it says %lu, %lu\n", number, blocks,
             bytes, copy.live_blocks, copy.live_bytes);
    return false;
}

bool pm_profile_table_check(void)
{
    for (uint32_t i = 0; i < pm_profile_rows(); i++) {
        if (!check_row(i))
            return false;
    }
    return true;
}
