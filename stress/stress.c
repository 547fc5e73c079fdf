/* SPDX-License-Identifier: MIT */
/*
 * Multi-threaded stress of the whole allocator against the shadow model (shadow.h).
 *
 * Stands for: servers whose threads allocate for themselves (same), hand work to the next stage of
 * a pipeline (cross) or to whoever is free (all-to-all), and replace their threads, one after
 * another (churn) or many at once, each started by a thread that starts others too (births); mixed
 * changes between these as it goes. In ring, tree and mesh a block is a message that is read,
 * answered, made larger and passed on several times before somebody frees it. calls does what no
 * program does: every entry point, borders of every kind, requests that cannot be met. Source: the
 * cases of section 4 of the design (pools owned, floating, adopted, retired) need just these flows
 * of blocks.
 *
 * Every thread's sequence of calls follows from the seed; a run is bounded by calls, not by time.
 * Usage: stress [--seed N] [--threads N] [--ops N] [--mode M] [--live-mib N] [--largest-kib N]
 */
#include "check.h"
#include "setup.h"

/* ThreadSanitizer takes a thread for ended before its last round of destructors, in which a heap
 * that was made in the one before would end. */
#if defined(__SANITIZE_THREAD__)
enum { exit_rounds_max = 2 };
#else
enum { exit_rounds_max = 3 };
#endif

static struct {
    uint64_t seed, threads, ops, mode, live_mib, largest_kib;
} options = {1, 4, 200000, 0, 64, 8192};

struct mode {
    enum transfer transfer;
    unsigned most_hops;
    enum caller_style style;
    uint64_t lives;   /* threads that follow each other in one place */
    uint64_t tenders; /* threads that start them */
};

static const char *const mode_names[] = {"mixed", "same", "cross", "all-to-all", "churn", "births",
                                         "ring",  "tree", "mesh",  "calls",      NULL};
static const struct mode modes[] = {
    {transfer_varying, 0, style_usual, 10, 1}, {transfer_none, 0, style_usual, 1, 1},
    {transfer_next, 0, style_usual, 1, 1},     {transfer_any, 0, style_usual, 1, 1},
    {transfer_any, 0, style_usual, 100, 1},    {transfer_any, 3, style_usual, 100, 4},
    {transfer_next, 12, style_usual, 1, 1},    {transfer_tree, 12, style_usual, 1, 1},
    {transfer_any, 12, style_usual, 1, 1},     {transfer_any, 2, style_every, 1, 1},
};

struct life {
    struct worker *worker;
    pthread_t thread;
    uint64_t number;
    uint64_t steps;
};

/* Places that one thread keeps filled. */
struct garden {
    struct life *lives;
    size_t count;
    uint64_t generations;
    uint64_t steps;
    struct worker *workers;
    pthread_t tender;
};

static pthread_key_t exit_key;

/* Runs as the thread exits, after or before the allocator's own destructor: half of what is left
 * goes, the key is set once more, and in the next round the rest goes. Allocating here is allowed.
 */
static void free_at_exit(void *argument)
{
    struct worker *worker = argument;
    worker_make_and_free(worker);
    if (worker->exit_rounds-- > 0) {
        worker_release(worker, worker->block_count / 2);
        pthread_setspecific(exit_key, worker);
        return;
    }
    worker_release(worker, worker->block_count);
}

static void *live(void *argument)
{
    struct life *life = argument;
    struct worker *worker = life->worker;
    pthread_setspecific(exit_key, worker);
    worker_begin(worker, options.seed, life->number);
    for (uint64_t step = 0; step < life->steps; step++)
        worker_step(worker);
    worker_end(worker);
    worker->exit_rounds = (int)(life->number % exit_rounds_max);
    /* three ways to leave: blocks outlive the thread, are freed before its end, or by destructors
     */
    if (life->number % 2)
        worker_bequeath(worker);
    else if (worker->exit_rounds == 0)
        worker_release(worker, worker->block_count);
    return NULL;
}

static void *tend(void *argument)
{
    struct garden *garden = argument;
    for (uint64_t number = 0; number < garden->generations; number++) {
        for (size_t i = 0; i < garden->count; i++) {
            struct life *life = &garden->lives[i];
            if (number > 0)
                setup_join(life->thread);
            *life = (struct life){
                .worker = &garden->workers[i], .number = number, .steps = garden->steps};
            life->thread = setup_start(live, life);
        }
    }
    for (size_t i = 0; i < garden->count; i++)
        setup_join(garden->lives[i].thread);
    return NULL;
}

static void run(const struct mode *mode, struct shared *shared)
{
    size_t bytes = options.threads * sizeof(struct life);
    struct life *lives = system_pages(bytes);
    struct garden gardens[8];
    size_t tenders = mode->tenders < options.threads ? mode->tenders : options.threads;
    size_t first = 0;
    for (size_t i = 0; i < tenders; i++) {
        size_t end = options.threads * (i + 1) / tenders;
        gardens[i] = (struct garden){.lives = lives + first,
                                     .workers = shared->workers + first,
                                     .count = end - first,
                                     .generations = mode->lives,
                                     .steps = options.ops / options.threads / mode->lives + 1};
        first = end;
        if (tenders > 1)
            gardens[i].tender = setup_start(tend, &gardens[i]);
        else
            tend(&gardens[i]);
    }
    for (size_t i = 0; i < tenders && tenders > 1; i++)
        setup_join(gardens[i].tender);
    system_pages_free(lives, bytes);
}

int main(int count, char **arguments)
{
    const struct option known[] = {
        {"seed", &options.seed, 0, UINT64_MAX, NULL},
        {"threads", &options.threads, 1, 1024, NULL},
        {"ops", &options.ops, 0, UINT64_MAX, NULL},
        {"mode", &options.mode, 0, 0, mode_names},
        {"live-mib", &options.live_mib, 1, 1 << 20, NULL},
        {"largest-kib", &options.largest_kib, 1024, 1 << 20, NULL},
        {NULL, NULL, 0, 0, NULL},
    };
    setup_options("stress", known, count, arguments);
    const struct mode *mode = &modes[options.mode];
    int code = pthread_key_create(&exit_key, free_at_exit);
    CHECK(code == 0, "pthread_key_create returned %d", code);

    struct shared shared = {.worker_count = options.threads,
                            .transfer = mode->transfer,
                            .most_hops = mode->most_hops,
                            .style = mode->style,
                            .live_limit_bytes = options.live_mib << 20,
                            .largest_bytes = options.largest_kib << 10};
    setup_workers(&shared, options.seed);
    run(mode, &shared);
    setup_finish("stress", &shared);
    return 0;
}
