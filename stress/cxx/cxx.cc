/* SPDX-License-Identifier: MIT */
/* See cxx.hpp. */
#include "cxx.hpp"

#include <cstdio>
#include <cstring>

#if CXX_REACHED == CXX_SHARED || CXX_REACHED == CXX_PRELOAD
#include <dlfcn.h>
#endif

using std::align_val_t;
using std::nothrow;
using std::size_t;

const maker makers[maker_count] = {
    {"new", [](size_t size, size_t) { return ::operator new(size); }, false, false, false},
    {"new[]", [](size_t size, size_t) { return ::operator new[](size); }, false, false, true},
    {"nothrow new", [](size_t size, size_t) { return ::operator new(size, nothrow); }, false, true,
     false},
    {"nothrow new[]", [](size_t size, size_t) { return ::operator new[](size, nothrow); }, false,
     true, true},
    {"aligned new", [](size_t size, size_t to) { return ::operator new(size, align_val_t(to)); },
     true, false, false},
    {"aligned new[]",
     [](size_t size, size_t to) { return ::operator new[](size, align_val_t(to)); }, true, false,
     true},
    {"aligned nothrow new",
     [](size_t size, size_t to) { return ::operator new(size, align_val_t(to), nothrow); }, true,
     true, false},
    {"aligned nothrow new[]",
     [](size_t size, size_t to) { return ::operator new[](size, align_val_t(to), nothrow); }, true,
     true, true},
};

/* The sized forms by their names: without -fsized-deallocation, clang does not declare them. */
extern "C" {
void _ZdlPvm(void *block, size_t size);
void _ZdaPvm(void *block, size_t size);
void _ZdlPvmSt11align_val_t(void *block, size_t size, size_t alignment);
void _ZdaPvmSt11align_val_t(void *block, size_t size, size_t alignment);
}

const taker takers[taker_count] = {
    {"delete", [](void *block, size_t, size_t) { ::operator delete(block); }, false, false},
    {"delete[]", [](void *block, size_t, size_t) { ::operator delete[](block); }, false, true},
    {"sized delete", [](void *block, size_t size, size_t) { _ZdlPvm(block, size); }, false, false},
    {"sized delete[]", [](void *block, size_t size, size_t) { _ZdaPvm(block, size); }, false, true},
    {"nothrow delete", [](void *block, size_t, size_t) { ::operator delete(block, nothrow); },
     false, false},
    {"nothrow delete[]", [](void *block, size_t, size_t) { ::operator delete[](block, nothrow); },
     false, true},
    {"aligned delete",
     [](void *block, size_t, size_t to) { ::operator delete(block, align_val_t(to)); }, true,
     false},
    {"aligned delete[]",
     [](void *block, size_t, size_t to) { ::operator delete[](block, align_val_t(to)); }, true,
     true},
    {"sized aligned delete", _ZdlPvmSt11align_val_t, true, false},
    {"sized aligned delete[]", _ZdaPvmSt11align_val_t, true, true},
    {"aligned nothrow delete",
     [](void *block, size_t, size_t to) { ::operator delete(block, align_val_t(to), nothrow); },
     true, false},
    {"aligned nothrow delete[]",
     [](void *block, size_t, size_t to) { ::operator delete[](block, align_val_t(to), nothrow); },
     true, true},
};

void take(const maker &maker, void *block, size_t size, size_t alignment)
{
    for (const taker &taker : takers) {
        if (fits(maker, taker)) {
            taker.take(block, size, alignment);
            return;
        }
    }
}

#if CXX_REACHED == CXX_SHARED || CXX_REACHED == CXX_PRELOAD

pm_stats counters()
{
    bool (*get)(pm_stats *);
    pm_stats stats;
    *reinterpret_cast<void **>(&get) = dlsym(RTLD_DEFAULT, "pm_stats_get");
    CHECK(get != nullptr && get(&stats), "no poolmalloc is there");
    return stats;
}

/* Those that the C++ library itself calls are found in the same way. */
void check_that_operators_are_ours()
{
    static const char *const names[] = {"_Znwm",
                                        "_Znam",
                                        "_ZnwmRKSt9nothrow_t",
                                        "_ZnamRKSt9nothrow_t",
                                        "_ZnwmSt11align_val_t",
                                        "_ZnamSt11align_val_t",
                                        "_ZnwmSt11align_val_tRKSt9nothrow_t",
                                        "_ZnamSt11align_val_tRKSt9nothrow_t",
                                        "_ZdlPv",
                                        "_ZdaPv",
                                        "_ZdlPvm",
                                        "_ZdaPvm",
                                        "_ZdlPvRKSt9nothrow_t",
                                        "_ZdaPvRKSt9nothrow_t",
                                        "_ZdlPvSt11align_val_t",
                                        "_ZdaPvSt11align_val_t",
                                        "_ZdlPvmSt11align_val_t",
                                        "_ZdaPvmSt11align_val_t",
                                        "_ZdlPvSt11align_val_tRKSt9nothrow_t",
                                        "_ZdaPvSt11align_val_tRKSt9nothrow_t"};
    static_assert(sizeof names / sizeof *names == maker_count + taker_count, "all forms");
    for (const char *name : names) {
        Dl_info info;
        void *symbol = dlsym(RTLD_DEFAULT, name);
        CHECK(symbol && dladdr(symbol, &info) && info.dli_fname, "no %s", name);
        CHECK(std::strstr(info.dli_fname, "libpoolmalloc"), "%s is of %s", name, info.dli_fname);
    }
}

#elif CXX_REACHED == CXX_STATIC

/* It stands in the file that has all the operators, and in no other that a program asks for. */
extern "C" const char pm_cxx_runtime_of __attribute__((weak));

pm_stats counters()
{
    pm_stats stats;
    CHECK(pm_stats_get(&stats), "no poolmalloc is there");
    return stats;
}

void check_that_operators_are_ours()
{
    CHECK(&pm_cxx_runtime_of != nullptr, "the operators are not poolmalloc's");
}

#endif

int run(int count, char **arguments, const property *properties, size_t number)
{
    size_t done = 0;
    for (size_t i = 0; i < number; i++) {
        if (count > 1 && std::strcmp(arguments[1], properties[i].name) != 0)
            continue;
        std::printf("%s\n", properties[i].name);
        std::fflush(stdout);
        check_set_context(properties[i].name);
        properties[i].test();
        done++;
    }
    check_set_context(nullptr);
    CHECK(done > 0, "no property is named \"%s\"", arguments[1]);
    return 0;
}
