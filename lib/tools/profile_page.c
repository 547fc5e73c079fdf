/* SPDX-License-Identifier: MIT */
/*
 * The profile page: a copy of the table's rows in memory that other processes map, to which each
 * change is made a second time. So a child of fork has the table as it was, and a page of its own
 * is made of that, by the fork handler, while no other thread is there. A child that was made past
 * the handlers has the parent's page, and leaves it alone.
 */
#include "base/options.h"
#include "base/report.h"
#include "os/os.h"
#include "tools/profile_internal.h"

/* Of one thread: at start, or in a child. */
static struct pm_os_shared shared;

/* Release and acquire: its fields are set. NULL: there is none. */
static struct pm_profile_page *_Atomic page_now;

/* NULL: there is none, or it is the parent's. */
static struct pm_profile_page *own_page(void)
{
    struct pm_profile_page *page = pm_load_acquire(&page_now);
    return page != NULL && page->process_id == pm_os_process_id() ? page : NULL;
}

static struct pm_profile_row *row_of(struct pm_profile_page *page, uint32_t number)
{
    return (struct pm_profile_row *)(void *)(page + 1) + number;
}

/* All but the figures and `published`. */
static void copy_key(struct pm_profile_row *to, const struct pm_profile_row *from)
{
    to->mean_bytes = from->mean_bytes;
    to->step = from->step;
    to->depth = from->depth;
    for (uint64_t i = 0; i < from->depth; i++)
        to->frames[i] = from->frames[i];
}

static void publish(struct pm_profile_page *page, uint32_t number)
{
    uint64_t was = pm_load_relaxed(pm_profile_word(&page->rows)), end = (uint64_t)number + 1;
    /* Release pairs with the acquire in pm_profile_page_read: the key is complete. */
    pm_store_release(pm_profile_word(&row_of(page, number)->published), 1);
    while (was < end && !pm_cas_acq_rel(pm_profile_word(&page->rows), &was, end))
        continue;
}

void pm_profile_page_add_row(uint32_t number, const struct pm_profile_row *row)
{
    struct pm_profile_page *page = own_page();
    if (page == NULL || number >= page->rows_room)
        return;
    copy_key(row_of(page, number), row);
    publish(page, number);
}

void pm_profile_page_change(uint32_t number, const struct pm_profile_change *change)
{
    struct pm_profile_page *page = own_page();
    if (page != NULL && number < page->rows_room)
        pm_profile_row_change(row_of(page, number), change);
}

void pm_profile_page_set_mean(uint64_t mean)
{
    struct pm_profile_page *page = own_page();
    if (page != NULL)
        pm_store_relaxed(pm_profile_word(&page->mean_bytes), mean); /* orders nothing */
}

void pm_profile_page_count_dropped(void)
{
    struct pm_profile_page *page = own_page();
    if (page != NULL)
        pm_count_shared(pm_profile_word(&page->dropped_samples), 1);
}

/* What the table has. */
static void copy_rows(struct pm_profile_page *page)
{
    for (uint32_t i = 0; i < pm_profile_rows() && i < page->rows_room; i++) {
        const struct pm_profile_row *row = pm_profile_row_at(i);
        struct pm_profile_row now;
        if (row == NULL)
            continue;
        pm_profile_row_read(row, &now);
        struct pm_profile_change figures = {now.live_blocks, now.live_bytes, now.all_blocks,
                                            now.all_bytes};
        copy_key(row_of(page, i), row);
        pm_profile_row_change(row_of(page, i), &figures);
        publish(page, i);
    }
}

void pm_profile_page_start(void)
{
    uint64_t rows_room = pm_load_relaxed(&pm_options.profile_stacks), mean = 0, dropped = 0;
    struct pm_profile_page *was = pm_load_acquire(&page_now), *page;
    if (pm_options.profile_page[1] != 'n') /* "on" */
        return;
    pm_store_relaxed(&page_now, NULL);
    if (was != NULL) { /* the parent's */
        mean = pm_load_relaxed(pm_profile_word(&was->mean_bytes));
        dropped = pm_load_relaxed(pm_profile_word(&was->dropped_samples));
        pm_os_unshare(&shared);
    }
    size_t bytes = sizeof *page + rows_room * sizeof(struct pm_profile_row);
    if (!pm_os_share(PM_PROFILE_PAGE_NAME, bytes, &shared)) {
        pm_warn("no profile page (option profile_page): the system gives no shared memory");
        return;
    }
    page = shared.start;
    *page = (struct pm_profile_page){.version = PM_PROFILE_PAGE_VERSION,
                                     .bytes = bytes,
                                     .process_id = pm_os_process_id(),
                                     .header_bytes = sizeof *page,
                                     .row_bytes = sizeof(struct pm_profile_row),
                                     .rows_room = rows_room,
                                     .mean_bytes = mean,
                                     .dropped_samples = dropped};
    if (pm_profile_table_is_there())
        copy_rows(page);
    pm_store_release(&page_now, page); /* for this process's threads */
    /* Release pairs with the acquire in pm_profile_page_is_valid. */
    pm_store_release(pm_profile_word(&page->magic), PM_PROFILE_PAGE_MAGIC);
}
