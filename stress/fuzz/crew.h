/* SPDX-License-Identifier: MIT */
/*
 * Threads that take turns: exactly one of them works at any time, and the next starts when it has
 * ended, so that a run depends on nothing but its input.
 */
#ifndef STRESS_FUZZ_CREW_H
#define STRESS_FUZZ_CREW_H

enum { crew_members = 3 };

/* work(argument) on a thread: 0 the calling one, 1 .. crew_members others, made when first needed.
 * Returns when it is done. */
void crew_do(unsigned member, void (*work)(void *argument), void *argument);

/* Ends a member's thread, if there is one; the next crew_do makes it anew. */
void crew_end(unsigned member);

/* Ends all. */
void crew_end_all(void);

#endif
