/* SPDX-License-Identifier: MIT */
/*
 * Floats from text and to text, as Python's float() and repr(), by the C library's conversions in
 * the locale "C", whatever the program's is. Attached threads.
 */
#define _GNU_SOURCE /* newlocale, uselocale */
#include "object/value.h"

#include "poolmalloc/domains.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_SURE DBL_DIG /* so many of a decimal number survive in a normal double */
#define DIGITS_MAX 17       /* so many tell a double from all others */
#define FIXED_FROM (-4)     /* exponents of 10 that repr() writes without one */
#define FIXED_BELOW 16

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t c_locale; /* 0: there is none, and the thread's has to do */

static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static locale_t enter_c_locale(void)
{
    pthread_once(&once, make_locale);
    return c_locale != (locale_t)0 ? uselocale(c_locale) : (locale_t)0;
}

static void leave_c_locale(locale_t before)
{
    if (before != (locale_t)0)
        uselocale(before);
}

/* ---- from text ---- */

/* strtod takes hexadecimal numbers and numbered NaNs besides. */
static bool has_foreign_letter(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (text[i] == 'x' || text[i] == 'X' || text[i] == '(' || text[i] == '\0')
            return true;
    return false;
}

/* The text has a 0 behind it. */
static bool read_float(const char *text, size_t bytes, double *value)
{
    char *end;
    int saved_errno = errno;
    locale_t before = enter_c_locale();
    *value = strtod(text, &end); /* what is too large is infinite, and ERANGE no error */
    leave_c_locale(before);
    errno = saved_errno;
    return end == text + bytes;
}

struct pm_object *pm_float_from_text(const char *text, size_t bytes)
{
    char few[64], *copy = few;
    double value;
    pm_text_trim(&text, &bytes);
    if (bytes == 0 || has_foreign_letter(text, bytes)) {
        errno = EINVAL;
        return NULL;
    }
    if (bytes >= sizeof few && (copy = pm_raw_malloc(bytes + 1)) == NULL)
        return NULL;
    memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    bool good = read_float(copy, bytes, &value);
    if (copy != few)
        pm_raw_free(copy);
    if (!good) {
        errno = EINVAL;
        return NULL;
    }
    return pm_float_new(value);
}

/* ---- to text ---- */

struct decimal {
    bool negative;
    char digits[DIGITS_MAX + 1]; /* without zeros at the end */
    int count;
    int exponent; /* of the first digit */
};

/* Of "-d.ddde-xx". */
static void take_apart(const char *text, struct decimal *decimal)
{
    decimal->negative = *text == '-';
    text += decimal->negative;
    decimal->count = 0;
    for (; *text != 'e'; text++)
        if (*text >= '0' && *text <= '9')
            decimal->digits[decimal->count++] = *text;
    while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0')
        decimal->count--;
    decimal->exponent = (int)strtol(text + 1, NULL, 10);
}

/* The next decimal of as many digits, away from 0. False: it would have one more. */
static bool step_up(char *text)
{
    for (char *at = strchr(text, 'e') - 1; at >= text; at--) {
        if (*at >= '0' && *at < '9') {
            ++*at;
            return true;
        }
        if (*at == '9')
            *at = '0';
    }
    return false;
}

/* So many digits that are read back as the same. Below a power of 2 doubles are denser than above:
 * the nearest decimal may be too far below it, and the next one near enough above. */
static bool has_decimal(double value, int digits, char *text, size_t room)
{
    snprintf(text, room, "%.*e", digits - 1, value);
    return strtod(text, NULL) == value || (step_up(text) && strtod(text, NULL) == value);
}

/* The fewest of them. */
static void to_decimal(double value, struct decimal *decimal)
{
    char text[DIGITS_MAX + 16];
    int digits = fabs(value) < DBL_MIN ? 1 : DIGITS_SURE, saved_errno = errno;
    locale_t before = enter_c_locale();
    while (!has_decimal(value, digits, text, sizeof text) && digits < DIGITS_MAX)
        digits++;
    leave_c_locale(before);
    errno = saved_errno; /* of what is denormal */
    take_apart(text, decimal);
}

/* Digit by digit: the first at the place `from` (0: that of ones), up to the last one or `to`. */
static char *write_places(char *at, const struct decimal *decimal, int from, int to)
{
    for (int place = from; place >= to || place > decimal->exponent - decimal->count; place--) {
        int digit = decimal->exponent - place;
        if (place == -1)
            *at++ = '.';
        *at++ = digit >= 0 && digit < decimal->count ? decimal->digits[digit] : '0';
    }
    return at;
}

static size_t write_repr(char *text, const struct decimal *decimal)
{
    char *at = text;
    if (decimal->negative)
        *at++ = '-';
    if (decimal->exponent >= FIXED_FROM && decimal->exponent < FIXED_BELOW) {
        at = write_places(at, decimal, decimal->exponent > 0 ? decimal->exponent : 0, -1);
        return (size_t)(at - text);
    }
    *at++ = decimal->digits[0];
    if (decimal->count > 1) {
        *at++ = '.';
        memcpy(at, decimal->digits + 1, (size_t)decimal->count - 1);
        at += decimal->count - 1;
    }
    return (size_t)(at - text) + (size_t)sprintf(at, "e%+03d", decimal->exponent);
}

struct pm_object *pm_float_to_str(const struct pm_object *number)
{
    char text[40];
    struct decimal decimal;
    size_t bytes;
    double value = pm_float_get(number);
    if (isfinite(value)) {
        to_decimal(value, &decimal);
        bytes = write_repr(text, &decimal);
    } else {
        bytes = (size_t)snprintf(text, sizeof text, "%s",
                                 isnan(value) ? "nan"
                                 : value < 0  ? "-inf"
                                              : "inf");
    }
    struct pm_str *string = pm_str_of_good(text, bytes, bytes);
    return string != NULL ? &string->var.object : NULL;
}
