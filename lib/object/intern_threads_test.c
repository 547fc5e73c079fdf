/* SPDX-License-Identifier: MIT */
/*
 * F.7: threads intern the same strings at the same time and get one object for each value; when all
 * references are gone the table is empty. And threads that drop and intern a few values all the
 * time, so that strings die while others find them.
 *
 *   object_intern_threads_test [STRINGS LOOKUPS]   prints how long it took, with other counts
 */
#include "object/values_testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <cmocka.h>

enum { THREADS = 8 };

static unsigned string_count = PM_TSAN || PM_SCHEDULE ? 1000 : PM_ASAN || PM_CHECK ? 5000 : 20000;
static unsigned lookup_count = PM_TSAN || PM_SCHEDULE ? 8000 : PM_ASAN || PM_CHECK ? 40000 : 400000;
static bool timed;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- F.7 ---- */

static pthread_barrier_t barrier;
static struct pm_object **of_thread[THREADS];
static struct pm_intern_stats stats[3];
static double times[4];

/* A thread that waits for others is paused. */
static void meet(unsigned me, unsigned phase)
{
    pm_object_thread_pause();
    pthread_barrier_wait(&barrier);
    if (me == 0) {
        times[phase] = now();
        if (phase < 3)
            pm_intern_get_stats(&stats[phase]);
    }
    pthread_barrier_wait(&barrier);
    pm_object_thread_resume();
}

static struct pm_object *intern_number(unsigned number)
{
    char text[32];
    int bytes = snprintf(text, sizeof text, "name_%u", number);
    struct pm_object *string = pm_str_interned(text, (size_t)bytes);
    require(string != NULL);
    return string;
}

/* Each begins elsewhere, so that each makes some of them. */
static void intern_all(unsigned me)
{
    for (unsigned i = 0; i < string_count; i++) {
        unsigned number = (i + me * (string_count / THREADS)) % string_count;
        of_thread[me][number] = intern_number(number);
        pm_safepoint();
    }
}

static void look_up(unsigned me)
{
    uint64_t seed = me;
    for (unsigned i = 0; i < lookup_count / THREADS; i++) {
        unsigned number = (unsigned)test_random_below(&seed, string_count);
        struct pm_object *string = intern_number(number);
        require(string == of_thread[me][number]);
        pm_decref(string);
        pm_safepoint();
    }
}

static void drop_all(unsigned me)
{
    for (unsigned i = 0; i < string_count; i++) {
        require(of_thread[me][i] == of_thread[0][i]);
        pm_safepoint();
    }
    meet(me, 2);
    for (unsigned i = 0; i < string_count; i++) {
        pm_decref(of_thread[me][i]);
        pm_safepoint();
    }
}

static void f7_thread(void *arg)
{
    unsigned me = *(unsigned *)arg;
    intern_all(me);
    meet(me, 0);
    look_up(me);
    meet(me, 1);
    drop_all(me);
}

static void run_threads(void (*call)(void *), unsigned count)
{
    pthread_t threads[THREADS];
    struct test_call calls[THREADS];
    unsigned numbers[THREADS];
    for (unsigned i = 0; i < count; i++) {
        numbers[i] = i;
        calls[i] = (struct test_call){call, &numbers[i]};
        require(pthread_create(&threads[i], NULL, test_attached, &calls[i]) == 0);
    }
    for (unsigned i = 0; i < count; i++)
        require(pthread_join(threads[i], NULL) == 0);
}

static void print_times(double start, double end)
{
    printf("%u threads, %u strings, %u lookups: interned in %.2f s, looked up in %.2f s, dropped "
           "in %.2f s\n%llu locks while interning, %llu while looking up; %llu table bytes, %llu "
           "when empty\n",
           THREADS, string_count, lookup_count, times[0] - start, times[1] - times[0],
           end - times[2], (unsigned long long)stats[0].locks,
           (unsigned long long)(stats[1].locks - stats[0].locks),
           (unsigned long long)stats[1].table_bytes, (unsigned long long)stats[2].table_bytes);
}

static void f7_threads_get_one_object_for_each_value_and_the_table_is_empty_then(void **state)
{
    (void)state;
    for (unsigned i = 0; i < THREADS; i++)
        require((of_thread[i] = malloc(string_count * sizeof *of_thread[i])) != NULL);
    pthread_barrier_init(&barrier, NULL, THREADS);
    double start = now();
    run_threads(f7_thread, THREADS);
    double end = now();
    assert_int_equal(stats[0].entries, string_count);
    assert_int_equal(stats[1].entries, string_count);
    assert_int_equal(stats[1].locks, stats[0].locks); /* all were hits */
    assert_int_equal(stats[2].entries, string_count);
    pm_intern_get_stats(&stats[2]);
    assert_int_equal(stats[2].entries, 0);
    if (timed)
        print_times(start, end);
    for (unsigned i = 0; i < THREADS; i++)
        free(of_thread[i]);
    pthread_barrier_destroy(&barrier);
}

/* ---- strings that die while they are found ---- */

enum {
    VALUES = 4,
    CHURN = PM_SCHEDULE           ? 300
            : PM_TSAN             ? 3000
            : PM_ASAN || PM_CHECK ? 10000
                                  : 50000
};

/* Text that is wrong in memory that was given back too early. */
static bool says(const struct pm_object *string, unsigned number)
{
    char text[32];
    int bytes = snprintf(text, sizeof text, "name_%u", number);
    return pm_str_bytes(string) == (size_t)bytes &&
           memcmp(pm_str_text(string), text, (size_t)bytes) == 0;
}

static void churn(void *arg)
{
    uint64_t seed = *(unsigned *)arg;
    struct pm_object *held[VALUES] = {NULL};
    for (unsigned i = 0; i < CHURN; i++) {
        unsigned number = (unsigned)test_random_below(&seed, VALUES);
        struct pm_object *string = intern_number(number);
        require(says(string, number) && pm_str_is_interned(string));
        if (held[number] == NULL) {
            held[number] = string;
        } else {
            require(string == held[number]); /* as long as it is held there is no other */
            pm_decref(string);
            if (test_random_below(&seed, 4) != 0) {
                pm_decref(held[number]);
                held[number] = NULL;
            }
        }
        pm_safepoint();
    }
    for (unsigned i = 0; i < VALUES; i++)
        if (held[i] != NULL)
            pm_decref(held[i]);
}

static void strings_that_die_while_they_are_found_live_or_come_anew(void **state)
{
    (void)state;
    for (unsigned count = 2; count <= 4; count++) {
        struct pm_intern_stats after;
        run_threads(churn, count);
        pm_intern_get_stats(&after);
        assert_int_equal(after.entries, 0);
    }
}

/* ---- fork ---- */

static _Atomic bool forks_done;

static void churn_until_the_forks_are_done(void *arg)
{
    do
        churn(arg);
    while (!atomic_load(&forks_done));
}

/* In the child, some strings are dead and still in the table, or referenced by threads that are not
 * there. */
static void look_at_table_in_child(void)
{
    struct pm_object *held[VALUES];
    pm_object_thread_resume();
    for (unsigned i = 0; i < VALUES; i++)
        held[i] = intern_number(i);
    for (unsigned i = 0; i < VALUES; i++) {
        struct pm_object *again = intern_number(i);
        require(again == held[i] && says(again, i));
        pm_decref(again);
        pm_decref(held[i]);
    }
    _exit(0);
}

static void *fork_often(void *arg)
{
    (void)arg;
    require(pm_object_thread_attach());
    pm_object_thread_pause();
    for (unsigned i = 0; i < 20; i++) {
        int status = -1;
        pid_t child = fork();
        require(child >= 0);
        if (child == 0)
            look_at_table_in_child();
        require(waitpid(child, &status, 0) == child && status == 0);
    }
    pm_object_thread_resume();
    pm_object_thread_detach();
    atomic_store(&forks_done, true);
    return NULL;
}

static void children_of_fork_have_a_table_that_is_whole(void **state)
{
    (void)state;
    pthread_t forker;
    fflush(NULL);
    require(pthread_create(&forker, NULL, fork_often, NULL) == 0);
    run_threads(churn_until_the_forks_are_done, 3);
    require(pthread_join(forker, NULL) == 0);
    struct pm_intern_stats after;
    pm_intern_get_stats(&after);
    assert_int_equal(after.entries, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f7_threads_get_one_object_for_each_value_and_the_table_is_empty_then),
        cmocka_unit_test(strings_that_die_while_they_are_found_live_or_come_anew),
        cmocka_unit_test(children_of_fork_have_a_table_that_is_whole),
    };
    if (argc == 3) {
        string_count = (unsigned)strtoul(argv[1], NULL, 10);
        lookup_count = (unsigned)strtoul(argv[2], NULL, 10);
        timed = true;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
