/* SPDX-License-Identifier: MIT */
/* See report.h. */
#define _GNU_SOURCE /* syscall */
#include "base/report.h"
#include "base/atomic.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct out {
    char *to;
    size_t size, length;
};

static void put(struct out *out, char c)
{
    if (out->length + 1 < out->size)
        out->to[out->length] = c;
    out->length++;
}

static void put_text(struct out *out, const char *text)
{
    for (text = text ? text : "(null)"; *text; text++)
        put(out, *text);
}

static void put_number(struct out *out, uint64_t n, unsigned radix)
{
    char digits[20];
    unsigned length = 0;
    do {
        digits[length++] = "0123456789abcdef"[n % radix];
        n /= radix;
    } while (n != 0);
    while (length > 0)
        put(out, digits[--length]);
}

size_t pm_vformat(char *to, size_t size, const char *format, va_list args)
{
    struct out out = {to, size, 0};
    for (; *format; format++) {
        if (*format != '%') {
            put(&out, *format);
            continue;
        }
        switch (*++format) {
        case 's':
            put_text(&out, va_arg(args, const char *));
            break;
        case 'c':
            put(&out, (char)va_arg(args, int));
            break;
        case 'p':
            put_text(&out, "0x");
            put_number(&out, (uintptr_t)va_arg(args, void *), 16);
            break;
        case 'u':
            put_number(&out, va_arg(args, unsigned), 10);
            break;
        case 'x':
            put_number(&out, va_arg(args, unsigned), 16);
            break;
        case 'z': /* zu */
            format++;
            put_number(&out, va_arg(args, size_t), 10);
            break;
        case 'l': /* lu */
            format++;
            put_number(&out, va_arg(args, unsigned long), 10);
            break;
        default:
            put(&out, '%');
        }
    }
    if (size > 0)
        to[out.length < size ? out.length : size - 1] = 0;
    return out.length;
}

size_t pm_format(char *to, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t length = pm_vformat(to, size, format, args);
    va_end(args);
    return length;
}

/* One write, so that the lines of several threads do not mix. Not write(): that is a cancellation
 * point, at which a report could end. */
static void write_text(const char *text, size_t bytes)
{
    int saved_errno = errno;
    syscall(SYS_write, STDERR_FILENO, text, bytes);
    errno = saved_errno;
}

static void write_line(const char *format, va_list args)
{
    char line[400];
    size_t used = pm_format(line, sizeof line, "poolmalloc: ");
    used += pm_vformat(line + used, sizeof line - used - 1, format, args);
    if (used > sizeof line - 2)
        used = sizeof line - 2;
    line[used++] = '\n';
    write_text(line, used);
}

void pm_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(format, args);
    va_end(args);
}

void pm_print(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    size_t used = pm_vformat(text, sizeof text, format, args);
    va_end(args);
    write_text(text, used < sizeof text ? used : sizeof text - 1);
}

/* Release and acquire: what it needs is there. NULL: nobody knows more, or it was called. */
static void (*_Atomic tell_more)(void);

void pm_fatal_set_more(void (*more)(void))
{
    pm_store_release(&tell_more, more);
}

static _Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void fatal(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(format, args);
    va_end(args);
    void (*more)(void) = pm_exchange_acq_rel(&tell_more, NULL);
    if (more != NULL)
        more();
    abort();
}

void pm_fatal_foreign(const char *function, const void *ptr)
{
    fatal("%s(%p): not a block of this allocator (stack, static or mapped memory, or another "
          "allocator's)",
          function, ptr);
}

void pm_fatal_not_allocated(const char *function, const void *ptr)
{
    fatal("%s(%p): not allocated (freed already, or inside a free region)", function, ptr);
}

void pm_fatal_interior(const char *function, const void *ptr, const void *start, size_t block_bytes)
{
    fatal("%s(%p): points inside a block, not at its start (block %p of %zu bytes)", function, ptr,
          start, block_bytes);
}

void pm_fatal_double_free(const char *function, const void *ptr)
{
    fatal("%s(%p): freed twice (more blocks of its pool came back than were out)", function, ptr);
}

void pm_fatal_circular(const void *pool, size_t block_bytes)
{
    fatal(
        "a list of free blocks is damaged (pool %p, blocks of %zu bytes): a block was freed twice, "
        "or written to after it was freed",
        pool, block_bytes);
}

void pm_fatal_wrong_size(const char *function, const void *ptr, size_t given, size_t usable)
{
    fatal("%s(%p): size or alignment %zu does not fit the block, which holds %zu bytes", function,
          ptr, given, usable);
}

void pm_fatal_no_exception(size_t size)
{
    fatal("operator new(%zu): out of memory, and no C++ runtime is there to throw std::bad_alloc",
          size);
}

void pm_fatal_no_heap(const char *function, const void *heap)
{
    fatal("%s(%p): not a user heap, or one that was destroyed", function, heap);
}

void pm_fatal_reentered(void)
{
    fatal("the allocator was called from a signal handler that interrupted the allocator in the "
          "same thread; POSIX allows only async-signal-safe functions there");
}

void pm_fatal_in_hook(void)
{
    fatal("the allocator was called from a hook that it had called (poolmalloc/hooks.h); hooks "
          "must not allocate or free by it");
}

void pm_fatal_check(const char *file, int line, const char *what)
{
    fatal("%s:%u: check failed: %s (a bug in poolmalloc, or memory overwritten by the program)",
          file, (unsigned)line, what);
}
