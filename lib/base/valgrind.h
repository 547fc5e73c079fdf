/* SPDX-License-Identifier: MIT */
/*
 * What valgrind's tools are told of memory, in builds with PM_VALGRIND; nothing in others. Whatever
 * lies in an arena and was not asked for is out of bounds, as in base/asan.h, and the allocator's
 * own ways there are not reported: reports pause for the calling thread meanwhile. Blocks are told
 * of in heap/valgrind.h. Without valgrind each of these is a few instructions that do nothing.
 */
#ifndef PM_BASE_VALGRIND_H
#define PM_BASE_VALGRIND_H

#include "base/bits.h"
#include "base/config.h"

#if PM_VALGRIND
#include <valgrind/memcheck.h>
#endif

/* Between these nothing that the calling thread does is reported; they nest. */
PM_INLINE void pm_valgrind_pause(void)
{
#if PM_VALGRIND
    VALGRIND_DISABLE_ERROR_REPORTING;
#endif
}

PM_INLINE void pm_valgrind_resume(void)
{
#if PM_VALGRIND
    VALGRIND_ENABLE_ERROR_REPORTING;
#endif
}

PM_INLINE void pm_valgrind_no_access(const void *start, size_t bytes)
{
#if PM_VALGRIND
    (void)VALGRIND_MAKE_MEM_NOACCESS(start, bytes);
#else
    (void)start, (void)bytes;
#endif
}

#endif
