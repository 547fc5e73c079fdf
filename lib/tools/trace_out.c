/* SPDX-License-Identifier: MIT */
/*
 * Snapshots that options ask for: at exit, and on a signal. The signal's handler may interrupt
 * anything, the allocator and the tracing included: it opens, writes and closes, from its stack and
 * a static path, and takes no lock. While it writes, signals are no further snapshots. Files are
 * numbered, so that none is written twice.
 */
#define _GNU_SOURCE /* SA_ONSTACK */
#include "base/options.h"
#include "base/report.h"
#include "os/os.h"
#include "tools/snapshot.h"
#include "tools/stats.h"
#include "tools/trace.h"

#include <errno.h>
#include <signal.h>

static void report_failure(const char *path, const char *option)
{
    pm_warn("cannot write a snapshot to \"%s\" (option %s)", path, option);
}

/* ---- on a signal ---- */

static void write_next(void)
{
    static char path[PM_OUT_PATH_BYTES];
    static unsigned number;          /* of the last file */
    static _Atomic uint64_t writing; /* the process that does: one that is gone does not any more */
    uint64_t was = pm_load_relaxed(&writing), self = pm_os_process_id();
    /* Acquire pairs with the release: path and number are the last writer's no more. */
    if (was == self || !pm_cas_acquire(&writing, &was, self))
        return;
    pm_out_numbered_path(path, pm_options.trace_to, ++number, ".snap");
    int file = pm_os_open_anew(path);
    if (file < 0 || !pm_snapshot_write_now(file))
        report_failure(path, "trace_signal");
    if (file >= 0)
        pm_os_close(file);
    pm_store_release(&writing, 0);
}

static void on_signal(int signal)
{
    int saved_errno = errno;
    (void)signal;
    if (pm_trace_is_on())
        write_next();
    errno = saved_errno;
}

void pm_trace_out_start(void)
{
    int number = (int)pm_load_relaxed(&pm_options.trace_signal);
    /* On the program's stack for handlers, if it has one; calls that it interrupts go on. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    int saved_errno = errno;
    sigfillset(&action.sa_mask);
    if (number != 0 && sigaction(number, &action, NULL) != 0)
        pm_warn("no snapshots on signal %u (option trace_signal): it cannot be caught",
                (unsigned)number);
    errno = saved_errno;
}

/* ---- at exit ---- */

/* Each stack once, where there is memory for that. */
static bool write_whole(int file)
{
    pm_snapshot *snapshot = pm_snapshot_take();
    bool done = snapshot != NULL ? pm_snapshot_write(snapshot, file) : pm_snapshot_write_now(file);
    pm_snapshot_free(snapshot);
    return done;
}

static __attribute__((destructor)) void end(void)
{
    char pattern[PM_OPTION_TEXT_BYTES]; /* another thread may still change the option */
    char path[PM_OUT_PATH_BYTES];
    if (!pm_trace_is_on() || pm_options_value("trace_at_exit", pattern, sizeof pattern) != 0 ||
        pattern[0] == 0)
        return;
    pm_out_path(path, pattern, "");
    int file = pm_os_open_anew(path);
    if (file < 0 || !write_whole(file))
        report_failure(path, "trace_at_exit");
    if (file >= 0)
        pm_os_close(file);
}
