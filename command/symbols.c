/* SPDX-License-Identifier: MIT */
/*
 * Frames that were found once, and where maps come from. See symbols.h; modules are
 * symbols_modules.c's, and what is in their files symbols_libdw.c's.
 */
#include "symbols.h"
#include "memory.h"
#include "symbols_modules.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES_MAX = 64 };

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
    const struct mapping *mapping = symbols_find_mapping(symbols, address);
    struct module *module = NULL;
    if (mapping != NULL) {
        symbols_open_module(symbols, mapping->module);
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
    const struct mapping *mapping = symbols_find_mapping(symbols, address);
    if (mapping == NULL)
        return NULL;
    symbols_open_module(symbols, mapping->module);
    return &symbols->modules[mapping->module].shown;
}

const struct symbol_module *symbols_modules(struct symbols *symbols, size_t *count)
{
    free(symbols->shown);
    symbols->shown = get_memory(symbols->module_count * sizeof *symbols->shown);
    for (size_t i = 0; i < symbols->module_count; i++) {
        symbols_open_module(symbols, i);
        symbols->shown[i] = symbols->modules[i].shown;
    }
    *count = symbols->module_count;
    return symbols->shown;
}

bool symbols_code(struct symbols *symbols, size_t number, struct symbol_code *code)
{
    for (size_t i = 0; i < symbols->mapping_count; i++) {
        const struct mapping *mapping = &symbols->mappings[i];
        if (!mapping->is_code || number-- > 0)
            continue;
        symbols_open_module(symbols, mapping->module);
        *code = (struct symbol_code){
            .start = mapping->start,
            .end = mapping->end,
            .offset = mapping->offset,
            .module = &symbols->modules[mapping->module].shown,
        };
        return true;
    }
    return false;
}

/* ---- the whole ---- */

struct symbols *symbols_of_maps(const char *maps, size_t length, time_t taken)
{
    struct symbols *symbols = get_memory(sizeof *symbols);
    symbols->taken = taken;
    symbols_add_mappings(symbols, maps, length);
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
    symbols_add_mappings(symbols, maps, strlen(maps));
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
    symbols_add_mappings(symbols, maps, strlen(maps));
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
