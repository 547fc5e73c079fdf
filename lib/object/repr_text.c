/* SPDX-License-Identifier: MIT */
/*
 * What repr() makes of strings and bytes: quotes, and escapes for what cannot be shown. Attached
 * threads.
 */
#include "object/repr.h"
#include "object/utf8.h"

#include <string.h>

enum { ESCAPE_MAX = sizeof "\\U0010ffff" - 1 };

/* Single ones, unless they would need escapes and double ones would not. */
static char quote_for(const char *text, size_t bytes)
{
    return memchr(text, '\'', bytes) != NULL && memchr(text, '"', bytes) == NULL ? '"' : '\'';
}

/* The escape that every reader knows by a letter, or that the quotes need; 0: there is none. */
static char letter_of(uint32_t point, char quote)
{
    switch (point) {
    case '\t':
        return 't';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\\':
        return '\\';
    default:
        return point == (unsigned char)quote ? quote : 0;
    }
}

/* Writes what stands for the code point; 0: it stands for itself. */
static size_t escape(char text[ESCAPE_MAX], uint32_t point, char quote, bool is_shown)
{
    static const char digits[] = "0123456789abcdef";
    char letter = letter_of(point, quote);
    if (letter == 0 && is_shown)
        return 0;
    text[0] = '\\';
    text[1] = letter != 0 ? letter : point < 0x100 ? 'x' : point < 0x10000 ? 'u' : 'U';
    if (letter != 0)
        return 2;
    unsigned width = text[1] == 'x' ? 2 : text[1] == 'u' ? 4 : 8;
    for (unsigned i = 0; i < width; i++)
        text[2 + i] = digits[point >> 4 * (width - 1 - i) & 15];
    return 2 + width;
}

struct pm_object *pm_str_repr(struct pm_object *object)
{
    const struct pm_str *string = (struct pm_str *)object;
    size_t bytes = string->var.count, written = 0;
    char quote = quote_for(string->text, bytes), text[ESCAPE_MAX];
    struct pm_writer writer = {0};
    pm_writer_add(&writer, &quote, 1);
    for (size_t at = 0, next; at < bytes; at = next) {
        uint32_t point = pm_utf8_get(string->text + at);
        next = at + pm_utf8_width((unsigned char)string->text[at]);
        size_t escaped = escape(text, point, quote, pm_is_printable(point));
        if (escaped == 0)
            continue;
        pm_writer_add(&writer, string->text + written, at - written);
        pm_writer_add(&writer, text, escaped);
        written = next;
    }
    pm_writer_add(&writer, string->text + written, bytes - written);
    pm_writer_add(&writer, &quote, 1);
    return pm_writer_finish(&writer);
}

struct pm_object *pm_bytes_repr(struct pm_object *object)
{
    const struct pm_bytes *bytes = (struct pm_bytes *)object;
    const char *data = (const char *)bytes->data;
    char quote = quote_for(data, bytes->var.count), text[ESCAPE_MAX];
    struct pm_writer writer = {0};
    pm_writer_add(&writer, "b", 1);
    pm_writer_add(&writer, &quote, 1);
    for (size_t i = 0; i < bytes->var.count; i++) {
        bool is_shown = bytes->data[i] >= ' ' && bytes->data[i] < 0x7f;
        size_t escaped = escape(text, bytes->data[i], quote, is_shown);
        pm_writer_add(&writer, escaped > 0 ? text : data + i, escaped > 0 ? escaped : 1);
    }
    pm_writer_add(&writer, &quote, 1);
    return pm_writer_finish(&writer);
}
