/* SPDX-License-Identifier: MIT */
/*
 * A process that is watched from outside, by stats and top: the page that it shows, what it and its
 * threads are called, when it ends. Nothing here stops the process or makes it do anything, and
 * nothing trusts it: of its page no more is read than the system guarantees to be there.
 */
#ifndef PM_COMMAND_WATCHED_H
#define PM_COMMAND_WATCHED_H

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Pages that the library makes. Each starts with magic number and version, a word each, and has the
 * size in bytes and the process's number further on. */
struct page_kind {
    const char *name;    /* of the memfd */
    const char *title;   /* in messages */
    const char *flag;    /* of `poolmalloc run`, that makes a program have it */
    const char *setting; /* and what does it in POOLMALLOC_OPTIONS */
    uint64_t magic, version;
    size_t least_bytes;                      /* no page of this version is smaller */
    size_t bytes_at, process_at, updates_at; /* offsets of words; updates_at 0: it has none */
};

enum { WATCHED_NAME_BYTES = 64 };

struct watched {
    const struct page_kind *kind;
    pid_t pid;
    uint64_t own_pid; /* what it takes itself for: another one in a container */
    int folder;       /* /proc/PID, of this process and no later one of the same number */
    int handle;       /* that can be polled for its end; -1: the system has none */
    char name[WATCHED_NAME_BYTES];
    const void *page; /* mapped to read */
    size_t page_bytes;
    dev_t device; /* of the page */
    ino_t inode;
    char place[sizeof "map_files/" + NAME_MAX]; /* where it was found, in the folder */
};

/* The number of a process, from the command line. False: it is none. */
bool read_pid(const char *text, pid_t *pid);

/* Finds the process and its page. False: it was said why there is none. unwatch then, too. */
bool watch(struct watched *w, const struct page_kind *kind, pid_t pid);
void unwatch(struct watched *w);

/* After some time: by exec, it may have another page. False: it has none any more, as was said. */
bool watch_on(struct watched *w);

/* Sleeps. SIGINT is noticed here only, from the first call of prepare_waiting on. */
enum wait_end { WAIT_OVER, WAIT_ENDED, WAIT_INTERRUPTED };
void prepare_waiting(void);
enum wait_end wait_watched(struct watched *w, double seconds);

/* What a thread is called, by the number that the process knows it by; empty: it is gone, or cannot
 * be asked. What is not printable ASCII is '?'. */
void thread_name(const struct watched *w, uint64_t own_id, char name[WATCHED_NAME_BYTES]);

/* ---- what the files about it share ---- */

/* A line of a file in the folder: "KEY:" and a text, of which the blanks around are left out.
 * False: the file cannot be read (errno), or has no such line (errno 0). */
bool read_field(const struct watched *w, const char *file, const char *key, char *text,
                size_t room);
/* The same of what the file starts with, to the end of the line. */
bool read_line(const struct watched *w, const char *file, char *text, size_t room);
/* A folder in it; NULL: errno. */
DIR *open_folder(const struct watched *w, const char *name);
/* What is not printable ASCII becomes '?'. */
void clean(char *text);
/* The last number of a list with blanks between; 0: none. */
uint64_t last_number(const char *text);
/* Whether one of its mappings is of a file of that number, if that is not 0, and else of something
 * that has "poolmalloc" in its name. */
bool has_mapping(const struct watched *w, dev_t device, ino_t inode);
/* Maps the page, of which it has the right one in the end; false: it was said why not. */
bool find_page(struct watched *w);
bool has_ended(const struct watched *w);

#endif
