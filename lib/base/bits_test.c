/* SPDX-License-Identifier: MIT */
/* Arithmetic on words of bits, beside naive loops. */
#include "base/bits.h"
#include "base/testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { WORDS = 20000 };

/* Words with runs of all lengths: sums of runs, their complements, sparse and dense words. */
static uint64_t random_word(uint64_t *seed)
{
    uint64_t word = test_random(seed);
    switch (test_random_below(seed, 4)) {
    case 0:
        return word & test_random(seed) & test_random(seed);
    case 1:
        return word | test_random(seed) | test_random(seed);
    case 2:
        return word << test_random_below(seed, 64) >> test_random_below(seed, 64);
    default:
        return word;
    }
}

static bool naive_run_at(uint64_t word, unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++) {
        if (i >= 64 || (word >> i & 1) == 0)
            return false;
    }
    return true;
}

static void run_starts_are_those_of_a_naive_search(void **state)
{
    uint64_t seed = 1;
    (void)state;
    for (int i = 0; i < WORDS; i++) {
        uint64_t word = i == 0 ? ~(uint64_t)0 : i == 1 ? 0 : random_word(&seed);
        unsigned n = i < 2 ? 64 : 1 + (unsigned)test_random_below(&seed, 64);
        uint64_t naive = 0;
        for (unsigned first = 0; first < 64; first++)
            naive |= (uint64_t)naive_run_at(word, first, n) << first;
        assert_int_equal(pm_bits_run_starts(word, n), naive);
    }
}

static void run_starts_of_every_length_of_a_full_word_leave_room_for_the_run(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 64; n++)
        assert_int_equal(pm_bits_run_starts(~(uint64_t)0, n), ~(uint64_t)0 >> (n - 1));
}

static void longest_run_is_that_of_a_naive_count(void **state)
{
    uint64_t seed = 2;
    (void)state;
    for (int i = 0; i < WORDS; i++) {
        uint64_t word = i == 0 ? ~(uint64_t)0 : i == 1 ? 0 : random_word(&seed);
        unsigned longest = 0, length = 0;
        for (unsigned bit = 0; bit < 64; bit++) {
            length = word >> bit & 1 ? length + 1 : 0;
            longest = length > longest ? length : longest;
        }
        assert_int_equal(pm_bits_longest_run(word), longest);
    }
}

static void a_run_has_its_bits_and_no_others(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 64; first++) {
        for (unsigned n = 0; first + n <= 64; n++) {
            uint64_t naive = 0;
            for (unsigned i = first; i < first + n; i++)
                naive |= (uint64_t)1 << i;
            assert_int_equal(pm_bits_run(first, n), naive);
        }
    }
    assert_int_equal(pm_bits_run(64, 0), 0);
}

static void align_up_gives_the_next_multiple_and_keeps_multiples(void **state)
{
    (void)state;
    for (size_t align = 1; align <= 4096; align *= 2) {
        for (size_t n = 0; n <= 2 * align; n++) {
            size_t up = pm_align_up(n, align);
            assert_true(up >= n && up - n < align && up % align == 0);
        }
    }
}

static void powers_of_two_are_those_with_one_bit(void **state)
{
    (void)state;
    assert_false(pm_is_pow2(0));
    for (unsigned i = 0; i < 64; i++) {
        assert_true(pm_is_pow2((size_t)1 << i));
        assert_false(i > 0 && pm_is_pow2(((size_t)1 << i) | 1));
    }
}

static void log2_floor_is_the_place_of_the_highest_bit(void **state)
{
    uint64_t seed = 3;
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        uint64_t below = i == 0 ? 0 : test_random(&seed) & (((uint64_t)1 << i) - 1);
        assert_int_equal(pm_log2_floor(((uint64_t)1 << i) | below), i);
    }
}

static void counts_are_those_of_the_compiler(void **state)
{
    uint64_t seed = 4;
    (void)state;
    assert_int_equal(pm_bits_count(0), 0);
    assert_int_equal(pm_bits_count(~(uint64_t)0), 64);
    for (int i = 0; i < 10000; i++) {
        uint64_t word = test_random(&seed) & test_random(&seed);
        assert_int_equal(pm_bits_count(word), __builtin_popcountll(word));
        for (unsigned at = 0; at < 64; at += 8)
            assert_int_equal(pm_bits_count_bytes(word) >> at & 0xff,
                             __builtin_popcount((unsigned)(word >> at & 0xff)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_starts_are_those_of_a_naive_search),
        cmocka_unit_test(run_starts_of_every_length_of_a_full_word_leave_room_for_the_run),
        cmocka_unit_test(longest_run_is_that_of_a_naive_count),
        cmocka_unit_test(a_run_has_its_bits_and_no_others),
        cmocka_unit_test(align_up_gives_the_next_multiple_and_keeps_multiples),
        cmocka_unit_test(powers_of_two_are_those_with_one_bit),
        cmocka_unit_test(log2_floor_is_the_place_of_the_highest_bit),
        cmocka_unit_test(counts_are_those_of_the_compiler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
