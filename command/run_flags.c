/* SPDX-License-Identifier: MIT */
/* poolmalloc run: from flags to settings. See run.h. */
#define _GNU_SOURCE /* asprintf */
#include "command.h"
#include "run.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FRAMES_MOST = 128,
    PATH_MOST = 255, /* of a setting; the library has no room for more */
};
#define FRAMES_DEFAULT "16"

bool flag_trace(struct run_flags *flags, const char *frames)
{
    char *end;
    unsigned long number = frames != NULL ? strtoul(frames, &end, 10) : 1;
    bool fits = frames == NULL || (frames[0] >= '0' && frames[0] <= '9' && *end == 0 &&
                                   number >= 1 && number <= FRAMES_MOST);
    if (!fits)
        complain("'%s' is no number of frames: from 1 to %d", frames, FRAMES_MOST);
    flags->trace = frames != NULL ? frames : FRAMES_DEFAULT;
    return fits;
}

bool flag_profile(struct run_flags *flags, const char *bytes)
{
    size_t digits = bytes != NULL ? strspn(bytes, "0123456789") : 1;
    const char *unit = bytes != NULL ? bytes + digits : "";
    bool is_size = digits > 0 && digits < 16 &&
                   (unit[0] == 0 || (strchr("kmgKMG", unit[0]) != NULL && unit[1] == 0));
    if (!is_size)
        complain("'%s' is no size: bytes, or with k, m or g behind", bytes);
    flags->profile = bytes != NULL ? bytes : "on";
    return is_size;
}

bool flag_mode(struct run_flags *flags, const char *mode)
{
    bool is_one = flags->mode == NULL || strcmp(flags->mode, mode) == 0;
    if (!is_one)
        complain("--%s and --%s do not go together", flags->mode, mode);
    flags->mode = mode;
    return is_one;
}

bool check_flags(const struct run_flags *flags)
{
    int writers = (flags->trace != NULL) + (flags->profile != NULL) + flags->stats;
    if (flags->output == NULL || writers == 1)
        return true;
    complain(writers == 0 ? "--output is for what --trace, --profile or --stats writes"
                          : "--output can take what one of --trace, --profile and --stats writes");
    return false;
}

/* ---- where to ---- */

/* Known to the library by these names. */
static bool is_stream(const char *path)
{
    return strcmp(path, "stderr") == 0 || strcmp(path, "stdout") == 0;
}

/* In the folder that the command was started in, wherever the program goes: an absolute path, which
 * the caller frees. Where that has no room the name alone has to do. */
static char *path_of(const char *name)
{
    char folder[PATH_MAX], *path = NULL;
    if (name[0] != '/' && !is_stream(name) && getcwd(folder, sizeof folder) != NULL &&
        strlen(folder) + 1 + strlen(name) <= PATH_MOST && strpbrk(folder, ",%") == NULL &&
        asprintf(&path, "%s/%s", folder, name) < 0)
        path = NULL;
    return path != NULL ? path : strdup(name);
}

static bool can_be_set(const char *path)
{
    bool fits = path[0] != 0 && strlen(path) <= PATH_MOST && strchr(path, ',') == NULL;
    if (!fits)
        complain("'%s' cannot be written to: a setting has from 1 to %d bytes, and no comma", path,
                 PATH_MOST);
    return fits;
}

/* As the process will be called that this one becomes. */
static void tell(const char *what, const char *path)
{
    const char *number = strstr(path, "%p");
    if (!isatty(STDERR_FILENO) || is_stream(path))
        return;
    if (number == NULL)
        complain("%s %s", what, path);
    else
        complain("%s %.*s%d%s", what, (int)(number - path), path, (int)getpid(), number + 2);
}

/* Settings with a path at their end. */
static bool append_with_path(const char *settings, const char *name, const char *what)
{
    char *path = can_be_set(name) ? path_of(name) : NULL, *text = NULL;
    bool done = path != NULL && asprintf(&text, "%s%s", settings, path) >= 0;
    done = done && append_options(text);
    if (done)
        tell(what, path);
    free(path);
    free(text);
    return done;
}

/* ---- settings ---- */

static bool apply_trace(const struct run_flags *flags)
{
    char settings[64];
    snprintf(settings, sizeof settings, "trace=%s,trace_at_exit=", flags->trace);
    return append_with_path(settings, flags->output ? flags->output : "poolmalloc.%p.snap",
                            "the snapshot at exit goes to");
}

static bool apply_profile(const struct run_flags *flags)
{
    char settings[80];
    snprintf(settings, sizeof settings,
             "profile=%s,profile_page=on,profile_at_exit=", flags->profile);
    return append_with_path(settings, flags->output ? flags->output : "poolmalloc.%p.heap",
                            "the profile at exit goes to");
}

static bool apply_stats(const struct run_flags *flags)
{
    const char *settings = "stats_page=on,stats_format=table,stats_at_exit=";
    return append_with_path(settings, flags->output ? flags->output : "stderr",
                            "the statistics at exit go to");
}

bool apply_flags(const struct run_flags *flags)
{
    if (flags->mode != NULL && setenv("POOLMALLOC", flags->mode, 1) != 0) {
        complain("POOLMALLOC: %s", strerror(errno));
        return false;
    }
    bool takes_stacks = flags->mode != NULL || flags->trace != NULL || flags->profile != NULL;
    return (!takes_stacks || preload_unwinder()) && (flags->trace == NULL || apply_trace(flags)) &&
           (flags->profile == NULL || apply_profile(flags)) &&
           (!flags->stats || apply_stats(flags));
}
