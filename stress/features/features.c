/* SPDX-License-Identifier: MIT */
/*
 * What the allocator in front of this program has and does: the rows of the README's table, found
 * out and not claimed. features.py runs it once for each allocator and row.
 *
 * Usage: features ROW. Prints "yes" or "no", and how that was seen. The rows of misuse do what is
 * wrong: features.py looks at how the program ends. Exit code 2: no such row.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    blocks = 400000,
    block_bytes = 200,
    limit_mib = 64, /* as features.py sets it */
};

typedef int mallctl_function(const char *name, void *old, size_t *old_bytes, void *new_value,
                             size_t new_bytes);

static void *held[blocks];

/* ---- names ---- */

static const char *object_of(void *address)
{
    Dl_info info;
    return address != NULL && dladdr(address, &info) != 0 ? info.dli_fname : "";
}

/* The name is there, and from the object that malloc is from. */
static void *mine(const char *name)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    const char *object = object_of(dlsym(RTLD_DEFAULT, "malloc"));
    return strcmp(object_of(found), object) == 0 ? found : NULL;
}

static bool mine_all(const char *const *names)
{
    for (; *names != NULL; names++)
        if (mine(*names) == NULL)
            return false;
    return true;
}

static bool mallctl_has(const char *name, void *value, size_t bytes)
{
    mallctl_function *function = (mallctl_function *)(uintptr_t)mine("mallctl");
    return function != NULL && function(name, value, &bytes, NULL, 0) == 0;
}

static bool answer(bool yes)
{
    puts(yes ? "yes" : "no");
    return true;
}

#define HAS(...) answer(mine_all((const char *const[]){__VA_ARGS__, NULL}))

static bool row_glibc_names(void)
{
    return HAS("mallinfo2", "malloc_info", "mallopt", "malloc_trim", "malloc_stats");
}

static bool row_jemalloc_names(void)
{
    return HAS("mallctl", "mallocx", "sdallocx", "nallocx", "malloc_stats_print");
}

static bool row_cxx(void)
{
    return HAS("_Znwm", "_ZnamRKSt9nothrow_t", "_ZnwmSt11align_val_t", "_ZdlPvmSt11align_val_t");
}

static bool row_both_names(void)
{
    return answer(mine("pm_malloc") || mine("mi_malloc") || mine("tc_malloc"));
}

static bool row_heaps(void)
{
    unsigned arena;
    bool arenas = mine("pm_malloc") == NULL && mallctl_has("arenas.create", &arena, sizeof arena);
    return answer(arenas || mine("pm_heap_destroy") || mine("mi_heap_destroy"));
}

static bool row_walk(void)
{
    return answer(mine("pm_heap_walk") || mine("mi_heap_visit_blocks"));
}

static bool row_tables(void)
{
    return answer(mine("pm_set_allocator"));
}

static bool row_page_hooks(void)
{
    void *hooks;
    return answer(mine("pm_set_page_hooks") ||
                  mallctl_has("arena.0.extent_hooks", &hooks, sizeof hooks) ||
                  mine("_ZN15MallocExtension18SetSystemAllocatorEP12SysAllocator"));
}

static bool row_profiler(void)
{
    bool profiler = false;
    return answer((mallctl_has("config.prof", &profiler, sizeof profiler) && profiler) ||
                  mine("HeapProfilerStart") || mine("pm_profile_start"));
}

/* ---- memory ---- */

static size_t resident_mib(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%*u %lu", &pages) != 1)
        abort();
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE) >> 20;
}

static void *fill(void *first)
{
    for (unsigned i = 0; i < blocks; i++) {
        void *block = malloc(block_bytes);
        if (block == NULL)
            abort();
        memset(block, 1, block_bytes);
        ((void **)first)[i] = block;
    }
    return NULL;
}

static void free_held(void)
{
    for (unsigned i = 0; i < blocks; i++)
        free(held[i]);
}

static void run_thread(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, function, argument) != 0)
        abort();
    pthread_join(thread, NULL);
}

/* As each of them documents it: everything that can go back now. */
static void give_back(void)
{
    void (*collect)(bool) = (void (*)(bool))(uintptr_t)mine("mi_collect");
    void (*release)(void) = (void (*)(void))(uintptr_t)mine("MallocExtension_ReleaseFreeMemory");
    mallctl_function *control = (mallctl_function *)(uintptr_t)mine("mallctl");
    if (mine("malloc_trim"))
        malloc_trim(0);
    else if (control)
        control("arena.4096.purge", NULL, NULL, NULL, 0);
    else if (collect)
        collect(true);
    else if (release)
        release();
}

/* Blocks that an ended thread made and this one freed: most of their memory goes back on request.
 */
static bool row_gives_back(void)
{
    size_t before = resident_mib();
    run_thread(fill, held);
    size_t filled = resident_mib();
    free_held();
    give_back();
    size_t after = resident_mib();
    size_t stays = after > before ? after - before : 0;
    printf("%s: %zu of %zu MiB stay\n", stays < (filled - before) / 8 ? "yes" : "no", stays,
           filled - before);
    return true;
}

static pthread_barrier_t made, done;

static void *fill_and_sleep(void *first)
{
    fill(first);
    pthread_barrier_wait(&made);
    pthread_barrier_wait(&done);
    return NULL;
}

static void *other[blocks];

/* Blocks of a thread that sleeps are freed by this one: does a third one get their memory? */
static bool row_reused(void)
{
    pthread_t maker;
    pthread_barrier_init(&made, NULL, 2);
    pthread_barrier_init(&done, NULL, 2);
    size_t before = resident_mib();
    if (pthread_create(&maker, NULL, fill_and_sleep, held) != 0)
        abort();
    pthread_barrier_wait(&made);
    size_t filled = resident_mib();
    free_held();
    run_thread(fill, other);
    size_t again = resident_mib();
    pthread_barrier_wait(&done);
    pthread_join(maker, NULL);
    bool reused = again - before < (filled - before) + (filled - before) / 4;
    printf("%s: %zu MiB, then %zu MiB\n", reused ? "yes" : "no", filled - before, again - before);
    return true;
}

/* Under a limit that features.py sets: malloc returns NULL before twice as much is there. */
static bool row_limit(void)
{
    for (unsigned i = 0; i < 2 * limit_mib; i++) {
        void *block = malloc(1u << 20);
        if (block == NULL)
            return answer(true);
        memset(block, 1, 1u << 20);
    }
    return answer(false);
}

/* ---- misuse: features.py looks at the end ---- */

static bool row_foreign(void)
{
    static char nobodys[4096] __attribute__((aligned(64)));
    char *volatile wrong = nobodys + 64;
    free(wrong);
    return answer(false);
}

static bool row_interior(void)
{
    fill(held);
    char *volatile wrong = (char *)held[blocks / 2] + 64;
    free(wrong);
    return answer(false);
}

static bool row_twice(void)
{
    fill(held);
    void *volatile block = held[blocks / 2];
    free(block);
    free(held[blocks / 3]);
    free(block);
    return answer(false);
}

static bool row_large_twice(void)
{
    void *volatile block = malloc(10u << 20);
    free(block);
    free(block);
    return answer(false);
}

static const struct {
    const char *name;
    bool (*run)(void);
} rows[] = {
    {"glibc-names", row_glibc_names},
    {"jemalloc-names", row_jemalloc_names},
    {"cxx", row_cxx},
    {"both-names", row_both_names},
    {"heaps", row_heaps},
    {"walk", row_walk},
    {"tables", row_tables},
    {"page-hooks", row_page_hooks},
    {"profiler", row_profiler},
    {"gives-back", row_gives_back},
    {"reused", row_reused},
    {"limit", row_limit},
    {"foreign", row_foreign},
    {"interior", row_interior},
    {"twice", row_twice},
    {"large-twice", row_large_twice},
};

int main(int count, char **arguments)
{
    for (size_t i = 0; count == 2 && i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(arguments[1], rows[i].name) == 0)
            return rows[i].run() ? 0 : 1;
    fprintf(stderr, "usage: features ROW\n");
    return 2;
}
