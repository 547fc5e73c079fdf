/* SPDX-License-Identifier: MIT */
/*
 * pm_run REPORT PROGRAM [ARGUMENT...]: runs PROGRAM and writes what it and the processes it waited
 * for have used to the file REPORT. comparison/programs/batch.py runs batch programs through it.
 *
 * Why not from python: the peak that wait4 reports survives exec, so a program started by a python
 * of 30 MiB would never show less. This process is tiny. It links no allocator and is not run
 * under one: the library to preload comes in PM_RUN_PRELOAD and is set for PROGRAM alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_NOT_RUN = 127, STATUS_USAGE = 2, US_PER_SECOND = 1000000 };

static void become(char **argv)
{
    const char *preload = getenv("PM_RUN_PRELOAD");
    if (preload != NULL && preload[0] != '\0' && setenv("LD_PRELOAD", preload, 1) != 0)
        _exit(STATUS_NOT_RUN);
    unsetenv("PM_RUN_PRELOAD");
    execvp(argv[0], argv);
    fprintf(stderr, "pm_run: %s: %s\n", argv[0], strerror(errno));
    _exit(STATUS_NOT_RUN);
}

static long long us(struct timeval time)
{
    return (long long)time.tv_sec * US_PER_SECOND + time.tv_usec;
}

static int report(const char *path, int status, const struct rusage *used)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        fprintf(stderr, "pm_run: %s: %s\n", path, strerror(errno));
        return STATUS_USAGE;
    }
    /* As subprocess counts: a negative code is a signal. */
    int code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    fprintf(file, "code %d\nuser_us %lld\nsystem_us %lld\npeak_kib %ld\nfaults %ld\n", code,
            us(used->ru_utime), us(used->ru_stime), used->ru_maxrss,
            used->ru_minflt + used->ru_majflt);
    return fclose(file) == 0 ? 0 : STATUS_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fputs("usage: pm_run REPORT PROGRAM [ARGUMENT...]\n", stderr);
        return STATUS_USAGE;
    }
    pid_t child = fork();
    if (child == 0)
        become(argv + 2);
    int status;
    struct rusage used;
    if (child < 0 || wait4(child, &status, 0, &used) != child) {
        fprintf(stderr, "pm_run: %s: %s\n", argv[2], strerror(errno));
        return STATUS_USAGE;
    }
    return report(argv[1], status, &used);
}
