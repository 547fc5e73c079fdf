/* SPDX-License-Identifier: MIT */
/*
 * Dictionaries: iteration, what looks at all keys, and the type. Attached threads.
 */
#include "object/dict.h"
#include "object/list.h"
#include "object/repr.h"

#include "poolmalloc/domains.h"
#include "poolmalloc/gc.h"

#include <errno.h>

/* ---- iteration ---- */

/* Under the lock: the first entry from *next on, which is raised beyond it. NULL: none is left. */
static const struct pm_entry *entry_from(const struct pm_dict *dict, size_t *next)
{
    const struct pm_table *table = pm_load_relaxed(&dict->table);
    while (table != NULL && *next < table->filled) {
        const struct pm_entry *entry = &table->entries[(*next)++];
        if (pm_load_relaxed(&entry->key) != NULL)
            return entry;
    }
    return NULL;
}

static void give(const struct pm_entry *entry, struct pm_object **key, struct pm_object **value)
{
    if (key != NULL) {
        *key = pm_load_relaxed(&entry->key);
        pm_incref(*key);
    }
    if (value != NULL) {
        *value = pm_load_relaxed(&entry->value);
        pm_incref(*value);
    }
}

bool pm_dict_next(struct pm_object *object, struct pm_dict_position *position,
                  struct pm_object **key, struct pm_object **value)
{
    struct pm_dict *dict = pm_dict_of(object);
    const struct pm_entry *entry = NULL;
    if (dict == NULL)
        return false;
    pm_container_lock(object);
    uint64_t version = dict->version + 1; /* 0: not begun */
    if (position->version == 0)
        position->version = version;
    bool same = position->version == version;
    if (same)
        entry = entry_from(dict, &position->next);
    if (entry != NULL)
        give(entry, key, value);
    pm_container_unlock(object);
    if (entry == NULL)
        errno = same ? ENOENT : EBUSY;
    return entry != NULL;
}

/* ---- all keys at once ---- */

bool pm_pairs_take(struct pm_pairs *pairs, struct pm_dict *dict)
{
    size_t next = 0;
    *pairs = (struct pm_pairs){0};
    pm_container_lock(&dict->object);
    size_t count = pm_load_relaxed(&dict->count);
    bool done = count <= PTRDIFF_MAX / sizeof *pairs->pairs;
    if (done && count > 0) {
        pairs->pairs = pm_mem_malloc(count * sizeof *pairs->pairs);
        done = pairs->pairs != NULL;
    }
    for (; done && pairs->count < count; pairs->count++) {
        struct pm_pair *pair = &pairs->pairs[pairs->count];
        const struct pm_entry *entry = entry_from(dict, &next);
        pair->hash = entry->hash;
        give(entry, &pair->key, &pair->value);
    }
    pm_container_unlock(&dict->object);
    if (!done)
        errno = ENOMEM;
    return done;
}

void pm_pairs_drop(struct pm_pairs *pairs)
{
    int saved_errno = errno;
    for (size_t i = 0; i < pairs->count; i++) {
        pm_decref(pairs->pairs[i].key);
        pm_decref(pairs->pairs[i].value);
    }
    pm_mem_free(pairs->pairs);
    errno = saved_errno;
}

/* A list of keys or of values. */
static struct pm_object *list_of(struct pm_object *object, bool values)
{
    struct pm_dict *dict = pm_dict_of(object);
    struct pm_object *made = dict != NULL ? pm_list_new(NULL, 0) : NULL;
    if (made == NULL)
        return NULL;
    struct pm_list *list = (struct pm_list *)made;
    pm_gc_untrack(made); /* nobody else finds it before it is filled */
    struct pm_list_left left = {0};
    size_t next = 0;
    pm_container_lock(object);
    size_t count = pm_load_relaxed(&dict->count);
    bool done = count == 0 || pm_list_make_room(list, count, &left);
    for (size_t i = 0; done && i < count; i++) {
        struct pm_object *item;
        give(entry_from(dict, &next), values ? NULL : &item, values ? &item : NULL);
        pm_list_put(list, i, item);
    }
    if (done)
        pm_store_relaxed(&list->count, count);
    pm_container_unlock(object);
    pm_gc_track(made);
    if (done)
        return made;
    pm_decref(made);
    errno = ENOMEM;
    return NULL;
}

struct pm_object *pm_dict_keys(struct pm_object *dict)
{
    return list_of(dict, false);
}

struct pm_object *pm_dict_values(struct pm_object *dict)
{
    return list_of(dict, true);
}

static bool append_pair(struct pm_object *list, const struct pm_pair *pair)
{
    struct pm_object *items[2] = {pair->key, pair->value};
    struct pm_object *tuple = pm_tuple_new(items, 2);
    bool done = tuple != NULL && pm_list_append(list, tuple);
    if (tuple != NULL)
        pm_decref(tuple);
    return done;
}

struct pm_object *pm_dict_items(struct pm_object *object)
{
    struct pm_dict *dict = pm_dict_of(object);
    struct pm_pairs pairs;
    if (dict == NULL || !pm_pairs_take(&pairs, dict))
        return NULL;
    struct pm_object *list = pm_list_new(NULL, 0);
    bool done = list != NULL;
    for (size_t i = 0; done && i < pairs.count; i++)
        done = append_pair(list, &pairs.pairs[i]);
    if (!done && list != NULL) {
        pm_decref(list);
        errno = ENOMEM;
    }
    pm_pairs_drop(&pairs);
    return done ? list : NULL;
}

/* Under the lock. The same entries in a table without gaps, with references of its own. */
static struct pm_table *table_copy(const struct pm_dict *dict)
{
    struct pm_table *table = pm_table_new(pm_load_relaxed(&dict->count));
    if (table == NULL)
        return NULL;
    pm_table_add_all(table, pm_load_relaxed(&dict->table));
    for (size_t i = 0; i < table->filled; i++) {
        pm_incref(pm_load_relaxed(&table->entries[i].key));
        pm_incref(pm_load_relaxed(&table->entries[i].value));
    }
    return table;
}

struct pm_object *pm_dict_copy(struct pm_object *object)
{
    struct pm_dict *dict = pm_dict_of(object);
    struct pm_object *made = dict != NULL ? pm_dict_new() : NULL;
    if (made == NULL)
        return NULL;
    struct pm_dict *copy = (struct pm_dict *)made;
    pm_gc_untrack(made); /* nobody else finds it before it is filled */
    pm_container_lock(object);
    size_t count = pm_load_relaxed(&dict->count);
    struct pm_table *table = count > 0 ? table_copy(dict) : NULL;
    pm_store_relaxed(&copy->table, table);
    pm_store_relaxed(&copy->count, table != NULL ? count : 0);
    pm_container_unlock(object);
    pm_gc_track(made);
    if (count == 0 || table != NULL)
        return made;
    pm_decref(made);
    errno = ENOMEM;
    return NULL;
}

bool pm_dict_update(struct pm_object *object, struct pm_object *other, bool replace)
{
    struct pm_dict *dict = pm_dict_of(object), *from = pm_dict_of(other);
    struct pm_pairs pairs;
    if (dict == NULL || from == NULL)
        return false;
    if (dict == from)
        return true;
    if (!pm_pairs_take(&pairs, from))
        return false;
    bool done = true;
    for (size_t i = 0; done && i < pairs.count; i++)
        done = pm_dict_put(dict, pairs.pairs[i].key, pairs.pairs[i].hash, pairs.pairs[i].value,
                           replace ? PM_PUT_REPLACE : PM_PUT_KEEP, NULL);
    pm_pairs_drop(&pairs);
    return done;
}

/* Whether the other one has the key with an equal value. */
static enum pm_answer has_equal(struct pm_dict *other, const struct pm_pair *pair)
{
    unsigned failures = pm_nesting_failures();
    int saved_errno = errno;
    struct pm_object *value = pm_dict_get_hashed(other, pair->key, pair->hash);
    if (value == NULL && pm_nesting_failures() != failures)
        return PM_ANSWER_FAILED;
    if (value == NULL) {
        if (errno == ENOENT) /* an answer, and no error */
            errno = saved_errno;
        return PM_ANSWER_NO;
    }
    enum pm_answer answer = pm_container_equal(pair->value, value);
    saved_errno = errno;
    pm_decref(value);
    errno = saved_errno;
    return answer;
}

/* The next pair from a position; not as pm_dict_next, as a change meanwhile is no error here. */
static bool pair_from(struct pm_dict *dict, size_t *next, struct pm_pair *pair)
{
    pm_container_lock(&dict->object);
    const struct pm_entry *entry = entry_from(dict, next);
    if (entry != NULL) {
        pair->hash = entry->hash;
        give(entry, &pair->key, &pair->value);
    }
    pm_container_unlock(&dict->object);
    return entry != NULL;
}

bool pm_dict_equal(struct pm_object *one, struct pm_object *other)
{
    enum pm_answer answer = PM_ANSWER_YES;
    struct pm_pair pair;
    size_t next = 0;
    if (pm_object_type(other) != &pm_dict_type || pm_dict_count(one) != pm_dict_count(other) ||
        !pm_nesting_enter())
        return false;
    while (answer == PM_ANSWER_YES && pair_from((struct pm_dict *)one, &next, &pair)) {
        answer = has_equal((struct pm_dict *)other, &pair);
        int saved_errno = errno;
        pm_decref(pair.key);
        pm_decref(pair.value);
        errno = saved_errno;
    }
    pm_nesting_leave();
    return answer == PM_ANSWER_YES;
}

/* ---- the type ---- */

static int visit_entry(const struct pm_entry *entry, pm_visit visit, void *arg)
{
    struct pm_object *key = pm_load_relaxed(&entry->key);
    if (key == NULL)
        return 0;
    int result = visit(key, arg);
    return result != 0 ? result : visit(pm_load_relaxed(&entry->value), arg);
}

static int traverse(struct pm_object *object, pm_visit visit, void *arg)
{
    const struct pm_table *table = pm_load_relaxed(&((struct pm_dict *)object)->table);
    int result = 0;
    for (size_t i = 0; table != NULL && i < table->filled && result == 0; i++)
        result = visit_entry(&table->entries[i], visit, arg);
    return result;
}

/* The caller has the lock, which is let go. */
static void empty_and_unlock(struct pm_dict *dict)
{
    struct pm_table *table = pm_load_relaxed(&dict->table);
    bool shared = pm_container_is_shared(&dict->object);
    pm_store_release(&dict->table, NULL);
    pm_store_relaxed(&dict->count, 0);
    dict->version++;
    pm_object_unlock(&dict->object);
    if (table == NULL)
        return;
    /* Others may still look: they find what is there, and whether it lives. */
    for (size_t i = 0; i < table->filled; i++) {
        struct pm_object *key = pm_load_relaxed(&table->entries[i].key);
        if (key != NULL) {
            pm_decref(pm_load_relaxed(&table->entries[i].value));
            pm_decref(key);
        }
    }
    pm_container_retire(table, pm_table_bytes(table), shared);
}

/* Of an object that nobody can use: it need not become shared. */
static void clear(struct pm_object *object)
{
    pm_object_lock(object);
    empty_and_unlock((struct pm_dict *)object);
}

bool pm_dict_clear(struct pm_object *object)
{
    struct pm_dict *dict = pm_dict_of(object);
    if (dict == NULL)
        return false;
    pm_container_lock(object);
    empty_and_unlock(dict);
    return true;
}

struct pm_type pm_dict_type = {
    .name = "dict",
    .size = sizeof(struct pm_dict),
    .flags = PM_TYPE_GC,
    .traverse = traverse,
    .clear = clear,
    .equal = pm_dict_equal,
    .repr = pm_dict_repr,
};
