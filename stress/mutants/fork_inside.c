/* SPDX-License-Identifier: MIT */
/*
 * Trap 7: fork from a signal handler that interrupted the allocator, while another thread is
 * stopped before each (stride-th) instruction of its calls, perhaps in the middle of a change under
 * a lock. The fork cannot wait for it: in the child, where the other thread is gone, what it was
 * changing must be whole again. Stands for: crash reporters that fork. Modes, by what the other one
 * does:
 *
 *   pools  a thread without a heap makes and frees blocks: the cold heap, floating pools
 *   spans  large blocks and units: the lists of arenas
 *
 * Each fork is that of a new thread, which frees other threads' blocks, until the free that brings
 * it a heap; there it is stopped at the first moment at which it holds a lock. Nothing in that call
 * needs a lock that the other may hold, so that the parent can go on, too. The moment is found by
 * asking for a user heap in copies of the process: the allocator ends that which holds a lock; at
 * each step, from that on at which the first such thread had one. To be run with a long
 * purge_delay_ms. Usage: fork_inside MODE [stride]
 */
#include "check.h"
#include "common.h"
#include "names.h"
#include "step.h"

#include <poolmalloc/heap.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    block_size = 20000, /* a pool has few of them */
    blocks = 24,        /* of more than a pool; fewer calls than bring a heap */
    first_blocks = 14,
    few_frees = 6,
    use_blocks = 200,
    frees = 33, /* slow calls until a thread has a heap */
    foreign_size = 64,
    large = 5 << 20,
    medium = 300000,
    child_seconds = 3,
    alarm_seconds = 100,
    skip_status = 77,
};

static sem_t stopped, forked;
static bool ended;
static size_t stride, fork_at;
static int child_status;
static bool in_child;
static void (*body)(void *);

/* Memory that somebody else has would change. */
static void use_heap(size_t size, int count)
{
    char *held[use_blocks];
    for (int i = 0; i < count; i++) {
        held[i] = api_malloc(size);
        CHECK(held[i], "no %zu bytes", size);
        memset(held[i], i, size);
    }
    for (int i = 0; i < count; i++) {
        CHECK(held[i][0] == (char)i && memcmp(held[i], held[i] + 1, size - 1) == 0,
              "block %d changed", i);
        api_free(held[i]);
    }
}

static void use_all_sizes(void)
{
    use_heap(200, use_blocks);
    use_heap(block_size, blocks);
    use_heap(medium, 8);
    use_heap(700, use_blocks);
}

/* A thread of few calls: the cold heap serves it. */
static void *use_cold_heap(void *argument)
{
    char *held[blocks];
    for (int i = 0; i < blocks; i++) {
        held[i] = api_malloc(block_size);
        CHECK(held[i], "no %d bytes", block_size);
        memset(held[i], i, block_size);
    }
    for (int i = 0; i < blocks; i++) {
        CHECK(memcmp(held[i], held[i] + 1, block_size - 1) == 0, "cold block %d changed", i);
        api_free(held[i]);
    }
    return argument;
}

static void in_thread(void *(*run)(void *))
{
    pthread_t thread;
    int code = pthread_create(&thread, NULL, run, NULL);
    CHECK(code == 0, "pthread_create returned %d", code);
    pthread_join(thread, NULL);
}

static char *held_by_other[blocks];
static int made_by_other, freed_by_other;

/* What the thread that is gone made, but for what it was just freeing. */
static void free_others_blocks(void)
{
    for (int i = freed_by_other + 1; i < made_by_other; i++)
        api_free(held_by_other[i]);
}

/* After the interrupted call has gone on to its end. */
static _Noreturn void live_as_child(void)
{
    in_thread(use_cold_heap);
    free_others_blocks();
    use_all_sizes();
    pm_purge();
    CHECK(pm_check(), "the structures are not sound in the child");
    in_thread(use_cold_heap);
    _exit(0);
}

/* ---- the thread that forks ---- */

static char *foreign[frees]; /* of the main thread's current pool */

static void make_foreign(void)
{
    for (int i = 0; i < frees; i++) {
        foreign[i] = api_malloc(foreign_size);
        CHECK(foreign[i], "no %d bytes", foreign_size);
    }
}

static void free_last(void *argument)
{
    (void)argument;
    api_free(foreign[frees - 1]);
}

static bool asking_ends_a_child(void)
{
    int status = 0;
    pid_t child = (pid_t)syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L);
    CHECK(child >= 0, "no child");
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        close(STDERR_FILENO);
        alarm(child_seconds);
        pm_heap_new(0); /* by the registry lock, which a thread has that gets its heap */
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child, "no child");
    CHECK(status == 0 || WTERMSIG(status) == SIGABRT, "status %#x", (unsigned)status);
    return status != 0;
}

static bool find_lock(size_t number, void *argument)
{
    (void)argument;
    if (!asking_ends_a_child())
        return true;
    fork_at = number;
    return false;
}

static bool fork_here(size_t number, void *argument)
{
    (void)argument;
    if (number < fork_at || !asking_ends_a_child()) /* it may come later than it did */
        return true;
    pid_t child = fork();
    CHECK(child >= 0, "fork");
    in_child = child == 0;
    if (in_child)
        alarm(child_seconds);
    else
        CHECK(waitpid(child, &child_status, 0) == child, "no child");
    return false;
}

/* Each free is a slow call; with the last the thread gets its heap. */
static void *fork_or_find(void *argument)
{
    bool (*at_step)(size_t, void *) = fork_at == 0 ? find_lock : fork_here;
    for (int i = 0; i < frees - 1; i++)
        api_free(foreign[i]);
    step_through(free_last, at_step, NULL);
    if (in_child)
        live_as_child();
    return argument;
}

static void fork_inside(void)
{
    child_status = -1;
    in_thread(fork_or_find);
    CHECK(child_status == 0, "the child hangs or fails: status %#x", (unsigned)child_status);
    make_foreign();
}

/* ---- the other thread ---- */

static bool fork_meanwhile(size_t number, void *argument)
{
    (void)argument;
    if (number % stride != 0)
        return true;
    sem_post(&stopped);
    while (sem_wait(&forked) != 0)
        continue;
    return true;
}

/* Fewer calls than bring it a heap, which would need the lock that the forking thread has. */
static void change_pools(void *argument)
{
    (void)argument;
    for (; made_by_other < blocks; made_by_other++)
        held_by_other[made_by_other] = api_malloc(block_size);
    for (; freed_by_other < few_frees; freed_by_other++)
        api_free(held_by_other[freed_by_other]);
}

static void change_spans(void *argument)
{
    (void)argument;
    char *some = api_malloc(medium), *whole = api_malloc(large);
    CHECK(some && whole, "no blocks");
    some[0] = whole[0] = 1;
    api_free(some);
    api_free(whole);
}

static void *be_stopped(void *argument)
{
    for (; body == change_pools && made_by_other < first_blocks; made_by_other++)
        held_by_other[made_by_other] = api_malloc(block_size);
    size_t steps = step_through(body, fork_meanwhile, NULL);
    ended = true;
    sem_post(&stopped);
    for (; body == change_pools && freed_by_other < blocks; freed_by_other++)
        api_free(held_by_other[freed_by_other]);
    CHECK(steps > 500, "only %zu instructions", steps);
    return argument;
}

int main(int count, char **arguments)
{
    const char *mode = count > 1 ? arguments[1] : "pools";
    unsigned forks = 0;
    pthread_t thread;
    stride = parse_number("the stride", count > 2 ? arguments[2] : "11");
    if (!step_supported()) {
        puts("no thread can be stepped here");
        return skip_status;
    }
    alarm_guard(alarm_seconds);
    body = strcmp(mode, "spans") == 0 ? change_spans : change_pools;
    use_all_sizes();
    make_foreign();
    in_thread(fork_or_find);
    make_foreign();
    CHECK(fork_at > 0, "no lock was held at any moment");
    CHECK(pthread_create(&thread, NULL, be_stopped, NULL) == 0, "pthread_create");
    for (;; forks++) {
        while (sem_wait(&stopped) != 0)
            continue;
        if (ended)
            break;
        fork_inside();
        sem_post(&forked);
    }
    pthread_join(thread, NULL);
    CHECK(pm_check(), "the structures are not sound");
    printf("%u forks inside the allocator\n", forks);
    return 0;
}
