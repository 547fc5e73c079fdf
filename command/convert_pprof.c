/* SPDX-License-Identifier: MIT */
/*
 * Profiles for pprof (profile.proto): as the heap profiles of Go, which any of its readers takes.
 * See convert.h.
 */
#include "command.h"
#include "convert.h"

#if PM_PROTOBUF

#include "memory.h"
#include "profile.pb-c.h"
#include "progress.h"
#include "strings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { TYPES_MAX = 4 };

/* Messages of one kind, as protobuf-c has them, and the room there is. */
struct list {
    void **items;
    size_t count, room;
};

struct builder {
    struct recording *recording;
    struct strings texts;
    struct numbers text_numbers; /* from the address of a text to its number */
    struct list strings, mappings, locations, functions, samples;
    struct numbers location_ids; /* from a return address to its id */
    struct numbers function_ids; /* from the address of a text with name and file */
};

static void *list_add(struct list *list, void *item)
{
    list->items = get_room(list->items, &list->room, list->count + 1, sizeof *list->items);
    list->items[list->count++] = item;
    return item;
}

/* A message with its fields at their defaults, and added to the list if there is one. */
#define NEW(list, type, init)                                                                      \
    ((type *)list_add((list), memcpy(get_memory(sizeof(type)), &(type)init, sizeof(type))))

static int64_t text_number(struct builder *b, const char *text)
{
    bool is_new;
    const char *one = strings_one(&b->texts, text, strlen(text));
    size_t *number = numbers_at(&b->text_numbers, (uintptr_t)one, &is_new);
    if (is_new) {
        *number = b->strings.count;
        list_add(&b->strings, (void *)(uintptr_t)one);
    }
    return (int64_t)*number;
}

static void add_mappings(struct builder *b)
{
    struct symbol_code code;
    for (size_t i = 0; symbols_code(b->recording->symbols, i, &code); i++) {
        Pprof__Mapping *mapping = NEW(&b->mappings, Pprof__Mapping, PPROF__MAPPING__INIT);
        mapping->id = i + 1;
        mapping->memory_start = code.start;
        mapping->memory_limit = code.end;
        mapping->file_offset = code.offset;
        mapping->filename = text_number(b, code.module->path);
        if (code.module->build_id != NULL)
            mapping->build_id = text_number(b, code.module->build_id);
    }
}

static Pprof__Mapping *mapping_of(const struct builder *b, uint64_t address)
{
    size_t low = 0, high = b->mappings.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const Pprof__Mapping *mapping = b->mappings.items[middle];
        if (mapping->memory_limit <= address)
            low = middle + 1;
        else
            high = middle;
    }
    Pprof__Mapping *mapping = low < b->mappings.count ? b->mappings.items[low] : NULL;
    return mapping != NULL && mapping->memory_start <= address ? mapping : NULL;
}

static uint64_t function_id(struct builder *b, const struct symbol_frame *frame)
{
    bool is_new;
    char *text = get_text("%s\n%s", frame->name, frame->file != NULL ? frame->file : "");
    const char *key = strings_one(&b->texts, text, strlen(text));
    free(text);
    size_t *id = numbers_at(&b->function_ids, (uintptr_t)key, &is_new);
    if (is_new) {
        Pprof__Function *function = NEW(&b->functions, Pprof__Function, PPROF__FUNCTION__INIT);
        function->id = *id = b->functions.count;
        function->name = function->system_name = text_number(b, frame->name);
        function->filename = text_number(b, frame->file != NULL ? frame->file : "");
    }
    return *id;
}

static void add_lines(struct builder *b, Pprof__Location *location, Pprof__Mapping *mapping,
                      const struct symbol_frame *frames, size_t count)
{
    struct list lines = {NULL, 0, 0};
    for (size_t i = 0; i < count; i++) {
        Pprof__Line *line = NEW(&lines, Pprof__Line, PPROF__LINE__INIT);
        line->function_id = function_id(b, &frames[i]);
        line->line = frames[i].line;
        if (mapping == NULL)
            continue;
        mapping->has_functions = true;
        mapping->has_filenames |= frames[i].file != NULL;
        mapping->has_line_numbers |= frames[i].line != 0;
        mapping->has_inline_frames |= frames[i].is_inlined;
    }
    location->n_line = lines.count;
    location->line = (Pprof__Line **)lines.items;
}

static uint64_t location_id(struct builder *b, uint64_t return_address)
{
    bool is_new;
    size_t *id = numbers_at(&b->location_ids, return_address, &is_new);
    if (!is_new)
        return *id;
    const struct symbol_frame *frames;
    size_t count = symbols_find(b->recording->symbols, return_address, &frames);
    uint64_t address = return_address > 0 ? return_address - 1 : 0;
    Pprof__Mapping *mapping = mapping_of(b, address);
    Pprof__Location *location = NEW(&b->locations, Pprof__Location, PPROF__LOCATION__INIT);
    location->id = *id = b->locations.count;
    location->address = address;
    location->mapping_id = mapping != NULL ? mapping->id : 0;
    if (frames[count - 1].is_function)
        add_lines(b, location, mapping, frames, count);
    return location->id;
}

/* For pprof's --tagfocus: how large the blocks are. */
static void add_size(struct builder *b, Pprof__Sample *sample, const struct recording_stack *stack)
{
    const struct recording_figures *figures = stack->live.blocks > 0 ? &stack->live : &stack->all;
    struct list labels = {NULL, 0, 0};
    if (figures->blocks == 0)
        return;
    Pprof__Label *label = NEW(&labels, Pprof__Label, PPROF__LABEL__INIT);
    label->key = label->unit = text_number(b, "bytes");
    label->number = (int64_t)(figures->bytes / figures->blocks);
    sample->n_label = labels.count;
    sample->label = (Pprof__Label **)labels.items;
}

static void add_sample(struct builder *b, const struct recording_stack *stack)
{
    struct recording_figures live = recording_scaled(b->recording, stack->live);
    struct recording_figures all = recording_scaled(b->recording, stack->all);
    Pprof__Sample *sample = NEW(&b->samples, Pprof__Sample, PPROF__SAMPLE__INIT);
    sample->n_location_id = stack->frame_count;
    sample->location_id = get_memory(stack->frame_count * sizeof *sample->location_id);
    for (unsigned i = 0; i < stack->frame_count; i++)
        sample->location_id[i] = location_id(b, b->recording->frames[stack->first_frame + i]);
    sample->value = get_memory(TYPES_MAX * sizeof *sample->value);
    if (b->recording->has_all) {
        sample->value[sample->n_value++] = (int64_t)all.blocks;
        sample->value[sample->n_value++] = (int64_t)all.bytes;
    }
    sample->value[sample->n_value++] = (int64_t)live.blocks;
    sample->value[sample->n_value++] = (int64_t)live.bytes;
    add_size(b, sample, stack);
}

static void add_samples(struct builder *b)
{
    struct progress progress = {.what = "looking up functions", .most = b->recording->stack_count};
    for (size_t i = 0; i < b->recording->stack_count; i++) {
        add_sample(b, &b->recording->stacks[i]);
        progress_show(&progress, i);
    }
    progress_end(&progress);
}

static void add_types(struct builder *b, struct list *types)
{
    static const char *const names[TYPES_MAX][2] = {
        {"alloc_objects", "count"},
        {"alloc_space", "bytes"},
        {"inuse_objects", "count"},
        {"inuse_space", "bytes"},
    };
    for (int i = b->recording->has_all ? 0 : 2; i < TYPES_MAX; i++) {
        Pprof__ValueType *type = NEW(types, Pprof__ValueType, PPROF__VALUE_TYPE__INIT);
        type->type = text_number(b, names[i][0]);
        type->unit = text_number(b, names[i][1]);
    }
}

/* What ends up in the file; the caller frees it. */
static uint8_t *pack(struct builder *b, size_t *length)
{
    Pprof__Profile profile = PPROF__PROFILE__INIT;
    Pprof__ValueType period = PPROF__VALUE_TYPE__INIT;
    struct list types = {NULL, 0, 0};
    text_number(b, "");
    add_types(b, &types);
    add_mappings(b);
    add_samples(b);
    period.type = text_number(b, "space");
    period.unit = text_number(b, "bytes");
    profile.period_type = &period;
    profile.period = b->recording->mean_bytes > 1 ? (int64_t)b->recording->mean_bytes : 1;
    profile.default_sample_type = text_number(b, "inuse_space");
    profile.time_nanos = (int64_t)b->recording->time * 1000000000;
    profile.n_sample_type = types.count;
    profile.sample_type = (Pprof__ValueType **)types.items;
    profile.n_sample = b->samples.count;
    profile.sample = (Pprof__Sample **)b->samples.items;
    profile.n_mapping = b->mappings.count;
    profile.mapping = (Pprof__Mapping **)b->mappings.items;
    profile.n_location = b->locations.count;
    profile.location = (Pprof__Location **)b->locations.items;
    profile.n_function = b->functions.count;
    profile.function = (Pprof__Function **)b->functions.items;
    profile.n_strings = b->strings.count;
    profile.strings = (char **)b->strings.items;
    uint8_t *bytes = get_memory(pprof__profile__get_packed_size(&profile));
    *length = pprof__profile__pack(&profile, bytes);
    for (size_t i = 0; i < types.count; i++)
        free(types.items[i]);
    free(types.items);
    return bytes;
}

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
}

static void builder_free(struct builder *b)
{
    for (size_t i = 0; i < b->samples.count; i++) {
        Pprof__Sample *sample = b->samples.items[i];
        free(sample->location_id);
        free(sample->value);
        list_free(&(struct list){(void **)sample->label, sample->n_label, 0});
    }
    for (size_t i = 0; i < b->locations.count; i++) {
        Pprof__Location *location = b->locations.items[i];
        list_free(&(struct list){(void **)location->line, location->n_line, 0});
    }
    list_free(&b->samples);
    list_free(&b->locations);
    list_free(&b->functions);
    list_free(&b->mappings);
    free(b->strings.items);
    strings_clear(&b->texts);
    numbers_clear(&b->text_numbers);
    numbers_clear(&b->location_ids);
    numbers_clear(&b->function_ids);
}

static bool write_zipped(FILE *file, const char *path, const uint8_t *bytes, size_t length)
{
    int descriptor = dup(fileno(file));
    gzFile zipped = descriptor >= 0 ? gzdopen(descriptor, "wb") : NULL;
    if (zipped == NULL) {
        complain("%s: %s", path, strerror(errno));
        if (descriptor >= 0)
            close(descriptor);
        return false;
    }
    while (length > 0) {
        unsigned piece = length < 1u << 30 ? (unsigned)length : 1u << 30;
        if (gzwrite(zipped, bytes, piece) != (int)piece)
            break;
        bytes += piece;
        length -= piece;
    }
    errno = 0;
    int error = gzclose(zipped);
    if (length == 0 && error == Z_OK)
        return true;
    complain("%s: %s", path, strerror(errno != 0 ? errno : EIO));
    return false;
}

bool convert_to_pprof(struct recording *recording, FILE *file, const char *path)
{
    struct builder builder = {.recording = recording};
    size_t length;
    uint8_t *bytes = pack(&builder, &length);
    bool done = write_zipped(file, path, bytes, length);
    free(bytes);
    builder_free(&builder);
    return done;
}

#else

bool convert_to_pprof(struct recording *recording, FILE *file, const char *path)
{
    (void)recording;
    (void)file;
    (void)path;
    complain("built without protobuf-c and zlib: --to=pprof is not possible");
    return false;
}

#endif
