/* SPDX-License-Identifier: MIT */
/*
 * The allocator under the workloads: the layers of the library up to the heap, compiled so that the
 * directory of lines sees what they do (subject.c), or the library as users get it (plain.c), for
 * the time that an operation takes.
 */
#ifndef STRESS_SCALING_SUBJECT_H
#define STRESS_SCALING_SUBJECT_H

#include <stddef.h>

/* Once, before the first thread is started; as if there were so many cores. */
void subject_start(unsigned cores);
void *subject_malloc(size_t bytes);
void subject_free(void *block);
size_t subject_malloc_batch(size_t bytes, size_t count, void **blocks);
void subject_free_batch(void **blocks, size_t count);

#endif
