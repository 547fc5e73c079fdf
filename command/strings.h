/* SPDX-License-Identifier: MIT */
/*
 * What is looked up by content: texts, of which equal ones become one pointer, and numbers. Both
 * grow as is needed and end the command where there is no memory (memory.h). One thread.
 */
#ifndef PM_COMMAND_STRINGS_H
#define PM_COMMAND_STRINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: empty. */
struct strings {
    char **slots; /* a hash table, NULL where nothing is; each text is freed with the table */
    size_t room;  /* of slots: a power of two, or 0 */
    size_t count;
};

/* The one text that equals the first length bytes; stays until strings_clear. A zero byte among
 * them ends it. */
const char *strings_one(struct strings *strings, const char *text, size_t length);
void strings_clear(struct strings *strings);

/* From a number to another. All zero: empty. */
struct numbers {
    uint64_t *keys;
    size_t *values;
    bool *taken;
    size_t room;
    size_t count;
};

/* Where the value of the key is, until the next call; is_new: it was not there, and is 0 now. */
size_t *numbers_at(struct numbers *numbers, uint64_t key, bool *is_new);
void numbers_clear(struct numbers *numbers);

#endif
