/* SPDX-License-Identifier: MIT */
/* The cases of asan.c, and how one makes its bad access. */
#ifndef STRESS_ASAN_CASES_H
#define STRESS_ASAN_CASES_H

#include <stddef.h>

struct asan_case {
    const char *name;
    void (*run)(size_t size);
    size_t size;
};

/* Ends with a case without a name. CMakeLists.txt reads the names from the table. */
extern const struct asan_case asan_cases[];

/* One byte. These return only when nobody has noticed. */
void bad_read(const void *address);
void bad_write(void *address);

/* cases_clean.c: every access is good. */
void case_clean(size_t rounds);

#endif
