/* SPDX-License-Identifier: MIT */
/* See figures.h. */
#include "api/figures.h"

#include "base/report.h"
#include "base/valgrind.h"

#include <string.h>

/* Of the large blocks that the arena layer counts, those that heaps keep are nobody's. They are
 * counted one after the other: at rest the figures agree, else they are kept in bounds. */
static void set_apart_kept_spans(struct pm_stats *stats, const struct pm_heap_stats *heap)
{
    uint64_t held = heap->kept_span_held_bytes, used = heap->kept_span_bytes;
    if (held > stats->span_held_bytes)
        held = stats->span_held_bytes;
    if (used > stats->span_bytes)
        used = stats->span_bytes;
    stats->kept_bytes += held;
    stats->span_held_bytes -= held;
    stats->span_bytes -= used;
    if (stats->span_bytes > stats->span_held_bytes)
        stats->span_bytes = stats->span_held_bytes;
}

static struct pm_stats counters_of(const struct pm_heap_stats *heap,
                                   const struct pm_arena_stats *arena,
                                   const struct pm_floating_stats *floating)
{
    struct pm_stats stats = {
        .mallocs = heap->mallocs,
        .frees = heap->frees,
        .remote_frees = heap->remote_frees,
        .remote_batches = heap->remote_batches,
        .refills = heap->refills,
        .adopted_pools = heap->adopted,
        .floating_pools = floating->pools,
        .heaps = heap->heaps,
        .heaps_in_use = heap->heaps_in_use,
        .heap_bytes = heap->shell_bytes,
        .kept_bytes = heap->kept_bytes,
        .stash_bytes = heap->stash_bytes,
        .pool_bytes = arena->pool_units << PM_UNIT_SHIFT,
        .floating_bytes = arena->floating_units << PM_UNIT_SHIFT,
        .bytes_reserved = arena->bytes_reserved,
        .arenas = arena->arenas,
        .arenas_in_use = arena->arenas_in_use,
        .arena_bytes = PM_ARENA_BYTES,
        .free_bytes = arena->free_units << PM_UNIT_SHIFT,
        .dirty_bytes = arena->dirty_units << PM_UNIT_SHIFT,
        .spans = arena->spans,
        .span_bytes = arena->span_units << PM_UNIT_SHIFT,
        .span_held_bytes = arena->span_held_units << PM_UNIT_SHIFT,
        .purged_arenas = arena->purged_arenas,
        .purged_bytes = arena->purged_units << PM_UNIT_SHIFT,
        .purges = arena->purges,
        .decommitted_bytes = arena->decommitted_arenas << PM_ARENA_SHIFT,
        .purging_bytes = arena->purging_units << PM_UNIT_SHIFT,
        .user_heaps = heap->user_heaps,
        .no_huge_arenas = arena->no_huge_arenas,
        .guarded_blocks = heap->guest_blocks,
        .guarded_bytes = heap->guest_bytes,
        .lock_acquisitions =
            heap->lock_acquisitions + arena->lock_acquisitions + floating->lock_acquisitions,
        .lock_contended = heap->lock_contended + arena->lock_contended + floating->lock_contended,
    };
    set_apart_kept_spans(&stats, heap);
    return stats;
}

/* ---- threads ---- */

struct looking {
    struct pm_figures *figures;
    struct pm_threads_figures *threads;
};

static uint8_t *slot_of(struct pm_threads_figures *threads, uint64_t owner)
{
    uint8_t slot = (uint8_t)(owner * 0x9e3779b97f4a7c15u >> 56);
    while (threads->slots[slot] != 0 && threads->rows[threads->slots[slot] - 1].heap.owner != owner)
        slot++; /* and round; fewer than half of the slots are taken */
    return &threads->slots[slot];
}

_Static_assert(PM_FIGURES_THREADS < 128, "half of the slots stay free, and a row fits a byte");

static void note_thread(struct pm_threads_figures *threads, const struct pm_heap_view *view)
{
    if (threads->count == PM_FIGURES_THREADS) {
        threads->left_out++;
        return;
    }
    uint8_t *slot = slot_of(threads, view->owner);
    if (*slot != 0) /* the list of heaps has each once */
        return;
    threads->rows[threads->count++] = (struct pm_thread_figures){.heap = *view};
    *slot = (uint8_t)threads->count;
}

static void note_heap(const struct pm_heap_view *view, void *arg)
{
    struct looking *looking = arg;
    for (unsigned i = 0; i < PM_BATCH_SLOTS; i++) {
        if (view->batched[i].blocks != 0)
            looking->figures->batched_blocks[view->batched[i].class] += view->batched[i].blocks;
    }
    if (looking->threads != NULL && view->is_threads)
        note_thread(looking->threads, view);
}

/* ---- pools ---- */

static void note_pool(const struct pm_pool_view *view, void *arg)
{
    struct looking *looking = arg;
    struct pm_figures *f = looking->figures;
    f->classes[view->class].pools++;
    f->classes[view->class].live_blocks += view->live;
    f->stats.mallocs += (uint64_t)view->new_mallocs;
    f->stats.frees += view->new_frees;
    if (looking->threads == NULL || view->owner <= PM_ROUTE_FLOATING)
        return;
    unsigned slot = *slot_of(looking->threads, view->owner);
    if (slot == 0)
        return;
    struct pm_thread_figures *row = &looking->threads->rows[slot - 1];
    row->heap.mallocs += (uint64_t)view->new_mallocs;
    row->heap.frees += view->new_frees;
    row->pool_bytes += (uint64_t)pm_class_units(view->class) << PM_UNIT_SHIFT;
    row->live_bytes += (uint64_t)view->live * pm_class_bytes(view->class);
}

static void add_class(struct pm_figures *f, unsigned class)
{
    const struct pm_class_stats *stats = &f->classes[class];
    uint64_t blocks = stats->pools * pm_class_capacity(class), bytes = pm_class_bytes(class);
    uint64_t pool_bytes = stats->pools * pm_class_units(class) << PM_UNIT_SHIFT;
    uint64_t header_bytes = stats->pools * pm_class_first(class);
    if (f->batched_blocks[class] > stats->live_blocks) /* pushed since they were counted */
        f->batched_blocks[class] = (uint32_t)stats->live_blocks;
    f->stats.batched_blocks += f->batched_blocks[class];
    f->stats.batched_bytes += f->batched_blocks[class] * bytes;
    f->pools += stats->pools;
    f->live_blocks += stats->live_blocks;
    f->available_blocks += blocks - stats->live_blocks;
    f->pool_bytes += pool_bytes;
    f->live_bytes += stats->live_blocks * bytes;
    f->available_bytes += (blocks - stats->live_blocks) * bytes;
    f->header_bytes += header_bytes;
    f->tail_bytes += pool_bytes - header_bytes - blocks * bytes;
}

static void finish(struct pm_figures *f)
{
    struct pm_stats *s = &f->stats;
    for (unsigned class = 0; class < PM_CLASSES; class ++)
        add_class(f, class);
    s->live_bytes = f->live_bytes - s->batched_bytes;
    s->live_blocks = f->live_blocks - s->batched_blocks;
    s->available_bytes = f->available_bytes;
    s->available_blocks = f->available_blocks;
    s->header_bytes = f->header_bytes;
    s->tail_bytes = f->tail_bytes;
    s->pools = f->pools;
    if (s->lock_contended > s->lock_acquisitions) /* which were read first */
        s->lock_acquisitions = s->lock_contended;
    uint64_t freed = s->frees + s->remote_frees + s->batched_blocks;
    if ((int64_t)(s->mallocs - freed) < 0) /* those that are freed were handed out */
        s->mallocs = freed;
}

/* The counters come first: with them the calling thread's pools, and the cold heap's, are counted
 * anew, which the walk then finds. What happens between the two is missed, not counted twice. */
bool pm_figures_look(enum pm_look look, struct pm_figures *figures,
                     struct pm_threads_figures *threads)
{
    struct pm_heap_stats heap;
    struct pm_arena_stats arena = {0};
    struct pm_floating_stats floating;
    struct looking looking = {figures, threads};
    memset(figures, 0, sizeof *figures);
    if (threads != NULL)
        memset(threads, 0, sizeof *threads);
    pm_valgrind_pause(); /* links of free blocks */
    figures->arenas_unknown = look == PM_LOOK_BRIEFLY && pm_arena_is_held();
    (look == PM_LOOK_CLOSELY ? pm_heap_stats : pm_heap_stats_brief)(&heap);
    if (!figures->arenas_unknown)
        pm_arena_stats(&arena);
    pm_floating_stats(&floating);
    figures->stats = counters_of(&heap, &arena, &floating);
    pm_heap_each(note_heap, &looking);
    if (!figures->arenas_unknown)
        (look == PM_LOOK_CLOSELY ? pm_pool_walk_closely : pm_pool_walk)(note_pool, &looking);
    pm_valgrind_resume();
    finish(figures);
    /* Not the sum: a signal handler that interrupted the allocator may be who looks. */
    pm_assert(figures->arenas_unknown || pm_figures_add_up(figures, false));
    return arena.bytes_reserved != 0;
}

bool pm_figures_take(struct pm_figures *figures)
{
    return pm_figures_look(PM_LOOK_CLOSELY, figures, NULL);
}

/* ---- what must hold ---- */

static bool violated(const char *what, uint64_t part, uint64_t whole)
{
    pm_warn("statistics: %s (%lu, %lu)", what, (unsigned long)part, (unsigned long)whole);
    return false;
}

static bool add_up_at_rest(const struct pm_stats *s)
{
    uint64_t pools =
        s->live_bytes + s->batched_bytes + s->available_bytes + s->header_bytes + s->tail_bytes;
    uint64_t all = s->pool_bytes + s->kept_bytes + s->stash_bytes + s->span_held_bytes +
                   s->free_bytes + s->purging_bytes;
    uint64_t out = s->mallocs - s->frees - s->remote_frees - s->batched_blocks;
    if (pools != s->pool_bytes)
        return violated("pools are not the sum of their parts", pools, s->pool_bytes);
    if (all != s->arenas * s->arena_bytes)
        return violated("arenas are not the sum of their parts", all, s->arenas * s->arena_bytes);
    uint64_t alive = s->live_blocks + s->spans + s->guarded_blocks;
    if (out != alive)
        return violated("blocks handed out and not freed are not those alive", out, alive);
    return true;
}

bool pm_figures_add_up(const struct pm_figures *figures, bool at_rest)
{
    const struct pm_stats *s = &figures->stats;
    const struct {
        const char *what;
        uint64_t part, whole;
    } parts[] = {
        {"more floats than there are pools", s->floating_bytes, s->pool_bytes},
        {"large blocks are larger than what they hold", s->span_bytes, s->span_held_bytes},
        {"more is dirty than free", s->dirty_bytes, s->free_bytes},
        {"more is decommitted than free", s->decommitted_bytes, s->free_bytes},
        {"more arenas are in use than there are", s->arenas_in_use, s->arenas},
        {"more is free and in large blocks than arenas have",
         s->free_bytes + s->span_held_bytes + s->purging_bytes, s->arenas * s->arena_bytes},
        {"more was freed than handed out", s->frees + s->remote_frees + s->batched_blocks,
         s->mallocs},
        {"more is in use than pools have", figures->live_bytes, figures->pool_bytes},
        {"more heaps are in use than there are", s->heaps_in_use, s->heaps},
        {"locks were contended more often than taken", s->lock_contended, s->lock_acquisitions},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].part > parts[i].whole)
            return violated(parts[i].what, parts[i].part, parts[i].whole);
    }
    return !at_rest || add_up_at_rest(s);
}

/* ---- by name ---- */

#define STAT(name)                                                                                 \
    {                                                                                              \
#name, offsetof(struct pm_stats, name)                                                     \
    }

const struct pm_stats_row pm_stats_rows[] = {
    STAT(mallocs),
    STAT(frees),
    STAT(remote_frees),
    STAT(remote_batches),
    STAT(refills),
    STAT(adopted_pools),
    STAT(floating_pools),
    STAT(heaps),
    STAT(heaps_in_use),
    STAT(heap_bytes),
    STAT(bytes_reserved),
    STAT(arenas),
    STAT(arenas_in_use),
    STAT(arena_bytes),
    STAT(pool_bytes),
    STAT(floating_bytes),
    STAT(kept_bytes),
    STAT(stash_bytes),
    STAT(spans),
    STAT(span_bytes),
    STAT(span_held_bytes),
    STAT(free_bytes),
    STAT(dirty_bytes),
    STAT(decommitted_bytes),
    STAT(purged_arenas),
    STAT(purged_bytes),
    STAT(purges),
    STAT(lock_acquisitions),
    STAT(lock_contended),
    STAT(purging_bytes),
    STAT(live_bytes),
    STAT(batched_bytes),
    STAT(available_bytes),
    STAT(header_bytes),
    STAT(tail_bytes),
    STAT(pools),
    STAT(live_blocks),
    STAT(batched_blocks),
    STAT(available_blocks),
    STAT(user_heaps),
    STAT(no_huge_arenas),
    STAT(guarded_blocks),
    STAT(guarded_bytes),
};

const unsigned pm_stats_row_count = sizeof pm_stats_rows / sizeof *pm_stats_rows;

_Static_assert(sizeof pm_stats_rows / sizeof *pm_stats_rows ==
                   sizeof(struct pm_stats) / sizeof(uint64_t),
               "every field has its row");

/* ---- the public functions ---- */

bool pm_stats_get_sized(struct pm_stats *stats, size_t bytes)
{
    struct pm_figures figures;
    bool started = pm_figures_take(&figures);
    size_t known = bytes < sizeof figures.stats ? bytes : sizeof figures.stats;
    memcpy(stats, &figures.stats, known);
    memset((char *)stats + known, 0, bytes - known);
    return started;
}

/* Of programs that were built before there were more fields. */
bool(pm_stats_get)(struct pm_stats *stats)
{
    return pm_stats_get_sized(stats, offsetof(struct pm_stats, purging_bytes));
}
