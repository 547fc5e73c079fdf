/* SPDX-License-Identifier: MIT */
/* What the tests of tracing share: what is traced just now. Only x_test.c files include it. */
#ifndef PM_TOOLS_TRACE_TESTING_H
#define PM_TOOLS_TRACE_TESTING_H

#include "heap/testing.h"
#include "tools/trace.h"

enum { FRAMES = 16, SIZE = 40, LARGE = 3000000, MANY = 1000, OTHER = 4711 };

static inline size_t current(void)
{
    size_t bytes;
    pm_trace_memory(&bytes, NULL);
    return bytes;
}

static inline size_t peak(void)
{
    size_t bytes;
    pm_trace_memory(NULL, &bytes);
    return bytes;
}

/* The block is traced with that size; how many frames there are. */
static inline unsigned require_traced(unsigned domain, const void *block, size_t bytes)
{
    uintptr_t frames[FRAMES];
    size_t told = SIZE_MAX;
    unsigned count = pm_trace_of(domain, block, frames, FRAMES, &told);
    require(count > 0 && told == bytes);
    return count;
}

static inline bool is_traced(unsigned domain, const void *block)
{
    uintptr_t frame;
    size_t told = SIZE_MAX;
    return pm_trace_of(domain, block, &frame, 1, &told) != 0;
}

struct seen {
    unsigned domain; /* PM_TRACE_DOMAINS: all */
    uint64_t blocks, bytes;
};

static inline void see(unsigned domain, const uintptr_t *frames, unsigned count, uint64_t blocks,
                       uint64_t bytes, void *arg)
{
    struct seen *seen = arg;
    (void)frames;
    require(count <= FRAMES);
    if (seen->domain != PM_TRACE_DOMAINS && seen->domain != domain)
        return;
    seen->blocks += blocks;
    seen->bytes += bytes;
}

static inline void require_seen(unsigned domain, uint64_t blocks, uint64_t bytes)
{
    struct seen seen = {.domain = domain};
    require(pm_trace_each(see, &seen));
    require(seen.blocks == blocks && seen.bytes == bytes);
}

/* Each of these in a process of its own. */
static inline void start(void)
{
    pm_free(pm_malloc(1)); /* before, and not traced */
    require(pm_trace_start(FRAMES));
    require(current() == 0 && peak() == 0);
}

#endif
