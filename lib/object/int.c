/* SPDX-License-Identifier: MIT */
/*
 * Integers of 64 bits. The small ones are made once, in an array; they have no owner, and nothing
 * writes their counts. Attached threads, but for the small ones.
 */
#include "object/value.h"

#include <errno.h>
#include <stdlib.h>

#define SMALL_MAX (PM_SMALL_INT_LAST_MAX - PM_SMALL_INT_FIRST + 1)

static uint64_t hash(struct pm_object *object)
{
    int64_t value = ((struct pm_int *)object)->value;
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
    return pm_hash_with_sign(size % PM_HASH_PRIME, value < 0);
}

static struct pm_object *repr(struct pm_object *object)
{
    return pm_int_to_str(object);
}

struct pm_type pm_int_type = {
    .name = "int",
    .size = sizeof(struct pm_int),
    .flags = PM_TYPE_PLAIN,
    .hash = hash,
    .equal = pm_number_equal,
    .compare = pm_number_compare,
    .repr = repr,
};

/* ---- the small ones ---- */

static struct pm_int small[SMALL_MAX];
static _Atomic uint32_t small_count; /* 0: they are not made yet */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static uint32_t count_wanted(void)
{
    char text[PM_OPTION_VALUE_BYTES];
    long last = PM_SMALL_INT_LAST_DEFAULT;
    if (pm_option_get("small_ints_to", text, sizeof text))
        last = strtol(text, NULL, 10);
    return (uint32_t)(last - PM_SMALL_INT_FIRST + 1);
}

static void make_small(void)
{
    uint32_t count = count_wanted();
    uintptr_t type = (uintptr_t)&pm_int_type;
    pm_type_ready(&pm_int_type);
    for (uint32_t i = 0; i < count; i++)
        small[i] = (struct pm_int){
            .object = {.type_low = (uint32_t)type,
                       .type_high = (uint16_t)(type >> 32),
                       .owned = PM_OBJECT_IMMORTAL},
            .value = (int64_t)i + PM_SMALL_INT_FIRST,
        };
    /* Release: they are made; pairs with small_int. */
    pm_store_release(&small_count, count);
}

/* The one in that place, counted from the first; NULL: it is not small. */
static struct pm_object *small_int(uint64_t place)
{
    uint32_t count = pm_load_acquire(&small_count);
    if (__builtin_expect(count == 0, 0)) {
        pthread_once(&once, make_small);
        count = pm_load_acquire(&small_count);
    }
    return place < count ? &small[place].object : NULL;
}

/* ---- making and getting ---- */

struct pm_object *pm_int_new(int64_t value)
{
    uint64_t place = (uint64_t)value - (uint64_t)(int64_t)PM_SMALL_INT_FIRST;
    struct pm_object *object = place < SMALL_MAX ? small_int(place) : NULL;
    if (object != NULL)
        return object;
    object = pm_object_new(&pm_int_type);
    if (object != NULL)
        ((struct pm_int *)object)->value = value;
    return object;
}

static int64_t get(const char *function, const struct pm_object *integer)
{
    pm_object_require_type(function, integer, &pm_int_type);
    return ((const struct pm_int *)integer)->value;
}

int64_t pm_int_get(const struct pm_object *integer)
{
    return get("pm_int_get", integer);
}

/* ---- arithmetic ---- */

static struct pm_object *refuse(int error)
{
    errno = error;
    return NULL;
}

struct pm_object *pm_int_add(const struct pm_object *a, const struct pm_object *b)
{
    int64_t sum;
    if (__builtin_add_overflow(get("pm_int_add", a), get("pm_int_add", b), &sum))
        return refuse(EOVERFLOW);
    return pm_int_new(sum);
}

struct pm_object *pm_int_sub(const struct pm_object *a, const struct pm_object *b)
{
    int64_t difference;
    if (__builtin_sub_overflow(get("pm_int_sub", a), get("pm_int_sub", b), &difference))
        return refuse(EOVERFLOW);
    return pm_int_new(difference);
}

struct pm_object *pm_int_mul(const struct pm_object *a, const struct pm_object *b)
{
    int64_t product;
    if (__builtin_mul_overflow(get("pm_int_mul", a), get("pm_int_mul", b), &product))
        return refuse(EOVERFLOW);
    return pm_int_new(product);
}

/* C rounds to 0: where there is a rest, of another sign than the divisor, that is one too many. */
static bool rounds_down(int64_t dividend, int64_t divisor)
{
    return dividend % divisor != 0 && (dividend < 0) != (divisor < 0);
}

struct pm_object *pm_int_div(const struct pm_object *a, const struct pm_object *b)
{
    int64_t dividend = get("pm_int_div", a), divisor = get("pm_int_div", b);
    if (divisor == 0)
        return refuse(EDOM);
    if (divisor == -1) /* the processor traps on the smallest */
        return dividend == INT64_MIN ? refuse(EOVERFLOW) : pm_int_new(-dividend);
    return pm_int_new(dividend / divisor - rounds_down(dividend, divisor));
}

struct pm_object *pm_int_mod(const struct pm_object *a, const struct pm_object *b)
{
    int64_t dividend = get("pm_int_mod", a), divisor = get("pm_int_mod", b);
    if (divisor == 0)
        return refuse(EDOM);
    if (divisor == -1)
        return pm_int_new(0);
    return pm_int_new(dividend % divisor + (rounds_down(dividend, divisor) ? divisor : 0));
}
