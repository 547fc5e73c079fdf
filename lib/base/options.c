/* SPDX-License-Identifier: MIT */
/* See options.h. Runs in the first allocator call of the process: nothing here may allocate. */
#define _GNU_SOURCE /* secure_getenv */
#include "base/options.h"

#include "base/report.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct pm_options pm_options = {
#define OPTION_INITIAL(kind, name, initial, doc) .name = initial,
    PM_OPTIONS(OPTION_INITIAL)
#undef OPTION_INITIAL
};

enum kind { BYTES, NUMBER, CHOICE, TEXT };

static const struct option {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *doc;
} options[] = {
#define OPTION_ROW(kind, name, initial, doc) {#name, kind, offsetof(struct pm_options, name), doc},
    PM_OPTIONS(OPTION_ROW)
#undef OPTION_ROW
};

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

static bool parse_bytes(const char *text, size_t length, size_t *bytes)
{
    size_t n = 0, i = 0;
    for (; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
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

/* Whether the text is one of "this|that|third: ...". */
static bool is_choice(const char *choices, const char *text, size_t length)
{
    for (;;) {
        size_t one = strcspn(choices, "|:");
        if (one == length && memcmp(choices, text, length) == 0)
            return true;
        if (choices[one] != '|')
            return false;
        choices += one + 1;
    }
}

static bool set_option(const struct option *option, const char *value, size_t length)
{
    char *field = (char *)&pm_options + option->offset;
    bool plain = length > 0 && value[length - 1] >= '0' && value[length - 1] <= '9';
    if (option->kind == BYTES || (option->kind == NUMBER && plain))
        return parse_bytes(value, length, (size_t *)(void *)field);
    if (option->kind == NUMBER || length >= PM_OPTION_TEXT_BYTES ||
        (option->kind == CHOICE && !is_choice(option->doc, value, length)))
        return false;
    memcpy(field, value, length);
    field[length] = 0;
    return true;
}

static void warn_setting(const char *what, const char *setting, size_t length)
{
    char shown[80], known[160];
    size_t used = 0;
    if (length > sizeof shown - 1)
        length = sizeof shown - 1;
    for (size_t i = 0; i < length; i++) { /* no second line, and nothing that a terminal obeys */
        unsigned char c = (unsigned char)setting[i];
        shown[i] = c < ' ' || c == 127 ? '?' : setting[i];
    }
    shown[length] = 0;
    for (size_t i = 0; i < sizeof options / sizeof *options && used < sizeof known; i++)
        used += pm_format(known + used, sizeof known - used, " %s", options[i].name);
    pm_warn("POOLMALLOC_OPTIONS: %s \"%s\" ignored; known are%s", what, shown, known);
}

static bool parse_setting(const char *setting, size_t length)
{
    const char *equals = memchr(setting, '=', length);
    size_t name_length = equals ? (size_t)(equals - setting) : length;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strlen(options[i].name) != name_length ||
            memcmp(options[i].name, setting, name_length) != 0)
            continue;
        if (equals && set_option(&options[i], equals + 1, length - name_length - 1))
            return true;
        warn_setting("value not understood in", setting, length);
        return false;
    }
    warn_setting("unknown option", setting, length);
    return false;
}

bool pm_options_parse(const char *text)
{
    bool understood = true;
    while (*text) {
        size_t length = strcspn(text, ",");
        if (length > 0)
            understood &= parse_setting(text, length);
        text += length;
        text += *text == ',';
    }
    return understood;
}

void pm_options_init(void)
{
    const char *text = secure_getenv("POOLMALLOC_OPTIONS");
    if (text)
        pm_options_parse(text);
}
