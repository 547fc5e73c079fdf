/* SPDX-License-Identifier: MIT */
/*
 * Blocks made by one thread and freed by others, while their maker is busy with other work, asleep
 * in epoll_wait, or gone. Stands for: servers whose request data is made by one thread of a
 * pipeline and freed by the last. Sources: "a thread that only frees makes RSS grow fourfold",
 * "malloc_trim that works from any thread" (reference/traps.md, asks 2 and 3). Resident memory is
 * compared with that of before: after the frees without any further call, and after malloc_trim(0).
 * Usage: giveback [name=value...]
 *   maker=busy|asleep|exited       what the maker does meanwhile
 *   blocks=400000 low=64 high=464  how many, of which sizes
 *   order=made|random              in which they are freed
 *   freers=1                       by how many threads
 *   freer=frees|mallocs|exits      only frees; allocates now and then; ends before the measurement
 *   held=0                         MiB that the pools of a maker that is not gone may hold besides
 *   trim=main|third|freer          who calls malloc_trim; "third" neither made nor freed a block
 */
#include "check.h"
#include "common.h"
#include "giveback/measure.h"
#include "names.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    warm_up_blocks = 8, /* small ones: what is kept of larger ones would be no growth */
    warm_up_low = 64,
    warm_up_high = 464,
    busy_blocks = 16,
    freers_max = 16,
    size_max = 64 << 20,
    /* 1 MiB and an arena of the default geometry; of the classic one, whose arenas are small, the
     * tables of so many units alone take as much */
    trim_room_mib = 1 + 2,
    room_mib = 8,
};

enum stage { stage_make = 1, stage_free, stage_trim, stage_end };

static struct {
    const char *maker, *order, *freer, *trim;
    size_t blocks, low, high, freers, held_mib;
} plan;

static struct gate gate = GATE_INIT;
static atomic_bool ending;
static int wake_event;
static unsigned char **blocks;
static unsigned char *warm[freers_max][warm_up_blocks];
static size_t made_bytes;

static bool is(const char *value, const char *word)
{
    return strcmp(value, word) == 0;
}

static unsigned char *make(struct rng *rng, size_t low, size_t high)
{
    size_t size = low + rng_below(rng, high - low + 1);
    unsigned char *block = api_malloc(size);
    CHECK(block, "no %zu bytes", size);
    memset(block, 0x5a, size);
    memcpy(block, &size, sizeof size);
    return block;
}

static void check_and_free(unsigned char *block)
{
    size_t size;
    memcpy(&size, block, sizeof size);
    CHECK(size > 0 && size <= size_max && block[size - 1] == 0x5a, "a block changed");
    api_free(block);
}

static void warm_up(uint64_t stream)
{
    struct rng rng = rng_make(6, stream);
    for (int i = 0; i < warm_up_blocks; i++)
        api_free(make(&rng, warm_up_low, warm_up_high));
}

/* Small blocks come and go until the end, none older than the last few. */
static void be_busy(void)
{
    struct rng rng = rng_make(7, 0);
    unsigned char *held[busy_blocks] = {NULL};
    while (!atomic_load_explicit(&ending, memory_order_relaxed)) {
        size_t slot = rng_below(&rng, busy_blocks);
        api_free(held[slot]);
        held[slot] = make(&rng, 16, 512);
    }
    for (int i = 0; i < busy_blocks; i++)
        api_free(held[i]);
}

static void sleep_in_epoll(void)
{
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    CHECK(poll >= 0 && epoll_ctl(poll, EPOLL_CTL_ADD, wake_event, &event) == 0, "no epoll");
    while (epoll_wait(poll, &event, 1, -1) != 1)
        ;
    close(poll);
}

static void *maker_main(void *argument)
{
    struct rng rng = rng_make(8, 0);
    warm_up(100);
    gate_arrive(&gate);
    gate_wait(&gate, stage_make);
    for (size_t i = 0; i < plan.blocks; i++) {
        blocks[i] = make(&rng, plan.low, plan.high);
        size_t size;
        memcpy(&size, blocks[i], sizeof size);
        made_bytes += size;
    }
    gate_arrive(&gate);
    if (is(plan.maker, "busy"))
        be_busy();
    else if (is(plan.maker, "asleep"))
        sleep_in_epoll();
    return argument;
}

static void *freer_main(void *argument)
{
    size_t number = *(const size_t *)argument;
    struct rng rng = rng_make(9, number);
    bool mallocs = is(plan.freer, "mallocs");
    for (int i = 0; i < warm_up_blocks; i++)
        check_and_free(warm[number][i]);
    gate_arrive(&gate);
    gate_wait(&gate, stage_free);
    for (size_t i = number; i < plan.blocks; i += plan.freers) {
        check_and_free(blocks[i]);
        if (mallocs && rng_one_in(&rng, 8))
            check_and_free(make(&rng, plan.low, plan.high));
    }
    gate_arrive(&gate);
    if (is(plan.freer, "exits"))
        return NULL;
    gate_wait(&gate, stage_trim);
    if (is(plan.trim, "freer") && number == 0)
        measure_trim();
    gate_arrive(&gate);
    gate_wait(&gate, stage_end);
    return NULL;
}

static void *third_main(void *argument)
{
    warm_up(101);
    gate_arrive(&gate);
    gate_wait(&gate, stage_trim);
    if (is(plan.trim, "third"))
        measure_trim();
    gate_arrive(&gate);
    gate_wait(&gate, stage_end);
    return argument;
}

static void start(pthread_t *thread, void *(*body)(void *), void *argument)
{
    int code = pthread_create(thread, NULL, body, argument);
    CHECK(code == 0, "pthread_create returned %d", code);
}

static void shuffle(void)
{
    struct rng rng = rng_make(10, 0);
    for (size_t i = plan.blocks; i > 1; i--) {
        size_t other = rng_below(&rng, i);
        unsigned char *block = blocks[i - 1];
        blocks[i - 1] = blocks[other];
        blocks[other] = block;
    }
}

static void judge_growth(const char *figure, size_t before, size_t now, double bar_mib)
{
    judge_resident(figure, ((double)now - (double)before) / MIB, bar_mib);
}

static pthread_t maker, third, freers[freers_max];

static void make_and_free(size_t before)
{
    gate_open(&gate, stage_make);
    gate_await(&gate, 1);
    if (is(plan.maker, "exited"))
        pthread_join(maker, NULL);
    size_t full = measure_resident();
    report("made_mib", (double)made_bytes / MIB);
    report("resident_before_mib", (double)before / MIB);
    report("resident_full_mib", (double)full / MIB);
    CHECK(full >= before + made_bytes / 10 * 9, "the blocks are not in memory");
    if (is(plan.order, "random"))
        shuffle();
    gate_open(&gate, stage_free);
    gate_await(&gate, (unsigned)plan.freers);
    for (size_t i = 0; is(plan.freer, "exits") && i < plan.freers; i++)
        pthread_join(freers[i], NULL);
    judge_growth("growth_without_a_call_mib", before, measure_resident(),
                 (double)(room_mib + plan.held_mib));
}

static void trim(size_t before)
{
    gate_open(&gate, stage_trim);
    gate_await(&gate, 1 + (is(plan.freer, "exits") ? 0 : (unsigned)plan.freers));
    if (is(plan.trim, "main"))
        measure_trim();
    judge_growth("growth_after_trim_mib", before, measure_resident(),
                 (double)(trim_room_mib + plan.held_mib));
}

static void end(void)
{
    uint64_t one = 1;
    atomic_store_explicit(&ending, true, memory_order_relaxed);
    CHECK(write(wake_event, &one, sizeof one) == sizeof one, "the event cannot be written");
    gate_open(&gate, stage_end);
    if (!is(plan.maker, "exited"))
        pthread_join(maker, NULL);
    pthread_join(third, NULL);
    for (size_t i = 0; !is(plan.freer, "exits") && i < plan.freers; i++)
        pthread_join(freers[i], NULL);
}

static const char *word(int count, char **arguments, const char *name, const char *const *words)
{
    const char *value = option(count, arguments, name, words[0]);
    for (const char *const *at = words; *at; at++)
        if (is(value, *at))
            return *at;
    CHECK(false, "%s=%s is not known", name, value);
}

static void read_plan(int count, char **arguments)
{
    static const char *const names[] = {"maker",  "blocks", "low",  "high", "order",
                                        "freers", "freer",  "trim", "held", NULL};
    static const char *const makers[] = {"busy", "asleep", "exited", NULL};
    static const char *const orders[] = {"made", "random", NULL};
    static const char *const kinds[] = {"frees", "mallocs", "exits", NULL};
    static const char *const trimmers[] = {"main", "third", "freer", NULL};
    options_check(count, arguments, names);
    plan.maker = word(count, arguments, "maker", makers);
    plan.order = word(count, arguments, "order", orders);
    plan.freer = word(count, arguments, "freer", kinds);
    plan.trim = word(count, arguments, "trim", trimmers);
    plan.blocks = option_number(count, arguments, "blocks", 400000);
    plan.low = option_number(count, arguments, "low", 64);
    plan.high = option_number(count, arguments, "high", 464);
    plan.held_mib = option_number(count, arguments, "held", 0);
    plan.freers = option_number(count, arguments, "freers", 1);
    CHECK(plan.blocks > 0 && plan.low > sizeof(size_t) && plan.high >= plan.low &&
              plan.high <= size_max,
          "no such sizes");
    CHECK(plan.freers > 0 && plan.freers <= freers_max, "1 to %d freers", freers_max);
    CHECK(!is(plan.freer, "exits") || !is(plan.trim, "freer"), "an exited freer cannot trim");
}

int main(int count, char **arguments)
{
    static size_t numbers[freers_max];
    read_plan(count, arguments);
    blocks = system_pages(plan.blocks * sizeof *blocks);
    memset(blocks, 0xff, plan.blocks * sizeof *blocks); /* resident from the start */
    wake_event = eventfd(0, EFD_CLOEXEC);
    CHECK(wake_event >= 0, "no eventfd");
    struct rng rng = rng_make(11, 0);
    start(&maker, maker_main, NULL);
    start(&third, third_main, NULL);
    for (size_t i = 0; i < plan.freers; i++) {
        for (int j = 0; j < warm_up_blocks; j++)
            warm[i][j] = make(&rng, warm_up_low, warm_up_high);
        numbers[i] = i;
        start(&freers[i], freer_main, &numbers[i]);
    }
    gate_await(&gate, 2 + (unsigned)plan.freers);
    size_t before = measure_resident();
    make_and_free(before);
    trim(before);
    end();
    return judged();
}
