/* SPDX-License-Identifier: MIT */
/*
 * The profiler: what becomes of a sample (heap/sample.h), and the calls of poolmalloc/profile.h. A
 * sample is told inside malloc, under no lock: its stack is taken and finds its row, and the block
 * is put down with it. Nothing allocates, nothing waits.
 */
#include "tools/profile.h"
#include "base/options.h"
#include "base/report.h"
#include "heap/sample.h"
#include "os/os.h"
#include "tools/profile_internal.h"
#include "tools/stack.h"

#include <errno.h>

/* Relaxed: numbers of their own. */
static _Atomic uint64_t last_rate;
static _Atomic uint64_t dropped_samples;

static void drop_sample(void)
{
    pm_count_shared(&dropped_samples, 1);
    pm_profile_page_count_dropped();
}

static void on_taken(void *block, size_t bytes)
{
    uint64_t mean = pm_load_relaxed(&last_rate);
    uint32_t row = pm_profile_row_here(bytes, mean);
    if (row == PM_PROFILE_NO_ROW || !pm_profile_live_add(block, row, bytes))
        drop_sample();
    pm_profile_allocated(bytes, mean);
}

static void on_freed(void *block)
{
    pm_profile_live_remove(block);
}

static void *on_lifted(void *block)
{
    return pm_profile_live_lift(block);
}

static void on_laid(void *record, void *block)
{
    if (block != NULL)
        pm_profile_live_lay(record, block);
    else
        pm_profile_live_drop(record);
}

static const struct pm_sampler sampler = {on_taken, on_freed, on_lifted, on_laid};

bool pm_profile_start(size_t mean_bytes)
{
    uint64_t mean = mean_bytes != 0 ? mean_bytes : PM_PROFILE_MEAN_BYTES;
    pm_stack_start();
    if (!pm_profile_table_init(pm_load_relaxed(&pm_options.profile_stacks)) ||
        !pm_sampling_prepare(&sampler)) {
        errno = ENOMEM;
        return false;
    }
    pm_store_relaxed(&last_rate, mean);
    pm_profile_page_set_mean(mean);
    pm_sampling_start(mean);
    pm_thread_idle(); /* so that the calling thread begins now */
    return true;
}

void pm_profile_stop(void)
{
    pm_sampling_stop();
    pm_profile_page_set_mean(0);
}

bool pm_profile_is_on(void)
{
    return pm_sampling_on();
}

size_t pm_profile_rate(void)
{
    return pm_load_relaxed(&pm_sampling.mean_bytes);
}

uint64_t pm_profile_last_rate(void)
{
    uint64_t rate = pm_load_relaxed(&last_rate);
    return rate != 0 ? rate : 1;
}

uint64_t pm_profile_dropped(void)
{
    return pm_load_relaxed(&dropped_samples);
}

void pm_profile_reset_all(void)
{
    if (pm_profile_table_is_there())
        pm_profile_rows_reset_all();
}

bool pm_profile_dump(const char *path, enum pm_profile_form form)
{
    struct pm_out_file to;
    return pm_profile_write_to(path, form, &to);
}

bool pm_profile_dump_fd(int fd, enum pm_profile_form form)
{
    struct pm_out_file to;
    pm_out_file_start(&to, fd);
    bool done = pm_profile_write(&to, form);
    if (!done)
        pm_warn("cannot write all of the profile to file descriptor %u", (unsigned)fd);
    return done;
}

void pm_profile_leaks(void (*write)(void *arg, const char *text), void *arg)
{
    struct pm_out out;
    pm_out_start(&out, write, arg);
    pm_profile_write_leaks(&out);
    pm_out_end(&out);
}
