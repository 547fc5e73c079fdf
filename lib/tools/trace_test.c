/* SPDX-License-Identifier: MIT */
/* What tracing promises (poolmalloc/trace.h), to the byte and to the stack. */
#include "heap/testing.h"
#include "poolmalloc/domains.h"
#include "poolmalloc/heap.h"
#include "poolmalloc/trace.h"
#include "tools/debug.h"
#include "tools/trace.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { FRAMES = 16, SIZE = 40, LARGE = 3000000, MANY = 1000, OTHER = 4711 };

static size_t current(void)
{
    size_t bytes;
    pm_trace_memory(&bytes, NULL);
    return bytes;
}

static size_t peak(void)
{
    size_t bytes;
    pm_trace_memory(NULL, &bytes);
    return bytes;
}

/* The block is traced with that size; how many frames there are. */
static unsigned require_traced(unsigned domain, const void *block, size_t bytes)
{
    uintptr_t frames[FRAMES];
    size_t told = SIZE_MAX;
    unsigned count = pm_trace_of(domain, block, frames, FRAMES, &told);
    require(count > 0 && told == bytes);
    return count;
}

static bool is_traced(unsigned domain, const void *block)
{
    uintptr_t frame;
    size_t told = SIZE_MAX;
    return pm_trace_of(domain, block, &frame, 1, &told) != 0;
}

struct seen {
    unsigned domain; /* PM_TRACE_DOMAINS: all */
    uint64_t blocks, bytes;
};

static void see(unsigned domain, const uintptr_t *frames, unsigned count, uint64_t blocks,
                uint64_t bytes, void *arg)
{
    struct seen *seen = arg;
    (void)frames;
    require(count <= FRAMES);
    if (seen->domain != PM_TRACE_DOMAINS && seen->domain != domain)
        return;
    seen->blocks += blocks;
    seen->bytes += bytes;
}

static void require_seen(unsigned domain, uint64_t blocks, uint64_t bytes)
{
    struct seen seen = {.domain = domain};
    require(pm_trace_each(see, &seen));
    require(seen.blocks == blocks && seen.bytes == bytes);
}

/* Each of these in a process of its own. */
static void start(void)
{
    pm_free(pm_malloc(1)); /* before, and not traced */
    require(pm_trace_start(FRAMES));
    require(current() == 0 && peak() == 0);
}

ISOLATED(nothing_is_traced_until_it_is_started_nor_after_it_is_stopped)
{
    size_t a = 1, b = 1;
    void *p = pm_malloc(SIZE);
    require(!pm_trace_is_on() && pm_trace_limit() == 0 && pm_trace_own_bytes() == 0);
    pm_trace_memory(&a, &b);
    require(a == 0 && b == 0 && !is_traced(PM_TRACE_MALLOC, p));
    require(!pm_trace_track(OTHER, p, 1) && !pm_trace_untrack(OTHER, p));
    pm_trace_stop();
    require(pm_trace_start(FRAMES) && pm_trace_is_on() && pm_trace_limit() == FRAMES);
    require(pm_trace_start(1) && pm_trace_limit() == FRAMES); /* as it was */
    require(pm_trace_own_bytes() > 0);
    void *q = pm_malloc(SIZE);
    require(!is_traced(PM_TRACE_MALLOC, p) && is_traced(PM_TRACE_MALLOC, q));
    pm_free(p);
    require(current() == SIZE);
    pm_trace_stop();
    require(!pm_trace_is_on() && !is_traced(PM_TRACE_MALLOC, q) && current() == 0);
    struct seen none = {.domain = PM_TRACE_DOMAINS};
    require(!pm_trace_each(see, &none));
    pm_free(q);
    require(pm_trace_start(2) && pm_trace_limit() == 2 && current() == 0);
}

ISOLATED(a_number_of_frames_that_is_none_is_refused)
{
    errno = 0;
    require(!pm_trace_start(0) && errno == EINVAL);
    require(!pm_trace_start(PM_TRACE_FRAMES_MAX + 1) && errno == EINVAL);
    require(!pm_trace_is_on() && pm_trace_start(PM_TRACE_FRAMES_MAX));
}

ISOLATED(every_size_counts_as_it_was_asked_for)
{
    static const size_t sizes[] = {0,    1,     16,      17,      1024,    1025,           5000,
                                   9000, 70000, 1048574, 1048575, 1048576, PM_ARENA_BYTES, LARGE};
    size_t sum = 0;
    void *blocks[sizeof sizes / sizeof *sizes];
    start();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        blocks[i] = pm_malloc(sizes[i]);
        sum += sizes[i];
        require(current() == sum && peak() == sum);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        require_traced(PM_TRACE_MALLOC, blocks[i], sizes[i]);
    require_seen(PM_TRACE_DOMAINS, sizeof sizes / sizeof *sizes, sum);
    size_t most = sum;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pm_free(blocks[i]);
        sum -= sizes[i];
        require(current() == sum && peak() == most && !is_traced(PM_TRACE_MALLOC, blocks[i]));
    }
    require(sum == 0);
    require_seen(PM_TRACE_DOMAINS, 0, 0);
}

ISOLATED(all_functions_that_make_blocks_are_traced)
{
    void *blocks[MANY], *aligned;
    start();
    void *zero = pm_calloc(7, 9);
    require_traced(PM_TRACE_MALLOC, zero, 63);
    require(pm_posix_memalign(&aligned, 4096, 100) == 0);
    require_traced(PM_TRACE_MALLOC, aligned, 100);
    void *array = pm_reallocarray(NULL, 3, 5);
    require_traced(PM_TRACE_MALLOC, array, 15);
    require(pm_malloc_batch(SIZE, MANY, blocks) == MANY);
    require(current() == 63 + 100 + 15 + MANY * SIZE);
    require_traced(PM_TRACE_MALLOC, blocks[MANY - 1], SIZE);
    pm_free_batch(blocks, MANY);
    pm_free_sized(zero, 63);
    pm_free_aligned_sized(aligned, 4096, 100);
    pm_free(array);
    pm_free(NULL);
    require(current() == 0);
    require(pm_malloc((size_t)PTRDIFF_MAX + 1) == NULL && current() == 0);
}

ISOLATED(realloc_traces_the_new_size_by_the_new_stack_and_a_failed_one_leaves_all)
{
    start();
    char *p = pm_malloc(SIZE), *old = pm_malloc(LARGE);
    for (size_t bytes = 1; bytes < LARGE; bytes = 3 * bytes + 5) {
        p = pm_realloc(p, bytes);
        require_traced(PM_TRACE_MALLOC, p, bytes);
        require(current() == bytes + LARGE);
    }
    size_t before = current(), most = peak();
    require(pm_realloc(old, PTRDIFF_MAX) == NULL);
    require_traced(PM_TRACE_MALLOC, old, LARGE);
    require(current() == before && peak() == most);
    require(pm_realloc(old, 0) == NULL); /* frees */
    require(current() == before - LARGE);
    pm_trace_stop();
    require(pm_trace_start(FRAMES));
    p = pm_realloc(p, 2 * SIZE); /* which was made before */
    require_traced(PM_TRACE_MALLOC, p, 2 * SIZE);
    require(current() == 2 * SIZE);
}

ISOLATED(the_peak_is_exact_and_can_be_reset)
{
    uint64_t random = 1;
    void *blocks[MANY] = {NULL};
    size_t sizes[MANY] = {0}, sum = 0, most = 0;
    start();
    for (unsigned i = 0; i < 20 * MANY; i++) {
        size_t at = test_random_below(&random, MANY);
        pm_free(blocks[at]);
        sum -= sizes[at];
        sizes[at] = test_random_below(&random, i % 100 == 0 ? 50000 : 600);
        blocks[at] = pm_malloc(sizes[at]);
        sum += sizes[at];
        most = sum > most ? sum : most;
        require(current() == sum && peak() == most);
        if (i % 777 == 0) {
            pm_trace_reset_peak();
            most = sum;
            require(current() == sum && peak() == most);
        }
    }
}

ISOLATED(clear_drops_all_and_goes_on)
{
    start();
    void *p = pm_malloc(SIZE);
    for (unsigned i = 0; i < 2 * PM_TRACE_EPOCHS; i++) { /* the numbers of epochs come again */
        void *q = pm_malloc(LARGE);
        pm_trace_clear();
        require(pm_trace_is_on() && current() == 0 && peak() == 0);
        require(!is_traced(PM_TRACE_MALLOC, p) && !is_traced(PM_TRACE_MALLOC, q));
        pm_free(q);
        require(current() == 0);
    }
    pm_free(p);
    require_seen(PM_TRACE_DOMAINS, 0, 0);
    p = pm_malloc(SIZE);
    require(current() == SIZE && is_traced(PM_TRACE_MALLOC, p));
}

/* ---- stacks ---- */

PM_NOINLINE static void *by_one_way(size_t bytes)
{
    void *block = pm_malloc(bytes);
    __asm__ volatile("" : "+r"(block)); /* not a jump */
    return block;
}

PM_NOINLINE static void *by_another_way(size_t bytes)
{
    void *block = pm_malloc(bytes);
    __asm__ volatile("nop" : "+r"(block)); /* not the same function */
    return block;
}

PM_NOINLINE static void *below(unsigned depth, void *(*make)(size_t bytes))
{
    void *block = depth > 0 ? below(depth - 1, make) : make(SIZE);
    __asm__ volatile("" : "+r"(block));
    return block;
}

static unsigned frames_of(const void *block, uintptr_t *frames)
{
    return pm_trace_of(PM_TRACE_MALLOC, block, frames, PM_TRACE_FRAMES_MAX, NULL);
}

/* Of the two functions that one whose start is nearest below. */
static bool is_in(uintptr_t frame, void *(*function)(size_t bytes))
{
    void *(*other)(size_t) = function == by_one_way ? by_another_way : by_one_way;
    uintptr_t behind = frame - (uintptr_t)function;
    return behind < 200 && behind < frame - (uintptr_t)other;
}

/* From the frame in that function on: this program sees frames of the library's, which it is linked
 * to statically, and calls come by different ways there. Their number. */
static unsigned frames_from(const void *block, void *(*function)(size_t bytes), uintptr_t *frames)
{
    unsigned count = frames_of(block, frames), own = 0;
    while (own < count && !is_in(frames[own], function))
        own++;
    memmove(frames, frames + own, (count - own) * sizeof *frames);
    return count - own;
}

static bool same_stack(const void *a, const void *b, void *(*function)(size_t bytes))
{
    uintptr_t one[PM_TRACE_FRAMES_MAX], other[PM_TRACE_FRAMES_MAX];
    unsigned count = frames_from(a, function, one);
    return count == frames_from(b, function, other) && memcmp(one, other, count * sizeof *one) == 0;
}

static bool has_frame_in(const void *block, void *(*function)(size_t bytes))
{
    uintptr_t frames[PM_TRACE_FRAMES_MAX];
    return frames_from(block, function, frames) != 0;
}

ISOLATED(the_stack_is_that_of_the_call_however_often_it_comes)
{
    void *(*const ways[])(size_t) = {by_one_way, by_another_way};
    void *last[2][20] = {{NULL}};
    require(pm_trace_start(64));
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned depth = 0; depth < 20; depth++) {
            unsigned way = (round * 7 + depth) % 2;
            void *block = below(depth, ways[way]);
            require(has_frame_in(block, ways[way]) && !has_frame_in(block, ways[1 - way]));
            for (unsigned other = 0; other < 20; other++) {
                if (last[way][other] != NULL)
                    require(same_stack(block, last[way][other], ways[way]) == (depth == other));
            }
            pm_free(last[way][depth]);
            last[way][depth] = block;
        }
    }
}

ISOLATED(no_more_frames_are_kept_than_were_asked_for)
{
    uintptr_t frames[PM_TRACE_FRAMES_MAX];
    for (unsigned most = 1; most <= 40; most++) {
        require(pm_trace_start(most));
        void *block = below(60, by_one_way);
        require(frames_of(block, frames) == most);
        pm_free(block);
        pm_trace_stop();
    }
}

static unsigned visits;

static void see_stack(unsigned domain, const uintptr_t *frames, unsigned count, uint64_t blocks,
                      uint64_t bytes, void *arg)
{
    uint64_t *sum = arg;
    (void)domain, (void)frames;
    require(count > 1 && bytes == blocks * SIZE);
    *sum += blocks;
    visits++;
}

/* By one way through the library as a rule: see frames_from. */
ISOLATED(blocks_of_one_stack_are_told_together)
{
    uint64_t sum = 0;
    require(pm_trace_start(FRAMES));
    for (int i = 0; i < MANY; i++)
        by_one_way(SIZE);
    require(pm_trace_each(see_stack, &sum) && sum == MANY && visits < 10);
}

/* ---- domains, other allocators, user heaps ---- */

ISOLATED(each_domain_is_traced_under_its_number)
{
    start();
    void *raw = pm_raw_malloc(SIZE), *mem = pm_mem_calloc(2, SIZE), *object = pm_object_malloc(0);
    require_seen(PM_TRACE_RAW, 1, SIZE);
    require_seen(PM_TRACE_MEM, 1, 2 * SIZE);
    require_seen(PM_TRACE_OBJECT, 1, 0);
    require_seen(PM_TRACE_MALLOC, 0, 0);
    mem = pm_mem_realloc(mem, LARGE); /* by way of the raw domain: traced once */
    require_seen(PM_TRACE_MEM, 1, LARGE);
    require_seen(PM_TRACE_RAW, 1, SIZE);
    require(pm_mem_realloc(mem, PTRDIFF_MAX) == NULL);
    require_traced(PM_TRACE_MEM, mem, LARGE);
    pm_raw_free(raw);
    pm_mem_free(mem);
    pm_object_free(object);
    pm_object_free(NULL);
    require(current() == 0);
    pm_trace_stop();
    struct pm_allocator table;
    require(pm_get_allocator(PM_DOMAIN_MEM, &table) && pm_domains.domains_now == NULL);
}

static char arena[MANY];

static void *static_malloc(void *context, size_t size)
{
    (void)context, (void)size;
    return arena;
}

static void *static_calloc(void *context, size_t count, size_t size)
{
    (void)context, (void)count, (void)size;
    return arena;
}

static void *static_realloc(void *context, void *ptr, size_t size)
{
    (void)context, (void)ptr, (void)size;
    return arena;
}

static void static_free(void *context, void *ptr)
{
    (void)context, (void)ptr;
}

ISOLATED(whoever_is_in_charge_of_a_domain_its_blocks_are_traced)
{
    const struct pm_allocator table = {NULL, static_malloc, static_calloc, static_realloc,
                                       static_free};
    struct pm_allocator now;
    require(pm_set_allocator(PM_DOMAIN_OBJECT, &table));
    for (int round = 0; round < 3; round++) {
        start();
        require(pm_object_malloc(SIZE) == arena);
        require_traced(PM_TRACE_OBJECT, arena, SIZE);
        require(pm_object_realloc(arena, 2 * SIZE) == arena && current() == 2 * SIZE);
        pm_object_free(arena);
        require(current() == 0);
        pm_trace_stop();
        require(pm_get_allocator(PM_DOMAIN_OBJECT, &now) && now.malloc == static_malloc);
    }
}

ISOLATED(blocks_of_other_allocators_are_tracked_by_domain_and_address)
{
    start();
    char *p = pm_malloc(SIZE), memory[MANY];
    for (size_t i = 0; i < MANY; i++)
        require(pm_trace_track(OTHER, memory + i, i));
    require(current() == SIZE + MANY * (MANY - 1) / 2);
    require(pm_trace_track(OTHER, memory + 7, 70)); /* replaces */
    require(current() == SIZE + MANY * (MANY - 1) / 2 + 63);
    require_traced(OTHER, memory + 7, 70);
    require(pm_trace_track(OTHER + 1, memory + 7, 1) && pm_trace_track(OTHER, p, 5));
    require_traced(OTHER, memory + 7, 70);
    require_traced(OTHER + 1, memory + 7, 1);
    require_traced(OTHER, p, 5);
    require_traced(PM_TRACE_MALLOC, p, SIZE);
    require(pm_trace_untrack(OTHER + 1, memory + 7) && !is_traced(OTHER + 1, memory + 7));
    require(pm_trace_untrack(OTHER + 1, memory + 7)); /* of none, nothing */
    require(pm_trace_untrack(OTHER, p));
    for (size_t i = 0; i < MANY; i++)
        require(pm_trace_untrack(OTHER, memory + i));
    require(current() == SIZE);
    require_seen(OTHER, 0, 0);
    pm_free(p);
    require(current() == 0);
}

ISOLATED(a_heap_that_is_destroyed_takes_its_traces_along)
{
    start();
    pm_user_heap *heap = pm_heap_new(0), *other = pm_heap_new(0);
    void *stays = pm_heap_malloc(other, SIZE);
    for (int i = 0; i < MANY; i++)
        require(pm_heap_malloc(heap, SIZE) != NULL);
    void *large = pm_heap_aligned_alloc(heap, 4096, LARGE);
    require_traced(PM_TRACE_HEAP, large, LARGE);
    require(current() == (MANY + 1) * SIZE + LARGE);
    require_seen(PM_TRACE_HEAP, MANY + 2, (MANY + 1) * SIZE + LARGE);
    pm_heap_destroy(heap);
    require(current() == SIZE);
    require_seen(PM_TRACE_HEAP, 1, SIZE);
    require_traced(PM_TRACE_HEAP, stays, SIZE);
    pm_heap_destroy(other);
    require(current() == 0);
}

ISOLATED(what_an_interior_pointer_leads_to_is_no_trace)
{
    start();
    char *p = pm_malloc(500), *q = pm_malloc(LARGE);
    for (size_t i = 1; i < 500; i++)
        require(!is_traced(PM_TRACE_MALLOC, p + i));
    for (size_t i = 1; i < 500; i++)
        require(!is_traced(PM_TRACE_MALLOC, q + i));
    require(!is_traced(PM_TRACE_MALLOC, NULL) && !is_traced(PM_TRACE_MALLOC, &p));
}

/* ---- fork, signals ---- */

ISOLATED(the_child_of_a_fork_keeps_its_traces_and_goes_on)
{
    int status;
    start();
    void *p = pm_malloc(SIZE);
    pid_t child = fork();
    if (child == 0) {
        require_traced(PM_TRACE_MALLOC, p, SIZE);
        void *q = pm_malloc(LARGE);
        require(current() == SIZE + LARGE);
        pm_free(p);
        pm_free(q);
        require(current() == 0 && peak() == SIZE + LARGE);
        _exit(0);
    }
    require(waitpid(child, &status, 0) == child && status == 0);
    require(current() == SIZE);
}

static void *handled;

static void on_signal(int number)
{
    (void)number;
    handled = pm_malloc(SIZE);
    pm_free(pm_malloc(2 * SIZE));
}

/* Once inside the tracing, where it is not traced, and once outside. */
ISOLATED(a_handler_that_allocates_is_traced_unless_it_interrupted_the_tracing)
{
    start();
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    require_traced(PM_TRACE_MALLOC, handled, SIZE);
    require(current() == SIZE);
    pm_free(handled);
    pm_trace_busy = true;
    raise(SIGUSR1);
    require(!pm_trace_track(OTHER, handled, 1));
    pm_trace_busy = false;
    require(!is_traced(PM_TRACE_MALLOC, handled) && current() == 0);
    pm_free(handled);
    require(current() == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_traced_until_it_is_started_nor_after_it_is_stopped),
        cmocka_unit_test(a_number_of_frames_that_is_none_is_refused),
        cmocka_unit_test(every_size_counts_as_it_was_asked_for),
        cmocka_unit_test(all_functions_that_make_blocks_are_traced),
        cmocka_unit_test(realloc_traces_the_new_size_by_the_new_stack_and_a_failed_one_leaves_all),
        cmocka_unit_test(the_peak_is_exact_and_can_be_reset),
        cmocka_unit_test(clear_drops_all_and_goes_on),
        cmocka_unit_test(the_stack_is_that_of_the_call_however_often_it_comes),
        cmocka_unit_test(no_more_frames_are_kept_than_were_asked_for),
        cmocka_unit_test(blocks_of_one_stack_are_told_together),
        cmocka_unit_test(each_domain_is_traced_under_its_number),
        cmocka_unit_test(whoever_is_in_charge_of_a_domain_its_blocks_are_traced),
        cmocka_unit_test(blocks_of_other_allocators_are_tracked_by_domain_and_address),
        cmocka_unit_test(a_heap_that_is_destroyed_takes_its_traces_along),
        cmocka_unit_test(what_an_interior_pointer_leads_to_is_no_trace),
        cmocka_unit_test(the_child_of_a_fork_keeps_its_traces_and_goes_on),
        cmocka_unit_test(a_handler_that_allocates_is_traced_unless_it_interrupted_the_tracing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
