/* SPDX-License-Identifier: MIT */
/*
 * A C program calls operator new and delete, as one may that is linked to objects of C++ without
 * their runtime (-fno-exceptions, -nostdlib++): they serve, the nothrow form says NULL, and where
 * an exception would have to be thrown the program ends with a message.
 */
#include "check.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

void *operator_new(size_t size) __asm__("_Znwm");
void *operator_new_nothrow(size_t size, const void *tag) __asm__("_ZnwmRKSt9nothrow_t");
void operator_delete(void *block) __asm__("_ZdlPv");
extern const char cxa_throw __asm__("__cxa_throw") __attribute__((weak));

static void die(int to)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    dup2(to, STDERR_FILENO);
    void *volatile block = operator_new(PTRDIFF_MAX);
    (void)block;
}

static void a_failure_ends_the_program_with_one_line(void)
{
    static const char start[] = "poolmalloc: operator new(9223372036854775807): out of memory";
    char text[1000] = "";
    int ends[2], status = 0;
    CHECK(pipe(ends) == 0, "no pipe");
    pid_t child = fork();
    CHECK(child >= 0, "no child");
    if (child == 0) {
        die(ends[1]);
        _exit(0);
    }
    close(ends[1]);
    CHECK(read(ends[0], text, sizeof text - 1) > 0, "no line");
    CHECK(waitpid(child, &status, 0) == child, "no child");
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %#x", (unsigned)status);
    CHECK(strncmp(text, start, sizeof start - 1) == 0 && strchr(text, '\n'), "it says \"%s\"",
          text);
    const char *end = strchr(text, '\n') + 1; /* an emulator has a line of its own */
    CHECK(*end == 0 || strncmp(end, "qemu: ", 6) == 0, "more than one line: %s", text);
}

int main(void)
{
    CHECK(&cxa_throw == NULL, "there is a C++ runtime");
    for (size_t size = 0; size < 100000; size = size * 2 + 1) {
        char *volatile block = operator_new(size), *volatile other = operator_new_nothrow(size, "");
        CHECK(block && other && block != other, "no block of %zu bytes", size);
        memset(block, 1, size);
        memset(other, 2, size);
        operator_delete(block);
        operator_delete(other);
    }
    /* Volatile: clang knows the name, and that a block is nowhere else in use. */
    void *volatile refused = operator_new_nothrow(PTRDIFF_MAX, "");
    CHECK(refused == NULL, "a block");
    a_failure_ends_the_program_with_one_line();
    return 0;
}
