/* SPDX-License-Identifier: MIT */
/*
 * The statistics page: memory that other processes map, kept up to date by whoever takes a slow
 * path when it is due. See poolmalloc/stats_page.h for its readers.
 *
 * One thread at a time updates; the others go on. An update may come under the cold lock and inside
 * a slow path, so it takes no lock but the arena lock, allocates nothing, and works in static
 * memory. `updating` is the process that updates: in the child of a fork that of the parent means
 * nothing, for that thread is not there; and the child gets a page of its own.
 */
#include "poolmalloc/stats_page.h"
#include "base/options.h"
#include "base/report.h"
#include "os/os.h"
#include "tools/stats.h"
#include "tools/stats_page.h"

static _Atomic uint64_t updating;

/* The updater's. */
static struct pm_os_shared shared; /* of process `owner` */
static uint64_t owner, made_ns;    /* the time of its first update */
static uint64_t cost_ns; /* of an update, a moving average: any may be kept from its processor */
static struct pm_stats_page draft;
static struct pm_report report;

_Static_assert(PM_STATS_PAGE_CLASSES >= PM_CLASSES, "a row for each class");
_Static_assert(PM_STATS_PAGE_THREADS == PM_FIGURES_THREADS, "a row for each thread of a look");
_Static_assert(PM_STATS_PAGE_LOCKS >= PM_RANK_COUNT, "a row for each kind of lock");
_Static_assert(sizeof draft.stats == sizeof draft.stats.words, "the fields fit");
_Static_assert(sizeof draft % sizeof(uint64_t) == 0, "whole words");

static void add_class(struct pm_stats_page_class *row, const struct pm_figures *f, unsigned class)
{
    const struct pm_class_stats *stats = &f->classes[class];
    row->pools += stats->pools;
    row->pool_bytes += stats->pools * pm_class_units(class) << PM_UNIT_SHIFT;
    row->live_blocks += stats->live_blocks - f->batched_blocks[class];
    row->batched_blocks += f->batched_blocks[class];
    row->available_blocks += stats->pools * pm_class_capacity(class) - stats->live_blocks;
}

/* Pools of kind gc are counted with those whose blocks are as large: a row has no place for a kind.
 */
static void fill_row(const struct pm_figures *f, uint32_t bytes)
{
    struct pm_stats_page_class *row = &draft.class_rows[draft.classes];
    unsigned class = pm_class_of(bytes);
    *row = (struct pm_stats_page_class){.block_bytes = bytes};
    if (pm_class_bytes(class) == bytes)
        add_class(row, f, class);
    if (bytes > 8 && bytes <= PM_SMALL_MAX && pm_class_bytes(pm_class_gc(bytes)) == bytes)
        add_class(row, f, pm_class_gc(bytes));
    draft.classes += row->pools != 0;
}

static void fill_classes(const struct pm_figures *f)
{
    draft.classes = 0;
    for (uint32_t bytes = 8; bytes <= PM_SMALL_MAX; bytes += 8)
        fill_row(f, bytes);
    for (unsigned class = PM_SMALL_CLASSES; class < PM_PLAIN_CLASSES; class ++)
        fill_row(f, pm_class_bytes(class));
}

static void fill_threads(const struct pm_threads_figures *threads)
{
    draft.threads = threads->count;
    draft.threads_left_out = threads->left_out;
    for (unsigned t = 0; t < threads->count; t++) {
        const struct pm_thread_figures *row = &threads->rows[t];
        uint64_t batched = 0;
        for (unsigned i = 0; i < PM_BATCH_SLOTS; i++)
            batched += row->heap.batched[i].blocks;
        draft.thread_rows[t] = (struct pm_stats_page_thread){
            .thread_id = row->heap.thread_id,
            .pool_bytes = row->pool_bytes,
            .live_bytes = row->live_bytes,
            .kept_bytes = row->heap.kept_bytes,
            .stash_bytes = row->heap.stash_bytes,
            .batched_blocks = batched,
            .mallocs = row->heap.mallocs,
            .frees = row->heap.frees,
            .remote_frees = row->heap.remote_frees,
        };
    }
}

static void fill_locks(void)
{
    draft.locks = PM_RANK_COUNT;
    for (unsigned rank = 0; rank < PM_RANK_COUNT; rank++) {
        struct pm_stats_lock lock = pm_stats_lock_of(rank);
        struct pm_stats_page_lock *row = &draft.lock_rows[rank];
        pm_format(row->name, sizeof row->name, "%s", lock.name);
        row->acquisitions = lock.acquisitions;
        row->contended = lock.contended;
    }
}

static _Atomic uint64_t *word_of(struct pm_stats_page *page, size_t offset)
{
    return (_Atomic uint64_t *)(void *)((char *)page + offset);
}

static void publish(struct pm_stats_page *page)
{
    const size_t start = offsetof(struct pm_stats_page, process_id);
    const size_t sequence = offsetof(struct pm_stats_page, sequence);
    uint64_t number = pm_load_relaxed(word_of(page, sequence)); /* nobody else writes */
    pm_store_relaxed(word_of(page, sequence), number + 1);
    /* Release: who sees the word sees the odd number, or a later one. Pairs with the acquires in
     * pm_stats_page_read. */
    for (size_t at = start; at < sizeof draft; at += sizeof(uint64_t))
        pm_store_release(word_of(page, at), *(uint64_t *)(void *)((char *)&draft + at));
    pm_store_release(word_of(page, sequence), number + 2); /* who sees it sees all words */
}

/* The first one, or in a child: an earlier one is the parent's. False: the system refuses. */
static bool make_page(uint64_t process, uint64_t now_ns)
{
    if (owner != 0)
        pm_os_unshare(&shared);
    owner = 0;
    if (!pm_os_share(PM_STATS_PAGE_NAME, sizeof draft, &shared))
        return false;
    struct pm_stats_page *page = shared.start;
    owner = process;
    made_ns = now_ns;
    draft.process_id = process;
    page->version = PM_STATS_PAGE_VERSION;
    page->bytes = sizeof draft;
    /* Release: who finds the magic number finds the version. */
    pm_store_release(word_of(page, offsetof(struct pm_stats_page, magic)), PM_STATS_PAGE_MAGIC);
    return true;
}

static void fill(uint64_t now_ns)
{
    /* A process may have all that it needs soon, and wait from then on: at first a page is brought
     * up to date when it is twice as old as it was. */
    uint64_t rest_ns = pm_load_relaxed(&pm_options.stats_page_ms) * 1000000;
    if (now_ns - made_ns < rest_ns)
        rest_ns = now_ns - made_ns;
    pm_figures_look(PM_LOOK_BRIEFLY, &report.figures, &report.threads);
    draft.stats.stats = report.figures.stats;
    draft.fields = sizeof draft.stats.stats / sizeof(uint64_t);
    fill_classes(&report.figures);
    fill_threads(&report.threads);
    fill_locks();
    cost_ns = (7 * cost_ns + pm_os_now_ns() - now_ns) / 8;
    if (cost_ns * PM_STATS_PAGE_REST > rest_ns)
        rest_ns = cost_ns * PM_STATS_PAGE_REST;
    draft.updates++;
    draft.updated_ns = now_ns;
    draft.rest_ns = rest_ns;
}

static bool update_page(uint64_t process, uint64_t now_ns)
{
    if (owner != process && !make_page(process, now_ns)) {
        pm_warn("no statistics page (option stats_page): the system gives no shared memory");
        return false;
    }
    fill(now_ns);
    publish(shared.start);
    return true;
}

static void update(uint64_t now_ns)
{
    uint64_t process = pm_os_process_id(), was = pm_load_relaxed(&updating);
    /* Acquire pairs with the release: what the last updater wrote. */
    if (was == process || !pm_cas_acquire(&updating, &was, process))
        return;
    /* It may have waited for its processor since it saw that an update is due, and another thread
     * has made that update, or was refused: the page's time never runs back. */
    bool due = now_ns >= pm_load_relaxed(&pm_heap_watch_due_ns);
    if (due && (owner != process || now_ns >= draft.updated_ns + draft.rest_ns)) {
        bool done = update_page(process, now_ns);
        pm_store_relaxed(&pm_heap_watch_due_ns, done ? now_ns + draft.rest_ns : UINT64_MAX);
    }
    pm_store_release(&updating, 0);
}

void pm_stats_page_start(void)
{
    if (pm_options.stats_page[1] != 'n') /* "on" */
        return;
    pm_heap_set_watch(update);
    update(pm_os_now_ns());
}
