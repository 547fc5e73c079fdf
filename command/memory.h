/* SPDX-License-Identifier: MIT */
/*
 * Memory for the commands that read files. Without it there is nothing that they could do: these
 * functions say so and end the command with STATUS_FAILED.
 */
#ifndef PM_COMMAND_MEMORY_H
#define PM_COMMAND_MEMORY_H

#include <stddef.h>

/* Zeroed; the caller frees it. */
void *get_memory(size_t bytes);

/* Room for at least count items of item_bytes, of which the first *room were there before: like
 * realloc, and doubles what there was, so that adding one by one stays linear. */
void *get_room(void *items, size_t *room, size_t count, size_t item_bytes);

/* A formatted text; the caller frees it. */
char *get_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
