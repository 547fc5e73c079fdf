/* SPDX-License-Identifier: MIT */
/*
 * The conformance program's parts. Each function is one property of the malloc family, named after
 * it, and fails the program through CHECK; api_test.c calls them all. Single-threaded.
 */
#ifndef STRESS_API_TEST_H
#define STRESS_API_TEST_H

#include <stdbool.h>
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

/* The same of a block of any size: every byte of what is small, the ends of what is large. */
void paint_ends(void *memory, size_t size, unsigned salt);
void check_ends(const void *memory, size_t size, unsigned salt);

/* api_contract.c */
void required_functions_are_poolmallocs(void);
void blocks_of_the_c_library_are_poolmallocs(void);
void a_block_of_any_maker_goes_to_any_taker(void);
void a_block_of_any_maker_is_freed_by_another_thread(void);

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

/* What only the pools alone promise is not asked of other modes (docs/debug.md). */
bool allocator_is_the_pools(void);
bool allocator_is_the_c_librarys(void);

/* api_borders.c */
void every_maker_serves_every_class_border_and_its_neighbours(void);
void blocks_of_zero_and_one_are_distinct_whoever_makes_them(void);

/* api_limits.c */
void every_maker_refuses_what_is_larger_than_an_object_may_be(void);
void products_that_overflow_are_refused_in_either_order(void);
void a_product_with_zero_is_a_block_of_zero_bytes(void);
void very_large_requests_are_served_or_refused_with_enomem(void);

/* api_aligned.c */
void aligned_blocks_are_aligned_for_every_power_of_two(void);
void aligned_blocks_do_not_overlap(void);
void aligned_alloc_refuses_what_is_no_power_of_two(void);
void memalign_refuses_what_is_no_power_of_two(void);
void posix_memalign_returns_the_code_and_leaves_the_pointer_alone(void);
void aligned_requests_of_too_much_fail(void);
void valloc_and_pvalloc_align_to_pages(void);

/* api_alignments.c */
void alignments_up_to_4_gib_are_kept(void);
void numbers_beside_powers_of_two_are_refused_whatever_the_size(void);
void posix_memalign_takes_multiples_of_a_pointer_only(void);
void alignments_that_no_address_has_are_out_of_memory(void);
void sizes_that_wrap_when_rounded_up_are_refused(void);

/* api_realloc.c */
void realloc_of_null_is_malloc(void);
void realloc_to_zero_frees_and_returns_null(void);
void realloc_keeps_contents_over_ladders(void);
void realloc_keeps_contents_over_random_walks(void);
void realloc_that_fails_leaves_the_block_alone(void);
void reallocarray_multiplies_and_refuses_overflow(void);
void realloc_takes_aligned_blocks(void);

/* api_moves.c */
void contents_are_kept_from_every_kind_of_size_to_every_other(void);
void blocks_of_every_maker_are_resized(void);
void a_block_stays_where_it_is_when_the_documentation_says_so(void);
void refused_reallocs_leave_blocks_of_every_kind_alone(void);
void every_product_of_zero_frees_and_returns_null(void);

/* api_errno.c */
void every_maker_keeps_errno_when_it_succeeds(void);
void realloc_keeps_errno_when_it_succeeds(void);
void every_taker_keeps_errno(void);
void giving_memory_back_keeps_errno(void);
void failures_set_errno_and_successes_do_not_clear_it(void);

/* api_extras.c */
void mallinfo_adds_up_and_follows_what_is_allocated(void);
void the_old_mallinfo_says_the_same_as_far_as_an_int_goes(void);
void mallopt_accepts_what_glibc_accepts_and_refuses_the_rest(void);
void malloc_info_refuses_options_and_leaves_errno_alone(void);
void a_good_size_is_what_a_block_of_every_maker_holds(void);
void blocks_of_every_maker_are_owned_and_other_memory_is_not(void);
void blocks_of_every_maker_expand_in_place_or_stay_as_they_are(void);
void a_batch_goes_to_single_calls_and_back(void);

#endif
