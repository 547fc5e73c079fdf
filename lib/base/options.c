/* SPDX-License-Identifier: MIT */
/* See options.h. Most of it runs in the first allocator call of the process: nothing here may
 * allocate. */
#define _GNU_SOURCE /* secure_getenv */
#include "base/options.h"

#include "base/atomic.h"
#include "base/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pm_options pm_options = {
#define OPTION_INITIAL(kind, name, initial, least, most, when, doc) .name = initial,
    PM_OPTIONS(OPTION_INITIAL)
#undef OPTION_INITIAL
};

struct pm_lock pm_options_lock = PM_LOCK_INIT(PM_RANK_OPTIONS);

#define BOUNDS_BYTES(value, low, high) .initial = (value), .least = (low), .most = (high)
#define BOUNDS_NUMBER(value, low, high) BOUNDS_BYTES(value, low, high)
#define BOUNDS_CHOICE(value, low, high) .initial_text = (value)
#define BOUNDS_TEXT(value, low, high) .initial_text = (value)

const struct pm_option pm_option_rows[PM_OPTION_COUNT] = {
#define OPTION_ROW(kind_, name_, initial_, least_, most_, when_, doc_)                             \
    {.name = #name_,                                                                               \
     .kind = PM_OPTION_##kind_,                                                                    \
     .when = PM_OPTION_##when_,                                                                    \
     .offset = offsetof(struct pm_options, name_),                                                 \
     BOUNDS_##kind_(initial_, least_, most_),                                                      \
     .doc = doc_},
    PM_OPTIONS(OPTION_ROW)
#undef OPTION_ROW
};

/* enum pm_option_source, by row. Relaxed: written at start, and then under the lock; for "help",
 * which orders nothing by it. */
static _Atomic uint8_t sources[PM_OPTION_COUNT];

static bool help_wanted; /* at start only */

enum pm_option_source pm_option_source(const struct pm_option *option)
{
    return pm_load_relaxed(&sources[option - pm_option_rows]);
}

/* ---- values ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static unsigned suffix_shift(char c)
{
    switch (c | 0x20) {
    case 'k':
        return 10;
    case 'm':
        return 20;
    case 'g':
        return 30;
    case 't':
        return 40;
    default:
        return 0;
    }
}

bool pm_option_parse_bytes(const char *text, size_t length, size_t *bytes)
{
    size_t n = 0, i = 0;
    for (; i < length && is_digit(text[i]); i++) {
        size_t digit = (size_t)(text[i] - '0');
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, digit, &n))
            return false;
    }
    if (i == 0)
        return false;
    if (i < length) {
        unsigned shift = suffix_shift(text[i++]);
        if (shift == 0 || n > SIZE_MAX >> shift)
            return false;
        n <<= shift;
    }
    if (i != length)
        return false;
    *bytes = n;
    return true;
}

/* Whether the text is the pattern, in which N and M stand for one to four digits. */
static bool matches(const char *pattern, size_t pattern_length, const char *text, size_t length)
{
    const char *end = text + length;
    for (; pattern_length > 0; pattern++, pattern_length--) {
        if (*pattern != 'N' && *pattern != 'M') {
            if (text == end || *text++ != *pattern)
                return false;
            continue;
        }
        unsigned digits = 0;
        for (; digits < 4 && text < end && is_digit(*text); digits++)
            text++;
        if (digits == 0)
            return false;
    }
    return text == end;
}

static bool is_choice(const struct pm_option *option, const char *text, size_t length)
{
    const char *choice = option->doc, *end = choice + pm_option_choices_length(option);
    while (choice < end) {
        const char *bar = memchr(choice, '|', (size_t)(end - choice));
        size_t one = (size_t)((bar ? bar : end) - choice);
        if (matches(choice, one, text, length))
            return true;
        choice += one + 1;
    }
    return false;
}

enum outcome { TAKEN, NOT_UNDERSTOOD, OUT_OF_RANGE };

static enum outcome take_number(const struct pm_option *option, size_t number)
{
    void *field = (char *)&pm_options + option->offset;
    if (number < option->least || number > option->most)
        return OUT_OF_RANGE;
    pm_store_relaxed((_Atomic size_t *)field, number);
    return TAKEN;
}

static enum outcome take_text(const struct pm_option *option, const char *value, size_t length)
{
    char *field = (char *)&pm_options + option->offset;
    bool choice = option->kind == PM_OPTION_CHOICE;
    size_t room = choice ? PM_OPTION_CHOICE_BYTES : PM_OPTION_TEXT_BYTES;
    if (length >= room || (choice && !is_choice(option, value, length)))
        return NOT_UNDERSTOOD;
    memcpy(field, value, length);
    field[length] = 0;
    return TAKEN;
}

static enum outcome take(const struct pm_option *option, enum pm_option_source source,
                         const char *value, size_t length)
{
    size_t number;
    enum outcome outcome = NOT_UNDERSTOOD;
    bool plain = length > 0 && is_digit(value[length - 1]);
    if (!pm_option_is_number(option))
        outcome = take_text(option, value, length);
    else if ((plain || option->kind == PM_OPTION_BYTES) &&
             pm_option_parse_bytes(value, length, &number))
        outcome = take_number(option, number);
    if (outcome == TAKEN)
        pm_store_relaxed(&sources[option - pm_option_rows], (uint8_t)source);
    return outcome;
}

/* ---- settings ---- */

/* Where they come from, also for the warnings. */
struct origin {
    const char *name;
    enum pm_option_source source;
};

enum { SHOWN_BYTES = 80 };

static bool warn_unknown(const struct origin *origin, const char *setting, size_t length,
                         size_t name_length)
{
    char shown[SHOWN_BYTES], value[SHOWN_BYTES], clean[SHOWN_BYTES];
    const struct pm_option *nearest = pm_option_nearest(setting, name_length);
    pm_option_clean(shown, sizeof shown, setting, length);
    pm_option_format_value(nearest, value, sizeof value);
    pm_option_clean(clean, sizeof clean, value, strlen(value));
    pm_warn("%s: unknown option \"%s\" ignored; the nearest is %s, which stays \"%s\" (%s); "
            "POOLMALLOC_OPTIONS=help lists all",
            origin->name, shown, nearest->name, clean,
            pm_option_source_name(pm_option_source(nearest)));
    return false;
}

static bool warn_value(const struct origin *origin, const struct pm_option *option,
                       enum outcome outcome, const char *setting, size_t length)
{
    char shown[SHOWN_BYTES], value[SHOWN_BYTES], clean[SHOWN_BYTES], range[SHOWN_BYTES];
    pm_option_clean(shown, sizeof shown, setting, length);
    pm_option_format_value(option, value, sizeof value);
    pm_option_clean(clean, sizeof clean, value, strlen(value));
    pm_option_format_range(option, range, sizeof range);
    pm_warn("%s: value %s in \"%s\" ignored; %s takes %s and stays \"%s\" (%s)", origin->name,
            outcome == OUT_OF_RANGE ? "out of range" : "not understood", shown, option->name, range,
            clean, pm_option_source_name(pm_option_source(option)));
    return false;
}

static bool parse_setting(const struct origin *origin, const char *setting, size_t length)
{
    const char *equals = memchr(setting, '=', length);
    size_t name_length = equals ? (size_t)(equals - setting) : length;
    const struct pm_option *option = pm_option_find(setting, name_length);
    if (origin->source == PM_OPTION_ENVIRONMENT && length == 4 && memcmp(setting, "help", 4) == 0) {
        help_wanted = true;
        return true;
    }
    if (option == NULL)
        return warn_unknown(origin, setting, length, name_length);
    enum outcome outcome = NOT_UNDERSTOOD;
    if (equals)
        outcome = take(option, origin->source, equals + 1, length - name_length - 1);
    return outcome == TAKEN || warn_value(origin, option, outcome, setting, length);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* How long the text is up to the first c, or in all. */
static size_t length_to(const char *text, size_t length, char c)
{
    const char *at = memchr(text, c, length);
    return at ? (size_t)(at - text) : length;
}

/* Of a file, blanks around a setting do not belong to it. */
static bool parse_list(const struct origin *origin, const char *text, size_t length)
{
    bool understood = true, file = origin->source == PM_OPTION_FILE;
    for (size_t next = 0; next < length;) {
        const char *setting = text + next;
        size_t one = length_to(setting, length - next, ',');
        next += one + 1;
        while (file && one > 0 && is_blank(setting[one - 1]))
            one--;
        for (; file && one > 0 && is_blank(*setting); one--)
            setting++;
        if (one > 0)
            understood &= parse_setting(origin, setting, one);
    }
    return understood;
}

bool pm_options_parse(const char *text)
{
    const struct origin origin = {"POOLMALLOC_OPTIONS", PM_OPTION_ENVIRONMENT};
    return parse_list(&origin, text, strlen(text));
}

bool pm_options_parse_file(const char *path, const char *text, size_t length)
{
    const struct origin origin = {path, PM_OPTION_FILE};
    bool understood = true;
    for (size_t next = 0; next < length;) {
        size_t line = length_to(text + next, length - next, '\n');
        understood &= parse_list(&origin, text + next, length_to(text + next, line, '#'));
        next += line + 1;
    }
    return understood;
}

/* POOLMALLOC=debug is short for the option. As with PYTHONMALLOC, an empty one is none. */
static void take_allocator(const char *mode)
{
    const struct origin origin = {"POOLMALLOC", PM_OPTION_ENVIRONMENT};
    const struct pm_option *option = pm_option_find("allocator", strlen("allocator"));
    if (mode == NULL || *mode == 0)
        return;
    enum outcome outcome = take(option, origin.source, mode, strlen(mode));
    if (outcome != TAKEN)
        warn_value(&origin, option, outcome, mode, strlen(mode));
}

void pm_options_init(void)
{
    const char *text = secure_getenv("POOLMALLOC_OPTIONS");
    pm_lock_register(&pm_options_lock);
    if (text)
        pm_options_parse(text);
    take_allocator(secure_getenv("POOLMALLOC"));
    if (help_wanted)
        pm_options_help();
    help_wanted = false;
}

/* ---- calls ---- */

static int refusal(const struct pm_option *option)
{
    return option == NULL ? ENOENT : option->when == PM_OPTION_AT_START ? EPERM : 0;
}

int pm_options_change(const char *name, const char *value)
{
    const struct pm_option *option = pm_option_find(name, strlen(name));
    int error = refusal(option);
    if (error != 0)
        return error;
    pm_lock_acquire(&pm_options_lock);
    enum outcome outcome = take(option, PM_OPTION_CALL, value, strlen(value));
    pm_lock_release(&pm_options_lock);
    return outcome == TAKEN ? 0 : EINVAL;
}

int pm_options_change_number(const char *name, size_t number)
{
    const struct pm_option *option = pm_option_find(name, strlen(name));
    int error = refusal(option);
    if (error != 0 || !pm_option_is_number(option))
        return error != 0 ? error : EINVAL;
    pm_lock_acquire(&pm_options_lock);
    enum outcome outcome = take_number(option, number);
    if (outcome == TAKEN)
        pm_store_relaxed(&sources[option - pm_option_rows], PM_OPTION_CALL);
    pm_lock_release(&pm_options_lock);
    return outcome == TAKEN ? 0 : EINVAL;
}

int pm_options_value(const char *name, char *to, size_t room)
{
    const struct pm_option *option = pm_option_find(name, strlen(name));
    if (option == NULL)
        return ENOENT;
    pm_lock_acquire(&pm_options_lock);
    size_t length = pm_option_format_value(option, to, room);
    pm_lock_release(&pm_options_lock);
    return length < room ? 0 : ERANGE;
}
