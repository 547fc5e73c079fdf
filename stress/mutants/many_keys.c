/* SPDX-License-Identifier: MIT */
/*
 * Trap 5: pthread_setspecific calls calloc for keys from 32 on, and so comes back into a malloc
 * that is just setting up the heap of the thread: without end. Stands for: a program whose
 * libraries made many keys before the first allocation. Here 100 keys are made before anything
 * else, so that the allocator's own key is a late one. Linked to the library that is malloc.
 */
#include "check.h"
#include "names.h"
#include "step.h"

#include <poolmalloc/poolmalloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { keys = 100, threads = 200, blocks_each = 100, alarm_seconds = 60, skip_status = 77 };

static pthread_key_t made[keys];
static int failed;

/* Before all constructors. */
static void make_keys(void)
{
    for (int i = 0; i < keys; i++)
        failed += pthread_key_create(&made[i], NULL) != 0;
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = make_keys;

static void *use_heap(void *argument)
{
    char *blocks[blocks_each];
    (void)argument;
    for (int i = 0; i < blocks_each; i++) {
        blocks[i] = api_malloc(40);
        CHECK(blocks[i], "no 40 bytes");
        memset(blocks[i], i, 40);
    }
    CHECK(pthread_setspecific(made[keys - 1], blocks) == 0, "pthread_setspecific");
    for (int i = 0; i < blocks_each; i++) {
        CHECK(blocks[i][39] == (char)i, "block %d lost its contents", i);
        api_free(blocks[i]);
    }
    return NULL;
}

int main(void)
{
    struct pm_stats before, after;
    CHECK(failed == 0, "%d keys could not be made", failed);
    if (made[0] >= keys || made[keys - 1] - made[0] != keys - 1) {
        puts("this C library numbers keys otherwise");
        return skip_status;
    }
    alarm_guard(alarm_seconds);
    use_heap(NULL);
    pm_stats_get(&before);
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, use_heap, NULL) == 0, "pthread_create");
        pthread_join(thread, NULL);
    }
    pm_stats_get(&after);
    CHECK(after.heaps_in_use == before.heaps_in_use, "%llu heaps in use, %llu before",
          (unsigned long long)after.heaps_in_use, (unsigned long long)before.heaps_in_use);
    printf("%d threads set up their heaps behind %d keys\n", threads, keys);
    return 0;
}
