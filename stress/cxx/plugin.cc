/* SPDX-License-Identifier: MIT */
/* A C++ library that a C program loads, for itself alone: see loader.c. */
#include "check.h"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <string>

extern "C" __attribute__((visibility("default"))) void plugin_run();

static unsigned calls;

static bool is_thrown(std::size_t size)
{
    __asm__("" : "+r"(size));
    try {
        ::operator delete(::operator new(size));
        return false;
    } catch (const std::bad_alloc &) {
        return true;
    }
}

static bool is_null(std::size_t size)
{
    __asm__("" : "+r"(size));
    void *block = ::operator new(size, std::nothrow);
    ::operator delete(block);
    return block == nullptr;
}

/* The array forms come to the others by a jump, so that who called is seen. */
static bool is_thrown_for_arrays(std::size_t size)
{
    __asm__("" : "+r"(size));
    try {
        ::operator delete[](::operator new[](size));
        return false;
    } catch (const std::bad_alloc &) {
    }
    try {
        ::operator delete[](::operator new[](size, std::align_val_t(64)), std::align_val_t(64));
        return false;
    } catch (const std::bad_alloc &) {
    }
    return true;
}

void plugin_run()
{
    CHECK(!is_thrown(1000) && !is_null(1000), "no block");
    CHECK(is_thrown(PTRDIFF_MAX) && is_null(PTRDIFF_MAX), "a block");
    CHECK(is_thrown_for_arrays(PTRDIFF_MAX), "an array");
    std::set_new_handler([] {
        calls++;
        throw std::bad_alloc();
    });
    CHECK(is_thrown(PTRDIFF_MAX) && calls == 1, "%u calls of the handler", calls);
    CHECK(is_null(PTRDIFF_MAX) && calls == 2, "%u calls of the handler", calls);
    CHECK(std::uncaught_exceptions() == 0, "an exception is left over");
    std::set_new_handler(nullptr);
    try { /* thrown inside the C++ library */
        std::string text(10, 'x');
        text.reserve(text.max_size() - 1);
        CHECK(text.empty(), "an endless string");
    } catch (const std::bad_alloc &) {
    }
}
