/* SPDX-License-Identifier: MIT */
#include "base/atomic.h"
#include "base/bits.h"
#include "base/testing.h"
#include "tools/stack.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

/* Compiled with frame pointers, as all of this layer. */
typedef unsigned take_function(uintptr_t *frames, unsigned most);

struct taken {
    take_function *take;
    unsigned count, depth;
    uintptr_t frames[PM_STACK_FRAMES_MAX];
};

/* Calls itself, so that each frame but the last returns to the same place. */
PM_NOINLINE static unsigned descend(struct taken *taken, unsigned left)
{
    if (left == 0)
        taken->count = taken->take(taken->frames, PM_STACK_FRAMES_MAX);
    else
        descend(taken, left - 1);
    taken->depth++; /* not a jump */
    return taken->depth;
}

/* The innermost frame is in the stack functions, whose library this is not; then come these. */
static void require_descended(const struct taken *taken, unsigned depth)
{
    unsigned same = 0;
    for (unsigned i = 1; i < taken->count; i++)
        same += taken->frames[i] == taken->frames[i - 1];
    require(taken->count > depth && same >= depth - 1);
}

static void try_all_depths(take_function *take)
{
    for (unsigned depth = 1; depth < 40; depth++) {
        struct taken taken = {.take = take};
        descend(&taken, depth);
        require_descended(&taken, depth);
    }
}

static void *in_thread(void *arg)
{
    try_all_depths((take_function *)(uintptr_t)arg);
    return NULL;
}

static void try_in_thread(take_function *take)
{
    pthread_t thread;
    require(pthread_create(&thread, NULL, in_thread, (void *)(uintptr_t)take) == 0);
    require(pthread_join(thread, NULL) == 0);
}

ISOLATED(frame_pointers_tell_each_frame_of_the_first_and_of_other_threads)
{
    try_all_depths(pm_stack_by_frames);
    try_in_thread(pm_stack_by_frames);
}

ISOLATED(the_unwinder_tells_the_same_frames)
{
    pm_stack_start();
    if (!pm_stack_has_unwinder())
        test_skipped("a static program, or no unwinder that could be loaded");
    try_all_depths(pm_stack_by_unwinder);
    try_in_thread(pm_stack_by_unwinder);
    try_all_depths(pm_stack_take);
}

ISOLATED(no_more_frames_are_taken_than_there_is_room_for)
{
    pm_stack_start();
    for (unsigned most = 0; most < 8; most++) {
        uintptr_t frames[9];
        for (unsigned i = 0; i < 9; i++)
            frames[i] = 1;
        require(pm_stack_by_frames(frames, most) <= most && frames[most] == 1);
        require(pm_stack_by_unwinder(frames, most) <= most && frames[most] == 1);
    }
}

/* ---- chains that lead nowhere ---- */

struct frame {
    struct frame *caller;
    uintptr_t address;
};

/* What a function that keeps something else in the register leaves to those that it calls: here, in
 * place of the caller's frame. */
PM_NOINLINE static unsigned with_caller(struct frame *caller, uintptr_t *frames)
{
    struct frame *volatile *own = __builtin_frame_address(0);
    struct frame *right = *own;
    *own = caller;
    unsigned count = pm_stack_by_frames(frames, PM_STACK_FRAMES_MAX);
    *own = right;
    return count;
}

ISOLATED(a_chain_is_followed_outwards_within_the_stack_and_no_further)
{
    uintptr_t frames[PM_STACK_FRAMES_MAX];
    static struct frame elsewhere = {&elsewhere, 0x5555};
    unsigned least = with_caller(NULL, frames);
    require(least >= 1 && least <= 3);
    require(with_caller(&elsewhere, frames) == least);
    require(with_caller((struct frame *)(uintptr_t)-16, frames) == least);
    require(with_caller((struct frame *)(uintptr_t)0x1234567, frames) == least);
    require(with_caller((struct frame *)(UINTPTR_MAX / 2 - 15), frames) == least);
    require(with_caller((struct frame *)((uintptr_t)&frames[3] + 1), frames) == least);
    struct frame round = {&round, 0x5555};
    require(with_caller(&round, frames) <= least + 1);
    struct frame null = {NULL, 0};
    require(with_caller(&null, frames) == least);
}

/* ---- a stack of the program's own ---- */

static struct taken on_own_stack;

static void run_on_own_stack(int number)
{
    (void)number;
    descend(&on_own_stack, 10);
}

/* That of a handler: not every C library has contexts. */
ISOLATED(frames_on_a_stack_of_the_programs_own_are_told)
{
    static char memory[256 << 10] __attribute__((aligned(65536)));
    const stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    const struct sigaction action = {.sa_handler = run_on_own_stack, .sa_flags = SA_ONSTACK};
    require((size_t)sysconf(_SC_PAGESIZE) <= 65536);
    require(sigaltstack(&stack, NULL) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
    on_own_stack.take = pm_stack_by_frames;
    for (int i = 0; i < 3; i++) { /* there and back: the bounds are found anew */
        require(raise(SIGUSR1) == 0);
        require_descended(&on_own_stack, 10);
        try_all_depths(pm_stack_by_frames);
    }
}

/* ---- fork ---- */

static _Atomic bool enough;

static void *take_on(void *arg)
{
    uintptr_t frames[PM_STACK_FRAMES_MAX];
    while (!pm_load_relaxed(&enough))
        pm_stack_by_unwinder(frames, PM_STACK_FRAMES_MAX);
    return arg;
}

ISOLATED(the_child_of_a_fork_can_take_stacks_whatever_other_threads_did)
{
    pthread_t threads[2];
    pm_stack_start();
    for (int i = 0; i < 2; i++)
        require(pthread_create(&threads[i], NULL, take_on, NULL) == 0);
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            try_all_depths(pm_stack_take);
            _exit(0);
        }
        int status;
        require(waitpid(child, &status, 0) == child && status == 0);
    }
    pm_store_relaxed(&enough, true);
    for (int i = 0; i < 2; i++)
        require(pthread_join(threads[i], NULL) == 0);
}

/* ---- reports ---- */

ISOLATED(a_report_names_the_module_of_each_frame)
{
    struct taken taken = {.take = pm_stack_by_frames};
    descend(&taken, 20);
    int ends[2];
    static char text[16384];
    require(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    pm_stack_report(taken.frames, 21);
    close(ends[1]);
    close(STDERR_FILENO);
    size_t used = 0;
    ssize_t got;
    while ((got = read(ends[0], text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)got;
    unsigned lines = 0;
    for (char *at = text; (at = strstr(at, "stack_test+0x")) != NULL; at++)
        lines++;
    require(lines == 21 && strstr(text, "    #0 0x") == text && strstr(text, "    #20 0x") != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_pointers_tell_each_frame_of_the_first_and_of_other_threads),
        cmocka_unit_test(the_unwinder_tells_the_same_frames),
        cmocka_unit_test(no_more_frames_are_taken_than_there_is_room_for),
        cmocka_unit_test(a_chain_is_followed_outwards_within_the_stack_and_no_further),
        cmocka_unit_test(frames_on_a_stack_of_the_programs_own_are_told),
        cmocka_unit_test(the_child_of_a_fork_can_take_stacks_whatever_other_threads_did),
        cmocka_unit_test(a_report_names_the_module_of_each_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
