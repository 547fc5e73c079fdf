/* SPDX-License-Identifier: MIT */
/* Numbers and times as text, without the C library's functions, which may allocate, take locks and
 * look at the locale: see snapshot_internal.h. Any thread, also in a signal handler. */
#include "tools/snapshot_internal.h"

#include <string.h>

bool pm_text_get_decimal(const char **at, const char *end, uint64_t *number)
{
    const char *start = *at;
    uint64_t value = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return *at != start;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool pm_text_get_hex(const char **at, const char *end, uint64_t *number)
{
    const char *start = *at;
    uint64_t value = 0;
    for (int digit; *at < end && (digit = hex_digit(**at)) >= 0; (*at)++) {
        if (value >> 60 != 0)
            return false;
        value = value << 4 | (uint64_t)digit;
    }
    *number = value;
    return *at != start;
}

size_t pm_text_put_decimal(char *to, uint64_t number)
{
    char digits[PM_SNAPSHOT_NUMBER_BYTES];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    memcpy(to, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

size_t pm_text_put_hex(char *to, uint64_t number)
{
    size_t length = 1;
    while (length < 16 && number >> 4 * length != 0)
        length++;
    for (size_t i = 0; i < length; i++)
        to[i] = "0123456789abcdef"[number >> 4 * (length - 1 - i) & 15];
    return length;
}

/* ---- times ---- */

/* Days since 1970 of a day that is counted from the first of March of year 0 on: leap days come
 * last in years of 365, cycles of 4, 100 and 400 years. */
enum { DAYS_TO_1970 = 719468, CYCLE_DAYS = 146097, DAY_SECONDS = 86400 };

struct date {
    uint64_t year;
    unsigned month, day;
};

static struct date date_of(uint64_t days_since_1970)
{
    uint64_t days = days_since_1970 + DAYS_TO_1970, of_cycle = days % CYCLE_DAYS;
    uint64_t year = (of_cycle - of_cycle / 1460 + of_cycle / 36524 - of_cycle / 146096) / 365;
    uint64_t of_year = of_cycle - (365 * year + year / 4 - year / 100);
    unsigned march_month = (unsigned)((5 * of_year + 2) / 153);
    struct date date = {.day = (unsigned)(of_year - (153 * march_month + 2) / 5 + 1)};
    date.month = march_month < 10 ? march_month + 3 : march_month - 9;
    date.year = year + days / CYCLE_DAYS * 400 + (date.month <= 2);
    return date;
}

static uint64_t days_of(struct date date)
{
    uint64_t year = date.year - (date.month <= 2);
    unsigned march_month = date.month > 2 ? date.month - 3 : date.month + 9;
    uint64_t days = year * 365 + year / 4 - year / 100 + year / 400;
    return days + (153 * march_month + 2) / 5 + date.day - 1 - DAYS_TO_1970;
}

static void put_digits(char *to, unsigned count, uint64_t number)
{
    while (count-- > 0) {
        to[count] = (char)('0' + number % 10);
        number /= 10;
    }
}

void pm_text_put_time(char *to, uint64_t time_s)
{
    struct date date = date_of(time_s / DAY_SECONDS);
    uint64_t of_day = time_s % DAY_SECONDS;
    memcpy(to, "0000-00-00T00:00:00Z", PM_SNAPSHOT_TIME_BYTES - 1);
    put_digits(to, 4, date.year);
    put_digits(to + 5, 2, date.month);
    put_digits(to + 8, 2, date.day);
    put_digits(to + 11, 2, of_day / 3600);
    put_digits(to + 14, 2, of_day / 60 % 60);
    put_digits(to + 17, 2, of_day % 60);
}

/* By writing it again: whatever is not what we write is no time of ours. */
bool pm_text_get_time(const char **at, const char *end, uint64_t *time_s)
{
    static const struct {
        unsigned char at, count;
    } fields[] = {{0, 4}, {5, 2}, {8, 2}, {11, 2}, {14, 2}, {17, 2}};
    char again[PM_SNAPSHOT_TIME_BYTES];
    uint64_t values[6];
    if (end - *at < PM_SNAPSHOT_TIME_BYTES - 1)
        return false;
    for (unsigned i = 0; i < 6; i++) {
        const char *from = *at + fields[i].at;
        if (!pm_text_get_decimal(&from, *at + fields[i].at + fields[i].count, &values[i]))
            return false;
    }
    if (values[0] < 1970 || values[1] < 1 || values[1] > 12 || values[2] < 1)
        return false;
    struct date date = {values[0], (unsigned)values[1], (unsigned)values[2]};
    *time_s = days_of(date) * DAY_SECONDS + values[3] * 3600 + values[4] * 60 + values[5];
    pm_text_put_time(again, *time_s);
    if (memcmp(again, *at, PM_SNAPSHOT_TIME_BYTES - 1) != 0)
        return false;
    *at += PM_SNAPSHOT_TIME_BYTES - 1;
    return true;
}
