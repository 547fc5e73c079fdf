/* SPDX-License-Identifier: MIT */
/* poolmalloc run: the flags that stand for settings of the library. */
#ifndef PM_COMMAND_RUN_H
#define PM_COMMAND_RUN_H

#include <stdbool.h>

/* All zero: none was given. Texts are those of the command line. */
struct run_flags {
    const char *mode;    /* for POOLMALLOC */
    const char *trace;   /* frames */
    const char *profile; /* one byte in so many; "on" */
    bool stats;
    const char *output; /* for what is written at exit */
};

/* Takes the argument of --trace or --profile, NULL for none. False: it was said what is wrong. */
bool flag_trace(struct run_flags *flags, const char *frames);
bool flag_profile(struct run_flags *flags, const char *bytes);
/* A program has one mode. */
bool flag_mode(struct run_flags *flags, const char *mode);

/* Whether the flags go together; false: as was said. */
bool check_flags(const struct run_flags *flags);

/* Changes the environment as the flags say, and tells who sits at a terminal where to find what
 * comes of it. False: that cannot be, as was said. */
bool apply_flags(const struct run_flags *flags);

#endif
