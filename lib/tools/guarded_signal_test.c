/* SPDX-License-Identifier: MIT */
/* The handler of faults: what is not about guarded blocks ends as it would without, and who had a
 * handler before is asked. */
#define _GNU_SOURCE /* SIGSTKSZ */
#include "tools/guarded_testing.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <cmocka.h>

static char text[1 << 16];

static int run(void (*body)(const void *))
{
    return test_stderr_of(body, NULL, text, sizeof text);
}

static bool ended_by(int status, int signal)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}

static bool nothing_is_said(void)
{
    return text[0] == 0 || (test_emulated() && strncmp(text, "qemu: ", 6) == 0);
}

static unsigned reports(void)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, "poolmalloc: use after free")) != NULL; at++)
        count++;
    return count;
}

static PM_NOINLINE void touch(volatile char *at)
{
    *at = 'x';
}

static void touch_freed(void)
{
    char *block = test_guarded(100);
    pm_free(block);
    touch(block);
}

/* ---- what is not ours ---- */

static void touch_elsewhere(const void *argument)
{
    (void)argument;
    test_guarded_start(1);
    touch(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void send_one(const void *argument)
{
    (void)argument;
    test_guarded_start(1);
    raise(SIGSEGV);
}

static void ignore_one_sent(const void *argument)
{
    (void)argument;
    signal(SIGBUS, SIG_IGN);
    test_guarded_start(1);
    raise(SIGBUS);
    raise(SIGBUS);
}

static void other_faults_end_as_without(void **state)
{
    (void)state;
    assert_true(ended_by(run(touch_elsewhere), SIGSEGV));
    assert_true(nothing_is_said());
    assert_true(ended_by(run(send_one), SIGSEGV));
    assert_true(nothing_is_said());
    assert_int_equal(run(ignore_one_sent), 0);
    assert_true(nothing_is_said());
}

/* ---- handlers of the program ---- */

static void exit_from_handler(int signal)
{
    _exit(signal == SIGSEGV ? 42 : 43);
}

static void *_Atomic seen;

static void exit_with_address(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    _exit(info->si_addr == seen ? 44 : 45);
}

static void handled_before(const void *argument)
{
    (void)argument;
    signal(SIGSEGV, exit_from_handler);
    test_guarded_start(1);
    touch_freed();
}

static void handled_before_with_address(const void *argument)
{
    struct sigaction action = {.sa_sigaction = exit_with_address, .sa_flags = SA_SIGINFO};
    (void)argument;
    sigaction(SIGSEGV, &action, NULL);
    test_guarded_start(1);
    char *block = test_guarded(100);
    pm_free(block);
    seen = block + 1;
    touch(block + 1);
}

static void handled_later(const void *argument)
{
    (void)argument;
    test_guarded_start(1);
    signal(SIGSEGV, exit_from_handler);
    touch_freed();
}

static void a_handler_that_was_there_is_asked_after_the_report(void **state)
{
    (void)state;
    int status = run(handled_before);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42 && reports() == 1);
    status = run(handled_before_with_address);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 44 && reports() == 1);
}

static void a_handler_that_comes_later_takes_its_place(void **state)
{
    (void)state;
    int status = run(handled_later);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42 && reports() == 0);
}

/* ---- a program that goes on ---- */

static sigjmp_buf back;

static void jump_back(int signal)
{
    siglongjmp(back, signal);
}

/* The block that was live is as it was; freed ones are never told twice of the same slot. */
static void goes_on(const void *argument)
{
    (void)argument;
    signal(SIGSEGV, jump_back);
    test_guarded_start(1);
    char *live = test_guarded_at(96, true);
    for (unsigned i = 0; i < 3; i++) {
        if (sigsetjmp(back, 1) == 0)
            touch(live + 96);
        if (sigsetjmp(back, 1) == 0)
            touch_freed();
    }
    memset(live, 'x', 96);
    pm_free(live);
    for (unsigned i = 0; i < 4 * TEST_SLOTS; i++)
        pm_free(test_guarded(10));
}

static void a_program_that_jumps_out_goes_on(void **state)
{
    (void)state;
    assert_int_equal(run(goes_on), 0);
    assert_int_equal(reports(), 3);
    assert_non_null(strstr(text, "poolmalloc: overflow: "));
}

/* ---- stacks of handlers ---- */

static void on_a_stack_of(size_t bytes)
{
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = memory, .ss_size = bytes};
    require(memory != MAP_FAILED && sigaltstack(&stack, NULL) == 0);
    test_guarded_start(1);
    touch_freed();
}

static void on_a_small_stack(const void *argument)
{
    (void)argument;
    on_a_stack_of(SIGSTKSZ > 8192 ? (size_t)SIGSTKSZ : 8192);
}

static void on_a_large_stack(const void *argument)
{
    (void)argument;
    on_a_stack_of((size_t)64 << 10);
}

static void a_stack_for_handlers_is_used(void **state)
{
    (void)state;
    assert_true(ended_by(run(on_a_small_stack), SIGSEGV) && reports() == 1);
    assert_true(strstr(text, "Accessed by") != NULL && strstr(text, "Made by") != NULL);
    assert_true(ended_by(run(on_a_large_stack), SIGSEGV) && reports() == 1);
}

/* ---- many at once ---- */

enum { THREADS = 4 };
static pthread_barrier_t all_are_there;

static void *touch_together(void *block)
{
    pthread_barrier_wait(&all_are_there);
    touch(block);
    return NULL;
}

static void together(const void *argument)
{
    pthread_t threads[THREADS];
    (void)argument;
    test_guarded_start(1);
    pthread_barrier_init(&all_are_there, NULL, THREADS);
    char *block = test_guarded(100);
    pm_free(block);
    for (unsigned i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, touch_together, block) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void of_threads_that_fault_together_the_first_is_told_whole(void **state)
{
    (void)state;
    assert_true(ended_by(run(together), SIGSEGV));
    assert_int_equal(reports(), 1);
    assert_int_equal(strncmp(text, "poolmalloc: use after free", 26), 0);
    const char *made = strstr(text, "\nMade by");
    assert_non_null(made);
    assert_non_null(strstr(made, "\n    #0"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_faults_end_as_without),
        cmocka_unit_test(a_handler_that_was_there_is_asked_after_the_report),
        cmocka_unit_test(a_handler_that_comes_later_takes_its_place),
        cmocka_unit_test(a_program_that_jumps_out_goes_on),
        cmocka_unit_test(a_stack_for_handlers_is_used),
        cmocka_unit_test(of_threads_that_fault_together_the_first_is_told_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
