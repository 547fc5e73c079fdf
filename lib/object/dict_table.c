/* SPDX-License-Identifier: MIT */
/*
 * The table of a dictionary (dict_table.h). Under the dictionary's lock, but for
 * pm_table_search.
 */
#include "object/dict_table.h"

#include "poolmalloc/domains.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- places ---- */

static void *place_at(const struct pm_table *table, size_t place)
{
    return (char *)&table->entries[table->room] + (place << table->width);
}

static ptrdiff_t place_get(const struct pm_table *table, size_t place)
{
    const void *at = place_at(table, place);
    /* Acquire: the entry; pairs with place_set. */
    switch (table->width) {
    case 0:
        return pm_load_acquire((_Atomic int8_t *)at);
    case 1:
        return pm_load_acquire((_Atomic int16_t *)at);
    case 2:
        return pm_load_acquire((_Atomic int32_t *)at);
    default:
        return pm_load_acquire((_Atomic int64_t *)at);
    }
}

static void place_set(struct pm_table *table, size_t place, ptrdiff_t index)
{
    void *at = place_at(table, place);
    /* Release: the entry is whole; pairs with place_get. */
    switch (table->width) {
    case 0:
        pm_store_release((_Atomic int8_t *)at, (int8_t)index);
        break;
    case 1:
        pm_store_release((_Atomic int16_t *)at, (int16_t)index);
        break;
    case 2:
        pm_store_release((_Atomic int32_t *)at, (int32_t)index);
        break;
    default:
        pm_store_release((_Atomic int64_t *)at, (int64_t)index);
    }
}

/* ---- a table ---- */

static size_t room_of(size_t places)
{
    return places * 2 / 3;
}

/* Indices are below two thirds of the places. */
static unsigned width_of(size_t places)
{
    return places <= (size_t)1 << 7    ? 0
           : places <= (size_t)1 << 15 ? 1
           : places <= (size_t)1 << 31 ? 2
                                       : 3;
}

size_t pm_table_bytes(const struct pm_table *table)
{
    return sizeof *table + table->room * sizeof *table->entries +
           ((table->mask + 1) << table->width);
}

struct pm_table *pm_table_new(size_t entries)
{
    size_t places = PM_PLACES_MIN;
    while (room_of(places) < entries && places < (size_t)1 << 48)
        places *= 2;
    struct pm_table shape = {
        .mask = places - 1, .room = room_of(places), .width = width_of(places)};
    struct pm_table *table = NULL;
    if (entries <= shape.room)
        table = pm_mem_malloc(pm_table_bytes(&shape));
    if (table == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(table, &shape, sizeof shape);
    memset(table->entries, 0, table->room * sizeof *table->entries);
    memset(place_at(table, 0), PM_PLACE_FREE, places << table->width);
    return table;
}

enum pm_found pm_table_search(const struct pm_table *table, struct pm_search *search,
                              struct pm_object *key, size_t *index, struct pm_object **found)
{
    for (;; pm_search_advance(search, table)) {
        ptrdiff_t at = place_get(table, search->place);
        if (at == PM_PLACE_FREE)
            return PM_FOUND_NOT;
        if (at == PM_PLACE_GONE)
            continue;
        const struct pm_entry *entry = &table->entries[at];
        /* Relaxed: the place's acquire has brought the key, if it was not removed since. */
        struct pm_object *there = pm_load_relaxed(&entry->key);
        *index = (size_t)at;
        *found = there;
        if (there == key)
            return PM_FOUND;
        if (there == NULL || entry->hash != search->hash)
            continue;
        if (!pm_both_plain(there, key))
            return PM_FOUND_MAYBE;
        /* Without a reference: the key may have died meanwhile, but its memory is there, and what
         * it is worth. */
        if (pm_equal(there, key))
            return PM_FOUND;
    }
}

static size_t place_for(const struct pm_table *table, uint64_t hash)
{
    struct pm_search search;
    pm_search_begin(&search, table, hash);
    while (place_get(table, search.place) >= 0)
        pm_search_advance(&search, table);
    return search.place;
}

void pm_table_add(struct pm_table *table, struct pm_object *key, uint64_t hash,
                  struct pm_object *value)
{
    size_t index = table->filled++, place = place_for(table, hash);
    struct pm_entry *entry = &table->entries[index];
    entry->hash = hash;
    /* Relaxed: nobody finds the entry before its place, which releases it. */
    pm_store_relaxed(&entry->value, value);
    pm_store_relaxed(&entry->key, key);
    place_set(table, place, (ptrdiff_t)index);
}

void pm_table_remove(struct pm_table *table, size_t index)
{
    struct pm_entry *entry = &table->entries[index];
    struct pm_search search;
    pm_search_begin(&search, table, entry->hash);
    while (place_get(table, search.place) != (ptrdiff_t)index)
        pm_search_advance(&search, table);
    place_set(table, search.place, PM_PLACE_GONE);
    /* Relaxed: who finds NULL looks again under the lock. */
    pm_store_relaxed(&entry->value, NULL);
    pm_store_relaxed(&entry->key, NULL);
}

/* Who pops one key after the other would look at the same removed ones again and again: the longest
 * row of them is remembered. */
size_t pm_table_last(struct pm_table *table)
{
    size_t at = table->filled;
    for (;;) {
        if (at == table->gap_end && table->gap_first < table->gap_end)
            at = table->gap_first;
        else if (pm_load_relaxed(&table->entries[at - 1].key) == NULL)
            at--;
        else
            break;
    }
    if (table->filled - at > table->gap_end - table->gap_first) {
        table->gap_first = at;
        table->gap_end = table->filled;
    }
    return at - 1;
}

void pm_table_add_all(struct pm_table *table, const struct pm_table *from)
{
    for (size_t i = 0; i < from->filled; i++) {
        const struct pm_entry *entry = &from->entries[i];
        struct pm_object *key = pm_load_relaxed(&entry->key);
        if (key != NULL)
            pm_table_add(table, key, entry->hash, pm_load_relaxed(&entry->value));
    }
}

/* ---- its invariants ---- */

static bool complain(const char *what, size_t number)
{
    fprintf(stderr, "poolmalloc: dictionary: %s (%zu)\n", what, number);
    return false;
}

static bool check_entries(const struct pm_table *table, size_t used)
{
    size_t live = 0;
    for (size_t i = 0; i < table->room; i++) {
        struct pm_object *key = pm_load_relaxed(&table->entries[i].key);
        if ((key == NULL) != (pm_load_relaxed(&table->entries[i].value) == NULL))
            return complain("an entry has a key or a value only", i);
        if (key != NULL && (i >= table->filled || (i >= table->gap_first && i < table->gap_end)))
            return complain("an entry is where none should be", i);
        live += key != NULL;
    }
    return live == used || complain("its count is not that of its entries", live);
}

bool pm_table_check(const struct pm_table *table, size_t used)
{
    size_t live = 0, taken = 0;
    if (table->filled > table->room || table->gap_end > table->filled)
        return complain("more entries are used than there are", table->filled);
    for (size_t place = 0; place <= table->mask; place++) {
        ptrdiff_t at = place_get(table, place);
        taken += at != PM_PLACE_FREE;
        if (at >= 0 &&
            ((size_t)at >= table->filled || pm_load_relaxed(&table->entries[at].key) == NULL))
            return complain("a place names no entry", place);
        live += at >= 0;
    }
    if (live != used)
        return complain("its count is not that of its places", live);
    /* Else a search would not end. */
    return (taken <= table->room || complain("too many places are used", taken)) &&
           check_entries(table, used);
}
