/* SPDX-License-Identifier: MIT */
/*
 * A whole file in memory, and a place in it, for the readers of recordings. Each function that
 * finds something else than it expected says so once, as "PATH: offset N: ..." on stderr; from
 * then on all fail without a word. One thread.
 */
#ifndef PM_COMMAND_INPUT_H
#define PM_COMMAND_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct input {
    const char *path;
    char *text; /* has a zero byte behind its end */
    size_t length, at;
    time_t written; /* when the file was last written to; 0: not known */
    bool has_failed;
};

/* Reads the file to its end; it may be a pipe. False: it cannot be read, as was said. */
bool input_read(struct input *input, const char *path);
void input_free(struct input *input);

/* Says that at this offset something else was expected, with what is there. Returns false. */
bool input_fail(struct input *input, size_t offset, const char *expected);

/* Whether the text comes next; it is passed over if so. Complains of nothing. */
bool input_skip(struct input *input, const char *text);

/* It must come next. */
bool input_expect(struct input *input, const char *text);

/* Passes over blanks, of which there need be none. */
void input_blanks(struct input *input);

/* A number must come next; hexadecimal ones are 0x and digits. */
bool input_decimal(struct input *input, uint64_t *number);
bool input_hexadecimal(struct input *input, uint64_t *number);

/* The end of a line must come next. */
bool input_end_line(struct input *input);

bool input_at_end(const struct input *input);

/* Passes over the rest of the line, with its end. */
void input_pass_line(struct input *input);

#endif
