/* SPDX-License-Identifier: MIT */
/* The workloads without the directory of lines, on the library as it is: see subject.h. */
#include "scaling/lines.h"
#include "scaling/subject.h"

#include "poolmalloc/poolmalloc.h"

void subject_start(unsigned cores)
{
    (void)cores;
}

void *subject_malloc(size_t bytes)
{
    return pm_malloc(bytes);
}

void subject_free(void *block)
{
    pm_free(block);
}

size_t subject_malloc_batch(size_t bytes, size_t count, void **blocks)
{
    return pm_malloc_batch(bytes, count, blocks);
}

void subject_free_batch(void **blocks, size_t count)
{
    pm_free_batch(blocks, count);
}

void lines_set_core(unsigned core)
{
    (void)core;
}

void lines_record(void) {}

/* No more than the access itself. */
void lines_program_access(const void *block, size_t bytes, enum lines_access access)
{
    volatile unsigned char *byte = (volatile unsigned char *)block;
    (void)bytes;
    if (access == LINES_LOAD)
        (void)*byte;
    else
        *byte = 1;
}

const struct lines_counts *lines_stop(void)
{
    static const struct lines_counts none;
    return &none;
}
