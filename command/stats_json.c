/* SPDX-License-Identifier: MIT */
/* poolmalloc stats --json: keys are those of the library's own JSON, as far as the page has what
 * they say, and rates. docs/statistics.md describes them. */
#include "stats.h"

#include <stdio.h>
#include <string.h>

/* Every field of struct pm_stats, in its order. */
#define NAME(field)                                                                                \
    {                                                                                              \
#field, offsetof(struct pm_stats, field) / sizeof(uint64_t)                                \
    }
static const struct {
    const char *name;
    size_t word;
} fields[] = {
    NAME(mallocs),         NAME(frees),           NAME(remote_frees),     NAME(remote_batches),
    NAME(refills),         NAME(adopted_pools),   NAME(floating_pools),   NAME(heaps),
    NAME(heaps_in_use),    NAME(heap_bytes),      NAME(bytes_reserved),   NAME(arenas),
    NAME(arenas_in_use),   NAME(arena_bytes),     NAME(pool_bytes),       NAME(kept_bytes),
    NAME(stash_bytes),     NAME(span_held_bytes), NAME(free_bytes),       NAME(floating_bytes),
    NAME(spans),           NAME(span_bytes),      NAME(dirty_bytes),      NAME(decommitted_bytes),
    NAME(purged_arenas),   NAME(purged_bytes),    NAME(purges),           NAME(lock_acquisitions),
    NAME(lock_contended),  NAME(purging_bytes),   NAME(live_bytes),       NAME(batched_bytes),
    NAME(available_bytes), NAME(header_bytes),    NAME(tail_bytes),       NAME(pools),
    NAME(live_blocks),     NAME(batched_blocks),  NAME(available_blocks), NAME(user_heaps),
    NAME(no_huge_arenas),  NAME(guarded_blocks),  NAME(guarded_bytes),
};
_Static_assert(sizeof fields / sizeof *fields == sizeof(struct pm_stats) / sizeof(uint64_t),
               "every field has its name");

static const char *comma(bool is_first)
{
    return is_first ? "" : ",";
}

/* Printable ASCII. */
static void put_text(const char *key, const char *text)
{
    printf("\"%s\":\"", key);
    for (; *text != 0; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
    putchar('"');
}

static void put_number(const char *key, uint64_t number)
{
    printf(",\"%s\":%lu", key, (unsigned long)number);
}

static void put_counters(const struct pm_stats_page *page)
{
    printf(",\"counters\":{");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (fields[i].word < page->fields) /* an older library has fewer */
            printf("%s\"%s\":%lu", comma(i == 0), fields[i].name,
                   (unsigned long)page->stats.words[fields[i].word]);
    }
    putchar('}');
}

static void put_rates(const struct samples *s)
{
    const struct pm_stats *n = &s->now.stats.stats, *b = &s->before.stats.stats;
    printf(",\"rates\":{\"mallocs\":%.1f,\"frees\":%.1f,\"remote_frees\":%.1f,\"refills\":%.1f,"
           "\"live_bytes\":%.1f,\"span_bytes\":%.1f,\"purged_bytes\":%.1f,"
           "\"lock_acquisitions\":%.1f,\"lock_contended\":%.1f}",
           rate_of(s, n->mallocs, b->mallocs), rate_of(s, n->frees, b->frees),
           rate_of(s, n->remote_frees, b->remote_frees), rate_of(s, n->refills, b->refills),
           rate_of(s, n->live_bytes, b->live_bytes), rate_of(s, n->span_bytes, b->span_bytes),
           rate_of(s, n->purged_bytes, b->purged_bytes),
           rate_of(s, n->lock_acquisitions, b->lock_acquisitions),
           rate_of(s, n->lock_contended, b->lock_contended));
}

static void put_classes(const struct pm_stats_page *page)
{
    printf(",\"classes\":[");
    for (uint64_t i = 0; i < page->classes; i++) {
        const struct pm_stats_page_class *row = &page->class_rows[i];
        printf("%s{\"block_bytes\":%lu", comma(i == 0), (unsigned long)row->block_bytes);
        put_number("pools", row->pools);
        put_number("pool_bytes", row->pool_bytes);
        put_number("live_blocks", row->live_blocks);
        put_number("batched_blocks", row->batched_blocks);
        put_number("available_blocks", row->available_blocks);
        putchar('}');
    }
    putchar(']');
}

static void put_threads(const struct samples *s)
{
    const struct pm_stats_page *page = &s->now;
    char name[WATCHED_NAME_BYTES];
    printf(",\"threads\":[");
    for (uint64_t i = 0; i < page->threads; i++) {
        const struct pm_stats_page_thread *row = &page->thread_rows[i];
        printf("%s{\"thread_id\":%lu,", comma(i == 0), (unsigned long)row->thread_id);
        thread_name(&s->watched, row->thread_id, name);
        put_text("name", name);
        put_number("pool_bytes", row->pool_bytes);
        put_number("live_bytes", row->live_bytes);
        put_number("kept_bytes", row->kept_bytes);
        put_number("stash_bytes", row->stash_bytes);
        put_number("batched_blocks", row->batched_blocks);
        put_number("mallocs", row->mallocs);
        put_number("frees", row->frees);
        put_number("remote_frees", row->remote_frees);
        putchar('}');
    }
    putchar(']');
    put_number("threads_left_out", page->threads_left_out);
}

static void put_locks(const struct pm_stats_page *page)
{
    printf(",\"locks\":[");
    for (uint64_t i = 0; i < page->locks; i++) {
        const struct pm_stats_page_lock *row = &page->lock_rows[i];
        printf("%s{", comma(i == 0));
        put_text("name", row->name);
        put_number("acquisitions", row->acquisitions);
        put_number("contended", row->contended);
        putchar('}');
    }
    putchar(']');
}

void show_json(struct samples *s)
{
    printf("{\"format\":\"poolmalloc-stats-live\",\"version\":1");
    put_number("pid", (uint64_t)s->watched.pid);
    putchar(',');
    put_text("program", s->watched.name);
    put_number("updates", s->now.updates);
    printf(",\"age_s\":%.3f,\"seconds\":%.6f", s->age_s, s->seconds);
    put_counters(&s->now);
    put_rates(s);
    put_classes(&s->now);
    put_threads(s);
    put_locks(&s->now);
    printf("}\n");
}
