/* SPDX-License-Identifier: MIT */
/*
 * Stacks by an unwinder that the system has: libunwind, or the one that exceptions use. Both may
 * hold locks of their own while they work, of which the child of a fork inherits the state. So a
 * fork waits until nobody is inside, and keeps others out; where that cannot be (a handler forks
 * that interrupted the unwinder), the child does without.
 */
#define _GNU_SOURCE
#include "base/atomic.h"
#include "base/report.h"
#include "tools/stack_internal.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <unwind.h>

#define WEAK __attribute__((weak, visibility("default")))
/* Looked up, all of it: linkers warn of static programs that refer to dlopen. */
extern __typeof__(dlsym) dlsym WEAK;

typedef _Unwind_Reason_Code walk_function(_Unwind_Trace_Fn visit, void *arg);
typedef _Unwind_Ptr address_function(struct _Unwind_Context *context);
typedef _Unwind_Word frame_function(struct _Unwind_Context *context);

static struct {
    int (*backtrace)(void **frames, int most); /* of libunwind */
    walk_function *walk;                       /* of libgcc; NULL: it is not there */
    address_function *address;
    frame_function *frame;
} unwinder; /* written before `state` says that there is one */

/* Acquire and release: READY publishes `unwinder`. */
enum { NOT_LOADED, LOADING, READY, NONE };
static _Atomic uint32_t state;

/* Threads inside the unwinder; CLOSED: a fork is under way. Acquire and release: what is done
 * inside comes before the fork that finds nobody there. */
#define CLOSED (1u << 31)
static _Atomic uint32_t inside;

static __thread unsigned depth __attribute__((tls_model("initial-exec")));

/* ---- fork ---- */

enum { FORK_TRIES = 10000 };

static void before_fork(void)
{
    atomic_fetch_or_explicit(&inside, CLOSED, memory_order_acquire);
    for (unsigned i = 0; i < FORK_TRIES && pm_load_acquire(&inside) != CLOSED; i++)
        sched_yield();
}

static void after_fork(void)
{
    atomic_fetch_and_explicit(&inside, ~CLOSED, memory_order_release);
}

/* The threads that were inside are not here; unless the forking thread was, nobody is. */
static void in_child(void)
{
    if (pm_load_relaxed(&inside) != CLOSED)
        pm_store_relaxed(&state, NONE);
    pm_store_release(&inside, depth);
}

/* ---- loading ---- */

static bool find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof found);
    return found != NULL;
}

static bool find_walk(void *library)
{
    bool found = find(library, "_Unwind_GetIP", &unwinder.address) &&
                 find(library, "_Unwind_GetCFA", &unwinder.frame) &&
                 find(library, "_Unwind_Backtrace", &unwinder.walk);
    if (!found)
        unwinder.walk = NULL;
    return found;
}

/* The shared library's constructors run before the C library's. glibc would start itself when it
 * loads something then, and knows no arguments yet: neither the program nor what is loaded later
 * would get them. So what the program has already must do; `poolmalloc run` sees to that. */
static bool may_load(void)
{
    return program_invocation_short_name == NULL || program_invocation_short_name[0] != 0;
}

static bool load(void)
{
    void *(*open)(const char *name, int mode);
    if (dlsym == NULL)
        return false;
    if (!may_load() || !find(RTLD_DEFAULT, "dlopen", &open))
        return find_walk(RTLD_DEFAULT);
    /* At a thread's exit it takes a lock after ThreadSanitizer's part, which cannot bear that. */
    void *library = PM_TSAN ? NULL : open("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
    bool first = library != NULL && find(library, "unw_backtrace", &unwinder.backtrace);
    library = open("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL);
    bool second = library != NULL && find_walk(library);
    return first || second;
}

/* Both allocate, or ask the loader, when they are called for the first time. */
static void warm_up(void)
{
    uintptr_t frames[4];
    struct pm_stack_chain chain;
    pm_stack_by_unwinder(frames, 4);
    pm_stack_chain_by_unwinder(frames, 4, &chain);
}

void pm_stack_start(void)
{
    uint32_t expected = NOT_LOADED;
    if (!atomic_compare_exchange_strong_explicit(&state, &expected, LOADING, memory_order_acquire,
                                                 memory_order_acquire))
        return;
    bool loaded = load() && pthread_atfork(before_fork, after_fork, in_child) == 0;
    pm_store_release(&state, loaded ? READY : may_load() ? NONE : NOT_LOADED);
    if (loaded)
        warm_up();
}

bool pm_stack_has_unwinder(void)
{
    return pm_load_acquire(&state) == READY;
}

/* ---- taking ---- */

/* Where the return address stands that leads to what the context is of: on x86-64 the call pushed
 * it, right below where the caller's frame ends. A signal's frame has none. */
PM_ACROSS_FRAMES static uintptr_t *place_of(struct _Unwind_Context *context, uintptr_t address)
{
#if defined(__x86_64__)
    uintptr_t *place = (uintptr_t *)(unwinder.frame(context) - sizeof(uintptr_t));
    return *place == address ? place : NULL;
#else
    (void)context, (void)address;
    return NULL;
#endif
}

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *arg)
{
    struct pm_stack_walk *walk = arg;
    uintptr_t address = unwinder.address(context);
    if (address < PM_LEAST_ADDRESS || walk->count == walk->most)
        return _URC_END_OF_STACK;
    pm_stack_add(walk, address);
    if (walk->chain != NULL)
        pm_stack_link(walk, place_of(context, address));
    return walk->count == walk->most ? _URC_END_OF_STACK : _URC_NO_REASON;
}

/* Those inside this library come first, and are not many. */
static void take_by_libunwind(struct pm_stack_walk *walk)
{
    void *all[PM_STACK_FRAMES_MAX + PM_STACK_OWN_MAX];
    int count = unwinder.backtrace(all, (int)walk->most + PM_STACK_OWN_MAX);
    for (int i = 0; i < count && walk->count < walk->most; i++) {
        if ((uintptr_t)all[i] >= PM_LEAST_ADDRESS)
            pm_stack_add(walk, (uintptr_t)all[i]);
    }
}

/* True: until leave() no fork takes place. Not for a handler that interrupted the unwinder. */
static bool enter(void)
{
    if (depth != 0)
        return false;
    depth = 1;
    if ((atomic_fetch_add_explicit(&inside, 1, memory_order_acquire) & CLOSED) == 0)
        return true;
    atomic_fetch_sub_explicit(&inside, 1, memory_order_release);
    depth = 0;
    return false;
}

static void leave(void)
{
    atomic_fetch_sub_explicit(&inside, 1, memory_order_release);
    depth = 0;
}

/* `seldom`: rather by libgcc's. */
static unsigned take(struct pm_stack_walk walk, bool seldom)
{
    int saved_errno = errno;
    if (walk.most > PM_STACK_FRAMES_MAX)
        walk.most = PM_STACK_FRAMES_MAX;
    if (!pm_stack_has_unwinder() || !enter())
        return 0;
    if (unwinder.walk != NULL && (seldom || walk.chain != NULL || unwinder.backtrace == NULL))
        unwinder.walk(visit, &walk);
    else
        take_by_libunwind(&walk);
    leave();
    errno = saved_errno;
    return walk.count;
}

PM_NOINLINE unsigned pm_stack_by_unwinder(uintptr_t *frames, unsigned most)
{
    return take((struct pm_stack_walk){frames, 0, most, NULL}, false);
}

PM_NOINLINE unsigned pm_stack_take_seldom(uintptr_t *frames, unsigned most)
{
    unsigned count = take((struct pm_stack_walk){frames, 0, most, NULL}, true);
    return count != 0 ? count : pm_stack_by_frames(frames, most);
}

PM_NOINLINE unsigned pm_stack_chain_by_unwinder(uintptr_t *frames, unsigned most,
                                                struct pm_stack_chain *chain)
{
    chain->count = 0;
    chain->whole = pm_load_acquire(&state) == READY && unwinder.walk != NULL;
    return take((struct pm_stack_walk){frames, 0, most, chain}, false);
}
