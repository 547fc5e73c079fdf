/* SPDX-License-Identifier: MIT */
/*
 * Says what a set-user-id program sees: whether the kernel says that it is one (AT_SECURE), and
 * what the allocator made of POOLMALLOC_OPTIONS. secure.sh compares. Linked statically as far as
 * can be, so that the loader, which drops variables of its own there, has no part in it.
 */
#include "life.h"
#include "poolmalloc/poolmalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    struct rng rng = rng_make(161, 0);
    struct pm_stats stats;
    struct statvfs filesystem;
    (void)count;
    use_heap(&rng, 2);
    CHECK(pm_stats_get(&stats), "no statistics");
    CHECK(statvfs(arguments[0], &filesystem) == 0, "no file system");
    printf("secure %lu\n", getauxval(AT_SECURE));
    printf("nosuid %d\n", (filesystem.f_flag & ST_NOSUID) != 0);
    printf("no_new_privs %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    printf("variable %d\n", getenv("POOLMALLOC_OPTIONS") != NULL);
    printf("reserved %llu\n", (unsigned long long)stats.bytes_reserved);
    return 0;
}
