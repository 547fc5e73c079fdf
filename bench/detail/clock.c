/* SPDX-License-Identifier: MIT */
/* Choice, calibration and step of the clock; see clock.h. */
#include "detail/clock.h"

#include <stdlib.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum { CALIBRATION_NS = 10000000, TRIES = 16, STEP_SAMPLES = 1000 };

struct detail_clock detail_clock;

/* The counter neither stops nor changes its speed with the processor's. */
static bool counter_is_steady(void)
{
#if defined(__x86_64__)
    const unsigned leaf = 0x80000007, invariant_tsc = 1u << 8;
    unsigned a, b, c, d;
    return __get_cpuid(leaf, &a, &b, &c, &d) != 0 && (d & invariant_tsc) != 0;
#else
    return true;
#endif
}

struct moment {
    uint64_t ticks, ns;
};

/* Both clocks at one moment: of some tries the one that was interrupted least. */
static struct moment read_both(void)
{
    struct moment best = {0, 0};
    uint64_t narrowest = UINT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        uint64_t before = detail_ticks();
        uint64_t ns = detail_monotonic_ns();
        uint64_t width = detail_ticks() - before;
        if (width < narrowest) {
            narrowest = width;
            best = (struct moment){before + width / 2, ns};
        }
    }
    return best;
}

static double calibrate(void)
{
    struct moment first = read_both(), last;
    do
        last = read_both();
    while (last.ns - first.ns < CALIBRATION_NS);
    return (double)(last.ns - first.ns) / (double)(last.ticks - first.ticks);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* The least by which two times differ. A clock of fine steps shows so many times that some are
 * neighbours. */
static uint64_t find_step(void)
{
    static uint64_t times[STEP_SAMPLES + 1]; /* the first stays 0 */
    for (int i = 1; i <= STEP_SAMPLES; i++) {
        uint64_t start = detail_ticks();
        times[i] = detail_ticks() - start;
    }
    qsort(times, STEP_SAMPLES + 1, sizeof(times[0]), compare);
    uint64_t least = times[STEP_SAMPLES];
    for (int i = 1; i <= STEP_SAMPLES; i++)
        if (times[i] > times[i - 1] && times[i] - times[i - 1] < least)
            least = times[i] - times[i - 1];
    return least > 0 ? least : 1;
}

void detail_clock_start(void)
{
    detail_clock.counter = counter_is_steady();
    detail_clock.ns_per_tick = detail_clock.counter ? calibrate() : 1;
    detail_clock.step = find_step();
}
