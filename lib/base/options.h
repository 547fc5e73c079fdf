/* SPDX-License-Identifier: MIT */
/*
 * Run-time options. The table below is the only list: "help", docs/options.md and the manual page
 * are made of it.
 *
 * Sources, of which a later one wins: the default of the table; a file, /etc/poolmalloc.conf; the
 * environment, POOLMALLOC_OPTIONS="name=value,name=value", and POOLMALLOC for the option
 * `allocator`; calls of pm_option_set. The first three are read once, in the first allocator call
 * of the process, without allocating: os/config.c. What is not understood is named in one line on
 * stderr and ignored. Set-user-id programs have the defaults.
 */
#ifndef PM_BASE_OPTIONS_H
#define PM_BASE_OPTIONS_H

#include "base/bits.h"
#include "base/config.h"
#include "base/lock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PM_OPTION_TEXT_BYTES 256
#define PM_OPTION_CHOICE_BYTES 16

/*
 * X(kind, name, default, least, most, when, doc)
 *
 *   BYTES   a size: digits, and perhaps one of k, m, g, t
 *   NUMBER  digits
 *   CHOICE  one of the words that the doc starts with; N and M in them stand for numbers of at most
 *           four digits
 *   TEXT    anything that fits PM_OPTION_TEXT_BYTES
 *
 * least and most bound sizes and numbers. AT_START: constant once the process has allocated;
 * ANYTIME: pm_option_set changes it.
 */
#define PM_OPTIONS(X)                                                                              \
    X(BYTES, window_bytes, PM_WINDOW_DEFAULT_BYTES, 0, PM_WINDOW_MAX_BYTES, AT_START,              \
      "address space reserved for arenas; no memory is used by it; 0: four times the machine's "   \
      "memory, at least 64g")                                                                      \
    X(BYTES, limit_bytes, 0, 0, SIZE_MAX, ANYTIME,                                                 \
      "arenas that may be committed at a time, in bytes; what needs more gets NULL with ENOMEM; "  \
      "0: no limit")                                                                               \
    X(CHOICE, cgroup, "off", 0, 0, AT_START,                                                       \
      "off|purge|limit: the least of memory.high and memory.max of the control group and those "   \
      "around it; off: not looked at; purge: less free memory is kept as the arenas come near "    \
      "it; limit: the same, and it limits them as limit_bytes does")                               \
    X(BYTES, keep_bytes, PM_KEEP_BYTES_DEFAULT, 0, SIZE_MAX, ANYTIME,                              \
      "free memory that stays resident, besides an eighth of what is in use and what recent "      \
      "demand justifies")                                                                          \
    X(BYTES, heap_keep_bytes, PM_HEAP_KEEP_BYTES_DEFAULT, 0, SIZE_MAX, ANYTIME,                    \
      "empty pools that each thread keeps for itself")                                             \
    X(BYTES, heaps_keep_bytes, PM_HEAPS_KEEP_BYTES_DEFAULT, 0, SIZE_MAX, ANYTIME,                  \
      "empty pools that all threads together keep for themselves")                                 \
    X(NUMBER, purge_delay_ms, PM_PURGE_DELAY_MS_DEFAULT, 0, PM_PURGE_DELAY_MS_MAX, ANYTIME,        \
      "free memory that was left alone for so many milliseconds goes back to the system")          \
    X(CHOICE, huge_pages, "default", 0, 0, AT_START,                                               \
      "default|never|always: advice to the system about huge pages; default: none, but that "      \
      "arenas given back in part get no new ones; never: none in memory of the allocator, even "   \
      "where the system makes them unasked")                                                       \
    X(CHOICE, numa, "default", 0, 0, AT_START,                                                     \
      "default|interleave|bind:N|bind:N-M: which memory nodes arenas come from; default: the "     \
      "system's choice; interleave: all in turn; bind: these nodes only")                          \
    X(CHOICE, core_dump, "default", 0, 0, AT_START,                                                \
      "default|all|tables: what a core dump has of the window; default: tables and arenas, but "   \
      "not what is only reserved; all: no advice to the system; tables: no arenas, so no "         \
      "contents of blocks")                                                                        \
    X(CHOICE, mapping_names, "off", 0, 0, AT_START,                                                \
      "off|on: names in /proc/PID/maps for arenas, tables and heaps, where the kernel has them")   \
    X(CHOICE, allocator, "default", 0, 0, AT_START,                                                \
      "default|debug|malloc|malloc_debug|pool|pool_debug|hardened: who serves the program, and "   \
      "whether debug hooks check each block; the same as the variable POOLMALLOC, which wins; "    \
      "malloc: the C library's, where it can be reached; hardened: the pools, which find and "     \
      "hinder misuse")                                                                             \
    X(CHOICE, harden_links, "on", 0, 0, AT_START,                                                  \
      "on|off: in mode hardened, links of free blocks are encoded, and checked when they are "     \
      "used")                                                                                      \
    X(CHOICE, harden_order, "on", 0, 0, AT_START,                                                  \
      "on|off: in mode hardened, blocks of a pool are handed out in random order")                 \
    X(CHOICE, harden_canaries, "on", 0, 0, AT_START,                                               \
      "on|off: in mode hardened, what is left behind the data of a block is filled, and checked "  \
      "when it is freed; its last word always is")                                                 \
    X(CHOICE, harden_guards, "on", 0, 0, AT_START,                                                 \
      "on|off: in mode hardened, large blocks lie between pages that trap")                        \
    X(CHOICE, harden_zero, "on", 0, 0, AT_START,                                                   \
      "on|off: in mode hardened, blocks are cleared when they are freed, and checked for writes "  \
      "when they are handed out again")                                                            \
    X(BYTES, harden_quarantine_bytes, PM_HARDEN_QUARANTINE_DEFAULT, 0, PM_HARDEN_QUARANTINE_MAX,   \
      AT_START,                                                                                    \
      "in mode hardened, freed blocks wait until so many bytes more were freed in their heap, "    \
      "large ones sixteen times as long; 0: they do not")                                          \
    X(NUMBER, guarded_one_in, PM_GUARDED_ONE_IN_DEFAULT, 0, PM_GUARDED_ONE_IN_MAX, AT_START,       \
      "in mode hardened, one allocation in so many gets pages of its own, so that overflow and "   \
      "use after free trap at the access; 0: none")                                                \
    X(NUMBER, guarded_slots, PM_GUARDED_SLOTS_DEFAULT, 1, PM_GUARDED_SLOTS_MAX, AT_START,          \
      "so many guarded blocks are live at a time at most; as many of those freed last are "        \
      "watched")                                                                                   \
    X(NUMBER, trace, 0, 0, 128, AT_START,                                                          \
      "each block is traced from the start on, with so many frames of the stack that made it; 0: " \
      "no tracing, until pm_trace_start")                                                          \
    X(CHOICE, trace_unwind, "auto", 0, 0, AT_START,                                                \
      "auto|frames|unwinder: how stacks are taken; auto: by the unwinder, and by frame pointers "  \
      "and places where it agreed; frames: by frame pointers only; unwinder: each anew")           \
    X(TEXT, trace_at_exit, "", 0, 0, ANYTIME,                                                      \
      "a file that a snapshot of what is traced is written to at exit; %p is the process's "       \
      "number; empty: none")                                                                       \
    X(NUMBER, trace_signal, 0, 0, 64, AT_START,                                                    \
      "the number of a signal on which such a snapshot is written; 0: none")                       \
    X(TEXT, trace_to, "poolmalloc.%p", 0, 0, AT_START,                                             \
      "how the files of trace_signal start: .0001.snap follows, .0002.snap and so on; %p is the "  \
      "process's number")                                                                          \
    X(TEXT, stats_at_exit, "", 0, 0, ANYTIME,                                                      \
      "a file to which the counters are appended at exit; stderr and stdout are known; empty: "    \
      "none")                                                                                      \
    X(NUMBER, stats_signal, 0, 0, 64, AT_START,                                                    \
      "the number of a signal on which statistics are written; 0: none")                           \
    X(TEXT, stats_to, "stderr", 0, 0, AT_START,                                                    \
      "a file to which statistics are appended on the signal; stderr and stdout are known")        \
    X(CHOICE, stats_format, "counters", 0, 0, AT_START,                                            \
      "counters|table|json: the form of statistics at exit and on the signal")                     \
    X(CHOICE, stats_page, "off", 0, 0, AT_START,                                                   \
      "off|on: a page of statistics that other processes map, found in /proc/PID/fd")              \
    X(NUMBER, stats_page_ms, 100, 1, PM_STATS_PAGE_MS_MAX, ANYTIME,                                \
      "the page is brought up to date no more often than each so many milliseconds")               \
    X(TEXT, profile, "off", 0, 0, AT_START,                                                        \
      "off, on or a size: of all bytes allocated one in so many is sampled from the start on, "    \
      "with the stack that allocates it; on: one in 512k; 1: every block")                         \
    X(TEXT, profile_at_exit, "", 0, 0, ANYTIME,                                                    \
      "a file that the profile is written to at exit; %p is the process's number; empty: none")    \
    X(TEXT, profile_to, "poolmalloc.%p", 0, 0, AT_START,                                           \
      "how the files of profile_signal and profile_every start: .0001.heap follows, .0002.heap "   \
      "and so on; %p is the process's number")                                                     \
    X(NUMBER, profile_signal, 0, 0, 64, AT_START,                                                  \
      "the number of a signal on which the profile is written; 0: none")                           \
    X(BYTES, profile_every, 0, 0, SIZE_MAX, ANYTIME,                                               \
      "the profile is written whenever so many bytes were allocated, as samples tell; 0: not")     \
    X(CHOICE, profile_form, "gperftools", 0, 0, AT_START,                                          \
      "gperftools|jemalloc: the form of these files, for pprof or jeprof")                         \
    X(CHOICE, profile_page, "off", 0, 0, AT_START,                                                 \
      "off|on: a page of the profile that other processes map, found in /proc/PID/fd")             \
    X(NUMBER, profile_stacks, PM_PROFILE_STACKS_DEFAULT, 16, PM_PROFILE_STACKS_MAX, AT_START,      \
      "how many different stacks, by size of their blocks, a profile can have")                    \
    X(TEXT, leak_report, "off", 0, 0, ANYTIME,                                                     \
      "off, on or a file to which a report of the sampled blocks that are live is appended at "    \
      "exit; on: stderr")                                                                          \
    X(NUMBER, small_ints_to, PM_SMALL_INT_LAST_DEFAULT, PM_SMALL_INT_LAST_DEFAULT,                 \
      PM_SMALL_INT_LAST_MAX, AT_START,                                                             \
      "of libpoolobject: integers from -5 up to this one are there once, and immortal")            \
    X(TEXT, hash_seed, "random", 0, 0, AT_START,                                                   \
      "of libpoolobject: random or a number up to 4294967295, of which the key is made that "      \
      "strings are hashed with; the same number gives the same hashes, and those of "              \
      "PYTHONHASHSEED")

enum pm_option_kind { PM_OPTION_BYTES, PM_OPTION_NUMBER, PM_OPTION_CHOICE, PM_OPTION_TEXT };
enum pm_option_when { PM_OPTION_AT_START, PM_OPTION_ANYTIME };
enum pm_option_source { PM_OPTION_DEFAULT, PM_OPTION_FILE, PM_OPTION_ENVIRONMENT, PM_OPTION_CALL };

struct pm_options {
#define PM_OPTION_FIELD_BYTES(name) _Atomic size_t name;
#define PM_OPTION_FIELD_NUMBER(name) _Atomic size_t name;
#define PM_OPTION_FIELD_CHOICE(name) char name[PM_OPTION_CHOICE_BYTES];
#define PM_OPTION_FIELD_TEXT(name) char name[PM_OPTION_TEXT_BYTES];
#define PM_OPTION_FIELD(kind, name, initial, least, most, when, doc) PM_OPTION_FIELD_##kind(name)
    PM_OPTIONS(PM_OPTION_FIELD)
#undef PM_OPTION_FIELD
};

/* What is in force. Numbers and sizes: relaxed, a value of its own each, which orders nothing; who
 * reads an older one obeys it once more. Choices are constant after the start of the process; texts
 * are under the lock below. */
extern struct pm_options pm_options PM_HIDDEN;

/* Serialises changes, and guards texts. Nothing is called under it. */
extern struct pm_lock pm_options_lock PM_HIDDEN;

/* A row of the table. */
struct pm_option {
    const char *name;
    enum pm_option_kind kind;
    enum pm_option_when when;
    size_t offset;            /* in struct pm_options */
    const char *initial_text; /* of choices and texts */
    size_t initial, least, most;
    const char *doc;
};
#define PM_OPTION_ONE(kind, name, initial, least, most, when, doc) +1
enum { PM_OPTION_COUNT = 0 PM_OPTIONS(PM_OPTION_ONE) };
#undef PM_OPTION_ONE
extern const struct pm_option pm_option_rows[PM_OPTION_COUNT] PM_HIDDEN;

static inline bool pm_option_is_number(const struct pm_option *option)
{
    return option->kind == PM_OPTION_BYTES || option->kind == PM_OPTION_NUMBER;
}

/* ---- at the start of the process, by one thread ---- */

/* Reads the environment, after the file; prints what "help" asks for. */
void pm_options_init(void);

/* Parses settings, separated by commas, as those of the environment. False: something was not
 * understood, and warned of; the rest is in force. */
bool pm_options_parse(const char *text);

/* The same of the text of a file: settings on lines of their own or separated by commas, blanks
 * around them, comments from # to the end of the line. `path` for the warnings. */
bool pm_options_parse_file(const char *path, const char *text, size_t length);

/* ---- at any time, any thread; before the start they are overtaken by it ---- */

/* Sets an option now. 0, or what is wrong: ENOENT, no such option; EPERM, it is one of AT_START;
 * EINVAL, not a value of it or out of its range. Whoever remembers a time by the option must be
 * told: pm_purge_delay_changed(). */
int pm_options_change(const char *name, const char *value);
/* The same of a number or size. EINVAL: it is neither, or out of range. */
int pm_options_change_number(const char *name, size_t number);
/* The value in force, as pm_options_change takes it. ENOENT; ERANGE, it needs more room. */
int pm_options_value(const char *name, char *to, size_t room);

/* ---- words for users: options_text.c ---- */

/* A size, as options of that kind take it. False: it is none. */
bool pm_option_parse_bytes(const char *text, size_t length, size_t *bytes);
/* The row, or NULL. */
const struct pm_option *pm_option_find(const char *name, size_t length);
/* The row whose name is most like the word. */
const struct pm_option *pm_option_nearest(const char *word, size_t length);
/* These four return the length that the whole text would have, and write what fits. A number, with
 * the largest unit that divides it. */
size_t pm_option_format_number(enum pm_option_kind kind, size_t number, char *to, size_t room);
size_t pm_option_format_default(const struct pm_option *option, char *to, size_t room);
/* The value in force; of texts under the lock. */
size_t pm_option_format_value(const struct pm_option *option, char *to, size_t room);
/* What it takes: "0 to 4t", "default|never|always". */
size_t pm_option_format_range(const struct pm_option *option, char *to, size_t room);
/* The doc, without the choices. */
const char *pm_option_meaning(const struct pm_option *option);
/* Of the choices at the start of a doc, how long they are. */
size_t pm_option_choices_length(const struct pm_option *option);
/* Text for one line of a terminal: cut to the room, without what a terminal obeys. */
void pm_option_clean(char *to, size_t room, const char *text, size_t length);
/* "default", "file", ... */
const char *pm_option_source_name(enum pm_option_source source);
enum pm_option_source pm_option_source(const struct pm_option *option);
/* Prints all of the table to stderr, with what is in force and where it comes from. */
void pm_options_help(void);

#endif
