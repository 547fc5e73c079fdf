/* SPDX-License-Identifier: MIT */
/*
 * Trap 16: errno. free preserves it, also when it gives memory back to the system and the system
 * refuses; a failure sets ENOMEM; posix_memalign leaves errno and, on failure, the pointer alone
 * and returns the code. Stands for: programs that look at errno after they have freed a buffer. The
 * system's calls are refused in turn. Run it with nothing kept (keep_bytes=0), so that frees purge.
 *
 * After a refusal the library asks no more for a second. So its clock is this program's, and leaps
 * at each look: every call that may give memory back does try.
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "step.h"
#include "syscalls.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    each = 60,
    sizes = 8,
    alarm_seconds = 100,
    small = 1000,
    ways = 4,
    some = 16,
    leap_seconds = 2
};

static const size_t size_list[sizes] = {16, 200, 1024, 5000, 60000, 100000, 3 << 20, 10 << 20};
static char *blocks[sizes][each];
static volatile int error; /* not the compiler's idea of what free does to errno */

static atomic_bool clock_stands;
static uint64_t refused_in_way[ways]; /* frees of that way during which the system refused */

/* In the place of the C library's: the allocator's only clock. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    static atomic_int seconds = 1000;
    (void)clock;
    *now = (struct timespec){
        .tv_sec = atomic_fetch_add(&seconds, atomic_load(&clock_stands) ? 0 : leap_seconds)};
    return 0;
}

static int blocks_of(int size)
{
    return size_list[size] > 1 << 20 ? 4 : each;
}

static void free_in_some_way(void *block, size_t size, int way)
{
    switch (way) {
    case 0:
        api_free(block);
        break;
    case 1:
        api_free_sized(block, size);
        break;
    case 2:
        api_free_aligned_sized(block, 8, size);
        break;
    default:
        CHECK(api_usable_size(block) >= size, "too small");
        api_free(block);
    }
}

static void *free_all(void *argument)
{
    (void)argument;
    for (int i = 0; i < sizes; i++) {
        for (int n = 0; n < blocks_of(i); n++) {
            int way = (n + i) % ways;
            uint64_t refused = syscalls_refused();
            errno = EDOM;
            free_in_some_way(blocks[i][n], size_list[i], way);
            error = errno;
            CHECK(error == EDOM, "free changed errno to %d", error);
            refused_in_way[way] += syscalls_refused() > refused;
        }
    }
    errno = EDOM;
    api_free(NULL);
    error = errno;
    CHECK(error == EDOM, "free(NULL) changed errno to %d", error);
    return NULL;
}

static atomic_bool calls_are_refused;

/* What it frees before the calls are refused proves nothing. */
static void *free_all_elsewhere(void *argument)
{
    while (!atomic_load(&calls_are_refused))
        sched_yield();
    return free_all(argument);
}

/* Freed here, or by another thread, while these calls are refused. */
static void frees_preserve_errno(unsigned refuse, bool elsewhere)
{
    memset(refused_in_way, 0, sizeof refused_in_way);
    for (int i = 0; i < sizes; i++) {
        for (int n = 0; n < blocks_of(i); n++) {
            blocks[i][n] = api_malloc(size_list[i]);
            CHECK(blocks[i][n], "no %zu bytes", size_list[i]);
            memset(blocks[i][n], 1, size_list[i]);
        }
    }
    /* More than ever before: past demand does not justify that it is kept. */
    static size_t extra_bytes = 2 << 20;
    void *extra = api_malloc(extra_bytes *= 2);
    CHECK(extra, "no %zu bytes", extra_bytes);
    pthread_t thread;
    syscalls_refuse(refuse, 0);
    errno = EDOM;
    api_free(extra);
    error = errno;
    CHECK(error == EDOM, "free of a large block changed errno to %d", error);
    if (elsewhere) {
        syscalls_refuse(0, 0); /* a new thread needs a stack */
        atomic_store(&calls_are_refused, false);
        CHECK(pthread_create(&thread, NULL, free_all_elsewhere, NULL) == 0, "pthread_create");
        syscalls_refuse(refuse, 0);
        atomic_store(&calls_are_refused, true);
        pthread_join(thread, NULL);
    } else {
        free_all(NULL);
    }
    for (int way = 0; way < ways; way++)
        CHECK((refuse & REFUSE_MADVISE) == 0 || refused_in_way[way] > 0,
              "no free of way %d gave memory back", way);
    syscalls_refuse(0, 0);
}

/* The system that refused is left in peace for a second. A part of what is in use may be kept: that
 * much is freed before the first refusal. */
static void refusals_are_not_asked_for(void)
{
    void *more[some];
    for (int n = 0; n < some; n++) {
        more[n] = api_malloc(size_list[sizes - 1]);
        CHECK(more[n], "no %zu bytes", size_list[sizes - 1]);
        memset(more[n], 1, size_list[sizes - 1]);
    }
    atomic_store(&clock_stands, true);
    syscalls_refuse(REFUSE_MADVISE, 0);
    for (int n = 0; n < some / 2; n++)
        api_free(more[n]);
    uint64_t refused = syscalls_refused();
    for (int n = some / 2; n < some; n++)
        api_free(more[n]);
    CHECK(refused > 0, "the first frees did not give memory back");
    CHECK(syscalls_refused() == refused, "the system refused and was asked again, %llu times",
          (unsigned long long)(syscalls_refused() - refused));
    syscalls_refuse(0, 0);
    atomic_store(&clock_stands, false);
}

/* ---- what fails ---- */

static void *by_malloc(size_t n)
{
    return api_malloc(n);
}

static void *by_calloc(size_t n)
{
    return api_calloc(n, 1);
}

static void *by_realloc(size_t n)
{
    return api_realloc(NULL, n);
}

static void *by_reallocarray(size_t n)
{
    return api_reallocarray(NULL, 1, n);
}

static void *by_aligned_alloc(size_t n)
{
    return api_aligned_alloc(64, n);
}

static void *by_memalign(size_t n)
{
    return api_memalign(128, n);
}

static void *by_valloc(size_t n)
{
    return api_valloc(n);
}

static void *by_pvalloc(size_t n)
{
    return api_pvalloc(n);
}

static void *(*const makers[])(size_t) = {by_malloc,       by_calloc,        by_realloc,
                                          by_reallocarray, by_aligned_alloc, by_memalign,
                                          by_valloc,       by_pvalloc};

static void *last; /* a list of all that could be had */

static void expect_enomem(size_t maker, size_t size)
{
    for (;;) {
        errno = EDOM;
        void **block = makers[maker](size);
        error = errno;
        if (block == NULL)
            break;
        *block = last;
        last = block;
    }
    CHECK(error == ENOMEM, "maker %zu of %zu bytes set errno to %d", maker, size, error);
}

static void expect_posix_memalign(size_t alignment, size_t size, int code)
{
    void *pointer = &last;
    errno = EDOM;
    int result = api_posix_memalign(&pointer, alignment, size);
    error = errno;
    CHECK(result == code, "posix_memalign(%zu, %zu) returned %d", alignment, size, result);
    CHECK(error == EDOM, "posix_memalign(%zu, %zu) set errno to %d", alignment, size, error);
    CHECK(code == 0 || pointer == &last, "posix_memalign(%zu, %zu) changed the pointer", alignment,
          size);
    if (code == 0)
        api_free(pointer);
}

static void expect_realloc(char *block, size_t size)
{
    errno = EDOM;
    char *moved = api_realloc(block, size);
    error = errno;
    CHECK(moved == NULL && error == ENOMEM, "realloc to %zu gave %p, errno %d", size, (void *)moved,
          error);
    CHECK(block[0] == 7 && block[small - 1] == 7, "the block changed though realloc failed");
}

static void failures_set_enomem(void)
{
    static const size_t too_much[] = {SIZE_MAX, SIZE_MAX / 2 + 2, (size_t)1 << 60};
    char *block = api_malloc(small);
    CHECK(block, "no %d bytes", small);
    memset(block, 7, small);
    expect_posix_memalign(64, small, 0);
    expect_posix_memalign(3, small, EINVAL);
    syscalls_refuse(REFUSE_MMAP | REFUSE_MPROTECT | REFUSE_MREMAP, 0);
    for (size_t maker = 0; maker < sizeof makers / sizeof *makers; maker++) {
        for (int i = 0; i < 3; i++)
            expect_enomem(maker, too_much[i]);
        expect_enomem(maker, (size_t)32 << 20);
        expect_enomem(maker, small); /* all that is there is used up by the first of them */
    }
    expect_posix_memalign(64, (size_t)32 << 20, ENOMEM);
    expect_posix_memalign(4096, SIZE_MAX - 4096, ENOMEM);
    expect_realloc(block, (size_t)32 << 20);
    expect_realloc(block, SIZE_MAX / 2 + 2);
    CHECK(syscalls_refused() > 0, "the system was not asked");
    syscalls_refuse(0, 0);
    for (void *next; last != NULL; last = next) {
        next = *(void **)last;
        api_free(last);
    }
    api_free(block);
}

int main(void)
{
    static const unsigned refuse[] = {0, REFUSE_MADVISE, REFUSE_MADVISE | REFUSE_MUNMAP,
                                      REFUSE_ALL};
    alarm_guard(alarm_seconds);
    for (int i = 0; i < 4; i++) {
        frees_preserve_errno(refuse[i], false);
        frees_preserve_errno(refuse[i], true);
    }
    refusals_are_not_asked_for();
    failures_set_enomem();
    frees_preserve_errno(0, false);
    puts("errno is as the standards say");
    return 0;
}
