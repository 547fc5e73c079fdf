/* SPDX-License-Identifier: MIT */
/*
 * The page of report and diff: the template of the folder page, with the figures as JSON, from
 * which its script draws. See view.h.
 */
#include "command.h"
#include "memory.h"
#include "page_parts.h"
#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <poolmalloc/trace.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct page {
    FILE *file;
    const struct view_options *options;
    const struct recording *recordings;
    size_t recording_count;
    const struct view_set *sets;
    size_t set_count;
    bool is_diff;
    const char *title;
    bool is_next;           /* a comma is due before the next stack */
    struct numbers numbers; /* from a place to its number in the page */
    const struct place **places;
    size_t place_count, place_room;
};

/* ---- text ---- */

/* How many bytes there are of one UTF-8 character; 0: it is none. */
static size_t character_bytes(const unsigned char *text)
{
    size_t bytes = text[0] < 0x80                       ? 1
                   : text[0] >= 0xc2 && text[0] < 0xe0  ? 2
                   : text[0] >= 0xe0 && text[0] < 0xf0  ? 3
                   : text[0] >= 0xf0 && text[0] <= 0xf4 ? 4
                                                        : 0;
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    }
    return bytes;
}

/* A string of JSON, in which nothing can end a script or begin a tag. */
static void put_json(FILE *file, const char *text)
{
    if (text == NULL) {
        fputs("null", file);
        return;
    }
    fputc('"', file);
    for (const unsigned char *at = (const unsigned char *)text; *at != 0;) {
        size_t bytes = character_bytes(at);
        if (bytes == 0)
            fputs("\\ufffd", file);
        else if (*at < ' ' || strchr("\"\\<>&\x7f", *at) != NULL)
            fprintf(file, "\\u%04x", *at);
        else
            fwrite(at, 1, bytes, file);
        at += bytes != 0 ? bytes : 1;
    }
    fputc('"', file);
}

/* Text of HTML. */
static void put_html(FILE *file, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != 0;) {
        size_t bytes = character_bytes(at);
        if (bytes == 0)
            fputs("&#xfffd;", file);
        else if (strchr("\"'<>&", *at) != NULL)
            fprintf(file, "&#%d;", *at);
        else
            fwrite(at, 1, bytes, file);
        at += bytes != 0 ? bytes : 1;
    }
}

/* ---- data ---- */

static void put_fact(FILE *file, const char **separator, const char *name, const char *text)
{
    if (text == NULL || text[0] == 0)
        return;
    fprintf(file, "%s[", *separator);
    put_json(file, name);
    fputc(',', file);
    put_json(file, text);
    fputc(']', file);
    *separator = ",";
}

/* Of one of two recordings only what tells them apart. */
static void put_short_facts(FILE *file, const char **separator, const struct recording *recording,
                            const char *name)
{
    char *process = recording->process_id != 0
                        ? get_text(", process %" PRIu64, recording->process_id)
                        : get_text("%s", "");
    char *text =
        get_text("%s%s, %s", recording->input.path, process, view_time_text(recording->time));
    put_fact(file, separator, name, text);
    free(text);
    free(process);
}

static void put_own_facts(FILE *file, const char **separator, const struct recording *recording)
{
    char *process = recording->process_id != 0 ? get_text("%" PRIu64, recording->process_id) : NULL;
    char *peak =
        recording->peak_bytes != 0 ? get_text("%" PRIu64 " bytes", recording->peak_bytes) : NULL;
    put_fact(file, separator, "File", recording->input.path);
    put_fact(file, separator, "Process", process);
    put_fact(file, separator, "Time", view_time_text(recording->time));
    put_fact(file, separator, "Peak", peak);
    free(peak);
    free(process);
}

static void put_facts(struct page *page)
{
    const char *separator = "";
    const struct recording *recording = &page->recordings[page->recording_count - 1];
    char *exactness = view_exactness(recording);
    char *frames = recording->frame_limit != 0
                       ? get_text("%" PRIu64 " at most, of each stack", recording->frame_limit)
                       : NULL;
    fputs("\"facts\":[", page->file);
    put_fact(page->file, &separator, "Program", recording->program);
    if (page->is_diff) {
        put_short_facts(page->file, &separator, &page->recordings[0], "Old");
        put_short_facts(page->file, &separator, recording, "New");
        put_fact(page->file, &separator, "Shown",
                 page->options->all ? "all allocations so far" : "live blocks");
    } else {
        put_own_facts(page->file, &separator, recording);
    }
    put_fact(page->file, &separator, "Figures", exactness);
    put_fact(page->file, &separator, "Frames", frames);
    fputs("],", page->file);
    free(frames);
    free(exactness);
}

static size_t number_of(struct page *page, const struct place *place)
{
    bool is_new;
    size_t *number = numbers_at(&page->numbers, (uintptr_t)place, &is_new);
    if (is_new) {
        page->places =
            get_room(page->places, &page->place_room, page->place_count + 1, sizeof *page->places);
        *number = page->place_count;
        page->places[page->place_count++] = place;
    }
    return *number;
}

static bool put_stack(unsigned domain, const uint64_t *frames, unsigned count, uint64_t blocks,
                      uint64_t bytes, void *arg)
{
    struct page *page = arg;
    fprintf(page->file, "%s[%" PRIu64 ",%" PRIu64 ",%u", page->is_next ? ",\n" : "", blocks, bytes,
            domain);
    for (unsigned i = 0; i < count; i++)
        fprintf(page->file, ",%zu", number_of(page, (const struct place *)(uintptr_t)frames[i]));
    fputc(']', page->file);
    page->is_next = true;
    return !ferror(page->file);
}

static void put_sets(struct page *page)
{
    fputs("\"sets\":[", page->file);
    for (size_t i = 0; i < page->set_count; i++) {
        fprintf(page->file, "%s{\"title\":", i > 0 ? "," : "");
        put_json(page->file, page->sets[i].name);
        fputs(",\"stacks\":[\n", page->file);
        page->is_next = false;
        pm_snapshot_each(page->sets[i].snapshot, put_stack, page);
        fputs("]}", page->file);
    }
    fputs("],", page->file);
}

static void put_places(struct page *page)
{
    fputs("\"places\":[\n", page->file);
    for (size_t i = 0; i < page->place_count; i++) {
        const struct place *place = page->places[i];
        fputs(i > 0 ? ",\n[" : "[", page->file);
        put_json(page->file, place->name);
        fputc(',', page->file);
        put_json(page->file, place->file);
        fprintf(page->file, ",%u,", place->line);
        put_json(page->file, place->module);
        fputc(']', page->file);
    }
    fputs("]", page->file);
}

/* The names of those that the library knows; a profile has no domains. */
static void put_domains(struct page *page)
{
    bool has = page->recordings[0].kind == RECORDING_SNAPSHOT;
    fputs("\"domains\":[", page->file);
    for (unsigned i = 0; has && i < PM_TRACE_DOMAINS; i++) {
        fputs(i > 0 ? "," : "", page->file);
        put_json(page->file, view_domain_name(i));
    }
    fputs("],", page->file);
}

static void put_data(struct page *page)
{
    const struct view_options *options = page->options;
    fprintf(page->file, "{\"diff\":%s,\"first\":%d,\"group\":\"%s\",\"cumulative\":%s,",
            page->is_diff ? "true" : "false", page->is_diff || options->all ? 1 : 0,
            options->group_name, options->cumulative ? "true" : "false");
    put_domains(page);
    put_facts(page);
    put_sets(page);
    put_places(page);
    fputs("}", page->file);
}

/* ---- the page ---- */

static void put_part(struct page *page, const char *name, size_t length)
{
    if (strncmp(name, "TITLE", length) == 0)
        put_html(page->file, page->title);
    else if (strncmp(name, "STYLE", length) == 0)
        fputs(page_style, page->file);
    else if (strncmp(name, "DATA", length) == 0)
        put_data(page);
    else
        fputs(page_script, page->file);
}

/* Names between two @ stand for parts. */
static void put_page(struct page *page)
{
    const char *at = page_html;
    for (const char *mark; (mark = strchr(at, '@')) != NULL;) {
        fwrite(at, 1, (size_t)(mark - at), page->file);
        size_t length = strcspn(mark + 1, "@");
        put_part(page, mark + 1, length);
        at = mark + length + 2;
    }
    fputs(at, page->file);
}

static char *title_of(const struct recording *recording, bool is_diff)
{
    const char *program = recording->program != NULL ? recording->program : recording->input.path;
    const char *slash = strrchr(program, '/');
    return get_text(is_diff ? "What grew in %s" : "Who holds memory in %s",
                    slash != NULL ? slash + 1 : program);
}

/* Of a file that could not be written whole nothing is left. */
static bool close_page(FILE *file, const char *path)
{
    struct stat status;
    bool failed = fflush(file) != 0 || ferror(file);
    int error = errno;
    bool is_file = fstat(fileno(file), &status) == 0 && S_ISREG(status.st_mode);
    if (fclose(file) != 0 && !failed) {
        failed = true;
        error = errno;
    }
    if (!failed)
        return true;
    complain("%s: %s", path, strerror(error));
    if (is_file)
        unlink(path);
    return false;
}

bool view_write_page(const struct view_options *options, const struct recording *recordings,
                     size_t recording_count, const struct view_set *sets, size_t set_count,
                     bool is_diff)
{
    struct page page = {
        .options = options,
        .recordings = recordings,
        .recording_count = recording_count,
        .sets = sets,
        .set_count = set_count,
        .is_diff = is_diff,
    };
    page.file = fopen(options->output, "we");
    if (page.file == NULL) {
        complain("%s: %s", options->output, strerror(errno));
        return false;
    }
    char *title = title_of(&recordings[recording_count - 1], is_diff);
    page.title = title;
    put_page(&page);
    free(title);
    free(page.places);
    numbers_clear(&page.numbers);
    return close_page(page.file, options->output);
}
