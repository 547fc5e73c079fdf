/* SPDX-License-Identifier: MIT */
/*
 * Debug hooks: CPython's layout around each block, after PyMem_SetupDebugHooks (PEP 445 and its
 * successors), and what is checked of it. S is sizeof(size_t).
 *
 *     start            p - 2S     p - S   p - S + 1     p          p + N     p + N + S
 *     | 0xFD ...       | size     | letter| 0xFD        | data     | 0xFD    | serial
 *       front - 2S       S          1       S - 1         N          S         S
 *
 * Size (N) and serial are big-endian. The front is 2S; of blocks that are aligned to more it is the
 * alignment, whose logarithm is then the first byte of the size field, else 0. New data reads 0xCD,
 * but for calloc. In a block that was freed all is 0xDD, but for size, serial and the letter, which
 * has FREED set: they are for the report. It stays in quarantine for a while: see quarantine.h.
 */
#ifndef PM_TOOLS_DEBUG_H
#define PM_TOOLS_DEBUG_H

#include "heap/watch.h"

#define PM_DEBUG_WORD sizeof(size_t)
#define PM_DEBUG_FRONT (2 * PM_DEBUG_WORD) /* at least */
#define PM_DEBUG_BACK (2 * PM_DEBUG_WORD)
#define PM_DEBUG_PADS (PM_DEBUG_WORD - 1) /* between letter and data */
/* So much of a wide front is guarded, at its end; and so much of large data is marked, at its
 * start: blocks of terabytes that nobody touches are memory that nobody has. */
#define PM_DEBUG_FRONT_MAX ((size_t)4 << 10)
#define PM_DEBUG_MARK_MAX ((size_t)1 << 20)

enum { PM_DEBUG_NEW = 0xCD, PM_DEBUG_DEAD = 0xDD, PM_DEBUG_GUARD = 0xFD, PM_DEBUG_FREED = 0x80 };

/* A block as its bytes say. */
struct pm_debug_block {
    char *data;
    char *start;       /* what the allocator below gave */
    size_t room_bytes; /* from start on; SIZE_MAX: not known */
    size_t bytes;      /* that were asked for */
    bool sound;        /* `bytes` fits the room, so that what lies behind the data can be read */
    bool freed;
    unsigned char letter; /* without PM_DEBUG_FREED */
    enum pm_maker maker;  /* PM_MAKERS: the letter is none */
};

/* Whom the hooks stand before. They are called while the thread is not watched. */
struct pm_debug_below {
    void *(*make)(const struct pm_request *request); /* NULL: out of memory */
    void (*give_back)(void *start);
    bool pools; /* an address tells where its block starts */
};
/* Once, at start; NULL: the pools. Blocks of user heaps are the pools' always. */
void pm_debug_init(const struct pm_debug_below *below);

extern const struct pm_watch pm_debug_watch;

/* A block of the pools, for who stands before them. NULL: out of memory. */
void *pm_debug_pools_make(const struct pm_request *request);

/* ---- for the files of the hooks, and the domains ---- */

unsigned char pm_debug_letter(enum pm_maker maker);
const char *pm_debug_maker_name(enum pm_maker maker);
uint64_t pm_debug_serial(const struct pm_debug_block *block);
/* What its header says of the block whose data that is, in the room. */
struct pm_debug_block pm_debug_read(char *data, char *start, size_t room_bytes);
/* As the watch's functions, for a family that the request or the last argument names. */
void *pm_debug_make(const struct pm_request *request);
void pm_debug_give_back(void *ptr, const struct pm_return *how);
void *pm_debug_resize(void *ptr, size_t bytes, enum pm_maker maker, const char *function);
/* To the allocator below, without a look. */
void pm_debug_release(const struct pm_debug_block *block);
/* The block whose data that is and which was freed; that it was written to since is a named error.
 */
struct pm_debug_block pm_debug_check_dead(char *data);

#endif
