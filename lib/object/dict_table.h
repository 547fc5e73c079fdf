/* SPDX-License-Identifier: MIT */
/*
 * The table of a dictionary, as CPython's: an array of entries in order of insertion, and places
 * that hold indices of entries, where keys are looked for by their hashes.
 *
 *   entry   its slot is used once: an entry that is removed leaves it empty until the dictionary
 *           gets another table. So who looks without the lock never finds the key of one entry and
 *           the value of another
 *   place   PM_PLACE_FREE, where a search ends; PM_PLACE_GONE, of an entry that was removed, which
 *           is used again; or an index. A byte, or 2, 4 or 8, as the table is large
 *
 * Searches go from place to place as CPython's do: place * 5 + perturb + 1, where perturb is what
 * is left of the hash, 5 bits less each time. At most two thirds of the places are ever used.
 *
 * Tables change under the dictionary's lock; pm_table_search may run without it (container.h).
 */
#ifndef PM_OBJECT_DICT_TABLE_H
#define PM_OBJECT_DICT_TABLE_H

#include "object/container.h"

#define PM_PLACES_MIN 8
#define PM_PLACE_FREE (-1)
#define PM_PLACE_GONE (-2)

struct pm_entry {
    uint64_t hash; /* constant, once a place has the entry */
    struct pm_object *_Atomic key;
    struct pm_object *_Atomic value;
};

struct pm_table {
    size_t mask;    /* places - 1; constant, as are the next two */
    size_t room;    /* entries */
    unsigned width; /* of a place: log2 of bytes */
    /* Under the lock: */
    size_t filled; /* entries whose slots are used; all from there on are empty */
    /* Some of them that are removed, one behind the other: what pm_table_last need not look at. */
    size_t gap_first, gap_end;
    struct pm_entry entries[]; /* then the places */
};

struct pm_search {
    uint64_t hash, perturb;
    size_t place;
};

enum pm_found {
    PM_FOUND,
    PM_FOUND_NOT,
    PM_FOUND_MAYBE /* a key has the same hash, and only its type can tell; the search goes on */
};

/* Room for so many entries, none in it. NULL with errno ENOMEM. */
struct pm_table *pm_table_new(size_t entries);
size_t pm_table_bytes(const struct pm_table *table);

/* Puts an entry in, for whose slot there is room and whose key is not there. The references are
 * the table's. */
void pm_table_add(struct pm_table *table, struct pm_object *key, uint64_t hash,
                  struct pm_object *value);
/* Removes an entry. The references are the caller's. */
void pm_table_remove(struct pm_table *table, size_t index);
/* The index of the last entry; there is one. */
size_t pm_table_last(struct pm_table *table);
/* Adds the entries of another table, without taking references. */
void pm_table_add_all(struct pm_table *table, const struct pm_table *from);

/* True: all that the fields say of each other holds; `used` entries are there. Else says what not.
 */
bool pm_table_check(const struct pm_table *table, size_t used);

static inline void pm_search_begin(struct pm_search *search, const struct pm_table *table,
                                   uint64_t hash)
{
    search->hash = search->perturb = hash;
    search->place = hash & table->mask;
}

static inline void pm_search_advance(struct pm_search *search, const struct pm_table *table)
{
    search->perturb >>= 5;
    search->place = (search->place * 5 + search->perturb + 1) & table->mask;
}

/* From the search's place on. What was found is *index, at the search's place; its key *found. */
enum pm_found pm_table_search(const struct pm_table *table, struct pm_search *search,
                              struct pm_object *key, size_t *index, struct pm_object **found);

#endif
