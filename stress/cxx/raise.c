/* SPDX-License-Identifier: MIT */
/*
 * A C program that replaces operator new by one that raises an exception, with the unwinder alone
 * and a C++ runtime of three functions: every nothrow form catches it, and the registers and the
 * stack are as they were. It shows so where there is no C++ compiler for the tests.
 */
#include "check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unwind.h>

#define EXPORTED __attribute__((visibility("default")))
void *operator_new(size_t size) __asm__("_Znwm") EXPORTED;
void *operator_new_aligned(size_t size, size_t alignment) __asm__("_ZnwmSt11align_val_t") EXPORTED;
void *new_nothrow(size_t size, const void *tag) __asm__("_ZnwmRKSt9nothrow_t");
void *new_array_nothrow(size_t size, const void *tag) __asm__("_ZnamRKSt9nothrow_t");
void *new_aligned_nothrow(size_t size, size_t alignment,
                          const void *tag) __asm__("_ZnwmSt11align_val_tRKSt9nothrow_t");
void *new_array_aligned_nothrow(size_t size, size_t alignment,
                                const void *tag) __asm__("_ZnamSt11align_val_tRKSt9nothrow_t");

/* Of the runtime, as far as what is raised here needs it. */
void *begin_catch(void *exception) __asm__("__cxa_begin_catch") EXPORTED;
void end_catch(void) __asm__("__cxa_end_catch") EXPORTED;
void throw_nothing(void *exception, const void *type,
                   void (*end)(void *)) __asm__("__cxa_throw") EXPORTED;

static struct _Unwind_Exception raised;
static volatile unsigned begun, ended; /* clang knows that operator new changes no variables */

void *begin_catch(void *exception)
{
    CHECK(exception == &raised, "%p is caught, not %p", exception, (void *)&raised);
    begun++;
    return exception;
}

void end_catch(void)
{
    ended++;
}

void throw_nothing(void *exception, const void *type, void (*end)(void *))
{
    CHECK(false, "%p, %p: nobody throws", exception, type);
    end(exception);
}

/* So deep, with a frame each. */
static __attribute__((noinline)) void *raise_from(unsigned depth)
{
    volatile unsigned char frame[100] = {(unsigned char)depth};
    if (depth > 0)
        return (char *)raise_from(depth - 1) + frame[0];
    raised.exception_class = 0x706f6f6c6d616c6c;
    _Unwind_RaiseException(&raised); /* comes back when nobody catches: */
    return &raised;
}

void *operator_new(size_t size)
{
    return raise_from((unsigned)size % 10);
}

void *operator_new_aligned(size_t size, size_t alignment)
{
    return raise_from((unsigned)(size + alignment) % 10);
}

int main(void)
{
    /* As many values as stay in registers over a call. */
    uintptr_t a = 1, b = 2, c = 3, d = 4, e = 5;
    for (unsigned i = 1; i <= 1000; i++) {
        void *volatile plain = new_nothrow(i, ""), *volatile array = new_array_nothrow(i, "");
        void *volatile aligned = new_aligned_nothrow(i, 64, "");
        void *volatile both = new_array_aligned_nothrow(i, 64, "");
        CHECK(!plain && !array && !aligned && !both, "a block");
        CHECK(begun == 4 * i && ended == begun, "%u begun, %u ended of %u", begun, ended, 4 * i);
        a += i, b += a, c ^= b, d += c, e ^= d;
        __asm__("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e));
    }
    uintptr_t a2 = 1, b2 = 2, c2 = 3, d2 = 4, e2 = 5;
    for (unsigned i = 1; i <= 1000; i++)
        a2 += i, b2 += a2, c2 ^= b2, d2 += c2, e2 ^= d2;
    CHECK(a == a2 && b == b2 && c == c2 && d == d2 && e == e2, "a register changed");
    return 0;
}
