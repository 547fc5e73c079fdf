/* SPDX-License-Identifier: MIT */
/* Filters of system calls: see filter.h. */
#include "filter.h"
#include "check.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define THIS_MACHINE AUDIT_ARCH_X86_64
#else
#define THIS_MACHINE AUDIT_ARCH_AARCH64
#endif

enum { RULES_MAX = 80, LIMITS_MAX = 3, VALUES_MAX = 16, STEPS_MAX = 2048, SKIPPED = 77 };

/* An argument of a call, and the values that it may have. */
struct limit {
    unsigned argument, values;
    uint32_t value[VALUES_MAX];
};

struct rule {
    long call;
    unsigned limits;
    struct limit limit[LIMITS_MAX];
};

static struct rule rules[RULES_MAX];
static unsigned rule_count;
static struct sock_filter steps[STEPS_MAX];
static unsigned step_count;

#define CALL(name)                                                                                 \
    {                                                                                              \
#name, SYS_##name                                                                          \
    }

/* All that docs/seccomp.md and seccomp.py name. */
static const struct call {
    const char *name;
    long number;
} calls[] = {
    CALL(mmap),           CALL(munmap),        CALL(mprotect),
    CALL(madvise),        CALL(mremap),        CALL(futex),
    CALL(openat),         CALL(read),          CALL(close),
    CALL(fstat),          CALL(newfstatat),    CALL(write),
    CALL(prctl),          CALL(mbind),         CALL(get_mempolicy),
    CALL(prlimit64),      CALL(sysinfo),       CALL(getpid),
    CALL(exit_group),     CALL(exit),          CALL(clone),
    CALL(clone3),         CALL(rseq),          CALL(set_robust_list),
    CALL(rt_sigprocmask), CALL(rt_sigaction),  CALL(gettid),
    CALL(wait4),          CALL(execve),        CALL(brk),
    CALL(pread64),        CALL(faccessat),     CALL(set_tid_address),
    CALL(getrandom),      CALL(tgkill),        CALL(sched_getaffinity),
    CALL(sched_yield),    CALL(clock_gettime), CALL(mincore),
#if defined(__x86_64__)
    CALL(arch_prctl),     CALL(access),
#endif
};

static long number_of(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (strlen(calls[i].name) == length && memcmp(calls[i].name, name, length) == 0)
            return calls[i].number;
    }
    CHECK(false, "unknown system call in \"%s\"", name);
    return -1;
}

static const char *read_limit(struct limit *limit, const char *text)
{
    char *end;
    limit->argument = (unsigned)strtoul(text, &end, 10);
    CHECK(*end == '=' && limit->argument < 6, "not ARGUMENT=VALUE: \"%s\"", text);
    do {
        CHECK(limit->values < VALUES_MAX, "too many values: \"%s\"", text);
        limit->value[limit->values++] = (uint32_t)strtoull(end + 1, &end, 0);
    } while (*end == ',');
    return end;
}

void filter_add(const char *text)
{
    CHECK(rule_count < RULES_MAX, "too many rules");
    struct rule *rule = &rules[rule_count++];
    size_t length = strcspn(text, ":");
    rule->call = number_of(text, length);
    for (const char *at = text + length; *at == ':';) {
        CHECK(rule->limits < LIMITS_MAX, "too many arguments: \"%s\"", text);
        at = read_limit(&rule->limit[rule->limits++], at + 1);
        CHECK(*at == ':' || *at == 0, "not understood: \"%s\"", text);
    }
}

static void step(uint16_t code, uint32_t value, unsigned if_true, unsigned if_false)
{
    CHECK(step_count < STEPS_MAX && if_true < 256 && if_false < 256, "too long a filter");
    steps[step_count++] = (struct sock_filter){code, (uint8_t)if_true, (uint8_t)if_false, value};
}

static void load(size_t offset)
{
    step(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* How many steps a limit takes: the load, a comparison for each value, the refusal. */
static unsigned steps_of(const struct limit *limit)
{
    return limit->values + 2;
}

/* Low halves of arguments: what is limited are flags and small numbers. */
static void add_limit(const struct limit *limit, uint32_t otherwise)
{
    load(offsetof(struct seccomp_data, args) + limit->argument * sizeof(uint64_t));
    for (unsigned i = 0; i < limit->values; i++)
        step(BPF_JMP | BPF_JEQ | BPF_K, limit->value[i], limit->values - i, 0);
    step(BPF_RET | BPF_K, otherwise, 0, 0);
}

static void add_rule(const struct rule *rule, uint32_t action, uint32_t otherwise)
{
    unsigned length = 1;
    for (unsigned i = 0; i < rule->limits; i++)
        length += steps_of(&rule->limit[i]);
    load(offsetof(struct seccomp_data, nr));
    step(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)rule->call, 0, length);
    for (unsigned i = 0; i < rule->limits; i++)
        add_limit(&rule->limit[i], otherwise);
    step(BPF_RET | BPF_K, action, 0, 0);
}

static void put_on(uint32_t action, uint32_t otherwise)
{
    load(offsetof(struct seccomp_data, arch));
    step(BPF_JMP | BPF_JEQ | BPF_K, THIS_MACHINE, 1, 0);
    step(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
    for (unsigned i = 0; i < rule_count; i++)
        add_rule(&rules[i], action, otherwise);
    step(BPF_RET | BPF_K, otherwise, 0, 0);
    struct sock_fprog program = {(unsigned short)step_count, steps};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        printf("skipped: the system takes no filter (errno %d)\n", errno);
        exit(SKIPPED);
    }
}

void filter_allow_only(void)
{
    put_on(SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS);
}

void filter_refuse(int error)
{
    put_on(SECCOMP_RET_ERRNO | (uint32_t)error, SECCOMP_RET_ALLOW);
}
