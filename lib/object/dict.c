/* SPDX-License-Identifier: MIT */
/*
 * Dictionaries: single keys. dict_extra.c has iteration and what looks at all keys. Attached
 * threads.
 *
 * A table that is full gives way to one with room for three times as many entries as there are
 * keys, by places (CPython's GROWTH_RATE): twice as large if no key was removed, as large as it was
 * or smaller if many were. Of which less than an eighth is in use, when a key is removed, to a
 * smaller one.
 *
 * A search that meets a key of the same hash whose type has to be asked takes a reference to that
 * key and lets go of the lock for the question; if keys came or went meanwhile, it begins anew.
 */
#include "object/dict.h"
#include "object/gc.h"

#include "poolmalloc/domains.h"

#include <errno.h>

struct pm_dict *pm_dict_of(struct pm_object *object)
{
    if (object != NULL && pm_object_type(object) == &pm_dict_type)
        return (struct pm_dict *)object;
    errno = EINVAL;
    return NULL;
}

/* ---- the table: under the lock ---- */

bool pm_dict_resize(struct pm_dict *dict, size_t entries, struct pm_dict_left *left)
{
    struct pm_table *old = pm_load_relaxed(&dict->table), *table = pm_table_new(entries);
    if (table == NULL)
        return false;
    if (old != NULL)
        pm_table_add_all(table, old);
    /* Release: the table is whole; pairs with look. */
    pm_store_release(&dict->table, table);
    dict->version++;
    left->table = old;
    left->shared = pm_container_is_shared(&dict->object);
    return true;
}

/* For a table that is full; three times as many places as keys, as these are two thirds. */
static size_t grown(size_t count)
{
    return count * 2;
}

static bool make_room(struct pm_dict *dict, struct pm_dict_left *left)
{
    struct pm_table *table = pm_load_relaxed(&dict->table);
    if (table != NULL && table->filled < table->room)
        return true;
    return pm_dict_resize(dict, grown(pm_load_relaxed(&dict->count)), left);
}

static void trim(struct pm_dict *dict, struct pm_dict_left *left)
{
    size_t count = pm_load_relaxed(&dict->count);
    struct pm_table *table = pm_load_relaxed(&dict->table);
    int saved_errno = errno;
    if (table->mask >= PM_PLACES_MIN && count < table->room / 8)
        pm_dict_resize(dict, grown(count), left); /* without memory it stays as it is */
    errno = saved_errno;
}

static void check(const struct pm_dict *dict)
{
#if PM_CHECK
    const struct pm_table *table = pm_load_relaxed(&dict->table);
    size_t count = pm_load_relaxed(&dict->count);
    if (table != NULL && table->mask < 64) /* larger ones take too long each time */
        pm_object_assert(pm_table_check(table, count));
#else
    (void)dict;
#endif
}

void pm_dict_unlock(struct pm_dict *dict, struct pm_dict_left left)
{
    check(dict);
    pm_container_unlock(&dict->object);
    if (left.table != NULL)
        pm_container_retire(left.table, pm_table_bytes(left.table), left.shared);
}

/* ---- searching ---- */

enum searched { SEARCHED_FAILED, SEARCHED_ABSENT, SEARCHED_PRESENT };

/* The lock is held, and let go for the question. True: keys came or went meanwhile, or it failed
 * (then *answer). */
static bool ask(struct pm_dict *dict, struct pm_object *there, struct pm_object *key,
                enum pm_answer *answer)
{
    uint64_t version = dict->version;
    pm_incref(there);
    pm_container_unlock(&dict->object);
    *answer = pm_container_equal(there, key);
    int saved_errno = errno;
    pm_decref(there);
    errno = saved_errno;
    pm_container_lock(&dict->object);
    return dict->version != version || *answer == PM_ANSWER_FAILED;
}

/* The lock is held, before and after. FAILED with errno ELOOP. */
static enum searched search(struct pm_dict *dict, struct pm_object *key, uint64_t hash,
                            size_t *index)
{
    struct pm_object *there;
    enum pm_answer answer = PM_ANSWER_NO;
    while (answer != PM_ANSWER_FAILED) {
        const struct pm_table *table = pm_load_relaxed(&dict->table);
        struct pm_search at;
        if (table == NULL)
            return SEARCHED_ABSENT;
        pm_search_begin(&at, table, hash);
        for (;; pm_search_advance(&at, table)) {
            enum pm_found found = pm_table_search(table, &at, key, index, &there);
            if (found != PM_FOUND_MAYBE)
                return found == PM_FOUND ? SEARCHED_PRESENT : SEARCHED_ABSENT;
            if (ask(dict, there, key, &answer))
                break;
            if (answer == PM_ANSWER_YES)
                return SEARCHED_PRESENT;
        }
    }
    return SEARCHED_FAILED;
}

/* The same without the lock. True: the key is not there, or *value has a reference to its value.
 * False: it takes the lock to know. */
static bool look(struct pm_dict *dict, struct pm_object *key, uint64_t hash,
                 struct pm_object **value)
{
    struct pm_search at;
    struct pm_object *there;
    size_t index;
    *value = NULL;
    if (!pm_container_may_look(&dict->object))
        return false;
    /* Acquire: pairs with pm_dict_resize. */
    const struct pm_table *table = pm_load_acquire(&dict->table);
    if (table == NULL)
        return true;
    pm_search_begin(&at, table, hash);
    enum pm_found found = pm_table_search(table, &at, key, &index, &there);
    if (found == PM_FOUND_NOT)
        return true;
    if (found == PM_FOUND_MAYBE)
        return false;
    /* Acquire: pairs with replace. */
    *value = pm_load_acquire(&table->entries[index].value);
    return *value != NULL && pm_try_incref(*value);
}

struct pm_object *pm_dict_get_hashed(struct pm_dict *dict, struct pm_object *key, uint64_t hash)
{
    struct pm_object *value;
    size_t index;
    if (!look(dict, key, hash, &value)) {
        value = NULL;
        pm_container_lock(&dict->object);
        enum searched found = search(dict, key, hash, &index);
        if (found == SEARCHED_PRESENT) {
            value = pm_load_relaxed(&pm_load_relaxed(&dict->table)->entries[index].value);
            pm_incref(value);
        }
        pm_container_unlock(&dict->object);
        if (found == SEARCHED_FAILED)
            return NULL;
    }
    if (value == NULL)
        errno = ENOENT;
    return value;
}

/* ---- single keys ---- */

struct pm_object *pm_dict_new(void)
{
    return pm_object_new(&pm_dict_type);
}

size_t pm_dict_count(const struct pm_object *object)
{
    if (object == NULL || pm_object_type(object) != &pm_dict_type)
        return 0;
    return pm_load_relaxed(&((struct pm_dict *)object)->count);
}

struct pm_object *pm_dict_get(struct pm_object *object, struct pm_object *key)
{
    struct pm_dict *dict = pm_dict_of(object);
    uint64_t hash;
    if (dict == NULL || !pm_hash(key, &hash))
        return NULL;
    return pm_dict_get_hashed(dict, key, hash);
}

bool pm_dict_contains(struct pm_object *object, struct pm_object *key)
{
    struct pm_object *value = pm_dict_get(object, key);
    if (value != NULL)
        pm_decref(value);
    return value != NULL;
}

/* Under the lock. The collector has left the dictionary out, perhaps, as nothing in it led back. */
static void track_for(struct pm_dict *dict, const struct pm_object *item)
{
    if (pm_unlikely((pm_flags_of(&dict->object) & PM_OBJECT_UNTRACKED) != 0) &&
        pm_gc_may_lead_back(item))
        pm_gc_take_in(&dict->object);
}

/* Under the lock. The value that was there, to which the reference is the caller's. */
static struct pm_object *replace(struct pm_dict *dict, size_t index, struct pm_object *value)
{
    struct pm_entry *entry = &pm_load_relaxed(&dict->table)->entries[index];
    struct pm_object *old = pm_load_relaxed(&entry->value);
    track_for(dict, value);
    pm_container_take(pm_container_is_shared(&dict->object), value);
    /* Release: the value, for look. */
    pm_store_release(&entry->value, value);
    return old;
}

/* Under the lock. False with errno ENOMEM. */
static bool add(struct pm_dict *dict, struct pm_object *key, uint64_t hash, struct pm_object *value,
                struct pm_dict_left *left)
{
    bool shared = pm_container_is_shared(&dict->object);
    if (!make_room(dict, left))
        return false;
    track_for(dict, key);
    track_for(dict, value);
    pm_table_add(pm_load_relaxed(&dict->table), pm_container_take(shared, key), hash,
                 pm_container_take(shared, value));
    pm_store_relaxed(&dict->count, pm_load_relaxed(&dict->count) + 1);
    dict->version++;
    return true;
}

bool pm_dict_put(struct pm_dict *dict, struct pm_object *key, uint64_t hash,
                 struct pm_object *value, enum pm_put how, struct pm_object **there)
{
    struct pm_dict_left left = {0};
    struct pm_object *old = NULL;
    size_t index;
    pm_container_lock(&dict->object);
    enum searched found = search(dict, key, hash, &index);
    bool done = found != SEARCHED_FAILED;
    if (found == SEARCHED_ABSENT) {
        done = add(dict, key, hash, value, &left);
    } else if (found == SEARCHED_PRESENT && how == PM_PUT_REPLACE) {
        old = replace(dict, index, value);
    } else if (found == SEARCHED_PRESENT && there != NULL) {
        *there = pm_load_relaxed(&pm_load_relaxed(&dict->table)->entries[index].value);
        pm_incref(*there);
    }
    pm_dict_unlock(dict, left);
    if (old != NULL)
        pm_decref(old);
    return done;
}

bool pm_dict_set(struct pm_object *object, struct pm_object *key, struct pm_object *value)
{
    struct pm_dict *dict = pm_dict_of(object);
    uint64_t hash;
    return dict != NULL && pm_hash(key, &hash) &&
           pm_dict_put(dict, key, hash, value, PM_PUT_REPLACE, NULL);
}

struct pm_object *pm_dict_set_default(struct pm_object *object, struct pm_object *key,
                                      struct pm_object *value)
{
    struct pm_dict *dict = pm_dict_of(object);
    struct pm_object *there = NULL;
    uint64_t hash;
    if (dict == NULL || !pm_hash(key, &hash) ||
        !pm_dict_put(dict, key, hash, value, PM_PUT_KEEP, &there))
        return NULL;
    if (there == NULL) {
        there = value;
        pm_incref(there);
    }
    return there;
}

/* Under the lock. The references go to the caller. */
static void take_out(struct pm_dict *dict, size_t index, struct pm_object **key,
                     struct pm_object **value, struct pm_dict_left *left)
{
    struct pm_table *table = pm_load_relaxed(&dict->table);
    *key = pm_load_relaxed(&table->entries[index].key);
    *value = pm_load_relaxed(&table->entries[index].value);
    pm_table_remove(table, index);
    pm_store_relaxed(&dict->count, pm_load_relaxed(&dict->count) - 1);
    dict->version++;
    trim(dict, left);
}

struct pm_object *pm_dict_pop(struct pm_object *object, struct pm_object *key)
{
    struct pm_dict *dict = pm_dict_of(object);
    struct pm_dict_left left = {0};
    struct pm_object *there = NULL, *value = NULL;
    uint64_t hash;
    size_t index;
    if (dict == NULL || !pm_hash(key, &hash))
        return NULL;
    pm_container_lock(object);
    enum searched found = search(dict, key, hash, &index);
    if (found == SEARCHED_PRESENT)
        take_out(dict, index, &there, &value, &left);
    pm_dict_unlock(dict, left);
    if (there != NULL)
        pm_decref(there);
    if (found == SEARCHED_ABSENT)
        errno = ENOENT;
    return value;
}

bool pm_dict_delete(struct pm_object *dict, struct pm_object *key)
{
    struct pm_object *value = pm_dict_pop(dict, key);
    if (value != NULL)
        pm_decref(value);
    return value != NULL;
}

bool pm_dict_pop_last(struct pm_object *object, struct pm_object **key, struct pm_object **value)
{
    struct pm_dict *dict = pm_dict_of(object);
    struct pm_dict_left left = {0};
    if (dict == NULL)
        return false;
    pm_container_lock(object);
    bool any = pm_load_relaxed(&dict->count) > 0;
    if (any)
        take_out(dict, pm_table_last(pm_load_relaxed(&dict->table)), key, value, &left);
    pm_dict_unlock(dict, left);
    if (!any)
        errno = ENOENT;
    return any;
}

bool pm_dict_reserve(struct pm_object *object, size_t count)
{
    struct pm_dict *dict = pm_dict_of(object);
    struct pm_dict_left left = {0};
    if (dict == NULL)
        return false;
    pm_container_lock(object);
    const struct pm_table *table = pm_load_relaxed(&dict->table);
    size_t keys = pm_load_relaxed(&dict->count);
    bool done = count <= keys || (table != NULL && table->room - table->filled >= count - keys) ||
                pm_dict_resize(dict, count, &left);
    pm_dict_unlock(dict, left);
    return done;
}
