/* SPDX-License-Identifier: MIT */
/*
 * Drives a fuzz target without libFuzzer, so that any compiler's build can run it: on the files of
 * a corpus in the order of their names, or on inputs made of pseudo-random bytes.
 *
 * Usage: replay FILE|FOLDER...            each file is an input, each file of a folder too
 *        replay --random COUNT SEED       COUNT inputs; a failure names the one
 */
#include "check.h"
#include "common.h"
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { input_max_bytes = 4096, path_max = 1024 };

static char context[path_max];
static size_t inputs;

static void run(const uint8_t *data, size_t size)
{
    check_set_context(context);
    LLVMFuzzerTestOneInput(data, size);
    inputs++;
}

static void run_file(const char *path)
{
    static uint8_t data[input_max_bytes];
    FILE *file = fopen(path, "rb");
    CHECK(file, "cannot read the input %s", path);
    size_t size = fread(data, 1, sizeof data, file);
    CHECK(!ferror(file), "cannot read the input %s", path);
    CHECK(size < sizeof data, "the input %s is larger than %d bytes", path, input_max_bytes);
    fclose(file);
    snprintf(context, sizeof context, "input %s", path);
    /* exactly as large as the input: a read beyond its end is seen */
    uint8_t *copy = malloc(size + 1);
    CHECK(copy, "no memory");
    memcpy(copy, data, size);
    copy = realloc(copy, size ? size : 1);
    CHECK(copy, "no memory");
    run(copy, size);
    free(copy);
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_path(const char *path)
{
    struct stat about;
    struct dirent **entries;
    CHECK(stat(path, &about) == 0, "there is no input %s", path);
    if (!S_ISDIR(about.st_mode)) {
        run_file(path);
        return;
    }
    int count = scandir(path, &entries, not_hidden, alphasort);
    CHECK(count > 0, "no inputs in the folder %s", path);
    for (int i = 0; i < count; i++) {
        char name[path_max];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        run_file(name);
        free(entries[i]);
    }
    free(entries);
}

static void run_random(uint64_t count, uint64_t seed)
{
    enum { longest = 600 };
    static uint8_t data[longest];
    for (uint64_t number = 0; number < count; number++) {
        struct rng rng = rng_make(seed, number);
        size_t size = 1 + rng_below(&rng, longest);
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)(rng_next(&rng) >> 24);
        snprintf(context, sizeof context, "--random: input %llu of seed %llu",
                 (unsigned long long)number, (unsigned long long)seed);
        run(data, size);
    }
}

int main(int count, char **arguments)
{
    if (count == 4 && strcmp(arguments[1], "--random") == 0) {
        run_random(parse_number("COUNT", arguments[2]), parse_number("SEED", arguments[3]));
    } else {
        for (int i = 1; i < count; i++)
            run_path(arguments[i]);
    }
    if (inputs == 0) {
        fprintf(stderr, "usage: %s FILE|FOLDER... | --random COUNT SEED\n", arguments[0]);
        return 2;
    }
    fuzz_finish();
    printf("%zu inputs, no fault\n", inputs);
    return 0;
}
