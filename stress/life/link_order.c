/* SPDX-License-Identifier: MIT */
/*
 * Which library serves depends on the order in which they were linked, but all functions of the
 * family come from the same one, so that none frees a block of the other. Where the C library was
 * named first, poolmalloc stands by; its pm_ names work all the same. (Of the C library's names
 * glibc 2.36 lacks free_sized and free_aligned_sized: these then are poolmalloc's alone, and say
 * "foreign pointer" of a block of glibc's.)
 * Usage: link_order serves|stands-by
 */
#include "life.h"
#include "poolmalloc/poolmalloc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const family[] = {
    "malloc",   "free",           "calloc", "realloc", "reallocarray",       "aligned_alloc",
    "memalign", "posix_memalign", "valloc", "pvalloc", "malloc_usable_size", "malloc_trim",
};

static const char *library_of(const char *name)
{
    Dl_info info;
    void *symbol = dlsym(RTLD_DEFAULT, name);
    CHECK(symbol && dladdr(symbol, &info) && info.dli_fname, "no %s", name);
    return strrchr(info.dli_fname, '/') ? strrchr(info.dli_fname, '/') + 1 : info.dli_fname;
}

static uint64_t blocks_served(void)
{
    struct pm_stats stats;
    pm_stats_get(&stats);
    return stats.mallocs;
}

/* Blocks that the C library makes for us and frees for us. */
static void cross_over(void)
{
    char *line = NULL;
    size_t size = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    CHECK(file, "no stream");
    while (getline(&line, &size, file) > 0)
        ;
    fclose(file);
    free(line);
    char *text = strdup("text");
    text = realloc(text, 100000);
    CHECK(text && strcmp(text, "text") == 0, "the text is lost");
    free(text);
}

int main(int count, char **arguments)
{
    CHECK(count > 1, "usage: link_order serves|stands-by");
    bool serves = strcmp(arguments[1], "serves") == 0;
    struct rng rng = rng_make(131, 0);
    guard_against_hangs();
    for (size_t i = 0; i < sizeof family / sizeof *family; i++) {
        bool ours = strncmp(library_of(family[i]), "libpoolmalloc", 13) == 0;
        CHECK(ours == serves, "%s is of %s", family[i], library_of(family[i]));
    }
    uint64_t before = blocks_served();
    use_heap(&rng, 5);
    cross_over();
    uint64_t served = blocks_served() - before;
    CHECK((served >= 100) == serves, "poolmalloc served %llu blocks", (unsigned long long)served);
    void *block = pm_malloc(10);
    CHECK(block, "no block of poolmalloc's");
    pm_free(block);
    printf("poolmalloc %s, all functions come from one library\n", arguments[1]);
    return 0;
}
