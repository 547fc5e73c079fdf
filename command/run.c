/* SPDX-License-Identifier: MIT */
/*
 * poolmalloc run: becomes the program, with the library preloaded. Where the system will ignore the
 * preload it says so first: such a program would run all the same, with another malloc.
 */
#define _GNU_SOURCE /* getopt_long's leading + */
#include "command.h"
#include "run.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void warn_if_in_vain(const char *program)
{
    char *path = find_program(program);
    const char *obstacle = path != NULL ? preload_obstacle(path) : NULL;
    if (obstacle != NULL)
        complain("warning: '%s' %s: a preload has no effect, it keeps its own malloc", program,
                 obstacle);
    free(path);
}

static int become(char **arguments)
{
    char *library = find_library();
    bool ready = library != NULL && preload_library(library);
    free(library);
    if (!ready)
        return STATUS_RUN_FAILED;
    warn_if_in_vain(arguments[0]);
    execvp(arguments[0], arguments);
    int status = errno == ENOENT ? STATUS_RUN_NOT_FOUND : STATUS_RUN_NOT_EXECUTABLE;
    complain("'%s': %s", arguments[0], strerror(errno));
    return status;
}

/* One of the flags. False: something is wrong with it, as was said. */
static bool take_flag(struct run_flags *flags, int found, const char *argument)
{
    switch (found) {
    case 'd':
        return flag_mode(flags, "debug");
    case 'H':
        return flag_mode(flags, "hardened");
    case 't':
        return flag_trace(flags, argument);
    case 'p':
        return flag_profile(flags, argument);
    case 's':
        return flags->stats = true;
    case 'O':
        flags->output = argument;
        return true;
    default:
        return false;
    }
}

/* What is said by name wins over what flags stand for, wherever it stands. */
static bool append_lists(char *const *lists)
{
    for (; *lists != NULL; lists++) {
        if (!append_options(*lists))
            return false;
    }
    return true;
}

static int run_flagged(int count, char **arguments, char **lists)
{
    static const struct option known[] = {
        {"debug", no_argument, NULL, 'd'},
        {"hardened", no_argument, NULL, 'H'},
        {"trace", optional_argument, NULL, 't'},
        {"profile", optional_argument, NULL, 'p'},
        {"stats", no_argument, NULL, 's'},
        {"output", required_argument, NULL, 'O'},
        {"options", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct run_flags flags = {0};
    size_t list_count = 0;
    int found;
    while ((found = getopt_long(count, arguments, "+", known, NULL)) != -1) {
        if (found == 'h')
            return print_help(&command_run);
        if (found == 'o')
            lists[list_count++] = optarg;
        else if (!take_flag(&flags, found, optarg))
            return refer_to_help(STATUS_RUN_FAILED);
    }
    if (optind == count)
        complain("a program is missing");
    if (optind == count || !check_flags(&flags))
        return refer_to_help(STATUS_RUN_FAILED);
    return apply_flags(&flags) && append_lists(lists) ? become(arguments + optind)
                                                      : STATUS_RUN_FAILED;
}

static int run_main(int count, char **arguments)
{
    char **lists = calloc((size_t)count + 1, sizeof *lists); /* no more than there are arguments */
    if (lists == NULL) {
        complain("%s", strerror(errno));
        return STATUS_RUN_FAILED;
    }
    int status = run_flagged(count, arguments, lists);
    free(lists);
    return status;
}

const struct command command_run = {
    .name = "run",
    .arguments = "[FLAG]... [--] PROGRAM [ARGUMENT]...",
    .summary = "run a program with poolmalloc as its malloc",
    .details =
        "Run PROGRAM with poolmalloc preloaded, so that it serves malloc in PROGRAM and in what\n"
        "PROGRAM starts.\n\n"
        "  --debug            check each block for misuse: overflow, double free and so on\n"
        "  --hardened         find and hinder misuse, at less cost\n"
        "  --trace[=FRAMES]   trace each block, with so many frames of its stack (16), and write\n"
        "                     a snapshot at exit: poolmalloc.PID.snap\n"
        "  --profile[=BYTES]  sample one byte in so many (512k), for 'poolmalloc top', and write\n"
        "                     a profile at exit: poolmalloc.PID.heap\n"
        "  --stats            statistics for 'poolmalloc stats', and a table at exit on stderr\n"
        "  --output=FILE      where to write at exit instead; in FILE, %p stands for PID\n"
        "  --options=LIST     settings, as name=value,name=value, after those of these flags and\n"
        "                     of POOLMALLOC_OPTIONS; 'poolmalloc options' lists them\n"
        "  --help             print this and exit\n\n"
        "The exit status is PROGRAM's; 125 if poolmalloc itself fails, 126 if PROGRAM is found\n"
        "but cannot be run, 127 if it is not found.\n",
    .main = run_main,
};
