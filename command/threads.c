/* SPDX-License-Identifier: MIT */
/* A watched process: what its threads are called. See watched.h. */
#include "watched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In a container the process knows its threads by other numbers than its folder does. 0: none. */
static uint64_t id_outside(const struct watched *w, uint64_t own_id)
{
    uint64_t found = 0;
    DIR *folder = open_folder(w, "task");
    if (folder == NULL)
        return 0;
    for (struct dirent *entry; found == 0 && (entry = readdir(folder)) != NULL;) {
        char file[sizeof "task//status" + sizeof entry->d_name], ids[256];
        snprintf(file, sizeof file, "task/%s/status", entry->d_name);
        if (entry->d_name[0] != '.' && read_field(w, file, "NSpid", ids, sizeof ids) &&
            last_number(ids) == own_id)
            found = strtoull(entry->d_name, NULL, 10);
    }
    closedir(folder);
    return found;
}

void thread_name(const struct watched *w, uint64_t own_id, char name[WATCHED_NAME_BYTES])
{
    char file[64];
    uint64_t id = w->own_pid == (uint64_t)w->pid ? own_id : id_outside(w, own_id);
    snprintf(file, sizeof file, "task/%lu/comm", (unsigned long)id);
    if (!read_line(w, file, name, WATCHED_NAME_BYTES))
        name[0] = 0;
    clean(name);
}
