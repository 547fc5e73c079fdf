/* SPDX-License-Identifier: MIT */
/*
 * Trap 19: calloc that spares the memset on memory that is not zero; a system that refuses to take
 * memory back, or a part of a mapping. Blocks of each size are filled and freed, by this thread or
 * one that exits; then memory goes back or not, since the system refuses always, or after some
 * calls; then calloc of another size must give zeros, all of them. Stands for: programs at the
 * limit of mappings, or with locked memory. A large realloc moves pages, or is refused that, wholly
 * or in part. Modes: purge, move, munmap (with a small window_bytes).
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "step.h"
#include "syscalls.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
    sizes = 12,
    blocks_max = 2000,
    alarm_seconds = 100,
    large = 5 << 20,
    pieces = 20,
    moves = 12
};

static const size_t size_list[sizes] = {16,    112,   512,    1000,   3000,    9000,
                                        40000, 65536, 100000, 700000, 2 << 20, large};
static char *blocks[blocks_max];
static size_t filled_size;

static size_t count_of(size_t size)
{
    size_t count = ((size_t)256 << 10) / size;
    return count == 0 ? 1 : count > blocks_max ? blocks_max : count;
}

static void *fill_and_free(void *argument)
{
    size_t count = count_of(filled_size);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = api_malloc(filled_size);
        CHECK(blocks[i], "no %zu bytes", filled_size);
        memset(blocks[i], 0xa5, api_usable_size(blocks[i]));
    }
    for (size_t i = 0; i < count; i++)
        api_free(blocks[i]);
    return argument;
}

static bool is_zero(const char *block, size_t size)
{
    return block[0] == 0 && memcmp(block, block + 1, size - 1) == 0;
}

static void expect_zero(size_t size)
{
    size_t count = count_of(size);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = i % 2 ? api_calloc(1, size) : api_calloc(size / 8, 8);
        CHECK(blocks[i], "no %zu bytes", size);
        CHECK(is_zero(blocks[i], size / 8 * 8), "calloc of %zu bytes after %zu is not zero", size,
              filled_size);
        memset(blocks[i], 0x5a, size);
    }
    for (size_t i = 0; i < count; i++)
        api_free(blocks[i]);
}

static void give_back(unsigned way)
{
    if (way == 0)
        return;
    if (way > 1)
        syscalls_refuse(REFUSE_MADVISE | REFUSE_MREMAP, way == 2 ? 0 : way - 2);
    api_trim(0);
    CHECK(way != 2 || syscalls_refused() > 0, "there was nothing to give back");
    syscalls_refuse(0, 0);
}

static void after_purges(void)
{
    pthread_t thread;
    for (unsigned way = 0; way < 5; way++) {
        for (int i = 0; i < sizes * sizes; i++) {
            filled_size = size_list[i / sizes];
            if (i % 2 == 0) {
                fill_and_free(NULL);
            } else {
                CHECK(pthread_create(&thread, NULL, fill_and_free, NULL) == 0, "pthread_create");
                pthread_join(thread, NULL);
            }
            give_back(way);
            expect_zero(size_list[i % sizes]);
        }
    }
    puts("calloc gave zeros after purges that worked and that were refused");
}

/* What a block that moved leaves behind may be called zero only as far as its pages went. */
static void after_moves(void)
{
    static const size_t arenas = 3 * large / 5; /* a multiple of MiB, and no power of two */
    uint64_t refused = 0;
    for (uint64_t pass = 0; pass < moves; pass++) {
        filled_size = arenas * (2 + pass % 3);
        char *block = api_malloc(filled_size), *wall = api_malloc(large);
        CHECK(block && wall, "no %zu bytes", filled_size);
        memset(block, 0xa5, filled_size);
        syscalls_refuse(REFUSE_MREMAP, pass);
        block = api_realloc(block, 3 * filled_size);
        refused += syscalls_refused();
        syscalls_refuse(0, 0);
        CHECK(block && (unsigned char)block[0] == 0xa5 &&
                  memcmp(block, block + 1, filled_size - 1) == 0,
              "realloc lost contents");
        expect_zero(filled_size);
        expect_zero(arenas);
        api_free(block);
        api_free(wall);
    }
    CHECK(refused > 0, "no move was refused");
    printf("calloc gave zeros after moves, %llu of them refused\n", (unsigned long long)refused);
}

/* Parts of reservations cannot be given back: they stay, nothing else is lost. */
static void without_munmap(void)
{
    char *held[pieces];
    syscalls_refuse(REFUSE_MUNMAP, 0);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < pieces; i++) {
            held[i] = api_calloc(1, large);
            CHECK(held[i] && is_zero(held[i], large), "no %d bytes of zeros", large);
            memset(held[i], i, large);
        }
        for (int i = 0; i < pieces; i++) {
            CHECK(held[i][large - 1] == (char)i, "block %d changed", i);
            api_free(held[i]);
        }
        api_trim(0);
    }
    CHECK(syscalls_refused() > 0, "no part of a mapping was to be given back");
    printf("%llu refusals of munmap survived\n", (unsigned long long)syscalls_refused());
}

int main(int count, char **arguments)
{
    alarm_guard(alarm_seconds);
    if (count > 1 && strcmp(arguments[1], "munmap") == 0)
        without_munmap();
    else if (count > 1 && strcmp(arguments[1], "move") == 0)
        after_moves();
    else
        after_purges();
    return 0;
}
