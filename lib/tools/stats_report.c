/* SPDX-License-Identifier: MIT */
/*
 * Statistics that options ask for: at exit, and on a signal. The signal's handler may interrupt
 * anything, the allocator included: it takes a brief look, which shows what each thread counted on
 * its last slow path, and of the arenas nothing if it interrupted their lock. It allocates nothing,
 * and waits for no lock that the interrupted thread has. Signals that come while a report is being
 * written are no further reports.
 */
#define _GNU_SOURCE /* SA_ONSTACK */
#include "base/options.h"
#include "base/report.h"
#include "os/os.h"
#include "tools/stats.h"
#include "tools/stats_page.h"

#include <errno.h>
#include <signal.h>

/* For malloc.c, which pulls this file in. */
extern const char pm_stats_report_linked PM_HIDDEN;
const char pm_stats_report_linked = 1;

static void write_report(struct pm_out *out, const struct pm_report *report)
{
    switch (pm_options.stats_format[0]) { /* constant since the start */
    case 't':
        pm_stats_write_table(out, report, true);
        break;
    case 'j':
        pm_stats_write_json(out, report);
        break;
    default:
        pm_stats_write_counters(out, report);
    }
}

/* The report and the buffer may be large for a stack. False: not all was written. */
static bool report_to(const char *path, enum pm_look look, struct pm_report *report,
                      struct pm_out_file *to)
{
    struct pm_out out;
    int file = pm_os_open_append(path);
    if (file < 0)
        return false;
    pm_figures_look(look, &report->figures, &report->threads);
    pm_out_file_start(to, file);
    pm_out_start(&out, pm_out_to_file, to);
    write_report(&out, report);
    pm_out_end(&out);
    pm_out_file_end(to);
    pm_os_close(file);
    return !to->failed;
}

/* ---- on a signal ---- */

static void on_signal(int signal)
{
    static struct pm_report report;
    static struct pm_out_file to;
    static _Atomic uint64_t writing; /* the process that does: one that is gone does not any more */
    uint64_t was = pm_load_relaxed(&writing), self = pm_os_process_id();
    (void)signal;
    /* Acquire pairs with the release: the buffers are the last writer's no more. */
    if (was == self || !pm_cas_acquire(&writing, &was, self))
        return;
    if (!report_to(pm_options.stats_to, PM_LOOK_BRIEFLY, &report, &to))
        pm_warn("cannot write statistics to \"%s\" (option stats_to)", pm_options.stats_to);
    pm_store_release(&writing, 0);
}

static void start_signal(void)
{
    int number = (int)pm_load_relaxed(&pm_options.stats_signal);
    /* On the program's stack for handlers, if it has one; calls that it interrupts go on. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    int saved_errno = errno;
    sigfillset(&action.sa_mask);
    if (number != 0 && sigaction(number, &action, NULL) != 0)
        pm_warn("no statistics on signal %u (option stats_signal): it cannot be caught",
                (unsigned)number);
    errno = saved_errno;
}

/* ---- start and end ---- */

/* After process_start; before the program's own, so that its handler of the signal wins. */
static __attribute__((constructor(102))) void start(void)
{
    pm_heap_process_init();
    start_signal();
    pm_stats_page_start();
}

static __attribute__((destructor)) void end(void)
{
    char path[PM_OPTION_TEXT_BYTES]; /* another thread may still change the option */
    struct pm_report report;
    struct pm_out_file to;
    if (pm_options_value("stats_at_exit", path, sizeof path) != 0 || path[0] == 0)
        return;
    if (!report_to(path, PM_LOOK_CLOSELY, &report, &to))
        pm_warn("cannot write statistics to \"%s\" (option stats_at_exit)", path);
}
