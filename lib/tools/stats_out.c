/* SPDX-License-Identifier: MIT */
/* Where reports go, and what their forms have in common: see stats.h. Any thread, also in a signal
 * handler. */
#include "base/report.h"
#include "os/os.h"
#include "tools/stats.h"

#include <string.h>

void pm_out_start(struct pm_out *out, void (*write)(void *arg, const char *text), void *arg)
{
    *out = (struct pm_out){.write = write, .arg = arg, .first = true};
}

void pm_out_end(struct pm_out *out)
{
    out->text[out->used] = 0;
    if (out->used != 0)
        out->write(out->arg, out->text);
    out->used = 0;
}

/* What does not fit behind the rest has the room for itself; no piece is longer than that. */
void pm_out_put(struct pm_out *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = sizeof out->text - out->used;
    size_t length = pm_vformat(out->text + out->used, room, format, args);
    va_end(args);
    if (length >= room) {
        pm_out_end(out);
        va_start(args, format);
        length = pm_vformat(out->text, sizeof out->text, format, args);
        va_end(args);
    }
    out->used += (unsigned)length;
    pm_assert(out->used < sizeof out->text);
}

void pm_out_file_start(struct pm_out_file *to, int file)
{
    to->file = file;
    to->failed = false;
    to->used = 0;
}

void pm_out_file_end(struct pm_out_file *to)
{
    if (!to->failed && to->used != 0)
        to->failed = !pm_os_write(to->file, to->text, to->used);
    to->used = 0;
}

void pm_out_to_file(void *arg, const char *text)
{
    struct pm_out_file *to = arg;
    size_t length = strlen(text); /* less than the buffer of struct pm_out */
    if (to->used + length > sizeof to->text)
        pm_out_file_end(to);
    memcpy(to->text + to->used, text, length);
    to->used += length;
}

void pm_out_path(char path[PM_OUT_PATH_BYTES], const char *pattern, const char *more)
{
    size_t used = 0;
    for (const char *c = pattern; *c != 0 && used < PM_OUT_PATH_BYTES; c++) {
        bool number = c[0] == '%' && c[1] == 'p';
        size_t room = PM_OUT_PATH_BYTES - used;
        used += number ? pm_format(path + used, room, "%u", pm_os_process_id())
                       : pm_format(path + used, room, "%c", *c);
        c += number;
    }
    if (used < PM_OUT_PATH_BYTES)
        pm_format(path + used, PM_OUT_PATH_BYTES - used, "%s", more);
}

void pm_out_numbered_path(char path[PM_OUT_PATH_BYTES], const char *pattern, unsigned number,
                          const char *ending)
{
    char more[32];
    const char *zeros = number < 10 ? "000" : number < 100 ? "00" : number < 1000 ? "0" : "";
    pm_format(more, sizeof more, ".%s%u%s", zeros, number, ending);
    pm_out_path(path, pattern, more);
}

void pm_stats_parts(const struct pm_stats *s, struct pm_stats_part parts[PM_STATS_PARTS])
{
    const struct pm_stats_part all[] = {
        {"live_bytes", "# bytes in allocated blocks", s->live_bytes},
        {"batched_bytes", "# bytes in freed blocks held back in batches", s->batched_bytes},
        {"available_bytes", "# bytes in available blocks", s->available_bytes},
        {"header_bytes", "# bytes lost to pool headers", s->header_bytes},
        {"tail_bytes", "# bytes lost to quantization", s->tail_bytes},
        {"span_bytes", "# bytes in large blocks", s->span_bytes},
        {"span_rest_bytes", "# bytes behind large blocks", s->span_held_bytes - s->span_bytes},
        {"kept_bytes", "# bytes in empty pools that heaps keep", s->kept_bytes},
        {"stash_bytes", "# bytes in units that heaps did not cut", s->stash_bytes},
        {"dirty_bytes", "# bytes in free units, perhaps resident", s->dirty_bytes},
        {"clean_bytes", "# bytes in free units, not resident", s->free_bytes - s->dirty_bytes},
        {"purging_bytes", "# bytes on their way to the system", s->purging_bytes},
    };
    _Static_assert(sizeof all == PM_STATS_PARTS * sizeof *all, "all parts");
    memcpy(parts, all, sizeof all);
}

struct pm_stats_lock pm_stats_lock_of(unsigned rank)
{
    static const char *const names[PM_RANK_COUNT] = {
        [PM_RANK_SERVICE] = "service",   [PM_RANK_TRACE] = "trace",
        [PM_RANK_OPTIONS] = "options",   [PM_RANK_INIT] = "init",
        [PM_RANK_REGISTRY] = "registry", [PM_RANK_COLD] = "cold",
        [PM_RANK_USER] = "user",         [PM_RANK_FLOATING] = "floating",
        [PM_RANK_GROW] = "grow",         [PM_RANK_DECOMMIT] = "decommit",
        [PM_RANK_ARENA] = "arena",       [PM_RANK_GC] = "gc",
    };
    struct pm_stats_lock all = {.name = names[rank] ? names[rank] : "other"};
    for (struct pm_lock *lock = pm_lock_of_rank(rank); lock != NULL; lock = lock->next) {
        all.acquisitions += pm_load_relaxed(&lock->acquisitions);
        all.contended += pm_load_relaxed(&lock->contended);
    }
    if (all.contended > all.acquisitions) /* which were read first */
        all.acquisitions = all.contended;
    return all;
}
