/* SPDX-License-Identifier: MIT */
/*
 * A filter for system calls, written by hand for the kernel's machine. Every rule is a call and,
 * for some of its arguments, the values that it may have. One thread builds and puts it on; it
 * holds for all threads that are started later, and for children and programs.
 */
#ifndef STRESS_SECCOMP_FILTER_H
#define STRESS_SECCOMP_FILTER_H

/* Reads a rule, NAME or NAME:ARGUMENT=VALUE,VALUE... with numbers; ends the program when it cannot
 * be understood. */
void filter_add(const char *rule);

/* From now on what fits no rule ends the process by SIGSYS. */
void filter_allow_only(void);

/* From now on what fits a rule fails with that errno value, and all else goes on. */
void filter_refuse(int error);

#endif
