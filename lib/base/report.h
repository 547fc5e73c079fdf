/* SPDX-License-Identifier: MIT */
/*
 * Fatal errors and messages. Each fatal error is one named function; it writes one line to stderr
 * with write(2), allocates nothing, takes no lock, and aborts. Any thread, any state. (In the modes
 * for debugging a stack follows, for which an unwinder is called.)
 * docs/misuse.md says which misuse is caught when.
 */
#ifndef PM_BASE_REPORT_H
#define PM_BASE_REPORT_H

#include "base/config.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* A small formatter: %s, %c, %p, %u (unsigned), %zu (size_t), %lu (uint64_t), %x (unsigned), %%.
 * Returns the length that the whole text would have; writes at most `size` bytes with the final 0.
 */
size_t pm_format(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
size_t pm_vformat(char *to, size_t size, const char *format, va_list args);

/* One line "poolmalloc: ..." on stderr; the program goes on. */
void pm_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Text on stderr, as it is, in one piece as far as it is not too long. */
void pm_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* `more` tells the rest of a fatal error, behind its line. Set at the start of the process by who
 * knows more; it is called once, in any state, and must bear that. */
void pm_fatal_set_more(void (*more)(void));

/* The pointer lies in no memory of this allocator. */
_Noreturn void pm_fatal_foreign(const char *function, const void *ptr);
/* The pointer lies in the window where nothing is allocated. */
_Noreturn void pm_fatal_not_allocated(const char *function, const void *ptr);
/* The pointer lies in a block, but not at its start. */
_Noreturn void pm_fatal_interior(const char *function, const void *ptr, const void *start,
                                 size_t block_bytes);
/* More blocks of a pool came back than were out. */
_Noreturn void pm_fatal_double_free(const char *function, const void *ptr);
/* A pool's list of free blocks has more blocks than the pool. */
_Noreturn void pm_fatal_circular(const void *pool, size_t block_bytes);
/* The size or alignment given to a sized free does not fit the block. */
_Noreturn void pm_fatal_wrong_size(const char *function, const void *ptr, size_t given,
                                   size_t usable);
/* The handle is none of a user heap, or of one that was destroyed. */
_Noreturn void pm_fatal_no_heap(const char *function, const void *heap);
/* operator new has no memory, and there is no C++ runtime that could throw std::bad_alloc. */
_Noreturn void pm_fatal_no_exception(size_t size);
/* A lock is asked for by a thread that holds it, or one that comes after it. */
_Noreturn void pm_fatal_reentered(void);
/* The same, by a function that the program gave us (poolmalloc/hooks.h). */
_Noreturn void pm_fatal_in_hook(void);
/* An assertion or x_check() of the check build failed. */
_Noreturn void pm_fatal_check(const char *file, int line, const char *what);

#if PM_CHECK
#define pm_assert(cond) ((cond) ? (void)0 : pm_fatal_check(__FILE__, __LINE__, #cond))
#else
#define pm_assert(cond) ((void)0)
#endif

#endif
