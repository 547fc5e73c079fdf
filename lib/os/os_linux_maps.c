/* SPDX-License-Identifier: MIT */
/* The os layer on Linux: what is mapped where, from /proc/self/maps. See os.h. */
#define _GNU_SOURCE /* syscall */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { TEXT_BYTES = 4096 + 512 }; /* a line with the longest path is whole */

struct reader {
    int file;
    size_t used, at; /* bytes of text; where the next line starts */
    char text[TEXT_BYTES];
};

static bool read_more(struct reader *r)
{
    memmove(r->text, r->text + r->at, r->used - r->at);
    r->used -= r->at;
    r->at = 0;
    long got;
    do
        got = syscall(SYS_read, r->file, r->text + r->used, sizeof r->text - r->used);
    while (got < 0 && errno == EINTR);
    r->used += got > 0 ? (size_t)got : 0;
    return got > 0;
}

/* NULL: the end. What is longer than the room ends the reading, too. */
static char *next_line(struct reader *r)
{
    char *end;
    while ((end = memchr(r->text + r->at, '\n', r->used - r->at)) == NULL) {
        if (!read_more(r))
            return NULL;
    }
    char *line = r->text + r->at;
    *end = 0;
    r->at = (size_t)(end + 1 - r->text);
    return line;
}

static const char *parse_hex(const char *text, uint64_t *number)
{
    for (*number = 0;; text++) {
        unsigned char c = (unsigned char)*text, letter = (unsigned char)(c | 0x20);
        if (c >= '0' && c <= '9')
            *number = *number << 4 | (uint64_t)(c - '0');
        else if (letter >= 'a' && letter <= 'f')
            *number = *number << 4 | (uint64_t)(letter - 'a' + 10);
        else
            return text;
    }
}

/* "start-end rwxp offset device inode     name" */
static void parse(const char *line, struct pm_os_mapping *m)
{
    uint64_t start, end, offset;
    line = parse_hex(line, &start);
    line = parse_hex(line + (*line == '-'), &end);
    m->executable = strlen(line) > 3 && line[3] == 'x';
    while (*line == ' ')
        line++;
    line += strcspn(line, " ");
    parse_hex(line + strspn(line, " "), &offset);
    const char *name = strpbrk(line, "/[");
    m->start = (uintptr_t)start;
    m->end = (uintptr_t)end;
    m->offset = offset;
    m->name = name != NULL ? name : "";
}

bool pm_os_each_mapping(bool (*visit)(const struct pm_os_mapping *mapping, void *arg), void *arg)
{
    int saved_errno = errno;
    struct reader reader = {.file = -1};
    struct pm_os_mapping mapping;
    char *line;
    if (!pm_os_fault_now(PM_OS_READ))
        reader.file =
            (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    bool opened = reader.file >= 0, goes_on = opened;
    while (goes_on && (line = next_line(&reader)) != NULL) {
        parse(line, &mapping);
        goes_on = visit(&mapping, arg);
    }
    if (opened)
        syscall(SYS_close, reader.file);
    errno = saved_errno;
    return opened;
}
