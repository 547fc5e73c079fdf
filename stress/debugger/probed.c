/* SPDX-License-Identifier: MIT */
/* What probes_gdb.py stops: blocks of one size, which nothing else here asks for. */
#include "names.h"

#include <stddef.h>

enum { BLOCK_BYTES = 3000, BLOCKS = 64 };

/* The debugger sets its probe when this is called: what the start does is past. */
static __attribute__((noinline)) void started(void)
{
    __asm__ volatile("" ::: "memory");
}

int main(void)
{
    static void *volatile blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = api_malloc(100);
    started();
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = api_malloc(BLOCK_BYTES);
    for (size_t i = 0; i < BLOCKS; i++)
        api_free(blocks[i]);
    return 0;
}
