/* SPDX-License-Identifier: MIT */
/*
 * Every constant of the allocator. The build may set those under #ifndef; the rest follows from
 * them. Read by all layers. Other files name these constants, they do not repeat their values.
 */
#ifndef PM_BASE_CONFIG_H
#define PM_BASE_CONFIG_H

#include <stddef.h>
#include <stdint.h>

/* Switches: always defined, 0 or 1. */
#ifndef PM_OVERRIDE
#define PM_OVERRIDE 0 /* export the C library's names too */
#endif
#ifndef PM_CHECK
#define PM_CHECK 0 /* assertions and every x_check() */
#endif
#ifndef PM_CLASSIC
#define PM_CLASSIC 0 /* pymalloc's classic geometry */
#endif
#ifndef PM_ASAN
#define PM_ASAN 0 /* tell AddressSanitizer of blocks */
#endif
#ifndef PM_TSAN
#define PM_TSAN 0
#endif
#ifndef PM_VALGRIND
#define PM_VALGRIND 0 /* tell valgrind's tools of blocks */
#endif
#define PM_WATCHED (PM_ASAN || PM_VALGRIND) /* somebody is told of each block and its size */
#ifndef PM_COUNT
#define PM_COUNT 0 /* events that the benchmarks report are counted */
#endif
#ifndef PM_SCHEDULE
#define PM_SCHEDULE 0 /* the schedule fuzzer: accesses to shared fields are points */
#endif
#ifndef PM_PROBES
#define PM_PROBES 0 /* static probes, see base/probe.h */
#endif
#ifndef PM_OS_FAULT
#define PM_OS_FAULT 0 /* the os layer is the fault-injecting double */
#endif

/* Geometry. A unit is the grain of arenas and address tables. */
#ifndef PM_UNIT_SHIFT
#define PM_UNIT_SHIFT (PM_CLASSIC ? 12 : 15)
#endif
#define PM_UNIT_BYTES ((size_t)1 << PM_UNIT_SHIFT)
#define PM_ARENA_UNITS 64 /* one bit of a word each */
#define PM_ARENA_SHIFT (PM_UNIT_SHIFT + 6)
#define PM_ARENA_BYTES ((size_t)1 << PM_ARENA_SHIFT)
#define PM_GROUP_UNITS 8 /* units of one cache line of routes */

/* Every block's address is a multiple of the granule; those of gc pools, of 8 or 16. */
#define PM_GRANULE_SHIFT (PM_CLASSIC ? 3 : 4)
#define PM_GRANULE_BYTES ((size_t)1 << PM_GRANULE_SHIFT)

/* Bytes that each pool leaves unused at its start. pymalloc keeps a header there; the classic
 * geometry leaves the same room, so that its block counts come out to the block. For valgrind, the
 * descriptor's pointer to the pool must be none to a block: that would not be a leak. */
#define PM_POOL_HEADER_BYTES (PM_CLASSIC ? 48 : PM_VALGRIND ? PM_LINE_BYTES : 0)

/* Blocks that are whole pages, from this size on, start one line into their pool: a page-aligned
 * block is slower to clear (docs/decisions/004-large-blocks-start-one-line-in.md). */
#define PM_COLOUR_MIN_BYTES 16384
#define PM_COLOUR_PAGE_BYTES 4096

/* Size classes: 8-byte steps up to the small limit, then 8 steps per doubling. */
#define PM_SMALL_MAX 512
#define PM_SMALL_CLASSES 64
#define PM_BLOCK_MAX_SHIFT (PM_UNIT_SHIFT + 1)
#define PM_BLOCK_MAX ((size_t)1 << PM_BLOCK_MAX_SHIFT) /* above it: spans */
#define PM_PLAIN_CLASSES (PM_SMALL_CLASSES + 8 * (PM_BLOCK_MAX_SHIFT - 9))
#define PM_POOL_MIN_BLOCKS 16 /* of medium pools, as far as the next constant allows */
#define PM_POOL_UNITS_MAX 16

/* Classes of pools of kind gc, up to the small limit: size_class.h. They have the numbers of small
 * classes that malloc does not use, where it uses only each second one; else further numbers. */
#define PM_GC_AMID (PM_GRANULE_SHIFT == 4)
#define PM_GC_CLASSES 32
#define PM_CLASSES (PM_PLAIN_CLASSES + (PM_GC_AMID ? 0 : PM_GC_CLASSES))
#define PM_GC_PAUSE                                                                                \
    255 /* asks for memory that are left out after one brought none of the window                  \
         */

/* Requests up to this size find their pool by one table look-up. */
#define PM_DIRECT_MAX 1024
#define PM_DIRECT_SLOTS (PM_DIRECT_MAX / (1 << PM_GRANULE_SHIFT) + 1)

/* Blocks up to this size are carved several at once, within one page; above it one by one. */
#define PM_CARVE_BATCH_MAX 1024
#define PM_CARVE_BATCH_BLOCKS 64

/* In memory that was all used before no page is saved by carving late: there so many are carved at
 * once at least, of blocks up to this size. */
#define PM_CARVE_WORN_BLOCKS 4
#define PM_CARVE_WORN_MAX 4096

/* Remote batches of a heap. */
#define PM_BATCH_SLOTS 8
#define PM_BATCH_BLOCKS 32

/* A floating pool can be adopted once one part in PM_ADOPT_PART of its blocks is free ("an
 * eighth"); of pools of few blocks more, so that the move pays: PM_ADOPT_BLOCKS, but at most a
 * quarter. docs/decisions/003-adopt-at-eight-blocks.md has the figures. */
#define PM_ADOPT_PART 8
#define PM_ADOPT_BLOCKS 8

/* So many units of a class a heap adopts that are parked, where others may need them too; one pool
 * in any case. docs/decisions/030-parked-pools-are-bounded-beside-others.md. */
#define PM_PARKED_UNITS 8

/* A thread gets a heap of its own after so many slow calls; the cold heap serves these. */
#define PM_CALLS_BEFORE_HEAP 32

/* And a pool of a class after so many blocks of it, one for each PM_CALLS_BLOCK_BYTES of their size
 * within bounds; the cold heap serves these. docs/decisions/029-rare-classes-are-shared.md. */
#define PM_CALLS_BLOCK_BYTES 256
#define PM_CALLS_BEFORE_POOL_MIN 4
#define PM_CALLS_BEFORE_POOL_MAX 32

/* A cold heap more for so many heaps and so many cores, up to the most. docs/decisions/036-*. */
#define PM_HEAPS_A_COLD_HEAP 4
#define PM_CORES_A_COLD_HEAP 4
#define PM_COLD_HEAPS_MAX 16

/* Blocks from this size on are moved by the page tables when realloc cannot change them in place.
 */
#define PM_MOVE_MIN_BYTES PM_ARENA_BYTES

/* Windows. */
#ifndef PM_WINDOW_DEFAULT_BYTES
#define PM_WINDOW_DEFAULT_BYTES 0 /* 0: from the size of the machine's memory */
#endif
#define PM_WINDOW_MIN_BYTES ((size_t)64 << 30)
#define PM_WINDOW_RAM_FACTOR 4
#define PM_WINDOW_MAX_BYTES ((size_t)4 << 40)
#define PM_WINDOWS_MAX 256                     /* the first and those added when it is full */
#define PM_WINDOW_ADD_BYTES ((size_t)64 << 20) /* size of the first added one */
#define PM_TABLE_STEP_ARENAS 32                /* tables are committed for so many arenas at once */
#define PM_PIECES_MAX 256                      /* of memory that the program gave, at a time */
#define PM_PIECE_PART 8                        /* a piece is a part in so many of all, or smaller */
#define PM_PAGE_HOOKS_MAX 32                   /* different page hooks that a process may set */

/* Addresses of windows stay below: what is packed beside an address needs the bits above. */
#define PM_ADDRESS_BITS 56

#define PM_LINE_BYTES 64

/* Bounds on what is kept (defaults of the run-time options). */
#define PM_KEEP_BYTES_DEFAULT ((size_t)2 << 20)
#define PM_KEEP_PART 8 /* and one part in so many of what is in use */
#define PM_HEAP_KEEP_BYTES_DEFAULT ((size_t)1 << 20)
#define PM_HEAPS_KEEP_BYTES_DEFAULT ((size_t)16 << 20)
#define PM_KEPT_SLOTS 32           /* empty pools that a heap can keep */
#define PM_RETURNS_MAX 32          /* pools that go back to the arena list together */
#define PM_KEPT_SPANS 8            /* large blocks that a heap can keep */
#define PM_SPAN_CLOCK_EVERY 4      /* its time is read each so many times that one comes */
#define PM_EARLY_SPANS 4           /* large blocks that a heap makes early, for growth, at a time */
#define PM_EARLY_MIN_BYTES 32768   /* and of more bytes than these */
#define PM_DEMAND_NS 1000000000ull /* how long demand is remembered */

/* Purging by deadline: free memory that was not touched for so long goes back to the system, some
 * arenas at a time, by whoever takes a slow path next. */
#define PM_PURGE_DELAY_MS_DEFAULT 1000
#define PM_PURGE_DELAY_MS_MAX 31536000000 /* a year */
#define PM_PURGE_SLICE_ARENAS (((size_t)32 << 20) >> PM_ARENA_SHIFT)
#define PM_PURGE_PAUSE_NS 4000000ull /* between slices */
#define PM_TICK_SHIFT 24             /* arenas remember times in units of 2^24 ns */
#define PM_PEAK_REST_TICKS 2         /* what rested for so long is purged so that no peak grows */
#define PM_TICK_EVERY 16             /* heaps look at the clock on each 16th slow path */
#define PM_USER_TICK_EVERY 256       /* and user heaps, whose paths are all slow, less often */

/* Mode hardened: what waits in each of its heaps, and how many heaps its threads share: twice as
 * many as processors, and no more than this. */
#define PM_HARDEN_QUARANTINE_DEFAULT ((size_t)256 << 10)
#define PM_HARDEN_QUARANTINE_MAX ((size_t)64 << 30)
#define PM_HARDEN_HEAPS 16
#define PM_HARDEN_CROWDED 256    /* so many waits for its lock make a thread leave a heap, */
#define PM_HARDEN_CROWDED_PART 8 /* if they are more than one in so many acquisitions */

/* The statistics page: how long at most between two updates, and how many times as long as an
 * update takes at least, so that it takes no more than so small a part of a thread's time. */
#define PM_STATS_PAGE_MS_MAX 3600000
#define PM_STATS_PAGE_REST 50

/* The profiler: one byte in so many is sampled by default, as gperftools and jemalloc do; and how
 * many rows its table has. Live blocks are in buckets, each of lines; there is address space for so
 * many lines. */
#define PM_PROFILE_MEAN_BYTES ((size_t)512 << 10)
#define PM_PROFILE_STACKS_DEFAULT 16384
#define PM_PROFILE_STACKS_MAX 1048576
#define PM_PROFILE_BUCKETS_SHIFT 14
#define PM_PROFILE_LINES_MAX ((size_t)4 << 20)
#define PM_PROFILE_LINES_MIN ((size_t)1 << 10)
#define PM_PROFILE_STEP_BYTES ((size_t)256 << 10) /* tables are committed by so much */
#define PM_PROFILE_LEAKS_SHOWN 100                /* stacks of a leak report */

/* Sampled guarded blocks (defaults of the options, and bounds: each that is live is up to three
 * mappings of the 65530 that a process may have). */
#define PM_GUARDED_ONE_IN_DEFAULT 5000
#define PM_GUARDED_ONE_IN_MAX 1000000000
#define PM_GUARDED_SLOTS_DEFAULT 64
#define PM_GUARDED_SLOTS_MAX 4096

/* Option cgroup: how often at most the system is asked what the group may have, and which part of
 * it is left to what is not in arenas: free memory beyond the rest is not kept. */
#define PM_GROUP_LOOK_NS 1000000000ull
#define PM_GROUP_SPARE_PART 8

/* The object layer: integers that are there once, up to the default of the option small_ints_to and
 * the most that it takes. */
#define PM_SMALL_INT_FIRST (-5)
#define PM_SMALL_INT_LAST_DEFAULT 256
#define PM_SMALL_INT_LAST_MAX 1024

_Static_assert(PM_UNIT_SHIFT >= 12 && PM_UNIT_SHIFT <= 15, "unit size");
_Static_assert(PM_ARENA_UNITS == 64, "an arena's state is kept in 64-bit words");
_Static_assert(PM_CLASSES <= 128, "heaps keep two words of used classes");
_Static_assert(PM_POOL_UNITS_MAX < 64, "the units of a pool fit in 6 bits");
_Static_assert(((PM_POOL_UNITS_MAX << PM_UNIT_SHIFT) - 16) / 8 < 65535,
               "a remote word keeps a block's place in 16 bits");
_Static_assert(PM_CALLS_BEFORE_POOL_MAX <= UINT8_MAX, "a heap counts them in bytes");
_Static_assert(PM_UNIT_BYTES / 8 < 65535 / 2, "block counts fit 16 bits");

#endif
