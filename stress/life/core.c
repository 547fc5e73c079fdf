/* SPDX-License-Identifier: MIT */
/*
 * Writes a text into a small block and into a large one, and crashes; core.sh looks for the text in
 * the core file. The program's own memory has it backwards only.
 */
#include "check.h"
#include "poolmalloc/poolmalloc.h"

#include <signal.h>
#include <string.h>

static const char backwards[] = "kcolb-a-fo-txet-eht";

static void write_text(char *block)
{
    CHECK(block != NULL, "no block");
    for (size_t i = sizeof backwards - 1; i > 0; i--)
        *block++ = backwards[i - 1];
}

int main(void)
{
    write_text(pm_malloc(100));
    write_text(pm_malloc(10000000));
    raise(SIGSEGV);
    return 0;
}
