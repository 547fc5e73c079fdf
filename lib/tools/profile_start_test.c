/* SPDX-License-Identifier: MIT */
/*
 * The profiler by options: at exit, on a signal, each so many bytes; its page. Options are read at
 * the start of a process, so each test looks at another run of itself.
 */
#include "poolmalloc/poolmalloc.h"
#include "tools/profile_testing.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <cmocka.h>

struct run {
    const char *what, *options;
};

static void run_anew(const void *arg)
{
    const struct run *run = arg;
    setenv("POOLMALLOC_OPTIONS", run->options, 1);
    test_run_anew(run->what, NULL);
}

static char text[1 << 16], folder[] = "/tmp/profile_start_test.XXXXXX", path[300], options[300];

/* What another run, with these options, wrote to stderr; its wait status. */
static int run_of(const char *what, const char *with)
{
    struct run run = {what, with};
    return test_stderr_of(run_anew, &run, text, sizeof text);
}

static FILE *open_file(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    require(file != NULL);
    unlink(path);
    return file;
}

static const char *with(const char *form)
{
    snprintf(options, sizeof options, form, folder);
    return options;
}

static uint64_t bytes_of_100(void)
{
    void *block = pm_malloc(100);
    uint64_t bytes = test_bytes(block);
    pm_free(block);
    return bytes;
}

static void the_profile_at_exit_has_what_was_allocated(void **state)
{
    (void)state;
    assert_int_equal(run_of("allocate", with("profile=1,profile_at_exit=%s/exit.%%p.heap")), 0);
    assert_string_equal(strchr(text, ' '), " went on\n");
    *strchr(text, ' ') = 0; /* its process number */
    char name[100];
    snprintf(name, sizeof name, "exit.%.20s.heap", text);
    struct test_profile profile = test_parse(open_file(name));
    assert_int_equal(profile.rate, 1);
    assert_int_equal(profile.head.live_blocks, 23);
    assert_int_equal(profile.head.all_blocks, 123);
    assert_true(profile.has_maps && test_same(&profile.head, &profile.rows));
}

static void the_other_form_has_the_same(void **state)
{
    char line[200];
    unsigned long live, live_bytes, all, all_bytes;
    (void)state;
    assert_int_equal(
        run_of("allocate", with("profile=1,profile_form=jemalloc,profile_at_exit=%s/je")), 0);
    FILE *file = open_file("je");
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, "heap_v2/1\n");
    assert_non_null(fgets(line, sizeof line, file));
    assert_int_equal(
        sscanf(line, "  t*: %lu: %lu [%lu: %lu]\n", &live, &live_bytes, &all, &all_bytes), 4);
    assert_true(live == 23 && all == 123 && live_bytes == 23 * bytes_of_100());
    assert_non_null(fgets(line, sizeof line, file));
    assert_int_equal(strncmp(line, "@ 0x", 4), 0);
    fclose(file);
}

static void leaks_are_reported_at_exit_when_asked_for(void **state)
{
    (void)state;
    assert_int_equal(run_of("allocate", "profile=1,leak_report=on"), 0);
    assert_non_null(strstr(text, "blocks are live\n"));
    assert_non_null(strstr(text, " in 23 blocks (sampled: "));
    assert_int_equal(run_of("allocate", with("profile=1,leak_report=%s/leaks")), 0);
    assert_null(strstr(text, "live"));
    FILE *file = open_file("leaks");
    assert_true(fread(text, 1, 100, file) == 100 && strstr(text, "poolmalloc leak report (pid "));
    fclose(file);
}

static void nothing_is_written_unasked(void **state)
{
    (void)state;
    assert_int_equal(run_of("allocate", ""), 0);
    assert_string_equal(strchr(text, ' '), " went on\n");
    assert_int_equal(run_of("allocate", "profile=on"), 0);
    assert_string_equal(strchr(text, ' '), " went on\n");
    assert_true(WIFSIGNALED(run_of("raise", "profile=1")));
}

static void what_is_no_rate_is_named(void **state)
{
    (void)state;
    assert_int_equal(run_of("allocate", "profile=often"), 0);
    assert_non_null(strstr(text, "poolmalloc: option profile takes off, on or a size, not "
                                 "\"often\": no profile\n"));
    assert_int_equal(run_of("allocate", "profile=1,profile_signal=9"), 0);
    assert_non_null(strstr(text, "no profiles on signal 9 (option profile_signal)"));
}

static void each_signal_writes_a_numbered_file(void **state)
{
    (void)state;
    assert_int_equal(run_of("raise", with("profile=1,profile_signal=10,profile_to=%s/sig")), 0);
    assert_int_equal(test_parse(open_file("sig.0001.heap")).head.live_blocks, 1);
    assert_int_equal(test_parse(open_file("sig.0002.heap")).head.live_blocks, 2);
}

static void a_full_disk_on_a_signal_is_no_error_of_the_program(void **state)
{
    (void)state;
    assert_int_equal(run_of("raise", "profile=1,profile_signal=10,profile_to=/no/such/folder/x"),
                     0);
    assert_non_null(strstr(text, "cannot open \"/no/such/folder/x.0002.heap\" to write"));
    assert_non_null(strstr(text, "went on\n"));
    assert_int_equal(run_of("allocate", "profile=1,profile_at_exit=/dev/full"), 0);
    assert_non_null(strstr(text, "cannot write all of the profile to \"/dev/full\"\n"));
}

static void signals_while_threads_work_write_whole_files(void **state)
{
    (void)state;
    assert_int_equal(run_of("storm", with("profile=500,profile_signal=10,profile_to=%s/st")), 0);
    assert_non_null(strstr(text, "went on\n"));
    unsigned files = 0;
    DIR *names = opendir(folder);
    assert_non_null(names);
    for (struct dirent *entry; (entry = readdir(names)) != NULL;) {
        if (strncmp(entry->d_name, "st.", 3) != 0)
            continue;
        struct test_profile profile = test_parse(open_file(entry->d_name));
        assert_true(profile.rate == 500 && profile.has_maps);
        files++;
    }
    closedir(names);
    assert_true(files > 0);
}

static void each_so_many_bytes_write_a_file(void **state)
{
    (void)state;
    /* 123 blocks of 112 bytes are 13776; of some more where blocks are watched. */
    assert_int_equal(run_of("allocate", with("profile=1,profile_every=5k,profile_to=%s/ev")), 0);
    uint64_t first = test_parse(open_file("ev.0001.heap")).head.all_bytes;
    uint64_t second = test_parse(open_file("ev.0002.heap")).head.all_bytes;
    assert_true(first >= 5120 && first < 5120 + bytes_of_100());
    assert_true(second >= 10240 && second < 10240 + bytes_of_100());
    for (int more = 3; bytes_of_100() * 123 >= 5120 * (uint64_t)more; more++) {
        char name[40];
        snprintf(name, sizeof name, "ev.%04d.heap", more);
        fclose(open_file(name));
    }
}

static void a_page_that_is_asked_for_is_read_by_another_process(void **state)
{
    (void)state;
    assert_int_equal(run_of("page", "profile=1,profile_page=on,profile_stacks=64"), 0);
    assert_non_null(strstr(text, "went on\n"));
    assert_int_equal(run_of("no_page", "profile=1"), 0);
}

/* ---- the other runs ---- */

static void *kept[123];

static int allocate(void)
{
    for (int i = 0; i < 123; i++)
        kept[i] = pm_malloc(100);
    for (int i = 0; i < 100; i++)
        pm_free(kept[i]);
    fprintf(stderr, "%d went on\n", (int)getpid());
    return 0;
}

static int raise_it(void)
{
    for (int i = 0; i < 2; i++) {
        kept[i] = pm_malloc(100);
        raise(SIGUSR1);
    }
    fprintf(stderr, "went on\n");
    return 0;
}

enum { STORM_SLOTS = 500, STORM_THREADS = 3, SIGNALS = PM_TSAN || PM_CHECK ? 50 : 200 };

static _Atomic bool enough;

static void *storm_thread(void *arg)
{
    static __thread void *slots[STORM_SLOTS];
    uint64_t seed = (uintptr_t)arg;
    while (!enough) {
        void **slot = &slots[test_random_below(&seed, STORM_SLOTS)];
        pm_free(*slot);
        *slot = pm_malloc((size_t)8 << test_random_below(&seed, 14));
        require(*slot != NULL);
    }
    for (int i = 0; i < STORM_SLOTS; i++)
        pm_free(slots[i]);
    return NULL;
}

static int storm(void)
{
    pthread_t threads[STORM_THREADS];
    for (uintptr_t i = 0; i < STORM_THREADS; i++)
        require(pthread_create(&threads[i], NULL, storm_thread, (void *)(i + 1)) == 0);
    for (int i = 0; i < SIGNALS; i++) {
        require(pthread_kill(threads[i % STORM_THREADS], SIGUSR1) == 0);
        pm_free(pm_malloc(100));
    }
    enough = true;
    for (int i = 0; i < STORM_THREADS; i++)
        require(pthread_join(threads[i], NULL) == 0);
    struct test_profile last = test_profile_now();
    require(last.head.live_blocks == 0 && pm_profile_table_check() && pm_check());
    fprintf(stderr, "went on\n");
    return 0;
}

/* The page of that process as another process maps it, or NULL. */
static const struct pm_profile_page *map_page(pid_t process)
{
    char name[300], target[200];
    snprintf(name, sizeof name, "/proc/%d/fd", (int)process);
    DIR *files = opendir(name);
    const struct pm_profile_page *found = NULL;
    require(files != NULL);
    for (struct dirent *entry; found == NULL && (entry = readdir(files)) != NULL;) {
        snprintf(name, sizeof name, "/proc/%d/fd/%.20s", (int)process, entry->d_name);
        ssize_t length = readlink(name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        if (strcmp(target, "/memfd:" PM_PROFILE_PAGE_NAME " (deleted)") != 0)
            continue;
        int file = open(name, O_RDONLY | O_CLOEXEC);
        off_t bytes = lseek(file, 0, SEEK_END);
        found = mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, file, 0);
        close(file);
        require(found != MAP_FAILED && pm_profile_page_is_valid(found, (size_t)bytes));
        require(!pm_profile_page_is_valid(found, (size_t)bytes - 1));
    }
    closedir(files);
    return found;
}

static struct test_sums sums_of_page(const struct pm_profile_page *page)
{
    struct test_sums sums = {0};
    struct pm_profile_row row;
    for (uint64_t i = 0; i < pm_profile_page_rows(page); i++) {
        if (!pm_profile_page_read(page, i, &row))
            continue;
        require(row.depth > 0 && row.frames[0] != 0 && row.mean_bytes == 1);
        sums.live_blocks += row.live_blocks;
        sums.live_bytes += row.live_bytes;
        sums.all_blocks += row.all_blocks;
        sums.all_bytes += row.all_bytes;
    }
    return sums;
}

/* The parent's and the child's are two; each is what the process's profile is. */
static void look_at(pid_t process)
{
    const struct pm_profile_page *page = map_page(process);
    struct test_profile now = test_profile_now();
    struct test_sums sums = sums_of_page(page);
    require(page->process_id == (uint64_t)process && page->mean_bytes == 1);
    require(test_same(&sums, &now.head) && sums.live_blocks > 0);
}

static int show_page(void)
{
    int status;
    for (int i = 0; i < 20; i++)
        kept[i] = pm_malloc(100 * (size_t)i + 1);
    look_at(getpid());
    pid_t child = fork();
    if (child == 0) {
        look_at(getpid());
        pm_free(kept[0]);
        kept[0] = pm_malloc(5000);
        look_at(getpid());
        _exit(0);
    }
    require(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    look_at(getpid());
    pm_profile_stop();
    require(map_page(getpid())->mean_bytes == 0);
    fprintf(stderr, "went on\n");
    return 0;
}

static int run_what(const char *what)
{
    if (strcmp(what, "allocate") == 0)
        return allocate();
    if (strcmp(what, "raise") == 0)
        return raise_it();
    if (strcmp(what, "storm") == 0)
        return storm();
    if (strcmp(what, "page") == 0)
        return show_page();
    return map_page(getpid()) != NULL; /* "no_page" */
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_profile_at_exit_has_what_was_allocated),
        cmocka_unit_test(the_other_form_has_the_same),
        cmocka_unit_test(leaks_are_reported_at_exit_when_asked_for),
        cmocka_unit_test(nothing_is_written_unasked),
        cmocka_unit_test(what_is_no_rate_is_named),
        cmocka_unit_test(each_signal_writes_a_numbered_file),
        cmocka_unit_test(a_full_disk_on_a_signal_is_no_error_of_the_program),
        cmocka_unit_test(signals_while_threads_work_write_whole_files),
        cmocka_unit_test(each_so_many_bytes_write_a_file),
        cmocka_unit_test(a_page_that_is_asked_for_is_read_by_another_process),
    };
    if (count > 1)
        return run_what(arguments[1]);
    if (test_emulated())
        return test_starts_nothing();
    require(mkdtemp(folder) != NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(folder) == 0 ? failed : 1;
}
