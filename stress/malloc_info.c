/* SPDX-License-Identifier: MIT */
/*
 * A program that has so many blocks of one size, and large ones, and then writes malloc_info to
 * stdout, for malloc_info.py to read. Stands for a server that reports its heap to a monitor.
 * Usage: malloc_info COUNT SIZE LARGE
 */
#include "check.h"
#include "common.h"
#include "names.h"

#include <stdint.h>
#include <stdio.h>

enum { large_bytes = 5 << 20 };

/* Blocks that are kept on purpose. */
static void *last;

static void keep(size_t size)
{
    void **block = api_malloc(size);
    CHECK(block, "no memory for %zu bytes", size);
    *block = last;
    last = block;
}

int main(int count, char **arguments)
{
    CHECK(count == 4, "usage: malloc_info COUNT SIZE LARGE");
    uint64_t blocks = parse_number("COUNT", arguments[1]);
    size_t size = parse_number("SIZE", arguments[2]);
    uint64_t large = parse_number("LARGE", arguments[3]);
    for (uint64_t i = 0; i < blocks; i++)
        keep(size);
    for (uint64_t i = 0; i < large; i++)
        keep(large_bytes);
    int result = api_malloc_info(0, stdout);
    CHECK(result == 0, "malloc_info returned %d", result);
    return fflush(stdout) != 0;
}
