/* SPDX-License-Identifier: MIT */
/* See step.h. */
#include "step.h"
#include "check.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

void alarm_guard(unsigned seconds)
{
    const char *text = getenv("STRESS_ALARM_SECONDS");
    unsigned wanted = text ? (unsigned)strtoul(text, NULL, 10) : 0;
    alarm(wanted ? wanted : seconds);
}

#if defined(__x86_64__) && !STRESS_SANITIZED

enum { TRAP_FLAG = 0x100 };

static __thread bool (*step_call)(size_t, void *);
static __thread void *step_argument;
static __thread size_t steps;

static void at_trap(int number, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;
    (void)number;
    (void)info;
    if (step_call != NULL && !step_call(steps++, step_argument))
        interrupted->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

/* Below the red zone, which the compiler may use here. */
static inline __attribute__((always_inline)) void set_trap_flag(void)
{
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n\tpushfq\n\torq %0, (%%rsp)\n\tpopfq\n\t"
                     "leaq 128(%%rsp), %%rsp"
                     :
                     : "i"(TRAP_FLAG)
                     : "memory", "cc");
}

static inline __attribute__((always_inline)) void clear_trap_flag(void)
{
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n\tpushfq\n\tandq %0, (%%rsp)\n\tpopfq\n\t"
                     "leaq 128(%%rsp), %%rsp"
                     :
                     : "i"(~TRAP_FLAG)
                     : "memory", "cc");
}

bool step_supported(void)
{
    return true;
}

size_t step_through(void (*body)(void *argument), bool (*at_step)(size_t number, void *argument),
                    void *argument)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = at_trap;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    CHECK(sigaction(SIGTRAP, &action, NULL) == 0, "sigaction");
    steps = 0;
    step_argument = argument;
    step_call = at_step;
    set_trap_flag();
    body(argument);
    clear_trap_flag();
    step_call = NULL;
    return steps;
}

#else

bool step_supported(void)
{
    return false;
}

size_t step_through(void (*body)(void *argument), bool (*at_step)(size_t number, void *argument),
                    void *argument)
{
    (void)at_step;
    body(argument);
    return 0;
}

#endif
