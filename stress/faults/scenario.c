/* SPDX-License-Identifier: MIT */
/*
 * The threads of the fault sweep (run.h): three that allocate, of which one starts short-lived
 * threads that end with live blocks (and go on in a destructor), and one forks in the middle; and
 * one that only frees what the others leave in the mailboxes. How they interleave is left to the
 * system; bounded by steps.
 */
#include "check.h"
#include "run.h"

#include "poolmalloc/poolmalloc.h"

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

enum { visitor_steps = 12, visits = 3, child_steps = 40, left_at_exit = 20, streams = 16 };

struct mailbox mailboxes[run_threads];

struct member {
    const struct run *run;
    struct actor actor;
    uint64_t stream, refusals_at_most;
    pthread_t thread;
};

void check_stats_sane(void)
{
    struct pm_stats s;
    pm_stats_get(&s);
    uint64_t total = s.arenas * s.arena_bytes;
    CHECK(s.arenas_in_use <= s.arenas && s.heaps_in_use <= s.heaps, "more in use than there is");
    CHECK(s.free_bytes <= total && s.dirty_bytes <= s.free_bytes && s.span_bytes <= total,
          "free %llu, dirty %llu, in spans %llu of %llu bytes", (unsigned long long)s.free_bytes,
          (unsigned long long)s.dirty_bytes, (unsigned long long)s.span_bytes,
          (unsigned long long)total);
    /* read at another time than the rest; below zero it would be huge */
    CHECK(s.kept_bytes <= s.bytes_reserved, "%llu bytes kept", (unsigned long long)s.kept_bytes);
}

static void start(struct member *member, void *(*body)(void *))
{
    int code = pthread_create(&member->thread, NULL, body, member);
    CHECK(code == 0, "pthread_create returned %d", code);
}

/* What the thread left behind is freed by the caller. */
static uint64_t finish(struct member *member)
{
    int code = pthread_join(member->thread, NULL);
    CHECK(code == 0, "pthread_join returned %d", code);
    actor_release(&member->actor, 0);
    return member->actor.refused;
}

static pthread_key_t after_key;

/* Runs after the allocator's own destructor, whose key is older: the thread has no heap any more,
 * and gets none. */
static void live_on_after_the_heap(void *argument)
{
    struct member *member = argument;
    for (int i = 0; i < visitor_steps; i++)
        actor_step(&member->actor);
}

static void *visit(void *argument)
{
    struct member *member = argument;
    actor_begin(&member->actor, member->run->seed, member->stream);
    for (int i = 0; i < visitor_steps; i++)
        actor_step(&member->actor);
    CHECK(pthread_setspecific(after_key, member) == 0, "no thread-specific value");
    return NULL;
}

static void receive_visitor(struct member *host, uint64_t number)
{
    static struct member visitor; /* there is one host, and one visitor at a time */
    visitor.run = host->run;
    visitor.stream = host->stream + run_threads * (number + 1);
    start(&visitor, visit);
    host->actor.refused += finish(&visitor);
}

/* The child of a fork: the other threads are gone, the heap is to be used all the same. */
static void live_as_child(struct member *member)
{
    struct actor *actor = &member->actor;
    alarm(run_seconds);
    for (int i = 0; i < child_steps; i++)
        actor_step(actor);
    actor_release(actor, 0);
    CHECK(pm_check(), "in the child of a fork");
    CHECK(actor->refused <= member->refusals_at_most, "the child of a fork was refused %llu times",
          (unsigned long long)actor->refused);
    _exit(0);
}

static void fork_once(struct member *member)
{
    pid_t child = fork();
    CHECK(child >= 0, "fork failed");
    if (child == 0)
        live_as_child(member);
    int status = 0;
    pid_t ended = waitpid(child, &status, 0);
    CHECK(ended == child && status == 0, "the child of a fork ended with status %#x",
          (unsigned)status);
}

static void *make(void *argument)
{
    struct member *member = argument;
    unsigned steps = member->run->steps, visit_every = steps / (visits + 1);
    actor_begin(&member->actor, member->run->seed, member->stream);
    for (unsigned i = 1; i <= steps; i++) {
        actor_step(&member->actor);
        if (member->stream % streams == 0 && i == steps / 2)
            fork_once(member);
        if (member->stream % streams == 1 && i % visit_every == 0 && i / visit_every <= visits)
            receive_visitor(member, i / visit_every);
        if (member->stream % streams == 2 && i == steps / 3)
            actor_make_far_aligned(&member->actor);
    }
    actor_release(&member->actor, left_at_exit);
    return NULL;
}

static void *only_free(void *argument)
{
    struct member *member = argument;
    actor_begin(&member->actor, member->run->seed, member->stream);
    for (unsigned i = 0; i < 4 * member->run->steps; i++) {
        if (!actor_free_mail(&member->actor, &mailboxes[i % run_threads]))
            sched_yield();
    }
    return NULL;
}

uint64_t scenario(const struct run *run, uint64_t life, uint64_t refusals_at_most)
{
    static struct member members[run_threads];
    uint64_t refused = 0;
    CHECK(pthread_key_create(&after_key, live_on_after_the_heap) == 0, "no thread-specific key");
    for (uint64_t i = 0; i < run_threads; i++) {
        members[i].run = run;
        members[i].stream = life * streams + i;
        members[i].refusals_at_most = refusals_at_most;
        start(&members[i], i < run_makers ? make : only_free);
    }
    for (int i = 0; i < run_threads; i++)
        refused += finish(&members[i]);
    for (int i = 0; i < run_threads; i++) {
        while (actor_free_mail(&members[0].actor, &mailboxes[i]))
            continue;
    }
    pthread_key_delete(after_key);
    shadow_check_empty();
    CHECK(refused <= refusals_at_most, "%llu allocations were refused",
          (unsigned long long)refused);
    return refused;
}
