/* SPDX-License-Identifier: MIT */
/*
 * dlopen and dlclose, over and over, of something that brings poolmalloc into a program that was
 * not linked to it (which allocates from the C library, or from a preloaded poolmalloc). Each time
 * a thread makes blocks while it is loaded, outlives the dlclose, frees them, allocates more and
 * ends, with the library's destructor. Source: "loading by dlopen, static TLS" (traps):
 * thread-local storage of the initial-exec kind must find room, and the code must stay (-z
 * nodelete). The plugin's calls of malloc go to the program's, in RTLD_LOCAL too, so that neither
 * allocator frees a block of the other; with RTLD_DEEPBIND they would not, and a foreign free is
 * named. musl's dlclose does nothing at all. Usage: loading plugin|library|served FILE [times]
 *   plugin   FILE is linked to poolmalloc and is unloaded each time; poolmalloc stays
 *   library  FILE is poolmalloc itself
 *   served   FILE knows nothing of poolmalloc, which is preloaded
 */
#include "life.h"

#include "poolmalloc/poolmalloc.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { visitor_blocks = 300 };

struct functions {
    void *(*allocate)(size_t size);
    void (*release)(void *block);
    bool (*statistics)(struct pm_stats *stats);
    void *(*use)(void *block); /* of a plugin */
};

struct visitor {
    struct functions functions;
    pthread_t thread;
    pthread_barrier_t allocated, closed;
};

static void *find(void *handle, const char *name)
{
    dlerror();
    void *symbol = dlsym(handle, name);
    CHECK(symbol, "no %s: %s", name, dlerror());
    return symbol;
}

static void *visit(void *argument)
{
    struct visitor *visitor = argument;
    const struct functions *f = &visitor->functions;
    void *blocks[visitor_blocks];
    for (size_t i = 0; i < visitor_blocks; i++) {
        size_t size = i % 60 == 59 ? 100000 : i * 13;
        blocks[i] = f->allocate(size);
        CHECK(blocks[i], "no %zu bytes", size);
        memset(blocks[i], 3, size);
    }
    if (f->use) /* touches the plugin's thread-local variable, which is freed after its end */
        free(f->use(malloc(50)));
    pthread_barrier_wait(&visitor->allocated);
    pthread_barrier_wait(&visitor->closed);
    for (size_t i = 0; i < visitor_blocks; i++)
        f->release(blocks[i]);
    for (size_t i = 0; i < visitor_blocks; i++)
        f->release(f->allocate(i));
    return NULL;
}

static struct functions find_functions(void *handle)
{
    struct functions f = {.use = NULL};
    *(void **)&f.allocate = find(handle, "pm_malloc");
    *(void **)&f.release = find(handle, "pm_free");
    *(void **)&f.statistics = find(handle, "pm_stats_get");
    return f;
}

static void load_once(const char *file, bool plugin, bool served)
{
    struct visitor visitor;
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    CHECK(handle, "%s", dlerror());
    visitor.functions = find_functions(served ? RTLD_DEFAULT : handle);
    if (plugin) {
        *(void **)&visitor.functions.use = find(handle, "plugin_use");
        free(visitor.functions.use(malloc(70)));
    }
    pthread_barrier_init(&visitor.allocated, NULL, 2);
    pthread_barrier_init(&visitor.closed, NULL, 2);
    visitor.thread = start_thread(visit, &visitor);
    pthread_barrier_wait(&visitor.allocated);
    CHECK(dlclose(handle) == 0, "%s", dlerror());
    handle = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    CHECK((handle == NULL) == plugin, "%s is %sloaded", file, handle ? "" : "not ");
    if (handle)
        dlclose(handle);
    pthread_barrier_wait(&visitor.closed);
    join_thread(visitor.thread);
    pthread_barrier_destroy(&visitor.allocated);
    pthread_barrier_destroy(&visitor.closed);
}

/* In the end: who served whom, and whether the heaps of all these threads were recycled. */
static void check_end(const char *file, bool served, uint64_t times)
{
    struct pm_stats stats;
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    CHECK(handle, "%s", dlerror());
    struct functions f = find_functions(served ? RTLD_DEFAULT : handle);
    CHECK(f.statistics(&stats), "no statistics");
    printf("loaded %llu times: %llu blocks from poolmalloc, %llu heaps\n",
           (unsigned long long)times, (unsigned long long)stats.mallocs,
           (unsigned long long)stats.heaps);
    fflush(stdout);
    CHECK(stats.mallocs >= times * visitor_blocks, "poolmalloc did not serve");
    CHECK(stats.heaps <= 4, "heaps are not recycled");
    bool ours = dlsym(RTLD_DEFAULT, "pm_malloc") != NULL;
    CHECK(ours == served, "poolmalloc is %svisible to the program", ours ? "" : "not ");
    dlclose(handle);
}

int main(int count, char **arguments)
{
    if (count < 3) {
        fprintf(stderr, "usage: loading plugin|library|served FILE [times]\n");
        return 2;
    }
    const char *mode = arguments[1], *file = arguments[2];
    uint64_t times = parse_number("the number of times", count > 3 ? arguments[3] : "100");
    bool served = strcmp(mode, "served") == 0, plugin = served || strcmp(mode, "plugin") == 0;
    guard_against_hangs();
    for (uint64_t i = 0; i < times; i++)
        load_once(file, plugin, served);
    check_end(file, served, times);
    return 0;
}
