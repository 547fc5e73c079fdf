/* SPDX-License-Identifier: MIT */
/*
 * What glibc asks of a replacement of malloc (manual, "Replacing malloc"): all functions of the
 * family come from it, the C library's own calls too, and their blocks are of one kind
 * (api_test.h).
 */
#include "api_makers.h"
#include "api_test.h"
#include "check.h"
#include "names.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#if STRESS_STANDARD_NAMES

#include "poolmalloc/poolmalloc.h"

#include <dlfcn.h>
#include <stdlib.h>

#define FUNCTION(name)                                                                             \
    {                                                                                              \
#name, (void *)name, (void *)pm_##name                                                     \
    }

/* The manual's list and what it says to add, then what is provided besides. */
static const struct {
    const char *name;
    void *address, *ours;
} required[] = {
    FUNCTION(malloc),         FUNCTION(free),        FUNCTION(calloc),
    FUNCTION(realloc),        FUNCTION(memalign),    FUNCTION(aligned_alloc),
    FUNCTION(posix_memalign), FUNCTION(valloc),      FUNCTION(malloc_usable_size),
    FUNCTION(pvalloc),        FUNCTION(free_sized),  FUNCTION(free_aligned_sized),
    FUNCTION(reallocarray),   FUNCTION(malloc_trim), FUNCTION(mallinfo),
    FUNCTION(mallinfo2),      FUNCTION(malloc_info), FUNCTION(malloc_stats),
    FUNCTION(mallopt),
};

/* In a program that is linked statically with all: each is one function with two names, which a
 * compiler takes for two functions where it sees both. */
static void required_functions_are_aliases(void)
{
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        void *ours = required[i].ours;
        __asm__("" : "+r"(ours));
        CHECK(required[i].address == ours, "%s is not ours", required[i].name);
    }
}

void required_functions_are_poolmallocs(void)
{
    Dl_info home, about;
    if (!dladdr((void *)pm_malloc, &home))
        return required_functions_are_aliases();
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        CHECK(dladdr(required[i].address, &about), "%s is in no object", required[i].name);
        CHECK(about.dli_fbase == home.dli_fbase, "%s is that of %s, not of %s", required[i].name,
              about.dli_fname, home.dli_fname);
        /* and so it is for who asks at run time, unless the program is not asked at all */
        void *found = dlsym(RTLD_DEFAULT, required[i].name);
        CHECK(!found || found == required[i].address || home.dli_fbase != about.dli_fbase,
              "dlsym finds another %s at %p", required[i].name, found);
    }
}

/* Resized and freed under our names; a foreign pointer would end the program. */
static void is_ours(const char *call, char *block, size_t least)
{
    struct pm_stats before, after;
    CHECK(block, "%s failed", call);
    size_t usable = pm_malloc_usable_size(block);
    CHECK(usable >= least, "%s: %zu usable bytes", call, usable);
    CHECK(pm_stats_get(&before), "no statistics");
    block = pm_realloc(block, usable + 1000);
    CHECK(block, "%s: its block cannot be resized", call);
    pm_free(block);
    CHECK(pm_stats_get(&after), "no statistics");
    CHECK(!allocator_is_the_pools() ||
              after.frees + after.remote_frees >= before.frees + before.remote_frees + 2,
          "%s: its block's frees were not counted", call);
}

void blocks_of_the_c_library_are_poolmallocs(void)
{
    char *text = NULL, *line = NULL;
    size_t room = 0;
    is_ours("strdup", strdup("a text"), 7);
    is_ours("strndup", strndup("a text", 3), 4);
    CHECK(asprintf(&text, "%1000d", 7) == 1000, "asprintf failed");
    is_ours("asprintf", text, 1001);
    is_ours("realpath", realpath("/", NULL), 2);
    FILE *memory = open_memstream(&text, &room);
    CHECK(memory, "open_memstream failed");
    fprintf(memory, "%5000d\n", 7);
    rewind(memory);
    fclose(memory);
    is_ours("open_memstream", text, 1);
    char source[] = "one line\nanother\n";
    room = 0;
    memory = fmemopen(source, sizeof source - 1, "r");
    CHECK(memory && getline(&line, &room, memory) == 9, "getline failed");
    fclose(memory);
    is_ours("getline", line, 10);
}

#endif

void a_block_of_any_maker_goes_to_any_taker(void)
{
    for (int m = 0; m < maker_count; m++) {
        for (int t = 0; t < taker_count; t++) {
            if (!takers[t].allowed(&makers[m]))
                continue;
            for (size_t i = 0; i < kind_count; i++) {
                char *block = must_make(&makers[m], 64, kinds[i]);
                block[0] = block[kinds[i] - 1] = 1;
                takers[t].take(block, 64, kinds[i]);
            }
        }
    }
}

static void *take_all(void *argument)
{
    void **blocks = argument;
    for (size_t i = 0; i < kind_count; i++) {
        check_ends(blocks[i], kinds[i], (unsigned)i);
        api_free(blocks[i]);
    }
    return NULL;
}

void a_block_of_any_maker_is_freed_by_another_thread(void)
{
    enum { room = 64 };
    void *blocks[room];
    CHECK(kind_count <= room, "more kinds than the test has room for");
    for (int m = 0; m < maker_count; m++) {
        pthread_t thread;
        for (size_t i = 0; i < kind_count; i++) {
            blocks[i] = must_make(&makers[m], 64, kinds[i]);
            paint_ends(blocks[i], kinds[i], (unsigned)i);
        }
        int code = pthread_create(&thread, NULL, take_all, blocks);
        CHECK(code == 0, "pthread_create returned %d", code);
        pthread_join(thread, NULL);
    }
}
