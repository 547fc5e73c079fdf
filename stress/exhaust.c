/* SPDX-License-Identifier: MIT */
/*
 * Memory exhausted: under a limit of address space, set before start or lowered after it, every
 * entry point must answer NULL and ENOMEM, keep every live block whole, and work again once memory
 * was freed. Stands for: programs under `ulimit -v` and container limits that handle a NULL.
 * Allocates to exhaustion once for each block size, of small, medium and large kinds, by one thread
 * and by several.
 *
 * Address space that the allocator reserved before the limit fell may still be used, so that the
 * limit need not bind: a cap ends each round then, and only without "may" is it a failure.
 * Usage: exhaust [MiB left beyond what is in use at start, 0: the limit as it is [may]]
 */
#include "check.h"
#include "common.h"
#include "names.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum {
    threads = 4,
    default_room_mib = 128,
};

static size_t cap_bytes;
static bool cap_is_failure;
static pthread_barrier_t all_at_once;

/* The blocks held form a list through their first words; nothing else may allocate here. */
struct held {
    struct held *next;
    size_t size_bytes;
};

static const size_t sizes[] = {16,    64,     1000,    3000,    16000,
                               40000, 100000, 1 << 20, 5 << 20, 48 << 20};
enum { size_count = sizeof sizes / sizeof *sizes };

static void *call(unsigned which, size_t size)
{
    switch (which % 4) {
    case 0:
        return api_calloc(1, size);
    case 1:
        return api_aligned_alloc(64, size);
    case 2:
        return api_realloc(NULL, size);
    default:
        return api_malloc(size);
    }
}

static void fill(struct held *held, size_t size)
{
    memset(held, (int)(size % 251), size);
    held->size_bytes = size;
}

static void check_and_free(struct held *held)
{
    size_t size = held->size_bytes;
    const unsigned char *bytes = (const unsigned char *)held;
    unsigned wrong = 0;
    for (size_t i = sizeof *held; i < size; i++)
        wrong |= bytes[i] ^ (unsigned)(size % 251);
    CHECK(wrong == 0, "a block of %zu bytes changed", size);
    api_free(held);
}

static void add(struct held **list, struct held *held, size_t size)
{
    fill(held, size);
    held->next = *list;
    *list = held;
}

/* Makes blocks until there are no more; returns their number, all in *list. What a block takes
 * counts against the cap, which may be much more than was asked for. */
static size_t take_all(size_t size, struct held **list)
{
    size_t taken_bytes = 0;
    for (size_t count = 0;; count++) {
        if (taken_bytes > cap_bytes) {
            CHECK(!cap_is_failure, "%zu blocks of %zu bytes and no end", count, size);
            return count;
        }
        errno = 0;
        struct held *held = call((unsigned)count, size);
        if (!held) {
            CHECK(errno == ENOMEM, "failed at %zu bytes with errno %d", size, errno);
            return count;
        }
        taken_bytes += api_usable_size(held);
        add(list, held, size);
    }
}

static void free_all(struct held **list, size_t every)
{
    struct held *kept = NULL;
    size_t index = 0;
    while (*list) {
        struct held *next = (*list)->next;
        if (index++ % every == 0) {
            check_and_free(*list);
        } else {
            (*list)->next = kept;
            kept = *list;
        }
        *list = next;
    }
    *list = kept;
}

/* A block that cannot grow stays as it was, which check_and_free will see. */
static void try_to_grow(struct held **list)
{
    if (!*list)
        return;
    struct held *head = *list;
    struct held *rest = head->next;
    size_t size = head->size_bytes * 2;
    errno = 0;
    struct held *moved = api_realloc(head, size);
    if (moved) {
        *list = rest;
        add(list, moved, size);
        return;
    }
    CHECK(errno == ENOMEM, "realloc to %zu bytes set errno to %d", size, errno);
}

/* Takes all, frees half, takes all again; false when nothing was to be had the second time. The
 * count may well be smaller then: what was freed may be of no use for a large block. */
static bool exhaust_twice(size_t size)
{
    struct held *list = NULL;
    size_t first = take_all(size, &list);
    try_to_grow(&list);
    free_all(&list, 2);
    size_t second = take_all(size, &list);
    free_all(&list, 1);
    return first == 0 || second > 0;
}

/* Started before the limit falls: a stack that cannot be had would be no fault of the allocator. */
static void *exhaust_together(void *argument)
{
    pthread_barrier_wait(&all_at_once);
    exhaust_twice(*(const size_t *)argument); /* what one thread frees, another may get */
    return NULL;
}

static void check_that_it_works(size_t room)
{
    const size_t size = 100000;
    struct held *list = NULL;
    for (size_t used = 0; used < room; used += size) {
        struct held *held = api_malloc(size);
        CHECK(held, "only %zu of %zu bytes can be had after all was freed", used, room);
        add(&list, held, size);
    }
    free_all(&list, 1);
    printf("afterwards %zu MiB can be had in blocks of %zu bytes\n", room >> 20, size);
}

static void exhaust_each_size(void)
{
    for (size_t i = 0; i < size_count; i++) {
        struct held *list = NULL;
        size_t taken = take_all(sizes[i], &list);
        free_all(&list, 1);
        printf("%zu blocks of %zu bytes (%zu MiB)\n", taken, sizes[i], taken * sizes[i] >> 20);
        CHECK(exhaust_twice(sizes[i]), "nothing of %zu bytes after half was freed", sizes[i]);
    }
}

static size_t virtual_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%lu", &pages) == 1, "/proc/self/statm is not readable");
    fclose(file);
    return pages * 4096;
}

/* Lowers the limit to `room` more than is in use; returns the bytes that can be had at most. */
static size_t lower_limit(size_t room)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0, "getrlimit failed");
    if (room > 0)
        limit.rlim_cur = virtual_bytes() + room;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit failed");
    CHECK(room > 0 || limit.rlim_cur != RLIM_INFINITY, "no limit is set: ulimit -v first");
    return room > 0 ? room : limit.rlim_cur;
}

int main(int count, char **arguments)
{
    size_t room = default_room_mib;
    if (count > 1)
        room = parse_number("the room in MiB", arguments[1]);
    cap_is_failure = count <= 2 || strcmp(arguments[2], "may") != 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    api_free(api_malloc(1)); /* the allocator has started before the limit falls */

    static pthread_t others[threads];
    static size_t thread_sizes[threads] = {16, 16000, 1000, 5 << 20};
    pthread_barrier_init(&all_at_once, NULL, threads + 1);
    for (int i = 0; i < threads; i++) {
        int code = pthread_create(&others[i], NULL, exhaust_together, &thread_sizes[i]);
        CHECK(code == 0, "pthread_create returned %d", code);
    }
    size_t most = lower_limit(room << 20);
    cap_bytes = cap_is_failure ? 4 * most : most + most / 2;
    exhaust_each_size();
    pthread_barrier_wait(&all_at_once);
    for (int i = 0; i < threads; i++)
        pthread_join(others[i], NULL);
    printf("%d threads at once: done\n", threads);
    check_that_it_works(most / 4);
    return 0;
}
