/* SPDX-License-Identifier: MIT */
/* Floats: doubles, whose hash is that of the integer of the same worth. Attached threads. */
#include "object/value.h"

#include <math.h>
#include <string.h>

#define HASH_INFINITY 314159 /* CPython's, digits of pi */

#define MANTISSA_BITS 52
#define EXPONENT_MAX 0x7ff
#define EXPONENT_BIAS 1075 /* a double is its mantissa as an integer * 2^(exponent - this) */

/* Of a finite one, modulo the prime: a power of 2 times it is a rotation of so many bits. */
static uint64_t hash_of_size(uint64_t bits)
{
    uint64_t mantissa = bits & (((uint64_t)1 << MANTISSA_BITS) - 1);
    int exponent = (int)(bits >> MANTISSA_BITS & EXPONENT_MAX);
    if (exponent != 0)
        mantissa |= (uint64_t)1 << MANTISSA_BITS;
    else
        exponent = 1;
    int turn = (exponent - EXPONENT_BIAS) % PM_HASH_PRIME_BITS;
    if (turn < 0)
        turn += PM_HASH_PRIME_BITS;
    if (turn == 0)
        return mantissa;
    return (mantissa << turn & PM_HASH_PRIME) | mantissa >> (PM_HASH_PRIME_BITS - turn);
}

static uint64_t hash(struct pm_object *object)
{
    double value = ((struct pm_float *)object)->value;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (isnan(value))
        return pm_hash_of_address(object);
    uint64_t size = isinf(value) ? HASH_INFINITY : hash_of_size(bits);
    return pm_hash_with_sign(size, bits >> 63 != 0);
}

static struct pm_object *repr(struct pm_object *object)
{
    return pm_float_to_str(object);
}

struct pm_type pm_float_type = {
    .name = "float",
    .size = sizeof(struct pm_float),
    .flags = PM_TYPE_PLAIN,
    .hash = hash,
    .equal = pm_number_equal,
    .compare = pm_number_compare,
    .repr = repr,
};

struct pm_object *pm_float_new(double value)
{
    struct pm_object *object = pm_object_new(&pm_float_type);
    if (object != NULL)
        ((struct pm_float *)object)->value = value;
    return object;
}

double pm_float_get(const struct pm_object *number)
{
    pm_object_require_type("pm_float_get", number, &pm_float_type);
    return ((const struct pm_float *)number)->value;
}
