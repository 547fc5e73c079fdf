/* SPDX-License-Identifier: MIT */
/*
 * poolmalloc run: becomes the program, with the library preloaded. Where the system will ignore the
 * preload it says so first: such a program would run all the same, with another malloc.
 */
#define _GNU_SOURCE /* getopt_long's leading + */
#include "command.h"

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

static int run_main(int count, char **arguments)
{
    static const struct option known[] = {
        {"options", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int found;
    while ((found = getopt_long(count, arguments, "+", known, NULL)) != -1) {
        if (found == 'h')
            return print_help(&command_run);
        if (found != 'o')
            return refer_to_help(STATUS_RUN_FAILED);
        if (!append_options(optarg))
            return STATUS_RUN_FAILED;
    }
    if (optind == count) {
        complain("a program is missing");
        return refer_to_help(STATUS_RUN_FAILED);
    }
    return become(arguments + optind);
}

const struct command command_run = {
    .name = "run",
    .arguments = "[--options=LIST] [--] PROGRAM [ARGUMENT]...",
    .summary = "run a program with poolmalloc as its malloc",
    .details =
        "Run PROGRAM with poolmalloc preloaded, so that it serves malloc in PROGRAM and in what\n"
        "PROGRAM starts.\n\n"
        "  --options=LIST  settings, as name=value,name=value, after those of POOLMALLOC_OPTIONS;\n"
        "                  'poolmalloc options' lists them\n"
        "  --help          print this and exit\n\n"
        "The exit status is PROGRAM's; 125 if poolmalloc itself fails, 126 if PROGRAM is found\n"
        "but cannot be run, 127 if it is not found.\n",
    .main = run_main,
};
