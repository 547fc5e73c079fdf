/* SPDX-License-Identifier: MIT */
/*
 * The calls by which memory comes from the system and goes back, in front of the C library's: they
 * can be refused, and always leave their mark in errno, as a system may. A program that is linked
 * to syscalls.c gets its own calls and the library's here. Not with sanitizers, which stand there
 * too.
 */
#ifndef STRESS_MUTANTS_SYSCALLS_H
#define STRESS_MUTANTS_SYSCALLS_H

#include <stdint.h>

enum {
    REFUSE_MMAP = 1,
    REFUSE_MPROTECT = 2,
    REFUSE_MUNMAP = 4,
    REFUSE_MADVISE = 8,
    REFUSE_MREMAP = 16,
    REFUSE_ALL = 31,
};

/* From now on the calls in the set fail with ENOMEM; `pass` of them are let through before. */
void syscalls_refuse(unsigned set, uint64_t pass);
/* How many were refused since. */
uint64_t syscalls_refused(void);

#endif
