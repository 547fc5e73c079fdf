/* SPDX-License-Identifier: MIT */
/*
 * The conformance program's parts. Each function is one property of the malloc family, named after
 * it, and fails the program through CHECK; api_test.c calls them all. Single-threaded.
 */
#ifndef STRESS_API_TEST_H
#define STRESS_API_TEST_H

#include <stddef.h>

/* Builds in which every access is watched do a sixteenth of what costs by the byte. */
#ifndef STRESS_REDUCED
#define STRESS_REDUCED 0
#endif
#define REDUCED(size) (STRESS_REDUCED ? (size) / 16 : (size))

/* Calls `visit` with 0, 1, every class border up to `highest`, REDUCED, and its
 * neighbours. */
void for_each_border(size_t highest, void (*visit)(size_t size));

/* Hides a value from the compiler, which else warns of (or folds) a wrong call made on purpose. */
size_t opaque_size(size_t size);
void *opaque_pointer(void *pointer);

/* Fills memory with bytes that depend on the place and on `salt`; checks them again. */
void paint(void *memory, size_t size, unsigned salt);
void check_paint(const void *memory, size_t size, unsigned salt);

/* api_sizes.c */
void malloc_gives_writable_distinct_blocks_of_every_size(void);
void malloc_of_zero_gives_unique_pointers(void);
void malloc_of_too_much_fails_with_enomem(void);
void usable_size_is_wholly_writable(void);
void calloc_is_zero_after_dirty_reuse(void);
void calloc_refuses_overflow(void);
void free_preserves_errno(void);
void free_of_null_does_nothing(void);
void sized_frees_take_the_size_asked_for(void);
void trim_leaves_live_blocks_alone(void);

/* api_aligned.c */
void aligned_blocks_are_aligned_for_every_power_of_two(void);
void aligned_blocks_do_not_overlap(void);
void aligned_alloc_refuses_what_is_no_power_of_two(void);
void memalign_refuses_what_is_no_power_of_two(void);
void posix_memalign_returns_the_code_and_leaves_the_pointer_alone(void);
void aligned_requests_of_too_much_fail(void);
void valloc_and_pvalloc_align_to_pages(void);

/* api_realloc.c */
void realloc_of_null_is_malloc(void);
void realloc_to_zero_frees_and_returns_null(void);
void realloc_keeps_contents_over_ladders(void);
void realloc_keeps_contents_over_random_walks(void);
void realloc_that_fails_leaves_the_block_alone(void);
void reallocarray_multiplies_and_refuses_overflow(void);
void realloc_takes_aligned_blocks(void);

#endif
