/* SPDX-License-Identifier: MIT */
/*
 * What AddressSanitizer says of memory errors in blocks of ours (lib/base/asan.h): each case makes
 * one bad access in a child, whose report has to name just that access, at just that address. The
 * case "clean" makes none and has to stay silent. For builds with AddressSanitizer only.
 * Usage: asan CASE|all
 */
#include "cases.h"

#include "check.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Names of functions are not asked for, and cost most of the time. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "symbolize=0:detect_leaks=0";
}

/* What the child is about to do; the parent reads it afterwards. */
struct announced {
    uintptr_t address;
    bool is_write;
};
static struct announced *announced;

static void *shared_page(void)
{
    void *page = mmap(NULL, sizeof(struct announced), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED, "no page from the system");
    return page;
}

void bad_read(const void *address)
{
    *announced = (struct announced){(uintptr_t)address, false};
    (void)*(const volatile char *)address;
}

void bad_write(void *address)
{
    *announced = (struct announced){(uintptr_t)address, true};
    *(volatile char *)address = 1;
}

static void run_child(const struct asan_case *c, int report)
{
    dup2(report, STDERR_FILENO);
    close(report);
    c->run(c->size);
    _exit(0);
}

/* All that the child writes; what does not fit is left out. */
static void collect(int from, char *text, size_t size)
{
    size_t used = 0;
    char rest[512];
    ssize_t n;
    while ((n = read(from, rest, sizeof rest)) > 0) {
        size_t fits = (size_t)n < size - 1 - used ? (size_t)n : size - 1 - used;
        memcpy(text + used, rest, fits);
        used += fits;
    }
    text[used] = 0;
}

/* What is wrong with the child's end, or NULL. */
static const char *judge(int status, const char *report)
{
    static const char name[] = "AddressSanitizer: use-after-poison on address ";
    if (announced->address == 0) /* no bad access was made */
        return status == 0 && report[0] == 0 ? NULL : "was to stay silent";
    if (status == 0)
        return "was not reported";
    const char *found = strstr(report, name);
    if (found == NULL)
        return "ended otherwise than by a report of use-after-poison";
    if (strtoull(found + sizeof name - 1, NULL, 16) != announced->address)
        return "was reported with another address";
    if (strstr(report, announced->is_write ? "WRITE of size 1 " : "READ of size 1 ") == NULL)
        return "was reported as another kind of access";
    return NULL;
}

static bool try_case(const struct asan_case *c)
{
    static char report[1 << 16];
    int ends[2], status = -1;
    *announced = (struct announced){0, false};
    CHECK(pipe(ends) == 0, "no pipe");
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0, "no fork");
    if (child == 0) {
        close(ends[0]);
        run_child(c, ends[1]);
    }
    close(ends[1]);
    collect(ends[0], report, sizeof report);
    close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child, "no child");
    const char *problem = judge(status, report);
    printf("%s: %s %#" PRIxPTR " %s\n", c->name, announced->is_write ? "write at" : "read at",
           announced->address, problem ? problem : "as it should be");
    if (problem != NULL)
        printf("status %#x, stderr: %s\n", (unsigned)status, report);
    return problem == NULL;
}

int main(int count, char **arguments)
{
    unsigned tried = 0, failed = 0;
    CHECK(count == 2, "usage: asan CASE|all");
    announced = shared_page();
    for (const struct asan_case *c = asan_cases; c->name != NULL; c++) {
        if (strcmp(arguments[1], "all") != 0 && strcmp(arguments[1], c->name) != 0)
            continue;
        tried++;
        failed += !try_case(c);
    }
    CHECK(tried > 0, "no case is named \"%s\"", arguments[1]);
    printf("%u tried, %u failed\n", tried, failed);
    return failed != 0;
}
