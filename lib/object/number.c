/* SPDX-License-Identifier: MIT */
/*
 * Numbers of both types compared with each other, exactly: an integer is not rounded to a double
 * for it. Attached threads.
 */
#include "object/value.h"

#include <errno.h>
#include <math.h>

#define BEYOND 0x1p63 /* the first double that is no int64_t */

static bool is_int(const struct pm_object *object)
{
    return pm_object_type(object) == &pm_int_type;
}

static bool is_number(const struct pm_object *object)
{
    return is_int(object) || pm_object_type(object) == &pm_float_type;
}

static int64_t int_of(const struct pm_object *object)
{
    return ((const struct pm_int *)object)->value;
}

static double float_of(const struct pm_object *object)
{
    return ((const struct pm_float *)object)->value;
}

/* The float is no NaN. */
static int compare_mixed(int64_t integer, double number)
{
    if (number >= BEYOND)
        return -1;
    if (number < -BEYOND)
        return 1;
    int64_t whole = (int64_t)number;
    if (integer != whole)
        return integer < whole ? -1 : 1;
    double rest = number - (double)whole;
    return (rest < 0) - (rest > 0);
}

/* False: one is a NaN. */
static bool compare(const struct pm_object *object, const struct pm_object *other, int *result)
{
    if (is_int(object) && is_int(other)) {
        int64_t a = int_of(object), b = int_of(other);
        *result = (a > b) - (a < b);
    } else if (is_int(object)) {
        if (isnan(float_of(other)))
            return false;
        *result = compare_mixed(int_of(object), float_of(other));
    } else if (is_int(other)) {
        if (isnan(float_of(object)))
            return false;
        *result = -compare_mixed(int_of(other), float_of(object));
    } else {
        double a = float_of(object), b = float_of(other);
        if (isnan(a) || isnan(b))
            return false;
        *result = (a > b) - (a < b);
    }
    return true;
}

bool pm_number_equal(struct pm_object *object, struct pm_object *other)
{
    int result;
    return is_number(other) && compare(object, other, &result) && result == 0;
}

int pm_number_compare(struct pm_object *object, struct pm_object *other, int *result)
{
    if (!is_number(other)) {
        errno = ENOTSUP;
        return 0;
    }
    if (!compare(object, other, result)) {
        errno = EDOM;
        return 0;
    }
    return 1;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void pm_text_trim(const char **text, size_t *bytes)
{
    for (; *bytes > 0 && is_blank(**text); ++*text)
        --*bytes;
    while (*bytes > 0 && is_blank((*text)[*bytes - 1]))
        --*bytes;
}
