/* SPDX-License-Identifier: MIT */
/*
 * A thread that is stopped before each instruction of a call: so a test meets every moment at which
 * the scheduler, or a signal, could have stopped it, and needs no luck. The processor's trap flag
 * raises SIGTRAP after each instruction; the handler calls the test. x86-64 without sanitizers.
 */
#ifndef STRESS_MUTANTS_STEP_H
#define STRESS_MUTANTS_STEP_H

#include <stdbool.h>
#include <stddef.h>

/* False: here no thread can be stepped. */
bool step_supported(void);

/* Runs body(argument) in the calling thread and calls at_step(number, argument), from a signal
 * handler, before each of its instructions (from 0), as long as it returns true; how many times. */
size_t step_through(void (*body)(void *argument), bool (*at_step)(size_t number, void *argument),
                    void *argument);

/* Ends a program that hangs; STRESS_ALARM_SECONDS in the environment, or `seconds`. */
void alarm_guard(unsigned seconds);

#endif
