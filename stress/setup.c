/* SPDX-License-Identifier: MIT */
/*
 * Options, workers and threads of the seeded stress programs (setup.h).
 */
#include "setup.h"
#include "check.h"
#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char replay[512];

static void refuse(const char *program, const struct option *options, const char *argument)
{
    fprintf(stderr, "%s: unknown option %s; known are:\n", program, argument);
    for (; options->name; options++) {
        fprintf(stderr, "  --%s", options->name);
        for (size_t i = 0; options->words && options->words[i]; i++)
            fprintf(stderr, "%s%s", i ? "|" : " ", options->words[i]);
        if (!options->words)
            fprintf(stderr, " NUMBER  (now %llu)", (unsigned long long)*options->number);
        fprintf(stderr, "\n");
    }
    exit(2);
}

static uint64_t word_number(const struct option *option, const char *value)
{
    uint64_t number = 0;
    while (option->words[number] && (!value || strcmp(option->words[number], value) != 0))
        number++;
    if (option->words[number])
        return number;
    fprintf(stderr, "--%s \"%s\" is not known; use one of:", option->name, value ? value : "");
    for (size_t i = 0; option->words[i]; i++)
        fprintf(stderr, " %s", option->words[i]);
    fprintf(stderr, "\n");
    exit(2);
}

static void set(const struct option *option, const char *value)
{
    if (option->words) {
        *option->number = word_number(option, value);
        return;
    }
    *option->number = parse_number(option->name, value);
    if (*option->number >= option->lowest && *option->number <= option->highest)
        return;
    fprintf(stderr, "--%s %s is not in %llu to %llu\n", option->name, value,
            (unsigned long long)option->lowest, (unsigned long long)option->highest);
    exit(2);
}

static void print_replay(const char *program, const struct option *option)
{
    size_t used = (size_t)snprintf(replay, sizeof replay, "stress_%s", program);
    for (; option->name && used < sizeof replay; option++) {
        if (option->words)
            used += (size_t)snprintf(replay + used, sizeof replay - used, " --%s %s", option->name,
                                     option->words[*option->number]);
        else
            used += (size_t)snprintf(replay + used, sizeof replay - used, " --%s %llu",
                                     option->name, (unsigned long long)*option->number);
    }
    printf("%s\n", replay);
    fflush(stdout);
    check_set_context(replay);
}

void setup_options(const char *program, const struct option *options, int count, char **arguments)
{
    for (int i = 1; i < count; i += 2) {
        const struct option *option = options;
        const char *name = arguments[i];
        while (option->name && (strncmp(name, "--", 2) != 0 || strcmp(name + 2, option->name) != 0))
            option++;
        if (!option->name)
            refuse(program, options, name);
        set(option, i + 1 < count ? arguments[i + 1] : NULL);
    }
    print_replay(program, options);
}

void setup_workers(struct shared *shared, uint64_t seed)
{
    shadow_start(seed);
    shared->workers = system_pages(shared->worker_count * sizeof *shared->workers);
    for (size_t i = 0; i < shared->worker_count; i++) {
        shared->workers[i].shared = shared;
        shared->workers[i].index = i;
    }
}

void setup_finish(const char *program, struct shared *shared)
{
    for (size_t i = 0; i < shared->worker_count; i++)
        worker_drain(&shared->workers[i], &shared->workers[i]);
    size_t pages = shadow_check_empty();
#if !STRESS_STANDARD_NAMES
    CHECK(pm_check(), "the allocator's own structures are broken");
#endif
    size_t left = atomic_load(&shared->live_bytes);
    CHECK(left == 0, "%zu bytes are counted as live after the last free", left);
    printf("%s: done, %llu operations; all blocks found whole and freed; %zu pages used, %zu KiB "
           "resident\n",
           program, (unsigned long long)atomic_load(&shared->steps), pages,
           resident_bytes() / 1024);
    if (shared->workers)
        system_pages_free(shared->workers, shared->worker_count * sizeof *shared->workers);
}

pthread_t setup_start(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    int code = pthread_create(&thread, NULL, run, argument);
    CHECK(code == 0, "pthread_create returned %d", code);
    return thread;
}

void setup_join(pthread_t thread)
{
    int code = pthread_join(thread, NULL);
    CHECK(code == 0, "pthread_join returned %d", code);
}
