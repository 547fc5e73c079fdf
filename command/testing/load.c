/* SPDX-License-Identifier: MIT */
/*
 * A program that stats and top watch: threads with names that allocate and free all the time,
 * besides blocks that they keep, of which the test knows how many. Stands for a server under load.
 *
 *   load THREADS COUNT SIZE LARGE
 *
 * Each thread keeps COUNT blocks of SIZE bytes and LARGE large blocks. What it does next it reads
 * from stdin, a word a line, and it answers each with a line:
 *
 *   rest    the threads free what they work with and end; then the main thread takes slow paths of
 *           malloc until its statistics page says what pm_stats_get says. The answer is "at rest",
 *           or what differs, and figures as NAME=VALUE
 *   close   closes the descriptors that it did not open
 *   fork    goes on in a child that allocates nothing; the answer has its number
 *   exec    becomes `sleep 60`
 *   exit    ends, after the answer
 */
#define _GNU_SOURCE
#include "poolmalloc/stats_page.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    threads_max = 64,
    slots = 500,
    large_bytes = 5 << 20,
    filler_bytes = 3000,
    tries = 20000000
};

static unsigned long threads, count, size, large;
static _Atomic int enough;
static void *kept[threads_max];
static pthread_barrier_t barrier;
static pthread_t ids[threads_max];

/* Of the library that is preloaded, or linked. */
bool(pm_stats_get_sized)(struct pm_stats *stats, size_t bytes) __attribute__((weak));

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}

/* Not inlined: functions that top shows. */
static __attribute__((noinline)) void **keep_block(void **last, size_t bytes)
{
    void **block = malloc(bytes);
    require(block != NULL, "no memory");
    *block = last;
    return block;
}

static __attribute__((noinline)) void **keep_all(void **last)
{
    for (unsigned long i = 0; i < count; i++)
        last = keep_block(last, size);
    for (unsigned long i = 0; i < large; i++)
        last = keep_block(last, large_bytes);
    return last;
}

static void *work(void *arg)
{
    unsigned long self = (unsigned long)arg;
    unsigned seed = (unsigned)self + 1;
    void *held[slots] = {NULL};
    char name[16];
    snprintf(name, sizeof name, "load \"%lu\"", self);
    prctl(PR_SET_NAME, name);
    kept[self] = keep_all(NULL);
    pthread_barrier_wait(&barrier);
    while (!enough) {
        void **slot = &held[(unsigned)rand_r(&seed) % slots];
        free(*slot);
        *slot = malloc((size_t)16 << rand_r(&seed) % 8);
        require(*slot != NULL, "no memory");
    }
    for (int i = 0; i < slots; i++)
        free(held[i]);
    return NULL;
}

/* ---- at rest ---- */

static const struct pm_stats_page *own_page(void)
{
    char path[32], target[64];
    for (int i = 3; i < 1024; i++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", i);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        if (strcmp(target, "/memfd:" PM_STATS_PAGE_NAME " (deleted)") != 0)
            continue;
        void *page = mmap(NULL, sizeof(struct pm_stats_page), PROT_READ, MAP_SHARED, i, 0);
        return page != MAP_FAILED ? page : NULL;
    }
    return NULL;
}

static bool is_same(const struct pm_stats *a, const struct pm_stats *b)
{
    return a->live_bytes == b->live_bytes && a->live_blocks == b->live_blocks &&
           a->span_bytes == b->span_bytes && a->spans == b->spans &&
           a->batched_bytes == b->batched_bytes;
}

/* Who updates the page has counted its own blocks on its slow path before: so the page says what
 * there was some blocks ago. They are freed again, one by one, until that is what there is. */
static bool go_back(const struct pm_stats_page *page, void ***last, struct pm_stats *stats)
{
    static struct pm_stats_page copy;
    for (int i = 0; i < slots && *last != NULL; i++) {
        void **next = *last;
        *last = *next;
        free(next);
        require(pm_stats_get_sized(stats, sizeof *stats), "no statistics");
        if (pm_stats_page_read(page, &copy) && is_same(&copy.stats.stats, stats))
            return true;
    }
    return false;
}

static void **free_all(void **last)
{
    while (last != NULL) {
        void **next = last;
        last = *next;
        free(next);
    }
    return NULL;
}

/* Until there was an update: if one was kept from its processor, the next one may be seconds away.
 */
static bool take_slow_paths(const struct pm_stats_page *page, struct pm_stats *stats)
{
    void **last = NULL;
    for (int i = 0; i < tries; i++) {
        uint64_t updates = __atomic_load_n(&page->updates, __ATOMIC_RELAXED);
        last = keep_block(last, filler_bytes);
        if (__atomic_load_n(&page->updates, __ATOMIC_RELAXED) != updates &&
            go_back(page, &last, stats))
            return true;
        if (i % slots == 0) {
            last = free_all(last);
            usleep(1000);
        }
    }
    return false;
}

static void come_to_rest(void)
{
    static struct pm_stats stats;
    const struct pm_stats_page *page = own_page();
    require(pm_stats_get_sized != NULL && page != NULL, "no page");
    enough = 1;
    for (unsigned long i = 0; i < threads; i++)
        require(pthread_join(ids[i], NULL) == 0, "no thread");
    bool same = take_slow_paths(page, &stats);
    printf("%s live_bytes=%lu live_blocks=%lu span_bytes=%lu spans=%lu\n",
           same ? "at rest" : "the page differs", (unsigned long)stats.live_bytes,
           (unsigned long)stats.live_blocks, (unsigned long)stats.span_bytes,
           (unsigned long)stats.spans);
}

/* ---- */

static void do_as_told(const char *word)
{
    if (strcmp(word, "rest\n") == 0) {
        come_to_rest();
    } else if (strcmp(word, "close\n") == 0) {
        for (int i = 3; i < 1024; i++)
            close(i);
        printf("closed\n");
    } else if (strcmp(word, "fork\n") == 0) {
        pid_t child = fork();
        if (child == 0)
            for (;;)
                pause();
        printf("%d\n", (int)child);
    } else if (strcmp(word, "exec\n") == 0) {
        execlp("sleep", "sleep", "60", (char *)NULL);
    } else {
        printf("bye\n");
        fflush(stdout);
        exit(0);
    }
    fflush(stdout);
}

int main(int arguments, char **argument)
{
    static char output[4096], word[64];
    setvbuf(stdout, output, _IOFBF, sizeof output); /* and so no block of its own */
    setvbuf(stdin, NULL, _IONBF, 0);
    require(arguments == 5, "usage: load THREADS COUNT SIZE LARGE");
    threads = strtoul(argument[1], NULL, 10);
    count = strtoul(argument[2], NULL, 10);
    size = strtoul(argument[3], NULL, 10);
    large = strtoul(argument[4], NULL, 10);
    require(threads <= threads_max && size >= sizeof(void *), "too many threads, or small blocks");
    require(pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1) == 0, "no barrier");
    prctl(PR_SET_NAME, "load"); /* whatever the file is called */
    alarm(120);                 /* whatever becomes of who tells it what to do */
    for (unsigned long i = 0; i < threads; i++)
        require(pthread_create(&ids[i], NULL, work, (void *)i) == 0, "no thread");
    pthread_barrier_wait(&barrier);
    printf("ready\n");
    fflush(stdout);
    while (fgets(word, sizeof word, stdin) != NULL)
        do_as_told(word);
    return 0;
}
