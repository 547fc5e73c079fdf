/* SPDX-License-Identifier: MIT */
/*
 * From addresses of code to functions, source files and lines, outside of the process that they
 * are of: report, diff, convert and top ask. Modules are those of a table of mappings in the form
 * of /proc/PID/maps; what is in a module's file is read by elfutils' libdw when the first address
 * in it is asked for. A build without libdw (PM_LIBDW=0) knows modules and offsets only.
 *
 * Not for use by two threads at once. Without memory these functions end the command, with a
 * message.
 */
#ifndef PM_COMMAND_SYMBOLS_H
#define PM_COMMAND_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/*
 * A frame of a source's view: one address has several where calls were inlined. All texts live as
 * long as the struct symbols, and equal ones are one: compare pointers.
 */
struct symbol_frame {
    const char *name;   /* the function, demangled; else MODULE+0xOFFSET, else 0xADDRESS */
    const char *file;   /* the source file; NULL: not known */
    const char *module; /* path of what is mapped there; NULL: nothing, or no file */
    uint64_t offset;    /* of the address in the module, from its lowest address; as dladdr's */
    unsigned line;      /* in the file, from 1; 0: not known */
    bool is_function;   /* the name is a function's */
    bool is_inlined;    /* into the frame that follows */
};

/* A file that was mapped. */
struct symbol_module {
    const char *path;
    const char *build_id; /* hexadecimal; NULL: none, or not known */
    const char *problem;  /* why the file was not read, in words that follow its path; NULL: it was,
                             or no address in it was asked for yet */
    uint64_t base;        /* address of the file's first byte */
    uint64_t end;         /* past the last byte mapped of it */
};

struct symbols;

/*
 * Modules from a text in the form of /proc/PID/maps, as in a profile or snapshot; other lines in it
 * are passed over. taken is when that was, in seconds since 1970, 0 if unknown: a file that was
 * written to later is not the one that was mapped, and neither is one whose segments lie elsewhere
 * than the mappings say.
 */
struct symbols *symbols_of_maps(const char *maps, size_t length, time_t taken);

/*
 * Modules of a process that lives. Files are looked for in its own mount namespace first; one whose
 * build id is not that in the memory of the process was changed, and is not used. NULL: the maps
 * cannot be read, errno says why.
 */
struct symbols *symbols_of_process(pid_t pid);

/*
 * Reads the maps of the process again: libraries may have come and gone. What was read of files
 * that are still there is kept; frames found before stay valid. False: the maps cannot be read, the
 * process may be gone.
 */
bool symbols_read_again(struct symbols *symbols);

void symbols_free(struct symbols *symbols);

/*
 * The frames of one return address of a stack, innermost first; it is the instruction before it
 * that is looked up. Returns how many: at least one. They stay until symbols_free.
 */
size_t symbols_find(struct symbols *symbols, uint64_t return_address,
                    const struct symbol_frame **frames);

/* The module with the address; NULL: none. Stays until symbols_free or symbols_read_again. */
const struct symbol_module *symbols_module(struct symbols *symbols, uint64_t address);

/* All modules by address, with their files looked at; how many goes to count. As long as above. */
const struct symbol_module *symbols_modules(struct symbols *symbols, size_t *count);

/* A mapping of code, in which return addresses lie. */
struct symbol_code {
    uint64_t start, end; /* addresses */
    uint64_t offset;     /* in the file, of start */
    const struct symbol_module *module;
};

/* The mapping of code with this number, in the order of addresses, from 0. False: there are not so
 * many. The module's file was looked at, and stays as above. */
bool symbols_code(struct symbols *symbols, size_t number, struct symbol_code *code);

/* Says on stderr, once in the life of the command, that it was built without libdw; else nothing.
 * For a command that is about to show functions. */
void symbols_warn_if_blind(void);

#endif
