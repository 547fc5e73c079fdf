/* SPDX-License-Identifier: MIT */
/*
 * poolmalloc options: what the library prints for POOLMALLOC_OPTIONS=help. It is asked as any
 * program asks it, in a process that has it preloaded: this command once more, with nothing to do.
 * So file, variable and library are those that `poolmalloc run` would use.
 */
#define _GNU_SOURCE /* pipe2 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define HEADING "options in force" /* of what the library prints */

/* Starts it with its stderr going to `end`. 0, or an errno. */
static int start_asked(int end, pid_t *child)
{
    char *const arguments[] = {(char[]){"poolmalloc"}, (char[]){"--version"}, NULL};
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return error;
    error = posix_spawn_file_actions_adddup2(&actions, end, STDERR_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (error == 0)
        error = posix_spawn(child, "/proc/self/exe", &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* Reads to the end, and leaves out what has no room. */
static void read_answer(int from, char *answer, size_t room)
{
    char rest[256];
    size_t have = 0;
    for (;;) {
        bool fits = have < room - 1;
        ssize_t length =
            fits ? read(from, answer + have, room - 1 - have) : read(from, rest, sizeof rest);
        if (length == 0 || (length < 0 && errno != EINTR))
            break;
        if (length > 0 && fits)
            have += (size_t)length;
    }
    answer[have] = 0;
}

/* Whether there is an answer, of whomever; what went wrong was said. */
static bool ask(char *answer, size_t room)
{
    int ends[2], status = 0;
    pid_t child;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        complain("pipe: %s", strerror(errno));
        return false;
    }
    int error = start_asked(ends[1], &child);
    close(ends[1]);
    if (error == 0) {
        read_answer(ends[0], answer, room);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            continue;
    } else {
        complain("/proc/self/exe: %s", strerror(error));
    }
    close(ends[0]);
    if (error == 0 && status != 0)
        complain("the process that was asked failed");
    return error == 0 && status == 0;
}

/* A preload that fails is only warned of, by the loader, if at all: it is told by what was said. */
static bool print_answer(const char *library, const char *answer)
{
    if (strstr(answer, HEADING) == NULL) {
        fputs(answer, stderr);
        complain("%s cannot be loaded", library);
        return false;
    }
    fputs(answer, stdout);
    return true;
}

static int options_main(int count, char **arguments)
{
    static const struct option known[] = {
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int found = getopt_long(count, arguments, "+", known, NULL);
    if (found == 'h')
        return print_help(&command_options);
    if (found == -1 && optind < count)
        complain("unexpected argument '%s'", arguments[optind]);
    if (found != -1 || optind < count)
        return refer_to_help(STATUS_USAGE);
    static char answer[1 << 16]; /* the list takes some KiB */
    char *library = find_library();
    bool done = library != NULL && preload_library(library) && append_options("help") &&
                ask(answer, sizeof answer) && print_answer(library, answer);
    free(library);
    return done ? 0 : STATUS_FAILED;
}

const struct command command_options = {
    .name = "options",
    .arguments = "",
    .summary = "print the options of the library, and what is in force",
    .details = "Print every option of the library: the value in force, where it comes from,\n"
               "the values it takes, its default and what it is. In force is what a program would\n"
               "find that is started from here by 'poolmalloc run'.\n\n"
               "  --help  print this and exit\n",
    .main = options_main,
};
