/* SPDX-License-Identifier: MIT */
/*
 * Tracing before the domains' tables, as tracemalloc does it: whoever is in charge of a domain, its
 * blocks are traced under the domain's number. What that allocator asks of ours in turn is not
 * traced once more. Any thread, whether it is watched or not.
 */
#include "tools/trace.h"

#include <errno.h>

/* A context of the tables: never changed and never dropped, as calls may be in it. */
struct layer {
    unsigned domain;
    struct pm_allocator below;
    struct layer *made_before;
};

/* Under the service's lock. */
static struct layer *made;
static struct layer *front[PM_DOMAINS]; /* what was put before a domain's table, and is there yet */

/* Who calls is no handler that interrupted the tracing, and something is traced. */
static bool is_asked(void)
{
    return !pm_trace_busy && pm_load_relaxed(&pm_tracing.trace_epoch) != 0;
}

static void *record(struct layer *layer, void *block, size_t bytes)
{
    if (block != NULL) {
        pm_watch_suspend();
        pm_trace_record(layer->domain, block, bytes);
        pm_watch_resume();
    }
    pm_trace_busy = false;
    return block;
}

static void *traced_malloc(void *context, size_t size)
{
    struct layer *layer = context;
    const struct pm_allocator *to = &layer->below;
    if (!is_asked())
        return to->malloc(to->context, size);
    pm_trace_busy = true;
    return record(layer, to->malloc(to->context, size), size);
}

static void *traced_calloc(void *context, size_t count, size_t size)
{
    struct layer *layer = context;
    const struct pm_allocator *to = &layer->below;
    if (!is_asked())
        return to->calloc(to->context, count, size);
    pm_trace_busy = true;
    return record(layer, to->calloc(to->context, count, size), count * size);
}

static struct pm_trace_lifted lift(struct layer *layer, const void *ptr)
{
    pm_watch_suspend();
    struct pm_trace_lifted lifted = pm_trace_lift(layer->domain, ptr);
    pm_watch_resume();
    return lifted;
}

static void *traced_realloc(void *context, void *ptr, size_t size)
{
    struct layer *layer = context;
    const struct pm_allocator *to = &layer->below;
    if (!is_asked())
        return to->realloc(to->context, ptr, size);
    pm_trace_busy = true;
    if (ptr == NULL)
        return record(layer, to->realloc(to->context, NULL, size), size);
    struct pm_trace_lifted lifted = lift(layer, ptr);
    void *block = to->realloc(to->context, ptr, size);
    pm_watch_suspend();
    if (block != NULL)
        pm_trace_lay(&lifted, layer->domain, block, size);
    else
        pm_trace_lay_back(&lifted, ptr);
    pm_watch_resume();
    pm_trace_busy = false;
    return block;
}

static void traced_free(void *context, void *ptr)
{
    struct layer *layer = context;
    const struct pm_allocator *to = &layer->below;
    if (ptr == NULL || !is_asked()) {
        to->free(to->context, ptr);
        return;
    }
    pm_trace_busy = true;
    pm_watch_suspend();
    pm_trace_forget(layer->domain, ptr);
    pm_watch_resume();
    to->free(to->context, ptr);
    pm_trace_busy = false;
}

static struct pm_allocator table_of(struct layer *layer)
{
    return (struct pm_allocator){layer, traced_malloc, traced_calloc, traced_realloc, traced_free};
}

/* ---- from the start of the process on ---- */

const struct pm_domain_set *pm_trace_domains_at_start(const struct pm_domain_set *below)
{
    static struct layer layers[PM_DOMAINS]; /* written once, by the first call of a domain */
    static struct pm_domain_set set;
    if (pm_trace_epoch() == 0)
        return below;
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++) {
        struct layer *layer = &layers[domain];
        layer->domain = domain;
        layer->below = (below != NULL ? below : &pm_domains_default)->of[domain];
        set.of[domain] = table_of(layer);
    }
    return &set;
}

/* ---- started and stopped ---- */

static bool is_layer_of(const struct layer *layer, unsigned domain,
                        const struct pm_allocator *below)
{
    return layer->domain == domain && layer->below.context == below->context &&
           layer->below.malloc == below->malloc && layer->below.calloc == below->calloc &&
           layer->below.realloc == below->realloc && layer->below.free == below->free;
}

static struct layer *layer_of(unsigned domain, const struct pm_allocator *below)
{
    struct layer *layer = made;
    while (layer != NULL && !is_layer_of(layer, domain, below))
        layer = layer->made_before;
    if (layer != NULL)
        return layer;
    uint32_t number = pm_trace_take(sizeof *layer);
    if (number == 0)
        return NULL;
    layer = pm_trace_taken(number);
    *layer = (struct layer){domain, *below, made};
    return made = layer;
}

/* One that is there already: a table of the program's was set before it meanwhile. */
static bool put_in_front(enum pm_domain domain)
{
    struct pm_allocator below, table;
    if (front[domain] != NULL)
        return true;
    if (!pm_get_allocator(domain, &below))
        return false;
    if (below.malloc == traced_malloc) { /* since the start of the process */
        front[domain] = below.context;
        return true;
    }
    struct layer *layer = layer_of(domain, &below);
    if (layer == NULL)
        return false;
    table = table_of(layer);
    if (!pm_set_allocator(domain, &table))
        return false;
    front[domain] = layer;
    return true;
}

void pm_trace_domains_stop(void)
{
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++) {
        struct pm_allocator now;
        pm_get_allocator((enum pm_domain)domain, &now);
        if (now.malloc != traced_malloc)
            continue; /* the program's stands before ours, and may lead to it */
        const struct layer *layer = now.context;
        if (pm_set_allocator((enum pm_domain)domain, &layer->below))
            front[domain] = NULL;
    }
}

bool pm_trace_domains_start(void)
{
    for (unsigned domain = 0; domain < PM_DOMAINS; domain++) {
        if (!put_in_front((enum pm_domain)domain)) {
            pm_trace_domains_stop();
            errno = ENOMEM;
            return false;
        }
    }
    return true;
}
