/* SPDX-License-Identifier: MIT */
/*
 * A worker dies and leaves nearly empty pools; the living go on. Stands for: thread pools that
 * shrink after a burst, with some of its results still in use. Source: "memory of exited threads is
 * not reused by the living; per-thread arenas only grow" (reference/traps.md, asks 4). The worker
 * makes blocks of several sizes, frees all but a random one of each pool and exits. Then two
 * threads take blocks of the same sizes, up to most of what is free: the counter of arenas must not
 * rise. Then all is freed, and they take blocks of other sizes: again none may be added.
 * Usage: dying_worker [mib=256] [part=80]
 *   mib      what the worker makes
 *   part     how much of what is free then is taken again, in percent
 */
#include "check.h"
#include "common.h"
#include "giveback/measure.h"
#include "names.h"

#include "poolmalloc/poolmalloc.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { livings = 2, class_count = 5, units_per_arena = 64 };

static const size_t worker_sizes[class_count] = {48, 112, 256, 480, 1008};
static const size_t other_sizes[class_count] = {80, 160, 352, 704, 32};

/* A list of blocks with their sizes, outside the allocator's memory. */
struct held {
    unsigned char *block;
    uint32_t size_bytes;
};

struct holder {
    struct held *held;
    size_t blocks, room, bytes, wanted_bytes;
    const size_t *sizes;
    struct gate *gate;
    uint64_t stream;
    pthread_t thread;
};

/* Makes blocks of equally many bytes of each size, as they come in random order. */
static void take(struct holder *holder)
{
    struct rng rng = rng_make(13, holder->stream);
    size_t left[class_count], total = 0;
    for (size_t i = 0; i < class_count; i++)
        total += left[i] = holder->wanted_bytes / class_count / holder->sizes[i];
    CHECK(total <= holder->room, "%zu blocks, and room for %zu", total, holder->room);
    for (size_t taken = 0; taken < total;) {
        size_t which = rng_below(&rng, class_count), size = holder->sizes[which];
        if (left[which] == 0)
            continue;
        left[which]--;
        unsigned char *block = api_malloc(size);
        CHECK(block, "no %zu bytes", size);
        memset(block, (int)(size / 16), size);
        holder->held[taken++] = (struct held){block, (uint32_t)size};
        holder->bytes += size;
    }
    holder->blocks = total;
}

static void check_and_free(struct held held)
{
    unsigned char mark = (unsigned char)(held.size_bytes / 16);
    CHECK(held.block[0] == mark && held.block[held.size_bytes - 1] == mark, "a block changed");
    api_free(held.block);
}

static void shuffle(struct held *held, size_t count)
{
    struct rng rng = rng_make(14, 0);
    for (size_t i = count; i > 1; i--) {
        size_t other = rng_below(&rng, i);
        struct held moved = held[i - 1];
        held[i - 1] = held[other];
        held[other] = moved;
    }
}

/* A set of numbers above 0, by open addressing. False: it is in already. */
static bool set_add(uintptr_t *set, size_t slots, uintptr_t number)
{
    size_t slot = mix64(number) % slots;
    while (set[slot] != 0 && set[slot] != number)
        slot = (slot + 1) % slots;
    bool is_new = set[slot] == 0;
    set[slot] = number;
    return is_new;
}

/* Frees all but the first of each unit; of pools of one unit, which these sizes have, that is all
 * but one block of each. In random order, so it is a random one. */
static void free_all_but_one_a_unit(struct holder *holder)
{
    size_t unit_bytes = measure_arena_bytes() / units_per_arena;
    size_t slots = 4 * (holder->wanted_bytes / unit_bytes + 64), kept = 0;
    uintptr_t *seen = system_pages(slots * sizeof *seen);
    shuffle(holder->held, holder->blocks);
    for (size_t i = 0; i < holder->blocks; i++) {
        struct held held = holder->held[i];
        if (set_add(seen, slots, (uintptr_t)held.block / unit_bytes)) {
            holder->held[kept++] = held;
        } else {
            holder->bytes -= held.size_bytes;
            check_and_free(held);
        }
    }
    holder->blocks = kept;
    system_pages_free(seen, slots * sizeof *seen);
}

static void free_held(struct holder *holder)
{
    for (size_t i = 0; i < holder->blocks; i++)
        check_and_free(holder->held[i]);
    holder->blocks = holder->bytes = 0;
}

static void *worker_main(void *argument)
{
    take(argument);
    free_all_but_one_a_unit(argument);
    return NULL;
}

/* Its list is emptied by main between the two stages: remote frees, as they happen. */
static void *living_main(void *argument)
{
    struct holder *holder = argument;
    api_free(api_malloc(100));
    for (unsigned stage = 1; stage <= 2; stage++) {
        gate_arrive(holder->gate);
        gate_wait(holder->gate, stage);
        take(holder);
    }
    gate_arrive(holder->gate);
    gate_wait(holder->gate, 3);
    return NULL;
}

static void init(struct holder *holder, struct gate *gate, uint64_t stream, size_t bytes)
{
    size_t room = bytes / 32 + class_count;
    *holder = (struct holder){system_pages(room * sizeof(struct held)), .room = room};
    holder->sizes = worker_sizes;
    holder->gate = gate;
    holder->stream = stream;
    holder->wanted_bytes = bytes;
    memset(holder->held, 0xff, room * sizeof(struct held));
}

static void start(struct holder *holder, void *(*body)(void *))
{
    int code = pthread_create(&holder->thread, NULL, body, holder);
    CHECK(code == 0, "pthread_create returned %d", code);
}

/* The living take `bytes` together; what came in for it, in arenas and in resident memory. */
static void let_them_take(struct holder *living, unsigned stage, const size_t *sizes, size_t bytes,
                          const char *arenas, const char *resident)
{
    struct pm_stats before, after;
    bool counted = measure_counters(&before);
    size_t resident_before = measure_resident();
    for (int i = 0; i < livings; i++) {
        living[i].sizes = sizes;
        living[i].wanted_bytes = bytes / livings;
    }
    gate_open(living[0].gate, stage);
    gate_await(living[0].gate, livings);
    double growth = (double)measure_resident() - (double)resident_before;
    report(resident, growth / MIB);
    if (counted && measure_counters(&after))
        judge(arenas, (double)(after.arenas - before.arenas), 0);
}

int main(int count, char **arguments)
{
    static const char *const names[] = {"mib", "part", NULL};
    static struct gate gate = GATE_INIT;
    static struct holder worker, living[livings];
    options_check(count, arguments, names);
    size_t bytes = option_number(count, arguments, "mib", 256) * MIB;
    size_t part = option_number(count, arguments, "part", 80);
    CHECK(bytes >= MIB && part <= 100, "at least 1 MiB, and a part of it");
    init(&worker, NULL, 0, bytes);
    for (int i = 0; i < livings; i++) {
        init(&living[i], &gate, 1 + (uint64_t)i, bytes / livings);
        start(&living[i], living_main);
    }
    gate_await(&gate, livings);
    start(&worker, worker_main);
    pthread_join(worker.thread, NULL);
    report("left_behind_mib", (double)worker.bytes / MIB);
    let_them_take(living, 1, worker_sizes, (bytes - worker.bytes) / 100 * part,
                  "arenas_added_same_sizes", "resident_added_same_sizes_mib");
    free_held(&worker);
    for (int i = 0; i < livings; i++)
        free_held(&living[i]);
    let_them_take(living, 2, other_sizes, bytes / 100 * part, "arenas_added_other_sizes",
                  "resident_added_other_sizes_mib");
    gate_open(&gate, 3);
    for (int i = 0; i < livings; i++) {
        pthread_join(living[i].thread, NULL);
        free_held(&living[i]);
    }
    return judged();
}
