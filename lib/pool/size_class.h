/* SPDX-License-Identifier: MIT */
/*
 * Size classes: 8-byte steps up to PM_SMALL_MAX (class (n - 1) / 8), above it 8 steps per doubling.
 * malloc uses only the classes whose size is a multiple of the granule. Pools of kind gc have
 * classes of their own, with sizes that malloc's classes have as well: what lies in a pool is told
 * by its class alone (docs/decisions/021-gc-pools-are-classes.md). Pure functions.
 *
 *   class             0  1  2  3 ... 62  63  64 ... 119         granule 16: the even ones are gc's
 *   its block size   16 16 24 32 ... 512 512 576 ...
 *
 *   class             0  1  2  3 ... 63  64 ... 95  96 97 ...   granule 8: gc's are behind all
 *   its block size    8 16 24 32 ... 512 576 ...    16 24 ...
 *
 * There is room for 32 classes of gc pools: 8-byte steps from 16 to 80, where most objects are and
 * the most would be lost, then 16-byte steps to 384, then 32-byte steps. So a size that is a
 * multiple of 16 has blocks on multiples of 16
 * (docs/decisions/032-gc-blocks-in-steps-of-8-bytes.md).
 */
#ifndef PM_POOL_SIZE_CLASS_H
#define PM_POOL_SIZE_CLASS_H

#include "base/bits.h"
#include "base/config.h"

/* The smallest class that holds n bytes, n = 1..PM_SMALL_MAX. */
PM_INLINE unsigned pm_class_small(size_t n)
{
    return (unsigned)((n - 1) >> 3) | (PM_GRANULE_SHIFT == 4);
}

/* The same for n = PM_SMALL_MAX + 1 .. PM_BLOCK_MAX. */
PM_INLINE unsigned pm_class_medium(size_t n)
{
    unsigned log2 = pm_log2_floor(n - 1);
    return PM_SMALL_CLASSES + (log2 - 9) * 8 + ((unsigned)((n - 1) >> (log2 - 3)) & 7);
}

/* The same for n = last_byte + 1 = PM_DIRECT_MAX + 1 .. PM_BLOCK_MAX by one look-up, which costs a
 * fast path less than to compute it. */
#define PM_CLASS_STEP_SHIFT 7 /* of the class above PM_DIRECT_MAX, the smallest step of these */
extern const uint8_t pm_class_steps[PM_BLOCK_MAX >> PM_CLASS_STEP_SHIFT] PM_HIDDEN;

PM_INLINE unsigned pm_class_by_step(size_t last_byte)
{
    return pm_class_steps[last_byte >> PM_CLASS_STEP_SHIFT];
}

/* n = 0..PM_BLOCK_MAX; 0 is served like 1. */
PM_INLINE unsigned pm_class_of(size_t n)
{
    return n > PM_SMALL_MAX ? pm_class_medium(n) : pm_class_small(n + (n == 0));
}

#define PM_GC_FINE_MAX 80
#define PM_GC_MIDDLE_MAX 384

/* Of pools of kind gc. */
PM_INLINE bool pm_class_is_gc(unsigned class)
{
    if (PM_GC_AMID)
        return class < PM_SMALL_CLASSES && class % 2 == 0;
    return class >= PM_PLAIN_CLASSES;
}

/* The smallest of these that holds n bytes, n = 9..PM_SMALL_MAX. */
PM_INLINE unsigned pm_class_gc(size_t n)
{
    size_t words = (n + 7) / 8, number;
    if (words <= PM_GC_FINE_MAX / 8)
        number = words - 2;
    else if (words <= PM_GC_MIDDLE_MAX / 8)
        number = (words + 1) / 2 + 3;
    else
        number = (words + 3) / 4 + 15;
    return (unsigned)(PM_GC_AMID ? number * 2 : PM_PLAIN_CLASSES + number);
}

static inline uint32_t pm_class_gc_bytes(unsigned class)
{
    unsigned number = PM_GC_AMID ? class / 2 : class - PM_PLAIN_CLASSES;
    if (number <= (PM_GC_FINE_MAX - 16) / 8)
        return 16 + number * 8;
    return number < PM_GC_MIDDLE_MAX / 16 + 4 ? (number - 3) * 16 : (number - 15) * 32;
}

static inline uint32_t pm_class_bytes(unsigned class)
{
    if (pm_class_is_gc(class))
        return pm_class_gc_bytes(class);
    if (class < PM_SMALL_CLASSES)
        return (class + 1) * 8;
    unsigned step = class - PM_SMALL_CLASSES;
    return (8 + step % 8 + 1) << (step / 8 + 6);
}

/* Units of a pool of that class: PM_POOL_MIN_BLOCKS blocks as far as PM_POOL_UNITS_MAX allows. */
static inline unsigned pm_class_units(unsigned class)
{
    size_t bytes = pm_class_bytes(class);
    if (bytes <= PM_SMALL_MAX)
        return 1;
    size_t units = (bytes * PM_POOL_MIN_BLOCKS + PM_UNIT_BYTES - 1) >> PM_UNIT_SHIFT;
    return units > PM_POOL_UNITS_MAX ? PM_POOL_UNITS_MAX : (unsigned)units;
}

/* Where the first block of a pool of that class starts, in bytes from the pool's base. */
static inline unsigned pm_class_first(unsigned class)
{
    size_t bytes = pm_class_bytes(class);
    if (PM_POOL_HEADER_BYTES == 0 && bytes >= PM_COLOUR_MIN_BYTES &&
        bytes % PM_COLOUR_PAGE_BYTES == 0)
        return PM_LINE_BYTES;
    return PM_POOL_HEADER_BYTES;
}

static inline unsigned pm_class_capacity(unsigned class)
{
    size_t bytes = ((size_t)pm_class_units(class) << PM_UNIT_SHIFT) - pm_class_first(class);
    return (unsigned)(bytes / pm_class_bytes(class));
}

/* How many blocks of the class a thread gets before it has a pool of it. Of kind gc none: what is
 * collected lies with its thread. */
static inline unsigned pm_class_calls_before_pool(unsigned class)
{
    unsigned calls = pm_class_bytes(class) / PM_CALLS_BLOCK_BYTES;
    if (pm_class_is_gc(class))
        return 0;
    if (calls < PM_CALLS_BEFORE_POOL_MIN)
        return PM_CALLS_BEFORE_POOL_MIN;
    return calls > PM_CALLS_BEFORE_POOL_MAX ? PM_CALLS_BEFORE_POOL_MAX : calls;
}

/* The smallest class of malloc for n bytes whose blocks all lie on multiples of `align` (a power of
 * two), or PM_CLASSES: none does. */
static inline unsigned pm_class_aligned(size_t n, size_t align)
{
    if (align > PM_UNIT_BYTES || n > PM_BLOCK_MAX)
        return PM_CLASSES;
    _Static_assert(PM_BLOCK_MAX % PM_UNIT_BYTES == 0, "so it holds what is rounded up");
    unsigned class = pm_class_of(pm_align_up(n ? n : 1, align));
    while (class < PM_CLASSES &&
           (pm_class_is_gc(class) || (pm_class_bytes(class) | pm_class_first(class)) % align != 0))
        class ++;
    return class;
}

/* Up to this size what is rounded up to a multiple of an alignment lies in malloc's class for it,
 * as pm_class_aligned says, where pools have no header: steps between classes are powers of two, so
 * what is a multiple of more than its step is a class, and what is not has a multiple of the step.
 * The next larger class is the first that may be coloured. */
#define PM_ROUNDED_MAX (PM_COLOUR_MIN_BYTES - PM_COLOUR_MIN_BYTES / 16)

_Static_assert(PM_SMALL_CLASSES == PM_SMALL_MAX / 8, "8-byte steps");
_Static_assert(PM_GC_AMID || PM_GRANULE_SHIFT == 3, "malloc's classes and gc's do not meet");
_Static_assert(PM_DIRECT_MAX >= PM_SMALL_MAX && PM_DIRECT_MAX <= PM_BLOCK_MAX, "direct sizes");

#endif
