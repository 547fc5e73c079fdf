/* SPDX-License-Identifier: MIT */
/*
 * The process reaches a limit and the allocator goes on: what is there can be freed, resized and
 * purged, what is not to be had is NULL with ENOMEM, and no block changes; once the limit is gone,
 * all is as before. Stands for: servers with many mappings, under ulimit, or with mlockall. Source:
 * "munmap of a part failing with ENOMEM at the limit of mappings", "the limit of mappings"
 * (reference/traps.md, traps 19 and asks 12). stress/exhaust.c is about address space alone.
 * Usage: at_limits [limit=mappings|address|data|locked|locked-limit] [ops=4000]
 *   mappings      the system's limit on mappings is reached by mappings of one page
 *   address,data  RLIMIT_AS, RLIMIT_DATA; the window must be small for the first (window_bytes)
 *   locked        mlockall of all memory, present and future; needs the right to
 *   locked-limit  the same under RLIMIT_MEMLOCK, without privileges; needs a small window, too
 * Exit status 77: the limit cannot be set here.
 */
#include "check.h"
#include "common.h"
#include "giveback/measure.h"
#include "names.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    users = 2,
    slots = 200,
    size_high = 2 << 20,
    fill_bytes = 1 << 20,
    fill_max = 2048,
    room_mib = 64,
    locked_room_mib = 192,
    stack_bytes = 256 * 1024,
    nobody = 65534,
    page = 4096,
    trim_every = 500,
};

struct slot {
    unsigned char *block;
    size_t size;
    unsigned char mark;
};

struct user {
    struct slot slots[slots];
    struct rng rng;
    pthread_t thread;
    size_t refused;
};

static struct gate gate = GATE_INIT;
static struct user all_users[users];
static size_t ops;

static bool all_bytes_are(const unsigned char *bytes, size_t size, unsigned char value)
{
    return size == 0 || (bytes[0] == value && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static void check_slot(const struct slot *slot)
{
    CHECK(all_bytes_are(slot->block, slot->size, slot->mark), "a block of %zu bytes changed",
          slot->size);
}

static void fill(struct user *user, struct slot *slot, unsigned char *block, size_t size)
{
    slot->block = block;
    slot->size = size;
    slot->mark = (unsigned char)rng_next(&user->rng);
    memset(block, slot->mark, size);
}

static void note_refusal(struct user *user, size_t size)
{
    CHECK(errno == ENOMEM, "%zu bytes refused with errno %d", size, errno);
    user->refused++;
}

static void make(struct user *user, struct slot *slot)
{
    size_t size = random_size(&user->rng, 1, size_high);
    uint64_t kind = rng_below(&user->rng, 3);
    errno = 0;
    unsigned char *block = kind == 0   ? api_calloc(1, size)
                           : kind == 1 ? api_aligned_alloc(8192, size)
                                       : api_malloc(size);
    if (!block) {
        note_refusal(user, size);
        return;
    }
    CHECK(kind != 0 || all_bytes_are(block, size, 0), "calloc of %zu bytes is not zero", size);
    fill(user, slot, block, size);
}

static void resize(struct user *user, struct slot *slot)
{
    size_t size = random_size(&user->rng, 1, size_high);
    size_t kept = size < slot->size ? size : slot->size;
    errno = 0;
    unsigned char *block = api_realloc(slot->block, size);
    if (!block) {
        note_refusal(user, size);
        return;
    }
    CHECK(all_bytes_are(block, kept, slot->mark), "realloc to %zu bytes lost the contents", size);
    fill(user, slot, block, size);
}

static void release(struct slot *slot)
{
    api_free(slot->block);
    slot->block = NULL;
}

/* The next calls of a user, from wherever the last ones ended. */
static void use_heap(struct user *user)
{
    for (size_t i = 0; i < ops; i++) {
        struct slot *slot = &user->slots[rng_below(&user->rng, slots)];
        if (slot->block)
            check_slot(slot);
        if (!slot->block)
            make(user, slot);
        else if (rng_one_in(&user->rng, 2))
            resize(user, slot);
        else
            release(slot);
        if (i % trim_every == 0)
            measure_trim();
    }
}

enum stage { stage_before = 1, stage_at_limit, stage_after, stage_end };

/* Started before the limit is there: a stack that cannot be had is no fault of the allocator. */
static void *user_main(void *argument)
{
    struct user *user = argument;
    for (unsigned stage = stage_before; stage < stage_end; stage++) {
        gate_wait(&gate, stage);
        use_heap(user);
        gate_arrive(&gate);
    }
    for (size_t i = 0; i < slots; i++) {
        if (user->slots[i].block)
            check_slot(&user->slots[i]);
        release(&user->slots[i]);
    }
    return NULL;
}

static size_t run_stage(unsigned stage)
{
    size_t refused = 0;
    gate_open(&gate, stage);
    gate_await(&gate, users);
    for (int i = 0; i < users; i++) {
        refused += all_users[i].refused;
        all_users[i].refused = 0;
    }
    return refused;
}

/* Takes all that can be had, and frees it. How much that was; SIZE_MAX: there is no end to it. */
static size_t fill_up(void)
{
    static unsigned char *blocks[fill_max];
    size_t count = 0;
    for (; count < fill_max; count++) {
        errno = 0;
        blocks[count] = api_malloc(fill_bytes);
        if (!blocks[count])
            break;
        memset(blocks[count], (int)(count % 255 + 1), fill_bytes);
    }
    bool ended = count < fill_max;
    CHECK(!ended || errno == ENOMEM, "refused with errno %d", errno);
    for (size_t i = 0; i < count; i++) {
        CHECK(all_bytes_are(blocks[i], fill_bytes, (unsigned char)(i % 255 + 1)), "it changed");
        api_free(blocks[i]);
    }
    return ended ? count * fill_bytes : SIZE_MAX;
}

_Noreturn static void skip(const char *why)
{
    printf("skipped: %s: %s\n", why, strerror(errno));
    exit(exit_skipped);
}

/* Every second page with another protection: a mapping each, until the system has enough. */
static void *mappings;
static const size_t mapping_pages = (size_t)1 << 22;

static void take_mappings(void)
{
    mappings = mmap(NULL, mapping_pages * page, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(mappings != MAP_FAILED, "no address space");
    size_t i = 1;
    while (i < mapping_pages && mprotect((char *)mappings + i * page, page, PROT_READ) == 0)
        i += 2;
    if (i >= mapping_pages)
        skip("the system's limit of mappings is higher than this program's");
    CHECK(errno == ENOMEM, "mprotect failed: %s", strerror(errno));
    report("mappings_taken", (double)i);
}

static void give_mappings(void)
{
    CHECK(munmap(mappings, mapping_pages * page) == 0, "munmap failed");
}

static void set_limit(int which, rlim_t bytes)
{
    struct rlimit limit;
    CHECK(getrlimit(which, &limit) == 0, "getrlimit failed");
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    if (setrlimit(which, &limit) != 0)
        skip("setrlimit");
}

static void lock_all(void)
{
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        skip("mlockall");
}

/* A process that may lock memory is not bound by the limit, so the right is given up. What is there
 * already, the first window too, may be more than the limit: then only what comes is locked. */
static void lock_all_under_limit(void)
{
    set_limit(RLIMIT_MEMLOCK, measure_status("VmSize:") + locked_room_mib * MIB);
    if (geteuid() == 0 && setresuid(nobody, nobody, nobody) != 0)
        skip("setresuid");
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0 && mlockall(MCL_FUTURE) != 0)
        skip("mlockall");
}

struct limit {
    const char *name;
    bool binds; /* there is an end to what can be had */
};

static const struct limit limits[] = {{"mappings", false}, /* arenas need none of their own */
                                      {"address", true},
                                      {"data", true},
                                      {"locked", false},
                                      {"locked-limit", true}};
enum { limit_mappings, limit_address, limit_data, limit_locked, limit_locked_limit, limit_count };

static void reach(unsigned which)
{
    switch (which) {
    case limit_mappings:
        take_mappings();
        break;
    case limit_address:
        set_limit(RLIMIT_AS, measure_status("VmSize:") + room_mib * MIB);
        break;
    case limit_data:
        set_limit(RLIMIT_DATA, measure_status("VmData:") + room_mib * MIB);
        break;
    case limit_locked:
        lock_all();
        break;
    default:
        lock_all_under_limit();
    }
}

static void leave(unsigned which)
{
    switch (which) {
    case limit_mappings:
        give_mappings();
        break;
    case limit_address:
        set_limit(RLIMIT_AS, RLIM_INFINITY);
        break;
    case limit_data:
        set_limit(RLIMIT_DATA, RLIM_INFINITY);
        break;
    default:
        CHECK(munlockall() == 0, "munlockall failed");
    }
}

static void start_users(void)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    for (size_t i = 0; i < users; i++) {
        all_users[i].rng = rng_make(17, i);
        int code = pthread_create(&all_users[i].thread, &attributes, user_main, &all_users[i]);
        CHECK(code == 0, "pthread_create returned %d", code);
    }
    pthread_attr_destroy(&attributes);
}

int main(int count, char **arguments)
{
    static const char *const names[] = {"limit", "ops", NULL};
    options_check(count, arguments, names);
    const char *name = option(count, arguments, "limit", "mappings");
    unsigned which = 0;
    while (which < limit_count && strcmp(limits[which].name, name) != 0)
        which++;
    CHECK(which < limit_count, "limit=%s is not known", name);
    ops = option_number(count, arguments, "ops", 4000);
    setvbuf(stdout, NULL, _IONBF, 0); /* no buffer that may be refused later */
    start_users();
    judge("refused_before", (double)run_stage(stage_before), 0);
    reach(which);
    report("refused_at_the_limit", (double)run_stage(stage_at_limit));
    if (limits[which].binds) {
        size_t most = fill_up();
        CHECK(most != SIZE_MAX, "the limit does not bind: nothing was tested");
        report("had_at_the_limit_mib", (double)most / MIB);
    }
    leave(which);
    judge("refused_afterwards", (double)run_stage(stage_after), 0);
    gate_open(&gate, stage_end);
    for (int i = 0; i < users; i++)
        pthread_join(all_users[i].thread, NULL);
    return judged();
}
