/* SPDX-License-Identifier: MIT */
/*
 * Thread heaps: each thread's cache of pools. A pool belongs to a heap only while the heap can
 * allocate from it: it is the current one of its class, or parked behind it. A full pool floats.
 *
 * A thread starts with the sentinel heap `pm_heap_none`, whose pools are all empty, so that the
 * fast paths need no test for a missing heap. Its first slow calls are served by the one shared,
 * locked cold heap: many threads allocate a few blocks and sleep. Then it gets a heap of its own;
 * but for the first heap, the cold one serves the first few blocks of each class even then.
 * When the thread exits, its heap dissolves and the thread gets the sentinel `pm_heap_dead`: from
 * then on the cold heap serves it again, and nothing is initialised any more.
 *
 *   sentinel         of a thread that       its slow calls
 *   pm_heap_none     has no heap yet        are counted; the cold heap serves them
 *   pm_heap_making   is getting its heap    the cold heap serves them (signal handlers, the C
 *                                           library below us)
 *   pm_heap_dead     ends, or cannot have   the cold heap serves them
 *   pm_heap_watched  is watched             a service of the tools layer serves them (watch.h)
 */
#ifndef PM_HEAP_HEAP_H
#define PM_HEAP_HEAP_H

#include "pool/pool.h"

/* Blocks of one pool of another owner, freed by this thread and not yet pushed. With count and
 * limit 0 the slot only remembers the pool: the second free in a row starts a batch. */
struct pm_batch {
    struct pm_remote *remote;
    void *head, *tail;
    uint32_t count, limit;
    struct pm_place_of at;
} __attribute__((aligned(PM_LINE_BYTES)));

struct pm_heap {
    /* The fast paths: the current pool by size in granules, and by class. */
    struct pm_pool *direct[PM_DIRECT_SLOTS];
    struct pm_pool *current[PM_CLASSES];
    struct pm_batch batch[PM_BATCH_SLOTS];
    bool real;            /* not a sentinel: one thread's own */
    uint32_t batch_slots; /* a bit for each slot that has a batch */
    /* The slow paths. */
    struct pm_link parked[PM_CLASSES];
    uint64_t used_classes[2];          /* that ever had a current or parked pool */
    uint64_t parked_classes[2];        /* that have parked pools */
    uint32_t parked_units[PM_CLASSES]; /* of all parked pools of the class */
    unsigned poll_class;               /* whose parked pools are looked at next */
    /* What nobody uses: any thread may take it (see kept.c). */
    _Atomic uint64_t kept[PM_KEPT_SLOTS];       /* empty pools */
    _Atomic uint64_t stash;                     /* units of one group, not yet cut */
    _Atomic uint64_t kept_bytes;                /* in `kept` */
    _Atomic uint64_t spans[PM_KEPT_SPANS];      /* large blocks (see kept_spans.c) */
    _Atomic uint32_t span_units[PM_KEPT_SPANS]; /* the owner's: what the slot is for; 0: nothing */
    _Atomic uint32_t span_since[PM_KEPT_SPANS]; /* the owner's: when it was filled, in ticks */
    uint32_t span_ticks, span_fills;            /* the time, not long ago; how often filled */
    unsigned span_last, span_next;              /* slot that was used last, that changes next */
    size_t span_given, span_missed; /* units of the large block given back last; missed last */
    const void *grown;              /* the block that realloc moved last for growth, or made */
    void *early[PM_EARLY_SPANS];    /* large blocks of early growth (see early.c), or what was */
    unsigned early_next;
    unsigned kept_last;        /* slot that was filled last */
    unsigned slow_calls;       /* since the start; for looking at the clock */
    uint8_t asked[PM_CLASSES]; /* blocks of the class that the cold heap served */
    unsigned gc_pause; /* so many times no gc pool is looked for: memory was outside the window */
    /* Statistics: written by the owner, read by anybody. */
    _Atomic uint64_t mallocs, frees, remote_frees, remote_batches, refills, adopted;
    _Atomic uint64_t refills_seen; /* by whoever purged by deadline last */
    /* Under the registry lock, but that anybody may follow `next`. */
    struct pm_heap *next, *next_free, *next_of_thread;
    uintptr_t thread;           /* where the owner's thread-local storage lies */
    _Atomic uint32_t thread_id; /* the system's; written with `in_use`, read by anybody */
    _Atomic bool in_use;        /* the same */
    /* See sample.h; counted down also while nothing is sampled. */
    uint64_t sample_epoch;
    unsigned gc_asked;          /* bytes of the gc block that was asked for last in a slow path */
    uint32_t until[PM_CLASSES]; /* how many allocations of the class, and the last is sampled */
    void *traced; /* the owner's: what the tools layer knows of the thread; stays with the heap */
} __attribute__((aligned(PM_ROUTE_ALIGN)));

extern __thread struct pm_heap *pm_heap_self PM_HIDDEN __attribute__((tls_model("initial-exec")));
extern struct pm_heap pm_heap_none PM_HIDDEN;
extern struct pm_heap pm_heap_making PM_HIDDEN;
extern struct pm_heap pm_heap_dead PM_HIDDEN;
extern struct pm_heap pm_heap_watched PM_HIDDEN;
extern struct pm_pool pm_pool_none PM_HIDDEN;

/* NULL with errno ENOMEM: out of memory. Blocks are aligned to the granule. */
void *pm_thread_malloc_slow(size_t n);
void *pm_thread_malloc_large(size_t n); /* any size */
void *pm_thread_malloc_aligned(size_t n, size_t align);
void *pm_thread_calloc_medium(size_t n); /* any size */
/* For what grows and had to move from ptr: a large block has room to grow in place if there is any;
 * and who grew just before gets one early. */
void *pm_thread_malloc_to_grow(const void *ptr, size_t n);

/* A block of a gc pool, 1..PM_SMALL_MAX bytes, when the current pool of the class has none to pop.
 * NULL: there is none now, for whatever reason; another kind of block may be had. */
void *pm_thread_gc_slow(size_t n);

/* `function` is the name that an error report shows. */
void pm_thread_free_elsewhere(void *ptr, const char *function); /* outside the first window */
/* In the first window, of a unit that is not the calling thread's. */
void pm_thread_free_remote(void *ptr, size_t unit, const char *function);
/* The pool has counted down to 0 with `last`, which leads on to its list and becomes the first of
 * it here. */
void pm_heap_pool_emptied(void *last, struct pm_pool *pool);

/* The calling thread's heap, for a slow call; it is made if it is time for it. NULL: the cold heap
 * serves the thread. */
struct pm_heap *pm_heap_get(void);
/* The same for a call that does without: not in a signal handler that interrupted the thread where
 * it has a lock. */
void pm_heap_get_in_passing(void);

/* Bytes that the block at ptr holds; ptr is a live block or the error is named. */
size_t pm_heap_usable(const void *ptr, const char *function);
/* Where any address lies: in no memory of ours; in no block; or in a block, or where one of its
 * pool may be, with the start and bytes of that. */
enum pm_heap_where { PM_HEAP_FOREIGN, PM_HEAP_NO_BLOCK, PM_HEAP_BLOCK };
enum pm_heap_where pm_heap_block_at(const void *ptr, char **start, size_t *bytes);
/* Whether ptr lies in a live block of a pool of a small class, at its start or not. False also when
 * it lies in no memory of ours. */
bool pm_heap_in_small_pool(const void *ptr);
/* Whether ptr lies in a gc pool; in a live block if in any, and a live block stays where it is. */
bool pm_heap_in_gc_pool(const void *ptr);
/* The same of a block in a pool of a thread, or in one that floats; 0: whatever ptr is, it is none,
 * or it is for a slower way to find out. The calling thread is not watched. */
size_t pm_heap_pooled_bytes(const void *ptr);
/* Changes the size in place if it makes sense. */
bool pm_heap_resize(void *ptr, size_t n, const char *function);

/* The same, and true whenever the block holds n bytes in the end. */
bool pm_heap_expand(void *ptr, size_t n, const char *function);

/* Many blocks of one size: how many there were before memory was out (with errno ENOMEM). */
size_t pm_thread_malloc_batch(size_t n, size_t count, void **blocks);
/* Frees all; NULLs among them do nothing. */
void pm_thread_free_batch(void *const *blocks, size_t count, const char *function);

/* Bytes that a block for n holds; 0: there is none so large. */
size_t pm_heap_good_size(size_t n);

/* Moves a large block to one of another size without copying. NULL: it cannot. */
void *pm_heap_move_large(void *ptr, size_t n, const char *function);

/* The calling thread's heap lets go of all that it holds. True: it held something. */
bool pm_heap_idle(void);
/* The same, of the cold heap too, and all that any heap, user heaps included, keeps without using
 * it. */
void pm_heap_trim(void);

/* A block in use, as a walk finds it. */
struct pm_live_block {
    void *block;
    size_t bytes;              /* as pm_heap_usable says */
    bool large;                /* in no pool */
    bool mine;                 /* in a pool that the calling thread's heap owns */
    uint64_t thread;           /* whose heap owns the pool; 0: nobody's */
    struct pm_user_heap *user; /* the heap that it is of, or NULL */
};
/* Calls visit for each live block, or for those in pools that the calling thread owns, until it
 * returns false; the result is visit's last. See look.c for what is seen while others are at work.
 * No lock is held while visit runs: it may allocate, free and walk. */
bool pm_heap_walk_blocks(bool mine_only, bool (*visit)(const struct pm_live_block *, void *),
                         void *arg);

struct pm_heap_stats {
    uint64_t mallocs, frees, remote_frees, remote_batches, refills, adopted;
    uint64_t heaps, heaps_in_use, kept_bytes, stash_bytes;
    uint64_t kept_span_bytes, kept_span_held_bytes; /* of large blocks, and what they hold */
    uint64_t shell_bytes, user_heaps;
    uint64_t guest_blocks, guest_bytes; /* see guests.h; live */
    uint64_t lock_acquisitions, lock_contended;
};
void pm_heap_stats(struct pm_heap_stats *stats);
/* The same, but what happened in pools since their owners' last slow path is not counted, not even
 * the caller's. Takes no lock: also from a signal handler, or inside the allocator. */
void pm_heap_stats_brief(struct pm_heap_stats *stats);

/* A heap as others see it. */
struct pm_heap_view {
    uint64_t owner;     /* as in struct pm_pool_view */
    bool is_threads;    /* false: of the cold heap */
    uint32_t thread_id; /* 0: not known, or none's any more */
    uint64_t kept_bytes, stash_bytes;
    uint64_t mallocs, frees, remote_frees; /* counted so far, as above */
    struct {
        uint8_t class, blocks;
    } batched[PM_BATCH_SLOTS]; /* freed by it and not pushed yet; `class` means nothing without */
};
/* Calls back for each heap in use, and for the cold ones. Takes no lock. */
void pm_heap_each(void (*visit)(const struct pm_heap_view *view, void *arg), void *arg);

/* The calling thread's heap; prints the first violation and returns false. */
bool pm_heap_check(void);

/* Who wants to be called by some slow path once the time has come: the watch sets the next time,
 * which is UINT64_MAX at first. It may be called by several threads at once, by any slow path, also
 * under the cold lock: it must neither allocate nor take a lock but the arena lock. Once, at start.
 */
extern _Atomic uint64_t pm_heap_watch_due_ns PM_HIDDEN;
void pm_heap_set_watch(void (*watch)(uint64_t now_ns));

/* Process start; idempotent. Called by the first slow path and by the library's constructor. */
bool pm_heap_process_init(void);

/* Fork handlers: see fork.c. */
void pm_heap_fork_prepare(void);
void pm_heap_fork_parent(void);
void pm_heap_fork_child(void);

#endif
