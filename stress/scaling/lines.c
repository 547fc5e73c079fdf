/* SPDX-License-Identifier: MIT */
/* See lines.h. */
#include "scaling/lines.h"

#include "check.h"
#include "common.h"

#include <string.h>

enum { TABLE_SHIFT = 20, CORE_WORDS = (LINES_CORES + 63) / 64, NO_LOCK = -1 };
#define TABLE_LINES ((size_t)1 << TABLE_SHIFT)

struct line {
    uintptr_t number; /* 0: the row is empty */
    uint64_t copies[CORE_WORDS];
    uint32_t transfers; /* while recording */
    uint8_t kind;
    bool written;
    int16_t lock; /* in counts.locks, or NO_LOCK */
};

struct core {
    unsigned depth;
    int held[LINES_HELD];
};

static struct line *table;
static uint32_t *rows; /* of the table, those that are used, as they came */
static size_t lines_known;
static const struct lines_names *names;
static struct lines_counts counts;
static bool recording;
static struct core cores[LINES_CORES];
static __thread unsigned this_core;

void lines_start(const struct lines_names *with)
{
    if (table == NULL) {
        table = system_pages(TABLE_LINES * sizeof *table);
        rows = system_pages(TABLE_LINES * sizeof *rows);
    }
    for (size_t i = 0; i < lines_known; i++)
        table[rows[i]] = (struct line){0};
    memset(cores, 0, sizeof cores);
    counts = (struct lines_counts){0};
    lines_known = 0;
    recording = false;
    names = with;
}

void lines_set_core(unsigned core)
{
    CHECK(core < LINES_CORES, "there is no core %u", core);
    this_core = core;
}

static int lock_of_line(uintptr_t number)
{
    int rank = names->lock_at(number * LINES_BYTES);
    if (rank < 0)
        return NO_LOCK;
    CHECK(counts.lock_count < LINES_LOCKS, "more than %d locks", LINES_LOCKS);
    counts.locks[counts.lock_count] =
        (struct lines_lock){.address = number * LINES_BYTES, .rank = (unsigned)rank};
    return (int)counts.lock_count++;
}

static void classify(struct line *line)
{
    line->lock = (int16_t)lock_of_line(line->number);
    line->kind = line->lock != NO_LOCK ? LINES_LOCK_WORDS
                                       : (uint8_t)names->kind_of(line->number * LINES_BYTES);
}

static struct line *find(uintptr_t number)
{
    size_t at = (size_t)mix64(number) & (TABLE_LINES - 1);
    while (table[at].number != number && table[at].number != 0)
        at = (at + 1) & (TABLE_LINES - 1);
    struct line *line = &table[at];
    if (line->number == 0) {
        CHECK(lines_known < TABLE_LINES / 4 * 3, "no room for more lines");
        rows[lines_known++] = (uint32_t)at;
        line->number = number;
        classify(line);
    }
    return line;
}

/* The core has the line, alone if it writes. True: that took a transfer. */
static bool get(struct line *line, enum lines_access access)
{
    uint64_t *word = &line->copies[this_core / 64], own = (uint64_t)1 << this_core % 64;
    bool mine = (*word & own) != 0, others = (*word & ~own) != 0;
    for (unsigned i = 0; i < CORE_WORDS; i++)
        others |= i != this_core / 64 && line->copies[i] != 0;
    bool transfer = access == LINES_LOAD ? !mine && line->written : others;
    if (access != LINES_LOAD) {
        memset(line->copies, 0, sizeof line->copies);
        line->written = true;
    }
    *word |= own;
    return transfer;
}

static void count(struct line *line, enum lines_kind kind, enum lines_access access, bool transfer)
{
    const struct core *core = &cores[this_core];
    counts.accesses += kind != LINES_PROGRAM;
    counts.updates[kind] += access == LINES_UPDATE;
    counts.transfers[kind] += transfer;
    line->transfers += transfer;
    for (unsigned i = 0; i < core->depth; i++) {
        counts.locks[core->held[i]].accesses++;
        counts.locks[core->held[i]].transfers += transfer;
    }
}

static void access_as(uintptr_t address, size_t bytes, enum lines_access access, bool of_program)
{
    uintptr_t last = (address + bytes - 1) / LINES_BYTES;
    if (names == NULL) /* before the start */
        return;
    for (uintptr_t number = address / LINES_BYTES; number <= last; number++) {
        struct line *line = find(number);
        bool transfer = get(line, access);
        if (recording)
            count(line, of_program ? LINES_PROGRAM : line->kind, access, transfer);
    }
}

void lines_access(uintptr_t address, size_t bytes, enum lines_access access)
{
    access_as(address, bytes, access, false);
}

void lines_program_access(const void *block, size_t bytes, enum lines_access access)
{
    access_as((uintptr_t)block, bytes, access, true);
}

static void take(int lock)
{
    struct core *core = &cores[this_core];
    CHECK(core->depth < LINES_HELD, "more than %d locks are held", LINES_HELD);
    core->held[core->depth++] = lock;
    counts.locks[lock].acquisitions += recording;
}

static void let_go(int lock)
{
    struct core *core = &cores[this_core];
    CHECK(core->depth != 0 && core->held[core->depth - 1] == lock, "that lock is not held");
    core->depth--;
}

void lines_update(uintptr_t address, size_t bytes, uint64_t from, uint64_t to)
{
    int lock = names == NULL ? NO_LOCK : find(address / LINES_BYTES)->lock;
    bool state = lock != NO_LOCK && address % LINES_BYTES == 0;
    if (state && from == 0 && to != 0)
        take(lock);
    lines_access(address, bytes, LINES_UPDATE);
    if (state && from != 0 && to == 0)
        let_go(lock);
}

/* Some locks were made known after their lines were touched. */
void lines_record(void)
{
    struct lines_counts none = {0};
    for (size_t i = 0; i < lines_known; i++) {
        if (table[rows[i]].lock == NO_LOCK)
            classify(&table[rows[i]]);
    }
    for (unsigned i = 0; i < counts.lock_count; i++)
        none.locks[i] =
            (struct lines_lock){.address = counts.locks[i].address, .rank = counts.locks[i].rank};
    none.lock_count = counts.lock_count;
    counts = none;
    for (size_t i = 0; i < lines_known; i++)
        table[rows[i]].transfers = 0;
    recording = true;
}

/* Into the order of the hottest, if it is one of them. */
static void rank_line(const struct line *line)
{
    struct lines_hot hot = {line->number * LINES_BYTES, line->kind, line->transfers};
    for (unsigned i = 0; i < LINES_HOTTEST; i++) {
        if (hot.transfers <= counts.hottest[i].transfers)
            continue;
        struct lines_hot cooler = counts.hottest[i];
        counts.hottest[i] = hot;
        hot = cooler;
    }
}

const struct lines_counts *lines_stop(void)
{
    recording = false;
    memset(counts.hottest, 0, sizeof counts.hottest);
    for (size_t i = 0; i < lines_known; i++) {
        if (table[rows[i]].lock == NO_LOCK)
            rank_line(&table[rows[i]]);
    }
    return &counts;
}
