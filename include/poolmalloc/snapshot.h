/* SPDX-License-Identifier: MIT */
/*
 * Snapshots of what is traced (poolmalloc/trace.h): which stacks hold how many blocks and bytes, at
 * one moment. tracemalloc's Snapshot, Statistic, StatisticDiff, Filter, DomainFilter and Traceback
 * for native stacks (PEP 454 and the chapter "tracemalloc" of Python's library reference); where
 * this differs, docs/snapshots.md says so.
 *
 * Common to all functions:
 *   - snapshots and tables are in memory of their own, from the system, neither allocated by malloc
 *     nor traced; the caller owns what a function returns, until the function that frees it;
 *   - a snapshot is changed by pm_snapshot_add, pm_snapshot_add_maps and pm_snapshot_set_about
 *     alone, each of which needs it for itself; all else only reads it, in any number of threads;
 *   - no function may be called from a signal handler;
 *   - failure is NULL or false, with errno ENOMEM when memory is out, and nothing is changed then.
 */
#ifndef POOLMALLOC_SNAPSHOT_H
#define POOLMALLOC_SNAPSHOT_H

#include "poolmalloc/poolmalloc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pm_snapshot pm_snapshot;

/* ---- making ---- */

/* What is traced now. Exact when no other thread allocates or frees meanwhile; else each block that
 * lives through the call is in it, and one that is made or freed meanwhile may be. Empty when
 * nothing is traced. NULL with ENOMEM. Any thread; nobody is stopped. */
PM_API pm_snapshot *pm_snapshot_take(void);

/* An empty one, to be filled by pm_snapshot_add: for figures that come from elsewhere. */
PM_API pm_snapshot *pm_snapshot_new(void);

/* NULL does nothing. What tables have is theirs, and stays. errno is preserved. */
PM_API void pm_snapshot_free(pm_snapshot *snapshot);

/*
 * Adds blocks that one stack allocated: `frames` are its return addresses, innermost first; none
 * (`count` 0): it is not known. The same domain and stack may come again, and adds up. 0 blocks add
 * nothing. False: ENOMEM, or EINVAL: the sums would exceed INT64_MAX, or `count` UINT16_MAX.
 */
PM_API bool pm_snapshot_add(pm_snapshot *snapshot, unsigned domain, const uintptr_t *frames,
                            unsigned count, uint64_t blocks, uint64_t bytes);

/* Adds lines of the form of /proc/PID/maps, each ended by a newline: which file lies where, which
 * tells the modules of addresses. False: ENOMEM, or EINVAL: they have another form. */
PM_API bool pm_snapshot_add_maps(pm_snapshot *snapshot, const char *text, size_t bytes);

/* ---- looking ---- */

struct pm_snapshot_about {
    uint64_t process_id;      /* 0 here and below: not known */
    const char *program;      /* its path, as long as the snapshot lives; "": not known */
    uint64_t time_s;          /* when it was taken, in seconds since 1970, UTC */
    uint64_t traceback_limit; /* the most frames that were recorded of a stack */
    uint64_t traced_bytes;    /* in traced blocks, of all domains, at that time */
    uint64_t peak_bytes;      /* the most that ever was since the peak was reset */
    uint64_t stacks;          /* these three: in the snapshot, which may have been filtered */
    uint64_t blocks, bytes;
};
PM_API void pm_snapshot_get_about(const pm_snapshot *snapshot, struct pm_snapshot_about *about);

/* All but the last three fields; the path is copied, a newline in it becomes '?'. False: ENOMEM;
 * EINVAL: the time is later than the year 9999. */
PM_API bool pm_snapshot_set_about(pm_snapshot *snapshot, const struct pm_snapshot_about *about);

/* Calls visit for each (domain, stack) until it returns false or there is none left; in the order
 * in which they were added. `frames` is good during the call. True: all were visited. */
PM_API bool pm_snapshot_each(const pm_snapshot *snapshot,
                             bool (*visit)(unsigned domain, const uint64_t *frames, unsigned count,
                                           uint64_t blocks, uint64_t bytes, void *arg),
                             void *arg);

/* One frame of a stack, or what several have in common (see enum pm_snapshot_group). */
struct pm_snapshot_frame {
    uint64_t address;     /* to which the call returns: one byte before it lies in the call */
    const char *module;   /* the file that is mapped there, or "[vdso]" and the like; NULL here and
                             below: not known */
    uint64_t offset;      /* of the address in that file */
    const char *function; /* its name, as the resolver has it */
    const char *file;     /* of the source */
    uint64_t line;        /* 0: not known */
};

/* The frame of an address: module and offset, of the mapping that has the byte before it, good as
 * long as the snapshot is not changed. False: no file is known there, all but the address is 0. */
PM_API bool pm_snapshot_frame_of(const pm_snapshot *snapshot, uint64_t address,
                                 struct pm_snapshot_frame *frame);

/*
 * From addresses to functions, files and lines. `resolve` gets a frame with address, module and
 * offset, and sets what it knows of the rest; the texts must stay until the function that was given
 * the resolver returns, and are copied. It is called once for each address of a call. The offset of
 * a place in its file does not depend on where the file was mapped, nor on the process.
 *
 * Wherever a function takes a resolver, NULL stands for the one of the library: of a snapshot that
 * this process took, or its parent before a fork, the functions that modules export (dladdr, which
 * takes the loader's lock); of another, nothing.
 */
struct pm_snapshot_resolver {
    void (*resolve)(void *arg, struct pm_snapshot_frame *frame);
    void *arg;
};

/* ---- statistics ---- */

/* What is one row of a table, and which fields of its frame say what. Frames whose field is not
 * known are one row for each module. */
enum pm_snapshot_group {
    PM_SNAPSHOT_BY_ADDRESS,   /* the place in the program: module and offset; all fields */
    PM_SNAPSHOT_BY_FUNCTION,  /* function and module */
    PM_SNAPSHOT_BY_FILE,      /* file, else module */
    PM_SNAPSHOT_BY_LINE,      /* file and line, else module */
    PM_SNAPSHOT_BY_MODULE,    /* module */
    PM_SNAPSHOT_BY_TRACEBACK, /* the whole stack, by its places; all fields of all frames */
    PM_SNAPSHOT_BY_DOMAIN,    /* the domain; no frames */
};

struct pm_snapshot_row {
    uint64_t bytes, blocks;                 /* 0 of what the new snapshot has no more */
    int64_t bytes_diff, blocks_diff;        /* new less old; 0 where there is no old one */
    const struct pm_snapshot_frame *frames; /* innermost first */
    unsigned frame_count;                   /* 1, but of tracebacks and domains */
    unsigned domain;                        /* of PM_SNAPSHOT_BY_DOMAIN, else 0 */
};

/* A table owns its rows, and all that they lead to. */
struct pm_snapshot_table {
    size_t count;
    const struct pm_snapshot_row *rows;
};

/*
 * The blocks and bytes of each group, those with the most bytes first, then those with the most
 * blocks, then by the names of the frames, descending, as Snapshot.statistics. A stack counts for
 * the group of its innermost frame; with `cumulative` for that of each of its frames, once, however
 * often it comes in the stack. NULL with EINVAL: `cumulative` by traceback or domain, or no such
 * group.
 */
PM_API struct pm_snapshot_table *
pm_snapshot_statistics(const pm_snapshot *snapshot, enum pm_snapshot_group group, bool cumulative,
                       const struct pm_snapshot_resolver *resolver);

/*
 * The same of `snapshot`, with the differences to `old`; rows that only the old one has are there,
 * with 0 bytes. Sorted as Snapshot.compare_to: the largest difference in bytes first, whatever its
 * sign, then bytes, then difference in blocks, blocks, names. Groups are the same by module and
 * offset, or by names, not by addresses: snapshots of two runs of one program can be compared.
 * (Where no module is known, by address.) errno as above.
 */
PM_API struct pm_snapshot_table *pm_snapshot_compare(const pm_snapshot *snapshot,
                                                     const pm_snapshot *old,
                                                     enum pm_snapshot_group group, bool cumulative,
                                                     const struct pm_snapshot_resolver *resolver);

/* NULL does nothing. errno is preserved. */
PM_API void pm_snapshot_table_free(struct pm_snapshot_table *table);

/* ---- filters ---- */

/*
 * What a filter looks for; a field that is NULL, 0 or false asks for nothing. Patterns are those of
 * Python's fnmatch, with regard to case: * stands for any text, slashes included, ? for one
 * character, [a-z] and [!a-z] for one that is or is not among them. What is not known is
 * "<unknown>" to a pattern.
 *
 * A stack fits if its innermost frame does, with `all_frames` if any does. An inclusive filter
 * lets through what fits, if it is also of the domain where one is given; any other filter what
 * does not fit, or is of another domain than the one given.
 */
struct pm_snapshot_filter {
    bool inclusive;
    bool all_frames;
    bool by_domain; /* `domain` is asked for; with nothing else, as tracemalloc's DomainFilter */
    unsigned domain;
    const char *module, *function, *file; /* patterns, each of which must fit */
    uint64_t line;
};

/* A new snapshot of the stacks that at least one of the inclusive filters lets through, if there
 * are any, and each of the others; with no filters, a copy. `snapshot` is as it was. */
PM_API pm_snapshot *pm_snapshot_filter(const pm_snapshot *snapshot,
                                       const struct pm_snapshot_filter *filters, size_t count,
                                       const struct pm_snapshot_resolver *resolver);

/* ---- files ---- */

/* Writes it to a file descriptor, from where that stands, in the form of docs/snapshots.md. False:
 * errno says why (ENOSPC: the disk is full); what was written until then is no whole file, and
 * pm_snapshot_read says so. */
PM_API bool pm_snapshot_write(const pm_snapshot *snapshot, int file);

/*
 * Reads what pm_snapshot_write wrote, here or elsewhere; the second from a descriptor, from where
 * that stands to its end, and calls it `name`. Takes time by the length of the file. NULL: errno,
 * and a text in error[0..room-1], which says the file, where in it (the offset in bytes), and what
 * was expected there. EINVAL: it is no snapshot, or of a later version, or was cut off, or is
 * damaged; else what the system said.
 */
PM_API pm_snapshot *pm_snapshot_read(const char *path, char *error, size_t room);
PM_API pm_snapshot *pm_snapshot_read_fd(int file, const char *name, char *error, size_t room);

#ifdef __cplusplus
}
#endif

#endif
