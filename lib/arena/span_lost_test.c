/* SPDX-License-Identifier: MIT */
/*
 * Moves of pages that the system refuses half-way: it may have dropped the target before it says
 * so. What the target was is mapped again, or called lost and never used; the block that was to be
 * moved keeps its contents. The calls in question are replaced here.
 */
#define _GNU_SOURCE /* mremap */
#include "arena/span_testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <cmocka.h>

enum { WINDOW_ARENAS = 64, ARENAS = 3, BYTES = ARENAS * PM_ARENA_BYTES };

static enum refusal {
    ALLOWED,
    UNKNOWN,  /* the flags are: Linux before 5.7 */
    DROPPED,  /* the target is unmapped, then the move refused */
    TAKEN,    /* and a part of the target belongs to another mapping at once */
    MISPLACED /* and the system maps elsewhere what shall be mapped there again */
} refusal;
static unsigned allowed_moves; /* before the refusal */
static unsigned moves_asked_for;

#if !PM_ASAN && !PM_TSAN /* their runtimes have replaced these themselves */

void *mremap(void *old, size_t old_bytes, size_t bytes, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    char *target = flags & MREMAP_FIXED ? va_arg(arguments, char *) : NULL;
    va_end(arguments);
    moves_asked_for += target != NULL;
    if (target == NULL || refusal == ALLOWED || moves_asked_for <= allowed_moves)
        return (void *)syscall(SYS_mremap, old, old_bytes, bytes, flags, target);
    errno = EINVAL;
    if (refusal == UNKNOWN)
        return MAP_FAILED;
    munmap(target, bytes);
    if (refusal == TAKEN)
        require(syscall(SYS_mmap, target + PM_UNIT_BYTES, PM_UNIT_BYTES, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L) != -1);
    errno = ENOMEM;
    return MAP_FAILED;
}

void *mmap(void *start, size_t bytes, int protection, int flags, int file, off_t offset)
{
    bool misplace = refusal == MISPLACED && (flags & MAP_FIXED_NOREPLACE) != 0;
    int without = flags & ~MAP_FIXED_NOREPLACE, there = without | MAP_FIXED;
    if (!misplace)
        return (void *)syscall(SYS_mmap, start, bytes, protection, flags, file, offset);
    syscall(SYS_mmap, start, bytes, PROT_NONE, there, file, offset); /* else it might fit there */
    void *elsewhere = (void *)syscall(SYS_mmap, NULL, bytes, protection, without, file, offset);
    munmap(start, bytes);
    return elsewhere;
}

#endif

struct pages {
    char *from, *to;
};

static struct pages committed_pages(void)
{
    struct pages pages = {pm_os_reserve(BYTES, PM_ARENA_BYTES),
                          pm_os_reserve(BYTES, PM_ARENA_BYTES)};
    require(pm_os_commit(pages.from, BYTES) && pm_os_commit(pages.to, BYTES));
    test_dirty(pages.from, BYTES);
    memset(pages.to, 2, BYTES);
    return pages;
}

ISOLATED(a_system_that_does_not_know_moves_leaves_both_places_alone)
{
    bool lost;
    struct pages pages = committed_pages();
    refusal = UNKNOWN;
    require(pm_os_move_pages(pages.to, pages.from, BYTES, &lost) == 0 && !lost);
    require(test_is_dirty(pages.from, BYTES) && pages.to[0] == 2 && pages.to[BYTES - 1] == 2);
}

ISOLATED(a_target_that_the_system_dropped_is_mapped_again)
{
    bool lost;
    struct pages pages = committed_pages();
    refusal = DROPPED;
    require(pm_os_move_pages(pages.to, pages.from, BYTES, &lost) == 0 && !lost);
    require(test_is_dirty(pages.from, BYTES) && test_reads_as_zero(pages.to, BYTES));
    test_dirty(pages.to, BYTES);
}

ISOLATED(after_a_refusal_no_move_is_tried_again)
{
    bool lost;
    struct pages pages = committed_pages();
    refusal = UNKNOWN;
    for (int i = 0; i < 3; i++)
        require(pm_os_move_pages(pages.to, pages.from, BYTES, &lost) == 0 && !lost);
    require(moves_asked_for == 1);
}

static void require_lost_target(enum refusal how)
{
    bool lost;
    struct pages pages = committed_pages();
    refusal = how;
    require(pm_os_move_pages(pages.to, pages.from, BYTES, &lost) == 0 && lost);
    require(test_is_dirty(pages.from, BYTES));
}

ISOLATED(a_target_that_another_mapping_took_is_called_lost)
{
    require_lost_target(TAKEN);
}

ISOLATED(a_target_that_is_mapped_elsewhere_is_called_lost)
{
    require_lost_target(MISPLACED);
}

/* A block in two mappings, which is moved in pieces, and the first of these may be before the
 * system refuses. */
static char *block_in_two_mappings(void)
{
    test_arena_start(WINDOW_ARENAS);
    char *first = simple_span(ARENAS * PM_ARENA_UNITS);
    simple_span(PM_ARENA_UNITS); /* no growth in place */
    test_dirty(first, BYTES);    /* mappings without pages would be joined */
    char *block = pm_span_move(&pm_window, first, 2 * BYTES, "realloc");
    require(block != NULL && moves_asked_for == 1);
    test_dirty(block, 2 * BYTES);
    allowed_moves = 3;
    return block;
}

ISOLATED(of_a_block_that_can_be_moved_in_part_the_rest_is_copied)
{
    char *block = block_in_two_mappings();
    refusal = DROPPED;
    char *moved = pm_span_move(&pm_window, block, 4 * BYTES, "realloc");
    require(moved != NULL && moved != block && moves_asked_for == 4);
    for (size_t i = 0; i < 2 * BYTES; i += 1024) /* the marks are of the old place */
        require(*(uint64_t *)(void *)(moved + i) == (uintptr_t)block + i);
    test_dirty(moved, 4 * BYTES);
    require(pm_arena_check());
}

ISOLATED(a_block_whose_new_place_is_lost_keeps_its_contents)
{
    char *block = block_in_two_mappings();
    refusal = TAKEN;
    require(pm_span_move(&pm_window, block, 4 * BYTES, "realloc") == NULL);
    require(moves_asked_for == 4 && pm_arena_check());
    require(test_is_dirty(block, 2 * BYTES) && usable(block) == 2 * BYTES);
    span_free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_system_that_does_not_know_moves_leaves_both_places_alone),
        cmocka_unit_test(a_target_that_the_system_dropped_is_mapped_again),
        cmocka_unit_test(after_a_refusal_no_move_is_tried_again),
        cmocka_unit_test(a_target_that_another_mapping_took_is_called_lost),
        cmocka_unit_test(a_target_that_is_mapped_elsewhere_is_called_lost),
        cmocka_unit_test(of_a_block_that_can_be_moved_in_part_the_rest_is_copied),
        cmocka_unit_test(a_block_whose_new_place_is_lost_keeps_its_contents),
    };
    if (PM_ASAN || PM_TSAN) {
        puts("skipped: the sanitizers replace the calls that this test replaces");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
