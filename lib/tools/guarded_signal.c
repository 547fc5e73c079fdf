/* SPDX-License-Identifier: MIT */
/*
 * The handler of SIGSEGV and SIGBUS: an access to the pages of guarded blocks that trapped is
 * reported; then, as for every other fault, comes what would have come without: the handler that
 * was there before, or the system's default, by which the access, repeated, ends the process, and a
 * core dump shows it.
 *
 * It runs where the program's handlers run that ask for it, on the stack of sigaltstack if the
 * thread has one. It may interrupt anything: it allocates nothing, and waits for nobody for long.
 */
#define _GNU_SOURCE /* siginfo_t, SA_ONSTACK */
#include "base/atomic.h"
#include "os/os.h"
#include "tools/guarded_report.h"
#include "tools/guarded_slots.h"
#include "tools/stack.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>

static const int signals[] = {SIGSEGV, SIGBUS};
#define SIGNALS (sizeof signals / sizeof *signals)
static struct sigaction before[SIGNALS]; /* written before the handler is there */

/* On less than this, the stack of the access is not taken. */
#define SMALL_STACK_BYTES ((size_t)24 << 10)

static bool on_small_stack(void)
{
    stack_t stack;
    return sigaltstack(NULL, &stack) == 0 && (stack.ss_flags & SS_ONSTACK) != 0 &&
           stack.ss_size < SMALL_STACK_BYTES;
}

/* ---- who touched it ---- */

/* Behind the address; `count` if it is not there. */
static unsigned behind(const uintptr_t *frames, unsigned count, uintptr_t address)
{
    for (unsigned i = 0; i < count; i++) {
        if (frames[i] == address)
            return i + 1;
    }
    return count;
}

/* The frames of the handler, then the system's that called it, then the interrupted instruction,
 * which some ways of taking stacks leave out. Where they do not come that far, it is alone. */
static unsigned frames_from(const uintptr_t *frames, unsigned count, uintptr_t trampoline,
                            uintptr_t at, uintptr_t *to)
{
    unsigned used = 0, next = behind(frames, count, at);
    if (next == count)
        next = behind(frames, count, trampoline);
    to[used++] = at;
    while (next < count && used < PM_GUARDED_FRAMES)
        to[used++] = frames[next++];
    return used;
}

static void note_access(struct pm_guarded_call *call, uintptr_t trampoline, uintptr_t at,
                        bool small_stack)
{
    static uintptr_t frames[PM_STACK_FRAMES_MAX]; /* by one thread at a time */
    unsigned count = small_stack ? 0 : pm_stack_take_seldom(frames, PM_STACK_FRAMES_MAX);
    call->thread = pm_os_thread_id();
    call->count = frames_from(frames, count, trampoline, at, call->frames);
}

/* ---- one report at a time ---- */

enum { TURN_TRIES = 100000 };
static _Atomic uint32_t reporting;

/* False: the other report does not come to its end. */
static bool take_turn(void)
{
    for (unsigned i = 0; i < TURN_TRIES; i++) {
        /* Acquire pairs with the release in leave_turn: its buffers are ours. */
        if (pm_exchange_acquire(&reporting, 1) == 0)
            return true;
        sched_yield();
    }
    return false;
}

static void leave_turn(void)
{
    pm_store_release(&reporting, 0);
}

static void report(uintptr_t address, const void *context, uintptr_t trampoline)
{
    static struct pm_guarded_call call; /* a handler's stack may be small */
    struct pm_os_interrupted at = pm_os_interrupted(context);
    bool small_stack = on_small_stack();
    if (!take_turn())
        return;
    note_access(&call, trampoline, at.instruction, small_stack);
    pm_guarded_report_access(address, at.access, &call, small_stack);
    leave_turn();
}

/* ---- the handler ---- */

static void set_default(int signal)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(signal, &action, NULL);
}

/* As if we were not here. */
static void pass_on(int signal, siginfo_t *info, void *context)
{
    const struct sigaction *to = &before[signal == signals[0] ? 0 : 1];
    bool sent = info->si_code <= 0; /* by a process; else an access, which will be repeated */
    if ((to->sa_flags & SA_SIGINFO) != 0) {
        to->sa_sigaction(signal, info, context);
    } else if (to->sa_handler == SIG_DFL || (to->sa_handler == SIG_IGN && !sent)) {
        set_default(signal);
        if (sent)
            raise(signal); /* it comes when this handler returns */
    } else if (to->sa_handler != SIG_IGN) {
        to->sa_handler(signal);
    }
}

static PM_NOINLINE void on_fault(int signal, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    if (info->si_code > 0 && pm_guarded_owns(info->si_addr))
        report((uintptr_t)pm_untagged(info->si_addr), context,
               (uintptr_t)__builtin_return_address(0));
    errno = saved_errno;
    pass_on(signal, info, context);
}

void pm_guarded_catch_faults(void)
{
    int saved_errno = errno;
    for (unsigned i = 0; i < SIGNALS; i++) {
        struct sigaction action = {.sa_sigaction = on_fault};
        sigaction(signals[i], NULL, &before[i]);
        action.sa_mask = before[i].sa_mask;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | (before[i].sa_flags & SA_RESTART);
        sigaction(signals[i], &action, NULL);
    }
    errno = saved_errno;
}
