/* SPDX-License-Identifier: MIT */
/*
 * What probes_gdb.py stops, at each kind of probe: pools of one size, which nothing else here asks
 * for, are filled (refill, float) and emptied (adopt); a large block needs new arenas (map); all
 * goes back (purge).
 */
#include "names.h"

#include <stddef.h>

enum { BLOCK_BYTES = 3000, BLOCKS = 64, LARGE_BYTES = 20000000 };

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
    void *volatile large = api_malloc(LARGE_BYTES);
    api_free(large);
    api_trim(0);
    return 0;
}
