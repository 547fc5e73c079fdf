/* SPDX-License-Identifier: MIT */
/*
 * poolmalloc, the command: finds the subcommand that its first argument names. What all of them do
 * in the same way, help, messages and the check of what was printed, is here.
 */
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All subcommands, in the order in which they are listed. */
static const struct command *const commands[] = {&command_run,    &command_options, &command_stats,
                                                 &command_top,    &command_report,  &command_diff,
                                                 &command_convert};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

/* "poolmalloc", and the subcommand once it is known. */
static char invoked_as[64] = "poolmalloc";

void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", invoked_as);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

int print_help(const struct command *command)
{
    printf("Usage: poolmalloc %s%s%s\n%s", command->name, command->arguments[0] != 0 ? " " : "",
           command->arguments, command->details);
    return 0;
}

int refer_to_help(int status)
{
    fprintf(stderr, "Try '%s --help' for more information.\n", invoked_as);
    return status;
}

static int print_all_help(void)
{
    printf("Usage: poolmalloc COMMAND [ARGUMENT]...\n"
           "       poolmalloc --help | --version\n"
           "Run programs with the poolmalloc allocator, and see what it does.\n\n"
           "Commands:\n");
    for (int i = 0; i < COMMAND_COUNT; i++)
        printf("  %-9s %s\n", commands[i]->name, commands[i]->summary);
    printf("\n'poolmalloc COMMAND --help' tells more of each; see also poolmalloc(1).\n");
    return 0;
}

static int run_command(const struct command *command, int count, char **arguments)
{
    snprintf(invoked_as, sizeof invoked_as, "poolmalloc %s", command->name);
    arguments[0] = invoked_as;
    return command->main(count, arguments);
}

static int dispatch(int count, char **arguments)
{
    if (count < 2) {
        complain("a command is missing");
        return refer_to_help(STATUS_USAGE);
    }
    const char *word = arguments[1];
    if (strcmp(word, "--help") == 0)
        return print_all_help();
    if (strcmp(word, "--version") == 0) {
        printf("poolmalloc %s\n", PM_VERSION);
        return 0;
    }
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(word, commands[i]->name) == 0)
            return run_command(commands[i], count - 1, arguments + 1);
    }
    complain(word[0] == '-' ? "unrecognized option '%s'" : "unknown command '%s'", word);
    return refer_to_help(STATUS_USAGE);
}

int main(int count, char **arguments)
{
    int status = dispatch(count, arguments);
    /* What failed when a part was written may have left nothing for fclose to fail with. */
    bool failed = ferror(stdout) != 0;
    int error = errno;
    if (fclose(stdout) != 0) {
        failed = true;
        error = errno;
    }
    if (failed && status == 0) {
        complain("write error: %s", strerror(error));
        status = STATUS_FAILED;
    }
    return status;
}
