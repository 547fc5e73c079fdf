/* SPDX-License-Identifier: MIT */
/* Two hash tables, open addressing, at most half full. See strings.h. */
#include "strings.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_FIRST = 64 };

/* FNV-1a: any byte of a text moves it, and texts come from files, not from an enemy. */
static uint64_t hash_text(const char *text, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    return hash ^ hash >> 29;
}

/* Addresses differ in their middle bits; the table takes the low ones. */
static uint64_t hash_number(uint64_t number)
{
    number *= 0x9e3779b97f4a7c15u;
    return number ^ number >> 32;
}

static void strings_grow(struct strings *strings)
{
    struct strings wider = {.room = strings->room != 0 ? 2 * strings->room : ROOM_FIRST,
                            .count = strings->count};
    wider.slots = get_memory(wider.room * sizeof *wider.slots);
    for (size_t i = 0; i < strings->room; i++) {
        if (strings->slots[i] == NULL)
            continue;
        size_t at = hash_text(strings->slots[i], strlen(strings->slots[i])) & (wider.room - 1);
        while (wider.slots[at] != NULL)
            at = (at + 1) & (wider.room - 1);
        wider.slots[at] = strings->slots[i];
    }
    free(strings->slots);
    *strings = wider;
}

const char *strings_one(struct strings *strings, const char *text, size_t length)
{
    length = strnlen(text, length);
    if (2 * strings->count >= strings->room)
        strings_grow(strings);
    size_t at = hash_text(text, length) & (strings->room - 1);
    for (; strings->slots[at] != NULL; at = (at + 1) & (strings->room - 1)) {
        if (strncmp(strings->slots[at], text, length) == 0 && strings->slots[at][length] == 0)
            return strings->slots[at];
    }
    char *copy = get_memory(length + 1);
    memcpy(copy, text, length);
    strings->slots[at] = copy;
    strings->count++;
    return copy;
}

void strings_clear(struct strings *strings)
{
    for (size_t i = 0; i < strings->room; i++)
        free(strings->slots[i]);
    free(strings->slots);
    *strings = (struct strings){0};
}

static size_t numbers_slot(const struct numbers *numbers, uint64_t key)
{
    size_t at = hash_number(key) & (numbers->room - 1);
    while (numbers->taken[at] && numbers->keys[at] != key)
        at = (at + 1) & (numbers->room - 1);
    return at;
}

static void numbers_grow(struct numbers *numbers)
{
    struct numbers wider = {.room = numbers->room != 0 ? 2 * numbers->room : ROOM_FIRST,
                            .count = numbers->count};
    wider.keys = get_memory(wider.room * sizeof *wider.keys);
    wider.values = get_memory(wider.room * sizeof *wider.values);
    wider.taken = get_memory(wider.room * sizeof *wider.taken);
    for (size_t i = 0; i < numbers->room; i++) {
        if (!numbers->taken[i])
            continue;
        size_t at = numbers_slot(&wider, numbers->keys[i]);
        wider.keys[at] = numbers->keys[i];
        wider.values[at] = numbers->values[i];
        wider.taken[at] = true;
    }
    numbers_clear(numbers);
    *numbers = wider;
}

size_t *numbers_at(struct numbers *numbers, uint64_t key, bool *is_new)
{
    if (2 * numbers->count >= numbers->room)
        numbers_grow(numbers);
    size_t at = numbers_slot(numbers, key);
    *is_new = !numbers->taken[at];
    if (*is_new) {
        numbers->taken[at] = true;
        numbers->keys[at] = key;
        numbers->count++;
    }
    return &numbers->values[at];
}

void numbers_clear(struct numbers *numbers)
{
    free(numbers->keys);
    free(numbers->values);
    free(numbers->taken);
    *numbers = (struct numbers){0};
}
