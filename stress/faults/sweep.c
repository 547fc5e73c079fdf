/* SPDX-License-Identifier: MIT */
/*
 * The fault sweep: the Nth call to the system fails, for every N, once and then for good, while
 * threads allocate, free for each other, end, purge and fork. No process may crash or hang, lose a
 * block, set errno wrongly or end with figures that do not add up. After SQLite's tests of malloc
 * failures; with threads the calls come in another order each time, so that what fails is looked at
 * by its number of runs, not by its place.
 *
 * Each N has a process of its own, started anew (the first calls are made before main), two at a
 * time. A process that fails prints its N, mode, kinds and seed; --only repeats it.
 */
#include "check.h"
#include "run.h"

#include "poolmalloc/poolmalloc.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { at_once = 2, failures_at_most = 5, fresh_runs = 2, progress_ms = 2000 };

static const char environment[] = "POOLMALLOC_FAULT_SWEEP_RUN";

/* By enum pm_os_call. */
static const char *const kind_names[] = {
    "reserve", "make-readable", "commit", "purge", "decommit", "move",  "advise", "release",
    "name",    "dump",          "nodes",  "read",  "share",    "group", "forbid", "random"};
_Static_assert(sizeof kind_names / sizeof *kind_names == PM_OS_CALLS, "a name for each kind");

/* ---- one process ---- */

static struct run run;
static int result_fd = -1;

/* Before the library's own constructor, which makes the first calls to the system. */
static __attribute__((constructor(101))) void set_fault(void)
{
    const char *text = getenv(environment);
    if (text == NULL)
        return;
    unsigned for_good;
    unsigned long long seed, arenas, probe_arenas;
    int read = sscanf(text, "%u %u %u %llu %u %llu %llu %d", &run.kinds, &run.nth, &for_good, &seed,
                      &run.steps, &arenas, &probe_arenas, &result_fd);
    CHECK(read == 8, "%s=%s", environment, text);
    run.for_good = for_good != 0;
    run.seed = seed;
    run.arenas_at_most = arenas;
    run.probe_arenas = probe_arenas;
    struct pm_stats stats;
    CHECK(!pm_stats_get(&stats), "the library has made its calls to the system already");
    pm_os_fault_set_kinds(run.kinds, run.nth, run.for_good);
}

static int be_the_run(void)
{
    alarm(run_seconds);
    struct finding found = run_all(&run);
    if (result_fd < 0)
        printf("passed: %llu calls, %llu allocations refused, %llu arenas\n",
               (unsigned long long)found.calls, (unsigned long long)found.refused,
               (unsigned long long)found.arenas);
    else if (write(result_fd, &found, sizeof found) != sizeof found)
        return 1;
    return 0;
}

/* ---- the sweep ---- */

struct sweep {
    char *program;
    const char *kinds_text, *options;
    struct run run;
    unsigned only, runs_at_most;
    uint64_t fresh_calls;
    /* what came of it */
    unsigned runs, failures, reached;
    uint64_t refused;
    bool done; /* a process made fewer than N calls */
};

struct child {
    pid_t pid; /* 0: none */
    int result;
    struct run run;
};

static void become(const struct sweep *sweep, const struct run *what, int result)
{
    char text[200];
    snprintf(text, sizeof text, "%u %u %u %llu %u %llu %llu %d", what->kinds, what->nth,
             what->for_good, (unsigned long long)what->seed, what->steps,
             (unsigned long long)what->arenas_at_most, (unsigned long long)what->probe_arenas,
             result);
    setenv(environment, text, 1);
    setenv("POOLMALLOC_OPTIONS", sweep->options, 1);
    char *arguments[] = {sweep->program, NULL};
    execv("/proc/self/exe", arguments);
    CHECK(false, "cannot start %s again", sweep->program);
}

static void child_start(const struct sweep *sweep, const struct run *what, struct child *child)
{
    int ends[2];
    CHECK(pipe(ends) == 0, "no pipe");
    child->run = *what;
    child->result = ends[0];
    child->pid = fork();
    CHECK(child->pid >= 0, "fork failed");
    if (child->pid == 0) {
        close(ends[0]);
        become(sweep, what, ends[1]);
    }
    close(ends[1]);
}

/* Waits for its end. False: it failed. */
static bool child_finish(struct child *child, struct finding *found)
{
    int status = 0;
    ssize_t n = read(child->result, found, sizeof *found);
    pid_t ended = waitpid(child->pid, &status, 0);
    close(child->result);
    child->pid = 0;
    CHECK(ended >= 0, "a child was lost");
    if (status == 0 && n == sizeof *found)
        return true;
    fprintf(stderr, "status %#x%s\n", (unsigned)status,
            WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? ": it did not end in time" : "");
    return false;
}

static const char *mode_name(bool for_good)
{
    return for_good ? "for-good" : "once";
}

/* With what to say to repeat it. */
static void print_failed(const struct sweep *sweep, const struct run *what)
{
    fprintf(stderr, "FAILED: --only %u --mode %s --kinds %s --seed %llu --steps %u --options %s\n",
            what->nth, mode_name(what->for_good), sweep->kinds_text, (unsigned long long)what->seed,
            what->steps, sweep->options);
}

/* Processes without a fault: how many calls they make, and how many arenas they need. */
static bool run_fresh(struct sweep *sweep)
{
    uint64_t arenas = 0, calls = 0;
    for (int i = 0; i < fresh_runs; i++) {
        struct child child;
        struct finding found;
        struct run what = sweep->run;
        what.nth = 0;
        what.probe_arenas = i == 0 ? 0 : sweep->run.probe_arenas;
        child_start(sweep, &what, &child);
        if (!child_finish(&child, &found)) {
            print_failed(sweep, &what);
            return false;
        }
        sweep->run.probe_arenas = found.probe_arenas;
        arenas = found.arenas > arenas ? found.arenas : arenas;
        if (i > 0 && found.calls > calls) /* the first has made those of the probe too */
            calls = found.calls;
    }
    /* Threads meet in another order each time, so that one run needs up to twice the arenas of
     * another. This finds what each of many refusals loses; a single loss is found by the figures
     * that must add up, and by the probe. */
    sweep->run.arenas_at_most = 3 * arenas;
    sweep->fresh_calls = calls;
    return true;
}

static void note_end(struct sweep *sweep, struct child *child)
{
    struct finding found;
    sweep->runs++;
    if (child_finish(child, &found)) {
        sweep->reached += found.calls >= child->run.nth;
        sweep->refused += found.refused;
        sweep->done |= found.calls < child->run.nth;
        return;
    }
    print_failed(sweep, &child->run);
    sweep->failures++;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void show_progress(const struct sweep *sweep, unsigned nth)
{
    static uint64_t next_ms;
    uint64_t now = now_ms();
    if (next_ms == 0)
        next_ms = now + progress_ms;
    if (now < next_ms || !isatty(STDERR_FILENO))
        return;
    next_ms = now + progress_ms;
    fprintf(stderr, "%s %s: call %u of about %llu\n", sweep->kinds_text,
            mode_name(sweep->run.for_good), nth, (unsigned long long)sweep->fresh_calls);
}

/* Waits until one has ended, or for the next line of progress. */
static void await_some(struct sweep *sweep, struct child *children)
{
    struct pollfd ends[at_once];
    for (int i = 0; i < at_once; i++)
        ends[i] = (struct pollfd){children[i].pid ? children[i].result : -1, POLLIN, 0};
    poll(ends, at_once, progress_ms);
    for (int i = 0; i < at_once; i++) {
        if (ends[i].revents != 0)
            note_end(sweep, &children[i]);
    }
}

/* From 1 until a process makes fewer calls than that; in steps where so many runs are too many. */
static void sweep_numbers(struct sweep *sweep)
{
    struct child children[at_once] = {0};
    unsigned nth = 1, running = 0;
    unsigned step = 1;
    if (sweep->runs_at_most != 0)
        step += (unsigned)(sweep->fresh_calls / sweep->runs_at_most);
    do {
        running = 0;
        for (int i = 0; i < at_once; i++) {
            bool more = !sweep->done && sweep->failures < failures_at_most;
            if (children[i].pid == 0 && more) {
                struct run what = sweep->run;
                what.nth = nth;
                child_start(sweep, &what, &children[i]);
                nth += step;
            }
            running += children[i].pid != 0;
        }
        show_progress(sweep, nth);
        if (running > 0)
            await_some(sweep, children);
    } while (running > 0);
}

static bool sweep_mode(struct sweep *sweep, bool for_good)
{
    bool can_refuse = (sweep->run.kinds & (1u << PM_OS_COMMIT | 1u << PM_OS_RESERVE)) != 0;
    sweep->run.for_good = for_good;
    sweep->runs = sweep->failures = sweep->reached = 0;
    sweep->refused = 0;
    sweep->done = false;
    sweep_numbers(sweep);
    printf("%s %s (%s): %u runs, in %u of them the call came; %llu allocations were refused; "
           "%u failed\n",
           sweep->kinds_text, mode_name(for_good), sweep->options, sweep->runs, sweep->reached,
           (unsigned long long)sweep->refused, sweep->failures);
    if (sweep->reached == 0 || (for_good && can_refuse && sweep->refused == 0)) {
        fprintf(stderr, "FAILED: the faults had no effect\n");
        return false;
    }
    return sweep->failures == 0;
}

/* ---- arguments ---- */

static const char usage[] =
    "usage: sweep [--mode once|for-good] [--kinds all|KIND,...] [--seed S] [--steps STEPS]\n"
    "             [--runs AT_MOST] [--options SETTINGS] [--only N]\n"
    "kinds: reserve make-readable commit purge release\n";

static unsigned parse_kinds(const char *text)
{
    unsigned kinds = 0;
    if (strcmp(text, "all") == 0)
        return (1u << PM_OS_CALLS) - 1;
    while (*text != 0) {
        size_t length = strcspn(text, ",");
        unsigned before = kinds;
        for (unsigned i = 0; i < PM_OS_CALLS; i++) {
            if (strlen(kind_names[i]) == length && strncmp(kind_names[i], text, length) == 0)
                kinds |= 1u << i;
        }
        CHECK(kinds != before, "no such kind of call: %s\n%s", text, usage);
        text += length + (text[length] == ',');
    }
    return kinds;
}

struct mode {
    bool once, for_good;
};

static void parse(struct sweep *sweep, struct mode *mode, const char *name, const char *value)
{
    if (strcmp(name, "--mode") == 0)
        *mode = (struct mode){strcmp(value, "for-good") != 0, strcmp(value, "once") != 0};
    else if (strcmp(name, "--kinds") == 0)
        sweep->kinds_text = value;
    else if (strcmp(name, "--seed") == 0)
        sweep->run.seed = parse_number(name, value);
    else if (strcmp(name, "--steps") == 0)
        sweep->run.steps = (unsigned)parse_number(name, value);
    else if (strcmp(name, "--runs") == 0)
        sweep->runs_at_most = (unsigned)parse_number(name, value);
    else if (strcmp(name, "--only") == 0)
        sweep->only = (unsigned)parse_number(name, value);
    else if (strcmp(name, "--options") == 0)
        sweep->options = value;
    else
        CHECK(false, "%s?\n%s", name, usage);
}

int main(int count, char **arguments)
{
    struct sweep sweep = {.program = arguments[0], .kinds_text = "all", .only = UINT32_MAX};
    struct mode mode = {true, true};
    char settings[64];
    if (getenv(environment) != NULL)
        return be_the_run();
    /* two dozen arenas: full soon, so that windows are added */
    snprintf(settings, sizeof settings, "window_bytes=%zuk,keep_bytes=0",
             24 * PM_ARENA_BYTES >> 10);
    sweep.options = settings;
    sweep.run.seed = 1;
    sweep.run.steps = 160;
    for (int i = 1; i < count; i += 2) {
        CHECK(i + 1 < count, "%s of what?\n%s", arguments[i], usage);
        parse(&sweep, &mode, arguments[i], arguments[i + 1]);
    }
    sweep.run.kinds = parse_kinds(sweep.kinds_text);
    if (sweep.only != UINT32_MAX) {
        bool known = sweep.only == 0 || run_fresh(&sweep);
        sweep.run.nth = sweep.only;
        sweep.run.for_good = !mode.once;
        if (known)
            become(&sweep, &sweep.run, -1);
        return 1;
    }
    bool good = run_fresh(&sweep) && (!mode.once || sweep_mode(&sweep, false)) &&
                (!mode.for_good || sweep_mode(&sweep, true));
    return good ? 0 : 1;
}
