/* SPDX-License-Identifier: MIT */
/*
 * catch (...) in C. Whether a function catches an exception that passes through it, the unwinder
 * asks its personality routine, which the compilers set for functions of C++ only. So one function,
 * pm_cxx_call, is written in assembler, with a personality of ours.
 *
 *   pm_cxx_caught -> pm_cxx_call -> call(argument)    returns: so do the others
 *                                                     throws: the unwinder asks pm_cxx_personality,
 *                        pm_cxx_landing <-            takes all frames off up to pm_cxx_call,
 *                        pm_cxx_swallow <-            which ends the exception and returns NULL
 */
#include "api/cxx.h"
#include "base/config.h"

#if PM_OVERRIDE

/* That of the innermost pm_cxx_caught of the thread: the unwinder brings no argument along. A copy:
 * where a longjmp left that call, the next one out finds this one's, whose frame is gone. */
static __thread struct pm_cxx_runtime catching;

#if defined(__x86_64__) || defined(__aarch64__)

void *pm_cxx_call(void *(*call)(const void *), const void *argument) PM_HIDDEN;
extern const char pm_cxx_landing[] PM_HIDDEN;
/* Called from the assembler code and by the unwinder only. */
_Unwind_Reason_Code
pm_cxx_personality(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
                   struct _Unwind_Exception *exception, struct _Unwind_Context *context)
    __attribute__((used)) PM_HIDDEN;
void *pm_cxx_swallow(void *exception) __attribute__((used)) PM_HIDDEN;

#define FUNCTION(name) ".globl " name "\n.hidden " name "\n.type " name ", %function\n" name ":\n"

/* The landing has the frame of the call. Direct jumps need no mark of a branch target; the
 * unwinder's to the landing does. */
#if defined(__x86_64__)
#define CODE                                                                                       \
    FUNCTION("pm_cxx_call")                                                                        \
    ".cfi_startproc\n"                                                                             \
    ".cfi_personality 0x1b, pm_cxx_personality\n"                                                  \
    "subq $8, %rsp\n"                                                                              \
    ".cfi_def_cfa_offset 16\n"                                                                     \
    "movq %rdi, %rax\n"                                                                            \
    "movq %rsi, %rdi\n"                                                                            \
    "call *%rax\n"                                                                                 \
    "addq $8, %rsp\n"                                                                              \
    ".cfi_def_cfa_offset 8\n"                                                                      \
    "ret\n" FUNCTION("pm_cxx_landing") ".cfi_def_cfa_offset 16\n"                                  \
                                       "endbr64\n"                                                 \
                                       "movq %rax, %rdi\n"                                         \
                                       "addq $8, %rsp\n"                                           \
                                       ".cfi_def_cfa_offset 8\n"                                   \
                                       "jmp pm_cxx_swallow\n"                                      \
                                       ".cfi_endproc\n"
#else
#define CODE                                                                                       \
    FUNCTION("pm_cxx_call")                                                                        \
    ".cfi_startproc\n"                                                                             \
    ".cfi_personality 0x1b, pm_cxx_personality\n"                                                  \
    "stp x29, x30, [sp, #-16]!\n"                                                                  \
    ".cfi_def_cfa_offset 16\n"                                                                     \
    ".cfi_offset 29, -16\n"                                                                        \
    ".cfi_offset 30, -8\n"                                                                         \
    "mov x29, sp\n"                                                                                \
    "mov x2, x0\n"                                                                                 \
    "mov x0, x1\n"                                                                                 \
    "blr x2\n"                                                                                     \
    ".cfi_remember_state\n"                                                                        \
    "ldp x29, x30, [sp], #16\n"                                                                    \
    ".cfi_restore 29\n"                                                                            \
    ".cfi_restore 30\n"                                                                            \
    ".cfi_def_cfa_offset 0\n"                                                                      \
    "ret\n" FUNCTION("pm_cxx_landing") ".cfi_restore_state\n"                                      \
                                       "hint #36\n" /* bti j */                                    \
                                       "ldp x29, x30, [sp], #16\n"                                 \
                                       ".cfi_restore 29\n"                                         \
                                       ".cfi_restore 30\n"                                         \
                                       ".cfi_def_cfa_offset 0\n"                                   \
                                       "b pm_cxx_swallow\n"                                        \
                                       ".cfi_endproc\n"
#endif
__asm__(".pushsection .text\n.p2align 4\n" CODE ".popsection\n");

/* The unwinder comes twice: to find out who catches, and when the frames below are off. What ends a
 * thread (pthread_exit, cancellation) unwinds, too, and is not to be caught. */
_Unwind_Reason_Code pm_cxx_personality(int version, _Unwind_Action actions,
                                       _Unwind_Exception_Class class,
                                       struct _Unwind_Exception *exception,
                                       struct _Unwind_Context *context)
{
    const struct pm_cxx_runtime *runtime = &catching;
    bool can_catch = runtime->begin_catch != NULL && runtime->end_catch != NULL &&
                     runtime->set_register != NULL && runtime->set_address != NULL;
    (void)version, (void)class;
    if (!can_catch || actions & _UA_FORCE_UNWIND)
        return _URC_CONTINUE_UNWIND;
    if (actions & _UA_SEARCH_PHASE)
        return _URC_HANDLER_FOUND;
    if (!(actions & _UA_HANDLER_FRAME))
        return _URC_CONTINUE_UNWIND;
    runtime->set_register(context, __builtin_eh_return_data_regno(0), (_Unwind_Word)exception);
    runtime->set_address(context, (_Unwind_Ptr)pm_cxx_landing);
    return _URC_INSTALL_CONTEXT;
}

void *pm_cxx_swallow(void *exception)
{
    catching.begin_catch(exception);
    catching.end_catch();
    return NULL;
}

#else

static void *pm_cxx_call(void *(*call)(const void *), const void *argument)
{
    return call(argument);
}

#endif

void *pm_cxx_caught(const struct pm_cxx_runtime *runtime, void *(*call)(const void *),
                    const void *argument)
{
    const struct pm_cxx_runtime outer = catching;
    catching = *runtime;
    void *result = pm_cxx_call(call, argument);
    catching = outer;
    return result;
}

#endif
