/* SPDX-License-Identifier: MIT */
/*
 * operator new without memory: the new-handler, std::bad_alloc, and NULL of the nothrow forms, as
 * the standard has it ([new.delete], [new.handler]). It is right of every C++ runtime, too, and is
 * run with the runtime's own operators beside ours.
 * Usage: failing [PROPERTY]; POOLMALLOC_OPTIONS=window_bytes=16m, for the one that frees memory
 */
#include "cxx.hpp"

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using std::size_t;

static unsigned calls;

/* What came of a call: nothing was thrown, or what it says. */
enum outcome { got_block, got_null, got_bad_alloc, got_derived, got_number };

struct derived : std::bad_alloc {
    static int alive;
    derived()
    {
        alive++;
    }
    derived(const derived &other) : std::bad_alloc(other)
    {
        alive++;
    }
    ~derived() override
    {
        alive--;
    }
    const char *what() const noexcept override
    {
        return "derived";
    }
};
int derived::alive;

/* Frames with something to destroy lie between the throw and the catch. */
static outcome try_to_make(const maker &maker, size_t size, size_t alignment)
{
    try {
        std::string text(100, 'x');
        void *block = maker.make(size, alignment);
        take(maker, block, size, alignment);
        return block != nullptr ? got_block : got_null;
    } catch (const derived &) {
        return got_derived;
    } catch (const std::bad_alloc &error) {
        CHECK(std::strstr(error.what(), "bad_alloc"), "what() is \"%s\"", error.what());
        return got_bad_alloc;
    } catch (int number) {
        CHECK(number == 7, "%d was caught", number);
        return got_number;
    }
}

static void check_outcomes(outcome of_throwing, unsigned of_calls)
{
    for (const maker &maker : makers) {
        for (int round = 0; round < 3; round++) {
            calls = 0;
            std::new_handler handler = std::get_new_handler();
            outcome got = try_to_make(maker, too_much(), 64);
            outcome wanted = maker.nothrow ? got_null : of_throwing;
            CHECK(got == wanted, "%s: outcome %d, not %d", maker.name, got, wanted);
            CHECK(calls == of_calls, "%s: %u calls of the handler", maker.name, calls);
            CHECK(std::uncaught_exceptions() == 0 && !std::current_exception() &&
                      derived::alive == 0,
                  "%s: an exception is left over", maker.name);
            std::set_new_handler(handler);
        }
    }
}

static void without_a_handler_it_is_bad_alloc_or_null()
{
    CHECK(std::get_new_handler() == nullptr, "there is a handler");
    check_outcomes(got_bad_alloc, 0);
}

static void the_handler_is_called_until_there_is_none()
{
    std::set_new_handler([] {
        if (++calls == 3)
            std::set_new_handler(nullptr);
    });
    check_outcomes(got_bad_alloc, 3);
    std::set_new_handler(nullptr);
}

static void what_the_handler_throws_comes_out_of_throwing_forms_only()
{
    std::set_new_handler([] {
        calls++;
        throw derived();
    });
    check_outcomes(got_derived, 1);
    std::set_new_handler([] {
        calls++;
        throw 7;
    });
    check_outcomes(got_number, 1);
    std::set_new_handler(nullptr);
}

/* A handler may itself ask for memory, in vain, at each level with a handler of its own. */
static void handlers_may_fail_inside_handlers()
{
    std::set_new_handler([] {
        calls++;
        std::set_new_handler([] {
            calls++;
            throw derived();
        });
        CHECK(::operator new(too_much(), std::nothrow) == nullptr, "a block");
        CHECK(try_to_make(makers[0], too_much(), 64) == got_derived, "another exception");
        throw 7;
    });
    check_outcomes(got_number, 3);
    std::set_new_handler(nullptr);
}

static std::jmp_buf way_out;

/* Out of a call within a call, whose frame is overwritten then; the one that is left catches. */
static void a_handler_may_leave_by_longjmp()
{
    std::set_new_handler([] {
        calls++;
        std::set_new_handler([] {
            calls++;
            std::longjmp(way_out, 1);
        });
        if (setjmp(way_out) == 0)
            CHECK(::operator new(too_much(), std::nothrow) == nullptr, "a block");
        volatile unsigned char frame[4096];
        for (volatile unsigned char &byte : frame)
            byte = 0x5a;
        throw 7;
    });
    check_outcomes(got_number, 2);
    std::set_new_handler(nullptr);
}

static void an_alignment_that_is_none_is_bad_alloc_or_null()
{
    for (const maker &maker : makers)
        if (maker.aligned)
            for (size_t alignment : {size_t(0), size_t(24), size_t(65)})
                CHECK(try_to_make(maker, 100, alignment) ==
                          (maker.nothrow ? got_null : got_bad_alloc),
                      "%s: alignment %zu", maker.name, alignment);
}

/* A limit of address space, most of which is held by something that the handler can free. */
static void *reserve;
static const size_t reserve_bytes = size_t(1) << 30, wanted_bytes = size_t(700) << 20;

static size_t address_space()
{
    size_t pages = 0;
    std::FILE *file = std::fopen("/proc/self/statm", "r");
    CHECK(file && std::fscanf(file, "%zu", &pages) == 1, "no /proc/self/statm");
    std::fclose(file);
    return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

static void free_the_reserve()
{
    calls++;
    munmap(reserve, reserve_bytes);
    std::set_new_handler(nullptr);
}

static void fail_once_and_succeed(const maker &maker)
{
    reserve = mmap(nullptr, reserve_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(reserve != MAP_FAILED, "no reserve");
    rlimit limit = {address_space() + (size_t(100) << 20), RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "no limit");
    std::set_new_handler(free_the_reserve);
    void *block = maker.make(wanted_bytes, 64);
    CHECK(block && calls == 1, "%s: %u calls of the handler", maker.name, calls);
    std::memset(block, 1, 4096);
    take(maker, block, wanted_bytes, 64);
}

/* Each in a process of its own: what the allocator got once it keeps. */
static void the_handler_frees_memory_and_the_call_succeeds()
{
    for (const maker &maker : makers) {
        int status = -1;
        calls = 0;
        pid_t child = fork();
        CHECK(child >= 0, "no child");
        if (child == 0) {
            fail_once_and_succeed(maker);
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child && status == 0, "%s: status %d", maker.name,
              status);
    }
}

static void ten_thousand_failures_leave_nothing_behind()
{
    std::set_new_handler([] { throw derived(); });
    for (int i = 0; i < 10000; i++)
        CHECK(try_to_make(makers[2], too_much(), 64) == got_null, "failure %d", i);
    std::set_new_handler(nullptr);
    CHECK(derived::alive == 0, "%d exceptions are alive", derived::alive);
}

int main(int count, char **arguments)
{
#if CXX_REACHED != CXX_RUNTIME
    check_that_operators_are_ours();
#endif
    static const property properties[] = {
        PROPERTY(without_a_handler_it_is_bad_alloc_or_null),
        PROPERTY(the_handler_is_called_until_there_is_none),
        PROPERTY(what_the_handler_throws_comes_out_of_throwing_forms_only),
        PROPERTY(handlers_may_fail_inside_handlers),
        PROPERTY(a_handler_may_leave_by_longjmp),
        PROPERTY(an_alignment_that_is_none_is_bad_alloc_or_null),
        PROPERTY(the_handler_frees_memory_and_the_call_succeeds),
        PROPERTY(ten_thousand_failures_leave_nothing_behind),
    };
    return run(count, arguments, properties, sizeof properties / sizeof *properties);
}
