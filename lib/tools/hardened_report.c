/* SPDX-License-Identifier: MIT */
/* See hardened_report.h. */
#include "tools/hardened_report.h"

#include "base/report.h"
#include "tools/stack.h"

#include <stdlib.h>

enum { FRAMES = 32 };

static void say_behind(const struct pm_harden_report *report)
{
    if (report->bytes == SIZE_MAX)
        pm_warn("%s(%p): bad canary (something wrote behind the block, to its last word)",
                report->function, report->block);
    else
        pm_warn("%s(%p): bad canary (something wrote behind the %zu bytes of the block)",
                report->function, report->block, report->bytes);
}

static void say(const struct pm_harden_report *report)
{
    switch (report->fault) {
    case PM_HARDEN_BEHIND:
        say_behind(report);
        break;
    case PM_HARDEN_BEFORE:
        pm_warn("%s(%p): something wrote before the block (of %zu bytes)", report->function,
                report->block, report->bytes);
        break;
    case PM_HARDEN_FREED:
        pm_warn("%s(%p): freed already: freed twice, or used after its free", report->function,
                report->block);
        break;
    case PM_HARDEN_WRITTEN:
        pm_warn("block %p was written to after it was freed: at byte %zu", report->block,
                report->at);
        break;
    case PM_HARDEN_LINK:
        pm_warn("block %p was written to after it was freed: its link leads nowhere",
                report->block);
        break;
    }
}

/* With the stack of the call that found it, where some service has loaded an unwinder. To load one
 * now would be to run much code in a process whose memory is damaged; a constructor of ours comes
 * before the C library's own, which it must not make run out of turn; and frame pointers alone tell
 * too little of programs that were compiled without. */
static _Noreturn void end(void)
{
    uintptr_t frames[FRAMES];
    pm_stack_report(frames, pm_stack_by_unwinder(frames, FRAMES));
    abort();
}

_Noreturn void pm_hardened_fatal(const struct pm_harden_report *report)
{
    say(report);
    end();
}

_Noreturn void pm_hardened_fatal_size(const char *function, const void *ptr, size_t told,
                                      size_t asked)
{
    pm_warn("%s(%p): wrong size: %zu bytes told, %zu asked for", function, ptr, told, asked);
    end();
}

_Noreturn void pm_hardened_fatal_alignment(const char *function, const void *ptr, size_t told)
{
    pm_warn("%s(%p): wrong alignment: the block is not aligned to %zu", function, ptr, told);
    end();
}
