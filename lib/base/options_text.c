/* SPDX-License-Identifier: MIT */
/* Options in words: names, values, ranges, help. See options.h; nothing here allocates. */
#include "base/atomic.h"
#include "base/options.h"
#include "base/report.h"

#include <string.h>

const struct pm_option *pm_option_find(const char *name, size_t length)
{
    for (size_t i = 0; i < PM_OPTION_COUNT; i++) {
        const struct pm_option *option = &pm_option_rows[i];
        if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
            return option;
    }
    return NULL;
}

enum { WORD_MAX = 40 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* What a letter costs that the word lacks, has too many, or has in the place of another. People
 * leave out parts of a name ("delay") rather than that they invent some. */
enum { LACKING = 1, SURPLUS = 2, WRONG = 3 };

static unsigned least_of(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* What it costs to make the name of the word (Levenshtein's distance, a row of his table at a
 * time: row[i] is for the first i letters of the word and the letters of the name so far). */
static unsigned distance(const char *word, size_t length, const char *name)
{
    unsigned row[WORD_MAX + 1];
    for (size_t i = 0; i <= length; i++)
        row[i] = (unsigned)i * SURPLUS;
    for (; *name != 0; name++) {
        unsigned before = row[0]; /* the same letters of the word, without this one of the name */
        row[0] += LACKING;
        for (size_t i = 0; i < length; i++) {
            unsigned same = before + (lower(word[i]) == *name ? 0 : WRONG);
            before = row[i + 1];
            row[i + 1] = least_of(same, before + LACKING, row[i] + SURPLUS);
        }
    }
    return row[length];
}

const struct pm_option *pm_option_nearest(const char *word, size_t length)
{
    const struct pm_option *nearest = &pm_option_rows[0];
    unsigned least = UINT32_MAX;
    if (length > WORD_MAX)
        length = WORD_MAX;
    for (size_t i = 0; i < PM_OPTION_COUNT; i++) {
        unsigned n = distance(word, length, pm_option_rows[i].name);
        if (n < least) {
            least = n;
            nearest = &pm_option_rows[i];
        }
    }
    return nearest;
}

size_t pm_option_format_number(enum pm_option_kind kind, size_t number, char *to, size_t room)
{
    static const char *const units[] = {"", "k", "m", "g", "t"};
    unsigned unit = 0;
    if (kind == PM_OPTION_BYTES && number != 0) {
        for (; unit < 4 && number % 1024 == 0; unit++)
            number /= 1024;
    }
    return pm_format(to, room, "%zu%s", number, units[unit]);
}

size_t pm_option_format_default(const struct pm_option *option, char *to, size_t room)
{
    if (pm_option_is_number(option))
        return pm_option_format_number(option->kind, option->initial, to, room);
    return pm_format(to, room, "%s", option->initial_text);
}

size_t pm_option_format_value(const struct pm_option *option, char *to, size_t room)
{
    char *field = (char *)&pm_options + option->offset;
    if (!pm_option_is_number(option))
        return pm_format(to, room, "%s", field);
    size_t number = pm_load_relaxed((_Atomic size_t *)(void *)field);
    return pm_option_format_number(option->kind, number, to, room);
}

size_t pm_option_choices_length(const struct pm_option *option)
{
    const char *end = option->kind == PM_OPTION_CHOICE ? strstr(option->doc, ": ") : NULL;
    return end ? (size_t)(end - option->doc) : 0;
}

const char *pm_option_meaning(const struct pm_option *option)
{
    size_t choices = pm_option_choices_length(option);
    return option->doc + choices + (choices != 0 ? strlen(": ") : 0);
}

size_t pm_option_format_range(const struct pm_option *option, char *to, size_t room)
{
    char least[24], most[24];
    size_t choices = pm_option_choices_length(option);
    if (option->kind == PM_OPTION_TEXT)
        return pm_format(to, room, "at most %u bytes", (unsigned)PM_OPTION_TEXT_BYTES - 1);
    if (option->kind == PM_OPTION_CHOICE) {
        size_t length = choices < room ? choices : room - 1;
        memcpy(to, option->doc, length);
        to[length] = 0;
        return choices;
    }
    pm_option_format_number(option->kind, option->least, least, sizeof least);
    if (option->most == SIZE_MAX)
        return pm_format(to, room, "%s or more", least);
    pm_option_format_number(option->kind, option->most, most, sizeof most);
    return pm_format(to, room, "%s to %s", least, most);
}

void pm_option_clean(char *to, size_t room, const char *text, size_t length)
{
    if (length > room - 1)
        length = room - 1;
    for (size_t i = 0; i < length; i++) { /* no second line, and nothing that a terminal obeys */
        unsigned char c = (unsigned char)text[i];
        to[i] = c < ' ' || c == 127 ? '?' : text[i];
    }
    to[length] = 0;
}

const char *pm_option_source_name(enum pm_option_source source)
{
    static const char *const names[] = {"default", "file", "environment", "call"};
    return names[source];
}

static void help_one(const struct pm_option *option)
{
    static const char *const kinds[] = {"size", "number", "choice", "text"};
    char value[PM_OPTION_TEXT_BYTES], shown[PM_OPTION_TEXT_BYTES], initial[24], range[80];
    pm_option_format_value(option, value, sizeof value);
    pm_option_clean(shown, sizeof shown, value, strlen(value));
    pm_option_format_default(option, initial, sizeof initial);
    pm_option_format_range(option, range, sizeof range);
    pm_print("  %s=%s (%s)\n    %s, %s; default \"%s\"; %s\n    %s\n", option->name, shown,
             pm_option_source_name(pm_option_source(option)), kinds[option->kind], range, initial,
             option->when == PM_OPTION_ANYTIME ? "can be changed later" : "at start only",
             pm_option_meaning(option));
}

void pm_options_help(void)
{
    pm_print("poolmalloc: options in force, and where they come from: default, file "
             "(/etc/poolmalloc.conf),\nenvironment (POOLMALLOC_OPTIONS=\"name=value,name=value\") "
             "or call (pm_option_set)\n");
    for (size_t i = 0; i < PM_OPTION_COUNT; i++)
        help_one(&pm_option_rows[i]);
}
