/* SPDX-License-Identifier: MIT */
/*
 * The calls of a fuzzed sequence: each reads what it needs from the model's input and makes one
 * checked call (checked.h) or a run of calls. Any thread, one at a time.
 */
#ifndef STRESS_FUZZ_CALLS_H
#define STRESS_FUZZ_CALLS_H

/* calls_make.c: blocks made and resized */
void call_malloc(void);
void call_calloc(void);
void call_aligned(void);
void call_posix_memalign(void);
void call_page_aligned(void);
void call_realloc(void);
void call_reallocarray(void);
void call_make_many(void);
void call_usable_size(void);

/* calls_free.c: blocks freed, memory given back, the allocator asked about itself */
void call_free(void);
void call_free_sized(void);
void call_free_many(void);
void call_free_all(void);
void call_realloc_to_zero(void);
void call_free_null(void);
void call_trim(void);
void call_purge(void);
void call_idle(void);
void call_check(void);
void call_glance(void);

/* calls_own.c: what poolmalloc has beyond the C library's names */
void call_heap(void);
void call_domain(void);
void call_batch(void);
void call_expand(void);
void call_walk(void);

/* calls_refuse.c: what must fail, and change nothing */
void call_too_much(void);
void call_overflow(void);
void call_realloc_too_much(void);
void call_wrong_alignment(void);
void call_aligned_too_much(void);

#endif
