/* SPDX-License-Identifier: MIT */
/* Pictures of text on stdout. See live.h. */
#include "live.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void open_screen(struct screen *screen, bool repeats)
{
    const char *kind = getenv("TERM"), *no_color = getenv("NO_COLOR");
    bool is_terminal =
        isatty(STDOUT_FILENO) && kind != NULL && kind[0] != 0 && strcmp(kind, "dumb") != 0;
    static char buffer[1 << 16]; /* of a picture: it appears at once */
    *screen = (struct screen){.in_place = is_terminal && repeats};
    screen->has_colors = is_terminal && (no_color == NULL || no_color[0] == 0);
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
}

void begin_picture(struct screen *screen)
{
    struct winsize size = {0};
    screen->used = 0;
    if (!screen->in_place) {
        if (screen->is_begun)
            putchar('\n');
        screen->is_begun = true;
        return;
    }
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    screen->rows = known && size.ws_row > 1 ? size.ws_row : 24;
    screen->columns = known && size.ws_col > 1 ? size.ws_col : 80;
    fputs(screen->is_begun ? "\033[H" : "\033[H\033[2J", stdout);
    screen->is_begun = true;
}

unsigned rows_left(const struct screen *screen)
{
    if (!screen->in_place)
        return (unsigned)-1;
    return screen->rows - 1 > screen->used ? screen->rows - 1 - screen->used : 0;
}

static void put(struct screen *screen, bool is_heading, const char *format, va_list arguments)
{
    char text[512];
    bool is_bold = is_heading && screen->has_colors;
    if (rows_left(screen) == 0)
        return;
    vsnprintf(text, sizeof text, format, arguments);
    clean(text); /* names in it are of files that may have anything in them */
    if (screen->in_place && strlen(text) > screen->columns)
        text[screen->columns] = 0;
    printf("%s%s%s%s\n", is_bold ? "\033[1m" : "", text, is_bold ? "\033[0m" : "",
           screen->in_place ? "\033[K" : "");
    screen->used++;
}

void put_line(struct screen *screen, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put(screen, false, format, arguments);
    va_end(arguments);
}

void put_heading(struct screen *screen, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put(screen, true, format, arguments);
    va_end(arguments);
}

void end_picture(struct screen *screen)
{
    if (screen->in_place)
        fputs("\033[J", stdout);
}

const char *with_commas(char to[NUMBER_BYTES], int64_t number, bool signed_always)
{
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    char *at = to + NUMBER_BYTES;
    *--at = 0;
    for (unsigned digits = 0; digits == 0 || rest != 0; digits++, rest /= 10) {
        if (digits != 0 && digits % 3 == 0)
            *--at = ',';
        *--at = (char)('0' + rest % 10);
    }
    if (number < 0 || (signed_always && number > 0))
        *--at = number < 0 ? '-' : '+';
    return memmove(to, at, (size_t)(to + NUMBER_BYTES - at));
}
