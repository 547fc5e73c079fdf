/* SPDX-License-Identifier: MIT */
/*
 * poolmalloc stats: what the statistics page of a process says, again and again. The process is not
 * stopped and does nothing for it: the page is as old as its last update.
 */
#include "command.h"
#include "stats.h"

#include <getopt.h>
#include <string.h>
#include <time.h>

static const struct page_kind statistics = {
    .name = PM_STATS_PAGE_NAME,
    .title = "statistics page",
    .flag = "--stats",
    .setting = "stats_page=on",
    .magic = PM_STATS_PAGE_MAGIC,
    .version = PM_STATS_PAGE_VERSION,
    .least_bytes = sizeof(struct pm_stats_page),
    .bytes_at = offsetof(struct pm_stats_page, bytes),
    .process_at = offsetof(struct pm_stats_page, process_id),
    .updates_at = offsetof(struct pm_stats_page, updates),
};

enum { TRIES = 200, TRY_MS = 5 };

static struct samples samples;
static void (*form)(struct samples *samples);
static bool only_news; /* the last look is shown if there is something new in it */

double rate_of(const struct samples *s, uint64_t now, uint64_t before)
{
    return s->seconds > 0 ? (double)(int64_t)(now - before) / s->seconds : 0;
}

const struct pm_stats_page_thread *thread_before(const struct samples *s, uint64_t thread_id)
{
    for (uint64_t i = 0; thread_id != 0 && i < s->before.threads; i++) {
        if (s->before.thread_rows[i].thread_id == thread_id)
            return &s->before.thread_rows[i];
    }
    return NULL;
}

const struct pm_stats_page_class *class_before(const struct samples *s, uint64_t block_bytes)
{
    for (uint64_t i = 0; i < s->before.classes; i++) {
        if (s->before.class_rows[i].block_bytes == block_bytes)
            return &s->before.class_rows[i];
    }
    return NULL;
}

/* ---- samples ---- */

/* Numbers of rows are bounds of loops, and texts end. */
static bool is_sound(const struct pm_stats_page *page)
{
    bool sound = page->classes <= PM_STATS_PAGE_CLASSES && page->threads <= PM_STATS_PAGE_THREADS &&
                 page->locks <= PM_STATS_PAGE_LOCKS && page->fields <= PM_STATS_PAGE_FIELDS;
    for (uint64_t i = 0; sound && i < page->locks; i++)
        sound = memchr(page->lock_rows[i].name, 0, sizeof page->lock_rows[i].name) != NULL;
    return sound;
}

/* Of one moment. A writer that waits for its processor leaves the page unreadable for a while. */
static bool read_page(const struct watched *w, struct pm_stats_page *copy)
{
    for (int i = 0; i < TRIES; i++) {
        if (pm_stats_page_read(w->page, copy))
            return true;
        nanosleep(&(struct timespec){.tv_nsec = TRY_MS * 1000000L}, NULL);
    }
    return false;
}

static double age_of(const struct pm_stats_page *page)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    return now_ns > page->updated_ns ? (double)(now_ns - page->updated_ns) * 1e-9 : 0;
}

/* False: it was said why there is none. */
static bool take_sample(void)
{
    static struct pm_stats_page copy;
    static ino_t inode;
    const struct watched *w = &samples.watched;
    bool same_page = samples.looks++ > 0 && inode == w->inode;
    if (!read_page(w, &copy)) {
        if (same_page) /* it was stopped while it wrote: the last sample is all there is */
            copy = samples.now;
        else
            complain("process %d (%s) is stopped in the middle of an update of its page",
                     (int)w->pid, w->name);
        if (!same_page)
            return false;
    }
    if (!is_sound(&copy)) {
        complain("the statistics page of process %d (%s) is damaged", (int)w->pid, w->name);
        return false;
    }
    samples.has_news = !same_page || copy.updates != samples.now.updates;
    if (samples.has_news) {
        samples.before = same_page ? samples.now : copy;
        samples.now = copy;
    }
    inode = w->inode;
    samples.age_s = age_of(&copy);
    samples.seconds = (double)(int64_t)(copy.updated_ns - samples.before.updated_ns) * 1e-9;
    if (samples.seconds > 0 && samples.seconds < samples.age_s) /* nothing happens since then */
        samples.seconds = samples.age_s;
    return true;
}

static bool show(void *arg, enum look look)
{
    (void)arg;
    if (!take_sample())
        return false;
    if (look != LOOK_ENDED || !only_news || samples.has_news)
        form(&samples);
    return true;
}

/* ---- arguments ---- */

static bool read_options(int count, char **arguments, struct live_times *times, bool *help)
{
    static const struct option known[] = {
        {"interval", required_argument, NULL, 'i'},
        {"count", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int found;
    while ((found = getopt_long(count, arguments, "", known, NULL)) != -1) {
        if (found == 'h')
            *help = true;
        else if (found == 'j')
            form = show_json;
        else if (found == '?' ||
                 !(found == 'i' ? read_interval(optarg, times) : read_count(optarg, times)))
            return false;
    }
    return true;
}

static int stats_main(int count, char **arguments)
{
    struct live_times times = LIVE_TIMES_DEFAULT;
    bool help = false;
    pid_t pid;
    if (!read_options(count, arguments, &times, &help))
        return refer_to_help(STATUS_USAGE);
    if (help)
        return print_help(&command_stats);
    if (!read_process(count - optind, arguments + optind, &pid))
        return refer_to_help(STATUS_USAGE);
    open_screen(&samples.screen, times.count != 1 && form != show_json);
    if (form == NULL)
        form = samples.screen.in_place || times.count == 1 ? show_table : show_row;
    only_news = form != show_table;
    int status = STATUS_FAILED;
    if (watch(&samples.watched, &statistics, pid))
        status = look_on(&samples.watched, &times, form == show_json, show, NULL);
    unwatch(&samples.watched);
    return status;
}

const struct command command_stats = {
    .name = "stats",
    .arguments = "[--interval=SECONDS] [--count=N] [--json] PID",
    .summary = "show what a running process's memory is, live",
    .details =
        "Show the statistics of a process that has a statistics page (poolmalloc run --stats, or\n"
        "the setting stats_page=on): totals, changes per second, the size classes that hold\n"
        "most, threads and locks. The process is not stopped. On a terminal each picture\n"
        "replaces the last; elsewhere there is a line for each look, or with --count=1 the\n"
        "whole picture.\n\n"
        "  --interval=SECONDS  between two looks; 1\n"
        "  --count=N           end after so many looks, not with the process\n"
        "  --json              an object on a line for each look; see docs/statistics.md\n"
        "  --help              print this and exit\n\n"
        "The exit status is 0 when the process ended or the user interrupted, 1 if there is\n"
        "nothing to be shown, 2 if the arguments are wrong.\n",
    .main = stats_main,
};
