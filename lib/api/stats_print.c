/* SPDX-License-Identifier: MIT */
/*
 * The statistics as a table, in the form of CPython's sys._debugmallocstats. Any thread; no lock is
 * held while the caller's function runs, so it may allocate.
 */
#include "api/figures.h"
#include "base/report.h"
#include "os/os.h"

#include <string.h>

struct printer {
    void (*write)(void *arg, const char *text);
    void *arg;
};

enum { TEXT_BYTES = 160, LABEL_WIDTH = 44, NUMBER_WIDTH = 22 };

/* The number, right-aligned, with a comma before each three digits: to[width] is the final 0. */
static void put_number(char *to, unsigned width, uint64_t n, bool commas)
{
    unsigned digits = 0;
    memset(to, ' ', width);
    to[width] = 0;
    do {
        if (commas && digits != 0 && digits % 3 == 0)
            to[--width] = ',';
        to[--width] = (char)('0' + n % 10);
        n /= 10;
        digits++;
    } while (n != 0 && width > 1);
}

static void print_text(const struct printer *to, const char *text)
{
    to->write(to->arg, text);
}

/* "label       =       1,234" */
static void print_number(const struct printer *to, const char *label, uint64_t n)
{
    char line[TEXT_BYTES], number[NUMBER_WIDTH + 1];
    size_t length = strlen(label), gap = length < LABEL_WIDTH ? LABEL_WIDTH - length : 0;
    char blanks[LABEL_WIDTH + 1];
    memset(blanks, ' ', gap);
    blanks[gap] = 0;
    put_number(number, NUMBER_WIDTH, n, true);
    pm_format(line, sizeof line, "%s%s =%s\n", label, blanks, number);
    print_text(to, line);
}

static void print_class(const struct printer *to, const struct pm_figures *f, unsigned class)
{
    const struct pm_class_stats *stats = &f->classes[class];
    static const unsigned char widths[] = {5, 7, 12, 16, 14};
    const uint64_t columns[] = {class, pm_class_bytes(class), stats->pools, stats->live_blocks,
                                stats->pools * pm_class_capacity(class) - stats->live_blocks};
    char line[TEXT_BYTES];
    size_t used = 0;
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        put_number(line + used, widths[i], columns[i], false);
        used += widths[i];
    }
    memcpy(line + used, "\n", 2);
    print_text(to, line);
}

static void print_classes(const struct printer *to, const struct pm_figures *f)
{
    char line[TEXT_BYTES];
    unsigned used = 0;
    for (unsigned class = 0; class < PM_CLASSES; class ++)
        used += pm_class_is_used(class);
    pm_format(line, sizeof line, "Block threshold = %zu, in %u size classes.\n\n", PM_BLOCK_MAX,
              used);
    print_text(to, line);
    print_text(to, "class   size   num pools   blocks in use  avail blocks\n"
                   "-----   ----   ---------   -------------  ------------\n");
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        if (f->classes[class].pools != 0)
            print_class(to, f, class);
    }
    print_text(to, "\n");
}

static void print_arenas(const struct printer *to, const struct pm_stats *s)
{
    char label[TEXT_BYTES];
    print_number(to, "# arenas allocated total", s->arenas);
    print_number(to, "# arenas reclaimed", s->purged_arenas);
    print_number(to, "# arenas in use", s->arenas_in_use);
    pm_format(label, sizeof label, "%lu arenas * %lu bytes/arena", (unsigned long)s->arenas,
              (unsigned long)s->arena_bytes);
    print_number(to, label, s->arenas * s->arena_bytes);
    print_text(to, "\n");
}

/* These are all that arenas hold. */
static void print_sum(const struct printer *to, const struct pm_figures *f)
{
    const struct pm_stats *s = &f->stats;
    const struct {
        const char *label;
        uint64_t bytes;
    } parts[] = {
        {"# bytes in allocated blocks", f->live_bytes},
        {"# bytes in available blocks", f->available_bytes},
        {"# bytes lost to pool headers", f->header_bytes},
        {"# bytes lost to quantization", f->tail_bytes},
        {"# bytes in large blocks", s->span_bytes},
        {"# bytes behind large blocks", s->span_held_bytes - s->span_bytes},
        {"# bytes in empty pools that heaps keep", s->kept_bytes},
        {"# bytes in units that heaps did not cut", s->stash_bytes},
        {"# bytes in free units, perhaps resident", s->dirty_bytes},
        {"# bytes in free units, not resident", s->free_bytes - s->dirty_bytes},
    };
    uint64_t total = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        print_number(to, parts[i].label, parts[i].bytes);
        total += parts[i].bytes;
    }
    print_number(to, "Total", total);
}

static void to_stderr(void *arg, const char *text)
{
    (void)arg;
    pm_os_append_file("stderr", text, strlen(text));
}

void pm_stats_print(void (*write)(void *arg, const char *text), void *arg)
{
    const struct printer to = {write ? write : to_stderr, arg};
    struct pm_figures figures;
    pm_figures_take(&figures);
    print_classes(&to, &figures);
    print_arenas(&to, &figures.stats);
    print_sum(&to, &figures);
}
