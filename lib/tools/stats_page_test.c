/* SPDX-License-Identifier: MIT */
/* The statistics page, read by another process while threads allocate; by whom it can be changed;
 * fork, exec. */
#include "api/figures.h"
#include "heap/internal.h"
#include "os/os.h"
#include "tools/testing.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { THREADS = 4, SLOTS = 1000, UPDATES = 4 };

static struct pm_stats_page copy;

/* ---- the process that is looked at: it works until it is told ---- */

static _Atomic bool enough;

static void *work(void *arg)
{
    static __thread void *slots[SLOTS];
    uint64_t state = (uintptr_t)arg;
    while (!enough) {
        void **slot = &slots[test_random_below(&state, SLOTS)];
        pm_free(*slot);
        *slot = pm_malloc((size_t)8 << test_random_below(&state, 11));
        require(*slot != NULL);
    }
    return NULL;
}

static _Noreturn void run_observed(int ready, int told)
{
    pthread_t threads[THREADS];
    char byte = 0;
    test_become_child();
    test_start_page();
    alarm(60); /* not for ever, whatever becomes of who looks */
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
    require(write(ready, &byte, 1) == 1);
    require(read(told, &byte, 1) == 1);
    enough = true;
    for (int i = 0; i < THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    _exit(0);
}

/* Of one moment: parts are no more than wholes, rows sum up, nothing is negative. */
static void require_sound(const struct pm_stats_page *page)
{
    const struct pm_stats *s = &page->stats.stats;
    uint64_t pool_bytes = 0, live = 0, batched = 0, available = 0;
    require(page->bytes == sizeof *page && page->fields == sizeof *s / sizeof(uint64_t));
    require(page->classes <= PM_STATS_PAGE_CLASSES && page->threads <= PM_STATS_PAGE_THREADS);
    for (uint64_t i = 0; i < page->classes; i++) {
        const struct pm_stats_page_class *row = &page->class_rows[i];
        require(i == 0 || row->block_bytes > row[-1].block_bytes);
        require((row->live_blocks + row->batched_blocks + row->available_blocks) *
                    row->block_bytes <=
                row->pool_bytes);
        pool_bytes += row->pool_bytes;
        live += row->live_blocks;
        batched += row->batched_blocks;
        available += row->available_blocks;
    }
    require(live == s->live_blocks && batched == s->batched_blocks);
    require(available == s->available_blocks);
    require(s->live_bytes + s->batched_bytes + s->available_bytes + s->header_bytes +
                s->tail_bytes ==
            pool_bytes);
    require(s->mallocs >= s->frees + s->remote_frees + s->batched_blocks);
    require(s->dirty_bytes <= s->free_bytes && s->free_bytes <= s->arenas * s->arena_bytes);
    require(page->locks > 0 && page->locks <= PM_STATS_PAGE_LOCKS);
    for (uint64_t i = 0; i < page->locks; i++) {
        const struct pm_stats_page_lock *row = &page->lock_rows[i];
        require(row->name[0] != 0 && memchr(row->name, 0, sizeof row->name) != NULL);
        require(row->contended <= row->acquisitions);
    }
    for (size_t i = 0; i < page->fields; i++)
        require(page->stats.words[i] <= INT64_MAX);
}

/* Reads until there were some updates; all of them are of one moment. */
static void observe(pid_t child, const struct pm_stats_page *page)
{
    uint64_t first = 0, last = 0, mallocs = 0;
    while (last < first + UPDATES || first == 0) {
        require(waitpid(child, NULL, WNOHANG) == 0);
        require(test_read_page(page, &copy));
        require_sound(&copy);
        require(copy.updates >= last && copy.stats.stats.mallocs >= mallocs);
        if (first == 0)
            first = copy.updates;
        last = copy.updates;
        mallocs = copy.stats.stats.mallocs;
    }
    require(copy.threads >= 1 && mallocs > 0);
}

ISOLATED(another_process_reads_whole_updates_while_four_threads_work)
{
    int ready[2], told[2], status;
    char byte = 0;
    require(pipe(ready) == 0 && pipe(told) == 0);
    pid_t child = fork();
    if (child == 0)
        run_observed(ready[1], told[0]);
    require(child > 0 && read(ready[0], &byte, 1) == 1);
    const struct pm_stats_page *page = test_map_page(child);
    require(page != NULL);
    observe(child, page);
    require(write(told[1], &byte, 1) == 1);
    require(waitpid(child, &status, 0) == child && status == 0);
    require(test_read_page(page, &copy)); /* who mapped it has it still */
    require(copy.process_id == (uint64_t)child);
}

/* However long the rest is later on. */
ISOLATED(a_process_that_just_started_is_seen_soon)
{
    static void *blocks[SLOTS];
    test_start_page();
    require(pm_option_set("stats_page_ms", "3600000"));
    const struct pm_stats_page *page = test_map_page(getpid());
    require(page != NULL && test_read_page(page, &copy));
    for (int i = 0; i < 100000 && copy.updates < 5; i++) {
        for (int j = 0; j < SLOTS; j++)
            blocks[j] = pm_malloc(1000);
        require(test_read_page(page, &copy));
        for (int j = 0; j < SLOTS; j++)
            pm_free(blocks[j]);
    }
    require(copy.updates >= 5 && copy.rest_ns < UINT64_C(3600000) * 1000000);
}

/* Looks at the page as a thread does that saw long ago that it is due. True: it was not due. */
static bool looks_late(const struct pm_stats_page *page)
{
    require(test_read_page(page, &copy));
    uint64_t updates = copy.updates, due_ns = copy.updated_ns + copy.rest_ns;
    pm_store_relaxed(&pm_heap_watch_due_ns, 0);
    pm_heap_tick_now();
    require(test_read_page(page, &copy));
    if (pm_os_now_ns() >= due_ns)
        return false;
    require(copy.updates == updates);
    return true;
}

ISOLATED(who_comes_late_leaves_the_page_as_it_is)
{
    unsigned late = 0;
    test_start_page();
    require(pm_option_set("stats_page_ms", "3600000"));
    const struct pm_stats_page *page = test_map_page(getpid());
    require(page != NULL);
    while (late < 3) /* each update doubles the rest at least */
        late += looks_late(page);
}

ISOLATED(without_the_option_there_is_no_page)
{
    pm_free(pm_malloc(100));
    pm_stats_page_start();
    require(test_open_page(getpid(), O_RDONLY) < 0);
}

ISOLATED(the_page_is_closed_by_exec_and_nobody_else_can_change_it)
{
    test_start_page();
    int file = test_open_page(getpid(), O_RDWR);
    require(file >= 0);
    require(ftruncate(file, 0) != 0 && errno == EPERM);
    require(ftruncate(file, 1 << 20) != 0 && errno == EPERM);
    if (mmap(NULL, sizeof copy, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) != MAP_FAILED)
        test_skipped("the kernel cannot forbid later mappings to write");
    close(file);
    unsigned pages = 0;
    for (int i = 3; i < 300; i++) {
        char path[40], target[100];
        snprintf(path, sizeof path, "/proc/self/fd/%d", i);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        if (strstr(target, PM_STATS_PAGE_NAME) == NULL)
            continue;
        require((fcntl(i, F_GETFD) & FD_CLOEXEC) != 0);
        pages++;
    }
    require(pages == 1);
}

static void *slow_paths(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++)
        pm_free(pm_malloc((size_t)16 << i % 6));
    return NULL;
}

/* Threads that begin and end take slow paths. True: the process has a page of its own. */
static bool gets_page(void)
{
    pthread_t thread;
    for (int i = 0; i < 2000; i++) {
        require(pthread_create(&thread, NULL, slow_paths, NULL) == 0);
        require(pthread_join(thread, NULL) == 0);
        const struct pm_stats_page *page = test_map_page(getpid());
        if (page != NULL)
            return true;
        usleep(1000);
    }
    return false;
}

ISOLATED(a_child_gets_a_page_of_its_own_and_leaves_its_parents_alone)
{
    int status;
    pm_free(pm_malloc(100));
    test_start_page();
    const struct pm_stats_page *own = test_map_page(getpid());
    require(own != NULL && test_read_page(own, &copy));
    uint64_t updates = copy.updates;
    pid_t child = fork();
    if (child == 0) {
        require(test_open_page(getpid(), O_RDONLY) < 0);
        _exit(gets_page() ? 0 : 1);
    }
    require(waitpid(child, &status, 0) == child && status == 0);
    require(pm_stats_page_read(own, &copy) && copy.updates == updates);
    require(copy.process_id == (uint64_t)getpid());
}

ISOLATED(what_is_no_page_or_of_another_version_is_not_read)
{
    static struct pm_stats_page other;
    require(!pm_stats_page_read(&other, &copy));
    other.magic = PM_STATS_PAGE_MAGIC;
    require(!pm_stats_page_read(&other, &copy));
    other.version = PM_STATS_PAGE_VERSION;
    other.updates = 7;
    require(pm_stats_page_read(&other, &copy) && copy.updates == 7);
    other.sequence = 5; /* its writer was stopped */
    require(!pm_stats_page_read(&other, &copy));
    other.sequence = 6;
    other.version++;
    require(!pm_stats_page_read(&other, &copy));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_process_reads_whole_updates_while_four_threads_work),
        cmocka_unit_test(a_process_that_just_started_is_seen_soon),
        cmocka_unit_test(who_comes_late_leaves_the_page_as_it_is),
        cmocka_unit_test(without_the_option_there_is_no_page),
        cmocka_unit_test(the_page_is_closed_by_exec_and_nobody_else_can_change_it),
        cmocka_unit_test(a_child_gets_a_page_of_its_own_and_leaves_its_parents_alone),
        cmocka_unit_test(what_is_no_page_or_of_another_version_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
