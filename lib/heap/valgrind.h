/* SPDX-License-Identifier: MIT */
/*
 * Blocks as valgrind's tools see them, in builds with PM_VALGRIND. The last bytes of each block,
 * the red zone that the api layer asks for, say what the block was handed out for:
 *
 *   | what the program asked for | unused, out of bounds | size | check |
 *
 * so that a block that is told of again is known to change its size, and realloc copies no more
 * than the program had. Any thread that has the block.
 */
#ifndef PM_HEAP_VALGRIND_H
#define PM_HEAP_VALGRIND_H

#include "base/valgrind.h"

#include <stdbool.h>

#if PM_VALGRIND
/* The block is handed out for so many bytes; or it is live, and has another size now. `zero`: a new
 * one reads as zero. NULL is left alone. */
void pm_valgrind_out(void *block, size_t size, bool zero);
/* The bytes that a live block was handed out for. */
size_t pm_valgrind_size(const void *block, const char *function);
/* A block comes back; before its memory is written to. False: it is none, or no longer, which the
 * tool reports, and must not be freed. */
bool pm_valgrind_back(void *block, const char *function);
#endif

#endif
