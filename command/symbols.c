/* SPDX-License-Identifier: MIT */
/*
 * Mappings, the modules in them, and frames that were found once. See symbols.h; the files
 * themselves are symbols_libdw.c's.
 */
#include "symbols.h"
#include "memory.h"
#include "symbols_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FRAMES_MAX = 64 };

struct mapping {
    uint64_t start, end, offset;
    size_t module;
    bool is_code;
};

struct module {
    struct symbol_module shown;
    bool was_deleted; /* the file has no name any more */
    bool is_open;     /* was tried */
    struct symbol_file *file;
};

struct found {
    struct symbol_frame *frames;
    size_t count;
};

struct symbols {
    pid_t process; /* 0: of a text */
    time_t taken;
    char *maps; /* of a process: what was read */
    struct strings strings;
    struct mapping *mappings;
    size_t mapping_count, mapping_room;
    struct module *modules;
    size_t module_count, module_room;
    struct symbol_module *shown; /* what symbols_modules has returned */
    struct numbers known;        /* from an address to the place in founds, plus 1 */
    struct found *founds;
    size_t found_count, found_room;
};

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

static void add_mappings(struct symbols *symbols, const char *maps, size_t length)
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

static const struct mapping *find_mapping(const struct symbols *symbols, uint64_t address)
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

static void open_module(struct symbols *symbols, size_t number)
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

/* ---- frames ---- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* What is shown in the place of a function's name. */
static const char *name_of_place(struct symbols *symbols, const struct module *module,
                                 uint64_t address)
{
    char *text = module != NULL ? get_text("%s+0x%" PRIx64, base_name(module->shown.path),
                                           address - module->shown.base)
                                : get_text("0x%" PRIx64, address);
    const char *name = strings_one(&symbols->strings, text, strlen(text));
    free(text);
    return name;
}

static struct found find(struct symbols *symbols, uint64_t return_address)
{
    struct symbol_frame frames[FRAMES_MAX];
    size_t count = 0;
    uint64_t address = return_address != 0 ? return_address - 1 : 0;
    const struct mapping *mapping = find_mapping(symbols, address);
    struct module *module = NULL;
    if (mapping != NULL) {
        open_module(symbols, mapping->module);
        module = &symbols->modules[mapping->module];
        if (module->file != NULL)
            count = symbol_file_find(module->file, address, frames, FRAMES_MAX);
    }
    if (count == 0)
        frames[count++] = (struct symbol_frame){0};
    for (size_t i = 0; i < count; i++) {
        frames[i].module = module != NULL ? module->shown.path : NULL;
        frames[i].offset = module != NULL ? return_address - module->shown.base : return_address;
        if (frames[i].name == NULL)
            frames[i].name = name_of_place(symbols, module, return_address);
    }
    struct found found = {.frames = get_memory(count * sizeof *frames), .count = count};
    memcpy(found.frames, frames, count * sizeof *frames);
    return found;
}

size_t symbols_find(struct symbols *symbols, uint64_t return_address,
                    const struct symbol_frame **frames)
{
    bool is_new;
    size_t *place = numbers_at(&symbols->known, return_address, &is_new);
    if (*place == 0) {
        symbols->founds = get_room(symbols->founds, &symbols->found_room, symbols->found_count + 1,
                                   sizeof *symbols->founds);
        symbols->founds[symbols->found_count] = find(symbols, return_address);
        *place = ++symbols->found_count;
    }
    const struct found *found = &symbols->founds[*place - 1];
    *frames = found->frames;
    return found->count;
}

const struct symbol_module *symbols_module(struct symbols *symbols, uint64_t address)
{
    const struct mapping *mapping = find_mapping(symbols, address);
    if (mapping == NULL)
        return NULL;
    open_module(symbols, mapping->module);
    return &symbols->modules[mapping->module].shown;
}

const struct symbol_module *symbols_modules(struct symbols *symbols, size_t *count)
{
    free(symbols->shown);
    symbols->shown = get_memory(symbols->module_count * sizeof *symbols->shown);
    for (size_t i = 0; i < symbols->module_count; i++) {
        open_module(symbols, i);
        symbols->shown[i] = symbols->modules[i].shown;
    }
    *count = symbols->module_count;
    return symbols->shown;
}

/* ---- the whole ---- */

struct symbols *symbols_of_maps(const char *maps, size_t length, time_t taken)
{
    struct symbols *symbols = get_memory(sizeof *symbols);
    symbols->taken = taken;
    add_mappings(symbols, maps, length);
    return symbols;
}

/* NULL: it cannot be read, see errno. */
static char *read_maps(pid_t process)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)process);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return NULL;
    char *text = NULL;
    size_t room = 0, have = 0;
    ssize_t length;
    do {
        text = get_room(text, &room, have + 4096, 1);
        length = read(file, text + have, room - have - 1);
        have += length > 0 ? (size_t)length : 0;
    } while (length > 0 || (length < 0 && errno == EINTR));
    int error = errno;
    close(file);
    text[have] = 0;
    if (length == 0 && have > 0)
        return text;
    free(text);
    errno = length < 0 ? error : ESRCH; /* without text: it is about to go */
    return NULL;
}

struct symbols *symbols_of_process(pid_t pid)
{
    char *maps = read_maps(pid);
    if (maps == NULL)
        return NULL;
    struct symbols *symbols = get_memory(sizeof *symbols);
    symbols->process = pid;
    symbols->maps = maps;
    add_mappings(symbols, maps, strlen(maps));
    return symbols;
}

static void close_modules(struct module *modules, size_t count)
{
    for (size_t i = 0; i < count; i++)
        symbol_file_close(modules[i].file);
    free(modules);
}

/* Files that stayed where they are need not be read again. */
static void take_over_files(struct symbols *symbols, struct module *old, size_t count)
{
    for (size_t i = 0; i < symbols->module_count; i++) {
        struct module *module = &symbols->modules[i];
        for (size_t j = 0; j < count; j++) {
            bool is_same = old[j].is_open && old[j].shown.path == module->shown.path &&
                           old[j].shown.base == module->shown.base &&
                           old[j].was_deleted == module->was_deleted;
            if (!is_same)
                continue;
            uint64_t end = module->shown.end;
            *module = old[j];
            module->shown.end = end;
            old[j] = (struct module){0};
            break;
        }
    }
}

bool symbols_read_again(struct symbols *symbols)
{
    char *maps = symbols->process != 0 ? read_maps(symbols->process) : NULL;
    if (maps == NULL)
        return false;
    if (strcmp(maps, symbols->maps) == 0) {
        free(maps);
        return true;
    }
    free(symbols->maps);
    symbols->maps = maps;
    struct module *old = symbols->modules;
    size_t old_count = symbols->module_count;
    symbols->modules = NULL;
    symbols->module_count = symbols->module_room = symbols->mapping_count = 0;
    numbers_clear(&symbols->known);
    add_mappings(symbols, maps, strlen(maps));
    take_over_files(symbols, old, old_count);
    close_modules(old, old_count);
    return true;
}

void symbols_free(struct symbols *symbols)
{
    if (symbols == NULL)
        return;
    close_modules(symbols->modules, symbols->module_count);
    for (size_t i = 0; i < symbols->found_count; i++)
        free(symbols->founds[i].frames);
    free(symbols->founds);
    free(symbols->shown);
    free(symbols->mappings);
    free(symbols->maps);
    numbers_clear(&symbols->known);
    strings_clear(&symbols->strings);
    free(symbols);
}
