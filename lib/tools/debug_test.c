/* SPDX-License-Identifier: MIT */
/* The layout of the debug hooks, byte by byte, and what they promise beside it. What they report is
 * tested by stress/debug/. */
#include "heap/testing.h"
#include "poolmalloc/domains.h"
#include "poolmalloc/heap.h"
#include "poolmalloc/poolmalloc.h"
#include "tools/debug.h"
#include "tools/quarantine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { SIZE = 40, MANY = 200 };

static uint64_t big_endian(const char *at)
{
    uint64_t word = 0;
    for (int i = 0; i < 8; i++)
        word = word << 8 | (unsigned char)at[i];
    return word;
}

static bool all_are(const char *from, size_t bytes, int value)
{
    for (size_t i = 0; i < bytes; i++) {
        if ((unsigned char)from[i] != value)
            return false;
    }
    return true;
}

/* The drawing in debug.h; the serial number. */
static uint64_t require_layout(const char *p, size_t bytes, char letter)
{
    require(p != NULL && big_endian(p - 16) == bytes);
    require(p[-8] == letter);
    require(all_are(p - 7, 7, 0xFD));
    require(all_are(p + bytes, 8, 0xFD));
    return big_endian(p + bytes + 8);
}

/* All of these are in debug mode. */

ISOLATED(a_block_has_size_letter_and_pads_around_it_and_a_number_that_rises)
{
    static const size_t sizes[] = {0, 1, 7, 8, 511, 512, 513, 5000, 70000, 3000000};
    uint64_t last = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *p = pm_malloc(sizes[i]);
        uint64_t number = require_layout(p, sizes[i], 'c');
        size_t marked = sizes[i] < PM_DEBUG_MARK_MAX ? sizes[i] : PM_DEBUG_MARK_MAX;
        require(all_are(p, marked, 0xCD));
        require(i == 0 || number == last + 1);
        require(pm_malloc_usable_size(p) == sizes[i]);
        require((uintptr_t)p % PM_GRANULE_BYTES == 0);
        last = number;
        pm_free(p);
    }
}

ISOLATED(what_calloc_makes_is_zero)
{
    for (size_t bytes = 1; bytes <= 1 << 20; bytes *= 4) {
        pm_free(pm_malloc(bytes));
        char *p = pm_calloc(1, bytes);
        require_layout(p, bytes, 'c');
        require(all_are(p, bytes, 0));
        pm_free(p);
    }
}

ISOLATED(a_freed_block_is_dead_all_over_and_waits)
{
    char *p = pm_malloc(SIZE);
    uint64_t number = require_layout(p, SIZE, 'c');
    pm_free(p);
    require((unsigned char)p[-8] == ('c' | PM_DEBUG_FREED));
    require(all_are(p - 7, 7 + SIZE + 8, 0xDD));
    require(big_endian(p - 16) == SIZE && big_endian(p + SIZE + 8) == number);
    for (int i = 0; i < MANY; i++)
        require(pm_malloc(SIZE) != p);
}

ISOLATED(a_block_waits_until_as_many_were_freed_as_there_are_slots)
{
    char *p = pm_malloc(SIZE);
    pm_free(p);
    for (int i = 1; i < PM_QUARANTINE_SMALL_SLOTS; i++)
        pm_free(pm_malloc(PM_QUARANTINE_SMALL));
    require(pm_malloc(SIZE) != p);
    pm_free(pm_malloc(PM_QUARANTINE_SMALL)); /* and now it went back */
    require(pm_malloc(SIZE) == p);
}

ISOLATED(aligned_blocks_are_aligned_and_say_so_in_the_first_byte)
{
    for (unsigned shift = 5; shift <= 24; shift++) {
        size_t align = (size_t)1 << shift;
        char *p = pm_memalign(align, SIZE);
        require(p != NULL && (uintptr_t)p % align == 0);
        require(p[-16] == (char)shift);
        require(big_endian(p - 16) << 8 == (uint64_t)SIZE << 8);
        require(all_are(p - 32, 16, 0xFD));
        require(all_are(p, SIZE, 0xCD) && pm_malloc_usable_size(p) == SIZE);
        pm_free(p);
    }
}

ISOLATED(realloc_moves_keeps_the_contents_and_marks_what_is_new)
{
    char *p = pm_malloc(SIZE);
    memset(p, 'x', SIZE);
    uint64_t number = require_layout(p, SIZE, 'c');
    char *q = pm_realloc(p, 2 * SIZE);
    require(q != p && require_layout(q, 2 * SIZE, 'c') == number + 1);
    require(all_are(q, SIZE, 'x') && all_are(q + SIZE, SIZE, 0xCD));
    require(all_are(p, SIZE, 0xDD));
    char *r = pm_realloc(q, SIZE / 2);
    require(r != q && require_layout(r, SIZE / 2, 'c') == number + 2);
    require(all_are(r, SIZE / 2, 'x'));
    require(pm_realloc(r, PTRDIFF_MAX) == NULL && all_are(r, SIZE / 2, 'x'));
    require(!pm_expand(r, SIZE) && pm_expand(r, SIZE / 2));
    pm_free(r);
}

ISOLATED(each_domain_has_its_letter)
{
    char *raw = pm_raw_malloc(SIZE), *mem = pm_mem_calloc(2, SIZE), *object = pm_object_malloc(0);
    require_layout(raw, SIZE, 'r');
    require_layout(mem, 2 * SIZE, 'm');
    require_layout(object, 0, 'o');
    require(all_are(mem, 2 * SIZE, 0));
    object = pm_object_realloc(object, 600);
    require_layout(object, 600, 'o');
    object = pm_object_realloc(object, 0); /* does not free */
    require_layout(object, 0, 'o');
    require(pm_mem_malloc((size_t)PTRDIFF_MAX + 1) == NULL);
    require(pm_mem_calloc(SIZE_MAX, 2) == NULL);
    pm_raw_free(raw);
    pm_mem_free(mem);
    pm_object_free(object);
    pm_object_free(NULL);
}

static void *plus_malloc(void *context, size_t size)
{
    const struct pm_allocator *table = context;
    return table->malloc(table->context, size + 1);
}

ISOLATED(a_table_of_the_programs_stands_before_the_hooks)
{
    struct pm_allocator hooks, mine;
    require(pm_get_allocator(PM_DOMAIN_MEM, &hooks));
    mine = hooks;
    mine.malloc = plus_malloc;
    mine.context = &hooks;
    mine.free = hooks.free;
    require(pm_set_allocator(PM_DOMAIN_MEM, &mine));
    char *p = pm_mem_malloc(SIZE);
    require_layout(p, SIZE + 1, 'm');
    require(pm_set_allocator(PM_DOMAIN_MEM, &hooks));
    pm_mem_free(p);
}

static bool note(void *block, size_t bytes, void *arg)
{
    void **seen = arg;
    require(bytes == SIZE && (uintptr_t)block % PM_GRANULE_BYTES == 0);
    *seen = block;
    return true;
}

ISOLATED(blocks_of_user_heaps_have_a_letter_and_a_walk_shows_them_as_the_program_knows_them)
{
    void *seen = NULL;
    pm_user_heap *heap = pm_heap_new(0);
    char *p = pm_heap_malloc(heap, SIZE);
    require_layout(p, SIZE, 'h');
    require(pm_heap_of(p) == heap);
    require(pm_heap_walk(heap, note, &seen) && seen == p);
    char *q = pm_realloc(p, SIZE);
    require(q != p && pm_heap_of(q) == heap);
    pm_free(q);
    p = pm_heap_aligned_alloc(heap, 64, SIZE);
    require((uintptr_t)p % 64 == 0 && pm_heap_walk(heap, note, &seen) && seen == p);
    p = pm_heap_aligned_alloc(heap, 4 * PM_UNIT_BYTES, SIZE); /* far behind its first unit */
    require(pm_heap_of(p) == heap && pm_malloc_usable_size(p) == SIZE);
    pm_heap_destroy(heap);
    require(pm_check());
}

ISOLATED(batches_and_sized_frees_are_served)
{
    void *blocks[10];
    require(pm_malloc_batch(SIZE, 10, blocks) == 10);
    for (int i = 0; i < 10; i++)
        require_layout(blocks[i], SIZE, 'c');
    pm_free_batch(blocks, 9);
    pm_free_sized(blocks[9], SIZE);
    pm_free_aligned_sized(pm_memalign(256, SIZE), 256, SIZE);
    require(pm_good_size(SIZE) == SIZE);
}

/* As what the C library gets while a thread's heap is made, or a signal handler. */
ISOLATED(a_plain_block_is_taken_as_one)
{
    pm_watch_suspend();
    char *small = pm_malloc(SIZE), *large = pm_malloc(3000000);
    memset(small, 0xFD, SIZE);
    pm_watch_resume();
    require(pm_malloc_usable_size(large) >= 3000000);
    large = pm_realloc(large, 10);
    require(large != NULL);
    pm_free(large);
    memset(small, 'x', SIZE);
    pm_free(small);
}

/* ---- modes: the program anew, as the mode is chosen before main ---- */

static _Noreturn void run_with(const char *allocator, const char *name, const char *watched)
{
    unsetenv("POOLMALLOC_OPTIONS");
    setenv("POOLMALLOC", allocator, 1);
    test_run_anew(name, watched);
}

/* In that program: whether the mode is in force. */
static int judge(const char *name, const char *watched)
{
    char text[20];
    void *p = pm_malloc(SIZE);
    const struct pm_watch *watch = pm_watch_asked();
    pm_free(p);
    require((watch == &pm_debug_watch) == (strcmp(watched, "watched") == 0));
    require(pm_option_get("allocator", text, sizeof text));
    require(strcmp(text, name) == 0);
    require(!pm_option_set("allocator", "debug"));
    return 0;
}

#define SELECTS(name, watched)                                                                     \
    ISOLATED(the_name_##name##_selects)                                                            \
    {                                                                                              \
        run_with(#name, #name, watched);                                                           \
    }
SELECTS(default, "plain")
SELECTS(pool, "plain")
SELECTS(debug, "watched")
SELECTS(pool_debug, "watched")
SELECTS(malloc_debug, "watched")

ISOLATED(an_unknown_name_leaves_the_default)
{
    run_with("debugged", "default", "plain");
}

int main(int count, char **arguments)
{
    if (PM_ASAN) {
        puts("skipped: blocks have some bytes more for AddressSanitizer");
        return 0;
    }
    if (test_emulated())
        return test_starts_nothing();
    if (getenv("POOLMALLOC") == NULL)
        run_with("debug", NULL, NULL);
    if (count == 3)
        return judge(arguments[1], arguments[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_has_size_letter_and_pads_around_it_and_a_number_that_rises),
        cmocka_unit_test(what_calloc_makes_is_zero),
        cmocka_unit_test(a_freed_block_is_dead_all_over_and_waits),
        cmocka_unit_test(a_block_waits_until_as_many_were_freed_as_there_are_slots),
        cmocka_unit_test(aligned_blocks_are_aligned_and_say_so_in_the_first_byte),
        cmocka_unit_test(realloc_moves_keeps_the_contents_and_marks_what_is_new),
        cmocka_unit_test(each_domain_has_its_letter),
        cmocka_unit_test(a_table_of_the_programs_stands_before_the_hooks),
        cmocka_unit_test(
            blocks_of_user_heaps_have_a_letter_and_a_walk_shows_them_as_the_program_knows_them),
        cmocka_unit_test(batches_and_sized_frees_are_served),
        cmocka_unit_test(a_plain_block_is_taken_as_one),
        cmocka_unit_test(the_name_default_selects),
        cmocka_unit_test(the_name_pool_selects),
        cmocka_unit_test(the_name_debug_selects),
        cmocka_unit_test(the_name_pool_debug_selects),
        cmocka_unit_test(the_name_malloc_debug_selects),
        cmocka_unit_test(an_unknown_name_leaves_the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
