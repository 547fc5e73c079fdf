/* SPDX-License-Identifier: MIT */
/*
 * The shadow model of live blocks (shadow.h): patterns and the map of live bytes.
 *
 * The map is an open-addressing table from page number to the 512 bits of that page. A page once
 * entered stays; only bits change. Where the table is full around a page, that page is not modelled
 * (the patterns still are), which keeps every step bounded.
 */
#include "shadow.h"
#include "check.h"
#include "common.h"
#include "names.h"

#include <stdatomic.h>
#include <string.h>

enum {
    granule_shift = 3,
    page_shift = 12,
    words_per_page = 1 << (page_shift - granule_shift - 6),
    map_bits = 17,
    map_entries = 1 << map_bits,
    map_probes = 64,
};

struct map_page {
    _Atomic uint64_t
        number; /* page number; 0 while the entry is unused, as page 0 is never mapped */
    _Atomic uint64_t live[words_per_page];
};

static struct map_page *map;
static uint64_t pattern_seed;

void shadow_start(uint64_t seed)
{
    pattern_seed = seed;
    map = system_pages(map_entries * sizeof *map);
}

void shadow_populate(void)
{
    for (size_t i = 0; i < map_entries; i++)
        atomic_store_explicit(&map[i].live[0], 0, memory_order_relaxed);
}

static struct map_page *map_find(uint64_t number)
{
    size_t index = mix64(number) & (map_entries - 1);
    for (int probe = 0; probe < map_probes; probe++) {
        struct map_page *page = &map[(index + (size_t)probe) & (map_entries - 1)];
        uint64_t seen = atomic_load_explicit(&page->number, memory_order_relaxed);
        if (seen == 0 &&
            atomic_compare_exchange_strong_explicit(&page->number, &seen, number,
                                                    memory_order_relaxed, memory_order_relaxed))
            return page;
        if (seen == number)
            return page;
    }
    return NULL;
}

/* The bits first .. last (inclusive, within one word). */
static uint64_t bit_range(unsigned first, unsigned last)
{
    return (~UINT64_C(0) << first) & (~UINT64_C(0) >> (63 - last));
}

static void set_live(const struct block *block, struct map_page *page, unsigned word, uint64_t bits)
{
    uint64_t before = atomic_fetch_or_explicit(&page->live[word], bits, memory_order_relaxed);
    CHECK((before & bits) == 0, "block %p of %zu bytes overlaps a live block",
          (void *)block->address, block->size_bytes);
}

static void set_dead(const struct block *block, struct map_page *page, unsigned word, uint64_t bits)
{
    uint64_t before = atomic_fetch_and_explicit(&page->live[word], ~bits, memory_order_relaxed);
    CHECK((before & bits) == bits, "block %p of %zu bytes was not live in the model",
          (void *)block->address, block->size_bytes);
}

/* Marks the granules of a block, word by word of the map; an empty block occupies one granule. */
static void mark(const struct block *block, bool live)
{
    uint64_t first = (uintptr_t)block->address >> granule_shift;
    size_t length = block->size_bytes ? block->size_bytes : 1;
    uint64_t last = ((uintptr_t)block->address + length - 1) >> granule_shift;
    struct map_page *page = NULL;
    uint64_t page_number = 0; /* never a real page */
    for (uint64_t granule = first; granule <= last; granule = (granule | 63) + 1) {
        uint64_t number = granule >> (page_shift - granule_shift);
        if (number != page_number)
            page = map_find(number);
        page_number = number;
        if (!page)
            continue;
        unsigned word = (unsigned)(granule >> 6) % words_per_page;
        uint64_t word_last = (granule | 63) < last ? (granule | 63) : last;
        uint64_t bits = bit_range((unsigned)granule & 63, (unsigned)word_last & 63);
        if (live)
            set_live(block, page, word, bits);
        else
            set_dead(block, page, word, bits);
    }
}

static uint64_t pattern_key(const struct block *block)
{
    uint64_t key = mix64(pattern_seed ^ mix64(block->id));
    return mix64(key ^ block->size_bytes ^ ((uint64_t)block->alignment << 40));
}

/* Word `index` of a block's pattern. Two words of one block, and words of two blocks, differ. */
static uint64_t pattern_word(uint64_t key, size_t index)
{
    return key + index * UINT64_C(0x9e3779b97f4a7c15);
}

static void fill(const struct block *block)
{
    uint64_t key = pattern_key(block);
    size_t words = block->size_bytes / 8;
    for (size_t i = 0; i < words; i++) {
        uint64_t word = pattern_word(key, i);
        memcpy(block->address + i * 8, &word, 8);
    }
    uint64_t word = pattern_word(key, words);
    if (block->size_bytes % 8)
        memcpy(block->address + words * 8, &word, block->size_bytes % 8);
}

static void check_word(const struct block *block, uint64_t key, size_t index, size_t bytes)
{
    uint64_t want = pattern_word(key, index);
    bool same = memcmp(block->address + index * 8, &want, bytes) == 0;
    CHECK(same, "block %p of %zu bytes (alignment %zu, id %llu) lost its contents at byte %zu",
          (void *)block->address, block->size_bytes, block->alignment,
          (unsigned long long)block->id, index * 8);
}

/* Checks the first `length` bytes of the memory at `at` against the pattern of `block`. */
static void check_pattern(const struct block *block, unsigned char *at, size_t length)
{
    struct block here = *block;
    here.address = at;
    uint64_t key = pattern_key(block);
    size_t words = length / 8;
    uint64_t wrong =
        0; /* one accumulator instead of a branch per word: big blocks are many words */
    for (size_t i = 0; i < words; i++) {
        uint64_t word;
        memcpy(&word, at + i * 8, 8);
        wrong |= word ^ pattern_word(key, i);
    }
    for (size_t i = 0; wrong && i < words; i++)
        check_word(&here, key, i, 8);
    if (length % 8)
        check_word(&here, key, words, length % 8);
}

void shadow_add(const struct block *block)
{
    size_t wanted = block->alignment;
    if (wanted < STRESS_MIN_ALIGNMENT)
        wanted = STRESS_MIN_ALIGNMENT;
    CHECK(((uintptr_t)block->address & (wanted - 1)) == 0,
          "block %p of %zu bytes is not aligned to %zu", (void *)block->address, block->size_bytes,
          wanted);
    mark(block, true);
    fill(block);
}

void shadow_glance(const struct block *block, uint64_t where)
{
    size_t words = block->size_bytes / 8;
    uint64_t key = pattern_key(block);
    if (block->size_bytes % 8)
        check_word(block, key, words, block->size_bytes % 8);
    if (words == 0)
        return;
    check_word(block, key, 0, 8);
    check_word(block, key, words - 1, 8);
    for (int i = 0; i < 4; i++) {
        check_word(block, key, where % words, 8);
        where = mix64(where);
    }
}

void shadow_verify(const struct block *block)
{
    check_pattern(block, block->address, block->size_bytes);
}

void shadow_remove(const struct block *block)
{
    check_pattern(block, block->address, block->size_bytes);
    mark(block, false);
}

void shadow_restore(const struct block *block)
{
    mark(block, true);
    check_pattern(block, block->address, block->size_bytes);
}

void shadow_resized(const struct block *before, const struct block *now)
{
    size_t kept = before->size_bytes < now->size_bytes ? before->size_bytes : now->size_bytes;
    check_pattern(before, now->address, kept);
    shadow_add(now);
}

void shadow_check_zero(const struct block *block)
{
    unsigned char any = 0;
    for (size_t i = 0; i < block->size_bytes; i++)
        any |= block->address[i];
    CHECK(any == 0, "block %p of %zu bytes from calloc is not zero", (void *)block->address,
          block->size_bytes);
}

size_t shadow_check_empty(void)
{
    size_t pages = 0;
    for (size_t i = 0; i < map_entries; i++) {
        uint64_t number = atomic_load_explicit(&map[i].number, memory_order_relaxed);
        if (number == 0)
            continue;
        pages++;
        for (unsigned word = 0; word < words_per_page; word++) {
            uint64_t live = atomic_load_explicit(&map[i].live[word], memory_order_relaxed);
            CHECK(live == 0, "page %#llx still has live blocks in the model",
                  (unsigned long long)number << page_shift);
        }
    }
    return pages;
}
