/* SPDX-License-Identifier: MIT */
/*
 * Statistics of snapshots: which group has how many blocks and bytes. See poolmalloc/snapshot.h.
 *
 * Each address becomes a node: its frame, as far as the group looks at it; equal ones are one node,
 * of whichever snapshot. A group is a sequence of nodes: of one, for most; of a traceback; or it is
 * a domain. Numbers are summed up by group, and groups become rows, which are sorted. All of that
 * takes time by the frames in the snapshots, and for the sorting.
 */
#include "base/bits.h"
#include "tools/snapshot_internal.h"
#include "tools/snapshot_table.h"

#include <errno.h>
#include <string.h>

/* What makes frames equal. Texts are kept once, so that they are equal if their addresses are. */
struct node_key {
    const char *module, *function, *file;
    uint64_t line, place;
};

struct node {
    struct node_key key;
    struct pm_snapshot_frame frame;
};

struct group {
    uint64_t bytes[2], blocks[2]; /* of the snapshot, of the old one */
    uint64_t last_stack;          /* counted, from 1 */
    uint32_t first, count;        /* of its words */
};

struct grouping {
    enum pm_snapshot_group by;
    bool cumulative;
    struct pm_store store; /* texts, and what goes into the table */
    struct pm_vector texts, nodes, groups;
    struct pm_vector words; /* of all groups */
    struct pm_index text_index, node_index, group_index;
    uint64_t stacks; /* so far */
};

/* Of one snapshot. */
struct side {
    struct pm_places places;
    struct pm_vector nodes; /* by the number of the place: uint32_t */
};

static bool is_of_places(const struct grouping *g)
{
    return g->by == PM_SNAPSHOT_BY_ADDRESS || g->by == PM_SNAPSHOT_BY_TRACEBACK;
}

/* ---- texts ---- */

struct wanted_text {
    const char *const *texts;
    const char *text;
};

static bool is_text(const void *arg, uint32_t number)
{
    const struct wanted_text *wanted = arg;
    return strcmp(wanted->texts[number], wanted->text) == 0;
}

/* *text becomes the one that is kept. */
static bool keep_text(struct grouping *g, const char **text)
{
    uint64_t hash = PM_HASH_START;
    if (*text == NULL)
        return true;
    size_t length = strlen(*text);
    for (size_t i = 0; i < length; i++)
        hash = pm_hash_word(hash, (unsigned char)(*text)[i]);
    struct wanted_text wanted = {g->texts.start, *text};
    uint32_t number = pm_index_find(&g->text_index, hash, is_text, &wanted);
    if (number != PM_INDEX_NONE) {
        *text = wanted.texts[number];
        return true;
    }
    number = (uint32_t)(g->texts.used_bytes / sizeof *text);
    const char **place = pm_vector_add(&g->texts, sizeof *text);
    if (place == NULL || (*place = pm_store_text(&g->store, *text, length)) == NULL)
        return false;
    *text = *place;
    return pm_index_put(&g->text_index, hash, number);
}

/* ---- nodes ---- */

/* What the group does not look at becomes unknown. */
static struct pm_snapshot_frame reduced(const struct grouping *g, struct pm_snapshot_frame f)
{
    switch (g->by) {
    case PM_SNAPSHOT_BY_FUNCTION:
        return (struct pm_snapshot_frame){.module = f.module, .function = f.function};
    case PM_SNAPSHOT_BY_FILE:
        return f.file != NULL ? (struct pm_snapshot_frame){.file = f.file}
                              : (struct pm_snapshot_frame){.module = f.module};
    case PM_SNAPSHOT_BY_LINE:
        return f.file != NULL ? (struct pm_snapshot_frame){.file = f.file, .line = f.line}
                              : (struct pm_snapshot_frame){.module = f.module};
    case PM_SNAPSHOT_BY_MODULE:
        return (struct pm_snapshot_frame){.module = f.module};
    default:
        return f;
    }
}

struct wanted_node {
    const struct node *nodes;
    struct node_key key;
};

static bool is_node(const void *arg, uint32_t number)
{
    const struct wanted_node *wanted = arg;
    return memcmp(&wanted->nodes[number].key, &wanted->key, sizeof wanted->key) == 0;
}

static struct node_key key_of(const struct grouping *g, const struct pm_snapshot_frame *frame)
{
    if (is_of_places(g))
        return (struct node_key){.module = frame->module,
                                 .place = frame->module ? frame->offset : frame->address};
    return (struct node_key){frame->module, frame->function, frame->file, frame->line, 0};
}

static uint32_t node_of(struct grouping *g, struct pm_snapshot_frame frame)
{
    frame = reduced(g, frame);
    if (!keep_text(g, &frame.module) || !keep_text(g, &frame.function) ||
        !keep_text(g, &frame.file))
        return PM_INDEX_NONE;
    struct wanted_node wanted = {g->nodes.start, key_of(g, &frame)};
    uint64_t hash = pm_hash_word(PM_HASH_START, (uintptr_t)wanted.key.module);
    hash = pm_hash_word(hash, (uintptr_t)wanted.key.function);
    hash = pm_hash_word(hash, (uintptr_t)wanted.key.file);
    hash = pm_hash_word(pm_hash_word(hash, wanted.key.line), wanted.key.place);
    uint32_t number = pm_index_find(&g->node_index, hash, is_node, &wanted);
    if (number != PM_INDEX_NONE)
        return number;
    number = (uint32_t)(g->nodes.used_bytes / sizeof(struct node));
    struct node *node = pm_vector_add(&g->nodes, sizeof *node);
    if (node == NULL || !pm_index_put(&g->node_index, hash, number))
        return PM_INDEX_NONE;
    *node = (struct node){wanted.key, frame};
    return number;
}

static uint32_t node_at(struct grouping *g, struct side *side, uint64_t address)
{
    bool is_new;
    uint32_t place = pm_place_of(&side->places, address, &is_new);
    if (place == PM_INDEX_NONE)
        return PM_INDEX_NONE;
    if (!is_new)
        return ((const uint32_t *)side->nodes.start)[place];
    struct pm_snapshot_frame frame;
    pm_place_resolve(&side->places, address, &frame);
    uint32_t node = node_of(g, frame);
    uint32_t *kept = pm_vector_add(&side->nodes, sizeof *kept);
    if (kept == NULL)
        return PM_INDEX_NONE;
    return *kept = node;
}

/* ---- groups ---- */

struct wanted_group {
    const struct grouping *g;
    uint32_t first, count; /* of the words */
};

static const uint32_t *words_from(const struct grouping *g, uint32_t first)
{
    return (const uint32_t *)g->words.start + first;
}

static bool is_group(const void *arg, uint32_t number)
{
    const struct wanted_group *wanted = arg;
    const struct group *group = (const struct group *)wanted->g->groups.start + number;
    return group->count == wanted->count &&
           memcmp(words_from(wanted->g, group->first), words_from(wanted->g, wanted->first),
                  wanted->count * sizeof(uint32_t)) == 0;
}

/* The group of the words that lie last in the array; they go if there is one already. */
static struct group *group_of_last(struct grouping *g, uint32_t count)
{
    size_t words = g->words.used_bytes / sizeof(uint32_t);
    if (words >= UINT32_MAX)
        return NULL;
    struct wanted_group wanted = {g, (uint32_t)words - count, count};
    uint64_t hash = PM_HASH_START;
    for (uint32_t i = 0; i < count; i++)
        hash = pm_hash_word(hash, words_from(g, wanted.first)[i]);
    uint32_t number = pm_index_find(&g->group_index, hash, is_group, &wanted);
    if (number != PM_INDEX_NONE) {
        g->words.used_bytes -= count * sizeof(uint32_t);
        return (struct group *)g->groups.start + number;
    }
    number = (uint32_t)(g->groups.used_bytes / sizeof(struct group));
    struct group *group = pm_vector_add(&g->groups, sizeof *group);
    if (group == NULL || !pm_index_put(&g->group_index, hash, number))
        return NULL;
    *group = (struct group){.first = wanted.first, .count = count};
    return group;
}

/* Words for the nodes of `count` frames. */
static bool add_words(struct grouping *g, struct side *side, const uint64_t *frames, unsigned count)
{
    uint32_t *words = pm_vector_add(&g->words, count * sizeof *words);
    if (words == NULL)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if ((words[i] = node_at(g, side, frames[i])) == PM_INDEX_NONE)
            return false;
    }
    return true;
}

/* ---- counting ---- */

static bool count_group(struct grouping *g, unsigned words, bool old,
                        const struct pm_snapshot_stack *stack)
{
    struct group *group = group_of_last(g, words);
    if (group == NULL)
        return false;
    if (group->last_stack != g->stacks) {
        group->bytes[old] += stack->bytes;
        group->blocks[old] += stack->blocks;
        group->last_stack = g->stacks;
    }
    return true;
}

static bool count_stack(struct grouping *g, struct side *side, bool old,
                        const struct pm_snapshot_stack *stack)
{
    const uint64_t *frames = pm_snapshot_frames(side->places.snapshot, stack);
    unsigned depth = pm_snapshot_depth(stack);
    g->stacks++;
    if (g->by == PM_SNAPSHOT_BY_DOMAIN) {
        uint32_t *word = pm_vector_add(&g->words, sizeof *word);
        if (word == NULL)
            return false;
        *word = stack->domain;
        return count_group(g, 1, old, stack);
    }
    if (g->by == PM_SNAPSHOT_BY_TRACEBACK)
        return add_words(g, side, frames, depth) && count_group(g, depth, old, stack);
    for (unsigned i = 0; i < (g->cumulative ? depth : 1); i++) {
        if (!add_words(g, side, &frames[i], 1) || !count_group(g, 1, old, stack))
            return false;
    }
    return true;
}

static bool count_snapshot(struct grouping *g, const pm_snapshot *snapshot, bool old,
                           const struct pm_snapshot_resolver *resolver)
{
    struct side side = {.places = {.snapshot = snapshot, .resolver = resolver}};
    const struct pm_snapshot_stack *stacks = pm_snapshot_stacks(snapshot);
    bool done = true;
    for (uint64_t i = 0; done && i < snapshot->about.stacks; i++)
        done = count_stack(g, &side, old, &stacks[i]);
    pm_places_free(&side.places);
    pm_vector_free(&side.nodes);
    return done;
}

/* ---- rows ---- */

/* A table, and the memory that it owns. */
struct table {
    struct pm_snapshot_table rows; /* what the caller sees */
    struct pm_store store;
};

static bool set_frames(struct grouping *g, const struct group *group, struct pm_snapshot_row *row)
{
    const struct node *nodes = g->nodes.start;
    const uint32_t *words = words_from(g, group->first);
    if (g->by == PM_SNAPSHOT_BY_DOMAIN) {
        row->domain = words[0];
        return true;
    }
    struct pm_snapshot_frame *frames = pm_store_add(&g->store, group->count * sizeof *frames);
    if (frames == NULL)
        return false;
    for (uint32_t i = 0; i < group->count; i++)
        frames[i] = nodes[words[i]].frame;
    row->frames = frames;
    row->frame_count = group->count;
    return true;
}

static bool set_row(struct grouping *g, const struct group *group, bool compared,
                    struct pm_snapshot_row *row)
{
    row->bytes = group->bytes[0];
    row->blocks = group->blocks[0];
    if (compared) {
        row->bytes_diff = (int64_t)group->bytes[0] - (int64_t)group->bytes[1];
        row->blocks_diff = (int64_t)group->blocks[0] - (int64_t)group->blocks[1];
    }
    return set_frames(g, group, row);
}

static struct pm_snapshot_table *table_of(struct grouping *g, bool compared)
{
    const struct group *groups = g->groups.start;
    size_t count = g->groups.used_bytes / sizeof *groups;
    struct table *table = pm_store_add(&g->store, sizeof *table);
    struct pm_snapshot_row *rows = pm_store_add(&g->store, count * sizeof *rows);
    bool done = table != NULL && rows != NULL;
    for (size_t i = 0; done && i < count; i++)
        done = set_row(g, &groups[i], compared, &rows[i]);
    if (!done)
        return NULL;
    pm_snapshot_sort_rows(rows, count);
    *table = (struct table){{count, rows}, g->store};
    g->store = (struct pm_store){0};
    return &table->rows;
}

static struct pm_snapshot_table *group_by(const pm_snapshot *snapshot, const pm_snapshot *old,
                                          enum pm_snapshot_group group, bool cumulative,
                                          const struct pm_snapshot_resolver *resolver)
{
    struct grouping g = {.by = group, .cumulative = cumulative};
    struct pm_snapshot_table *table = NULL;
    if ((unsigned)group > PM_SNAPSHOT_BY_DOMAIN ||
        (cumulative && group >= PM_SNAPSHOT_BY_TRACEBACK)) {
        errno = EINVAL;
        return NULL;
    }
    if (count_snapshot(&g, snapshot, false, resolver) &&
        (old == NULL || count_snapshot(&g, old, true, resolver)))
        table = table_of(&g, old != NULL);
    if (table == NULL)
        errno = ENOMEM;
    pm_vector_free(&g.texts);
    pm_vector_free(&g.nodes);
    pm_vector_free(&g.groups);
    pm_vector_free(&g.words);
    pm_index_free(&g.text_index);
    pm_index_free(&g.node_index);
    pm_index_free(&g.group_index);
    pm_store_free(&g.store);
    return table;
}

struct pm_snapshot_table *pm_snapshot_statistics(const pm_snapshot *snapshot,
                                                 enum pm_snapshot_group group, bool cumulative,
                                                 const struct pm_snapshot_resolver *resolver)
{
    return group_by(snapshot, NULL, group, cumulative, resolver);
}

struct pm_snapshot_table *pm_snapshot_compare(const pm_snapshot *snapshot, const pm_snapshot *old,
                                              enum pm_snapshot_group group, bool cumulative,
                                              const struct pm_snapshot_resolver *resolver)
{
    return group_by(snapshot, old, group, cumulative, resolver);
}

void pm_snapshot_table_free(struct pm_snapshot_table *table)
{
    if (table == NULL)
        return;
    struct pm_store store = ((struct table *)table)->store; /* which has the table itself */
    pm_store_free(&store);
}
