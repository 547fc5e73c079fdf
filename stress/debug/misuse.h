/* SPDX-License-Identifier: MIT */
/* What the files of misuse.c share: one table of cases each, and how they tell of the block. */
#ifndef STRESS_DEBUG_MISUSE_H
#define STRESS_DEBUG_MISUSE_H

#include "check.h"
#include "common.h"
#include "names.h"

#include <stddef.h>

struct misuse_case {
    const char *name; /* NULL: the table's end */
    void (*misuse)(void);
};

extern const struct misuse_case misuse_of_frees[], misuse_of_accesses[], misuse_of_kinds[];

#define CASE(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }

enum { size = 48, large = 2 << 20, many = 20000 };

/* The compiler knows nothing of it. */
static inline char *opaque(void *pointer)
{
    __asm__ volatile("" : "+r"(pointer) : : "memory");
    return pointer;
}

/* Prints the pointer that the report must show. */
char *told(void *pointer);

/* One of `size` bytes, told. */
char *block(void);

/* What was freed before leaves quarantine. */
void free_many(size_t bytes);

#endif
