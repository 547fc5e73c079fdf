/* SPDX-License-Identifier: MIT */
/* What the tests of the api layer share. Only x_test.c files include it. */
#ifndef PM_API_TESTING_H
#define PM_API_TESTING_H

#include "api/jemalloc.h"
#include "base/testing.h"

#include <errno.h>

/* The value of a name of mallctl, whatever its length. */
static inline uint64_t test_number(const char *name)
{
    uint64_t value = 0;
    size_t length = sizeof value;
    if (pm_je_mallctl(name, &value, &length, NULL, 0) == EINVAL)
        require(pm_je_mallctl(name, &value, &length, NULL, 0) == 0); /* it said how many */
    return value;
}

/* Writes it; returns the error. */
static inline int test_set_number(const char *name, uint64_t value, size_t width)
{
    return pm_je_mallctl(name, NULL, NULL, &value, width);
}

#endif
