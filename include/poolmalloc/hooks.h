/* SPDX-License-Identifier: MIT */
/*
 * Where poolmalloc's own memory comes from: functions of the program in the place of the system's,
 * to count, to fail on purpose, to lock pages, to back them by huge pages or shared memory.
 * docs/domains.md has examples.
 *
 * A hook runs inside the allocator, with locks of it held, in whichever thread needs memory or
 * gives it back, one that is just ending or in the child of a fork, too. Several may run at the
 * same time. It must not call this library, nor what does so (printf, say): an allocation that the
 * thread's own pools cannot serve at once gives NULL with errno ENOMEM, other calls may end the
 * program with a line that says why. It must return: neither longjmp nor an exception may leave it.
 * errno is preserved around it. Functions and context have to stay for good. A fork waits for hooks
 * that run in other threads, a second or so; so a lock of a hook's own is free in the child.
 */
#ifndef POOLMALLOC_HOOKS_H
#define POOLMALLOC_HOOKS_H

#include "poolmalloc/poolmalloc.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Page hooks. poolmalloc reserves address space in large pieces, commits as much as it uses, and
 * gives parts of it back when they are free. All starts and sizes are multiples of the system's
 * page; a range lies within one reservation. A function that is NULL is the system's, which
 * pm_get_page_hooks tells while no others are set, and which hooks may call.
 *
 *   reserve    Address space that nothing else uses, at a multiple of `alignment` (a power of two,
 *              at least a page), below 2^56. It need not be accessible, but must read as zero when
 *              it is committed for the first time. NULL: refused.
 *   commit     Makes a part of what was reserved usable. It reads as zero if it never was before,
 *              or was decommitted since; what is committed already is left as it is. False:
 *              refused, and the allocation that asked for it fails if nothing else serves.
 *   purge      The contents of a part that is committed are not needed any more. True: they read as
 *              zero from now on. False: they were left as they are. The system's is MADV_DONTNEED,
 *              which is right for private anonymous memory only; for other memory there must be a
 *              hook, which may refuse.
 *   decommit   A part that is committed is not needed; it is committed again before it is used.
 *              False: refused, nothing changed. The system's maps the range anew, without access,
 *              and is used where the system charges committed memory; a hook is used for all arenas
 *              that are given back whole.
 *   release    What `reserve` gave goes back: as a whole, with the same start and size. Only what
 *              could not be used comes back, at once; address space in use stays.
 */
struct pm_page_hooks {
    void *context;
    void *(*reserve)(void *context, size_t bytes, size_t alignment);
    bool (*commit)(void *context, void *start, size_t bytes);
    bool (*purge)(void *context, void *start, size_t bytes);
    bool (*decommit)(void *context, void *start, size_t bytes);
    void (*release)(void *context, void *start, size_t bytes);
};

/* The hooks in force, with the system's functions in the place of those that were NULL. Any thread.
 */
PM_API void pm_get_page_hooks(struct pm_page_hooks *hooks);

/*
 * Puts a copy of *hooks in charge of all that is reserved from now on; NULL, or the system's
 * functions: none. What was reserved before stays with the functions that reserved it. What of it
 * is free and committed serves on, and may be purged, or decommitted and committed again, by these;
 * but no part of it is committed for the first time while others are in force. So a program that
 * sets hooks first thing in main gets nearly all of its memory by them. (Those that are set before
 * the first allocator call, which start-up makes in most programs, are asked for the first window,
 * too: 64 GiB or more, and less as long as they refuse.) What hooks that are set later reserve lies
 * outside the first window: freeing a block there takes some instructions more.
 *
 * True: it is so for all threads. False, and nothing is changed: errno ENOMEM, 32 different ones
 * were set already (each is kept, but once); or EBUSY, the caller is a hook. Any thread, any time.
 */
PM_API bool pm_set_page_hooks(const struct pm_page_hooks *hooks);

/*
 * The arena hook of PEP 445 (PyObjectArenaAllocator of CPython): memory for arenas, of which pools
 * and large blocks are made. The functions get `context` first.
 *
 *   alloc   `size` bytes, readable and writable, at any address below 2^56, contents unknown; NULL:
 *           out of memory. The size is a multiple of an arena (2 MiB; 256 KiB in the classic
 *           configuration), and memory that starts at a multiple of an arena is used as it is.
 *           Other memory goes back at once, and an arena more is asked for, from then on, to be
 *           cut.
 *   free    What `alloc` gave goes back: same start, same size. All blocks in it are free, and its
 *           contents mean nothing.
 *
 * Nothing is asked of the system for this memory: no page of it is purged, protected or moved, nor
 * is advice given about it; calloc clears what it takes there.
 */
struct pm_arena_allocator {
    void *context;
    void *(*alloc)(void *context, size_t size);
    void (*free)(void *context, void *ptr, size_t size);
};

/* PyObject_GetArenaAllocator: the functions in force, which a hook may call in turn; those of the
 * system where none were set. Any thread, but not from a hook. */
PM_API void pm_get_arena_allocator(struct pm_arena_allocator *allocator);

/*
 * PyObject_SetArenaAllocator: puts a copy of *allocator in charge of new arenas; what
 * pm_get_arena_allocator gave at first ends that. Arenas that are there serve on, and while they
 * have room no new ones are asked for. Each goes back to the functions that it came from: when all
 * of its piece is free, and more of such memory than the option keep_bytes says; at latest by
 * pm_purge or malloc_trim. A piece is one arena at first; the more there are the more are asked for
 * at once (an eighth of all, or what a large block needs), and as few as are needed if that is
 * refused. At most 256 pieces are held at a time: beyond, memory is out. The tables for them, less
 * than a hundredth, are not the hook's: they come from the system or page hooks, and stay.
 *
 * Freeing a block there takes longer by a search among the pieces. True: it is so for all threads.
 * False, and nothing is changed: errno EINVAL, a function is NULL; EBUSY, the caller is a hook. Any
 * thread, any time.
 */
PM_API bool pm_set_arena_allocator(const struct pm_arena_allocator *allocator);

#ifdef __cplusplus
}
#endif

#endif
