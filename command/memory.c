/* SPDX-License-Identifier: MIT */
/* Memory or the end. See memory.h. */
#define _GNU_SOURCE /* vasprintf */
#include "memory.h"
#include "command.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static _Noreturn void fail(void)
{
    complain("out of memory");
    exit(STATUS_FAILED);
}

void *get_memory(size_t bytes)
{
    void *memory = calloc(1, bytes != 0 ? bytes : 1);
    if (memory == NULL)
        fail();
    return memory;
}

void *get_room(void *items, size_t *room, size_t count, size_t item_bytes)
{
    if (count <= *room)
        return items;
    size_t wanted = *room < 8 ? 16 : *room;
    while (wanted < count && wanted < SIZE_MAX / 2)
        wanted *= 2;
    items = reallocarray(items, wanted, item_bytes);
    if (items == NULL || wanted < count)
        fail();
    *room = wanted;
    return items;
}

char *get_text(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        fail();
    return text;
}
