/* SPDX-License-Identifier: MIT */
/* Integers from text, by the rules of Python's int(), and to text. Attached threads. */
#include "object/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { BASE_MAX = 36 };

/* BASE_MAX: no digit. */
static unsigned digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'z' ? (unsigned)(lower - 'a') + 10 : BASE_MAX;
}

static int base_of_prefix(const char *text, size_t bytes)
{
    if (bytes < 2 || text[0] != '0')
        return 0;
    switch (text[1] | 0x20) {
    case 'b':
        return 2;
    case 'o':
        return 8;
    case 'x':
        return 16;
    default:
        return 0;
    }
}

/* 0, EINVAL or EOVERFLOW. A number that is no number after all is EINVAL however long it is. */
static int read_digits(const char *text, size_t bytes, unsigned base, uint64_t *size)
{
    bool digit_before = false, overflow = false;
    *size = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '_' && digit_before) {
            digit_before = false;
            continue;
        }
        unsigned digit = digit_of(text[i]);
        if (digit >= base)
            return EINVAL;
        overflow |= __builtin_mul_overflow(*size, base, size);
        overflow |= __builtin_add_overflow(*size, digit, size);
        digit_before = true;
    }
    if (!digit_before)
        return EINVAL;
    return overflow ? EOVERFLOW : 0;
}

/* Python takes a 0 in front for a mistake where the base is open: in C it means base 8. */
static bool is_ambiguous(const char *text, size_t bytes, uint64_t size)
{
    return bytes > 1 && text[0] == '0' && size != 0;
}

static int read_int(const char *text, size_t bytes, int base, int64_t *value)
{
    if (base != 0 && (base < 2 || base > BASE_MAX))
        return EINVAL;
    pm_text_trim(&text, &bytes);
    bool negative = bytes > 0 && text[0] == '-';
    if (bytes > 0 && (text[0] == '-' || text[0] == '+')) {
        text++;
        bytes--;
    }
    int prefix = base_of_prefix(text, bytes);
    bool open = base == 0 && prefix == 0;
    if (prefix != 0 && (base == 0 || base == prefix)) {
        base = prefix;
        text += 2;
        bytes -= 2;
        if (bytes > 0 && *text == '_') { /* one may stand behind the prefix */
            text++;
            bytes--;
        }
    } else if (open) {
        base = 10;
    }
    uint64_t size;
    int error = read_digits(text, bytes, (unsigned)base, &size);
    if (error == 0 && open && is_ambiguous(text, bytes, size))
        return EINVAL;
    if (error == 0 && size > (uint64_t)INT64_MAX + negative)
        return EOVERFLOW;
    *value = (int64_t)(negative ? -size : size);
    return error;
}

struct pm_object *pm_int_from_text(const char *text, size_t bytes, int base)
{
    int64_t value;
    int error = read_int(text, bytes, base, &value);
    if (error != 0) {
        errno = error;
        return NULL;
    }
    return pm_int_new(value);
}

struct pm_object *pm_int_to_str(const struct pm_object *integer)
{
    char text[24];
    pm_object_require_type("pm_int_to_str", integer, &pm_int_type);
    int bytes = snprintf(text, sizeof text, "%" PRId64, ((const struct pm_int *)integer)->value);
    struct pm_str *string = pm_str_of_good(text, (size_t)bytes, (size_t)bytes);
    return string != NULL ? &string->var.object : NULL;
}
