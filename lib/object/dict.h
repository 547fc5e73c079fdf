/* SPDX-License-Identifier: MIT */
/* What the files of dictionaries share. */
#ifndef PM_OBJECT_DICT_H
#define PM_OBJECT_DICT_H

#include "object/dict_table.h"

struct pm_dict {
    struct pm_object object;
    /* Written under the lock, read also without it. */
    struct pm_table *_Atomic table; /* NULL: empty */
    _Atomic size_t count;           /* keys */
    /* Under the lock: raised whenever a key comes or goes, or entries move. */
    uint64_t version;
};

/* The object, if it is a dictionary. NULL with errno EINVAL. */
struct pm_dict *pm_dict_of(struct pm_object *object);

/* What is left to do after the lock. */
struct pm_dict_left {
    struct pm_table *table; /* no longer the dictionary's */
    bool shared;
};

/* Unlocks, and gives back what is left. Keeps errno. */
void pm_dict_unlock(struct pm_dict *dict, struct pm_dict_left left);

/* Under the lock: a table with room for so many entries, into which all move. False with errno
 * ENOMEM. */
bool pm_dict_resize(struct pm_dict *dict, size_t entries, struct pm_dict_left *left);

/* What pm_dict_put does with a key that is there. */
enum pm_put { PM_PUT_REPLACE, PM_PUT_KEEP };

/* The value of the key from now on, which has that hash. _KEEP: unless there is one; then a
 * reference to it goes to *there, if that is not NULL. False with errno. */
bool pm_dict_put(struct pm_dict *dict, struct pm_object *key, uint64_t hash,
                 struct pm_object *value, enum pm_put how, struct pm_object **there);

/* The value of a key of that hash, a new reference. NULL with errno ENOENT, or ELOOP. */
struct pm_object *pm_dict_get_hashed(struct pm_dict *dict, struct pm_object *key, uint64_t hash);

/* Keys and values that a dictionary had at some moment, with a reference to each. */
struct pm_pairs {
    struct pm_pair {
        uint64_t hash;
        struct pm_object *key, *value;
    } * pairs;
    size_t count;
};

/* False with errno ENOMEM. */
bool pm_pairs_take(struct pm_pairs *pairs, struct pm_dict *dict);
/* Keeps errno. */
void pm_pairs_drop(struct pm_pairs *pairs);

/* The type's. */
bool pm_dict_equal(struct pm_object *object, struct pm_object *other);

#endif
