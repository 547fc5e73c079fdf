/* SPDX-License-Identifier: MIT */
/*
 * Snapshots as files, of the form that docs/snapshots.md describes: of a snapshot, or straight from
 * the traces, which a signal handler may do: everything is on the stack, and it is little.
 */
#include "base/bits.h"
#include "os/os.h"
#include "tools/snapshot.h"
#include "tools/snapshot_internal.h"
#include "tools/trace.h"

#include <errno.h>
#include <string.h>

struct writer {
    int file, error;
    size_t used;
    char text[2048];
};

/* Room for so many bytes, where the next ones go. */
static char *room_for(struct writer *w, size_t bytes)
{
    if (w->used + bytes > sizeof w->text) {
        if (w->error == 0)
            w->error = pm_os_try_write(w->file, w->text, w->used);
        w->used = 0;
    }
    return w->text + w->used;
}

static void flush(struct writer *w)
{
    room_for(w, sizeof w->text);
}

static void put(struct writer *w, const char *text, size_t length)
{
    for (size_t piece; length > 0; text += piece, length -= piece) {
        piece = length < 512 ? length : 512;
        memcpy(room_for(w, piece), text, piece);
        w->used += piece;
    }
}

static void put_text(struct writer *w, const char *text)
{
    put(w, text, strlen(text));
}

static void put_decimal(struct writer *w, uint64_t number)
{
    char *to = room_for(w, PM_SNAPSHOT_NUMBER_BYTES);
    w->used += pm_text_put_decimal(to, number);
}

static void put_number(struct writer *w, const char *key, uint64_t number)
{
    put_text(w, key);
    put_decimal(w, number);
    put_text(w, "\n");
}

static void put_known(struct writer *w, const char *key, uint64_t number)
{
    if (number != 0)
        put_number(w, key, number);
}

static void put_time(struct writer *w, uint64_t time_s)
{
    put_text(w, "time ");
    pm_text_put_time(room_for(w, PM_SNAPSHOT_TIME_BYTES), time_s);
    w->used += PM_SNAPSHOT_TIME_BYTES - 1;
    put_text(w, "\n");
}

/* ---- the parts of a file ---- */

static void put_head(struct writer *w, const struct pm_snapshot_about *about)
{
    put_number(w, PM_SNAPSHOT_FIRST_LINE, PM_SNAPSHOT_VERSION);
    put_number(w, "pid ", about->process_id);
    put_time(w, about->time_s);
    put_known(w, "traceback_limit ", about->traceback_limit);
    put_known(w, "traced_bytes ", about->traced_bytes);
    put_known(w, "peak_bytes ", about->peak_bytes);
}

static void put_stack(unsigned domain, const uintptr_t *frames, unsigned count, uint64_t blocks,
                      uint64_t bytes, void *arg)
{
    struct writer *w = arg;
    if (blocks == 0)
        return;
    put_decimal(w, blocks);
    put_text(w, " ");
    put_decimal(w, bytes);
    put_text(w, " ");
    put_decimal(w, domain);
    put_text(w, " @");
    for (unsigned i = 0; i < count; i++) {
        char *to = room_for(w, 3 + 16);
        memcpy(to, " 0x", 3);
        w->used += 3 + pm_text_put_hex(to + 3, frames[i]);
    }
    put_text(w, "\n");
}

static void put_maps_head(struct writer *w)
{
    put_text(w, "\nMAPPED_LIBRARIES:\n");
}

/* False: errno says why. */
static bool put_end(struct writer *w)
{
    put_text(w, "end\n");
    flush(w);
    if (w->error != 0)
        errno = w->error;
    return w->error == 0;
}

/* ---- of a snapshot ---- */

bool pm_snapshot_write(const pm_snapshot *snapshot, int file)
{
    struct writer w = {.file = file};
    const struct pm_snapshot_stack *stack = pm_snapshot_stacks(snapshot);
    put_head(&w, &snapshot->about);
    if (snapshot->about.program[0] != 0) {
        put_text(&w, "program ");
        put_text(&w, snapshot->about.program);
        put_text(&w, "\n");
    }
    put_number(&w, "stacks ", snapshot->about.stacks);
    for (uint64_t i = 0; i < snapshot->about.stacks && w.error == 0; i++, stack++)
        put_stack(stack->domain, pm_snapshot_frames(snapshot, stack), stack->count, stack->blocks,
                  stack->bytes, &w);
    put_maps_head(&w);
    put(&w, snapshot->maps.start, snapshot->maps.used_bytes);
    return put_end(&w);
}

/* ---- of what is traced now ---- */

/* By way of the writer's buffer: a path may be long. */
static void put_program(struct writer *w)
{
    flush(w);
    size_t length = pm_os_program_path(w->text, sizeof w->text);
    for (size_t i = 0; i < length; i++)
        w->text[i] = w->text[i] == '\n' ? '?' : w->text[i];
    if (length == 0)
        return;
    if (w->error == 0)
        w->error = pm_os_try_write(w->file, "program ", 8);
    w->used = length;
    flush(w);
    put_text(w, "\n");
}

static void put_maps_now(struct writer *w)
{
    int maps = pm_os_open_read("/proc/self/maps");
    flush(w);
    for (long got; maps >= 0 && (got = pm_os_read(maps, w->text, sizeof w->text)) > 0;) {
        w->used = (size_t)got;
        flush(w);
    }
    if (maps >= 0)
        pm_os_close(maps);
}

bool pm_snapshot_write_now(int file)
{
    struct writer w = {.file = file};
    struct pm_snapshot_about about = {.process_id = pm_os_process_id(),
                                      .time_s = pm_os_time_s(),
                                      .traceback_limit = pm_trace_limit()};
    size_t current, peak;
    pm_trace_memory(&current, &peak);
    about.traced_bytes = current;
    about.peak_bytes = peak;
    put_head(&w, &about);
    put_program(&w);
    pm_trace_each(put_stack, &w);
    put_maps_head(&w);
    put_maps_now(&w);
    return put_end(&w);
}
