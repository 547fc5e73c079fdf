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
extern const char _ZTISt9exception[] WEAK;
extern void *const _ZTVN10__cxxabiv120__si_class_type_infoE[] WEAK;
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
    PART(exception_type, _ZTISt9exception)                                                         \
    PART(derived_vtable, _ZTVN10__cxxabiv120__si_class_type_infoE)                                 \
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

/* The object has no members: it is the address of its virtual functions. */
static bool throw_linked(const struct pm_cxx_runtime *runtime)
{
    if (runtime->bad_alloc_type == NULL || runtime->bad_alloc_vtable == NULL ||
        runtime->bad_alloc_destructor == NULL)
        return false;
    void *const **exception = runtime->allocate_exception(sizeof *exception);
    *exception = runtime->bad_alloc_vtable + 2;
    runtime->throw_exception(exception, runtime->bad_alloc_type, runtime->bad_alloc_destructor);
    return true;
}

static void destroy_made(void *exception)
{
    (void)exception;
}

static const char *what_of_made(const void *exception)
{
    (void)exception;
    return "std::bad_alloc";
}

/* A std::bad_alloc with all that belongs to it, as the ABI lays it out: a class with one base. */
struct made {
    const void *functions; /* the object; to others it ends here */
    struct {
        const void *functions;
        const char *name;
        const void *base;
    } type;
    struct {
        ptrdiff_t offset;
        const void *type;
        void (*destroy)(void *exception), (*destroy_and_free)(void *exception);
        const char *(*what)(const void *exception);
    } virtual;
};

/* A static program has no std::bad_alloc when nothing in it names that, but it may catch the base,
 * or everything. The runtime compares the types of classes by their names. */
static bool throw_made(const struct pm_cxx_runtime *runtime)
{
    if (runtime->exception_type == NULL || runtime->derived_vtable == NULL)
        return false;
    struct made *made = runtime->allocate_exception(sizeof *made);
    *made = (struct made){
        .functions = &made->virtual.destroy,
        .type = {runtime->derived_vtable + 2, "St9bad_alloc", runtime->exception_type},
        .virtual = {0, &made->type, destroy_made, destroy_made, what_of_made},
    };
    runtime->throw_exception(made, &made->type, NULL);
    return true;
}

/* By hand, as the compiler does it: the function of libstdc++ that does nothing else need not be
 * part of a static program. */
void pm_cxx_throw_bad_alloc(const struct pm_cxx_runtime *runtime, size_t size)
{
    bool can_throw = runtime->allocate_exception != NULL && runtime->throw_exception != NULL;
    if (!can_throw || (!throw_linked(runtime) && !throw_made(runtime)))
        pm_fatal_no_exception(size);
    __builtin_unreachable();
}

#endif
