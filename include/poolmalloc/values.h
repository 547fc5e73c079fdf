/* SPDX-License-Identifier: MIT */
/*
 * Values: what objects are worth, whatever their types, and the built-in types that never change:
 * int, float, str, bytes. docs/values.md tells of them.
 *
 * Every function here but those that say otherwise is for attached threads that are not paused
 * (poolmalloc/object.h), and takes objects to which the caller has a reference. Who gets an object
 * gets a reference with it, or NULL with errno ENOMEM, or what else is said. An object of another
 * type than the function is for is a named error. Where a string is made or dropped may be a
 * quiescent point (poolmalloc/qsbr.h).
 */
#ifndef POOLMALLOC_VALUES_H
#define POOLMALLOC_VALUES_H

#include "poolmalloc/object.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- any objects ---- */

/*
 * The object's hash, by the `hash` of its type; without one, by its address. False with errno
 * ENOTSUP: it has none, since its type has `equal` and no `hash`, or a part of it has none.
 */
PM_API bool pm_hash(struct pm_object *object, uint64_t *hash);

/*
 * Whether they are the same object or, as the type of the first says (that of the other, if it says
 * nothing), equal. An object is always equal to itself, a NaN too, as in CPython's containers.
 */
PM_API bool pm_equal(struct pm_object *object, struct pm_object *other);

/*
 * *result is below 0, 0 or above 0, as `object` comes before, with or after `other` by what the
 * type of the first says. False with errno ENOTSUP: there is no order of these types; EDOM: of
 * these values (a NaN has none).
 */
PM_API bool pm_compare(struct pm_object *object, struct pm_object *other, int *result);

/*
 * A string that describes the object, as Python's repr(): by the `repr` of its type; without one,
 * <name object at ADDRESS>. Lists and dictionaries are what they were at one moment, whatever other
 * threads do; no lock is held while a type is asked. What comes again within itself is [...], (...)
 * or {...} there, of another type ... alone. NULL with errno ENOMEM, or what the type gives; ELOOP:
 * values are nested deeper than PM_NESTING_MAX (poolmalloc/containers.h); EILSEQ: the type's name
 * is no UTF-8. An object that `repr` gives and that is no str is a named error.
 */
PM_API struct pm_object *pm_repr(struct pm_object *object);

/*
 * The hash of so many bytes, as str and bytes have it: SipHash-1-3 under a key of the process's own
 * (option hash_seed), and 0 of none. Equal to that of CPython 3.11 and later with the same seed in
 * PYTHONHASHSEED. Never UINT64_MAX. Any thread, attached or not.
 */
PM_API uint64_t pm_hash_bytes(const void *data, size_t bytes);

/* ---- int: a number of 64 bits, signed ---- */

PM_API extern struct pm_type pm_int_type;

/*
 * There are no longer integers, unlike Python's: a result that has no place in 64 bits is an error
 * of its own, NULL with errno EOVERFLOW, of arithmetic and of text, and never another number.
 *
 * The integer. Those from -5 to 256 (option small_ints_to) are there once for all threads, are
 * immortal and take no memory; any thread gets them, attached or not.
 */
PM_API struct pm_object *pm_int_new(int64_t value);
PM_API int64_t pm_int_get(const struct pm_object *integer);

/*
 * Sum, difference, product; quotient, rounded to minus infinity, and the remainder that goes with
 * it, which has the sign of the divisor, as Python's // and %. NULL with errno EOVERFLOW: the
 * result has no place in 64 bits; EDOM: division by 0.
 */
PM_API struct pm_object *pm_int_add(const struct pm_object *a, const struct pm_object *b);
PM_API struct pm_object *pm_int_sub(const struct pm_object *a, const struct pm_object *b);
PM_API struct pm_object *pm_int_mul(const struct pm_object *a, const struct pm_object *b);
PM_API struct pm_object *pm_int_div(const struct pm_object *a, const struct pm_object *b);
PM_API struct pm_object *pm_int_mod(const struct pm_object *a, const struct pm_object *b);

/*
 * The integer that is written there, as Python's int() reads it: blanks around, a sign, digits of
 * the base (2 to 36; 0: what 0b, 0o or 0x in front say, else 10), single _ between them. NULL with
 * errno EINVAL: no integer, or no base; EOVERFLOW.
 */
PM_API struct pm_object *pm_int_from_text(const char *text, size_t bytes, int base);
/* As a string, in base 10. */
PM_API struct pm_object *pm_int_to_str(const struct pm_object *integer);

/* ---- float: a double ---- */

PM_API extern struct pm_type pm_float_type;

/* Integers and floats of the same worth are equal, have the same hash, and are in order with each
 * other, exactly. A NaN is equal to itself only, as an object. */
PM_API struct pm_object *pm_float_new(double value);
PM_API double pm_float_get(const struct pm_object *number);

/*
 * The number that is written there, whatever the locale, as Python's float() reads it: blanks
 * around, decimal, or inf, infinity, nan; what is too large is infinite. NULL with errno EINVAL.
 */
PM_API struct pm_object *pm_float_from_text(const char *text, size_t bytes);
/* As a string, the shortest that is read back as the same, in the form of Python's repr(). */
PM_API struct pm_object *pm_float_to_str(const struct pm_object *number);

/* ---- str: text, UTF-8 ---- */

PM_API extern struct pm_type pm_str_type;

#define PM_STR_NOT_FOUND SIZE_MAX

/*
 * A string of these bytes, which may have zeros among them. NULL with errno EILSEQ: not UTF-8
 * (surrogates and what is longer than it need be are not). pm_str_format: of what printf would
 * write; or what errno vsnprintf gives.
 */
PM_API struct pm_object *pm_str_new(const char *text, size_t bytes);
PM_API struct pm_object *pm_str_format(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* The text, with a 0 behind it; as long as the caller has its reference. */
PM_API const char *pm_str_text(const struct pm_object *string);
PM_API size_t pm_str_bytes(const struct pm_object *string);  /* without that 0 */
PM_API size_t pm_str_points(const struct pm_object *string); /* code points */

/* The code point with that index, one below 0 counting from the end. False with errno ERANGE: there
 * is none. */
PM_API bool pm_str_get(const struct pm_object *string, ptrdiff_t index, uint32_t *point);

/* Steps through the code points: true, *point is the one at byte *at, which moves behind it; false:
 * the end. Starts with *at at 0; *at must be one that this has given. */
PM_API bool pm_str_next(const struct pm_object *string, size_t *at, uint32_t *point);

/* One behind the other. A string may be returned itself, where the other one is empty. */
PM_API struct pm_object *pm_str_concat(struct pm_object *a, struct pm_object *b);
/* Code points first to end - 1; the string ends where it ends, whatever they say. Perhaps itself.
 */
PM_API struct pm_object *pm_str_slice(struct pm_object *string, size_t first, size_t end);
/* The place, in code points, of the first occurrence that starts at `from` or behind it; or
 * PM_STR_NOT_FOUND. */
PM_API size_t pm_str_find(const struct pm_object *string, const struct pm_object *part,
                          size_t from);

/* ---- interned strings: one object for each value ---- */

/*
 * *string becomes the interned string of the same value, which may be itself, and the caller's
 * reference goes over. True; false with errno ENOMEM, and *string is as it was. An interned string
 * dies with its last reference like any other: the table has none.
 */
PM_API bool pm_str_intern(struct pm_object **string);

/* The same, and it never dies. The count of one that the caller alone has is frozen; of another
 * there is one more reference, for ever. */
PM_API bool pm_str_intern_immortal(struct pm_object **string);

/* The interned string of that text; as pm_str_new, else. No lock is taken, and nothing allocated,
 * where it is there. */
PM_API struct pm_object *pm_str_interned(const char *text, size_t bytes);

/* A string for text that is written in a program: interned if it has nothing but letters, digits
 * and _ of ASCII, as CPython does with its constants; else as pm_str_new. */
PM_API struct pm_object *pm_str_literal(const char *text);

PM_API bool pm_str_is_interned(const struct pm_object *string);

struct pm_intern_stats {
    uint64_t entries;     /* interned strings that live, or die just now */
    uint64_t table_bytes; /* of the table, without the strings */
    uint64_t locks;       /* how often one of its locks was taken, but for this */
};

/* Any thread. */
PM_API void pm_intern_get_stats(struct pm_intern_stats *stats);

/* ---- bytes ---- */

PM_API extern struct pm_type pm_bytes_type;

/* So many bytes, copied from there. */
PM_API struct pm_object *pm_bytes_new(const void *data, size_t bytes);

/* What they are, with a 0 behind them; as long as the caller has its reference. */
PM_API const void *pm_bytes_data(const struct pm_object *object);
PM_API size_t pm_bytes_size(const struct pm_object *object);

/* As those of strings, in bytes. */
PM_API struct pm_object *pm_bytes_concat(struct pm_object *a, struct pm_object *b);
PM_API struct pm_object *pm_bytes_slice(struct pm_object *object, size_t first, size_t end);
PM_API size_t pm_bytes_find(const struct pm_object *object, const struct pm_object *part,
                            size_t from);

#ifdef __cplusplus
}
#endif

#endif
