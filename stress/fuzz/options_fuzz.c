/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: an input is the text of POOLMALLOC_OPTIONS. The parser must leave the options just
 * as its documentation says (docs/options.md; lib/base/options.h), which is written down here a
 * second time, as plainly as possible; and must warn once, in one line, of each setting that it
 * does not take. The same text is then parsed as that of a file.
 *
 * The warnings are caught by the linker's --wrap, so that they are not written and can be looked
 * at. One thread.
 */
#include "base/options.h"
#include "base/report.h"
#include "check.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

static size_t warnings;
static const char *source; /* that warnings must name */

/* Stands in for pm_warn. */
void __wrap_pm_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_pm_warn(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    size_t length = pm_vformat(line, sizeof line, format, arguments);
    va_end(arguments);
    CHECK(length < 380, "a warning of %zu bytes does not fit a line", length);
    CHECK(strncmp(line, source, strlen(source)) == 0 && line[strlen(source)] == ':',
          "the warning \"%s\" names no culprit", line);
    for (size_t i = 0; i < length; i++)
        CHECK((unsigned char)line[i] >= ' ' && line[i] != 127,
              "byte %zu of a warning is the control character %d", i, line[i]);
    warnings++;
}

/* ---- the documentation, as code ---- */

static bool is_name(const char *setting, size_t length, const char *name)
{
    return length == strlen(name) && memcmp(setting, name, length) == 0;
}

/* Digits, and for sizes perhaps one of k, m, g, t, in either case; what fits a size_t. */
static bool read_number(const char *text, size_t length, bool units, size_t *number)
{
    static const char letters[] = "kKmMgGtT";
    __uint128_t n = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits > length)
        digits = length;
    for (size_t i = 0; i < digits; i++) {
        n = n * 10 + (unsigned)(text[i] - '0');
        if (n > SIZE_MAX)
            return false;
    }
    if (digits == 0 || length > digits + 1)
        return false;
    if (length == digits + 1) {
        const char *letter = memchr(letters, text[digits], sizeof letters - 1);
        if (!units || !letter)
            return false;
        n <<= 10 * ((letter - letters) / 2 + 1);
    }
    *number = (size_t)n;
    return n <= SIZE_MAX;
}

/* One to four digits from *at on, as many as there are. */
static bool pass_number(const char **at, const char *end)
{
    const char *first = *at;
    while (*at < end && **at >= '0' && **at <= '9')
        ++*at;
    return *at > first && *at - first <= 4;
}

/* N and M in the word stand for numbers. */
static bool is_word(const char *word, size_t word_length, const char *value, size_t length)
{
    const char *end = value + length;
    for (; word_length > 0; word++, word_length--) {
        if (*word == 'N' || *word == 'M') {
            if (!pass_number(&value, end))
                return false;
        } else if (value == end || *value++ != *word) {
            return false;
        }
    }
    return value == end;
}

/* The table's text begins with the choices, separated by bars, and a colon and a blank end them. */
static bool is_choice(const char *doc, const char *value, size_t length)
{
    const char *end = strstr(doc, ": ");
    CHECK(end, "no choices in \"%s\"", doc);
    for (const char *word = doc;; word++) {
        const char *bar = memchr(word, '|', (size_t)(end - word)), *last = bar ? bar : end;
        if (is_word(word, (size_t)(last - word), value, length))
            return true;
        if (!bar)
            return false;
        word = bar;
    }
}

static bool set_text(char *field, size_t room, const char *value, size_t length)
{
    if (length >= room)
        return false;
    memset(field, 0, room);
    memcpy(field, value, length);
    return true;
}

static bool set_number(_Atomic size_t *field, const struct pm_option *option, const char *value,
                       size_t length)
{
    size_t number;
    if (!read_number(value, length, option->kind == PM_OPTION_BYTES, &number) ||
        number < option->least || number > option->most)
        return false;
    *field = number;
    return true;
}

static void *field_of(struct pm_options *options, const struct pm_option *option)
{
    return (char *)options + option->offset;
}

/* False: the setting is to be refused, and changes nothing. Which options there are, and within
 * what bounds, the table says; how values are read is written here once more. */
static bool set(struct pm_options *wanted, const char *setting, size_t length)
{
    const char *equals = memchr(setting, '=', length);
    if (!equals)
        return false;
    size_t name = (size_t)(equals - setting), rest = length - name - 1;
    const char *value = equals + 1;
    for (unsigned i = 0; i < PM_OPTION_COUNT; i++) {
        const struct pm_option *option = &pm_option_rows[i];
        void *field = field_of(wanted, option);
        if (!is_name(setting, name, option->name))
            continue;
        if (pm_option_is_number(option))
            return set_number(field, option, value, rest);
        if (option->kind == PM_OPTION_TEXT)
            return set_text(field, PM_OPTION_TEXT_BYTES, value, rest);
        return is_choice(option->doc, value, rest) &&
               set_text(field, PM_OPTION_CHOICE_BYTES, value, rest);
    }
    return false;
}

/* How many settings of the text are refused; the others are put into *wanted. "help" is one. */
static size_t refused(struct pm_options *wanted, const char *text)
{
    size_t count = 0;
    for (;;) {
        size_t length = strcspn(text, ",");
        if (length > 0 && !is_name(text, length, "help"))
            count += !set(wanted, text, length);
        if (!text[length])
            return count;
        text += length + 1;
    }
}

/* The same of a file, and of a text that is overwritten: comments go first, then lines are commas,
 * and blanks around settings do not belong to them. */
static size_t refused_of_file(struct pm_options *wanted, char *text)
{
    size_t count = 0;
    for (char *at = text; (at = strchr(at, '#')) != NULL;)
        memset(at, ',', strcspn(at, "\n"));
    for (char *at = text; (at = strchr(at, '\n')) != NULL;)
        *at = ',';
    for (char *setting = strtok(text, ","); setting != NULL; setting = strtok(NULL, ",")) {
        setting += strspn(setting, " \t\r");
        size_t length = strlen(setting);
        while (length > 0 && strchr(" \t\r", setting[length - 1]) != NULL)
            length--;
        setting[length] = 0;
        count += length > 0 && !set(wanted, setting, length);
    }
    return count;
}

/* ---- the target ---- */

static void compare(struct pm_options *now, struct pm_options *wanted)
{
    for (unsigned i = 0; i < PM_OPTION_COUNT; i++) {
        const struct pm_option *option = &pm_option_rows[i];
        void *is = field_of(now, option), *should_be = field_of(wanted, option);
        if (pm_option_is_number(option))
            CHECK(*(_Atomic size_t *)is == *(_Atomic size_t *)should_be, "%s is %zu, not %zu",
                  option->name, *(_Atomic size_t *)is, *(_Atomic size_t *)should_be);
        else
            CHECK(strcmp(is, should_be) == 0, "%s is \"%s\", not \"%s\"", option->name, (char *)is,
                  (char *)should_be);
    }
}

static void parse_as_variable(const char *text, const struct pm_options *initial)
{
    struct pm_options wanted = *initial;
    size_t count = refused(&wanted, text);
    warnings = 0;
    source = "POOLMALLOC_OPTIONS";
    bool understood = pm_options_parse(text);
    CHECK(understood == (count == 0), "the parser says %d, but %zu settings are wrong", understood,
          count);
    CHECK(warnings == count, "%zu warnings of %zu wrong settings", warnings, count);
    compare(&pm_options, &wanted);
}

/* Overwrites the text. */
static void parse_as_file(char *text, size_t length, const struct pm_options *initial)
{
    struct pm_options wanted = *initial;
    warnings = 0;
    source = "/etc/a-file";
    bool understood = pm_options_parse_file(source, text, length);
    size_t count = refused_of_file(&wanted, text);
    CHECK(understood == (count == 0), "of a file the parser says %d, but %zu settings are wrong",
          understood, count);
    CHECK(warnings == count, "%zu warnings of %zu wrong settings of a file", warnings, count);
    compare(&pm_options, &wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pm_options initial = pm_options;
    size_t length = size ? strnlen((const char *)data, size) : 0;
    char *text = malloc(length + 1); /* exactly: a read beyond the end is seen */
    CHECK(text, "no memory");
    if (length > 0)
        memcpy(text, data, length);
    text[length] = 0;
    parse_as_variable(text, &initial);
    pm_options = initial;
    parse_as_file(text, length, &initial);
    free(text);
    pm_options = initial; /* the process has a destructor that obeys stats_at_exit */
    return 0;
}

void fuzz_finish(void) {}
