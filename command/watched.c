/* SPDX-License-Identifier: MIT */
/* A watched process: who it is, and when it ends. See watched.h. */
#define _GNU_SOURCE /* ppoll */
#include "command.h"
#include "watched.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

bool read_pid(const char *text, pid_t *pid)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    bool is_number = text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0;
    if (!is_number || number <= 0 || number > INT_MAX)
        return false;
    *pid = (pid_t)number;
    return true;
}

/* ---- files of /proc/PID ---- */

void clean(char *text)
{
    for (; *text != 0; text++)
        *text = *text < ' ' || *text > '~' ? '?' : *text;
}

static FILE *open_file(const struct watched *w, const char *name)
{
    int file = openat(w->folder, name, O_RDONLY | O_CLOEXEC);
    FILE *stream = file >= 0 ? fdopen(file, "r") : NULL;
    if (stream == NULL && file >= 0)
        close(file);
    return stream;
}

DIR *open_folder(const struct watched *w, const char *name)
{
    int file = openat(w->folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = file >= 0 ? fdopendir(file) : NULL;
    if (folder == NULL && file >= 0)
        close(file);
    return folder;
}

bool read_line(const struct watched *w, const char *file, char *text, size_t room)
{
    FILE *stream = open_file(w, file);
    if (stream == NULL)
        return false;
    errno = 0;
    bool done = fgets(text, (int)room, stream) != NULL;
    int error = errno;
    fclose(stream);
    if (done)
        text[strcspn(text, "\n")] = 0;
    errno = error;
    return done;
}

bool read_field(const struct watched *w, const char *file, const char *key, char *text, size_t room)
{
    char line[512];
    FILE *stream = open_file(w, file);
    size_t length = strlen(key);
    bool found = false;
    if (stream == NULL)
        return false;
    errno = 0;
    while (!found && fgets(line, sizeof line, stream) != NULL)
        found = strncmp(line, key, length) == 0 && line[length] == ':';
    int error = errno;
    fclose(stream);
    errno = error;
    if (!found)
        return false;
    const char *start = line + length + 1;
    start += strspn(start, " \t");
    snprintf(text, room, "%.*s", (int)strcspn(start, "\n"), start);
    return true;
}

uint64_t last_number(const char *text)
{
    const char *last = strrchr(text, '\t');
    return strtoull(last != NULL ? last + 1 : text, NULL, 10);
}

bool has_mapping(const struct watched *w, dev_t device, ino_t inode)
{
    char *line = NULL;
    size_t room = 0;
    bool found = false;
    FILE *stream = open_file(w, "maps");
    while (stream != NULL && !found && getline(&line, &room, stream) > 0) {
        unsigned major, minor;
        unsigned long number;
        if (inode == 0)
            found = strstr(line, "/libpoolmalloc") != NULL ||
                    strstr(line, "/memfd:poolmalloc-") != NULL ||
                    strstr(line, "[anon:poolmalloc") != NULL;
        else if (sscanf(line, "%*s %*s %*s %x:%x %lu", &major, &minor, &number) == 3)
            found = number == inode && makedev(major, minor) == device;
    }
    free(line);
    if (stream != NULL)
        fclose(stream);
    return found;
}

/* ---- who it is ---- */

/* A process that is dead, but was not waited for, has its folder still. */
bool has_ended(const struct watched *w)
{
    char state[64];
    return !read_field(w, "status", "State", state, sizeof state) || state[0] == 'Z' ||
           state[0] == 'X';
}

static bool no_such_process(pid_t pid)
{
    complain("process %d: %s", (int)pid, strerror(errno == ENOENT ? ESRCH : errno));
    return false;
}

static bool identify(struct watched *w)
{
    char text[256];
    if (!read_field(w, "status", "Name", w->name, sizeof w->name) ||
        !read_field(w, "status", "Tgid", text, sizeof text))
        return no_such_process(w->pid);
    clean(w->name);
    if (last_number(text) != (uint64_t)w->pid) {
        complain("%d is a thread of process %lu", (int)w->pid, (unsigned long)last_number(text));
        return false;
    }
    w->own_pid = (uint64_t)w->pid;
    if (read_field(w, "status", "NStgid", text, sizeof text))
        w->own_pid = last_number(text);
    if (has_ended(w)) {
        complain("process %d (%s) has ended", (int)w->pid, w->name);
        return false;
    }
    return true;
}

bool watch(struct watched *w, const struct page_kind *kind, pid_t pid)
{
    char path[32];
    *w = (struct watched){.kind = kind, .pid = pid, .handle = -1};
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    w->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->folder < 0)
        return no_such_process(pid);
    w->handle = (int)syscall(SYS_pidfd_open, pid, 0);
    return identify(w) && find_page(w);
}

void unwatch(struct watched *w)
{
    if (w->page != NULL)
        munmap((void *)(uintptr_t)w->page, w->page_bytes);
    if (w->handle >= 0)
        close(w->handle);
    if (w->folder >= 0)
        close(w->folder);
}

bool watch_on(struct watched *w)
{
    struct stat status;
    if (fstatat(w->folder, w->place, &status, 0) == 0 && status.st_ino == w->inode &&
        status.st_dev == w->device)
        return true;
    if (has_ended(w) || has_mapping(w, w->device, w->inode)) /* the program closed the file */
        return true;
    return identify(w) && find_page(w);
}

/* ---- waiting ---- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* Blocked but while it waits, so that it cannot come just before. */
void prepare_waiting(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigset_t blocked;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

enum wait_end wait_watched(struct watched *w, double seconds)
{
    double end = now_s() + seconds;
    sigset_t open_to;
    sigprocmask(SIG_BLOCK, NULL, &open_to);
    sigdelset(&open_to, SIGINT);
    for (double rest = seconds; rest > 0; rest = end - now_s()) {
        struct pollfd polled = {.fd = w->handle, .events = POLLIN}; /* -1 is passed over */
        struct timespec time = {.tv_sec = (time_t)rest};
        time.tv_nsec = (long)((rest - (double)time.tv_sec) * 1e9);
        int found = ppoll(&polled, 1, &time, &open_to);
        if (interrupted)
            return WAIT_INTERRUPTED;
        if (found > 0)
            return WAIT_ENDED;
    }
    return has_ended(w) ? WAIT_ENDED : WAIT_OVER;
}
