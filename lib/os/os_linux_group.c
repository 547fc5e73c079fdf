/* SPDX-License-Identifier: MIT */
/*
 * The os layer on Linux: what the control group of the process allows it. See os.h.
 *
 * Found anew by each call, because processes are moved and limits change: /proc/self/cgroup names
 * the group, /proc/self/mountinfo says where its tree can be seen. A container may see a part of
 * the tree only, or name its group from elsewhere ("/../x"); then what is mounted is its own group.
 * Any thread: everything is on the stack, which is little, and nothing is allocated.
 */
#define _GNU_SOURCE /* syscall */
#include "base/bits.h"
#include "base/report.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PATH_BYTES = 640, LINE_BYTES = 768, CHUNK_BYTES = 512 };

struct reader {
    int file;
    size_t at, have;
    char chunk[CHUNK_BYTES];
};

static bool open_reader(struct reader *reader, const char *path)
{
    char whole[PATH_BYTES + 128];
    size_t length = pm_format(whole, sizeof whole, "%s%s", pm_os_double_root(), path);
    if (length >= sizeof whole || pm_os_fault_now(PM_OS_GROUP))
        return false;
    reader->at = reader->have = 0;
    reader->file = (int)syscall(SYS_openat, AT_FDCWD, whole, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return reader->file >= 0;
}

static bool refill(struct reader *reader)
{
    long n;
    do
        n = syscall(SYS_read, reader->file, reader->chunk, sizeof reader->chunk);
    while (n < 0 && errno == EINTR);
    reader->at = 0;
    reader->have = n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* False: there is none left. What does not fit is dropped: no line that counts is so long. */
static bool next_line(struct reader *reader, char *line)
{
    size_t length = 0;
    bool some = false;
    while (reader->at < reader->have || refill(reader)) {
        char c = reader->chunk[reader->at++];
        some = true;
        if (c == '\n')
            break;
        if (length + 1 < LINE_BYTES)
            line[length++] = c;
    }
    line[length] = 0;
    return some;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Whether "memory" is one of the words, with commas between them, up to `end`. */
static bool has_memory(const char *words, const char *end)
{
    static const char word[] = "memory";
    const size_t length = sizeof word - 1;
    for (const char *at = words; at < end; at++) {
        bool begins = at == words || at[-1] == ',';
        if (begins && (size_t)(end - at) >= length && memcmp(at, word, length) == 0 &&
            (at + length == end || at[length] == ','))
            return true;
    }
    return false;
}

/* The two versions of control groups. Both may be mounted, and memory belong to either. */
struct version {
    const char *type;      /* of the file system */
    bool by_controller;    /* each controller may have a tree of its own */
    const char *limits[2]; /* files of a group */
};

/* Not memory.soft_limit_in_bytes of version 1: nothing happens to who is beyond it as long as the
 * machine has memory. */
static const struct version versions[] = {
    {"cgroup2 ", false, {"memory.high", "memory.max"}},
    {"cgroup ", true, {"memory.limit_in_bytes", NULL}},
};

/* Of a line of /proc/self/cgroup, "4:cpu,memory:/path" or "0::/path": the path, or NULL. */
static const char *path_in(const char *line, const struct version *version)
{
    const char *words = strchr(line, ':');
    const char *path = words ? strchr(words + 1, ':') : NULL;
    if (path == NULL || path[1] != '/')
        return NULL;
    bool fits = version->by_controller ? has_memory(words + 1, path) : path == words + 1;
    return fits ? path + 1 : NULL;
}

static PM_NOINLINE bool find_group(const struct version *version, char *group)
{
    struct reader reader;
    char line[LINE_BYTES];
    bool found = false;
    if (!open_reader(&reader, "/proc/self/cgroup"))
        return false;
    while (!found && next_line(&reader, line)) {
        const char *path = path_in(line, version);
        found = path != NULL && pm_format(group, PATH_BYTES, "%s", path) < PATH_BYTES;
    }
    syscall(SYS_close, reader.file);
    return found;
}

/* A line of /proc/self/mountinfo: "29 23 0:26 ROOT POINT OPTIONS... - TYPE SOURCE OPTIONS". Whether
 * it is a mount of that version; then root and point are cut out of the line. */
static bool is_mount(char *line, const struct version *version, char **root, char **point)
{
    char *type = strstr(line, " - ");
    if (type == NULL || !starts_with(type + 3, version->type))
        return false;
    const char *options = strrchr(type, ' ') + 1;
    if (version->by_controller && !has_memory(options, options + strlen(options)))
        return false;
    char *field[5] = {line};
    for (int i = 1; i < 5; i++) {
        char *blank = strchr(field[i - 1], ' ');
        if (blank == NULL)
            return false;
        field[i] = blank + 1;
    }
    *root = field[3];
    *point = field[4];
    char *end = strchr(*point, ' ');
    if (end == NULL)
        return false;
    field[4][-1] = *end = 0;
    return true;
}

/* The folder of the group, beginning with the mount's, which is so long; 0: the tree cannot be
 * seen. `group` is replaced by the folder. */
static PM_NOINLINE size_t find_folder(const struct version *version, char *group)
{
    struct reader reader;
    char line[LINE_BYTES], folder[PATH_BYTES];
    size_t mount_length = 0;
    if (!open_reader(&reader, "/proc/self/mountinfo"))
        return 0;
    while (mount_length == 0 && next_line(&reader, line)) {
        char *root, *point;
        if (!is_mount(line, version, &root, &point))
            continue;
        size_t skip = strcmp(root, "/") == 0 ? 0 : strlen(root);
        bool below = strncmp(group, root, skip) == 0 && (group[skip] == '/' || group[skip] == 0);
        const char *rest = below && strstr(group, "/..") == NULL ? group + skip : "";
        if (pm_format(folder, sizeof folder, "%s%s", point, rest) < sizeof folder)
            mount_length = strlen(point);
    }
    syscall(SYS_close, reader.file);
    if (mount_length != 0)
        memcpy(group, folder, sizeof folder);
    return mount_length;
}

/* The number at the start of the line; SIZE_MAX: "max", none, or one that is too large. */
static size_t number_in(const char *line)
{
    size_t number = 0;
    if (*line < '0' || *line > '9')
        return SIZE_MAX;
    for (; *line >= '0' && *line <= '9'; line++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (size_t)(*line - '0'), &number))
            return SIZE_MAX;
    }
    return *line == 0 ? number : SIZE_MAX;
}

static PM_NOINLINE size_t read_limit(const char *folder, const char *name)
{
    struct reader reader;
    char path[PATH_BYTES + 64], line[LINE_BYTES];
    pm_format(path, sizeof path, "%s/%s", folder, name);
    if (!open_reader(&reader, path))
        return SIZE_MAX;
    size_t limit = next_line(&reader, line) ? number_in(line) : SIZE_MAX;
    syscall(SYS_close, reader.file);
    return limit;
}

/* A group has what every group around it has, so the least counts, up to what is mounted. */
static size_t least_up_to_mount(const struct version *version, char *folder, size_t mount_length)
{
    size_t least = SIZE_MAX, length = strlen(folder);
    for (;;) {
        for (unsigned i = 0; i < 2 && version->limits[i] != NULL; i++) {
            size_t limit = read_limit(folder, version->limits[i]);
            least = limit < least ? limit : least;
        }
        if (length <= mount_length)
            return least;
        while (length > mount_length && folder[--length] != '/')
            continue;
        folder[length] = 0;
    }
}

size_t pm_os_group_limit_bytes(void)
{
    int saved_errno = errno;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        char group[PATH_BYTES];
        size_t mount_length =
            find_group(&versions[i], group) ? find_folder(&versions[i], group) : 0;
        if (mount_length == 0)
            continue;
        size_t limit = least_up_to_mount(&versions[i], group, mount_length);
        least = limit < least ? limit : least;
    }
    errno = saved_errno;
    return least;
}
