/* SPDX-License-Identifier: MIT */
/*
 * A mapped file read by elfutils' libdw: names and lines of its debug information, its own or that
 * which is installed apart; else names of its symbol table. See symbols_file.h.
 *
 * Which unit, and which function in it, an address belongs to is looked up in sorted arrays that
 * are made here: compilers leave out .debug_aranges, and libdw's own search for scopes walks a
 * whole unit for each address.
 */
#include "symbols_file.h"

#if PM_LIBDW

#include "memory.h"

#include <dlfcn.h>
#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NESTING_MAX = 64 };

struct span {
    Dwarf_Addr low, high; /* without bias */
    size_t unit;
    Dwarf_Die die;
};
struct spans {
    struct span *items;
    size_t count, room;
};

struct unit {
    Dwarf_Die die;
    bool is_indexed;
    struct spans functions;
};

struct symbol_file {
    Dwfl *dwfl;
    Dwfl_Module *module;
    struct strings *strings;
    Dwarf *dwarf;    /* NULL: no debug information */
    Dwarf_Addr bias; /* of the debug information */
    struct unit *units;
    size_t unit_count, unit_room;
    struct spans ranges; /* of units */
};

static int by_low(const void *one, const void *two)
{
    const struct span *a = one, *b = two;
    return (a->low > b->low) - (a->low < b->low);
}

static void spans_add(struct spans *spans, Dwarf_Die *die, size_t unit)
{
    Dwarf_Addr base, low, high;
    ptrdiff_t at = 0;
    while ((at = dwarf_ranges(die, at, &base, &low, &high)) > 0) {
        /* Of code that the linker dropped the addresses begin at 0. */
        if (low == 0 || high <= low)
            continue;
        spans->items = get_room(spans->items, &spans->room, spans->count + 1, sizeof *spans->items);
        spans->items[spans->count++] =
            (struct span){.low = low, .high = high, .unit = unit, .die = *die};
    }
}

/* Functions and units do not overlap; where a broken file has them do so, the last one is taken. */
static struct span *spans_find(const struct spans *spans, Dwarf_Addr address)
{
    size_t low = 0, high = spans->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (spans->items[middle].low <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || spans->items[low - 1].high <= address)
        return NULL;
    return &spans->items[low - 1];
}

static void index_units(struct symbol_file *file)
{
    Dwarf_Die *die = NULL;
    Dwarf_Addr bias;
    while ((die = dwfl_module_nextcu(file->module, die, &bias)) != NULL) {
        file->units =
            get_room(file->units, &file->unit_room, file->unit_count + 1, sizeof *file->units);
        file->units[file->unit_count] = (struct unit){.die = *die};
        spans_add(&file->ranges, die, file->unit_count++);
    }
    if (file->ranges.count > 0)
        qsort(file->ranges.items, file->ranges.count, sizeof *file->ranges.items, by_low);
}

/* Functions are children of the unit, or of namespaces and types in it. */
static void index_functions(struct spans *functions, Dwarf_Die *parent, int nesting)
{
    Dwarf_Die die;
    if (nesting > NESTING_MAX || dwarf_child(parent, &die) != 0)
        return;
    do {
        switch (dwarf_tag(&die)) {
        case DW_TAG_subprogram:
            spans_add(functions, &die, 0);
            break;
        case DW_TAG_namespace:
        case DW_TAG_module:
        case DW_TAG_class_type:
        case DW_TAG_structure_type:
            index_functions(functions, &die, nesting + 1);
            break;
        default:
            break;
        }
    } while (dwarf_siblingof(&die, &die) == 0);
}

static struct spans *functions_of(struct unit *unit)
{
    if (!unit->is_indexed) {
        unit->is_indexed = true;
        index_functions(&unit->functions, &unit->die, 0);
        if (unit->functions.count > 0)
            qsort(unit->functions.items, unit->functions.count, sizeof *unit->functions.items,
                  by_low);
    }
    return &unit->functions;
}

struct symbol_file *symbol_file_open(int descriptor, const char *path, uint64_t bias,
                                     struct strings *strings)
{
    static const Dwfl_Callbacks callbacks = {
        .find_elf = dwfl_build_id_find_elf,
        .find_debuginfo = dwfl_standard_find_debuginfo,
    };
    struct symbol_file *file = get_memory(sizeof *file);
    file->strings = strings;
    file->dwfl = dwfl_begin(&callbacks);
    if (file->dwfl != NULL) {
        dwfl_report_begin(file->dwfl);
        file->module = dwfl_report_elf(file->dwfl, path, path, descriptor, bias, true);
        dwfl_report_end(file->dwfl, NULL, NULL);
    }
    if (file->module == NULL) {
        close(descriptor);
        symbol_file_close(file);
        return NULL;
    }
    file->dwarf = dwfl_module_getdwarf(file->module, &file->bias);
    if (file->dwarf != NULL)
        index_units(file);
    return file;
}

void symbol_file_close(struct symbol_file *file)
{
    if (file == NULL)
        return;
    for (size_t i = 0; i < file->unit_count; i++)
        free(file->units[i].functions.items);
    free(file->units);
    free(file->ranges.items);
    if (file->dwfl != NULL)
        dwfl_end(file->dwfl);
    free(file);
}

/*
 * The demangler of C++ is its runtime's. The command, which is C, takes it where it is installed,
 * as it is where programs in C++ run; else names stay as the linker knows them.
 */
static char *demangle(const char *name)
{
    typedef char *demangler(const char *, char *, size_t *, int *);
    static demangler *function;
    static bool was_looked_for;
    int status = 0;
    if (!was_looked_for) {
        static const char *const libraries[] = {"libstdc++.so.6", "libc++abi.so.1"};
        for (size_t i = 0; i < sizeof libraries / sizeof *libraries && function == NULL; i++) {
            void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_LOCAL);
            if (library != NULL)
                function = (demangler *)dlsym(library, "__cxa_demangle");
        }
        was_looked_for = true;
    }
    return function != NULL ? function(name, NULL, NULL, &status) : NULL;
}

static const char *known_name(struct symbol_file *file, const char *name)
{
    if (name == NULL || name[0] == 0)
        return NULL;
    char *plain = strncmp(name, "_Z", 2) == 0 ? demangle(name) : NULL;
    const char *result = plain != NULL ? plain : name;
    result = strings_one(file->strings, result, strlen(result));
    free(plain);
    return result;
}

/* The linker's name of a function says more than that which it has in its source. */
static const char *name_of(struct symbol_file *file, Dwarf_Die *die)
{
    static const unsigned names[] = {DW_AT_linkage_name, DW_AT_MIPS_linkage_name, DW_AT_name};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        Dwarf_Attribute attribute;
        if (dwarf_attr_integrate(die, names[i], &attribute) != NULL)
            return known_name(file, dwarf_formstring(&attribute));
    }
    return NULL;
}

/* Drops "." and "..": compilers write paths as they came upon them, and one file has one name. */
static const char *known_path(struct symbol_file *file, const char *path)
{
    if (path == NULL)
        return NULL;
    char *clean = get_memory(strlen(path) + 2), *end = clean;
    bool is_absolute = path[0] == '/';
    while (*path != 0) {
        size_t length = strcspn(path, "/");
        char *last = end;
        while (last > clean && last[-1] != '/')
            last--;
        bool is_up = length == 2 && memcmp(path, "..", 2) == 0;
        if (is_up && last > clean && strcmp(last, "..") != 0) {
            end = last - 1; /* the slash before it */
        } else if (length > 0 && !(length == 1 && path[0] == '.')) {
            if (end > clean || is_absolute)
                *end++ = '/';
            memcpy(end, path, length);
            end += length;
        }
        *end = 0;
        path += length + (path[length] == '/');
    }
    const char *result = strings_one(file->strings, clean, strlen(clean));
    free(clean);
    return result;
}

static void set_call_place(struct symbol_file *file, Dwarf_Die *unit, Dwarf_Die *inlined,
                           struct symbol_frame *frame)
{
    Dwarf_Attribute attribute;
    Dwarf_Word number, line;
    Dwarf_Files *files;
    size_t count;
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &number) == 0 &&
        dwarf_getsrcfiles(unit, &files, &count) == 0 && number < count)
        frame->file = known_path(file, dwarf_filesrc(files, number, NULL, NULL));
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &line) == 0)
        frame->line = (unsigned)line;
}

static void set_place(struct symbol_file *file, Dwarf_Die *unit, Dwarf_Addr address,
                      struct symbol_frame *frame)
{
    int number = 0;
    Dwarf_Line *line = dwarf_getsrc_die(unit, address);
    if (line == NULL)
        return;
    frame->file = known_path(file, dwarf_linesrc(line, NULL, NULL));
    if (dwarf_lineno(line, &number) == 0 && number > 0)
        frame->line = (unsigned)number;
}

/* The function and what is inlined in it around the address, outermost first. */
static size_t find_nested(Dwarf_Die *function, Dwarf_Addr address, Dwarf_Die *nested, size_t most)
{
    size_t count = 0;
    Dwarf_Die at = *function, die;
    nested[count++] = *function;
    for (int nesting = 0; nesting < NESTING_MAX && dwarf_child(&at, &die) == 0; nesting++) {
        bool found = false;
        do {
            int tag = dwarf_tag(&die);
            found = (tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block) &&
                    dwarf_haspc(&die, address) == 1;
        } while (!found && dwarf_siblingof(&die, &die) == 0);
        if (!found || count == most)
            break;
        if (dwarf_tag(&die) == DW_TAG_inlined_subroutine)
            nested[count++] = die;
        at = die;
    }
    return count;
}

static size_t find_in_unit(struct symbol_file *file, struct unit *unit, Dwarf_Addr address,
                           struct symbol_frame *frames, size_t most)
{
    Dwarf_Die nested[NESTING_MAX];
    struct span *function = spans_find(functions_of(unit), address);
    if (function == NULL)
        return 0;
    size_t count =
        find_nested(&function->die, address, nested, most < NESTING_MAX ? most : NESTING_MAX);
    for (size_t i = 0; i < count; i++) {
        Dwarf_Die *die = &nested[count - 1 - i];
        frames[i] = (struct symbol_frame){.name = name_of(file, die), .is_inlined = i + 1 < count};
        frames[i].is_function = frames[i].name != NULL;
        if (i == 0)
            set_place(file, &unit->die, address, &frames[i]);
        else
            set_call_place(file, &unit->die, &nested[count - i], &frames[i]);
    }
    return count;
}

size_t symbol_file_find(struct symbol_file *file, uint64_t address, struct symbol_frame *frames,
                        size_t most)
{
    struct span *unit = spans_find(&file->ranges, address - file->bias);
    size_t count = unit != NULL ? find_in_unit(file, &file->units[unit->unit], address - file->bias,
                                               frames, most)
                                : 0;
    if (count > 0 && frames[count - 1].is_function)
        return count;
    GElf_Off offset;
    GElf_Sym symbol;
    const char *name =
        dwfl_module_addrinfo(file->module, address, &offset, &symbol, NULL, NULL, NULL);
    if (count == 0 && name != NULL)
        frames[count++] = (struct symbol_frame){0};
    if (name != NULL) {
        frames[count - 1].name = known_name(file, name);
        frames[count - 1].is_function = frames[count - 1].name != NULL;
    }
    return count;
}

void symbols_warn_if_blind(void) {}

#endif
