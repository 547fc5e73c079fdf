/* SPDX-License-Identifier: MIT */
/*
 * One misuse per run that the debug hooks, or mode hardened, have to name. Prints the pointer that
 * the report must show, then misuses it; coming back from it, and ending well, is status 1.
 * misuse_test.py runs this and judges; cases.txt has what the report must say. Usage: misuse CASE
 */
#include "debug/misuse.h"
#include "poolmalloc/poolmalloc.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

char *told(void *pointer)
{
    CHECK(pointer, "no memory");
    printf("%#lx\n", (unsigned long)(uintptr_t)pointer);
    fflush(stdout);
    return opaque(pointer);
}

char *block(void)
{
    return told(api_malloc(size));
}

void free_many(size_t bytes)
{
    for (int i = 0; i < many; i++)
        api_free(opaque(api_malloc(bytes)));
}

static const struct misuse_case *find(const struct misuse_case *table, const char *name)
{
    while (table->name != NULL && strcmp(table->name, name) != 0)
        table++;
    return table->name == NULL ? NULL : table;
}

int main(int count, char **arguments)
{
    static const struct misuse_case *const tables[] = {misuse_of_frees, misuse_of_accesses,
                                                       misuse_of_kinds};
    static char output[BUFSIZ]; /* no block of stdio's */
    setvbuf(stdout, output, _IOFBF, sizeof output);
    CHECK(count == 2, "usage: misuse CASE");
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const struct misuse_case *found = find(tables[i], arguments[1]);
        if (found == NULL)
            continue;
        found->misuse();
        printf("the misuse was not caught\n");
        return 1;
    }
    CHECK(0, "no case is named \"%s\"", arguments[1]);
}
