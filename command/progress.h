/* SPDX-License-Identifier: MIT */
/*
 * How far a long piece of work has come: on stderr, if that is a terminal, once the work takes
 * longer than a user waits without a sign.
 */
#ifndef PM_COMMAND_PROGRESS_H
#define PM_COMMAND_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    const char *what;            /* is being done */
    size_t most;                 /* pieces there are */
    uint64_t start_ms, shown_ms; /* 0: not yet */
    bool is_shown;
};

/* done pieces are done. Cheap enough to be called for each. */
void progress_show(struct progress *progress, size_t done);

/* Takes away what was shown. */
void progress_end(struct progress *progress);

#endif
