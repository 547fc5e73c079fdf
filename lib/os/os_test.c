/* SPDX-License-Identifier: MIT */
/* The contract of the os layer, on the platform that the tests run on. */
#include "base/bits.h"
#include "base/lock.h"
#include "base/testing.h"
#include "os/os.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <cmocka.h>

#define BYTES ((size_t)1 << 20)

static void a_reservation_has_the_alignment_asked_for(void **state)
{
    (void)state;
    for (size_t align = 1; align <= (size_t)64 << 20; align *= 4) {
        char *start = pm_os_reserve(BYTES, align);
        assert_non_null(start);
        assert_int_equal((uintptr_t)start % align, 0);
        assert_int_equal((uintptr_t)start % pm_os_page_bytes(), 0);
        pm_os_release(start, BYTES);
    }
}

static void the_whole_reservation_can_be_committed_and_reads_as_zero(void **state)
{
    char *start = pm_os_reserve(BYTES, (size_t)8 << 20);
    (void)state;
    assert_true(pm_os_commit(start, BYTES));
    for (size_t i = 0; i < BYTES; i++)
        assert_int_equal(start[i], 0);
    memset(start, 1, BYTES);
    pm_os_release(start, BYTES);
}

static void committing_twice_keeps_the_contents(void **state)
{
    char *start = pm_os_reserve(BYTES, pm_os_page_bytes());
    (void)state;
    assert_true(pm_os_commit(start, BYTES / 2));
    start[0] = 7;
    assert_true(pm_os_commit(start, BYTES));
    assert_int_equal(start[0], 7);
    assert_int_equal(start[BYTES - 1], 0);
    pm_os_release(start, BYTES);
}

static void purged_memory_reads_as_zero_and_its_neighbours_stay(void **state)
{
    size_t page = pm_os_page_bytes();
    char *start = pm_os_reserve(BYTES, page);
    (void)state;
    assert_true(pm_os_commit(start, BYTES));
    memset(start, 1, BYTES);
    assert_true(pm_os_purge(start + page, page));
    for (size_t i = 0; i < 3 * page; i++)
        assert_int_equal(start[i], i / page != 1);
    start[page] = 1; /* usable at once */
    pm_os_release(start, BYTES);
}

static void read_it(const void *start)
{
    (void)*(const volatile char *)start;
}

static void write_it(const void *start)
{
    *(volatile char *)(uintptr_t)start = 1;
}

static bool traps(void (*body)(const void *), const void *start)
{
    char text[4096];
    int status = test_stderr_of(body, start, text, sizeof text);
    return WIFSIGNALED(status) || WEXITSTATUS(status) != 0; /* a sanitizer exits instead */
}

static void reserved_memory_traps_and_readable_memory_traps_writes(void **state)
{
    char *start = pm_os_reserve(BYTES, pm_os_page_bytes());
    (void)state;
    assert_true(traps(read_it, start));
    assert_true(traps(write_it, start));
    assert_true(pm_os_make_readable(start, BYTES));
    assert_false(traps(read_it, start));
    assert_int_equal(*start, 0);
    assert_true(traps(write_it, start));
    assert_true(pm_os_commit(start, BYTES));
    assert_false(traps(write_it, start));
    pm_os_release(start, BYTES);
    assert_true(traps(read_it, start));
}

static void refusals_are_false_or_null_and_preserve_errno(void **state)
{
    char *start = pm_os_reserve(BYTES, pm_os_page_bytes());
    (void)state;
    pm_os_release(start, BYTES);
    errno = EDOM;
    assert_null(pm_os_reserve(SIZE_MAX / 2 + 1, pm_os_page_bytes()));
    assert_null(pm_os_reserve(-((size_t)1 << 20), (size_t)1 << 21));
    assert_false(pm_os_commit(start, BYTES));
    assert_false(pm_os_make_readable(start, BYTES));
    assert_false(!test_emulated() && pm_os_purge(start, BYTES)); /* qemu takes it for done */
    assert_false(pm_os_append_file("/no/such/folder/file", "x", 1));
    assert_false(pm_os_append_file("/dev/full", "x", 1));
    pm_os_release(start, 0);
    assert_int_equal(errno, EDOM);
}

ISOLATED(the_address_limit_is_the_one_in_force)
{
    if (!PM_ASAN && !PM_TSAN) { /* the sanitizers need address space to start a line with */
        test_limit(RLIMIT_AS, (rlim_t)1 << 33);
        require(pm_os_address_limit_bytes() == (size_t)1 << 33);
    }
}

static void facts_about_the_machine_are_plausible(void **state)
{
    (void)state;
    assert_true(pm_is_pow2(pm_os_page_bytes()) && pm_os_page_bytes() >= 4096);
    assert_true(pm_os_ram_bytes() > (size_t)1 << 20);
    assert_int_equal(pm_os_process_id(), getpid());
    uint64_t before = pm_os_now_ns();
    assert_true(before > 0 && pm_os_now_ns() >= before);
}

static void read_file(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, size - 1, file)] = 0;
    fclose(file);
}

static void appended_text_follows_what_the_file_held(void **state)
{
    char path[] = "/tmp/os_test.XXXXXX", text[40];
    int file = mkstemp(path);
    (void)state;
    assert_true(file >= 0);
    close(file);
    assert_true(pm_os_append_file(path, "one\n", 4));
    assert_true(pm_os_append_file(path, "two\n", 4));
    read_file(path, text, sizeof text);
    assert_string_equal(text, "one\ntwo\n");
    assert_int_equal(unlink(path), 0);
    assert_true(pm_os_append_file(path, "new\n", 4)); /* made when it is missing */
    read_file(path, text, sizeof text);
    assert_string_equal(text, "new\n");
    unlink(path);
}

static void append_to_stderr(const void *text)
{
    require(pm_os_append_file("stderr", text, strlen(text)));
    require(pm_os_append_file("stderr", "!", 1)); /* it was not closed */
}

static void stderr_is_a_file_name_of_its_own(void **state)
{
    char text[40];
    (void)state;
    assert_int_equal(test_stderr_of(append_to_stderr, "line", text, sizeof text), 0);
    assert_string_equal(text, "line!");
}

static struct pm_lock lock = PM_LOCK_INIT(PM_RANK_ARENA);
static uint64_t guarded;

static void *hold_and_count(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        pm_lock_acquire(&lock);
        for (int n = 0; n < 50; n++)
            guarded++;
        pm_lock_release(&lock);
    }
    return NULL;
}

ISOLATED(locks_that_sleep_in_the_system_lose_no_wakeup)
{
    pthread_t threads[6];
    pm_os_init();
    for (int i = 0; i < 6; i++)
        require(pthread_create(&threads[i], NULL, hold_and_count, NULL) == 0);
    for (int i = 0; i < 6; i++)
        require(pthread_join(threads[i], NULL) == 0);
    require(guarded == 6 * 2000 * 50);
}

static void decommitted_memory_traps_and_is_zero_when_it_is_committed_again(void **state)
{
    char *start = pm_os_reserve(BYTES, 1);
    (void)state;
    assert_true(pm_os_commit(start, BYTES));
    memset(start, 1, BYTES);
    assert_true(pm_os_decommit(start, BYTES));
    assert_true(traps(read_it, start));
    assert_true(pm_os_commit(start, BYTES));
    assert_int_equal(start[0] | start[BYTES - 1], 0);
    pm_os_release(start, BYTES);
}

static char *committed_and_filled(size_t bytes, int value)
{
    char *start = pm_os_reserve(bytes, PM_ARENA_BYTES);
    assert_true(start != NULL && pm_os_commit(start, bytes));
    memset(start, value, bytes);
    return start;
}

static void moved_pages_leave_zeros_and_take_their_contents_along(void **state)
{
    size_t bytes = 3 * PM_ARENA_BYTES;
    bool lost;
    (void)state;
    char *from = committed_and_filled(bytes, 1), *to = committed_and_filled(bytes, 2);
    size_t moved = pm_os_move_pages(to, from, bytes, &lost);
    assert_false(lost);
    assert_true(moved == bytes || moved == 0); /* 0: Linux before 5.7 */
    for (size_t i = 0; i < bytes; i += 512) {
        assert_int_equal(to[i], moved ? 1 : 2);
        assert_int_equal(from[i], moved ? 0 : 1);
    }
    memset(from, 1, bytes);
    assert_true(pm_os_purge(from, bytes)); /* what was left is memory like any other */
    for (size_t i = 0; i < bytes; i += 512)
        assert_int_equal(from[i], 0);
    pm_os_release(from, bytes);
    pm_os_release(to, bytes);
}

/* What the program locked, for one, is a mapping of its own. */
static void pages_in_several_mappings_are_moved_by_arenas_or_left_alone(void **state)
{
    size_t bytes = 3 * PM_ARENA_BYTES;
    bool lost;
    (void)state;
    char *from = committed_and_filled(bytes, 1), *to = committed_and_filled(bytes, 2);
    assert_true(
        pm_os_make_readable(from + PM_ARENA_BYTES + pm_os_page_bytes(), pm_os_page_bytes()));
    size_t moved = pm_os_move_pages(to, from, bytes, &lost);
    assert_false(lost);
    assert_true(moved == PM_ARENA_BYTES || moved == 0);
    assert_int_equal(to[moved], 2); /* no hole */
    assert_int_equal(from[moved], 1);
    assert_int_equal(to[0], moved ? 1 : 2);
    pm_os_release(from, bytes);
    pm_os_release(to, bytes);
}

static void the_policy_for_huge_pages_is_one_that_the_system_has(void **state)
{
    (void)state;
    enum pm_huge policy = pm_os_huge_policy();
    assert_true(policy == PM_HUGE_NEVER || policy == PM_HUGE_ON_ADVICE || policy == PM_HUGE_ALWAYS);
    assert_int_equal(pm_os_huge_policy(), policy);
}

static void *be_called(void *name)
{
    char known[PM_OS_THREAD_NAME_BYTES];
    require(prctl(PR_SET_NAME, name) == 0);
    errno = ERANGE;
    pm_os_thread_name(pm_os_thread_id(), known);
    require(strcmp(known, "a \"b\" ?\\??") == 0 && errno == ERANGE);
    return (void *)(uintptr_t)pm_os_thread_id();
}

ISOLATED(threads_have_their_names_until_they_are_gone)
{
    pthread_t thread;
    void *id;
    char name[] = "a \"b\" \033\\\303\244", known[PM_OS_THREAD_NAME_BYTES] = "x";
    require(pthread_create(&thread, NULL, be_called, name) == 0);
    require(pthread_join(thread, &id) == 0);
    /* Joined, it may still be about to end. */
    for (int i = 0; i < 10000 && known[0] != 0; i++) {
        pm_os_thread_name((unsigned)(uintptr_t)id, known);
        sched_yield();
    }
    require(known[0] == 0);
    pm_os_thread_name(0, known); /* none's */
    require(known[0] == 0);
}

static void who_reads_or_writes_is_told_why_it_failed_and_errno_stays(void **state)
{
    char text[64], path[4096], expected[4096] = "";
    (void)state;
    errno = EDOM;
    assert_int_equal(pm_os_open_read("/no/such/file"), -ENOENT);
    assert_int_equal(pm_os_read(-1, text, sizeof text), -EBADF);
    assert_int_equal(pm_os_try_write(-1, "x", 1), EBADF);
    assert_int_equal(pm_os_try_write(-1, "", 0), 0);
    int file = pm_os_open_read("/proc/self/maps");
    assert_true(file > STDERR_FILENO);
    assert_true(pm_os_read(file, text, sizeof text) > 0);
    pm_os_close(file);
    file = pm_os_open_read("/dev/null");
    assert_int_equal(pm_os_read(file, text, sizeof text), 0);
    assert_int_equal(pm_os_try_write(file, "x", 1), EBADF); /* it is open to be read */
    pm_os_close(file);
    assert_true(readlink("/proc/self/exe", expected, sizeof expected - 1) > 0);
    assert_int_equal(pm_os_program_path(path, sizeof path), strlen(expected));
    assert_string_equal(path, expected);
    assert_int_equal(pm_os_program_path(path, 3), 0);
    assert_string_equal(path, "");
    assert_int_equal(errno, EDOM);
}

ISOLATED(a_limit_on_data_means_that_commit_is_charged)
{
    test_limit(RLIMIT_DATA, (rlim_t)1 << 60);
    require(pm_os_charges_commit());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reservation_has_the_alignment_asked_for),
        cmocka_unit_test(the_whole_reservation_can_be_committed_and_reads_as_zero),
        cmocka_unit_test(committing_twice_keeps_the_contents),
        cmocka_unit_test(purged_memory_reads_as_zero_and_its_neighbours_stay),
        cmocka_unit_test(reserved_memory_traps_and_readable_memory_traps_writes),
        cmocka_unit_test(refusals_are_false_or_null_and_preserve_errno),
        cmocka_unit_test(the_address_limit_is_the_one_in_force),
        cmocka_unit_test(facts_about_the_machine_are_plausible),
        cmocka_unit_test(appended_text_follows_what_the_file_held),
        cmocka_unit_test(stderr_is_a_file_name_of_its_own),
        cmocka_unit_test(locks_that_sleep_in_the_system_lose_no_wakeup),
        cmocka_unit_test(decommitted_memory_traps_and_is_zero_when_it_is_committed_again),
        cmocka_unit_test(moved_pages_leave_zeros_and_take_their_contents_along),
        cmocka_unit_test(pages_in_several_mappings_are_moved_by_arenas_or_left_alone),
        cmocka_unit_test(the_policy_for_huge_pages_is_one_that_the_system_has),
        cmocka_unit_test(threads_have_their_names_until_they_are_gone),
        cmocka_unit_test(who_reads_or_writes_is_told_why_it_failed_and_errno_stays),
        cmocka_unit_test(a_limit_on_data_means_that_commit_is_charged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
