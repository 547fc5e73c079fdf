/* SPDX-License-Identifier: MIT */
/* Signs of life for users who wait. See progress.h. */
#include "progress.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { SILENT_MS = 2000, EVERY_MS = 200 };

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void progress_show(struct progress *progress, size_t done)
{
    uint64_t now = now_ms();
    if (progress->start_ms == 0)
        progress->start_ms = now;
    if (now - progress->start_ms < SILENT_MS || now - progress->shown_ms < EVERY_MS ||
        progress->most == 0 || !isatty(STDERR_FILENO))
        return;
    progress->shown_ms = now;
    progress->is_shown = true;
    fprintf(stderr, "\r%s: %zu %%\033[K", progress->what, 100 * done / progress->most);
    fflush(stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->is_shown)
        fputs("\r\033[K", stderr);
    progress->is_shown = false;
}
