/* SPDX-License-Identifier: MIT */
/*
 * What a fuzz target gives to its driver: libFuzzer, or replay.c, which does without it.
 */
#ifndef STRESS_FUZZ_FUZZ_H
#define STRESS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's name for it. Ends the program when the input shows a fault; else returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* After the last input; libFuzzer does not call it. */
void fuzz_finish(void);

#endif
