/* SPDX-License-Identifier: MIT */
/* See subject.h; compiled like the library. */
#include "scaling/subject.h"

#include "heap/fast.h"

void *subject_malloc(size_t bytes)
{
    return pm_thread_malloc(bytes);
}

void subject_free(void *block)
{
    pm_thread_free(block, "free");
}

size_t subject_malloc_batch(size_t bytes, size_t count, void **blocks)
{
    return pm_thread_malloc_batch(bytes, count, blocks);
}

void subject_free_batch(void **blocks, size_t count)
{
    pm_thread_free_batch(blocks, count, "free");
}
