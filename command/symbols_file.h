/* SPDX-License-Identifier: MIT */
/*
 * One mapped file, for symbols.c: what of it the ELF headers say (elf_image.c), and what libdw
 * reads in it (symbols_libdw.c, or symbols_none.c where that was not found).
 */
#ifndef PM_COMMAND_SYMBOLS_FILE_H
#define PM_COMMAND_SYMBOLS_FILE_H

#include "strings.h"
#include "symbols.h"

/* ---- elf_image.c ---- */

enum { SEGMENTS_MAX = 64, BUILD_ID_MAX = 64 };

/* A segment that is loaded: bytes of the file from offset, at address plus the bias of the run. */
struct image_segment {
    uint64_t offset, address, file_bytes;
};
struct elf_image {
    struct image_segment segments[SEGMENTS_MAX];
    int segment_count;
    int build_id_bytes; /* 0: none */
    unsigned char build_id[BUILD_ID_MAX];
};

/*
 * Reads the headers of an ELF file of 64 bits, or of what is mapped of one: then file is
 * /proc/PID/mem, and base the address of its first byte, which is 0 for a file. False: it is none.
 */
bool elf_image_read(int file, uint64_t base, struct elf_image *image);

/* What is added to the file's addresses where its first byte is mapped at base. */
uint64_t elf_image_bias(const struct elf_image *image, uint64_t base);

/* Whether a mapping of the file's bytes from offset would lie there. */
bool elf_image_fits(const struct elf_image *image, uint64_t bias, uint64_t start, uint64_t end,
                    uint64_t offset);

/* ---- symbols_libdw.c, symbols_none.c ---- */

struct symbol_file;

/* Takes over the descriptor, in any case. NULL: nothing can be read of it. */
struct symbol_file *symbol_file_open(int file, const char *path, uint64_t bias,
                                     struct strings *strings);
void symbol_file_close(struct symbol_file *file);

/* Adds frames at this address, innermost first, of which name, file, line and the two flags are
 * set; returns how many of at most most. A name is NULL where only file and line are known. */
size_t symbol_file_find(struct symbol_file *file, uint64_t address, struct symbol_frame *frames,
                        size_t most);

#endif
