/* SPDX-License-Identifier: MIT */
/*
 * JSON documents: a tree is built as a parser builds it, depth first with vectors that grow by
 * realloc, and dropped depth first. Some documents are alive at once; the oldest is dropped when
 * the next is complete. An operation is one document.
 * Strings, numbers, containers and the vectors of containers are blocks; true, false and null are
 * not, as in Jansson.
 * Source: the corpus of nativejson-benchmark (M. Yip). `messages` has the proportions of its
 * twitter.json, where 100 messages hold 1264 objects of 13345 members, 1050 mostly empty arrays,
 * 4754 strings and 2109 numbers; `coordinates` those of canada.json: a few hundred outlines of
 * about 115 points, each an array of two numbers.
 */
#include "workload.h"

enum { LIVE = 4, MESSAGES = 40, OUTLINES = 20 };

enum kind { STRING, NUMBER, ARRAY, OBJECT };

/* The last word of the fixed blocks is there for the mark. Of a text the mark takes the place of
 * the final zero. */
struct vector {
    uint32_t bytes;
    uint32_t count;
    struct value *item[]; /* of an object: each key before its value */
};

struct value {
    uint32_t bytes;
    uint32_t kind;
    union {
        double number;
        struct vector *vector;
    };
    uint64_t mark;
};

/* A string is a block of its own size: its text starts where others have their number. */
enum { TEXT_AT = offsetof(struct value, number), VECTOR_BYTES = 32 };

static struct value *new_value(enum kind kind, uint32_t bytes)
{
    struct value *value = bench_alloc(bytes);
    value->kind = kind;
    return value;
}

static struct value *new_string(uint32_t length)
{
    struct value *string = new_value(STRING, TEXT_AT + length + 1);
    char *text = (char *)string + TEXT_AT;
    for (uint32_t i = 0; i < length; i += 8)
        text[i] = 'a';
    return string;
}

static struct value *new_number(double number)
{
    struct value *value = new_value(NUMBER, sizeof(*value));
    value->number = number;
    return value;
}

static struct value *new_container(enum kind kind)
{
    struct value *value = new_value(kind, sizeof(*value));
    value->vector = NULL;
    return value;
}

/* How many items a vector of so many bytes holds beside its head and the mark. */
static uint32_t vector_room(uint32_t bytes)
{
    return (uint32_t)((bytes - sizeof(struct vector)) / sizeof(struct value *)) - 1;
}

static void append(struct value *container, struct value *item)
{
    struct vector *vector = container->vector;
    if (vector == NULL) {
        vector = bench_alloc(VECTOR_BYTES);
        vector->count = 0;
    } else if (vector->count == vector_room(vector->bytes)) {
        vector = bench_resize(vector, 2 * vector->bytes);
    }
    vector->item[vector->count++] = item;
    container->vector = vector;
}

static uint64_t drop(struct value *value)
{
    uint64_t sum = 0;
    if (value == NULL)
        return 0;
    if (value->kind >= ARRAY && value->vector != NULL) {
        for (uint32_t i = 0; i < value->vector->count; i++)
            sum += drop(value->vector->item[i]);
        sum += bench_free(value->vector);
    }
    return sum + bench_free(value);
}

/* `messages` */

/* What an object has at its depth: members in all, and of those objects. */
struct level {
    uint32_t members_low, members_high, objects;
};

static const struct level levels[] = {{20, 28, 4}, {10, 20, 2}, {3, 9, 0}};

static struct bench_sizes text_lengths;

/* Of twitter.json's scalars 41 % are strings, 18 % numbers, the others have no block. */
static struct value *new_scalar(struct bench_random *random)
{
    uint64_t drawn = bench_random(random), percent = drawn % 100;
    if (percent < 41)
        return new_string(bench_size(&text_lengths, drawn >> 40));
    return percent < 59 ? new_number((double)drawn) : NULL;
}

/* Half of them stay empty. */
static struct value *new_short_array(struct bench_random *random)
{
    struct value *array = new_container(ARRAY);
    if (bench_random(random) % 2 == 0)
        append(array, new_scalar(random));
    return array;
}

static struct value *new_object(struct bench_random *random, size_t depth)
{
    const struct level *level = &levels[depth];
    struct value *object = new_container(OBJECT);
    uint32_t members = level->members_low +
                       bench_random_below(random, level->members_high - level->members_low + 1);
    for (uint32_t i = 0; i < members; i++) {
        append(object, new_string(2 + bench_random_below(random, 23)));
        if (i < level->objects)
            append(object, new_object(random, depth + 1));
        else if (i == level->objects)
            append(object, new_short_array(random));
        else
            append(object, new_scalar(random));
    }
    return object;
}

static struct value *new_messages(struct bench_random *random)
{
    struct value *array = new_container(ARRAY);
    for (int i = 0; i < MESSAGES; i++)
        append(array, new_object(random, 0));
    return array;
}

/* `coordinates` */

static struct value *new_point(struct bench_random *random)
{
    struct value *point = new_container(ARRAY);
    append(point, new_number((double)bench_random(random)));
    append(point, new_number((double)bench_random(random)));
    return point;
}

static struct value *new_outlines(struct bench_random *random)
{
    struct value *outlines = new_container(ARRAY);
    for (int i = 0; i < OUTLINES; i++) {
        struct value *outline = new_container(ARRAY);
        uint32_t points = 10 + bench_random_below(random, 211);
        for (uint32_t k = 0; k < points; k++)
            append(outline, new_point(random));
        append(outlines, outline);
    }
    return outlines;
}

struct shape {
    struct value *(*build)(struct bench_random *random);
};

static uint64_t run(struct gbench_state *state, const struct bench_run *how)
{
    const struct shape *shape = how->context;
    struct bench_random random = {800};
    struct value *document[LIVE] = {NULL};
    uint64_t sum = 0;
    size_t next = 0;
    bench_sizes_log_uniform(&text_lengths, 4, 200);
    while (gbench_keep_running(state)) {
        struct value *built = shape->build(&random);
        sum += drop(document[next]);
        document[next] = built;
        next = (next + 1) % LIVE;
    }
    for (size_t i = 0; i < LIVE; i++)
        sum += drop(document[i]);
    return sum;
}

static const struct bench_row rows[] = {
    {"json/messages", "JSON trees of about 10000 blocks, objects and text", 180, 1,
     GBENCH_PROCESS_CPU, run, .context = &(const struct shape){new_messages}, .unit = "tree"},
    {"json/coordinates", "JSON trees of about 9200 blocks, arrays of points", 400, 1,
     GBENCH_PROCESS_CPU, run, .context = &(const struct shape){new_outlines}, .unit = "tree"},
};

BENCH_ROWS(BENCH_WORKLOAD, rows)
