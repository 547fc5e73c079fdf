/* SPDX-License-Identifier: MIT */
/*
 * Profiles as text, in two forms that others defined and read:
 *
 *   gperftools (src/heap-profile-table.cc)       jemalloc (src/prof_data.c)
 *
 *   heap profile: L: B [A: B] @ heap_v2/RATE     heap_v2/RATE
 *     L: B [A: B] @ 0xFRAME 0xFRAME                t*: L: B [A: B]
 *                                                @ 0xFRAME 0xFRAME
 *                                                  t*: L: B [A: B]
 *
 *   # N samples are not in here: ...             (the same)
 *
 *   MAPPED_LIBRARIES:                            MAPPED_LIBRARIES:
 *   (the lines of /proc/self/maps)               (the same)
 *
 * L blocks with B bytes are live, A were allocated; first the sums, then each row. A reader scales
 * a row by its mean size, and adds up rows of a stack; so our rows, of blocks of about one size,
 * are scaled rightly. Rows of another rate than the file's are written as what they would be, with
 * whole blocks, so that the sums are right. The line of samples that found no room is there if
 * there were any; readers pass over it.
 */
#include "base/report.h"
#include "os/os.h"
#include "tools/profile.h"
#include "tools/profile_internal.h"

struct figures {
    uint64_t live_blocks, live_bytes, all_blocks, all_bytes;
};

/* What is left over when blocks are rounded to whole ones: the next rows have it. Many a stack has
 * one block, and all of them would be rounded the same way. */
struct rest {
    double live, gone; /* from -0.5 to 0.5 */
};

static uint64_t whole(double blocks, double *rest)
{
    double wanted = blocks + *rest;
    uint64_t rounded = wanted > 0 ? (uint64_t)(wanted + 0.5) : 0;
    *rest = wanted - (double)rounded;
    return rounded;
}

/* So many blocks of the size that they had on average, by which readers scale them. */
static uint64_t bytes_of(uint64_t blocks, uint64_t had_bytes, uint64_t had_blocks)
{
    double size = had_blocks != 0 ? (double)had_bytes / (double)had_blocks : 0;
    return (uint64_t)((double)blocks * size + 0.5);
}

static struct figures figures_at(const struct pm_profile_row *row, uint64_t rate, struct rest *rest)
{
    struct figures had = {row->live_blocks, row->live_bytes, row->all_blocks, row->all_bytes};
    if (row->mean_bytes == rate || had.live_blocks + had.all_blocks == 0)
        return had;
    double size = had.all_blocks != 0 ? (double)had.all_bytes / (double)had.all_blocks
                                      : (double)had.live_bytes / (double)had.live_blocks;
    double factor = pm_profile_row_scale(row) / pm_profile_scale(size, rate);
    /* After a reset more are live than "all" counts. */
    bool counted = had.all_blocks >= had.live_blocks;
    uint64_t gone = counted ? had.all_blocks - had.live_blocks : had.all_blocks;
    uint64_t live = whole((double)had.live_blocks * factor, &rest->live);
    uint64_t all = whole((double)gone * factor, &rest->gone) + (counted ? live : 0);
    return (struct figures){live, bytes_of(live, had.live_bytes, had.live_blocks), all,
                            bytes_of(all, had.all_bytes, had.all_blocks)};
}

/* A row with something in it, and its figures. */
static bool read_row(uint32_t number, uint64_t rate, struct rest *rest, struct pm_profile_row *row,
                     struct figures *figures)
{
    const struct pm_profile_row *found = pm_profile_row_at(number);
    if (found == NULL)
        return false;
    pm_profile_row_read(found, row);
    *figures = figures_at(row, rate, rest);
    return figures->live_blocks != 0 || figures->all_blocks != 0;
}

static struct figures sum_up(uint32_t rows, uint64_t rate)
{
    struct figures sum = {0}, f;
    struct rest rest = {0};
    struct pm_profile_row row;
    for (uint32_t i = 0; i < rows; i++) {
        if (!read_row(i, rate, &rest, &row, &f))
            continue;
        sum.live_blocks += f.live_blocks;
        sum.live_bytes += f.live_bytes;
        sum.all_blocks += f.all_blocks;
        sum.all_bytes += f.all_bytes;
    }
    return sum;
}

static void put_figures(struct pm_out *out, const struct figures *f)
{
    pm_out_put(out, "%lu: %lu [%lu: %lu]", f->live_blocks, f->live_bytes, f->all_blocks,
               f->all_bytes);
}

static void put_frames(struct pm_out *out, const struct pm_profile_row *row)
{
    pm_out_put(out, "@");
    for (uint64_t i = 0; i < row->depth; i++)
        pm_out_put(out, " %p", (void *)(uintptr_t)row->frames[i]);
    pm_out_put(out, "\n");
}

static void put_head(struct pm_out *out, enum pm_profile_form form, const struct figures *sum,
                     uint64_t rate)
{
    if (form == PM_PROFILE_JEMALLOC) {
        pm_out_put(out, "heap_v2/%lu\n  t*: ", rate);
        put_figures(out, sum);
        pm_out_put(out, "\n");
    } else {
        pm_out_put(out, "heap profile: ");
        put_figures(out, sum);
        pm_out_put(out, " @ heap_v2/%lu\n", rate);
    }
}

static void put_row(struct pm_out *out, enum pm_profile_form form, const struct figures *figures,
                    const struct pm_profile_row *row)
{
    if (form == PM_PROFILE_JEMALLOC) {
        put_frames(out, row);
        pm_out_put(out, "  t*: ");
        put_figures(out, figures);
        pm_out_put(out, "\n");
    } else {
        put_figures(out, figures);
        pm_out_put(out, " ");
        put_frames(out, row);
    }
}

static void put_rows(struct pm_out *out, enum pm_profile_form form)
{
    uint32_t rows = pm_profile_table_is_there() ? pm_profile_rows() : 0;
    uint64_t rate = pm_profile_last_rate();
    struct figures figures = sum_up(rows, rate);
    struct rest rest = {0};
    struct pm_profile_row row;
    put_head(out, form, &figures, rate);
    for (uint32_t i = 0; i < rows; i++) {
        if (read_row(i, rate, &rest, &row, &figures))
            put_row(out, form, &figures, &row);
    }
}

static void put_dropped(struct pm_out *out)
{
    uint64_t dropped = pm_profile_dropped();
    if (dropped != 0)
        pm_out_put(out,
                   "# %lu samples are not in here: no memory, or more stacks than the option "
                   "profile_stacks allows\n",
                   dropped);
}

/* As the system has them: names may hold anything. */
static void copy_maps(struct pm_out_file *to)
{
    int maps = pm_os_open_read("/proc/self/maps");
    long got = 0;
    pm_out_file_end(to);
    while (maps >= 0 && !to->failed && (got = pm_os_read(maps, to->text, sizeof to->text)) > 0)
        to->failed = !pm_os_write(to->file, to->text, (size_t)got);
    if (maps >= 0)
        pm_os_close(maps);
}

bool pm_profile_write(struct pm_out_file *to, enum pm_profile_form form)
{
    struct pm_out out;
    pm_out_start(&out, pm_out_to_file, to);
    put_rows(&out, form);
    put_dropped(&out);
    pm_out_put(&out, "\nMAPPED_LIBRARIES:\n");
    pm_out_end(&out);
    copy_maps(to);
    return !to->failed;
}

bool pm_profile_write_to(const char *path, enum pm_profile_form form, struct pm_out_file *to)
{
    int file = pm_os_open_anew(path);
    pm_out_file_start(to, file);
    bool done = file >= 0 && pm_profile_write(to, form);
    if (file >= 0)
        pm_os_close(file);
    if (!done)
        pm_warn(file < 0 ? "cannot open \"%s\" to write the profile"
                         : "cannot write all of the profile to \"%s\"",
                path);
    return done;
}
