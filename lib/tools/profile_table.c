/* SPDX-License-Identifier: MIT */
/* The rows: see profile_table.h. */
#include "tools/profile_table.h"
#include "tools/profile_internal.h"

#include "base/report.h"
#include "os/os.h"

#include <string.h>

/* ---- memory that grows ---- */

bool pm_profile_room_init(struct pm_profile_room *room, size_t item_bytes, size_t items)
{
    /* Acquire pairs with the release below; whoever comes second lets go of its own. */
    if (pm_load_acquire(&room->start) != NULL)
        return true;
    size_t bytes = pm_align_up(item_bytes * items, PM_PROFILE_STEP_BYTES);
    char *none = NULL, *start = pm_os_reserve(bytes, pm_os_page_bytes());
    if (start == NULL)
        return false;
    pm_os_describe(start, bytes, PM_OS_TABLES);
    /* The same for all who try at the same time. */
    pm_store_relaxed(&room->item_bytes, item_bytes);
    pm_store_relaxed(&room->items, items);
    if (!pm_cas_acq_rel(&room->start, &none, start))
        pm_os_release(start, bytes);
    return true;
}

/* Committed up to there. Several threads may commit the same. */
static bool reach(struct pm_profile_room *room, char *start, size_t bytes)
{
    for (;;) {
        /* Acquire pairs with the release: who finds it committed may write to it. */
        size_t committed = pm_load_acquire(&room->committed_bytes);
        if (bytes <= committed)
            return true;
        if (!pm_os_commit(start + committed, PM_PROFILE_STEP_BYTES))
            return false;
        pm_cas_acq_rel(&room->committed_bytes, &committed, committed + PM_PROFILE_STEP_BYTES);
    }
}

bool pm_profile_room_take(struct pm_profile_room *room, size_t count, size_t *first)
{
    char *start = pm_load_acquire(&room->start); /* see above */
    size_t item_bytes = pm_load_relaxed(&room->item_bytes);
    size_t used = pm_load_relaxed(&room->used);
    do {
        if (used + count > pm_load_relaxed(&room->items) ||
            !reach(room, start, (used + count) * item_bytes))
            return false;
    } while (!pm_cas_acq_rel(&room->used, &used, used + count));
    *first = used;
    return true;
}

/* ---- rows ---- */

static struct pm_profile_room rows, slots;
static _Atomic uint32_t spare_row; /* one that was written and not needed, and 1; 0: none */

static size_t slot_count(void)
{
    return pm_load_relaxed(&slots.items); /* a power of two */
}

static _Atomic uint32_t *slot_at(size_t index)
{
    char *start = pm_load_acquire(&slots.start); /* see pm_profile_room_init */
    return (_Atomic uint32_t *)(void *)start + (index & (slot_count() - 1));
}

static struct pm_profile_row *row_at(uint32_t number)
{
    char *start = pm_load_acquire(&rows.start); /* see pm_profile_room_init */
    return (struct pm_profile_row *)(void *)start + number;
}

bool pm_profile_table_init(size_t count)
{
    size_t many = 64, first;
    while (many < 2 * count)
        many *= 2;
    if (pm_profile_table_is_there())
        return true;
    if (!pm_profile_room_init(&rows, sizeof(struct pm_profile_row), count) ||
        !pm_profile_room_init(&slots, sizeof(uint32_t), many) ||
        (pm_load_relaxed(&slots.used) == 0 && !pm_profile_room_take(&slots, many, &first) &&
         pm_load_relaxed(&slots.used) == 0))
        return false;
    return pm_profile_live_init();
}

bool pm_profile_table_is_there(void)
{
    return pm_profile_live_is_there();
}

/* The same for all rows of a stack, so that they follow each other from one slot on. */
static size_t hash_of(const uint64_t *frames, uint64_t depth)
{
    uint64_t hash = depth;
    for (uint64_t i = 0; i < depth; i++)
        hash = (hash ^ frames[i]) * 0x9e3779b97f4a7c15u ^ hash >> 29;
    return (size_t)(hash ^ hash >> 32);
}

static bool same_stack(const struct pm_profile_row *a, const struct pm_profile_row *b)
{
    return a->depth == b->depth &&
           memcmp(a->frames, b->frames, (size_t)a->depth * sizeof *a->frames) == 0;
}

static bool same_key(const struct pm_profile_row *a, const struct pm_profile_row *b)
{
    return a->step == b->step && a->mean_bytes == b->mean_bytes && same_stack(a, b);
}

/* A row that nobody else has. */
static bool take_row(uint32_t *number)
{
    size_t fresh;
    /* Acquire-release: the row that was put by comes with what was written to it. */
    uint32_t was = pm_exchange_acq_rel(&spare_row, 0);
    if (was != 0) {
        *number = was - 1;
        return true;
    }
    if (!pm_profile_room_take(&rows, 1, &fresh))
        return false;
    *number = (uint32_t)fresh;
    return true;
}

static bool write_row(const struct pm_profile_row *key, uint32_t *number)
{
    if (!take_row(number))
        return false;
    struct pm_profile_row *row = row_at(*number);
    row->mean_bytes = key->mean_bytes;
    row->step = key->step;
    row->depth = key->depth;
    memcpy(row->frames, key->frames, (size_t)key->depth * sizeof *key->frames);
    return true;
}

static void publish(uint32_t number)
{
    struct pm_profile_row *row = row_at(number);
    pm_profile_page_add_row(number, row);
    /* Release pairs with the acquires in pm_profile_row_at and pm_profile_page_read. */
    pm_store_release(pm_profile_word(&row->published), 1);
}

/* Finds the key from its slot on, or puts it into the first that is free. */
static uint32_t find_or_add(const struct pm_profile_row *key)
{
    size_t at = hash_of(key->frames, key->depth);
    uint32_t ours = PM_PROFILE_NO_ROW;
    for (size_t i = 0; i < slot_count(); i++) {
        uint32_t found = pm_load_acquire(slot_at(at + i)); /* pairs with the exchange below */
        if (found == 0 && ours == PM_PROFILE_NO_ROW && !write_row(key, &ours))
            return PM_PROFILE_NO_ROW;
        /* Acquire-release: who finds the number finds the key in the row. */
        if (found == 0 && pm_cas_acq_rel(slot_at(at + i), &found, ours + 1)) {
            publish(ours);
            return ours;
        }
        if (!same_key(row_at(found - 1), key))
            continue;
        if (ours != PM_PROFILE_NO_ROW) /* somebody was faster; one spare row is enough */
            pm_exchange_acq_rel(&spare_row, ours + 1);
        return found - 1;
    }
    return PM_PROFILE_NO_ROW;
}

uint32_t pm_profile_row_for(const uintptr_t *frames, unsigned depth, size_t bytes, uint64_t mean)
{
    struct pm_profile_row key;
    key.mean_bytes = mean;
    key.step = pm_profile_step_of(bytes);
    key.depth = depth;
    for (unsigned i = 0; i < depth; i++)
        key.frames[i] = frames[i];
    return find_or_add(&key);
}

uint32_t pm_profile_rows(void)
{
    return (uint32_t)pm_load_relaxed(&rows.used); /* what is in one, its own word says */
}

const struct pm_profile_row *pm_profile_row_at(uint32_t number)
{
    struct pm_profile_row *row = row_at(number);
    /* Acquire pairs with the release in publish. */
    return pm_load_acquire(pm_profile_word(&row->published)) != 0 ? row : NULL;
}

uint32_t pm_profile_row_of_stack(uint32_t number)
{
    const struct pm_profile_row *row = row_at(number);
    for (size_t at = hash_of(row->frames, row->depth);; at++) {
        uint32_t found = pm_load_acquire(slot_at(at)); /* see find_or_add; it is among them */
        if (found - 1 == number || same_stack(row_at(found - 1), row))
            return found - 1;
    }
}

void pm_profile_row_read(const struct pm_profile_row *row, struct pm_profile_row *copy)
{
    struct pm_profile_row *from = (struct pm_profile_row *)(uintptr_t)row;
    copy->published = 1;
    copy->mean_bytes = row->mean_bytes;
    copy->step = row->step;
    copy->depth = row->depth;
    memcpy(copy->frames, row->frames, (size_t)row->depth * sizeof *row->frames);
    copy->live_blocks = pm_load_relaxed(pm_profile_word(&from->live_blocks));
    copy->live_bytes = pm_load_relaxed(pm_profile_word(&from->live_bytes));
    copy->all_blocks = pm_load_relaxed(pm_profile_word(&from->all_blocks));
    copy->all_bytes = pm_load_relaxed(pm_profile_word(&from->all_bytes));
}

void pm_profile_row_change(struct pm_profile_row *row, const struct pm_profile_change *change)
{
    /* Relaxed, each: figures of their own, by which nothing is ordered. */
    pm_add_relaxed(pm_profile_word(&row->live_blocks), change->live_blocks);
    pm_add_relaxed(pm_profile_word(&row->live_bytes), change->live_bytes);
    if (change->all_blocks == 0 && change->all_bytes == 0) /* as of all frees */
        return;
    pm_add_relaxed(pm_profile_word(&row->all_blocks), change->all_blocks);
    pm_add_relaxed(pm_profile_word(&row->all_bytes), change->all_bytes);
}

void pm_profile_count(uint32_t number, const struct pm_profile_change *change)
{
    pm_profile_row_change(row_at(number), change);
    pm_profile_page_change(number, change);
}

void pm_profile_rows_reset_all(void)
{
    struct pm_profile_row now;
    for (uint32_t i = 0; i < pm_profile_rows(); i++) {
        const struct pm_profile_row *row = pm_profile_row_at(i);
        if (row == NULL)
            continue;
        pm_profile_row_read(row, &now);
        struct pm_profile_change back = {.all_blocks = 0 - now.all_blocks,
                                         .all_bytes = 0 - now.all_bytes};
        pm_profile_count(i, &back);
    }
}
