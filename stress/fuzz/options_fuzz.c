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

static bool set_bytes(_Atomic size_t *field, const char *value, size_t length, size_t most)
{
    size_t number;
    if (!read_number(value, length, true, &number) || number > most)
        return false;
    *field = number;
    return true;
}

static bool set_count(_Atomic size_t *field, const char *value, size_t length, size_t most)
{
    size_t number;
    if (!read_number(value, length, false, &number) || number > most)
        return false;
    *field = number;
    return true;
}

static bool set_text(char *field, const char *value, size_t length)
{
    if (length >= PM_OPTION_TEXT_BYTES)
        return false;
    memset(field, 0, PM_OPTION_TEXT_BYTES);
    memcpy(field, value, length);
    return true;
}

static bool set_choice(char *field, const char *value, size_t length, const char *a, const char *b,
                       const char *c)
{
    if (!is_name(value, length, a) && !is_name(value, length, b) && !is_name(value, length, c))
        return false;
    memset(field, 0, PM_OPTION_CHOICE_BYTES);
    memcpy(field, value, length);
    return true;
}

/* One to four digits. */
static bool is_node(const char *text, size_t length)
{
    return length >= 1 && length <= 4 && strspn(text, "0123456789") >= length;
}

static bool set_nodes(char *field, const char *value, size_t length)
{
    const char *dash = memchr(value, '-', length);
    size_t first = (dash ? (size_t)(dash - value) : length) - 5;
    if (length < 6 || memcmp(value, "bind:", 5) != 0)
        return set_choice(field, value, length, "default", "interleave", "default");
    if (!is_node(value + 5, first) || (dash && !is_node(dash + 1, length - first - 6)))
        return false;
    memset(field, 0, PM_OPTION_CHOICE_BYTES);
    memcpy(field, value, length);
    return true;
}

/* False: the setting is to be refused, and changes nothing. */
static bool set(struct pm_options *wanted, const char *setting, size_t length)
{
    const char *equals = memchr(setting, '=', length);
    if (!equals)
        return false;
    size_t name = (size_t)(equals - setting), rest = length - name - 1;
    const char *value = equals + 1;
    if (is_name(setting, name, "window_bytes"))
        return set_bytes(&wanted->window_bytes, value, rest, (size_t)4 << 40);
    if (is_name(setting, name, "limit_bytes"))
        return set_bytes(&wanted->limit_bytes, value, rest, SIZE_MAX);
    if (is_name(setting, name, "keep_bytes"))
        return set_bytes(&wanted->keep_bytes, value, rest, SIZE_MAX);
    if (is_name(setting, name, "heap_keep_bytes"))
        return set_bytes(&wanted->heap_keep_bytes, value, rest, SIZE_MAX);
    if (is_name(setting, name, "heaps_keep_bytes"))
        return set_bytes(&wanted->heaps_keep_bytes, value, rest, SIZE_MAX);
    if (is_name(setting, name, "purge_delay_ms"))
        return set_count(&wanted->purge_delay_ms, value, rest, 31536000000);
    if (is_name(setting, name, "huge_pages"))
        return set_choice(wanted->huge_pages, value, rest, "default", "never", "always");
    if (is_name(setting, name, "cgroup"))
        return set_choice(wanted->cgroup, value, rest, "off", "purge", "limit");
    if (is_name(setting, name, "core_dump"))
        return set_choice(wanted->core_dump, value, rest, "default", "all", "tables");
    if (is_name(setting, name, "mapping_names"))
        return set_choice(wanted->mapping_names, value, rest, "on", "off", "off");
    if (is_name(setting, name, "numa"))
        return set_nodes(wanted->numa, value, rest);
    return is_name(setting, name, "stats_at_exit") && set_text(wanted->stats_at_exit, value, rest);
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

static void compare(const struct pm_options *now, const struct pm_options *wanted)
{
    CHECK(now->window_bytes == wanted->window_bytes, "window_bytes is %zu, not %zu",
          now->window_bytes, wanted->window_bytes);
    CHECK(now->keep_bytes == wanted->keep_bytes, "keep_bytes is %zu, not %zu", now->keep_bytes,
          wanted->keep_bytes);
    CHECK(now->heap_keep_bytes == wanted->heap_keep_bytes, "heap_keep_bytes is %zu, not %zu",
          now->heap_keep_bytes, wanted->heap_keep_bytes);
    CHECK(now->heaps_keep_bytes == wanted->heaps_keep_bytes, "heaps_keep_bytes is %zu, not %zu",
          now->heaps_keep_bytes, wanted->heaps_keep_bytes);
    CHECK(now->limit_bytes == wanted->limit_bytes, "limit_bytes is %zu, not %zu", now->limit_bytes,
          wanted->limit_bytes);
    CHECK(now->purge_delay_ms == wanted->purge_delay_ms, "purge_delay_ms is %zu, not %zu",
          now->purge_delay_ms, wanted->purge_delay_ms);
    CHECK(strcmp(now->huge_pages, wanted->huge_pages) == 0, "huge_pages is \"%.16s\", not \"%s\"",
          now->huge_pages, wanted->huge_pages);
    CHECK(strcmp(now->core_dump, wanted->core_dump) == 0, "core_dump is \"%.16s\", not \"%s\"",
          now->core_dump, wanted->core_dump);
    CHECK(strcmp(now->cgroup, wanted->cgroup) == 0, "cgroup is not \"%s\"", wanted->cgroup);
    CHECK(strcmp(now->mapping_names, wanted->mapping_names) == 0, "mapping_names is not \"%s\"",
          wanted->mapping_names);
    CHECK(strcmp(now->numa, wanted->numa) == 0, "numa is \"%.16s\", not \"%s\"", now->numa,
          wanted->numa);
    CHECK(strcmp(now->stats_at_exit, wanted->stats_at_exit) == 0, "stats_at_exit is not \"%s\"",
          wanted->stats_at_exit);
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
