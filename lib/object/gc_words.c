/* SPDX-License-Identifier: MIT */
/*
 * Walks over the words that a search has left (gc_find.c), and their end. By the collector, with
 * the world stopped or not.
 */
#include "object/gc_internal.h"

struct wanted {
    uint32_t word;
    pm_gc_each *visit;
    void *arg;
};

static void visit_if_wanted(struct pm_object *object, _Atomic uint32_t *word, void *arg)
{
    const struct wanted *wanted = arg;
    if (pm_load_relaxed(word) == wanted->word)
        wanted->visit(object, word, wanted->arg);
}

static void visit_node_if_wanted(struct pm_object *object, struct pm_gc_node *node, void *arg)
{
    visit_if_wanted(object, &node->word, arg);
}

static void each_in_units(const struct pm_gc_search *search, struct wanted *wanted)
{
    for (size_t unit = search->first; unit <= search->last; unit++)
        if (pm_gc_has_mark(unit, GC_HAS_TRASH))
            pm_gc_each_in_unit(unit, pm_load_relaxed(&pm_gc_table.units[unit].blocks),
                               visit_if_wanted, wanted);
}

void pm_gc_each_marked(const struct pm_gc_search *search, uint32_t word, pm_gc_each *visit,
                       void *arg)
{
    struct wanted wanted = {word, visit, arg};
    each_in_units(search, &wanted);
    for (struct pm_gc_node *node = search->trash_nodes; node != NULL; node = node->next_trash)
        visit_if_wanted(node->object, &node->word, &wanted);
}

void pm_gc_take_marked(struct pm_gc_search *search, uint32_t word, pm_gc_each *visit, void *arg)
{
    struct wanted wanted = {word, visit, arg};
    struct pm_gc_node **link = &search->trash_nodes, *node;
    each_in_units(search, &wanted);
    while ((node = *link) != NULL) {
        if (pm_load_relaxed(&node->word) != word) {
            link = &node->next_trash; /* another word: held still */
            continue;
        }
        *link = node->next_trash;
        visit(node->object, &node->word, arg);
    }
}

void pm_gc_each_stopped(const struct pm_gc_search *search, uint32_t word, pm_gc_each *visit,
                        void *arg)
{
    struct wanted wanted = {word, visit, arg};
    each_in_units(search, &wanted);
    pm_gc_register_each(visit_node_if_wanted, &wanted);
}

void pm_gc_end_search(struct pm_gc_search *search)
{
    for (size_t unit = search->first; unit <= search->last; unit++) {
        if (pm_load_relaxed(&pm_gc_table.units[unit].blocks) == 0)
            continue;
        pm_store_relaxed(&pm_gc_table.units[unit].blocks, 0);
        if (pm_gc_has_mark(unit, GC_HAS_TRASH))
            pm_gc_clear_mark(unit, GC_HAS_TRASH);
    }
    pm_gc_table_clear(search->words);
}
