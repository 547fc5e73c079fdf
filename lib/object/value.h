/* SPDX-License-Identifier: MIT */
/*
 * What the built-in types share (poolmalloc/values.h).
 *
 *   value.c     hash, equality, order of any objects    str.c, str_parts.c, utf8.c
 *   hash.c      the key, and hashes of bytes            bytes.c, text.c
 *   int.c, int_text.c, float.c, float_text.c, number.c  intern.c, str_intern.c
 *   repr.c, repr_text.c, ...: see repr.h
 */
#ifndef PM_OBJECT_VALUE_H
#define PM_OBJECT_VALUE_H

#include "object/internal.h"
#include "poolmalloc/values.h"

#define PM_OPTION_VALUE_BYTES 256 /* hold the value of any option */

#define PM_NO_HASH UINT64_MAX /* what `hash` of a type gives, with errno, instead of one */

/* Of an object that is equal to itself only. */
uint64_t pm_hash_of_address(const void *address);

/* The object is of that type. Anything else is the end. */
static inline void pm_object_require_type(const char *function, const struct pm_object *object,
                                          const struct pm_type *type)
{
    if (__builtin_expect(pm_object_type(object) != type, 0))
        pm_object_fatal_wrong_type(function, object, type);
}

/* ---- numbers ---- */

struct pm_int {
    struct pm_object object;
    int64_t value;
};

struct pm_float {
    struct pm_object object;
    double value;
};

/* Hash of a number in CPython's way: modulo the prime 2^61 - 1, with the sign, and never -1. */
#define PM_HASH_PRIME_BITS 61
#define PM_HASH_PRIME (((uint64_t)1 << PM_HASH_PRIME_BITS) - 1)

static inline uint64_t pm_hash_with_sign(uint64_t hash, bool negative)
{
    if (negative)
        hash = -hash;
    return hash == UINT64_MAX ? UINT64_MAX - 1 : hash;
}

/* `equal` and `compare` of both types of numbers (number.c). */
bool pm_number_equal(struct pm_object *object, struct pm_object *other);
int pm_number_compare(struct pm_object *object, struct pm_object *other, int *result);

/* The text without the blanks around it, as they are in ASCII. */
void pm_text_trim(const char **text, size_t *bytes);

/* ---- strings and bytes ---- */

struct pm_str {
    struct pm_var_object var; /* count: bytes of the text, without the 0 behind it */
    _Atomic uint64_t hash;    /* 0: not computed yet, or it is 0 */
    size_t points;
    bool kept; /* interned, and a reference is the table's; under the lock of its shard */
    char text[];
};

_Static_assert(offsetof(struct pm_str, text) == 41, "docs/values.md says so");

struct pm_bytes {
    struct pm_var_object var; /* count: bytes, without the 0 behind them */
    _Atomic uint64_t hash;    /* as above */
    unsigned char data[];
};

/*
 * Both, by bytes (text.c). What is 0 at first is left 0: the caller has to see to `points`, unless
 * what he gets is one of what he gave. `part` and `b` are of the type of the first.
 */
static inline char *pm_text_in(const struct pm_object *object, const struct pm_type *type)
{
    /* The 0 is the last byte of what an object of the type takes without items. */
    return (char *)(uintptr_t)object + type->size - 1;
}

static inline struct pm_object *pm_text_new(struct pm_type *type, const void *data, size_t bytes)
{
    struct pm_object *object = (struct pm_object *)pm_object_new_var(type, bytes);
    if (object != NULL && bytes > 0)
        __builtin_memcpy(pm_text_in(object, type), data, bytes);
    return object;
}

struct pm_object *pm_text_concat(struct pm_object *a, struct pm_object *b);
struct pm_object *pm_text_slice(struct pm_object *object, size_t first, size_t end);
size_t pm_text_find(const struct pm_object *object, const struct pm_object *part, size_t from);
int pm_text_compare(struct pm_object *object, struct pm_object *other, int *result);

/* Remembers it. */
uint64_t pm_str_hash(struct pm_str *string);

static inline bool pm_str_is_ascii(const struct pm_str *string)
{
    return string->points == string->var.count;
}

/* One whose text is known to be good, with so many code points. */
struct pm_str *pm_str_of_good(const char *text, size_t bytes, size_t points);

/* ---- the table of interned strings (intern.c) ---- */

#define PM_OBJECT_INTERNED 32u /* in `flags`: set under the lock of its shard, and for good */

static inline bool pm_str_has_interned(const struct pm_str *string)
{
    /* Relaxed: who sees it set needs nothing else; who does not, looks under the lock. */
    return (pm_load_relaxed((_Atomic uint8_t *)&string->var.object.flags) & PM_OBJECT_INTERNED) !=
           0;
}

/*
 * The string of that value that is in the table, with a reference. Takes no lock; the caller comes
 * to no quiescent point meanwhile. NULL: perhaps there is none, which only the next one can tell.
 */
struct pm_str *pm_intern_find(uint64_t hash, const char *text, size_t bytes);

/*
 * The string of the same value that is in the table from then on: this one, or another, which comes
 * with a reference. It never dies, if that is wanted. NULL with errno ENOMEM. May be a quiescent
 * point.
 */
struct pm_str *pm_intern_put(struct pm_str *string, bool for_ever);

/* Of a dead string that is interned: it is in the table no longer. May be a quiescent point. */
void pm_intern_remove(struct pm_str *string);

/* By a thread that attaches: the locks of the table are there. */
void pm_intern_prepare(void);

/* Whether each string of the table is found where it is looked for; the first violation is told. */
bool pm_intern_check(void);

/* All locks of the table; around fork, and in tests. */
void pm_intern_lock_all(void);
void pm_intern_unlock_all(void);

#endif
