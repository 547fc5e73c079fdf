/* SPDX-License-Identifier: MIT */
/*
 * Fatal errors and messages of the object layer, one named function each: a line on stderr that
 * names the type, and abort(). Where there is an object, and its allocation was traced, the stack
 * of that follows. Any thread, any state; nothing is allocated and no lock taken.
 */
#include "object/internal.h"

#include "poolmalloc/trace.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Atomic uint64_t pm_object_warnings;
const struct pm_type *pm_object_traversed;

static void write_line(const char *format, va_list args)
{
    static const char prefix[] = "poolmalloc: ";
    char line[400];
    size_t used = sizeof prefix - 1;
    __builtin_memcpy(line, prefix, used);
    int more = vsnprintf(line + used, sizeof line - used - 1, format, args);
    used += more > 0 ? (size_t)more : 0;
    if (used > sizeof line - 2)
        used = sizeof line - 2;
    line[used++] = '\n';
    while (write(STDERR_FILENO, line, used) < 0 && errno == EINTR)
        continue;
}

static _Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void fatal(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(format, args);
    va_end(args);
    abort();
}

static _Noreturn void fatal_about(const struct pm_object *object, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static _Noreturn void fatal_about(const struct pm_object *object, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(format, args);
    va_end(args);
    pm_trace_report(object);
    abort();
}

void pm_object_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(format, args);
    va_end(args);
}

void pm_object_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(format, args);
    va_end(args);
    pm_count_shared(&pm_object_warnings, 1);
}

void pm_object_fatal_type(const struct pm_type *type, const char *what)
{
    fatal("type %s: %s", type->name != NULL ? type->name : "without a name", what);
}

void pm_object_fatal_thread(const char *function, const struct pm_object *object)
{
    fatal_about(object,
                "%s(%p): type %s: the thread is not attached (pm_object_thread_attach), or paused",
                function, (const void *)object, pm_object_name(object));
}

void pm_object_fatal_unattached(const struct pm_type *type)
{
    fatal("pm_object_new: type %s: the thread is not attached (pm_object_thread_attach), or paused",
          type->name);
}

void pm_object_fatal_below_zero(const char *function, const struct pm_object *object)
{
    fatal_about(object,
                "%s(%p): type %s: reference count below zero (dropped more often than taken)",
                function, (const void *)object, pm_object_name(object));
}

void pm_object_fatal_dead(const char *function, const struct pm_object *object)
{
    fatal_about(object, "%s(%p): type %s: the object is dead, and nobody can take a reference",
                function, (const void *)object, pm_object_name(object));
}

void pm_object_fatal_too_many(const char *function, const struct pm_object *object)
{
    fatal_about(object, "%s(%p): type %s: more than %d references", function, (const void *)object,
                pm_object_name(object), PM_SHARED_MAX);
}

void pm_object_fatal_visit(const struct pm_type *type, const struct pm_object *object,
                           const char *what)
{
    fatal("type %s: its traverse visits %p, %s", type->name, (const void *)object, what);
}

void pm_object_fatal_in_traverse(const char *what)
{
    fatal("type %s: its traverse %s, with all other threads stopped",
          pm_object_traversed != NULL ? pm_object_traversed->name : "unknown", what);
}

void pm_object_fatal_wrong_type(const char *function, const struct pm_object *object,
                                const struct pm_type *wanted)
{
    fatal("%s(%p): type %s: this is no %s", function, (const void *)object, pm_object_name(object),
          wanted->name);
}

void pm_object_fatal_state(const char *function, const char *what)
{
    fatal("%s: %s", function, what);
}

void pm_object_fatal_check(const char *file, int line, const char *what)
{
    fatal("%s:%d: check failed: %s (a bug in poolmalloc, or memory overwritten by the program)",
          file, line, what);
}
