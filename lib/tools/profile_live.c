/* SPDX-License-Identifier: MIT */
/* The sampled blocks that are live: see profile_table.h. */
#include "tools/profile_internal.h"

#include "base/report.h"
#include "os/os.h"

struct pm_profile_live {
    uint64_t bytes;
    uint32_t row;
};

enum { PLACES = 7 };
static const uintptr_t lifted = 1; /* in place of an address: taken, and nobody's to find */

/* The number of a line; 0: there is none. From 0 to that once. */
typedef _Atomic uint32_t link_word;

struct line {
    _Atomic uintptr_t blocks[PLACES]; /* 0: free */
    link_word next;                   /* the line that follows */
    struct pm_profile_live lives[PLACES];
} __attribute__((aligned(PM_LINE_BYTES)));

_Static_assert(offsetof(struct line, lives) == PM_LINE_BYTES, "addresses fill a line");

/* Each the first of its lines. Those who look for a block that is none of ours, as most frees do,
 * find nothing here as a rule; and it is small, so that a short program touches few pages. */
static link_word buckets[1 << PM_PROFILE_BUCKETS_SHIFT];
static struct pm_profile_room lines; /* number 0 is none */

/* Less where address space is limited. */
bool pm_profile_live_init(void)
{
    size_t first, most = PM_PROFILE_LINES_MAX;
    while (!pm_profile_room_init(&lines, sizeof(struct line), most)) {
        most /= 2;
        if (most < PM_PROFILE_LINES_MIN)
            return false;
    }
    return pm_load_relaxed(&lines.used) != 0 || pm_profile_room_take(&lines, 1, &first);
}

/* Acquire pairs with the acquire-release of `used`: lines can be had. */
bool pm_profile_live_is_there(void)
{
    return pm_load_acquire(&lines.used) != 0;
}

static struct line *line_at(uint32_t number)
{
    char *start = pm_load_acquire(&lines.start); /* see pm_profile_room_init */
    return (struct line *)(void *)start + number;
}

static link_word *bucket_of(const void *block)
{
    uint64_t mixed = ((uint64_t)(uintptr_t)block >> PM_GRANULE_SHIFT) * 0x9e3779b97f4a7c15u;
    return &buckets[mixed >> (64 - PM_PROFILE_BUCKETS_SHIFT)];
}

/* NULL: there is none. Acquire pairs with the release in line_behind. */
static struct line *line_of(link_word *link)
{
    uint32_t number = pm_load_acquire(link);
    return number == 0 ? NULL : line_at(number);
}

/* The same, which is added if need be. NULL: out of memory. One that was added at the same time by
 * two threads follows the other's. */
static struct line *line_behind(link_word *link)
{
    size_t fresh;
    struct line *line = line_of(link);
    if (line != NULL)
        return line;
    if (!pm_profile_room_take(&lines, 1, &fresh))
        return NULL;
    for (;;) {
        uint32_t none = 0;
        /* Acquire-release: the line is committed. */
        if (pm_cas_acq_rel(link, &none, (uint32_t)fresh))
            return line_at((uint32_t)fresh);
        link = &line_at(none)->next;
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
    struct line *line = line_behind(bucket_of(block));
    for (; line != NULL; line = line_behind(&line->next)) {
        struct pm_profile_live *live = claim(line, (uintptr_t)block);
        if (live != NULL)
            return live;
    }
    return NULL;
}

static _Atomic uintptr_t *address_of(struct pm_profile_live *live)
{
    char *start = pm_load_acquire(&lines.start); /* see pm_profile_room_init */
    struct line *line = line_at((uint32_t)((size_t)((char *)live - start) / sizeof(struct line)));
    return &line->blocks[live - line->lives];
}

/* The place of the block, or NULL. Relaxed: the block's way from its taker to its freer orders what
 * is in the place, and a place of another block does not concern us. */
static struct pm_profile_live *find(const void *block)
{
    for (struct line *line = line_of(bucket_of(block)); line != NULL; line = line_of(&line->next)) {
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
    for (uint32_t l = 1; l < pm_load_relaxed(&lines.used); l++) {
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
