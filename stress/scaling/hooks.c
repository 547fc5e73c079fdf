/* SPDX-License-Identifier: MIT */
/*
 * What the compiler calls before each load and store of code that it compiles for ThreadSanitizer:
 * here it is the directory of lines that is told. The sanitizer's own library is not linked. The
 * atomic operations are done here, whatever order was asked for: one thread runs at a time.
 */
#include "scaling/lines.h"

#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

/* None of these has a declaration anywhere. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wmissing-declarations"

EXPORTED void __tsan_init(void) {}

EXPORTED void __tsan_func_entry(void *caller)
{
    (void)caller;
}

EXPORTED void __tsan_func_exit(void) {}

EXPORTED void __tsan_read_range(void *at, size_t bytes)
{
    lines_access((uintptr_t)at, bytes, LINES_LOAD);
}

EXPORTED void __tsan_write_range(void *at, size_t bytes)
{
    lines_access((uintptr_t)at, bytes, LINES_STORE);
}

/* Newer clangs have these in place of the C library's. */
static void copied(void *to, const void *from, size_t bytes)
{
    if (bytes == 0)
        return;
    lines_access((uintptr_t)from, bytes, LINES_LOAD);
    lines_access((uintptr_t)to, bytes, LINES_STORE);
}

EXPORTED void *__tsan_memcpy(void *to, const void *from, size_t bytes)
{
    copied(to, from, bytes);
    return memcpy(to, from, bytes);
}

EXPORTED void *__tsan_memmove(void *to, const void *from, size_t bytes)
{
    copied(to, from, bytes);
    return memmove(to, from, bytes);
}

EXPORTED void *__tsan_memset(void *to, int value, size_t bytes)
{
    if (bytes != 0)
        lines_access((uintptr_t)to, bytes, LINES_STORE);
    return memset(to, value, bytes);
}

#define PLAIN(bytes)                                                                               \
    EXPORTED void __tsan_read##bytes(void *at)                                                     \
    {                                                                                              \
        lines_access((uintptr_t)at, bytes, LINES_LOAD);                                            \
    }                                                                                              \
    EXPORTED void __tsan_write##bytes(void *at)                                                    \
    {                                                                                              \
        lines_access((uintptr_t)at, bytes, LINES_STORE);                                           \
    }                                                                                              \
    EXPORTED void __tsan_unaligned_read##bytes(void *at)                                           \
    {                                                                                              \
        lines_access((uintptr_t)at, bytes, LINES_LOAD);                                            \
    }                                                                                              \
    EXPORTED void __tsan_unaligned_write##bytes(void *at)                                          \
    {                                                                                              \
        lines_access((uintptr_t)at, bytes, LINES_STORE);                                           \
    }

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

#define UPDATE(bits, type, name, operation)                                                        \
    EXPORTED type __tsan_atomic##bits##_##name(volatile type *at, type value, int order)           \
    {                                                                                              \
        type old = *at;                                                                            \
        (void)order;                                                                               \
        *at = (type)(operation);                                                                   \
        lines_update((uintptr_t)at, sizeof *at, old, *at);                                         \
        return old;                                                                                \
    }

#define ATOMIC(bits, type)                                                                         \
    EXPORTED type __tsan_atomic##bits##_load(const volatile type *at, int order)                   \
    {                                                                                              \
        (void)order;                                                                               \
        lines_access((uintptr_t)at, sizeof *at, LINES_LOAD);                                       \
        return *at;                                                                                \
    }                                                                                              \
    EXPORTED void __tsan_atomic##bits##_store(volatile type *at, type value, int order)            \
    {                                                                                              \
        (void)order;                                                                               \
        lines_access((uintptr_t)at, sizeof *at, LINES_STORE);                                      \
        *at = value;                                                                               \
    }                                                                                              \
    UPDATE(bits, type, exchange, value)                                                            \
    UPDATE(bits, type, fetch_add, old + value)                                                     \
    UPDATE(bits, type, fetch_sub, old - value)                                                     \
    UPDATE(bits, type, fetch_or, old | value)                                                      \
    UPDATE(bits, type, fetch_and, old &value)                                                      \
    UPDATE(bits, type, fetch_xor, old ^ value)                                                     \
    EXPORTED int __tsan_atomic##bits##_compare_exchange_strong(volatile type *at, type *expected,  \
                                                               type value, int order, int failure) \
    {                                                                                              \
        type old = *at;                                                                            \
        bool same = old == *expected;                                                              \
        (void)order, (void)failure;                                                                \
        *at = same ? value : old;                                                                  \
        *expected = old;                                                                           \
        lines_update((uintptr_t)at, sizeof *at, old, *at);                                         \
        return same;                                                                               \
    }                                                                                              \
    EXPORTED int __tsan_atomic##bits##_compare_exchange_weak(volatile type *at, type *expected,    \
                                                             type value, int order, int failure)   \
    {                                                                                              \
        return __tsan_atomic##bits##_compare_exchange_strong(at, expected, value, order, failure); \
    }                                                                                              \
    EXPORTED type __tsan_atomic##bits##_compare_exchange_val(volatile type *at, type expected,     \
                                                             type value, int order, int failure)   \
    {                                                                                              \
        __tsan_atomic##bits##_compare_exchange_strong(at, &expected, value, order, failure);       \
        return expected;                                                                           \
    }

ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)

EXPORTED void __tsan_atomic_thread_fence(int order)
{
    (void)order;
}

EXPORTED void __tsan_atomic_signal_fence(int order)
{
    (void)order;
}
