/* SPDX-License-Identifier: MIT */
/*
 * Helpers of the stress programs (common.h, check.h). Nothing here allocates from the allocator
 * under test, so that a failure in it cannot disturb the report.
 */
#include "common.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic(const char *) failure_context;

void check_set_context(const char *text)
{
    atomic_store(&failure_context, text);
}

/* The line is formatted on the stack and written with one write(2): the heap may be broken. */
void check_failed(const char *file, int line, const char *condition, const char *format, ...)
{
    char text[1024];
    const size_t room = sizeof text - 2;
    int length = snprintf(text, room, "%s:%d: CHECK(%s) failed: ", file, line, condition);
    size_t used = length < 0 ? 0 : (size_t)length;
    va_list arguments;
    va_start(arguments, format);
    if (used < room) {
        length = vsnprintf(text + used, room - used, format, arguments);
        used += length < 0 ? 0 : (size_t)length;
    }
    va_end(arguments);
    const char *context = atomic_load(&failure_context);
    if (context && used < room) {
        length = snprintf(text + used, room - used, " [%s]", context);
        used += length < 0 ? 0 : (size_t)length;
    }
    const char *schedule = getenv("POOLMALLOC_SCHEDULE"); /* it is part of what repeats the run */
    if (schedule && used < room) {
        length = snprintf(text + used, room - used, " [POOLMALLOC_SCHEDULE=%s]", schedule);
        used += length < 0 ? 0 : (size_t)length;
    }
    if (used > room)
        used = room;
    text[used] = '\n';
    ssize_t written = write(STDERR_FILENO, text, used + 1);
    (void)written; /* the abort follows in any case */
    abort();
}

uint64_t mix64(uint64_t word)
{
    word ^= word >> 32;
    word *= 0xd6e8feb86659fd93u;
    word ^= word >> 32;
    word *= 0xd6e8feb86659fd93u;
    word ^= word >> 32;
    return word;
}

struct rng rng_make(uint64_t seed, uint64_t stream)
{
    return (struct rng){.state = mix64(seed + 1) ^ mix64(~stream)};
}

/* A counter with an odd step, mixed: every state is on the same full-length cycle. */
uint64_t rng_next(struct rng *rng)
{
    rng->state += 0x9e3779b97f4a7c15u;
    return mix64(rng->state);
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    return rng_next(rng) % bound;
}

bool rng_one_in(struct rng *rng, uint64_t n)
{
    return rng_below(rng, n) == 0;
}

static unsigned log2_floor(size_t value)
{
    return 63u - (unsigned)__builtin_clzll(value | 1);
}

/* Moves a size to the border of its class, as the design lays them out (steps of 8 bytes, then
 * eight steps per doubling), or one byte to either side. */
static size_t near_border(struct rng *rng, size_t size)
{
    size_t step = size < 512 ? 8 : (size_t)1 << (log2_floor(size) - 3);
    size_t border = size / step * step;
    if (rng_one_in(rng, 4)) /* powers of two are the borders of units, arenas and kinds too */
        border = (size_t)1 << log2_floor(size);
    return border + rng_below(rng, 3) - (border > 0);
}

size_t random_size(struct rng *rng, size_t lowest, size_t highest)
{
    unsigned low_bits = log2_floor(lowest);
    unsigned bits = low_bits + (unsigned)rng_below(rng, log2_floor(highest) - low_bits + 1);
    size_t base = (size_t)1 << bits;
    size_t size = base + rng_below(rng, base);
    if (rng_one_in(rng, 3))
        size = near_border(rng, size);
    if (size < lowest)
        return lowest;
    return size > highest ? highest : size;
}

void *system_pages(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED, "no %zu bytes from the system: %s", size, strerror(errno));
    return pages;
}

void system_pages_free(void *pages, size_t size)
{
    int result = munmap(pages, size);
    CHECK(result == 0, "munmap of %zu bytes: %s", size, strerror(errno));
}

/* Read without stdio, which would allocate a buffer and so change what is measured. */
size_t resident_bytes(void)
{
    char text[128];
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    const char *second = strchr(text, ' ');
    long page = sysconf(_SC_PAGESIZE);
    return second ? strtoul(second, NULL, 10) * (size_t)page : 0;
}

uint64_t parse_number(const char *name, const char *text)
{
    char *end = NULL;
    errno = 0;
    uint64_t value = text ? strtoull(text, &end, 0) : 0;
    if (!text || end == text || *end || errno) {
        fprintf(stderr, "%s wants a number, not \"%s\"\n", name, text ? text : "");
        exit(2);
    }
    return value;
}

/* Of the coverage build: writes its counters. Elsewhere there is none. */
void __gcov_dump(void) __attribute__((weak));

void exit_child(int status)
{
    if (__gcov_dump != NULL)
        __gcov_dump();
    syscall(SYS_exit_group, status);
}
