/* SPDX-License-Identifier: MIT */
/*
 * Stands for a machine with more cores than ours: runs a workload with so many threads, a turn for
 * each after the other, and prints as JSON what its operations took: transfers of cache lines,
 * updates, locks (lines.h). docs/scaling.md says what is made of it; scaling.py makes it.
 * Usage: scaling WORKLOAD THREADS [PERCENT of the operations]
 */
#include "check.h"
#include "scaling/lines.h"
#include "scaling/subject.h"
#include "scaling/workloads.h"

#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const kinds[LINES_KINDS] = {
    [LINES_BLOCKS] = "blocks",       [LINES_ROUTES] = "routes", [LINES_DESCRIPTORS] = "descriptors",
    [LINES_REMOTE] = "remote words", [LINES_ARENAS] = "arenas", [LINES_LOCK_WORDS] = "locks",
    [LINES_STATIC] = "static",       [LINES_HEAPS] = "heaps",   [LINES_PROGRAM] = "the program",
};

static const struct workload *workload;
static uint64_t turns; /* of each thread, measured, and as many before */
static struct worker workers[WORKERS_MAX];
static sem_t may_run[WORKERS_MAX];
static const struct lines_counts *counts;
static double began_s, took_s;

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The first thread begins and ends for all. */
static void note_time(const struct worker *worker)
{
    if (worker->index == 0 && worker->turn == turns) {
        lines_record();
        began_s = now_s();
    }
    if (worker->index == 0 && worker->turn == 2 * turns) {
        took_s = now_s() - began_s;
        counts = lines_stop();
    }
}

static void wait_for_turn(const struct worker *worker)
{
    if (worker->threads > 1)
        sem_wait(&may_run[worker->index]);
}

static void pass_turn(const struct worker *worker)
{
    if (worker->threads > 1)
        sem_post(&may_run[(worker->index + 1) % worker->threads]);
}

void worker_yield(const struct worker *worker)
{
    pass_turn(worker);
    wait_for_turn(worker);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    lines_set_core(worker->index);
    for (worker->turn = 0; worker->turn <= 2 * turns; worker->turn++) {
        wait_for_turn(worker);
        note_time(worker);
        if (worker->turn < 2 * turns)
            workload->turn(worker);
        pass_turn(worker);
    }
    return NULL;
}

static void run(unsigned threads)
{
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct worker){.index = i, .threads = threads, .rng = rng_make(31, i)};
        CHECK(sem_init(&may_run[i], 0, i == 0) == 0, "no semaphore");
    }
    for (unsigned i = 0; i < threads; i++) {
        int code = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        CHECK(code == 0, "pthread_create returned %d", code);
    }
    for (unsigned i = 0; i < threads; i++)
        pthread_join(workers[i].thread, NULL);
}

static void print_kinds(const char *name, const uint64_t *values)
{
    printf("\"%s\": {", name);
    for (unsigned i = 0; i < LINES_KINDS; i++)
        printf("%s\"%s\": %lu", i == 0 ? "" : ", ", kinds[i], (unsigned long)values[i]);
    printf("},\n");
}

static void print_locks(void)
{
    printf("\"locks\": [");
    for (unsigned i = 0; i < counts->lock_count; i++) {
        const struct lines_lock *lock = &counts->locks[i];
        printf("%s{\"address\": %lu, \"acquisitions\": %lu, \"accesses\": %lu, "
               "\"transfers\": %lu}",
               i == 0 ? "" : ",\n ", (unsigned long)lock->address,
               (unsigned long)lock->acquisitions, (unsigned long)lock->accesses,
               (unsigned long)lock->transfers);
    }
    printf("],\n");
}

static void print_hottest(void)
{
    printf("\"hottest\": [");
    for (unsigned i = 0; i < LINES_HOTTEST; i++) {
        const struct lines_hot *hot = &counts->hottest[i];
        printf("%s{\"address\": %lu, \"kind\": \"%s\", \"transfers\": %lu}", i == 0 ? "" : ",\n ",
               (unsigned long)hot->address, kinds[hot->kind], (unsigned long)hot->transfers);
    }
    printf("]}\n");
}

static void print(unsigned threads)
{
    uint64_t operations = turns * threads * workload->operations_of_two_turns / 2;
    printf("{\"workload\": \"%s\", \"what\": \"%s\", \"threads\": %u, \"operations\": %lu,\n",
           workload->name, workload->what, threads, (unsigned long)operations);
    printf("\"cpu_ns\": %.0f, \"accesses\": %lu,\n", took_s * 1e9, (unsigned long)counts->accesses);
    print_kinds("updates", counts->updates);
    print_kinds("transfers", counts->transfers);
    print_locks();
    print_hottest();
}

/* Turns are passed within one core in a fifth of the time. */
static void stay_on_one_core(void)
{
    cpu_set_t allowed, one;
    int core = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return;
    while (core < CPU_SETSIZE - 1 && !CPU_ISSET(core, &allowed))
        core++;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static void list_workloads(void)
{
    for (unsigned i = 0; i < workload_count; i++)
        printf("%s\n", workloads[i].name);
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "--list") == 0) {
        list_workloads();
        return 0;
    }
    CHECK(count == 3 || count == 4, "usage: scaling WORKLOAD THREADS [PERCENT]");
    for (unsigned i = 0; i < workload_count; i++) {
        if (strcmp(arguments[1], workloads[i].name) == 0)
            workload = &workloads[i];
    }
    CHECK(workload != NULL, "no workload is named \"%s\"", arguments[1]);
    uint64_t threads = parse_number("THREADS", arguments[2]);
    uint64_t percent = count == 4 ? parse_number("PERCENT", arguments[3]) : 100;
    CHECK(threads >= 1 && threads <= WORKERS_MAX, "1 to %d threads", WORKERS_MAX);
    turns = 2 * workload->operations * percent / 100 / workload->operations_of_two_turns / threads;
    turns += turns == 0;
    stay_on_one_core();
    subject_start((unsigned)threads);
    run((unsigned)threads);
    print((unsigned)threads);
    return 0;
}
