/* SPDX-License-Identifier: MIT */
/*
 * See schedule.h. The shared fields here are accessed without the wrappers of atomic.h, whose
 * points would lead back here. All are relaxed: they order nothing, or ThreadSanitizer would miss
 * the races that the wrong orders of the library make.
 */
#define _GNU_SOURCE /* secure_getenv */
#include "base/schedule.h"

#if PM_SCHEDULE

#include "base/atomic.h"
#include "base/bits.h"
#include "base/report.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum {
    SPIN_PAUSES_MAX = 512,
    SLEEP_NS_MAX = 50000,
    PRIORITIES = 8,
    BURST_SHIFT_MIN = 5, /* a burst lasts for 2^5 to 2^16 points of others, each length as likely */
    BURST_SHIFT_MAX = 16,
    HOLD_NAP_NS = 20000,
    HOLD_NAPS_MAX = 200, /* some ten milliseconds */
    HOLD_STILL_NAPS = 6, /* nobody moved for so long: they wait for us, or there is nobody */
};

enum action { SPIN, YIELD, SLEEP, BURST, ACTIONS };

static const char *const action_names[ACTIONS] = {"spin", "yield", "sleep", "burst"};

#define ONE ((uint64_t)1 << 32)

/* Set before other threads allocate, for all I know; atomic all the same: points do not wait for
 * the initialisation. */
static _Atomic uint64_t run_seed = 1;
static _Atomic uint64_t rates[ACTIONS] = {ONE / 128, ONE / 64, ONE / 4096, ONE / 16384};
static void (*_Atomic registered_nap)(uint64_t ns);

static _Atomic uint64_t threads_seen;
/* Points that all threads have passed; each adds its own when it does something. */
static _Atomic uint64_t progress;
/* Until `progress` is there, threads whose priority is below the floor are held back. */
static _Atomic uint64_t burst_end;
static _Atomic uint32_t burst_floor;

/* A signal handler may interrupt any line of a point and pass points itself: what it finds half
 * done makes another sequence, nothing worse. */
struct self {
    uint64_t quiet; /* points until the next action; 0: not seeded */
    uint64_t gap;   /* what `quiet` started at */
    uint64_t state; /* of the generator, never 0 */
    uint32_t priority;
    struct pm_schedule_counts counts;
};

static __thread struct self mine __attribute__((tls_model("initial-exec")));

static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Marsaglia's xorshift, 64 bits. */
static uint64_t next_random(struct self *self)
{
    uint64_t x = self->state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    self->state = x;
    return x >> 8; /* the low bits are the weakest */
}

static uint64_t rate_of(unsigned action)
{
    return atomic_load_explicit(&rates[action], memory_order_relaxed);
}

static uint64_t rates_sum(void)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < ACTIONS; i++)
        sum += rate_of(i);
    return sum;
}

/* So that the mean is one action in ONE / sum points, and every gap up to twice that as likely. */
static void draw_gap(struct self *self)
{
    uint64_t sum = rates_sum();
    uint64_t mean = sum == 0 ? ONE : sum < ONE ? ONE / sum : 1;
    self->gap = self->quiet = 1 + next_random(self) % (2 * mean - 1);
}

static void seed_self(struct self *self, uint64_t number)
{
    uint64_t seed = atomic_load_explicit(&run_seed, memory_order_relaxed);
    *self = (struct self){.state = mix(mix(seed) + number * 0x9e3779b97f4a7c15u + 1) | 1};
    self->priority = (uint32_t)(next_random(self) % PRIORITIES);
    draw_gap(self);
}

/* Nobody's schedule can be changed: what is decided is counted and not done, or the tests of one
 * thread would take ten times as long. */
static bool is_alone(void)
{
    return atomic_load_explicit(&threads_seen, memory_order_relaxed) <= 1;
}

static void nap(uint64_t ns)
{
    void (*function)(uint64_t) = atomic_load_explicit(&registered_nap, memory_order_relaxed);
    if (function != NULL)
        function(ns);
    else
        sched_yield();
}

static uint64_t progress_now(void)
{
    return atomic_load_explicit(&progress, memory_order_relaxed);
}

/* Until the others have got so far. Bounded, and false then: they may be unable to move. */
static bool hold_until(uint64_t end)
{
    uint64_t seen = progress_now();
    unsigned still = is_alone() ? HOLD_STILL_NAPS : 0;
    for (unsigned naps = 0; naps < HOLD_NAPS_MAX && still < HOLD_STILL_NAPS; naps++) {
        nap(HOLD_NAP_NS);
        uint64_t now = progress_now();
        if (now >= end)
            return true;
        still = now == seen ? still + 1 : 0;
        seen = now;
    }
    return false;
}

/* Ends a burst in which nobody runs: else who is alone would be held back at each action. */
static void obey_burst(const struct self *self)
{
    uint64_t end = atomic_load_explicit(&burst_end, memory_order_relaxed);
    uint32_t floor = atomic_load_explicit(&burst_floor, memory_order_relaxed);
    if (progress_now() < end && self->priority < floor && !hold_until(end))
        atomic_store_explicit(&burst_end, 0, memory_order_relaxed);
}

static void spin(uint64_t pauses)
{
    while (pauses-- > 0)
        pm_cpu_relax();
}

/* A change point. */
static void burst(struct self *self, uint64_t random)
{
    unsigned shifts = BURST_SHIFT_MAX - BURST_SHIFT_MIN + 1;
    uint64_t end = progress_now() + ((uint64_t)1 << (BURST_SHIFT_MIN + random % shifts));
    random /= shifts;
    if (random % 2) {
        self->priority = 0;
        hold_until(end);
        self->priority = (uint32_t)(random / 2 % PRIORITIES);
        return;
    }
    self->priority = PRIORITIES - 1;
    atomic_store_explicit(&burst_floor, (uint32_t)(1 + random / 2 % (PRIORITIES - 1)),
                          memory_order_relaxed);
    atomic_store_explicit(&burst_end, end, memory_order_relaxed);
}

/* Which one: each as often as its rate says. */
static enum action draw_action(struct self *self)
{
    uint64_t sum = rates_sum(), random = sum == 0 ? 0 : next_random(self) % sum;
    enum action action = SPIN;
    while (action < ACTIONS && random >= rate_of(action))
        random -= rate_of(action++);
    return action;
}

static void act(struct self *self)
{
    enum action action = draw_action(self);
    uint64_t random = next_random(self);
    bool alone = is_alone();
    struct pm_schedule_counts *counts = &self->counts;
    counts->digest = mix(counts->digest ^ self->gap ^ mix(random) ^ action);
    switch (action) {
    case SPIN:
        counts->spins++;
        spin(alone ? 0 : random % SPIN_PAUSES_MAX);
        break;
    case YIELD:
        counts->yields++;
        if (!alone)
            sched_yield();
        break;
    case SLEEP:
        counts->sleeps++;
        if (!alone)
            nap(1 + random % SLEEP_NS_MAX);
        break;
    case BURST:
        counts->bursts++;
        burst(self, random);
        break;
    case ACTIONS: /* all rates are 0 */
        break;
    }
}

static PM_COLD void point_slow(struct self *self)
{
    int saved_errno = errno;
    if (self->gap == 0) {
        seed_self(self, atomic_fetch_add_explicit(&threads_seen, 1, memory_order_relaxed));
        if (self->quiet > 1) {
            self->quiet--;
            return;
        }
    }
    self->counts.points += self->gap;
    atomic_fetch_add_explicit(&progress, self->gap, memory_order_relaxed);
    act(self);
    obey_burst(self);
    draw_gap(self);
    errno = saved_errno;
}

/* A thread that is not seeded has quiet 0. */
void pm_schedule_point(void)
{
    if (pm_unlikely(mine.quiet <= 1))
        point_slow(&mine);
    else
        mine.quiet--;
}

/* "0", "1/64": so often. */
static bool parse_rate(const char *text, uint64_t *rate)
{
    char *end;
    unsigned long above = strtoul(text, &end, 10), below = 1;
    if (end == text)
        return false;
    if (*end == '/')
        below = strtoul(end + 1, &end, 10);
    if ((*end != 0 && *end != ',') || below == 0 || above > below || below >= ONE)
        return false;
    *rate = above * ONE / below;
    return true;
}

static bool parse_number(const char *text, uint64_t *number)
{
    char *end;
    *number = strtoull(text, &end, 0);
    return end != text && (*end == 0 || *end == ',');
}

static bool names(const char *setting, const char *name)
{
    size_t length = strlen(name);
    return strncmp(setting, name, length) == 0 && setting[length] == '=';
}

static bool parse_setting(const char *setting)
{
    uint64_t value;
    if (names(setting, "seed") && parse_number(strchr(setting, '=') + 1, &value)) {
        atomic_store_explicit(&run_seed, value, memory_order_relaxed);
        return true;
    }
    for (unsigned i = 0; i < ACTIONS; i++) {
        if (names(setting, action_names[i]) && parse_rate(strchr(setting, '=') + 1, &value)) {
            atomic_store_explicit(&rates[i], value, memory_order_relaxed);
            return true;
        }
    }
    pm_warn("POOLMALLOC_SCHEDULE: \"%s\" not understood; known are seed=N and spin, yield, sleep, "
            "burst=1/N",
            setting);
    return false;
}

bool pm_schedule_parse(const char *text)
{
    bool understood = true;
    while (*text) {
        understood &= parse_setting(text);
        text += strcspn(text, ",");
        text += *text == ',';
    }
    return understood;
}

void pm_schedule_restart(uint64_t number)
{
    seed_self(&mine, number);
}

void pm_schedule_start(void (*function)(uint64_t ns))
{
    int saved_errno = errno;
    const char *text = secure_getenv("POOLMALLOC_SCHEDULE");
    if (text)
        pm_schedule_parse(text);
    atomic_store_explicit(&registered_nap, function, memory_order_relaxed);
    /* The first thread has passed points already, by the default seed. */
    atomic_store_explicit(&threads_seen, 1, memory_order_relaxed);
    pm_schedule_restart(0);
    errno = saved_errno;
}

struct pm_schedule_counts pm_schedule_counts(void)
{
    struct pm_schedule_counts counts = mine.counts;
    counts.points += mine.gap - mine.quiet;
    return counts;
}

#endif
