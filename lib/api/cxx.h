/* SPDX-License-Identifier: MIT */
/*
 * What operator new needs of the C++ runtime, where there is one: the program's new-handler, an
 * exception to throw, and to catch what others throw. All of it is reached by weak references, so
 * that the library needs no C++ runtime and a C program gets none. Only calls that find no memory,
 * and nothrow forms of operators that the program replaced, come here. Any thread.
 */
#ifndef PM_API_CXX_H
#define PM_API_CXX_H

#include "base/bits.h"

#include <unwind.h>

/* NULL: not there. All runtimes of the Itanium C++ ABI have these names (libstdc++, libc++abi). */
struct pm_cxx_runtime {
    void (*(*get_new_handler)(void))(void);
    void *(*allocate_exception)(size_t bytes);
    void (*throw_exception)(void *exception, const void *type, void (*destructor)(void *));
    void *(*begin_catch)(void *exception);
    void (*end_catch)(void);
    const void *bad_alloc_type;    /* its std::type_info */
    void *const *bad_alloc_vtable; /* with the two words that stand before the functions */
    void (*bad_alloc_destructor)(void *exception);
    const void *exception_type;  /* that of std::exception */
    void *const *derived_vtable; /* of the type_info of a class with one base */
    void (*set_register)(struct _Unwind_Context *context, int number, _Unwind_Word value);
    void (*set_address)(struct _Unwind_Context *context, _Unwind_Ptr address);
};

/* The runtime that this library sees; if it sees none, that of the library in which the address
 * `caller` lies, which a C program may have loaded. Takes locks of the loader. */
struct pm_cxx_runtime pm_cxx_runtime_of(const void *caller);

/* std::bad_alloc. Where it cannot be thrown the program ends, with a message that names `size`. */
_Noreturn void pm_cxx_throw_bad_alloc(const struct pm_cxx_runtime *runtime, size_t size);

/*
 * call(argument), or NULL when that ended by an exception, whichever: catch (...). Where the
 * runtime cannot do it, or the processor is another than x86-64 and aarch64, the exception goes on
 * to the caller.
 */
void *pm_cxx_caught(const struct pm_cxx_runtime *runtime, void *(*call)(const void *),
                    const void *argument);

#endif
