/* SPDX-License-Identifier: MIT */
/*
 * Trap 6: what the allocator calls while it initialises itself must not allocate, nor be something
 * that programs replace by what allocates (getenv), nor take the loader's lock (dlsym). This
 * program defines such functions itself, so that the library's calls come here; while the first
 * allocator call of the process runs, before any constructor, each of them is an error.
 */
#include "check.h"
#include "names.h"
#include "step.h"

#include <errno.h>
#include <poolmalloc/poolmalloc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { first_blocks = 300, alarm_seconds = 60, bump_bytes = 1 << 20, skip_status = 77 };

static volatile bool armed;
static volatile unsigned called; /* outside of the first call: the functions here are in use */

static void is_called(const char *name)
{
    called++;
    if (!armed)
        return;
    armed = false;
    CHECK(false, "the first allocator call calls %s", name);
}

/* Memory for the C library, never given back; that it is linked in proves the interposition. */
static void *bump(size_t size, size_t align)
{
    static char memory[bump_bytes] __attribute__((aligned(4096)));
    static size_t used;
    size_t start = (used + align - 1) & ~(align - 1);
    if (align > 4096 || size > bump_bytes - start)
        return NULL;
    used = start + size;
    return memory + start;
}

void *malloc(size_t size)
{
    is_called("malloc");
    return bump(size, 16);
}

void *calloc(size_t count, size_t size)
{
    is_called("calloc");
    return bump(count * size, 16);
}

void *realloc(void *old, size_t size)
{
    is_called("realloc");
    void *block = bump(size, 16);
    if (old != NULL && block != NULL)
        memmove(block, old, size); /* what lies behind the old one is memory of ours too */
    return block;
}

void *memalign(size_t align, size_t size);
void *memalign(size_t align, size_t size)
{
    is_called("memalign");
    return bump(size, align < 16 ? 16 : align);
}

void *aligned_alloc(size_t align, size_t size)
{
    is_called("aligned_alloc");
    return bump(size, align < 16 ? 16 : align);
}

int posix_memalign(void **block, size_t align, size_t size)
{
    is_called("posix_memalign");
    *block = bump(size, align < 16 ? 16 : align);
    return *block ? 0 : ENOMEM;
}

void free(void *block)
{
    if (block != NULL)
        is_called("free");
}

char *getenv(const char *name)
{
    size_t length = strlen(name);
    is_called("getenv");
    for (char **at = environ; at != NULL && *at != NULL; at++) {
        if (strncmp(*at, name, length) == 0 && (*at)[length] == '=')
            return *at + length + 1;
    }
    return NULL;
}

long sysconf(int name)
{
    is_called("sysconf");
    (void)name;
    return -1;
}

#define TRAPPED(type, name, result)                                                                \
    type name(void);                                                                               \
    type name(void)                                                                                \
    {                                                                                              \
        is_called(#name);                                                                          \
        return result;                                                                             \
    }
/* Not used by this program; whatever the arguments are, they are not looked at. */
TRAPPED(void *, dlsym, NULL)
TRAPPED(void *, dlopen, NULL)
TRAPPED(int, dladdr, 0)
TRAPPED(int, dl_iterate_phdr, 0)
TRAPPED(int, __cxa_atexit, 0)
TRAPPED(int, backtrace, 0)

static bool was_made;

/* Before all constructors, the library's among them. */
static void make_first_call(void)
{
    was_made = true;
    armed = true;
    for (int i = 0; i < first_blocks; i++) {
        char *block = pm_malloc((size_t)(i + 1) * 10);
        if (block != NULL)
            memset(block, 1, (size_t)(i + 1) * 10);
        if (block != NULL && i % 2)
            pm_free(block);
    }
    armed = false;
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = make_first_call;

int main(void)
{
    struct pm_stats stats;
    alarm_guard(alarm_seconds);
    if (!was_made) {
        puts("skipped: this C library does not run .preinit_array");
        return skip_status;
    }
    CHECK(pm_stats_get(&stats) && stats.heaps == 1, "the first call was not served");
    unsigned before = called;
    CHECK(getenv("") == NULL && malloc(1) != NULL, "the functions here do not work");
    CHECK(called == before + 2, "calls do not come here");
    puts("the first allocator call called nothing that may allocate");
    return 0;
}
