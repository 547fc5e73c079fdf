/* SPDX-License-Identifier: MIT */
/*
 * A program that never names std::bad_alloc, nor uses a part of the C++ library that does: linked
 * statically it has none. What operator new throws it catches by the base class, and by dots.
 */
#include "check.h"

#include <cstddef>
#include <cstring>
#include <exception>

/* Compilers may drop a new and the delete of what it gave; what is hidden from them they keep. */
static char *make(std::size_t size)
{
    __asm__ volatile("" : "+r"(size));
    char *block = new char[size];
    __asm__ volatile("" : "+r"(block));
    return block;
}

int main()
{
    const std::size_t too_much = static_cast<std::size_t>(-1) / 4;
    unsigned caught = 0;
    for (int round = 0; round < 1000; round++) {
        try {
            delete[] make(too_much);
        } catch (const int &) {
            CHECK(false, "a number");
        } catch (const std::exception &error) {
            CHECK(std::strstr(error.what(), "bad_alloc"), "what() is \"%s\"", error.what());
            caught++;
        }
        try {
            delete[] make(too_much);
        } catch (...) {
            std::exception_ptr kept = std::current_exception();
            CHECK(kept != nullptr, "no exception");
            caught++;
        }
        delete[] make(100);
    }
    CHECK(caught == 2000 && std::uncaught_exceptions() == 0, "%u were caught", caught);
    return 0;
}
