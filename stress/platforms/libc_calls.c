/* SPDX-License-Identifier: MIT */
/*
 * A program as users have them, that calls the C library and knows of no allocator: what the
 * library allocates on its behalf (strings, streams, lines, directories, threads) must come from
 * poolmalloc, whether that is linked, statically or not, or preloaded. Its counters show it. A C
 * library that kept an allocator of its own for some of this would hand out blocks that our free
 * does not know; that would end the program.
 */
#include "check.h"
#include "common.h"
#include "poolmalloc/poolmalloc.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef LIBC_CALLS_PRELOADED
#define LIBC_CALLS_PRELOADED 0
#endif

enum { rounds = 200, threads = 4 };

#if LIBC_CALLS_PRELOADED
#include <dlfcn.h>

static uint64_t mallocs(void)
{
    bool (*get)(struct pm_stats *);
    struct pm_stats stats;
    *(void **)&get = dlsym(RTLD_DEFAULT, "pm_stats_get");
    CHECK(get != NULL && get(&stats), "no poolmalloc is preloaded");
    return stats.mallocs;
}
#else
static uint64_t mallocs(void)
{
    struct pm_stats stats;
    CHECK(pm_stats_get(&stats), "no statistics");
    return stats.mallocs;
}
#endif

static void copy_string(void)
{
    char *copy = strdup("a text that is copied"), *part = strndup(copy, 6);
    CHECK(copy && part && strcmp(part, "a text") == 0, "strdup");
    free(copy);
    free(part);
}

static void print_to_string(void)
{
    char *text;
    int length = asprintf(&text, "%0500d", 7);
    CHECK(length == 500 && text[499] == '7' && text[0] == '0', "asprintf");
    free(text);
}

static void write_stream(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    CHECK(stream, "open_memstream");
    for (int i = 0; i < 3000; i++)
        fprintf(stream, "%04d\n", i);
    CHECK(fclose(stream) == 0 && size == 15000 && memcmp(text + 14995, "2999\n", 6) == 0,
          "open_memstream wrote %zu bytes", size);
    free(text);
}

static void read_lines(void)
{
    char text[] =
        "a short line\nand one that is a good deal longer, so that the buffer has to grow, "
        "as it began with one that was only large enough for the first\n";
    char *line = NULL;
    size_t room = 0;
    FILE *stream = fmemopen(text, strlen(text), "r");
    CHECK(stream, "fmemopen");
    CHECK(getline(&line, &room, stream) == 13 && getline(&line, &room, stream) > 100, "getline");
    free(line);
    fclose(stream);
}

static void list_folder(void)
{
    struct dirent **names;
    int count = scandir("/", &names, NULL, alphasort);
    CHECK(count > 2, "scandir of / found %d names", count);
    while (count-- > 0)
        free(names[count]);
    free(names);
}

static void sort_much(void)
{
    void *aligned;
    CHECK(posix_memalign(&aligned, 4096, 5000) == 0 && (uintptr_t)aligned % 4096 == 0,
          "posix_memalign");
    aligned = realloc(aligned, 500000);
    CHECK(aligned, "realloc");
    free(aligned);
    char *zero = calloc(1000, 31);
    CHECK(zero && zero[0] == 0 && zero[30999] == 0, "calloc");
    free(zero);
}

static const struct call {
    const char *name;
    void (*run)(void);
    unsigned least; /* allocations that it makes */
} calls[] = {
    {"strdup", copy_string, 2},          {"asprintf", print_to_string, 1},
    {"open_memstream", write_stream, 2}, {"getline", read_lines, 2},
    {"scandir", list_folder, 3},         {"the family itself", sort_much, 2},
};

static void *run_all(void *unused)
{
    for (int i = 0; i < rounds; i++) {
        for (size_t call = 0; call < sizeof calls / sizeof *calls; call++)
            calls[call].run();
    }
    /* Freed by who joins: made by us. */
    return unused ? NULL : strdup("from a thread");
}

int main(void)
{
    free(run_all(NULL)); /* the main thread has its heap from here on */
    for (size_t call = 0; call < sizeof calls / sizeof *calls; call++) {
        uint64_t before = mallocs();
        calls[call].run();
        uint64_t made = mallocs() - before;
        printf("%s: %llu allocations\n", calls[call].name, (unsigned long long)made);
        CHECK(made >= calls[call].least, "%s was served by another allocator", calls[call].name);
    }
    pthread_t all[threads];
    for (int i = 0; i < threads; i++)
        CHECK(pthread_create(&all[i], NULL, run_all, NULL) == 0, "thread %d", i);
    for (int i = 0; i < threads; i++) {
        void *text;
        CHECK(pthread_join(all[i], &text) == 0 && strcmp(text, "from a thread") == 0, "join");
        free(text);
    }
    return 0;
}
