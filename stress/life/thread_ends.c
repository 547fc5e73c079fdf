/* SPDX-License-Identifier: MIT */
/*
 * What a thread does with the allocator while it ends, thread after thread: its first call of all
 * in the last round of destructors; many calls there; allocations and frees in every round, after
 * its heap is gone. Nothing of it may be lost: in the end as many blocks are live, as many heaps in
 * use and as much memory is resident as before. Source: "a thread whose first allocator call is in
 * the last round of destructors leaks its cache" (traps), seen in programs whose logging or
 * statistics end last. musl has as many rounds as glibc.
 * Usage: thread_ends first|many|every [threads [MiB that may be added]]
 */
#include "life.h"
#include "poolmalloc/poolmalloc.h"

#include <stdio.h>
#include <string.h>

enum {
    warm_up_threads = 20,
    few_blocks = 3,
    many_blocks = 400, /* far beyond what one slow call brings */
    many_size = 3000,
    heaps_left_over = 1, /* of the last thread, until another has its address */
};

static void *blocks[many_blocks];
static unsigned blocks_count; /* the ending thread's; then the joining one's */
static struct set *sets[16];
static unsigned sets_count;
static struct rng rng;

static void allocate(unsigned count, size_t size)
{
    for (blocks_count = 0; blocks_count < count; blocks_count++) {
        unsigned char *block = api_malloc(size);
        CHECK(block, "no %zu bytes at a thread's end", size);
        memset(block, 0x77, size);
        blocks[blocks_count] = block;
    }
}

static void first_in_last_round(int round, void *argument)
{
    (void)argument;
    if (round == thread_end_rounds())
        allocate(few_blocks, random_size(&rng, 1, 2000));
}

static void many_in_last_round(int round, void *argument)
{
    (void)argument;
    if (round == thread_end_rounds())
        allocate(many_blocks, many_size);
}

/* Frees what the last round left, also what the thread's heap had made, and leaves anew. */
static void something_in_every_round(int round, void *argument)
{
    (void)argument;
    struct set *left = sets[--sets_count];
    sets[sets_count++] = set_make(&rng, (unsigned char)round);
    set_free(left);
}

static void end_by(void (*last_words)(int round, void *argument))
{
    at_thread_end(last_words, NULL);
}

static void *begin_first(void *argument)
{
    end_by(first_in_last_round);
    return argument;
}

static void *begin_many(void *argument)
{
    end_by(many_in_last_round);
    return argument;
}

static void *begin_every(void *argument)
{
    sets[sets_count++] = set_make(&rng, 0);
    sets[sets_count++] = set_make(&rng, 1);
    end_by(something_in_every_round);
    return argument;
}

static void run_one(void *(*begin)(void *))
{
    join_thread(start_thread(begin, NULL));
    CHECK(blocks_count + sets_count > 0, "the thread allocated nothing in its last round");
    while (blocks_count > 0)
        api_free(blocks[--blocks_count]);
    while (sets_count > 0)
        set_free(sets[--sets_count]);
}

struct state {
    long long live, heaps, heaps_in_use, resident;
};

static struct state look(void)
{
    struct pm_stats stats;
    pm_purge(); /* what is kept is no leak */
    CHECK(pm_stats_get(&stats), "no statistics");
    return (struct state){
        .live = (long long)(stats.mallocs - stats.frees - stats.remote_frees),
        .heaps = (long long)stats.heaps,
        .heaps_in_use = (long long)stats.heaps_in_use,
        .resident = (long long)resident_bytes(),
    };
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "";
    uint64_t threads = parse_number("the number of threads", count > 2 ? arguments[2] : "1000");
    uint64_t allowed_mib = parse_number("the MiB allowed", count > 3 ? arguments[3] : "8");
    void *(*begin)(void *) = strcmp(mode, "first") == 0   ? begin_first
                             : strcmp(mode, "many") == 0  ? begin_many
                             : strcmp(mode, "every") == 0 ? begin_every
                                                          : NULL;
    if (!begin) {
        fprintf(stderr, "usage: thread_ends first|many|every [threads [MiB]]\n");
        return 2;
    }
    guard_against_hangs();
    rng = rng_make(81, 0);
    use_heap(&rng, 2);
    for (unsigned i = 0; i < warm_up_threads; i++)
        run_one(begin);
    struct state before = look();
    for (uint64_t i = 0; i < threads; i++)
        run_one(begin);
    struct state after = look();
    printf("before %llu threads and after: live blocks %lld, %lld; heaps in use %lld, %lld; "
           "resident KiB %lld, %lld\n",
           (unsigned long long)threads, before.live, after.live, before.heaps_in_use,
           after.heaps_in_use, before.resident >> 10, after.resident >> 10);
    fflush(stdout);
    CHECK(after.heaps_in_use <= 1 + heaps_left_over, "heaps of ended threads stay in use");
    CHECK(after.heaps <= before.heaps + heaps_left_over, "heaps are made that nobody uses");
    CHECK(after.live == before.live, "%lld blocks were lost", after.live - before.live);
    CHECK(after.resident - before.resident <= (long long)allowed_mib << 20,
          "grown by more than %llu MiB", (unsigned long long)allowed_mib);
    return 0;
}
