/* SPDX-License-Identifier: MIT */
/* In the place of symbols_libdw.c where the command is built without libdw. See symbols_file.h. */
#include "symbols_file.h"

#if !PM_LIBDW

#include "command.h"

#include <unistd.h>

struct symbol_file *symbol_file_open(int file, const char *path, uint64_t bias,
                                     struct strings *strings)
{
    (void)path;
    (void)bias;
    (void)strings;
    close(file);
    return NULL;
}

void symbol_file_close(struct symbol_file *file)
{
    (void)file;
}

size_t symbol_file_find(struct symbol_file *file, uint64_t address, struct symbol_frame *frames,
                        size_t most)
{
    (void)file;
    (void)address;
    (void)frames;
    (void)most;
    return 0;
}

void symbols_warn_if_blind(void)
{
    static bool said;
    if (!said)
        complain("warning: built without libdw: addresses are shown as MODULE+OFFSET");
    said = true;
}

#endif
