/* SPDX-License-Identifier: MIT */
/*
 * Large blocks that come and go: while they do, their memory is used again without page faults;
 * when they do not come again, it goes back to the system. Stands for: servers with buffers per
 * request, and with phases in which other sizes are wanted. Source: "an idle process keeps its
 * peak: purge only ticks with activity" (reference/traps.md, asks 1). Counts minor faults per block
 * once the demand is known, and compares resident memory with that of the start, when the deadline
 * is over and a few small blocks were made.
 * Usage: spans [work=loop|phases] [kib=1024] [rounds=100]
 *   loop: one block of that size at a time; phases: blocks of 256 KiB, 1 MiB and 4 MiB in turn
 */
#include "check.h"
#include "common.h"
#include "giveback/measure.h"
#include "names.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

enum {
    phase_bytes = 40 << 20,
    blocks_max = phase_bytes / (256 << 10),
    later_blocks = 1000,
    later_bytes = 1000,
    deadline_ms = 1000, /* of memory that nobody wants again */
    margin_ms = 200,    /* clocks that tick coarsely */
    later_calls = 5,
    pause_ms = 10,
    room_mib = 8,
};

static const size_t phases[] = {256 * KIB, 1 * MIB, 4 * MIB};
enum { phase_count = sizeof phases / sizeof *phases };

static size_t pages(size_t bytes)
{
    return bytes / 4096;
}

static unsigned char *make(size_t size, size_t mark)
{
    unsigned char *block = api_malloc(size);
    CHECK(block, "no %zu bytes", size);
    for (size_t at = 0; at < size; at += 4096)
        block[at] = (unsigned char)mark;
    return block;
}

static void check_and_free(unsigned char *block, size_t size, size_t mark)
{
    for (size_t at = 0; at < size; at += 4096)
        CHECK(block[at] == (unsigned char)mark, "a block of %zu bytes changed", size);
    api_free(block);
}

/* Returns how many blocks it made. */
static size_t loop_round(size_t size, size_t mark)
{
    check_and_free(make(size, mark), size, mark);
    return 1;
}

static size_t phases_round(size_t mark)
{
    static unsigned char *blocks[blocks_max];
    size_t made = 0;
    for (size_t phase = 0; phase < phase_count; phase++) {
        size_t count = phase_bytes / phases[phase];
        for (size_t i = 0; i < count; i++)
            blocks[i] = make(phases[phase], mark + i);
        for (size_t i = 0; i < count; i++)
            check_and_free(blocks[i], phases[phase], mark + i);
        made += count;
    }
    return made;
}

/* The mean over the rounds after the first quarter, which may teach the demand. */
static void judge_faults(bool loop, size_t size, size_t rounds)
{
    size_t blocks = 0, learning = rounds / 4;
    uint64_t start = measure_faults(), before = start;
    for (size_t i = 0; i < rounds; i++) {
        if (i == learning) {
            before = measure_faults();
            blocks = 0;
        }
        blocks += loop ? loop_round(size, i) : phases_round(i);
    }
    uint64_t faults = measure_faults() - before;
    report("pages_per_round", (double)pages(loop ? size : (size_t)phase_bytes * phase_count));
    report("faults_while_learning", (double)(before - start));
    judge_resident("faults_per_block", (double)faults / (double)blocks, 1);
}

/* What a program that has nothing large to do does: some small blocks now and then. */
static void use_a_little(void)
{
    static unsigned char *blocks[later_blocks];
    for (size_t i = 0; i < later_blocks; i++) {
        blocks[i] = api_malloc(later_bytes);
        CHECK(blocks[i], "no %d bytes", later_bytes);
        blocks[i][0] = 1;
    }
    for (size_t i = 0; i < later_blocks; i++)
        api_free(blocks[i]);
}

static void wait_ms(long ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&wait, &wait) != 0)
        ;
}

static void let_the_deadline_pass(void)
{
    wait_ms(deadline_ms + margin_ms);
}

int main(int count, char **arguments)
{
    static const char *const names[] = {"work", "kib", "rounds", NULL};
    options_check(count, arguments, names);
    const char *work = option(count, arguments, "work", "loop");
    size_t size = option_number(count, arguments, "kib", 1024) * KIB;
    size_t rounds = option_number(count, arguments, "rounds", 100);
    bool loop = strcmp(work, "loop") == 0;
    CHECK(loop || strcmp(work, "phases") == 0, "work=%s is not known", work);
    CHECK(size > 0 && rounds >= 8, "a size, and at least 8 rounds");
    use_a_little();
    size_t before = measure_resident();
    judge_faults(loop, size, rounds);
    double growth = (double)measure_resident() - (double)before;
    report("growth_after_the_loop_mib", growth / MIB);
    let_the_deadline_pass();
    for (int i = 0; i < later_calls; i++) { /* memory goes back in slices */
        wait_ms(pause_ms);
        use_a_little();
    }
    growth = (double)measure_resident() - (double)before;
    judge_resident("growth_after_the_deadline_mib", growth / MIB, room_mib);
    return judged();
}
