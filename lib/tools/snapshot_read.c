/* SPDX-License-Identifier: MIT */
/*
 * Snapshots from files, of the form that docs/snapshots.md describes. A line at a time, through a
 * buffer, so that it takes time by the length of the file and memory by what is in it. Whatever is
 * wrong is told by file, offset and what was expected there.
 */
#include "base/bits.h"
#include "base/report.h"
#include "os/os.h"
#include "tools/snapshot_internal.h"

#include <errno.h>
#include <string.h>

enum { BUFFER_BYTES = 1 << 21, FRAMES_MAX = UINT16_MAX };

struct reader {
    int file;
    const char *name;
    char *error; /* the caller's, for a text */
    size_t error_room;
    int errno_value; /* of the first thing that was wrong, or 0 */
    pm_snapshot *snapshot;
    char *buffer;
    size_t next, used; /* in the buffer */
    uint64_t offset;   /* in the file, of the start of the buffer */
    const char *line;  /* the current one, in the buffer */
    size_t length;     /* without its newline */
    uint64_t *frames;  /* room for those of a row */
    uint64_t rows, rows_expected;
};

#define ANY_ROWS UINT64_MAX

/* ---- what is wrong ---- */

/* Returns false, for its callers to return. */
static bool fail(struct reader *r, int errno_value, uint64_t offset, const char *what,
                 const char *more)
{
    r->errno_value = errno_value;
    if (r->error_room != 0)
        pm_format(r->error, r->error_room, "%s: offset %lu: %s%s", r->name, (unsigned long)offset,
                  what, more);
    return false;
}

static uint64_t offset_of(const struct reader *r, const char *at)
{
    return r->offset + (uint64_t)(at - r->buffer);
}

static bool fail_expected(struct reader *r, const char *at, const char *what)
{
    return fail(r, EINVAL, offset_of(r, at), "expected ", what);
}

static bool fail_truncated(struct reader *r)
{
    return fail(r, EINVAL, r->offset + r->used, "truncated: the line `end` is missing", "");
}

static bool fail_memory(struct reader *r)
{
    return fail(r, ENOMEM, offset_of(r, r->line), "out of memory", "");
}

/* ---- lines ---- */

/* More of the file behind what is there; *ended: there is no more. */
static bool refill(struct reader *r, bool *ended)
{
    if (r->next != 0) /* a long line comes in many pieces: it is moved once */
        memmove(r->buffer, r->buffer + r->next, r->used - r->next);
    r->offset += r->next;
    r->used -= r->next;
    r->next = 0;
    r->line = r->buffer;
    if (r->used == BUFFER_BYTES)
        return fail_expected(r, r->buffer, "a shorter line");
    long got = pm_os_read(r->file, r->buffer + r->used, BUFFER_BYTES - r->used);
    if (got < 0)
        return fail(r, (int)-got, r->offset + r->used, strerror((int)-got), "");
    *ended = got == 0;
    r->used += (size_t)got;
    pm_memory_mark(r->buffer, r->used, BUFFER_BYTES);
    return true;
}

/* *ended: there is no line any more, or one without a newline. False: it cannot be read. */
static bool get_line(struct reader *r, bool *ended)
{
    size_t searched = 0;
    for (*ended = false;;) {
        const char *from = r->buffer + r->next;
        const char *newline = memchr(from + searched, '\n', r->used - r->next - searched);
        if (newline != NULL) {
            r->line = from;
            r->length = (size_t)(newline - from);
            r->next += r->length + 1;
            return true;
        }
        searched = r->used - r->next;
        if (!refill(r, ended))
            return false;
        if (*ended)
            return true;
    }
}

static bool next_line(struct reader *r)
{
    bool ended;
    if (!get_line(r, &ended))
        return false;
    return ended ? fail_truncated(r) : true;
}

static bool line_is(const struct reader *r, const char *text)
{
    return r->length == strlen(text) && memcmp(r->line, text, r->length) == 0;
}

/* ---- the head ---- */

/* A file that is no snapshot may be one line that never ends. */
static bool read_first_line(struct reader *r)
{
    static const char first[] = PM_SNAPSHOT_FIRST_LINE;
    const size_t length = sizeof first - 1;
    static const char no_snapshot[] = "not a snapshot: expected the line `poolmalloc snapshot 1`";
    uint64_t version;
    bool ended = false;
    while (r->used < length && !ended) {
        if (!refill(r, &ended))
            return false;
    }
    if (memcmp(r->buffer, first, r->used < length ? r->used : length) != 0 || r->used == 0)
        return fail(r, EINVAL, 0, no_snapshot, "");
    if (!next_line(r))
        return false;
    const char *at = r->line + length, *end = r->line + r->length;
    if (r->length < length || !pm_text_get_decimal(&at, end, &version) || at != end)
        return fail(r, EINVAL, 0, no_snapshot, "");
    char text[PM_SNAPSHOT_NUMBER_BYTES + 1] = {0};
    pm_text_put_decimal(text, version);
    return version == PM_SNAPSHOT_VERSION ||
           fail(r, EINVAL, length, "expected version 1, the one that is known here, not ", text);
}

/* What a key says; NULL: this version does not know it, and does not need it. */
static uint64_t *number_of_key(struct reader *r, const char *key, size_t length)
{
    const struct {
        const char *key;
        uint64_t *number;
    } keys[] = {
        {"pid", &r->snapshot->about.process_id},
        {"traceback_limit", &r->snapshot->about.traceback_limit},
        {"traced_bytes", &r->snapshot->about.traced_bytes},
        {"peak_bytes", &r->snapshot->about.peak_bytes},
        {"stacks", &r->rows_expected},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strlen(keys[i].key) == length && memcmp(keys[i].key, key, length) == 0)
            return keys[i].number;
    }
    return NULL;
}

static bool read_key(struct reader *r)
{
    const char *end = r->line + r->length, *at = memchr(r->line, ' ', r->length);
    if (at == NULL)
        return fail_expected(r, r->line, "`KEY VALUE`, a row, or an empty line");
    size_t length = (size_t)(at++ - r->line);
    uint64_t *number = number_of_key(r, r->line, length);
    if (number != NULL)
        return (pm_text_get_decimal(&at, end, number) && at == end) ||
               fail_expected(r, at, "a number and the end of the line");
    if (length == 4 && memcmp(r->line, "time", 4) == 0)
        return (pm_text_get_time(&at, end, &r->snapshot->about.time_s) && at == end) ||
               fail_expected(r, at, "a time `YYYY-MM-DDThh:mm:ssZ`");
    if (length == 7 && memcmp(r->line, "program", 7) == 0)
        return pm_snapshot_set_program(r->snapshot, at, (size_t)(end - at)) || fail_memory(r);
    return true;
}

/* ---- the rows ---- */

/* A number and the text behind it. */
static bool read_number(struct reader *r, const char **at, uint64_t *number, char then,
                        const char *what)
{
    const char *start = *at, *end = r->line + r->length;
    if (!pm_text_get_decimal(at, end, number) || *at == end || **at != then)
        return fail_expected(r, start, what);
    (*at)++;
    return true;
}

static bool read_frames(struct reader *r, const char *at, unsigned *count)
{
    const char *end = r->line + r->length;
    for (*count = 0; at < end; (*count)++) {
        const char *start = at;
        if (*count == FRAMES_MAX)
            return fail_expected(r, at, "the end of the line, after so many frames");
        bool begins = end - at > 3 && memcmp(at, " 0x", 3) == 0;
        at += begins ? 3 : 0;
        if (!begins || !pm_text_get_hex(&at, end, &r->frames[*count]) || (at < end && *at != ' '))
            return fail_expected(r, start, "an address ` 0x...`");
    }
    return true;
}

static bool read_row(struct reader *r)
{
    const char *at = r->line;
    uint64_t blocks, bytes, domain;
    unsigned count;
    if (!read_number(r, &at, &blocks, ' ', "a number of blocks and a blank") ||
        !read_number(r, &at, &bytes, ' ', "a number of bytes and a blank") ||
        !read_number(r, &at, &domain, ' ', "the number of a domain and a blank"))
        return false;
    if (domain > UINT32_MAX || at == r->line + r->length || *at != '@')
        return fail_expected(r, at, "`@` after the number of a domain");
    if (!read_frames(r, at + 1, &count))
        return false;
    if (blocks == 0)
        return fail_expected(r, r->line, "at least one block");
    r->rows++;
    if (pm_snapshot_add(r->snapshot, (unsigned)domain, r->frames, count, blocks, bytes))
        return true;
    return errno == ENOMEM ? fail_memory(r) : fail_expected(r, r->line, "sums of at most 2^63 - 1");
}

static bool read_head_and_rows(struct reader *r)
{
    while (next_line(r)) {
        if (r->length == 0)
            return true;
        bool is_row = r->line[0] >= '0' && r->line[0] <= '9';
        if (!is_row && r->rows != 0)
            return fail_expected(r, r->line, "a row, or an empty line behind the rows");
        if (!(is_row ? read_row(r) : read_key(r)))
            return false;
    }
    return false;
}

/* ---- the mappings ---- */

static bool read_maps(struct reader *r)
{
    if (r->rows_expected != ANY_ROWS && r->rows != r->rows_expected)
        return fail_expected(r, r->line, "as many rows as the line `stacks` says");
    if (!next_line(r))
        return false;
    if (!line_is(r, "MAPPED_LIBRARIES:"))
        return fail_expected(r, r->line, "the line `MAPPED_LIBRARIES:`");
    while (next_line(r)) {
        size_t wrong;
        const char *expected;
        if (line_is(r, "end"))
            return true;
        int error = pm_snapshot_add_mapping(r->snapshot, r->line, r->length, &wrong, &expected);
        if (error == EINVAL)
            return fail_expected(r, r->line + wrong, expected);
        if (error != 0)
            return fail_memory(r);
    }
    return false;
}

static bool read_end(struct reader *r)
{
    bool ended = false;
    while (r->next == r->used && !ended) {
        if (!refill(r, &ended))
            return false;
    }
    return ended || fail_expected(r, r->buffer + r->next, "the end of the file after `end`");
}

/* ---- files ---- */

static bool read_file(struct reader *r)
{
    return read_first_line(r) && read_head_and_rows(r) && read_maps(r) && read_end(r);
}

pm_snapshot *pm_snapshot_read_fd(int file, const char *name, char *error, size_t room)
{
    struct pm_vector buffer = {0};
    struct reader r = {.file = file, .name = name, .error = error, .error_room = room};
    r.rows_expected = ANY_ROWS;
    r.snapshot = pm_snapshot_new();
    r.frames = pm_vector_add(&buffer, FRAMES_MAX * sizeof *r.frames + BUFFER_BYTES);
    r.buffer = (char *)(r.frames + FRAMES_MAX);
    r.line = r.buffer;
    bool done = (r.snapshot != NULL && buffer.start != NULL) ? read_file(&r) : fail_memory(&r);
    pm_vector_free(&buffer);
    if (done)
        return r.snapshot;
    pm_snapshot_free(r.snapshot);
    errno = r.errno_value;
    return NULL;
}

pm_snapshot *pm_snapshot_read(const char *path, char *error, size_t room)
{
    int file = pm_os_open_read(path);
    if (file >= 0) {
        pm_snapshot *snapshot = pm_snapshot_read_fd(file, path, error, room);
        pm_os_close(file);
        return snapshot;
    }
    if (room != 0)
        pm_format(error, room, "%s: %s", path, strerror(-file));
    errno = -file;
    return NULL;
}
