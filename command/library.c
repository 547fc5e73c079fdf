/* SPDX-License-Identifier: MIT */
/* Where the library is, and the environment in which programs load and set it. See command.h. */
#define _GNU_SOURCE /* asprintf */
#include "command.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* From the folder of the command: where both are installed, and where both are built. */
static const char *const folders[] = {PM_LIBRARY_FOLDER, "../lib"};

/* The folder of the running command, without a final slash. */
static bool own_folder(char folder[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    if (length <= 0 || length == PATH_MAX - 1) {
        complain("/proc/self/exe: %s", length < 0 ? strerror(errno) : "cannot be read");
        return false;
    }
    folder[length] = 0;
    *strrchr(folder, '/') = 0;
    return true;
}

/* The name that an update keeps: of links, only those on the way to it are followed. */
static char *library_in(const char *own, const char *relative)
{
    char *folder = NULL, *path = NULL, *resolved = NULL;
    if (asprintf(&folder, "%s/%s", own, relative) >= 0)
        resolved = realpath(folder, NULL);
    if (resolved == NULL || asprintf(&path, "%s/%s", resolved, PM_LIBRARY_NAME) < 0 ||
        access(path, R_OK) != 0) {
        free(path);
        path = NULL;
    }
    free(resolved);
    free(folder);
    return path;
}

char *find_library(void)
{
    char own[PATH_MAX];
    if (!own_folder(own))
        return NULL;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *path = library_in(own, folders[i]);
        if (path != NULL)
            return path;
    }
    complain("%s is not there, looked for from %s in %s: is poolmalloc installed as a whole?",
             PM_LIBRARY_NAME, own, PM_LIBRARY_FOLDER);
    return NULL;
}

/* NAME=first SEPARATOR second; what is missing or empty leaves the other alone. */
static bool set_joined(const char *name, const char *first, char separator, const char *second)
{
    char *joined = NULL;
    bool both = first != NULL && first[0] != 0 && second != NULL && second[0] != 0;
    const char *one = first != NULL && first[0] != 0 ? first : second;
    if (both && asprintf(&joined, "%s%c%s", first, separator, second) < 0)
        joined = NULL;
    bool done = (!both || joined != NULL) && setenv(name, both ? joined : one, 1) == 0;
    if (!done)
        complain("%s: %s", name, strerror(ENOMEM));
    free(joined);
    return done;
}

bool append_options(const char *settings)
{
    const char *name = "POOLMALLOC_OPTIONS";
    return set_joined(name, getenv(name), ',', settings);
}

/* Both lists are split at these, and neither has a way to quote them. */
static bool can_be_listed(const char *path)
{
    if (strpbrk(path, ":;") == NULL)
        return true;
    complain("%s cannot be preloaded: ':' and ';' in a path separate one from the next", path);
    return false;
}

bool preload_unwinder(void)
{
    const char *name = "libgcc_s.so.1";
    void *found = dlopen(name, RTLD_LAZY);
    if (found == NULL)
        return true;
    dlclose(found);
    return set_joined("LD_PRELOAD", name, ':', getenv("LD_PRELOAD"));
}

bool preload_library(const char *path)
{
    const char *preload = "LD_PRELOAD", *search = "LD_LIBRARY_PATH";
    if (!can_be_listed(path))
        return false;
    if (strpbrk(path, " \t\n") == NULL)
        return set_joined(preload, path, ':', getenv(preload));
    /* Blanks separate what is preloaded, but not where it is looked for. */
    char *folder = strdup(path);
    if (folder == NULL) {
        complain("%s", strerror(errno));
        return false;
    }
    *strrchr(folder, '/') = 0;
    bool done = set_joined(search, folder, ':', getenv(search)) &&
                set_joined(preload, PM_LIBRARY_NAME, ':', getenv(preload));
    free(folder);
    return done;
}
