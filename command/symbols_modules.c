/* SPDX-License-Identifier: MIT */
/* Mappings, the modules in them, and whether a file is the one that was mapped: symbols_modules.h.
 */
#include "symbols_modules.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- mappings ---- */

/*
 * The module of the next mapping, which is made where there is none. A file that is mapped from its
 * beginning once more, with another one in between, is mapped anew.
 */
static size_t module_of(struct symbols *symbols, const char *path, const struct mapping *mapping)
{
    for (size_t i = symbols->module_count; i-- > 0;) {
        struct module *module = &symbols->modules[i];
        if (module->shown.path != path)
            continue;
        if (mapping->offset == 0 && i + 1 < symbols->module_count)
            break;
        module->shown.end = mapping->end;
        return i;
    }
    symbols->modules = get_room(symbols->modules, &symbols->module_room, symbols->module_count + 1,
                                sizeof *symbols->modules);
    symbols->modules[symbols->module_count] = (struct module){
        .shown = {.path = path, .base = mapping->start - mapping->offset, .end = mapping->end},
    };
    return symbols->module_count++;
}

/* START-END PERMISSIONS OFFSET DEVICE INODE PATH; what has no path is nobody's code. */
static void add_mapping(struct symbols *symbols, const char *line, size_t length)
{
    static const char deleted[] = " (deleted)";
    char text[PATH_MAX + 256], permissions[8];
    struct mapping mapping;
    int path_at = 0;
    if (length >= sizeof text)
        return;
    memcpy(text, line, length);
    text[length] = 0;
    if (sscanf(text, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %n", &mapping.start,
               &mapping.end, permissions, &mapping.offset, &path_at) != 4 ||
        path_at == 0 || text[path_at] != '/' || mapping.end <= mapping.start)
        return;
    size_t end = length;
    bool was_deleted = length - (size_t)path_at > strlen(deleted) &&
                       strcmp(text + length - strlen(deleted), deleted) == 0;
    if (was_deleted)
        end -= strlen(deleted);
    const char *path = strings_one(&symbols->strings, text + path_at, end - (size_t)path_at);
    mapping.is_code = permissions[0] != 0 && strchr(permissions, 'x') != NULL;
    mapping.module = module_of(symbols, path, &mapping);
    symbols->modules[mapping.module].was_deleted |= was_deleted;
    symbols->mappings = get_room(symbols->mappings, &symbols->mapping_room,
                                 symbols->mapping_count + 1, sizeof *symbols->mappings);
    symbols->mappings[symbols->mapping_count++] = mapping;
}

static int by_start(const void *one, const void *two)
{
    const struct mapping *a = one, *b = two;
    return (a->start > b->start) - (a->start < b->start);
}

void symbols_add_mappings(struct symbols *symbols, const char *maps, size_t length)
{
    while (length > 0) {
        const char *newline = memchr(maps, '\n', length);
        size_t line = newline != NULL ? (size_t)(newline - maps) : length;
        add_mapping(symbols, maps, line);
        line += newline != NULL;
        maps += line;
        length -= line;
    }
    if (symbols->mapping_count > 0)
        qsort(symbols->mappings, symbols->mapping_count, sizeof *symbols->mappings, by_start);
}

const struct mapping *symbols_find_mapping(const struct symbols *symbols, uint64_t address)
{
    size_t low = 0, high = symbols->mapping_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (symbols->mappings[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || symbols->mappings[low - 1].end <= address)
        return NULL;
    return &symbols->mappings[low - 1];
}

/* ---- files of modules ---- */

/* The file that the process has mapped, by the first way that works. */
static int open_of_process(const struct symbols *symbols, size_t number)
{
    const struct module *module = &symbols->modules[number];
    char path[PATH_MAX + 64];
    if (!module->was_deleted) {
        snprintf(path, sizeof path, "/proc/%d/root%s", (int)symbols->process, module->shown.path);
        int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        return file >= 0 ? file : open(module->shown.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    }
    for (size_t i = 0; i < symbols->mapping_count; i++) {
        const struct mapping *mapping = &symbols->mappings[i];
        if (mapping->module != number)
            continue;
        snprintf(path, sizeof path, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64,
                 (int)symbols->process, mapping->start, mapping->end);
        return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    }
    errno = ENOENT;
    return -1;
}

/* Whether all mappings of code are where this file would have them. */
static bool fits(const struct symbols *symbols, size_t number, const struct elf_image *image,
                 uint64_t bias)
{
    for (size_t i = 0; i < symbols->mapping_count; i++) {
        const struct mapping *mapping = &symbols->mappings[i];
        if (mapping->module == number && mapping->is_code &&
            !elf_image_fits(image, bias, mapping->start, mapping->end, mapping->offset))
            return false;
    }
    return true;
}

/* A process that may not be read is believed to have the file that its maps name. */
static bool is_in_memory(const struct symbols *symbols, uint64_t base,
                         const struct elf_image *image)
{
    char path[64];
    struct elf_image mapped;
    snprintf(path, sizeof path, "/proc/%d/mem", (int)symbols->process);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    if (memory < 0)
        return true;
    bool was_read = elf_image_read(memory, base, &mapped);
    close(memory);
    return !was_read ||
           (mapped.build_id_bytes == image->build_id_bytes &&
            memcmp(mapped.build_id, image->build_id, (size_t)image->build_id_bytes) == 0);
}

static bool was_changed(const struct symbols *symbols, size_t number, int file,
                        const struct elf_image *image)
{
    uint64_t base = symbols->modules[number].shown.base;
    struct stat status;
    if (!fits(symbols, number, image, elf_image_bias(image, base)))
        return true;
    if (symbols->process != 0)
        return !is_in_memory(symbols, base, image);
    return symbols->taken != 0 && fstat(file, &status) == 0 && status.st_mtime > symbols->taken;
}

static void keep_build_id(struct symbols *symbols, struct module *module,
                          const struct elf_image *image)
{
    char text[2 * BUILD_ID_MAX + 1] = "";
    for (int i = 0; i < image->build_id_bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", image->build_id[i]);
    if (image->build_id_bytes > 0)
        module->shown.build_id = strings_one(&symbols->strings, text, strlen(text));
}

void symbols_open_module(struct symbols *symbols, size_t number)
{
    struct module *module = &symbols->modules[number];
    struct elf_image image;
    if (module->is_open)
        return;
    module->is_open = true;
    bool is_named = symbols->process != 0 || !module->was_deleted;
    int file = -1;
    if (is_named)
        file = symbols->process != 0 ? open_of_process(symbols, number)
                                     : open(module->shown.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        module->shown.problem = module->was_deleted ? "was deleted"
                                : errno == ENOENT   ? "is gone"
                                                    : "cannot be read";
    } else if (!elf_image_read(file, 0, &image)) {
        module->shown.problem = "is not an ELF file of 64 bits";
    } else if (was_changed(symbols, number, file, &image)) {
        module->shown.problem = "was changed since";
    } else {
        keep_build_id(symbols, module, &image);
        module->file =
            symbol_file_open(file, module->shown.path, elf_image_bias(&image, module->shown.base),
                             &symbols->strings);
        return;
    }
    if (file >= 0)
        close(file);
}
