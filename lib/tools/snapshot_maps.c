/* SPDX-License-Identifier: MIT */
/* What lies where, as /proc/PID/maps says it; the modules of addresses. See poolmalloc/snapshot.h
 * and snapshot_internal.h. */
#include "tools/snapshot_internal.h"

#include <errno.h>
#include <string.h>

/* ---- reading a line: "7f0000000000-7f0000001000 r-xp 00002000 08:01 1234    /lib/x.so" ---- */

struct mapping {
    uint64_t start, end, offset;
    const char *path; /* up to the end of the line */
};

static bool skip(const char **at, const char *end, char c)
{
    if (*at == end || **at != c)
        return false;
    (*at)++;
    return true;
}

static bool is_permissions(const char **at, const char *end)
{
    const char *text = *at;
    if (end - text < 4)
        return false;
    *at += 4;
    return strchr("r-", text[0]) && strchr("w-", text[1]) && strchr("x-", text[2]) &&
           strchr("ps-", text[3]) && memchr(text, 0, 4) == NULL;
}

/* NULL, or what is expected at *at. */
static const char *parse_mapping(const char **at, const char *end, struct mapping *mapping)
{
    uint64_t number;
    if (!pm_text_get_hex(at, end, &mapping->start) || !skip(at, end, '-') ||
        !pm_text_get_hex(at, end, &mapping->end) || mapping->end <= mapping->start)
        return "a mapping `START-END`";
    if (!skip(at, end, ' ') || !is_permissions(at, end))
        return "the permissions of a mapping";
    if (!skip(at, end, ' ') || !pm_text_get_hex(at, end, &mapping->offset))
        return "the offset of a mapping";
    if (!skip(at, end, ' ') || !pm_text_get_hex(at, end, &number) || !skip(at, end, ':') ||
        !pm_text_get_hex(at, end, &number))
        return "the device of a mapping";
    if (!skip(at, end, ' ') || !pm_text_get_decimal(at, end, &number) ||
        (*at != end && **at != ' '))
        return "the inode of a mapping";
    while (skip(at, end, ' '))
        continue;
    mapping->path = *at;
    return NULL;
}

/* ---- adding ---- */

/* Mappings of one file follow each other: they share the text. */
static const char *text_of_path(pm_snapshot *snapshot, const char *path, size_t length)
{
    const struct pm_snapshot_module *modules = snapshot->modules.start;
    size_t count = snapshot->modules.used_bytes / sizeof *modules;
    const char *last = count != 0 ? modules[count - 1].path : "";
    if (count != 0 && strlen(last) == length && memcmp(last, path, length) == 0)
        return last;
    return pm_store_text(&snapshot->store, path, length);
}

static bool add_module(pm_snapshot *snapshot, const struct mapping *mapping, size_t path_length)
{
    const char *path = text_of_path(snapshot, mapping->path, path_length);
    struct pm_snapshot_module *module = NULL;
    if (path != NULL)
        module = pm_vector_add(&snapshot->modules, sizeof *module);
    if (module == NULL)
        return false;
    *module = (struct pm_snapshot_module){mapping->start, mapping->end, mapping->offset, path};
    return true;
}

int pm_snapshot_add_mapping(pm_snapshot *snapshot, const char *line, size_t length, size_t *wrong,
                            const char **expected)
{
    const char *at = line, *end = line + length;
    struct mapping mapping;
    *expected = parse_mapping(&at, end, &mapping);
    *wrong = (size_t)(at - line);
    if (*expected == NULL && mapping.start < snapshot->maps_end) {
        *expected = "a mapping above those before it";
        *wrong = 0;
    }
    if (*expected != NULL)
        return EINVAL;
    size_t modules_bytes = snapshot->modules.used_bytes;
    if (at < end && !add_module(snapshot, &mapping, (size_t)(end - at)))
        return ENOMEM;
    char *text = pm_vector_add(&snapshot->maps, length + 1);
    if (text == NULL) {
        snapshot->modules.used_bytes = modules_bytes;
        return ENOMEM;
    }
    memcpy(text, line, length);
    text[length] = '\n';
    snapshot->maps_end = mapping.end;
    return 0;
}

/* All lines, or none. */
bool pm_snapshot_add_maps(pm_snapshot *snapshot, const char *text, size_t bytes)
{
    size_t maps = snapshot->maps.used_bytes, modules = snapshot->modules.used_bytes, wrong;
    uint64_t maps_end = snapshot->maps_end;
    const char *expected, *end = text + bytes;
    int error = 0;
    while (text < end && error == 0) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((newline != NULL ? newline : end) - text);
        error = newline == NULL
                    ? EINVAL
                    : pm_snapshot_add_mapping(snapshot, text, length, &wrong, &expected);
        text += length + 1;
    }
    if (error == 0)
        return true;
    snapshot->maps.used_bytes = maps;
    snapshot->modules.used_bytes = modules;
    snapshot->maps_end = maps_end;
    errno = error;
    return false;
}

/* ---- looking ---- */

bool pm_snapshot_frame_of(const pm_snapshot *snapshot, uint64_t address,
                          struct pm_snapshot_frame *frame)
{
    const struct pm_snapshot_module *modules = snapshot->modules.start;
    size_t low = 0, high = snapshot->modules.used_bytes / sizeof *modules;
    uint64_t call = address - 1; /* of no address: above all mappings */
    *frame = (struct pm_snapshot_frame){.address = address};
    while (low < high) { /* the first one that ends behind it is in [low, high] */
        size_t middle = low + (high - low) / 2;
        if (modules[middle].end <= call)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == snapshot->modules.used_bytes / sizeof *modules || modules[low].start > call)
        return false;
    frame->module = modules[low].path;
    frame->offset = address - modules[low].start + modules[low].offset;
    return true;
}
