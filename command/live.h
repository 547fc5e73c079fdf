/* SPDX-License-Identifier: MIT */
/*
 * What stats and top do in the same way: they look at a watched process again and again, and show
 * what they see, in place on a terminal, one below the other elsewhere.
 */
#ifndef PM_COMMAND_LIVE_H
#define PM_COMMAND_LIVE_H

#include "watched.h"

/* How often, as the command line says. */
struct live_times {
    double interval_s;
    unsigned long count; /* of looks; 0: until the process ends */
};
#define LIVE_TIMES_DEFAULT                                                                         \
    {                                                                                              \
        .interval_s = 1, .count = 0                                                                \
    }

/* Arguments of --interval and --count. False: it was said what is wrong with them. */
bool read_interval(const char *text, struct live_times *times);
bool read_count(const char *text, struct live_times *times);

/* The number of the one process that is left of the arguments. False: as was said. */
bool read_process(int count, char **arguments, pid_t *pid);

/*
 * Calls show after each interval, the first time at once, until there were so many looks, the
 * process ended, which is said on stderr unless `quiet`, or the user interrupts. When it ended
 * there is a last look, as its page stays. show returns false if that is to be the end, after it
 * said why. Returns the exit status.
 */
enum look { LOOK_FIRST, LOOK_AGAIN, LOOK_ENDED };
int look_on(struct watched *w, const struct live_times *times, bool quiet,
            bool (*show)(void *arg, enum look look), void *arg);

/* ---- screen.c ---- */

/* Lines on stdout. */
struct screen {
    bool in_place;          /* each picture replaces the last */
    bool has_colors;        /* and bold text */
    unsigned rows, columns; /* of the terminal; 0: no limit */
    unsigned used;          /* rows, of the picture */
    bool is_begun;
};

/* repeats: there will be several pictures. */
void open_screen(struct screen *screen, bool repeats);
void begin_picture(struct screen *screen);
/* A line, without its end, in which '?' stands for what is not printable ASCII; what does not fit a
 * picture in place is left out. */
void put_line(struct screen *screen, const char *format, ...) __attribute__((format(printf, 2, 3)));
void put_heading(struct screen *screen, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Rows that are left. */
unsigned rows_left(const struct screen *screen);
void end_picture(struct screen *screen);

/* "12,345", "-1" becomes "-1"; in `to`, which is returned. */
enum { NUMBER_BYTES = 32 };
const char *with_commas(char to[NUMBER_BYTES], int64_t number, bool signed_always);

#endif
