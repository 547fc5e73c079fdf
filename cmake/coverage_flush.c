/* SPDX-License-Identifier: MIT */
/*
 * Linked into every program of the coverage build, and of no other: a process that ends by _exit or
 * abort (children of tests, death tests) writes its counters first, which the compiler's runtime
 * does at exit only. The linker leads the calls here (--wrap, cmake/flags.cmake), so neither the
 * library nor the tests know of it. A process that is ended by a signal from outside writes none.
 */
#include <stdlib.h>
#include <unistd.h>

void __gcov_dump(void);
_Noreturn void __real__exit(int status);
_Noreturn void __real__Exit(int status);
_Noreturn void __real_quick_exit(int status);
_Noreturn void __real_abort(void);
_Noreturn void __wrap__exit(int status);
_Noreturn void __wrap__Exit(int status);
_Noreturn void __wrap_quick_exit(int status);
_Noreturn void __wrap_abort(void);

void __wrap__exit(int status)
{
    __gcov_dump();
    __real__exit(status);
}

void __wrap__Exit(int status)
{
    __gcov_dump();
    __real__Exit(status);
}

void __wrap_quick_exit(int status)
{
    __gcov_dump();
    __real_quick_exit(status);
}

void __wrap_abort(void)
{
    __gcov_dump();
    __real_abort();
}
