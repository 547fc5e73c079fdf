/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* dladdr */
/* The C++ runtime, as far as it is there; see cxx.h. */
#include "api/cxx.h"
#include "base/config.h"
#include "base/report.h"

#include <dlfcn.h>
#include <string.h>

#if PM_OVERRIDE

#define WEAK __attribute__((weak))

extern void (*_ZSt15get_new_handlerv(void))(void) WEAK;
extern void *__cxa_allocate_exception(size_t bytes) WEAK;
extern void __cxa_throw(void *exception, const void *type, void (*destructor)(void *)) WEAK;
extern void *__cxa_begin_catch(void *exception) WEAK;
extern void __cxa_end_catch(void) WEAK;
extern const char _ZTISt9bad_alloc[] WEAK;
extern void *const _ZTVSt9bad_alloc[] WEAK;
extern void _ZNSt9bad_allocD1Ev(void *exception) WEAK;
extern __typeof__(_Unwind_SetGR) _Unwind_SetGR WEAK;
extern __typeof__(_Unwind_SetIP) _Unwind_SetIP WEAK;

/* A program that is linked statically need not have these. */
extern __typeof__(dladdr) dladdr WEAK;
extern __typeof__(dlsym) dlsym WEAK;
extern __typeof__(dlclose) dlclose WEAK;

#define PARTS(PART)                                                                                \
    PART(get_new_handler, _ZSt15get_new_handlerv)                                                  \
    PART(allocate_exception, __cxa_allocate_exception)                                             \
    PART(throw_exception, __cxa_throw)                                                             \
    PART(begin_catch, __cxa_begin_catch)                                                           \
    PART(end_catch, __cxa_end_catch)                                                               \
    PART(bad_alloc_type, _ZTISt9bad_alloc)                                                         \
    PART(bad_alloc_vtable, _ZTVSt9bad_alloc)                                                       \
    PART(bad_alloc_destructor, _ZNSt9bad_allocD1Ev)                                                \
    PART(set_register, _Unwind_SetGR)                                                              \
    PART(set_address, _Unwind_SetIP)

#define LINKED(part, symbol) .part = symbol,
static const struct pm_cxx_runtime linked = {PARTS(LINKED)};

#define NAMED(part, symbol) {#symbol, offsetof(struct pm_cxx_runtime, part)},
static const struct {
    const char *name;
    size_t offset;
} names[] = {PARTS(NAMED)};

/* What a plug-in needs was loaded with it, perhaps for it alone: it is looked for from there.
 * (dlopen itself is looked up, too: linkers warn of static programs that refer to it.) */
static void look_up(struct pm_cxx_runtime *runtime, const void *caller)
{
    Dl_info info;
    void *(*open)(const char *name, int mode);
    *(void **)&open = dlsym(RTLD_DEFAULT, "dlopen");
    if (open == NULL || dladdr(caller, &info) == 0)
        return;
    void *plugin = open(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    if (plugin == NULL)
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *symbol = dlsym(plugin, names[i].name);
        memcpy((char *)runtime + names[i].offset, &symbol, sizeof symbol);
    }
    dlclose(plugin); /* it is in use all the same: its code called us */
}

struct pm_cxx_runtime pm_cxx_runtime_of(const void *caller)
{
    struct pm_cxx_runtime runtime = linked;
    bool can_look = dladdr != NULL && dlsym != NULL && dlclose != NULL;
    if (runtime.throw_exception == NULL && can_look)
        look_up(&runtime, caller);
    return runtime;
}

/* By hand, as the compiler does it: the function of libstdc++ that does nothing else need not be
 * part of a static program, and these are when anything in it can catch a std::bad_alloc. */
void pm_cxx_throw_bad_alloc(const struct pm_cxx_runtime *runtime, size_t size)
{
    if (runtime->allocate_exception == NULL || runtime->throw_exception == NULL ||
        runtime->bad_alloc_type == NULL || runtime->bad_alloc_vtable == NULL ||
        runtime->bad_alloc_destructor == NULL)
        pm_fatal_no_exception(size);
    /* The object has no members: it is the address of its virtual functions. */
    void *const **exception = runtime->allocate_exception(sizeof *exception);
    *exception = runtime->bad_alloc_vtable + 2;
    runtime->throw_exception(exception, runtime->bad_alloc_type, runtime->bad_alloc_destructor);
    __builtin_unreachable();
}

#endif
