/* SPDX-License-Identifier: MIT */
/* Looking at a process again and again. See live.h. */
#include "command.h"
#include "live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool read_interval(const char *text, struct live_times *times)
{
    char *end;
    double seconds = strtod(text, &end);
    bool is_time = text[0] != 0 && *end == 0 && seconds >= 0.01 && seconds <= 86400;
    if (is_time)
        times->interval_s = seconds;
    else
        complain("'%s' is no interval: seconds, from 0.01 to 86400", text);
    return is_time;
}

bool read_count(const char *text, struct live_times *times)
{
    char *end;
    errno = 0;
    unsigned long count = strtoul(text, &end, 10);
    bool is_count = text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0 && count > 0;
    if (is_count)
        times->count = count;
    else
        complain("'%s' is no count: a number from 1 on", text);
    return is_count;
}

bool read_process(int count, char **arguments, pid_t *pid)
{
    if (count == 0)
        complain("the number of a process is missing");
    else if (count > 1)
        complain("unexpected argument '%s'", arguments[1]);
    else if (!read_pid(arguments[0], pid))
        complain("'%s' is not the number of a process", arguments[0]);
    else
        return true;
    return false;
}

static bool show_and_flush(bool (*show)(void *arg, enum look look), void *arg, enum look look)
{
    if (!show(arg, look))
        return false;
    if (fflush(stdout) == 0)
        return true;
    complain("write error: %s", strerror(errno));
    return false;
}

int look_on(struct watched *w, const struct live_times *times, bool quiet,
            bool (*show)(void *arg, enum look look), void *arg)
{
    enum look look = LOOK_FIRST;
    prepare_waiting();
    for (unsigned long n = 1;; n++) {
        if (!show_and_flush(show, arg, look))
            return STATUS_FAILED;
        look = LOOK_AGAIN;
        if (n == times->count)
            return 0;
        enum wait_end end = wait_watched(w, times->interval_s);
        if (end == WAIT_INTERRUPTED)
            return 0;
        if (end == WAIT_ENDED) {
            if (!show_and_flush(show, arg, LOOK_ENDED))
                return STATUS_FAILED;
            if (!quiet)
                complain("process %d (%s) has ended", (int)w->pid, w->name);
            return 0;
        }
        if (!watch_on(w))
            return STATUS_FAILED;
    }
}
