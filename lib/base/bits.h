/* SPDX-License-Identifier: MIT */
/* Compiler hints and arithmetic on words of bits. Pure functions, any thread. */
#ifndef PM_BASE_BITS_H
#define PM_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define pm_likely(x) __builtin_expect(!!(x), 1)
#define pm_unlikely(x) __builtin_expect(!!(x), 0)
#define PM_COLD __attribute__((noinline, cold))
#define PM_NOINLINE __attribute__((noinline))
#define PM_INLINE static inline __attribute__((always_inline))
#define PM_HIDDEN __attribute__((visibility("hidden")))

static inline size_t pm_align_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

/* The address without the tag that programs may keep in its top byte on aarch64, where the
 * processor does not look at that byte. */
static inline void *pm_untagged(const void *ptr)
{
#if defined(__aarch64__)
    return (void *)((uintptr_t)ptr & (((uintptr_t)1 << 56) - 1));
#else
    return (void *)(uintptr_t)ptr;
#endif
}

static inline bool pm_is_pow2(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* The place of the highest bit set; n is not 0. */
static inline unsigned pm_log2_floor(uint64_t n)
{
    return 63u - (unsigned)__builtin_clzll(n);
}

/* n bits from bit `first` on; n = 0..64, first + n <= 64. */
static inline uint64_t pm_bits_run(unsigned first, unsigned n)
{
    return n == 0 ? 0 : (~(uint64_t)0 >> (64 - n)) << first;
}

/* The bits at which a run of n (1..64) set bits of `word` starts. Each step doubles the length
 * that a surviving bit stands for. */
static inline uint64_t pm_bits_run_starts(uint64_t word, unsigned n)
{
    for (unsigned have = 1; have < n && word != 0;) {
        unsigned step = n - have < have ? n - have : have;
        word &= word >> step;
        have += step;
    }
    return word;
}

/* The length of the longest run of set bits, 0..64, of a word with many: first the powers of two,
 * then what fits on top. */
static inline unsigned pm_bits_longest_of_many(uint64_t word)
{
    uint64_t starts[7] = {word}; /* of runs of 1, 2, 4... */
    unsigned power = 0;
    if (word == 0)
        return 0;
    for (uint64_t next; power < 6; power++) {
        next = starts[power] & starts[power] >> (1u << power);
        if (next == 0)
            break;
        starts[power + 1] = next;
    }
    unsigned n = 1u << power;
    for (uint64_t found = starts[power]; power-- > 0;) {
        uint64_t longer = n < 64 ? found & starts[power] >> n : 0;
        if (longer != 0) {
            found = longer;
            n += 1u << power;
        }
    }
    return n;
}

/* The same of any word. Mostly there are few runs, which are quicker to look at one by one. */
static inline unsigned pm_bits_longest_run(uint64_t word)
{
    unsigned longest = 0;
    for (unsigned runs = 0; word != 0; runs++) {
        if (runs == 4) {
            unsigned rest = pm_bits_longest_of_many(word);
            return rest > longest ? rest : longest;
        }
        word >>= __builtin_ctzll(word);
        if (~word == 0)
            return 64;
        unsigned run = (unsigned)__builtin_ctzll(~word);
        longest = run > longest ? run : longest;
        word >>= run;
    }
    return longest;
}

/* How many bits are set, of each byte in its place. Without the instruction for it, which not every
 * x86-64 has, the compiler calls a function. */
static inline uint64_t pm_bits_count_bytes(uint64_t word)
{
    word -= word >> 1 & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
    return (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
}

static inline unsigned pm_bits_count(uint64_t word)
{
    return (unsigned)(pm_bits_count_bytes(word) * 0x0101010101010101u >> 56);
}

#endif
