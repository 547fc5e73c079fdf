/* SPDX-License-Identifier: MIT */
/*
 * The profiler by options: from the start on, on a signal, each so many bytes, at exit. The
 * signal's handler, and a sample that is one too many, write inside of anything: by open, write and
 * close, from a static buffer, under no lock; while one writes, the others' turn is left out. Files
 * are numbered, so that none is written twice.
 */
#define _GNU_SOURCE /* SA_ONSTACK */
#include "base/options.h"
#include "base/report.h"
#include "os/os.h"
#include "tools/profile.h"
#include "tools/profile_internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

/* For malloc.c, which pulls this file in. */
extern const char pm_profile_linked PM_HIDDEN;
const char pm_profile_linked = 1;

static enum pm_profile_form form(void)
{
    return pm_options.profile_form[0] == 'j' ? PM_PROFILE_JEMALLOC : PM_PROFILE_GPERFTOOLS;
}

/* ---- while the program runs ---- */

static void write_next(void)
{
    static char path[PM_OUT_PATH_BYTES];
    static struct pm_out_file to;
    static unsigned number;          /* of the last file */
    static _Atomic uint64_t writing; /* the process that does: one that is gone does not any more */
    uint64_t was = pm_load_relaxed(&writing), self = pm_os_process_id();
    /* Acquire pairs with the release: path, buffer and number are the last writer's no more. */
    if (was == self || !pm_cas_acquire(&writing, &was, self))
        return;
    pm_out_numbered_path(path, pm_options.profile_to, ++number, ".heap");
    pm_profile_write_to(path, form(), &to);
    pm_store_release(&writing, 0);
}

static void on_signal(int signal)
{
    (void)signal;
    write_next();
}

void pm_profile_allocated(size_t sample_bytes, uint64_t mean)
{
    static _Atomic uint64_t allocated; /* relaxed: whoever passes a multiple finds that out */
    uint64_t every = pm_load_relaxed(&pm_options.profile_every);
    if (every == 0)
        return;
    uint64_t bytes =
        (uint64_t)((double)sample_bytes * pm_profile_scale((double)sample_bytes, mean));
    uint64_t before = pm_add_relaxed(&allocated, bytes);
    if (before / every != (before + bytes) / every)
        write_next();
}

static void start_signal(void)
{
    int number = (int)pm_load_relaxed(&pm_options.profile_signal);
    /* On the program's stack for handlers, if it has one; calls that it interrupts go on. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    int saved_errno = errno;
    sigfillset(&action.sa_mask);
    if (number != 0 && sigaction(number, &action, NULL) != 0)
        pm_warn("no profiles on signal %u (option profile_signal): it cannot be caught",
                (unsigned)number);
    errno = saved_errno;
}

/* ---- start and end ---- */

/* What the option says; 0: the profiler stays off. */
static size_t rate_wanted(void)
{
    const char *text = pm_options.profile;
    size_t bytes;
    if (strcmp(text, "off") == 0)
        return 0;
    if (strcmp(text, "on") == 0)
        return PM_PROFILE_MEAN_BYTES;
    if (pm_option_parse_bytes(text, strlen(text), &bytes))
        return bytes;
    pm_warn("option profile takes off, on or a size, not \"%s\": no profile", text);
    return 0;
}

/* Before the program's own constructors, so that its handler of the signal wins; what these
 * allocate is sampled. */
static __attribute__((constructor(103))) void start(void)
{
    size_t rate = rate_wanted();
    bool page = pm_options.profile_page[1] == 'n'; /* "on" */
    start_signal();
    pm_profile_page_start();
    if (page && pthread_atfork(NULL, NULL, pm_profile_page_start) != 0)
        pm_warn("no memory for a fork handler: children have no profile page");
    if (rate != 0 && !pm_profile_start(rate))
        pm_warn("no memory for a profile");
}

static void write_at_exit(void)
{
    char pattern[PM_OPTION_TEXT_BYTES], path[PM_OUT_PATH_BYTES];
    struct pm_out_file to;
    if (pm_options_value("profile_at_exit", pattern, sizeof pattern) != 0 || pattern[0] == 0)
        return;
    pm_out_path(path, pattern, "");
    pm_profile_write_to(path, form(), &to);
}

static void report_leaks(void)
{
    char pattern[PM_OPTION_TEXT_BYTES], path[PM_OUT_PATH_BYTES];
    struct pm_out_file to;
    struct pm_out out;
    if (pm_options_value("leak_report", pattern, sizeof pattern) != 0 || pattern[0] == 0 ||
        strcmp(pattern, "off") == 0)
        return;
    pm_out_path(path, strcmp(pattern, "on") == 0 ? "stderr" : pattern, "");
    int file = pm_os_open_append(path);
    pm_out_file_start(&to, file);
    pm_out_start(&out, pm_out_to_file, &to);
    if (file >= 0)
        pm_profile_write_leaks(&out);
    pm_out_end(&out);
    pm_out_file_end(&to);
    if (file < 0 || to.failed)
        pm_warn("cannot write the leak report to \"%s\" (option leak_report)", path);
    if (file >= 0)
        pm_os_close(file);
}

static __attribute__((destructor)) void end(void)
{
    write_at_exit();
    report_leaks();
}
