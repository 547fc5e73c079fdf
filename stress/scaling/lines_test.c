/* SPDX-License-Identifier: MIT */
/* The directory of lines (lines.c) counts what it says. */
#include "check.h"
#include "scaling/lines.h"

#include <stdio.h>

static char memory[8 * LINES_BYTES] __attribute__((aligned(LINES_BYTES)));
/* The last two lines are those of locks. */
enum { PLAIN_LINE = 0, OTHER_LINE = 1, OUTER_LOCK = 6, INNER_LOCK = 7 };

static uintptr_t line_at(unsigned number)
{
    return (uintptr_t)&memory[number * LINES_BYTES];
}

static enum lines_kind kind_of(uintptr_t address)
{
    return address == line_at(OTHER_LINE) ? LINES_ROUTES : LINES_STATIC;
}

static int lock_at(uintptr_t address)
{
    return address == line_at(OUTER_LOCK) ? 3 : address == line_at(INNER_LOCK) ? 5 : -1;
}

static void start(void)
{
    static const struct lines_names names = {kind_of, lock_at};
    lines_start(&names);
    lines_record();
}

static void access_by(unsigned core, unsigned line, enum lines_access access)
{
    lines_set_core(core);
    lines_access(line_at(line) + 8, 8, access);
}

#define CHECK_TRANSFERS(kind, number)                                                              \
    CHECK(lines_stop()->transfers[kind] == (number), "%lu transfers",                              \
          (unsigned long)lines_stop()->transfers[kind])

static void a_line_that_one_core_has_is_never_transferred(void)
{
    start();
    for (int i = 0; i < 3; i++) {
        access_by(1, PLAIN_LINE, LINES_LOAD);
        access_by(1, PLAIN_LINE, LINES_STORE);
        access_by(2, OTHER_LINE, LINES_UPDATE);
    }
    CHECK_TRANSFERS(LINES_STATIC, 0);
    CHECK_TRANSFERS(LINES_ROUTES, 0);
    CHECK(lines_stop()->accesses == 9, "not all accesses");
    CHECK(lines_stop()->updates[LINES_ROUTES] == 3, "not all updates");
}

static void what_nobody_writes_is_read_by_all_without_a_transfer(void)
{
    start();
    for (unsigned core = 0; core < LINES_CORES; core++)
        access_by(core, PLAIN_LINE, LINES_LOAD);
    CHECK_TRANSFERS(LINES_STATIC, 0);
}

static void who_writes_takes_it_from_all_readers_at_once(void)
{
    start();
    for (unsigned core = 0; core < LINES_CORES; core++)
        access_by(core, PLAIN_LINE, LINES_LOAD);
    access_by(70, PLAIN_LINE, LINES_STORE);
    CHECK_TRANSFERS(LINES_STATIC, 1);
}

static void each_reader_gets_what_was_written_once(void)
{
    start();
    access_by(0, PLAIN_LINE, LINES_STORE);
    for (int i = 0; i < 2; i++) {
        for (unsigned core = 0; core < 200; core++)
            access_by(core, PLAIN_LINE, LINES_LOAD);
    }
    CHECK_TRANSFERS(LINES_STATIC, 199);
}

static void writers_take_it_from_each_other(void)
{
    start();
    for (unsigned i = 0; i < 10; i++)
        access_by(i % 2 * 100, PLAIN_LINE, i % 3 == 0 ? LINES_UPDATE : LINES_STORE);
    CHECK_TRANSFERS(LINES_STATIC, 9);
    CHECK(lines_stop()->hottest[0].address == line_at(PLAIN_LINE), "another line is hotter");
    CHECK(lines_stop()->hottest[0].transfers == 9, "not all of its transfers");
    CHECK(lines_stop()->hottest[1].transfers == 0, "a line was ranked that nobody touched");
}

static void an_access_across_a_border_is_one_of_both_lines(void)
{
    start();
    lines_set_core(0);
    lines_access(line_at(OTHER_LINE) - 4, 8, LINES_STORE);
    lines_set_core(1);
    lines_access(line_at(OTHER_LINE) - 4, 8, LINES_LOAD);
    CHECK_TRANSFERS(LINES_STATIC, 1);
    CHECK_TRANSFERS(LINES_ROUTES, 1);
}

static void the_program_counts_apart(void)
{
    start();
    access_by(0, PLAIN_LINE, LINES_STORE);
    lines_set_core(1);
    lines_program_access(&memory[PLAIN_LINE], 8, LINES_LOAD);
    CHECK_TRANSFERS(LINES_STATIC, 0);
    CHECK_TRANSFERS(LINES_PROGRAM, 1);
    CHECK(lines_stop()->accesses == 1, "the program's are no accesses of the library");
}

static void nothing_counts_before_or_after(void)
{
    static const struct lines_names names = {kind_of, lock_at};
    lines_start(&names);
    access_by(0, PLAIN_LINE, LINES_STORE);
    access_by(1, PLAIN_LINE, LINES_STORE);
    lines_record();
    access_by(0, PLAIN_LINE, LINES_STORE);
    lines_stop();
    access_by(1, PLAIN_LINE, LINES_STORE);
    CHECK_TRANSFERS(LINES_STATIC, 1);
}

static void lock(unsigned core, unsigned line, bool taken)
{
    lines_set_core(core);
    lines_update(line_at(line), 8, !taken, taken);
}

static void a_lock_has_what_happens_while_it_is_held(void)
{
    start();
    access_by(0, PLAIN_LINE, LINES_STORE);
    lock(0, INNER_LOCK, true);
    lock(0, INNER_LOCK, false);
    lock(1, OUTER_LOCK, true);
    lock(1, INNER_LOCK, true);             /* a transfer */
    access_by(1, PLAIN_LINE, LINES_STORE); /* and one */
    lock(1, INNER_LOCK, false);
    lock(1, OUTER_LOCK, false);
    access_by(0, PLAIN_LINE, LINES_STORE);
    const struct lines_counts *counts = lines_stop();
    CHECK(counts->lock_count == 2, "%u locks", counts->lock_count);
    const struct lines_lock *inner = &counts->locks[0], *outer = &counts->locks[1];
    CHECK(inner->address == line_at(INNER_LOCK) && inner->rank == 5, "another lock");
    CHECK(inner->acquisitions == 2 && outer->acquisitions == 1, "other acquisitions");
    CHECK(inner->transfers == 2 && outer->transfers == 2, "other transfers");
    CHECK(inner->accesses == 5 && outer->accesses == 5, "other accesses");
    CHECK(counts->transfers[LINES_LOCK_WORDS] == 1, "one lock changed hands");
    CHECK(counts->hottest[0].address == line_at(PLAIN_LINE), "locks are no hot lines");
}

/* It waits for nobody: the state changed, but the lock was not free. */
static void a_mark_in_a_lock_is_no_acquisition(void)
{
    start();
    lock(0, OUTER_LOCK, true);
    lines_set_core(1);
    lines_update(line_at(OUTER_LOCK), 8, 1, 3);
    access_by(1, PLAIN_LINE, LINES_STORE);
    lines_set_core(0);
    lines_update(line_at(OUTER_LOCK), 8, 3, 0);
    CHECK(lines_stop()->locks[0].acquisitions == 1, "one had it");
    CHECK(lines_stop()->locks[0].accesses == 2, "the other one's are not its holder's");
}

int main(void)
{
    a_line_that_one_core_has_is_never_transferred();
    what_nobody_writes_is_read_by_all_without_a_transfer();
    who_writes_takes_it_from_all_readers_at_once();
    each_reader_gets_what_was_written_once();
    writers_take_it_from_each_other();
    an_access_across_a_border_is_one_of_both_lines();
    the_program_counts_apart();
    nothing_counts_before_or_after();
    a_lock_has_what_happens_while_it_is_held();
    a_mark_in_a_lock_is_no_acquisition();
    printf("10 properties hold\n");
    return 0;
}
