/* SPDX-License-Identifier: MIT */
/* A watched process: where its page is. See watched.h. */
#define _GNU_SOURCE /* F_GET_SEALS */
#include "command.h"
#include "watched.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    TRIES = 20, /* of a page that the process just makes */
    TRY_MS = 10,
    PROBLEM_BYTES = 160,
};

/* What is known of the best page so far. */
struct search {
    bool found;
    bool is_inherited;           /* there is one, of the parent */
    bool is_empty;               /* there is one without contents */
    char problem[PROBLEM_BYTES]; /* of one that cannot be used, in words that follow its name */
};

static uint64_t word_at(const void *page, size_t offset)
{
    return __atomic_load_n((const uint64_t *)(const void *)((const char *)page + offset),
                           __ATOMIC_ACQUIRE);
}

/* A page that somebody could still cut would end this command by a signal. */
static bool has_size(struct search *search, const struct page_kind *kind, int file, size_t bytes)
{
    int seals = fcntl(file, F_GET_SEALS);
    if (bytes < kind->least_bytes)
        snprintf(search->problem, sizeof search->problem,
                 "is truncated: %zu bytes, where %zu were expected", bytes, kind->least_bytes);
    else if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
        snprintf(search->problem, sizeof search->problem,
                 "was not made by poolmalloc: its size can change");
    else
        return true;
    return false;
}

static bool is_page(struct search *search, const struct page_kind *kind, const void *page,
                    size_t bytes)
{
    uint64_t magic = word_at(page, 0), version = word_at(page, sizeof magic);
    uint64_t said = word_at(page, kind->bytes_at);
    if (magic == 0)
        search->is_empty = true;
    else if (magic != kind->magic)
        snprintf(search->problem, sizeof search->problem,
                 "was not made by poolmalloc: it starts with 0x%016lx", (unsigned long)magic);
    else if (version != kind->version)
        snprintf(search->problem, sizeof search->problem,
                 "has version %lu, this command knows version %lu: take that which was installed "
                 "with the program's library",
                 (unsigned long)version, (unsigned long)kind->version);
    else if (said < kind->least_bytes || said > bytes)
        snprintf(search->problem, sizeof search->problem,
                 "is damaged: it has %zu bytes and speaks of %lu", bytes, (unsigned long)said);
    else
        return true;
    return false;
}

/* Of several pages of the process, the one with the most updates is in use. */
static bool is_better(const struct watched *w, const void *page)
{
    size_t updates_at = w->kind->updates_at;
    return w->page == NULL || updates_at == 0 ||
           word_at(page, updates_at) > word_at(w->page, updates_at);
}

static void try_file(struct watched *w, struct search *search, const char *place, int file)
{
    struct stat status;
    if (fstat(file, &status) != 0 || !has_size(search, w->kind, file, (size_t)status.st_size))
        return;
    size_t bytes = (size_t)status.st_size;
    const void *page = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0);
    if (page == MAP_FAILED) {
        snprintf(search->problem, sizeof search->problem, "cannot be mapped: %s", strerror(errno));
        return;
    }
    bool usable = is_page(search, w->kind, page, bytes);
    bool own = usable && word_at(page, w->kind->process_at) == w->own_pid;
    search->is_inherited |= usable && !own;
    if (!own || !is_better(w, page)) {
        munmap((void *)(uintptr_t)page, bytes);
        return;
    }
    if (w->page != NULL)
        munmap((void *)(uintptr_t)w->page, w->page_bytes);
    search->found = true;
    w->page = page;
    w->page_bytes = bytes;
    w->device = status.st_dev;
    w->inode = status.st_ino;
    snprintf(w->place, sizeof w->place, "%s", place);
}

/* All links of a folder that lead to such a page. False: it may not be read. */
static bool search_folder(struct watched *w, struct search *search, const char *name)
{
    char wanted[80], target[sizeof wanted], place[sizeof w->place];
    DIR *folder = open_folder(w, name);
    if (folder == NULL)
        return false;
    snprintf(wanted, sizeof wanted, "/memfd:%s (deleted)", w->kind->name);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        if (strcmp(target, wanted) != 0)
            continue;
        int file = openat(dirfd(folder), entry->d_name, O_RDONLY | O_CLOEXEC);
        snprintf(place, sizeof place, "%s/%s", name, entry->d_name);
        if (file < 0)
            continue; /* closed since, or not for us: as if it were not there */
        try_file(w, search, place, file);
        close(file);
    }
    closedir(folder);
    return true;
}

static bool refuse(const struct watched *w, const struct search *search)
{
    const struct page_kind *kind = w->kind;
    if (search->problem[0] != 0 || search->is_empty)
        complain("the %s of process %d (%s) %s", kind->title, (int)w->pid, w->name,
                 search->problem[0] != 0 ? search->problem : "is empty");
    else if (search->is_inherited)
        complain("process %d (%s) has the %s of its parent only: after fork it gets its own when "
                 "it allocates",
                 (int)w->pid, w->name, kind->title);
    else if (has_mapping(w, 0, 0))
        complain("process %d (%s) has no %s: start it by 'poolmalloc run %s', or with "
                 "POOLMALLOC_OPTIONS=%s",
                 (int)w->pid, w->name, kind->title, kind->flag, kind->setting);
    else
        complain("process %d (%s) does not use poolmalloc, or is linked to it statically and has "
                 "no %s: POOLMALLOC_OPTIONS=%s",
                 (int)w->pid, w->name, kind->title, kind->setting);
    return false;
}

bool find_page(struct watched *w)
{
    struct search search;
    if (w->page != NULL)
        munmap((void *)(uintptr_t)w->page, w->page_bytes);
    w->page = NULL;
    for (int i = 0; i < TRIES; i++) {
        search = (struct search){.found = false};
        if (!search_folder(w, &search, "fd")) {
            bool gone = errno == ENOENT || errno == ESRCH;
            complain("process %d (%s) %s: %s", (int)w->pid, w->name,
                     gone ? "has ended" : "may not be looked at", strerror(errno));
            return false;
        }
        if (!search.found) /* the program may have closed what it does not know */
            search_folder(w, &search, "map_files");
        if (search.found)
            return true;
        if (!search.is_empty)
            break;
        nanosleep(&(struct timespec){.tv_nsec = TRY_MS * 1000000L}, NULL);
    }
    return refuse(w, &search);
}
