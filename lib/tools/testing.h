/* SPDX-License-Identifier: MIT */
/* What the tests of the statistics page share. Only x_test.c files include it. */
#ifndef PM_TOOLS_TESTING_H
#define PM_TOOLS_TESTING_H

#include "base/options.h"
#include "base/testing.h"
#include "poolmalloc/stats_page.h"
#include "tools/stats_page.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>

/* The writer may be kept from its processor in the middle of an update. */
static inline bool test_read_page(const struct pm_stats_page *page, struct pm_stats_page *copy)
{
    for (int i = 0; i < 1000; i++) {
        if (pm_stats_page_read(page, copy))
            return true;
        usleep(1000);
    }
    return false;
}

/* Opens the process's page as another process does; -1: it has none of its own. */
static inline int test_open_page(pid_t process, int flags)
{
    char folder[64], path[400], target[200];
    static struct pm_stats_page copy;
    int found = -1;
    snprintf(folder, sizeof folder, "/proc/%d/fd", (int)process);
    DIR *files = opendir(folder);
    require(files != NULL);
    for (struct dirent *entry; found < 0 && (entry = readdir(files)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = 0;
        if (strcmp(target, "/memfd:" PM_STATS_PAGE_NAME " (deleted)") != 0)
            continue;
        int file = open(path, flags | O_CLOEXEC);
        require(file >= 0);
        const struct pm_stats_page *page = mmap(NULL, sizeof *page, PROT_READ, MAP_SHARED, file, 0);
        require(page != MAP_FAILED);
        if (test_read_page(page, &copy) && copy.process_id == (uint64_t)process)
            found = file;
        else
            close(file);
        munmap((void *)(uintptr_t)page, sizeof *page);
    }
    closedir(files);
    return found;
}

static inline const struct pm_stats_page *test_map_page(pid_t process)
{
    int file = test_open_page(process, O_RDONLY);
    if (file < 0)
        return NULL;
    const struct pm_stats_page *page = mmap(NULL, sizeof *page, PROT_READ, MAP_SHARED, file, 0);
    require(page != MAP_FAILED);
    close(file);
    return page;
}

/* In a child, before anything else: the options ask for a page that is brought up to date often. */
static inline void test_start_page(void)
{
    pm_option_set("stats_page_ms", "1");
    strcpy(pm_options.stats_page, "on");
    pm_stats_page_start();
}

#endif
