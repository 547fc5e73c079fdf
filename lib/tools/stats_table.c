/* SPDX-License-Identifier: MIT */
/*
 * The statistics as a table, in the form of CPython's sys._debugmallocstats, and as lines of
 * counters. Any thread; no lock is held while the caller's function runs, so it may allocate.
 */
#include "base/options.h"
#include "base/report.h"
#include "os/os.h"
#include "tools/stats.h"

#include <string.h>

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

/* "label       =       1,234" */
static void print_number(struct pm_out *out, const char *label, uint64_t n)
{
    char number[NUMBER_WIDTH + 1];
    size_t length = strlen(label), gap = length < LABEL_WIDTH ? LABEL_WIDTH - length : 0;
    char blanks[LABEL_WIDTH + 1];
    memset(blanks, ' ', gap);
    blanks[gap] = 0;
    put_number(number, NUMBER_WIDTH, n, true);
    pm_out_put(out, "%s%s =%s\n", label, blanks, number);
}

static void print_class(struct pm_out *out, const struct pm_figures *f, unsigned class)
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
    line[used] = 0;
    pm_out_put(out, "%s%s\n", line, pm_class_is_gc(class) ? "  gc" : "");
}

static void print_classes(struct pm_out *out, const struct pm_figures *f)
{
    unsigned used = 0; /* of malloc */
    for (unsigned class = 0; class < PM_CLASSES; class ++)
        used += !pm_class_is_gc(class) && pm_class_bytes(class) % PM_GRANULE_BYTES == 0;
    pm_out_put(out, "Block threshold = %zu, in %u size classes.\n\n", PM_BLOCK_MAX, used);
    pm_out_put(out, "class   size   num pools   blocks in use  avail blocks\n"
                    "-----   ----   ---------   -------------  ------------\n");
    for (unsigned class = 0; class < PM_CLASSES; class ++) {
        if (f->classes[class].pools != 0)
            print_class(out, f, class);
    }
    pm_out_put(out, "\n");
}

static void print_arenas(struct pm_out *out, const struct pm_stats *s)
{
    char label[TEXT_BYTES];
    print_number(out, "# arenas allocated total", s->arenas);
    print_number(out, "# arenas reclaimed", s->purged_arenas);
    print_number(out, "# arenas in use", s->arenas_in_use);
    pm_format(label, sizeof label, "%lu arenas * %lu bytes/arena", (unsigned long)s->arenas,
              (unsigned long)s->arena_bytes);
    print_number(out, label, s->arenas * s->arena_bytes);
    pm_out_put(out, "\n");
}

/* These are all that arenas hold. */
static void print_sum(struct pm_out *out, const struct pm_stats *s)
{
    struct pm_stats_part parts[PM_STATS_PARTS];
    uint64_t total = 0;
    pm_stats_parts(s, parts);
    for (size_t i = 0; i < PM_STATS_PARTS; i++) {
        print_number(out, parts[i].label, parts[i].bytes);
        total += parts[i].bytes;
    }
    print_number(out, "Total", total);
    pm_out_put(out, "\n");
}

static void print_events(struct pm_out *out, const struct pm_stats *s)
{
    print_number(out, "# blocks handed out", s->mallocs);
    print_number(out, "# blocks freed", s->frees);
    print_number(out, "# blocks freed into pools of others or none", s->remote_frees);
    print_number(out, "# batches of these", s->remote_batches);
    print_number(out, "# blocks freed and held back in batches", s->batched_blocks);
    print_number(out, "# slow paths of malloc", s->refills);
    print_number(out, "# pools adopted by threads that freed", s->adopted_pools);
    print_number(out, "# bytes in pools without an owner", s->floating_bytes);
    print_number(out, "# of these pools, published", s->floating_pools);
    print_number(out, "# user heaps", s->user_heaps);
    print_number(out, "# guarded blocks", s->guarded_blocks);
    print_number(out, "# bytes in these", s->guarded_bytes);
    print_number(out, "# purges", s->purges);
    print_number(out, "# bytes purged", s->purged_bytes);
    pm_out_put(out, "\nHuge pages: option \"%s\".\n", pm_options.huge_pages);
    print_number(out, "# arenas that shall have none", s->no_huge_arenas);
    pm_out_put(out, "\n");
}

static void print_locks(struct pm_out *out)
{
    pm_out_put(out, "lock          acquisitions         contended\n"
                    "----          ------------         ---------\n");
    for (unsigned rank = 0; rank < PM_RANK_COUNT; rank++) {
        struct pm_stats_lock lock = pm_stats_lock_of(rank);
        char acquisitions[19], contended[19];
        put_number(acquisitions, 18, lock.acquisitions, false);
        put_number(contended, 18, lock.contended, false);
        size_t length = strlen(lock.name);
        pm_out_put(out, "%s%s%s%s\n", lock.name, &"        "[length < 8 ? length : 8], acquisitions,
                   contended);
    }
    pm_out_put(out, "\n");
}

static void print_thread(struct pm_out *out, const struct pm_thread_figures *row, bool names)
{
    static const unsigned char widths[] = {10, 15, 15, 15, 11};
    uint64_t blocks = 0;
    for (unsigned i = 0; i < PM_BATCH_SLOTS; i++)
        blocks += row->heap.batched[i].blocks;
    const uint64_t columns[] = {row->heap.thread_id, row->pool_bytes, row->live_bytes,
                                row->heap.kept_bytes + row->heap.stash_bytes, blocks};
    char line[TEXT_BYTES], name[PM_OS_THREAD_NAME_BYTES] = "";
    size_t used = 0;
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        put_number(line + used, widths[i], columns[i], false);
        used += widths[i];
    }
    if (names)
        pm_os_thread_name((unsigned)row->heap.thread_id, name);
    pm_out_put(out, "%s%s%s\n", line, name[0] != 0 ? "  " : "", name);
}

static void print_threads(struct pm_out *out, const struct pm_threads_figures *threads, bool names)
{
    pm_out_put(out,
               "    thread     pool bytes    bytes in use     bytes kept  held back%s\n"
               "    ------     ----------    ------------     ----------  ---------%s\n",
               names ? "  name" : "", names ? "  ----" : "");
    for (unsigned i = 0; i < threads->count; i++)
        print_thread(out, &threads->rows[i], names);
    if (threads->left_out != 0)
        pm_out_put(out, "and %lu threads more\n", (unsigned long)threads->left_out);
}

void pm_stats_write_table(struct pm_out *out, const struct pm_report *report, bool names)
{
    const struct pm_stats *stats = &report->figures.stats;
    if (report->figures.arenas_unknown)
        pm_out_put(out, "The arenas are being changed; what they hold is not known now.\n\n");
    print_classes(out, &report->figures);
    print_arenas(out, stats);
    print_sum(out, stats);
    print_events(out, stats);
    print_locks(out);
    print_threads(out, &report->threads, names);
}

/* ---- counters ---- */

static void write_events(struct pm_out *out)
{
#if PM_COUNT
    pm_out_put(out, "slow_paths: %lu\natomic_updates: %lu\n",
               (unsigned long)pm_load_relaxed(&pm_events[PM_EVENT_SLOW_PATH]),
               (unsigned long)pm_load_relaxed(&pm_events[PM_EVENT_ATOMIC_UPDATE]));
#else
    (void)out;
#endif
}

void pm_stats_write_counters(struct pm_out *out, const struct pm_report *report)
{
    pm_out_put(out, "poolmalloc statistics (pid %u)\n", pm_os_process_id());
    for (unsigned i = 0; i < pm_stats_row_count; i++) {
        const struct pm_stats_row *row = &pm_stats_rows[i];
        pm_out_put(out, "%s: %lu\n", row->name,
                   (unsigned long)pm_stats_value(&report->figures.stats, row));
    }
    write_events(out);
}

void pm_stats_print(void (*write)(void *arg, const char *text), void *arg)
{
    struct pm_report report;
    struct pm_out out;
    struct pm_out_file to_stderr;
    pm_out_file_start(&to_stderr, PM_OS_STDERR);
    pm_figures_look(PM_LOOK_CLOSELY, &report.figures, &report.threads);
    pm_out_start(&out, write ? write : pm_out_to_file, write ? arg : &to_stderr);
    pm_stats_write_table(&out, &report, write != NULL);
    pm_out_end(&out);
    pm_out_file_end(&to_stderr);
}
