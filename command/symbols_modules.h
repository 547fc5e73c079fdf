/* SPDX-License-Identifier: MIT */
/*
 * What the two files of symbols share: mappings and the modules in them are symbols_modules.c's,
 * frames that were found are symbols.c's.
 */
#ifndef PM_COMMAND_SYMBOLS_MODULES_H
#define PM_COMMAND_SYMBOLS_MODULES_H

#include "symbols_file.h"

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

/* Adds the mappings of a text in the form of /proc/PID/maps, and sorts them. */
void symbols_add_mappings(struct symbols *symbols, const char *maps, size_t length);

/* The mapping that has the address; NULL: none. */
const struct mapping *symbols_find_mapping(const struct symbols *symbols, uint64_t address);

/* Opens the file of the module with this number, if that was not tried before. */
void symbols_open_module(struct symbols *symbols, size_t number);

#endif
