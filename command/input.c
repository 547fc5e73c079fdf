/* SPDX-License-Identifier: MIT */
/* Reads files, and what comes next in them. See input.h. */
#include "input.h"
#include "command.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHOWN_MAX = 24, PIECE_BYTES = 1 << 16 };

/* 0, or an errno. */
static int read_all(struct input *input, int file)
{
    size_t room = 0;
    for (;;) {
        input->text = get_room(input->text, &room, input->length + PIECE_BYTES, 1);
        ssize_t length = read(file, input->text + input->length, room - input->length - 1);
        if (length < 0 && errno != EINTR)
            return errno;
        if (length == 0)
            break;
        input->length += length > 0 ? (size_t)length : 0;
    }
    input->text[input->length] = 0;
    return 0;
}

bool input_read(struct input *input, const char *path)
{
    struct stat status;
    *input = (struct input){.path = path};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    int error = file < 0 ? errno : read_all(input, file);
    if (file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode))
        input->written = status.st_mtime;
    if (file >= 0)
        close(file);
    if (error != 0)
        complain("%s: %s", path, strerror(error));
    return error == 0;
}

void input_free(struct input *input)
{
    free(input->text);
    *input = (struct input){0};
}

/* What is there, for a message: no more than is needed to recognise it, and nothing odd. */
static void copy_shown(char shown[SHOWN_MAX + 3], const char *text, size_t length)
{
    size_t count = 0;
    for (; count < length && count < SHOWN_MAX && text[count] != '\n'; count++)
        shown[count] = text[count] >= ' ' && text[count] <= '~' ? text[count] : '?';
    shown[count] = 0;
}

bool input_fail(struct input *input, size_t offset, const char *expected)
{
    char shown[SHOWN_MAX + 3];
    if (input->has_failed)
        return false;
    input->has_failed = true;
    copy_shown(shown, input->text + offset, input->length - offset);
    /* Every line has an end: of one that has none the rest is missing. */
    bool is_cut = offset > 0 && memchr(input->text + offset, '\n', input->length - offset) == NULL;
    if (is_cut || offset == input->length)
        complain("%s: offset %zu: truncated: expected %s", input->path, offset, expected);
    else if (input->text[offset] == '\n')
        complain("%s: offset %zu: expected %s, not the end of the line", input->path, offset,
                 expected);
    else
        complain("%s: offset %zu: expected %s, not \"%s\"", input->path, offset, expected, shown);
    return false;
}

bool input_skip(struct input *input, const char *text)
{
    size_t length = strlen(text);
    if (input->has_failed || input->length - input->at < length ||
        memcmp(input->text + input->at, text, length) != 0)
        return false;
    input->at += length;
    return true;
}

bool input_expect(struct input *input, const char *text)
{
    if (input_skip(input, text))
        return true;
    char *expected = get_text("\"%s\"", text);
    input_fail(input, input->at, expected);
    free(expected);
    return false;
}

void input_blanks(struct input *input)
{
    while (input->text[input->at] == ' ')
        input->at++;
}

static int digit_of(char letter, unsigned base)
{
    int digit = letter >= '0' && letter <= '9'   ? letter - '0'
                : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10
                : letter >= 'A' && letter <= 'F' ? letter - 'A' + 10
                                                 : 99;
    return digit < (int)base ? digit : -1;
}

static bool read_number(struct input *input, unsigned base, uint64_t *number)
{
    size_t start = input->at;
    *number = 0;
    if (input->has_failed)
        return false;
    for (int digit; (digit = digit_of(input->text[input->at], base)) >= 0; input->at++) {
        if (__builtin_mul_overflow(*number, base, number) ||
            __builtin_add_overflow(*number, (unsigned)digit, number))
            return input_fail(input, start, "a number below 2^64");
    }
    return input->at > start || input_fail(input, start, "a number");
}

bool input_decimal(struct input *input, uint64_t *number)
{
    return read_number(input, 10, number);
}

bool input_hexadecimal(struct input *input, uint64_t *number)
{
    return input_expect(input, "0x") && read_number(input, 16, number);
}

bool input_end_line(struct input *input)
{
    return input_skip(input, "\n") || input_fail(input, input->at, "the end of the line");
}

bool input_at_end(const struct input *input)
{
    return input->at == input->length;
}

void input_pass_line(struct input *input)
{
    const char *end = memchr(input->text + input->at, '\n', input->length - input->at);
    input->at = end != NULL ? (size_t)(end - input->text) + 1 : input->length;
}
