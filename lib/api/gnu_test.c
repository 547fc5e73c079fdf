/* SPDX-License-Identifier: MIT */
/* glibc's statistics calls: figures that add up, alone and while threads allocate; mallopt. */
#include "base/asan.h"
#include "base/config.h"
#include "base/options.h"
#include "base/testing.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { BLOCKS = 2000, SIZE = 100, LARGE = 3, THREADS = 3, ROUNDS = 3000, TEXT_BYTES = 1 << 16 };

static void *blocks[BLOCKS];
static char *large[LARGE];

/* The invariants that hold at any moment. */
static struct pm_mallinfo2_figures info_now(void)
{
    struct pm_mallinfo2_figures info = pm_mallinfo2();
    require(info.arena == info.uordblks + info.fordblks && info.keepcost <= info.fordblks);
    require(info.smblks == 0 && info.usmblks == 0 && info.fsmblks == 0);
    return info;
}

static struct pm_stats stats_now(void)
{
    struct pm_stats stats;
    require(pm_stats_get(&stats));
    return stats;
}

static void allocate_all(void)
{
    require(pm_malloc_batch(SIZE, BLOCKS, blocks) == BLOCKS);
    for (int i = 0; i < LARGE; i++) {
        large[i] = pm_malloc(PM_ARENA_BYTES + 1);
        require(large[i] != NULL);
    }
}

static void free_all(void)
{
    pm_free_batch(blocks, BLOCKS);
    for (int i = 0; i < LARGE; i++)
        pm_free(large[i]);
}

/* Alone, the figures are exact. */
ISOLATED(mallinfo_counts_blocks_bytes_and_large_blocks)
{
    struct pm_mallinfo2_figures before = info_now();
    allocate_all();
    struct pm_mallinfo2_figures info = info_now();
    struct pm_stats s = stats_now();
    size_t block = pm_malloc_usable_size(blocks[0]) + PM_ASAN_REDZONE_BYTES;
    require(before.uordblks == 0 && before.hblks == 0);
    require(info.uordblks == BLOCKS * block && info.hblks == LARGE && s.spans == LARGE);
    require(info.hblkhd == LARGE * 2 * PM_ARENA_BYTES);
    require(info.arena == s.pool_bytes + info.keepcost);
    require(info.arena + info.hblkhd + s.free_bytes - s.dirty_bytes == s.arenas * s.arena_bytes);
    for (int i = 0; i < BLOCKS / 2; i++) {
        pm_free(blocks[i]);
        blocks[i] = NULL;
    }
    pm_thread_idle(); /* what waits in batches is pushed */
    require(info_now().uordblks == (BLOCKS - BLOCKS / 2) * block);
    require(info_now().ordblks > info.ordblks);
    free_all();
    pm_purge();
    info = info_now();
    require(info.arena == 0 && info.uordblks == 0 && info.ordblks == 0 && info.hblkhd == 0);
}

ISOLATED(keepcost_is_what_a_trim_takes_from_it)
{
    allocate_all();
    for (int i = 0; i < LARGE; i++)
        memset(large[i], 1, PM_ARENA_BYTES);
    free_all();
    require(info_now().keepcost > 0);
    pm_malloc_trim(0);
    require(info_now().keepcost == 0);
}

/* Address space alone: nothing of it is touched. */
ISOLATED(the_old_mallinfo_stops_at_its_largest_number)
{
    struct pm_mallinfo_figures small = pm_mallinfo();
    require(small.hblkhd == 0 && small.hblks == 0);
    allocate_all();
    small = pm_mallinfo();
    struct pm_mallinfo2_figures info = pm_mallinfo2();
    require((size_t)small.arena == info.arena && (size_t)small.uordblks == info.uordblks);
    require((size_t)small.fordblks == info.fordblks && (size_t)small.hblkhd == info.hblkhd);
    require((size_t)small.ordblks == info.ordblks && (size_t)small.keepcost == info.keepcost);
    if (PM_ASAN || PM_TSAN)
        test_skipped("a sanitizer keeps memory of its own for so many bytes");
    void *block = pm_malloc((size_t)3 << 30);
    if (block == NULL)
        test_skipped("there is no address space for 3 GiB");
    require(pm_mallinfo().hblkhd == INT_MAX && pm_mallinfo2().hblkhd > INT_MAX);
    pm_free(block);
}

/* ---- malloc_info ---- */

/* To a stream that allocates as it grows. */
static void info_text(char *text)
{
    char *xml = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&xml, &bytes);
    require(stream != NULL && pm_malloc_info(0, stream) == 0 && fclose(stream) == 0);
    require(bytes > 0 && bytes < TEXT_BYTES);
    memcpy(text, xml, bytes + 1);
    free(xml);
}

static unsigned times(const char *text, const char *word)
{
    unsigned n = 0;
    for (; (text = strstr(text, word)) != NULL; text++)
        n++;
    return n;
}

/* That it is XML, and what it says, a parser says: ctest api.malloc-info.*. */
ISOLATED(malloc_info_writes_one_whole_document)
{
    static char text[TEXT_BYTES], row[100];
    allocate_all();
    info_text(text);
    require(strncmp(text, "<malloc version=\"1\">\n", 21) == 0);
    require(strcmp(strstr(text, "</malloc>"), "</malloc>\n") == 0);
    require(times(text, "<heap ") == 1 && times(text, "</heap>") == 1);
    require(times(text, "<size ") == 1 && times(text, "<sizes>") == 1);
    size_t least = SIZE, most = pm_malloc_usable_size(blocks[0]);
    while (pm_good_size(least - 1) == most)
        least--;
    snprintf(row, sizeof row, "<size from=\"%zu\" to=\"%zu\" ", least + PM_ASAN_REDZONE_BYTES,
             most + PM_ASAN_REDZONE_BYTES);
    require(strstr(text, row) != NULL);
    free_all();
}

ISOLATED(malloc_info_takes_no_options)
{
    errno = EDOM;
    for (int options = -1; options <= 1; options += 2)
        require(pm_malloc_info(options, NULL) == EINVAL);
    require(errno == EDOM);
}

/* ---- malloc_stats ---- */

static void add_text(void *arg, const char *text)
{
    char *to = arg;
    require(strlen(to) + strlen(text) < TEXT_BYTES);
    free(malloc(100)); /* whoever gets it may allocate */
    pm_free(pm_malloc(100));
    strcat(to, text);
}

/* The number behind the label, without its commas. */
static uint64_t number_of(const char *text, const char *label)
{
    uint64_t n = 0;
    const char *at = strstr(text, label);
    require(at != NULL && (at == text || at[-1] == '\n'));
    for (at = strchr(at, '='); *at != '\n'; at++) {
        if (*at >= '0' && *at <= '9')
            n = n * 10 + (uint64_t)(*at - '0');
        else
            require(strchr("= ,", *at) != NULL);
    }
    return n;
}

struct row {
    size_t class, bytes, pools, live, available;
};

/* The table's only row of a class. */
static struct row only_row(const char *text)
{
    struct row row = {0}, found = {0};
    for (const char *line = text; *line != 0; line = strchr(line, '\n') + 1) {
        if (sscanf(line, "%zu %zu %zu %zu %zu", &row.class, &row.bytes, &row.pools, &row.live,
                   &row.available) != 5)
            continue;
        require(found.bytes == 0);
        found = row;
    }
    require(found.bytes != 0);
    return found;
}

ISOLATED(the_table_has_each_class_and_its_lines_add_up_to_all_arenas)
{
    static char text[TEXT_BYTES];
    static const char *const parts[] = {
        "# bytes in allocated blocks",
        "# bytes in available blocks",
        "# bytes lost to pool headers",
        "# bytes lost to quantization",
        "# bytes in large blocks",
        "# bytes behind large blocks",
        "# bytes in empty pools that heaps keep",
        "# bytes in units that heaps did not cut",
        "# bytes in free units, perhaps resident",
        "# bytes in free units, not resident",
    };
    uint64_t sum = 0;
    allocate_all();
    pm_stats_print(add_text, text);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        sum += number_of(text, parts[i]);
    struct pm_stats s = stats_now();
    require(sum == number_of(text, "Total") && sum == s.arenas * s.arena_bytes);
    require(number_of(text, "# arenas allocated total") == s.arenas);
    require(number_of(text, "# bytes in allocated blocks") == info_now().uordblks);
    require(number_of(text, "# bytes in large blocks") == s.span_bytes);
    struct row row = only_row(text);
    require(row.live == BLOCKS && row.live * row.bytes == info_now().uordblks);
    require(row.available == info_now().ordblks && row.pools > 0);
    free_all();
}

static void print_to_stderr(const void *arg)
{
    (void)arg;
    allocate_all();
    errno = EDOM;
    pm_malloc_stats();
    require(errno == EDOM);
    pm_stats_print(NULL, NULL);
}

ISOLATED(malloc_stats_writes_the_table_to_stderr)
{
    static char text[TEXT_BYTES];
    require(test_stderr_of(print_to_stderr, NULL, text, sizeof text) == 0);
    require(times(text, "class   size   num pools") == 2 && times(text, "\nTotal  ") == 2);
}

/* ---- mallopt ---- */

enum { TRIM_THRESHOLD = -1, TOP_PAD = -2, MMAP_THRESHOLD = -3, ARENA_MAX = -8 };

ISOLATED(mallopt_takes_what_glibc_takes_and_refuses_the_rest)
{
    require(pm_mallopt(1, 64) == 1 && pm_mallopt(1, 0) == 1); /* M_MXFAST */
    require(pm_mallopt(1, 161) == 0 && pm_mallopt(1, -1) == 0);
    require(pm_mallopt(MMAP_THRESHOLD, 32 << 20) == 1 && pm_mallopt(MMAP_THRESHOLD, 0) == 1);
    require(pm_mallopt(MMAP_THRESHOLD, (32 << 20) + 1) == 0 && pm_mallopt(MMAP_THRESHOLD, -1) == 0);
    for (int parameter = ARENA_MAX; parameter <= TOP_PAD; parameter++)
        require(pm_mallopt(parameter, 1) == 1);
    for (int parameter = 2; parameter <= 4; parameter++)
        require(pm_mallopt(parameter, 1) == 1);
    static const int unknown[] = {0, 5, -9, -100, -101, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        require(pm_mallopt(unknown[i], 1) == 0);
    require(pm_options.keep_bytes == PM_KEEP_BYTES_DEFAULT);
    require(pm_options.purge_delay_ms == PM_PURGE_DELAY_MS_DEFAULT);
}

/* 16 MiB that were in use, and are free. */
static uint64_t dirty_after_use(void)
{
    enum { PIECES = 64, PIECE_BYTES = 1 << 18 };
    char *pieces[PIECES];
    for (int i = 0; i < PIECES; i++) {
        pieces[i] = pm_malloc(PIECE_BYTES);
        memset(pieces[i], 1, PIECE_BYTES);
    }
    for (int i = 0; i < PIECES; i++)
        pm_free(pieces[i]);
    return stats_now().dirty_bytes;
}

ISOLATED(the_trim_threshold_is_what_stays_resident)
{
    uint64_t all = (uint64_t)16 << 20;
    pm_options.purge_delay_ms = 3600000; /* no matter how slow this goes */
    require(dirty_after_use() < all / 2);
    require(pm_mallopt(TRIM_THRESHOLD, 32 << 20) == 1);
    require(pm_options.keep_bytes == (size_t)32 << 20);
    require(dirty_after_use() >= all / 2);
    require(pm_mallopt(TRIM_THRESHOLD, 0) == 1 && pm_options.keep_bytes == 0);
    require(pm_options.purge_delay_ms == 3600000);
    dirty_after_use();
    require(pm_mallopt(TRIM_THRESHOLD, -1) == 1);
    require(pm_options.keep_bytes == SIZE_MAX &&
            pm_options.purge_delay_ms == PM_PURGE_DELAY_MS_MAX);
    require(dirty_after_use() >= all / 2 && pm_malloc_trim(0) == 1);
    require(stats_now().dirty_bytes == 0);
    require(pm_mallopt(TRIM_THRESHOLD, -1) == 1 && pm_mallopt(TRIM_THRESHOLD, 0) == 1);
    require(pm_options.keep_bytes == 0 && pm_options.purge_delay_ms == 3600000);
}

/* ---- while threads allocate ---- */

static _Atomic bool done;

static void *allocate_on(void *arg)
{
    uint64_t state = *(uint64_t *)arg;
    void *mine[64] = {NULL};
    for (int round = 0; round < ROUNDS; round++) {
        void **slot = &mine[test_random_below(&state, 64)];
        pm_free(*slot);
        *slot = pm_malloc((size_t)1 << test_random_below(&state, round % 30 ? 12 : 21));
        require(*slot != NULL);
        if (round % 500 == 499)
            pm_thread_idle();
    }
    pm_free_batch(mine, 64);
    return NULL;
}

static void *ask_on(void *arg)
{
    static _Thread_local char text[TEXT_BYTES];
    (void)arg;
    do {
        info_now();
        pm_mallinfo();
        info_text(text);
        require(strcmp(strstr(text, "</malloc>"), "</malloc>\n") == 0);
        text[0] = 0;
        pm_stats_print(add_text, text);
        require(number_of(text, "Total") > 0);
        require(pm_mallopt(TRIM_THRESHOLD, 1 << 20) == 1 && pm_mallopt(TRIM_THRESHOLD, -1) == 1);
    } while (!atomic_load(&done));
    return NULL;
}

ISOLATED(everything_can_be_asked_while_threads_allocate)
{
    pthread_t allocating[THREADS], asking[2];
    uint64_t seeds[THREADS] = {1, 2, 3};
    pm_free(pm_malloc(1)); /* there is a first arena */
    for (int i = 0; i < 2; i++)
        require(pthread_create(&asking[i], NULL, ask_on, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        require(pthread_create(&allocating[i], NULL, allocate_on, &seeds[i]) == 0);
    for (int i = 0; i < THREADS; i++)
        require(pthread_join(allocating[i], NULL) == 0);
    atomic_store(&done, true);
    for (int i = 0; i < 2; i++)
        require(pthread_join(asking[i], NULL) == 0);
    pm_purge();
    require(info_now().uordblks == 0 && info_now().hblks == 0 && pm_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mallinfo_counts_blocks_bytes_and_large_blocks),
        cmocka_unit_test(keepcost_is_what_a_trim_takes_from_it),
        cmocka_unit_test(the_old_mallinfo_stops_at_its_largest_number),
        cmocka_unit_test(malloc_info_writes_one_whole_document),
        cmocka_unit_test(malloc_info_takes_no_options),
        cmocka_unit_test(the_table_has_each_class_and_its_lines_add_up_to_all_arenas),
        cmocka_unit_test(malloc_stats_writes_the_table_to_stderr),
        cmocka_unit_test(mallopt_takes_what_glibc_takes_and_refuses_the_rest),
        cmocka_unit_test(the_trim_threshold_is_what_stays_resident),
        cmocka_unit_test(everything_can_be_asked_while_threads_allocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
