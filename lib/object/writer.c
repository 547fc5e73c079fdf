/* SPDX-License-Identifier: MIT */
/* Text that grows (repr.h). Any thread; the strings are for attached ones. */
#include "object/repr.h"
#include "object/utf8.h"

#include "poolmalloc/domains.h"

#include <errno.h>
#include <string.h>

#define ROOM_MIN 64

static bool make_room(struct pm_writer *writer, size_t bytes)
{
    size_t needed, room = writer->room < ROOM_MIN ? ROOM_MIN : writer->room;
    if (__builtin_add_overflow(writer->bytes, bytes, &needed) || needed > PTRDIFF_MAX) {
        writer->error = ENOMEM;
        return false;
    }
    if (needed <= writer->room)
        return true;
    while (room < needed)
        room *= 2;
    char *text = pm_raw_realloc(writer->text, room);
    if (text == NULL) {
        writer->error = ENOMEM;
        return false;
    }
    writer->text = text;
    writer->room = room;
    return true;
}

void pm_writer_add(struct pm_writer *writer, const char *text, size_t bytes)
{
    if (writer->error != 0 || bytes == 0 || !make_room(writer, bytes))
        return;
    memcpy(writer->text + writer->bytes, text, bytes);
    writer->bytes += bytes;
}

void pm_writer_add_str(struct pm_writer *writer, struct pm_object *string)
{
    if (string == NULL && writer->error == 0)
        writer->error = errno;
    if (string == NULL)
        return;
    pm_writer_add(writer, pm_str_text(string), pm_str_bytes(string));
    pm_decref(string);
}

struct pm_object *pm_writer_finish(struct pm_writer *writer)
{
    struct pm_str *string = NULL;
    if (writer->error == 0) {
        size_t points = pm_utf8_count(writer->text, writer->bytes);
        string = pm_str_of_good(writer->text, writer->bytes, points);
        writer->error = string == NULL ? errno : 0;
    }
    pm_raw_free(writer->text);
    if (string != NULL)
        return &string->var.object;
    errno = writer->error;
    return NULL;
}
