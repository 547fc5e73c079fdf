/* SPDX-License-Identifier: MIT */
/*
 * A large block grows, and cannot grow where it is. Stands for: vectors, string builders and
 * in-memory tables that double. Source: "mremap for large realloc: no moment with both copies
 * resident" (reference/traps.md, asks 15), and "mremap inside the window leaves a hole that a
 * foreign mapping may take" (the sketch). After each step a neighbour is put behind the block. The
 * peak of resident memory in each step is compared with the block's new size; meanwhile another
 * thread makes mappings, of which none may come to lie where blocks of poolmalloc are or were. Then
 * the block shrinks again.
 * Usage: realloc [mib=512] [start=16]
 */
#include "check.h"
#include "common.h"
#include "giveback/measure.h"
#include "names.h"

#include "poolmalloc/poolmalloc.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum {
    page = 4096,
    places_max = 64,
    neighbours_max = 1024,
    neighbours_a_step = 64,
    neighbour_bytes = 2 << 20,
    mapping_pages_max = 64,
    mappings_a_step = 200,
    shrunk_room_mib = 8,
};

/* Where the block was or is. Written by main before the count (release), read by the mapper. */
static struct {
    unsigned char *start;
    size_t bytes;
} places[places_max];
static atomic_size_t place_count;
static atomic_size_t mappings_in_holes, mappings_made;

/* The mapper is at work during a step only: it starts with main, and main waits for its first
 * mapping; it ends after so many, and when the block has moved. */
static pthread_barrier_t step_begins;
static atomic_bool at_work, moved_now, mapper_ends;

static unsigned char *neighbours[neighbours_max];
static size_t neighbour_count;

static bool lies_in_a_place(const unsigned char *start, size_t bytes)
{
    size_t count = atomic_load_explicit(&place_count, memory_order_acquire);
    for (size_t i = 0; i < count; i++)
        if (start < places[i].start + places[i].bytes && places[i].start < start + bytes)
            return true;
    return false;
}

/* One mapping where the system likes, or where the block was, if that is free. */
static void map_once(struct rng *rng)
{
    size_t count = atomic_load_explicit(&place_count, memory_order_acquire);
    size_t bytes = (1 + rng_below(rng, mapping_pages_max)) * page;
    unsigned char *wanted = NULL;
    if (count > 0 && rng_one_in(rng, 2)) {
        size_t which = rng_below(rng, count);
        wanted = places[which].start - (uintptr_t)places[which].start % page;
        wanted += rng_below(rng, places[which].bytes / page) * page;
    }
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | (wanted ? MAP_FIXED_NOREPLACE : 0);
    unsigned char *got = mmap(wanted, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (got == MAP_FAILED)
        return;
    got[0] = 0xee;
    got[bytes - 1] = 0xee;
    atomic_fetch_add_explicit(&mappings_made, 1, memory_order_relaxed);
    if (lies_in_a_place(got, bytes))
        atomic_fetch_add_explicit(&mappings_in_holes, 1, memory_order_relaxed);
    munmap(got, bytes);
}

static void *mapper_main(void *argument)
{
    struct rng rng = rng_make(15, 0);
    for (;;) {
        pthread_barrier_wait(&step_begins);
        if (atomic_load_explicit(&mapper_ends, memory_order_relaxed))
            return argument;
        for (int i = 0; i < mappings_a_step || !atomic_load(&moved_now); i++) {
            map_once(&rng);
            atomic_store(&at_work, true);
        }
        pthread_barrier_wait(&step_begins);
    }
}

/* The block moves while the mapper is at work. */
static unsigned char *move(unsigned char *block, size_t larger)
{
    atomic_store(&at_work, false);
    atomic_store(&moved_now, false);
    pthread_barrier_wait(&step_begins);
    while (!atomic_load(&at_work))
        sched_yield();
    unsigned char *moved = api_realloc(block, larger);
    CHECK(moved, "no %zu bytes", larger);
    atomic_store(&moved_now, true);
    pthread_barrier_wait(&step_begins);
    return moved;
}

static void note_place(unsigned char *start, size_t bytes)
{
    size_t count = atomic_load_explicit(&place_count, memory_order_relaxed);
    CHECK(count < places_max, "too many steps");
    places[count].start = start;
    places[count].bytes = bytes;
    atomic_store_explicit(&place_count, count + 1, memory_order_release);
}

static void write_pages(unsigned char *block, size_t from, size_t to)
{
    for (size_t at = from; at < to; at += page) {
        uint64_t mark = mix64(at);
        memcpy(block + at, &mark, sizeof mark);
        block[at + page - 1] = (unsigned char)mark;
    }
}

static void check_pages(const unsigned char *block, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += page) {
        uint64_t mark;
        memcpy(&mark, block + at, sizeof mark);
        CHECK(mark == mix64(at) && block[at + page - 1] == (unsigned char)mark,
              "the page at %zu of %zu bytes changed", at, bytes);
    }
}

/* Until one begins right behind the block, as far as that can be had. */
static void put_neighbours(const unsigned char *end)
{
    for (int i = 0; i < neighbours_a_step && neighbour_count < neighbours_max; i++) {
        unsigned char *neighbour = api_malloc(neighbour_bytes);
        CHECK(neighbour, "no neighbour");
        neighbour[0] = 1;
        neighbours[neighbour_count++] = neighbour;
        if (neighbour >= end && neighbour < end + neighbour_bytes)
            return;
    }
}

/* The peak may be that of the step alone: it starts anew before each. */
static unsigned char *grow(unsigned char *block, size_t bytes, size_t larger, size_t base,
                           double *worst)
{
    note_place(block, bytes);
    put_neighbours(block + bytes);
    CHECK(measure_peak_reset(), "/proc/self/clear_refs cannot be written");
    unsigned char *moved = move(block, larger);
    double ratio = ((double)measure_peak() - (double)base) / (double)larger;
    *worst = ratio > *worst ? ratio : *worst;
    check_pages(moved, bytes);
    write_pages(moved, bytes, larger);
    return moved;
}

static unsigned char *shrink(unsigned char *block, size_t smaller, size_t base, double *worst_mib)
{
    unsigned char *left = api_realloc(block, smaller);
    CHECK(left, "a block cannot shrink to %zu bytes", smaller);
    /* An eighth of what is in use may stay, touched or not. */
    double in_use = (double)smaller + (double)neighbour_count * neighbour_bytes;
    double beyond = (double)measure_resident() - (double)base - 1.1 * (double)smaller - in_use / 8;
    *worst_mib = beyond / MIB > *worst_mib ? beyond / MIB : *worst_mib;
    check_pages(left, smaller);
    return left;
}

static unsigned char *grow_all(size_t start, size_t most, size_t base, size_t *moves)
{
    double worst = 0;
    size_t bytes = start;
    unsigned char *block = api_malloc(bytes);
    CHECK(block, "no %zu bytes", bytes);
    write_pages(block, 0, bytes);
    while (bytes < most) {
        size_t larger = bytes + bytes / 2 / page * page;
        if (larger > most)
            larger = most;
        unsigned char *moved = grow(block, bytes, larger, base, &worst);
        *moves += moved != block;
        block = moved;
        bytes = larger;
    }
    note_place(block, bytes);
    judge_resident("peak_to_size_when_growing", worst, 1.1);
    return block;
}

static void judge_moves(size_t moves)
{
    struct pm_stats stats;
    size_t holes = atomic_load_explicit(&mappings_in_holes, memory_order_relaxed);
    report("moves", (double)moves);
    report("foreign_mappings", (double)atomic_load_explicit(&mappings_made, memory_order_relaxed));
    if (!measure_counters(&stats)) {
        report("mappings_where_blocks_were", (double)holes);
        return;
    }
    /* others may give addresses back, poolmalloc does not */
    judge("mappings_where_blocks_were", (double)holes, 0);
    CHECK(moves > 0, "no step had to move the block: nothing was tested");
}

int main(int count, char **arguments)
{
    static const char *const names[] = {"mib", "start", NULL};
    options_check(count, arguments, names);
    size_t most = option_number(count, arguments, "mib", 512) * MIB;
    size_t start = option_number(count, arguments, "start", 16) * MIB;
    CHECK(start > 0 && start <= most, "it cannot start with more than it grows to");
    pthread_t mapper;
    pthread_barrier_init(&step_begins, NULL, 2);
    size_t moves = 0;
    api_free(api_malloc(100));
    int code = pthread_create(&mapper, NULL, mapper_main, NULL);
    CHECK(code == 0, "pthread_create returned %d", code);
    size_t base = measure_resident();
    unsigned char *block = grow_all(start, most, base, &moves);
    double worst_mib = 0;
    for (size_t part = 2; part <= 128; part *= 4)
        block = shrink(block, most / part, base, &worst_mib);
    judge_resident("beyond_size_after_shrinking_mib", worst_mib, shrunk_room_mib);
    api_free(block);
    for (size_t i = 0; i < neighbour_count; i++)
        api_free(neighbours[i]);
    atomic_store_explicit(&mapper_ends, true, memory_order_relaxed);
    pthread_barrier_wait(&step_begins);
    pthread_join(mapper, NULL);
    judge_moves(moves);
    return judged();
}
