/* SPDX-License-Identifier: MIT */
/* The profiler: with every block sampled all sums are right to the byte, whoever frees what, and
 * whatever starts, stops and forks in between. */
#include "tools/profile_testing.h"
#include "poolmalloc/poolmalloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { THREADS = 8, SLOTS = 256, TURNS = PM_TSAN ? 500 : PM_CHECK ? 2000 : 20000 };

/* What a thread did, in usable bytes. */
struct worker {
    pthread_t thread;
    uint64_t seed;
    struct test_sums sums; /* `live` may be negative, modulo 2^64: others freed it */
};

static _Atomic(void *) mailbox[SLOTS];

static void *count_in(struct test_sums *sums, void *block)
{
    size_t bytes = test_bytes(block);
    require(block != NULL);
    sums->live_blocks++;
    sums->all_blocks++;
    sums->live_bytes += bytes;
    sums->all_bytes += bytes;
    return block;
}

static void count_out(struct test_sums *sums, void *block)
{
    sums->live_blocks--;
    sums->live_bytes -= test_bytes(block);
}

/* Two stacks. */
static __attribute__((noinline)) void *make_here(size_t n)
{
    void *block = pm_malloc(n);
    __asm__ volatile("" : "+r"(block));
    return block;
}

static __attribute__((noinline)) void *make_there(size_t n)
{
    void *block = pm_calloc(n, 1);
    __asm__ volatile("" : "+r"(block));
    return block;
}

static size_t some_size(uint64_t *seed)
{
    if (test_random_below(seed, 200) == 0)
        return 100000 + test_random_below(seed, 3000000);
    return 1 + test_random_below(seed, (size_t)16 << test_random_below(seed, 10));
}

/* Large ones become large ones again, smaller or larger, in their place or moved. */
static size_t another_size(uint64_t *seed, size_t bytes)
{
    return bytes < 100000 ? some_size(seed) : 100000 + test_random_below(seed, 8000000);
}

/* A block that moves is another one; one that is changed in its place is, if it is a large one. */
static void *change(struct worker *me, void *block)
{
    size_t bytes = test_bytes(block);
    struct test_sums before = me->sums;
    count_out(&me->sums, block);
    void *changed = pm_realloc(block, another_size(&me->seed, bytes));
    if (changed == block && test_bytes(changed) == bytes)
        me->sums = before;
    else
        count_in(&me->sums, changed);
    return changed;
}

static void *work(void *arg)
{
    struct worker *me = arg;
    for (unsigned i = 0; i < TURNS; i++) {
        size_t n = some_size(&me->seed);
        void *block = count_in(&me->sums, i % 2 ? make_here(n) : make_there(n));
        if (test_random_below(&me->seed, 4) == 0)
            block = change(me, block);
        _Atomic(void *) *slot = &mailbox[test_random_below(&me->seed, SLOTS)];
        void *other = atomic_exchange_explicit(slot, block, memory_order_acq_rel);
        if (other != NULL) {
            count_out(&me->sums, other);
            pm_free(other);
        }
    }
    return NULL;
}

static void add(struct test_sums *to, const struct test_sums *from)
{
    to->live_blocks += from->live_blocks;
    to->live_bytes += from->live_bytes;
    to->all_blocks += from->all_blocks;
    to->all_bytes += from->all_bytes;
}

static void start_workers(struct worker *workers, void *(*body)(void *))
{
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.seed = i + 1};
        require(pthread_create(&workers[i].thread, NULL, body, &workers[i]) == 0);
    }
}

static struct test_sums join_workers(struct worker *workers)
{
    struct test_sums sums = {0};
    for (unsigned i = 0; i < THREADS; i++) {
        require(pthread_join(workers[i].thread, NULL) == 0);
        add(&sums, &workers[i].sums);
    }
    return sums;
}

static void empty_mailbox(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        pm_free(mailbox[i]);
        mailbox[i] = NULL;
    }
}

ISOLATED(with_each_block_sampled_the_sums_of_eight_threads_are_right_to_the_byte)
{
    struct worker workers[THREADS];
    require(pm_profile_start(1) && pm_profile_is_on() && pm_profile_rate() == 1);
    start_workers(workers, work);
    struct test_sums sums = join_workers(workers);
    struct test_profile now = test_profile_now();
    require(now.rate == 1 && now.has_maps && pm_profile_dropped() == 0);
    require(test_same(&now.head, &sums) && test_same(&now.rows, &sums));
    require(now.rows_without_frames == 0 && now.row_count > 2);
    require(pm_profile_table_check());
    empty_mailbox(); /* what threads made that are gone */
    now = test_profile_now();
    require(now.head.live_blocks == 0 && now.head.live_bytes == 0);
    require(now.head.all_blocks == sums.all_blocks && now.head.all_bytes == sums.all_bytes);
}

/* ---- start, stop, rates ---- */

static _Atomic bool enough;

static void *work_on(void *arg)
{
    while (!enough)
        work(arg);
    return NULL;
}

/* Frees are seen off whatever was stopped meanwhile: in the end nothing is live. */
ISOLATED(it_starts_stops_dumps_and_resets_while_threads_work)
{
    struct worker workers[THREADS];
    static const size_t rates[] = {1, 100, 10000, 0};
    start_workers(workers, work_on);
    for (unsigned i = 0; i < (PM_TSAN ? 12 : 40); i++) {
        require(pm_profile_start(rates[i % 4]));
        struct test_profile now = test_profile_now();
        require(now.rows.live_bytes <= (uint64_t)1 << 40 && now.has_maps);
        pm_free(make_here(100));
        if (i % 3 == 0)
            pm_profile_stop();
        if (i % 5 == 0)
            pm_profile_reset_all();
    }
    enough = true;
    join_workers(workers);
    empty_mailbox();
    struct test_profile last = test_profile_now();
    require(last.rows.live_blocks == 0 && last.rows.live_bytes == 0);
    require(pm_profile_table_check());
}

ISOLATED(what_is_stopped_samples_nothing_and_sees_off_what_was_sampled)
{
    struct test_profile now = test_profile_now();
    require(now.row_count == 0 && now.rate == 1 && !pm_profile_is_on() && pm_profile_rate() == 0);
    pm_profile_reset_all();
    require(pm_profile_start(1));
    void *first = make_here(100);
    pm_profile_stop();
    require(!pm_profile_is_on() && pm_profile_rate() == 0);
    void *second = make_here(100);
    now = test_profile_now();
    require(now.head.live_blocks == 1 && now.head.all_blocks == 1 && now.rate == 1);
    pm_free(first);
    pm_free(second);
    require(test_profile_now().head.live_blocks == 0);
    require(pm_profile_start(1));
    pm_free(make_here(100));
    require(test_profile_now().head.all_blocks == 2);
    pm_profile_reset_all();
    now = test_profile_now();
    require(now.head.all_blocks == 0 && now.head.all_bytes == 0 && now.row_count == 0);
    pm_free(make_here(100));
    require(test_profile_now().head.all_blocks == 1);
}

/* The sequence of random numbers is that of the process: always the same here. */
ISOLATED(scaled_samples_come_to_what_was_allocated)
{
    enum { BLOCKS = 20000, SIZES = 5 };
    static const size_t sizes[SIZES] = {16, 200, 3000, 40000, 300000};
    for (int s = 0; s < SIZES; s++) {
        require(pm_profile_start(16384));
        pm_profile_reset_all();
        unsigned count = sizes[s] > 4000 ? BLOCKS / 20 : BLOCKS * 5;
        for (unsigned i = 0; i < count; i++)
            pm_free(make_here(sizes[s]));
        struct test_profile now = test_profile_now();
        pm_profile_stop();
        void *block = make_here(sizes[s]);
        double size = (double)test_bytes(block), scale = pm_profile_scale(size, 16384);
        pm_free(block);
        double told = (double)now.head.all_blocks, off = told * scale - count;
        /* Six standard deviations of what chance chooses of them. */
        require(off * off < 36 * (count * (scale - 1) + 1));
        require(now.head.all_bytes == now.head.all_blocks * (uint64_t)size);
    }
}

/* Of one stack: a row for each, which readers scale by its own mean. */
ISOLATED(blocks_of_two_sizes_from_one_stack_are_scaled_by_themselves)
{
    enum { BLOCKS = 50000, MEAN = 65536 };
    static const volatile size_t sizes[2] = {256, 16}; /* with one place among remembered rows */
    require(pm_profile_start(MEAN));
    for (unsigned i = 0; i < BLOCKS; i++)
        pm_free(make_here(sizes[i % 50 != 0]));
    double blocks = 0;
    for (uint32_t i = 0; i < pm_profile_rows(); i++) {
        struct pm_profile_row row;
        pm_profile_row_read(pm_profile_row_at(i), &row);
        size_t size = (size_t)(row.all_bytes / row.all_blocks);
        require(size * row.all_blocks == row.all_bytes && (size < 100 || size >= 256));
        blocks += (double)row.all_blocks * pm_profile_row_scale(&row);
    }
    require(blocks > BLOCKS * 0.4 && blocks < BLOCKS * 1.6); /* of some ten samples */
}

static void the_scale_is_the_reciprocal_of_the_chance(void **state)
{
    static const struct {
        double x, scale; /* 1 / (1 - exp(-x)) */
    } known[] = {
        {1e-6, 1000000.5}, {0.001, 1000.5000833333}, {0.25, 4.5208116642},  {1, 1.5819767069},
        {3, 1.0523956965}, {10, 1.0000454020},       {30, 1.0000000000001}, {1e9, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double scale = pm_profile_scale(known[i].x * 1048576, 1048576);
        assert_true(scale > known[i].scale * (1 - 1e-9) && scale < known[i].scale * (1 + 1e-9));
    }
    assert_true(pm_profile_scale(100, 1) == 1 && pm_profile_scale(100, 0) == 1);
    assert_true(pm_profile_scale(0, 100) == 1);
}

/* ---- fork ---- */

ISOLATED(a_child_of_fork_goes_on_with_a_profile_of_its_own)
{
    int status;
    require(pm_profile_start(1));
    void *both = make_here(100), *more;
    pid_t child = fork();
    if (child == 0) {
        require(test_profile_now().head.live_blocks == 1);
        pm_free(both);
        require(test_profile_now().head.live_blocks == 0);
        more = make_there(1000);
        require(test_profile_now().head.live_blocks == 1);
        pm_free(more);
        _exit(0);
    }
    require(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    require(test_profile_now().head.live_blocks == 1 && test_profile_now().head.all_blocks == 1);
    pm_free(both);
    require(test_profile_now().head.live_blocks == 0);
}

/* ---- no room ---- */

static __attribute__((noinline)) void *make_deep(unsigned depth)
{
    void *block = depth == 0 ? make_here(100) : make_deep(depth - 1);
    __asm__ volatile("" : "+r"(block));
    return block;
}

ISOLATED(samples_beyond_the_rows_are_counted_and_dropped)
{
    enum { ROWS = 16, STACKS = 25 }; /* less than the frames that are kept */
    void *blocks[STACKS];
    pm_options.profile_stacks = ROWS;
    require(pm_profile_start(1));
    for (unsigned i = 0; i < STACKS; i++)
        blocks[i] = make_deep(i);
    struct test_profile now = test_profile_now();
    require(now.row_count == ROWS && now.head.live_blocks == ROWS);
    require(pm_profile_dropped() == STACKS - ROWS);
    for (unsigned i = 0; i < STACKS; i++)
        pm_free(blocks[i]);
    require(test_profile_now().head.live_blocks == 0 && pm_profile_table_check());
}

static void dump_to_full_disk(const void *arg)
{
    (void)arg;
    require(pm_profile_start(1));
    void *block = make_here(100);
    errno = 12345;
    require(!pm_profile_dump("/dev/full", PM_PROFILE_GPERFTOOLS));
    require(!pm_profile_dump("/no/such/folder/file", PM_PROFILE_JEMALLOC));
    int file = open("/dev/full", O_WRONLY);
    require(file >= 0 && !pm_profile_dump_fd(file, PM_PROFILE_JEMALLOC) && errno == 12345);
    require(test_profile_now().head.live_blocks == 1);
    pm_free(block);
}

static void a_full_disk_is_reported_and_the_program_goes_on(void **state)
{
    char text[1000];
    (void)state;
    assert_int_equal(test_stderr_of(dump_to_full_disk, NULL, text, sizeof text), 0);
    assert_non_null(strstr(text, "poolmalloc: cannot write all of the profile to \"/dev/full\"\n"));
    assert_non_null(strstr(text, "poolmalloc: cannot open \"/no/such/folder/file\" to write the "
                                 "profile\n"));
    assert_non_null(strstr(text, "poolmalloc: cannot write all of the profile to file descriptor"));
}

/* ---- the leak report ---- */

static char report[1 << 14];

static void append(void *arg, const char *text)
{
    (void)arg;
    pm_free(pm_malloc(10)); /* it may allocate */
    require(strlen(report) + strlen(text) < sizeof report);
    strcat(report, text);
}

ISOLATED(the_leak_report_has_each_stack_once_the_largest_first)
{
    require(pm_profile_start(1));
    void *small[2], *large = make_there(50000);
    for (volatile unsigned i = 0; i < 2; i++) /* one call, not unrolled */
        small[i] = make_here(i == 0 ? 100 : 300);
    size_t here = test_bytes(small[0]) + test_bytes(small[1]);
    size_t there = test_bytes(large);
    char expected[100];
    pm_profile_stop();
    pm_profile_leaks(append, NULL);
    const char *second, *first = strstr(report, "\nabout ");
    snprintf(expected, sizeof expected, "about %zu bytes in 3 blocks are live\n", here + there);
    require(first != NULL && strstr(report, expected) != NULL);
    snprintf(expected, sizeof expected, "\nabout %zu bytes in 1 blocks (sampled: %zu bytes in 1)",
             there, there);
    require(strncmp(first, expected, strlen(expected)) == 0);
    require((second = strstr(first + 1, "\nabout ")) != NULL);
    require(strstr(second + 1, "\nabout ") == NULL); /* of two sizes, by one stack */
    require(strstr(second, "    #0 0x") != NULL && strstr(second, "profile_test+0x") != NULL);
    pm_free(small[0]);
    pm_free(small[1]);
    pm_free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_each_block_sampled_the_sums_of_eight_threads_are_right_to_the_byte),
        cmocka_unit_test(it_starts_stops_dumps_and_resets_while_threads_work),
        cmocka_unit_test(what_is_stopped_samples_nothing_and_sees_off_what_was_sampled),
        cmocka_unit_test(scaled_samples_come_to_what_was_allocated),
        cmocka_unit_test(blocks_of_two_sizes_from_one_stack_are_scaled_by_themselves),
        cmocka_unit_test(the_scale_is_the_reciprocal_of_the_chance),
        cmocka_unit_test(a_child_of_fork_goes_on_with_a_profile_of_its_own),
        cmocka_unit_test(samples_beyond_the_rows_are_counted_and_dropped),
        cmocka_unit_test(a_full_disk_is_reported_and_the_program_goes_on),
        cmocka_unit_test(the_leak_report_has_each_stack_once_the_largest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
