/* SPDX-License-Identifier: MIT */
/*
 * What the files of the command share. The command is a program of its own, with one thread:
 * of lib/ only libpoolmalloc_pm.a is linked to it, for reading snapshots, and its malloc is the C
 * library's unless somebody preloads another.
 *
 * A subcommand is a file that defines a struct command, and a line in the table of main.c.
 */
#ifndef PM_COMMAND_H
#define PM_COMMAND_H

#include <stdbool.h>

/* How poolmalloc ends, besides 0; "run" ends as env(1) does, if not as its program. */
enum {
    STATUS_FAILED = 1,
    STATUS_USAGE = 2,
    STATUS_RUN_FAILED = 125,
    STATUS_RUN_NOT_EXECUTABLE = 126,
    STATUS_RUN_NOT_FOUND = 127,
};

struct command {
    const char *name;
    const char *arguments; /* as in a synopsis; empty: none */
    const char *summary;   /* for the list of all commands */
    const char *details;   /* for its own --help: whole lines */
    /* arguments[0] is "poolmalloc NAME", for the messages of getopt. Returns the exit status. */
    int (*main)(int count, char **arguments);
};
extern const struct command command_run, command_options, command_stats, command_top,
    command_report, command_diff, command_convert;

/* A line on stderr, after "poolmalloc NAME: ". */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For --help of a command: to stdout. Returns 0, the exit status. */
int print_help(const struct command *command);

/* Where to read how it is done, on stderr, after a mistake was named. Returns the status given. */
int refer_to_help(int status);

/* ---- library.c ---- */

/* The shared library that was installed, or built, with this command; the caller frees the path.
 * NULL: it is not there, which was said. */
char *find_library(void);

/* Changes the environment so that programs started from now on have the library preloaded, before
 * those that are preloaded anyway. False: that cannot be, and it was said why. */
bool preload_library(const char *path);

/* The same with the unwinder that exceptions use, where the system has it: programs in C++ have it
 * anyway, and the library, whose constructor comes first of all, loads none by itself. */
bool preload_unwinder(void);

/* Appends settings to POOLMALLOC_OPTIONS, of which later ones win. False: no memory, as said. */
bool append_options(const char *settings);

/* ---- program.c ---- */

/* Where execvp finds the program; the caller frees the path. NULL: nowhere, or no memory. */
char *find_program(const char *name);

/* Why a preload has no effect on the program in this file, in words that follow its name. NULL: it
 * has, or that cannot be told. */
const char *preload_obstacle(const char *path);

#endif
