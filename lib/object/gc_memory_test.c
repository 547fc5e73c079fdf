/* SPDX-License-Identifier: MIT */
/* What the collector has for itself between collections: at most a bit for 8 bytes of gc pools; and
 * how it finds in it what it knows of a block. */
#include "object/gc_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <sys/mman.h>

enum { OBJECTS = 1000000, CHUNK_PAGES = 1 << 16 };

/* Of the pages that begin there. */
static size_t resident_pages(char *from, size_t pages)
{
    static unsigned char in_core[CHUNK_PAGES];
    size_t resident = 0;
    require(mincore(from, pages * (size_t)sysconf(_SC_PAGESIZE), in_core) == 0);
    for (size_t i = 0; i < pages; i++)
        resident += in_core[i] & 1;
    return resident;
}

static size_t resident_bytes_of(const volatile void *start, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), left = (bytes + page - 1) / page, resident = 0;
    for (char *at = (char *)(uintptr_t)start; left > 0;) {
        size_t pages = left < CHUNK_PAGES ? left : CHUNK_PAGES;
        resident += resident_pages(at, pages);
        at += pages * page;
        left -= pages;
    }
    return resident * page;
}

static size_t resident_tables(void)
{
    const struct pm_gc_table *table = &pm_gc_table;
    size_t units = table->bytes >> GC_UNIT_SHIFT;
    return resident_bytes_of(table->words,
                             (table->bytes >> GC_BLOCK_SHIFT) * sizeof *table->words) +
           resident_bytes_of(table->generations, table->bytes >> GC_GENERATION_SHIFT >> 2) +
           resident_bytes_of(table->units, units * sizeof *table->units) +
           resident_bytes_of(table->marks, units);
}

static bool add_pool(const struct pm_gc_pool *pool, void *arg)
{
    (void)pool;
    *(size_t *)arg += PM_UNIT_BYTES;
    return true;
}

static void tables_take_a_bit_for_8_bytes_of_pools(void **state)
{
    (void)state;
    size_t pools = 0;
    if (PM_ASAN || PM_TSAN || pm_gc_table.bytes == 0)
        skip(); /* theirs is among it; or there are no gc pools */
    struct pm_object *ring = node_ring(NODE_PLAIN, OBJECTS);
    assert_int_equal(node_collect(), 0); /* all of them get older */
    assert_true(pm_gc_pools_walk(add_pool, &pools));
    assert_true(pools > (size_t)OBJECTS * 32);
    size_t tables = resident_tables();
    printf("%zu bytes of tables beside %zu of pools\n", tables, pools);
    assert_in_range(tables, 1, pools / 64);
    pm_decref(ring);
    assert_int_equal(node_collect(), OBJECTS);
}

/* Of a pool that is not there: of each offset in its unit it is known what is to be found. */
static void find_words_of(const struct pm_gc_pool *pool)
{
    size_t start = (size_t)(pool->first - pm_gc_table.base), unit = pm_gc_table_note_pool(pool);
    pm_store_relaxed(&pm_gc_table.units[unit].blocks, (uint16_t)pool->blocks);
    for (size_t at = unit << GC_UNIT_SHIFT; at < (unit + 1) << GC_UNIT_SHIFT; at += 4) {
        size_t index = (at - start) / pool->block_bytes;
        bool is_block =
            at >= start && index < pool->blocks && (at - start) % pool->block_bytes == 0;
        require(pm_gc_word_in_pool(at) == (is_block ? &pm_gc_table.words[index] : NULL));
    }
    pm_store_relaxed(&pm_gc_table.units[unit].blocks, 0);
}

static void the_word_of_a_block_is_found_and_of_nothing_else(void **state)
{
    (void)state;
    if (pm_gc_table.bytes == 0)
        skip();
    char *unit = pm_gc_table.base + pm_gc_table.bytes - PM_UNIT_BYTES; /* not in use */
    for (uint32_t bytes = 16; bytes <= PM_GC_BYTES_MAX; bytes += 8)
        for (uint32_t first = 0; first <= 64; first += 16) {
            uint32_t capacity = ((uint32_t)PM_UNIT_BYTES - first) / bytes;
            find_words_of(&(struct pm_gc_pool){unit + first, bytes, capacity});
            find_words_of(&(struct pm_gc_pool){unit + first, bytes, capacity / 2});
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_take_a_bit_for_8_bytes_of_pools),
        cmocka_unit_test(the_word_of_a_block_is_found_and_of_nothing_else),
    };
    require(pm_object_thread_attach());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pm_object_thread_detach();
    return failed;
}
