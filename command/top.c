/* SPDX-License-Identifier: MIT */
/*
 * poolmalloc top: what the profile page of a process says, again and again. The process is neither
 * stopped nor asked; functions are found in the files that it has mapped.
 */
#include "command.h"
#include "memory.h"
#include "top.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct page_kind profile = {
    .name = PM_PROFILE_PAGE_NAME,
    .title = "profile page",
    .flag = "--profile",
    .setting = "profile=on,profile_page=on",
    .magic = PM_PROFILE_PAGE_MAGIC,
    .version = PM_PROFILE_PAGE_VERSION,
    .least_bytes = sizeof(struct pm_profile_page),
    .bytes_at = offsetof(struct pm_profile_page, bytes),
    .process_at = offsetof(struct pm_profile_page, process_id),
};

enum { DEPTH = 5, DEPTH_MOST = 64 };

static struct top top = {.times = LIVE_TIMES_DEFAULT, .depth = DEPTH};

/* ---- reading ---- */

/* Word by word, in the order of the program: who copies that a row is published copies the row. */
static void copy_words(void *to, const void *from, size_t bytes)
{
    const uint64_t *words = from;
    for (size_t i = 0; i < bytes / sizeof *words; i++)
        ((uint64_t *)to)[i] = __atomic_load_n(&words[i], __ATOMIC_ACQUIRE);
}

/* The header decides where rows are: it is looked at once, and then used as it was. */
static bool copy_page(void)
{
    const struct watched *w = &top.watched;
    struct pm_profile_page header;
    copy_words(&header, w->page, sizeof header);
    if (!pm_profile_page_is_valid(&header, w->page_bytes) || header.header_bytes < sizeof header ||
        header.header_bytes % sizeof(uint64_t) != 0 || header.row_bytes % sizeof(uint64_t) != 0) {
        complain("the profile page of process %d (%s) is damaged", (int)w->pid, w->name);
        return false;
    }
    size_t bytes = header.header_bytes + pm_profile_page_rows(&header) * header.row_bytes;
    top.page = get_room(top.page, &top.page_room, bytes, 1);
    copy_words((char *)top.page + sizeof header, (const char *)w->page + sizeof header,
               bytes - sizeof header);
    *top.page = header;
    return true;
}

static void read_rows(void)
{
    uint64_t count = pm_profile_page_rows(top.page);
    top.row_count = 0;
    top.rows = get_room(top.rows, &top.row_room, count, sizeof *top.rows);
    for (uint64_t i = 0; i < count; i++) {
        struct pm_profile_row *row = &top.rows[top.row_count];
        if (!pm_profile_page_read(top.page, i, row))
            continue;
        row->published = i + 1; /* from here on, its number */
        top.row_count++;
    }
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Another program, by exec, has other modules, and rows that have nothing to do with these. */
static bool prepare(void)
{
    static ino_t inode;
    double before = top.looked_s;
    bool same = top.symbols != NULL && inode == top.watched.inode;
    top.looked_s = now_s();
    top.seconds = same ? top.looked_s - before : 0;
    inode = top.watched.inode;
    if (same) {
        symbols_read_again(top.symbols); /* false: it has ended, and what is known stays */
        return true;
    }
    top.was_count = 0;
    if (top.symbols != NULL)
        symbols_free(top.symbols);
    top.symbols = symbols_of_process(top.watched.pid);
    if (top.symbols == NULL)
        complain("the mappings of process %d (%s): %s", (int)top.watched.pid, top.watched.name,
                 strerror(errno));
    return top.symbols != NULL;
}

static bool show(void *arg, enum look look)
{
    (void)arg, (void)look;
    if (!prepare() || !copy_page())
        return false;
    read_rows();
    sum_rows(&top);
    show_top(&top);
    return true;
}

/* ---- arguments ---- */

static bool read_sort(const char *word)
{
    static const char *const words[] = {
        [TOP_LIVE] = "live", [TOP_ALL] = "all", [TOP_BLOCKS] = "blocks"};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i]) == 0) {
            top.sort = (enum top_sort)i;
            return true;
        }
    }
    complain("'%s' is nothing to sort by: live, all, blocks", word);
    return false;
}

static bool read_depth(const char *text)
{
    char *end;
    unsigned long depth = strtoul(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == 0 && depth >= 1 && depth <= DEPTH_MOST) {
        top.depth = (unsigned)depth;
        return true;
    }
    complain("'%s' is no depth: frames, from 1 to %d", text, DEPTH_MOST);
    return false;
}

static bool read_option(int found, const char *argument)
{
    switch (found) {
    case 'i':
        return read_interval(argument, &top.times);
    case 'c':
        return read_count(argument, &top.times);
    case 's':
        return read_sort(argument);
    case 'd':
        return read_depth(argument);
    case 'u':
        return top.cumulative = true;
    default:
        return false;
    }
}

static int top_main(int count, char **arguments)
{
    static const struct option known[] = {
        {"interval", required_argument, NULL, 'i'},
        {"count", required_argument, NULL, 'c'},
        {"sort", required_argument, NULL, 's'},
        {"depth", required_argument, NULL, 'd'},
        {"cumulative", no_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int found, status = STATUS_FAILED;
    pid_t pid;
    while ((found = getopt_long(count, arguments, "", known, NULL)) != -1) {
        if (found == 'h')
            return print_help(&command_top);
        if (!read_option(found, optarg))
            return refer_to_help(STATUS_USAGE);
    }
    if (!read_process(count - optind, arguments + optind, &pid))
        return refer_to_help(STATUS_USAGE);
    open_screen(&top.screen, top.times.count != 1);
    if (watch(&top.watched, &profile, pid)) {
        symbols_warn_if_blind();
        status = look_on(&top.watched, &top.times, false, show, NULL);
    }
    unwatch(&top.watched);
    return status;
}

const struct command command_top = {
    .name = "top",
    .arguments = "[--interval=SECONDS] [--count=N] [--sort=live|all|blocks]\n"
                 "                      [--cumulative] [--depth=N] PID",
    .summary = "show who holds the memory of a running process, live",
    .details =
        "Show the functions and the stacks that hold most memory of a process that is profiled\n"
        "with a profile page (poolmalloc run --profile, or the settings\n"
        "profile=on,profile_page=on). The figures are estimates by samples. The process is not\n"
        "stopped. On a terminal each picture replaces the last, elsewhere they follow each\n"
        "other.\n\n"
        "  --interval=SECONDS  between two looks; 1\n"
        "  --count=N           end after so many looks, not with the process\n"
        "  --sort=KEY          by live (bytes that are in use), all (bytes allocated so far) or\n"
        "                      blocks (in use)\n"
        "  --cumulative        functions by what they and those that they call hold\n"
        "  --depth=N           show so many frames of each stack; 5\n"
        "  --help              print this and exit\n\n"
        "The exit status is 0 when the process ended or the user interrupted, 1 if there is\n"
        "nothing to be shown, 2 if the arguments are wrong.\n",
    .main = top_main,
};
