/* SPDX-License-Identifier: MIT */
/* See life.h. */
#include "life.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    full_blocks = 40, /* of one medium size: more than a pool of it holds */
    full_size = 2048,
    small_blocks = 40,
    small_max = 1024,
    mixed_blocks = 12,
    mixed_max = 60000,
    large_blocks = 2,
    large_min = 70000,
    large_max = 500000,
    set_blocks = full_blocks + small_blocks + mixed_blocks + large_blocks + 1,
    huge_size = 3 << 20, /* more than an arena */
    ends = 16,           /* so many bytes at each end of a block are marked */
    guard_seconds = 120, /* of a machine under load */
};

struct set {
    unsigned char mark;
    unsigned char *block[set_blocks];
    size_t size[set_blocks];
};

static size_t size_of(struct rng *rng, unsigned index)
{
    if (index < full_blocks)
        return full_size;
    index -= full_blocks;
    if (index < small_blocks)
        return random_size(rng, 1, small_max);
    index -= small_blocks;
    if (index < mixed_blocks)
        return random_size(rng, 1, mixed_max);
    if (index - mixed_blocks < large_blocks)
        return random_size(rng, large_min, large_max);
    return huge_size; /* the ends are written only: it costs no memory */
}

static size_t end_of(size_t size)
{
    return size < ends ? size : ends;
}

static void add(struct set *set, unsigned i, size_t size, bool clear)
{
    unsigned char *block = clear ? api_calloc(1, size) : api_malloc(size);
    CHECK(block, "no %zu bytes", size);
    size_t end = end_of(size);
    CHECK(!clear || (block[0] == 0 && block[size / 2] == 0 && block[size - 1] == 0),
          "calloc of %zu bytes is not zero", size);
    memset(block, set->mark, end);
    memset(block + size - end, set->mark, end);
    set->block[i] = block;
    set->size[i] = size;
}

struct set *set_make(struct rng *rng, unsigned char mark)
{
    struct set *set = api_malloc(sizeof *set);
    CHECK(set, "no memory for a set");
    set->mark = mark;
    for (unsigned i = 0; i < set_blocks; i++)
        add(set, i, size_of(rng, i), i % 4 == 3 && i != set_blocks - 1);
    return set;
}

static void check_block(const struct set *set, unsigned i)
{
    size_t size = set->size[i];
    for (size_t at = 0; at < end_of(size); at++)
        CHECK(set->block[i][at] == set->mark && set->block[i][size - 1 - at] == set->mark,
              "block %u of %zu bytes lost its contents", i, size);
}

void set_free(struct set *set)
{
    for (unsigned i = 0; i < set_blocks; i++) {
        check_block(set, i);
        api_free(set->block[i]);
    }
    api_free(set);
}

void use_heap(struct rng *rng, unsigned sets)
{
    struct set *kept = NULL;
    for (unsigned i = 0; i < sets; i++) {
        struct set *set = set_make(rng, (unsigned char)rng_next(rng));
        if (kept)
            set_free(kept);
        kept = set;
    }
    if (kept)
        set_free(kept);
}

void guard_against_hangs(void)
{
    alarm(guard_seconds);
}

pthread_t start_thread(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    int code = pthread_create(&thread, NULL, run, argument);
    CHECK(code == 0, "pthread_create: %s", strerror(code));
    return thread;
}

void join_thread(pthread_t thread)
{
    int code = pthread_join(thread, NULL);
    CHECK(code == 0, "pthread_join: %s", strerror(code));
}

void expect_exit(pid_t child, int status, const char *what)
{
    int found = 0;
    pid_t ended;
    do
        ended = waitpid(child, &found, 0);
    while (ended < 0 && errno == EINTR);
    CHECK(ended == child && WIFEXITED(found) && WEXITSTATUS(found) == status,
          "%s ended with status %#x (14: it hung)", what, (unsigned)found);
}

/* ---- destructors ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;

static __thread struct {
    void (*last_words)(int round, void *argument);
    void *argument;
    int round;
} end;

/* In the child of a fork a new thread may get the stack of one that was in its destructors, and
 * with it, from glibc, values that this one had not come to: a call without our doing. */
static void destroy(void *value)
{
    if (end.last_words == NULL)
        return;
    end.round++;
    if (end.round < thread_end_rounds())
        pthread_setspecific(key, value); /* the next round too */
    end.last_words(end.round, end.argument);
}

static void make_key(void)
{
    int code = pthread_key_create(&key, destroy);
    CHECK(code == 0, "pthread_key_create: %s", strerror(code));
}

int thread_end_rounds(void)
{
#ifdef __SANITIZE_THREAD__ /* takes down in the last round what it needs to watch the thread */
    return PTHREAD_DESTRUCTOR_ITERATIONS - 1;
#else
    return PTHREAD_DESTRUCTOR_ITERATIONS;
#endif
}

void at_thread_end(void (*last_words)(int round, void *argument), void *argument)
{
    pthread_once(&once, make_key);
    end.last_words = last_words;
    end.argument = argument;
    end.round = 0;
    int code = pthread_setspecific(key, &key);
    CHECK(code == 0, "pthread_setspecific: %s", strerror(code));
}
