/* SPDX-License-Identifier: MIT */
/*
 * The assertion of the stress and conformance programs: they must build with any C library, so no
 * test framework. A failed CHECK prints one line, with a message that the caller formats, and ends
 * the program at once: after the first violation the heap's state proves nothing more.
 */
#ifndef STRESS_CHECK_H
#define STRESS_CHECK_H

#ifdef __cplusplus
extern "C" {
#endif

/* Prints "file:line: condition: message" and aborts. Uses no memory from the allocator. */
void check_failed(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold, noreturn));

/* Text printed with every failure (the replay line of a seeded program); must stay valid. */
void check_set_context(const char *text);

#ifdef __cplusplus
}
#endif

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            check_failed(__FILE__, __LINE__, #condition, __VA_ARGS__);                             \
    } while (0)

#endif
