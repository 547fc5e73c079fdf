/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: an input is the text of POOLMALLOC_OPTIONS. The parser must leave the options just
 * as its documentation says (README.md, "Options"; lib/base/options.h), which is written down here
 * a second time, as plainly as possible; and must warn once, in one line, of each setting that it
 * does not take.
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

/* Stands in for pm_warn. */
void __wrap_pm_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_pm_warn(const char *format, ...)
{
    static const char start[] = "POOLMALLOC_OPTIONS: ";
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    size_t length = pm_vformat(line, sizeof line, format, arguments);
    va_end(arguments);
    CHECK(length < 380, "a warning of %zu bytes does not fit a line", length);
    CHECK(strncmp(line, start, sizeof start - 1) == 0, "the warning \"%s\" names no culprit", line);
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

static bool set_bytes(size_t *field, const char *value, size_t length)
{
    size_t number;
    if (!read_number(value, length, true, &number))
        return false;
    *field = number;
    return true;
}

static bool set_count(size_t *field, const char *value, size_t length)
{
    size_t number;
    if (!read_number(value, length, false, &number))
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

static bool set_pages(char *field, const char *value, size_t length)
{
    static const char *const choices[] = {"default", "never", "always"};
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        if (is_name(value, length, choices[i])) {
            strcpy(field, choices[i]);
            return true;
        }
    }
    return false;
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
        return set_bytes(&wanted->window_bytes, value, rest);
    if (is_name(setting, name, "keep_bytes"))
        return set_bytes(&wanted->keep_bytes, value, rest);
    if (is_name(setting, name, "heap_keep_bytes"))
        return set_bytes(&wanted->heap_keep_bytes, value, rest);
    if (is_name(setting, name, "heaps_keep_bytes"))
        return set_bytes(&wanted->heaps_keep_bytes, value, rest);
    if (is_name(setting, name, "purge_delay_ms"))
        return set_count(&wanted->purge_delay_ms, value, rest);
    if (is_name(setting, name, "huge_pages"))
        return set_pages(wanted->huge_pages, value, rest);
    return is_name(setting, name, "stats_at_exit") && set_text(wanted->stats_at_exit, value, rest);
}

/* How many settings of the text are refused; the others are put into *wanted. */
static size_t refused(struct pm_options *wanted, const char *text)
{
    size_t count = 0;
    for (;;) {
        size_t length = strcspn(text, ",");
        count += length > 0 && !set(wanted, text, length);
        if (!text[length])
            return count;
        text += length + 1;
    }
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
    CHECK(now->purge_delay_ms == wanted->purge_delay_ms, "purge_delay_ms is %zu, not %zu",
          now->purge_delay_ms, wanted->purge_delay_ms);
    CHECK(strcmp(now->huge_pages, wanted->huge_pages) == 0, "huge_pages is \"%.16s\", not \"%s\"",
          now->huge_pages, wanted->huge_pages);
    CHECK(strcmp(now->stats_at_exit, wanted->stats_at_exit) == 0, "stats_at_exit is not \"%s\"",
          wanted->stats_at_exit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pm_options initial = pm_options, wanted = pm_options;
    size_t length = size ? strnlen((const char *)data, size) : 0;
    char *text = malloc(length + 1); /* exactly: a read beyond the end is seen */
    CHECK(text, "no memory");
    if (length > 0)
        memcpy(text, data, length);
    text[length] = 0;
    size_t count = refused(&wanted, text);
    warnings = 0;
    bool understood = pm_options_parse(text);
    CHECK(understood == (count == 0), "the parser says %d, but %zu settings are wrong", understood,
          count);
    CHECK(warnings == count, "%zu warnings of %zu wrong settings", warnings, count);
    compare(&pm_options, &wanted);
    free(text);
    pm_options = initial; /* the process has a destructor that obeys stats_at_exit */
    return 0;
}

void fuzz_finish(void) {}
