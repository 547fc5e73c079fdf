/* SPDX-License-Identifier: MIT */
/* The table of pm_class_by_step: see size_class.h. Read by any thread. */
#include "pool/size_class.h"

/* The `i`-th class of a doubling; the first doubling is from PM_DIRECT_MAX on, in single steps. */
#define CLASS(doubling, i)                                                                         \
    [(8 + (i)) << (doubling)...((9 + (i)) << (doubling)) - 1] =                                    \
        PM_SMALL_CLASSES + (FIRST_LOG2 - 9 + (doubling)) * 8 + (i)
#define DOUBLING(d)                                                                                \
    CLASS(d, 0), CLASS(d, 1), CLASS(d, 2), CLASS(d, 3), CLASS(d, 4), CLASS(d, 5), CLASS(d, 6),     \
        CLASS(d, 7)
#define FIRST_LOG2 10

_Static_assert(PM_DIRECT_MAX == 1 << FIRST_LOG2, "below, the table would need smaller steps");
_Static_assert(PM_CLASS_STEP_SHIFT == FIRST_LOG2 - 3, "8 steps per doubling");

const uint8_t pm_class_steps[PM_BLOCK_MAX >> PM_CLASS_STEP_SHIFT] = {
    DOUBLING(0), DOUBLING(1), DOUBLING(2),
#if PM_BLOCK_MAX_SHIFT >= 14
    DOUBLING(3),
#endif
#if PM_BLOCK_MAX_SHIFT >= 15
    DOUBLING(4),
#endif
#if PM_BLOCK_MAX_SHIFT >= 16
    DOUBLING(5),
#endif
};
