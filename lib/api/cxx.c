/* SPDX-License-Identifier: MIT */
/*
 * operator new and delete, under the names that the C++ ABI gives them, where PM_OVERRIDE says so.
 * All of them are in this file, so that a static link takes all or nothing: a program that refers
 * to none stays without. They do what the standard asks of the default ones ([new.delete],
 * docs/cxx.md). Any thread.
 *
 *   new -+-> pm_thread_malloc_at_hand
 *        +-> new_slow -> new_failed: the program's handler, std::bad_alloc
 *   new[], nothrow forms -> the form that the standard has them call
 *   delete, aligned delete -> pm_thread_free; the others -> the form that the standard names
 *
 * A program may replace some of the forms, and the others must then come to these. So a form calls
 * another by its public name, which the linkers bind to the program's if there is one; and all are
 * weak, so that a static link takes the program's beside the others of this file.
 */
#include "api/cxx.h"
#include "heap/fast.h"
#include "poolmalloc/poolmalloc.h"

#if PM_OVERRIDE

_Static_assert(!PM_ASAN, "here, blocks get no room for what AddressSanitizer is to be told");

struct nothrow; /* std::nothrow_t: a tag, nothing is read of it */

/* The forms; std::align_val_t is a size_t. */
#define FORM(own) __attribute__((weak, visibility("default"), alias(#own)))
void *_Znwm(size_t size) FORM(new_one);
void *_ZnwmSt11align_val_t(size_t size, size_t alignment) FORM(new_one_aligned);
void *_ZnwmRKSt9nothrow_t(size_t size, const struct nothrow *tag) FORM(new_one_nothrow);
void *_ZnwmSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const struct nothrow *tag)
    FORM(new_one_aligned_nothrow);
void *_Znam(size_t size) FORM(new_array);
void *_ZnamSt11align_val_t(size_t size, size_t alignment) FORM(new_array_aligned);
void *_ZnamRKSt9nothrow_t(size_t size, const struct nothrow *tag) FORM(new_array_nothrow);
void *_ZnamSt11align_val_tRKSt9nothrow_t(size_t size, size_t alignment, const struct nothrow *tag)
    FORM(new_array_aligned_nothrow);
void _ZdlPv(void *ptr) FORM(delete_one);
void _ZdlPvm(void *ptr, size_t size) FORM(delete_one_sized);
void _ZdlPvRKSt9nothrow_t(void *ptr, const struct nothrow *tag) FORM(delete_one_nothrow);
void _ZdlPvSt11align_val_t(void *ptr, size_t alignment) FORM(delete_one_aligned);
void _ZdlPvmSt11align_val_t(void *ptr, size_t size, size_t alignment)
    FORM(delete_one_sized_aligned);
void _ZdlPvSt11align_val_tRKSt9nothrow_t(void *ptr, size_t alignment, const struct nothrow *tag)
    FORM(delete_one_aligned_nothrow);
void _ZdaPv(void *ptr) FORM(delete_array);
void _ZdaPvm(void *ptr, size_t size) FORM(delete_array_sized);
void _ZdaPvRKSt9nothrow_t(void *ptr, const struct nothrow *tag) FORM(delete_array_nothrow);
void _ZdaPvSt11align_val_t(void *ptr, size_t alignment) FORM(delete_array_aligned);
void _ZdaPvmSt11align_val_t(void *ptr, size_t size, size_t alignment)
    FORM(delete_array_sized_aligned);
void _ZdaPvSt11align_val_tRKSt9nothrow_t(void *ptr, size_t alignment, const struct nothrow *tag)
    FORM(delete_array_aligned_nothrow);

#define OWN static __attribute__((used))             /* by its public name */
#define FAST __attribute__((aligned(PM_LINE_BYTES))) /* as in malloc.c */

/* True: the public name is bound to the form in this file. Compilers take two names for two
 * functions; the empty asm keeps them from knowing. */
#define IS_OWN(name, own) is_own((const void *)(name), (const void *)(own))
static inline bool is_own(const void *bound, const void *own)
{
    __asm__("" : "+r"(own));
    return bound == own;
}

/* ---- new ---- */

struct request {
    size_t size, alignment;
    bool aligned, nothrow;
    const struct pm_cxx_runtime *runtime;
    void *(*plain_form)(size_t size); /* the program's, of nothrow forms */
    void *(*aligned_form)(size_t size, size_t alignment);
};

/* Blocks are told of to valgrind where pm_malloc does that. */
PM_INLINE void *plain(size_t size)
{
    return PM_VALGRIND ? pm_malloc(size) : pm_thread_malloc(size);
}

static void *attempt(const struct request *request)
{
    return request->aligned ? pm_memalign(request->alignment, request->size) : plain(request->size);
}

/* No memory: the handler may free some, throw, or end the program. Without a handler, or with an
 * alignment that is none, std::bad_alloc; nothrow forms, which nothing of the program's stands
 * behind, need not throw that to themselves. */
static void *new_failed(const void *argument)
{
    const struct request *request = argument;
    const struct pm_cxx_runtime *runtime = request->runtime;
    for (;;) {
        void (*handler)(void) = NULL;
        if (runtime->get_new_handler != NULL && pm_is_pow2(request->alignment))
            handler = runtime->get_new_handler();
        if (handler == NULL && request->nothrow)
            return NULL;
        if (handler == NULL)
            pm_cxx_throw_bad_alloc(runtime, request->size);
        handler();
        void *block = attempt(request);
        if (block != NULL)
            return block;
    }
}

static PM_COLD void *new_throwing(size_t size, size_t alignment, bool aligned, const void *caller)
{
    struct pm_cxx_runtime runtime = pm_cxx_runtime_of(caller);
    struct request request = {
        .size = size, .alignment = alignment, .aligned = aligned, .runtime = &runtime};
    return new_failed(&request);
}

static PM_NOINLINE void *new_slow(size_t size, const void *caller)
{
    void *block = plain(size);
    if (pm_likely(block != NULL))
        return block;
    return new_throwing(size, 1, false, caller);
}

OWN FAST void *new_one(size_t size)
{
    void *block = PM_VALGRIND ? NULL : pm_thread_malloc_at_hand(size);
    if (pm_likely(block != NULL))
        return block;
    return new_slow(size, __builtin_return_address(0));
}

OWN void *new_one_aligned(size_t size, size_t alignment)
{
    void *block = pm_memalign(alignment, size);
    if (pm_likely(block != NULL))
        return block;
    return new_throwing(size, alignment, true, __builtin_return_address(0));
}

OWN void *new_array(size_t size)
{
    return _Znwm(size);
}

OWN void *new_array_aligned(size_t size, size_t alignment)
{
    return _ZnwmSt11align_val_t(size, alignment);
}

/* ---- nothrow new ----
 *
 * The standard has them call the form that may throw, and catch what it throws. Where that is ours
 * it is enough to look for memory, and to catch what the handler throws. */

static void *call_form(const void *argument)
{
    const struct request *request = argument;
    return request->aligned ? request->aligned_form(request->size, request->alignment)
                            : request->plain_form(request->size);
}

static PM_COLD void *new_caught(void *(*call)(const void *), struct request *request,
                                const void *caller)
{
    struct pm_cxx_runtime runtime = pm_cxx_runtime_of(caller);
    request->runtime = &runtime;
    request->nothrow = true;
    return pm_cxx_caught(&runtime, call, request);
}

static inline void *new_nothrow(struct request *request, bool own, const void *caller)
{
    if (pm_unlikely(!own))
        return new_caught(call_form, request, caller);
    void *block = attempt(request);
    if (pm_likely(block != NULL))
        return block;
    return new_caught(new_failed, request, caller);
}

OWN void *new_one_nothrow(size_t size, const struct nothrow *tag)
{
    (void)tag;
    struct request request = {.size = size, .alignment = 1, .plain_form = _Znwm};
    return new_nothrow(&request, IS_OWN(_Znwm, new_one), __builtin_return_address(0));
}

OWN void *new_array_nothrow(size_t size, const struct nothrow *tag)
{
    (void)tag;
    struct request request = {.size = size, .alignment = 1, .plain_form = _Znam};
    bool own = IS_OWN(_Znam, new_array) && IS_OWN(_Znwm, new_one);
    return new_nothrow(&request, own, __builtin_return_address(0));
}

OWN void *new_one_aligned_nothrow(size_t size, size_t alignment, const struct nothrow *tag)
{
    (void)tag;
    struct request request = {.size = size,
                              .alignment = alignment,
                              .aligned = true,
                              .aligned_form = _ZnwmSt11align_val_t};
    bool own = IS_OWN(_ZnwmSt11align_val_t, new_one_aligned);
    return new_nothrow(&request, own, __builtin_return_address(0));
}

OWN void *new_array_aligned_nothrow(size_t size, size_t alignment, const struct nothrow *tag)
{
    (void)tag;
    struct request request = {.size = size,
                              .alignment = alignment,
                              .aligned = true,
                              .aligned_form = _ZnamSt11align_val_t};
    bool own = IS_OWN(_ZnamSt11align_val_t, new_array_aligned) &&
               IS_OWN(_ZnwmSt11align_val_t, new_one_aligned);
    return new_nothrow(&request, own, __builtin_return_address(0));
}

/* ---- delete ----
 *
 * Check builds compare the sizes, as pm_free_sized does, where nothing is replaced. In the others
 * the size that the caller knows spares nothing. */

OWN FAST PM_NOINLINE void delete_one(void *ptr)
{
    pm_thread_free(ptr, "operator delete");
}

OWN void delete_array(void *ptr)
{
    _ZdlPv(ptr);
}

OWN void delete_one_aligned(void *ptr, size_t alignment)
{
    (void)alignment;
    delete_one(ptr);
}

OWN void delete_array_aligned(void *ptr, size_t alignment)
{
    _ZdlPvSt11align_val_t(ptr, alignment);
}

OWN void delete_one_sized(void *ptr, size_t size)
{
    if (PM_CHECK && IS_OWN(_ZdlPv, delete_one))
        pm_free_sized(ptr, size);
    else
        _ZdlPv(ptr);
}

OWN void delete_array_sized(void *ptr, size_t size)
{
    if (PM_CHECK && IS_OWN(_ZdaPv, delete_array) && IS_OWN(_ZdlPv, delete_one))
        pm_free_sized(ptr, size);
    else
        _ZdaPv(ptr);
}

OWN void delete_one_sized_aligned(void *ptr, size_t size, size_t alignment)
{
    if (PM_CHECK && IS_OWN(_ZdlPvSt11align_val_t, delete_one_aligned))
        pm_free_aligned_sized(ptr, alignment, size);
    else
        _ZdlPvSt11align_val_t(ptr, alignment);
}

OWN void delete_array_sized_aligned(void *ptr, size_t size, size_t alignment)
{
    if (PM_CHECK && IS_OWN(_ZdaPvSt11align_val_t, delete_array_aligned) &&
        IS_OWN(_ZdlPvSt11align_val_t, delete_one_aligned))
        pm_free_aligned_sized(ptr, alignment, size);
    else
        _ZdaPvSt11align_val_t(ptr, alignment);
}

/* The nothrow forms are called when a constructor threw. */

OWN void delete_one_nothrow(void *ptr, const struct nothrow *tag)
{
    (void)tag;
    _ZdlPv(ptr);
}

OWN void delete_array_nothrow(void *ptr, const struct nothrow *tag)
{
    (void)tag;
    _ZdaPv(ptr);
}

OWN void delete_one_aligned_nothrow(void *ptr, size_t alignment, const struct nothrow *tag)
{
    (void)tag;
    _ZdlPvSt11align_val_t(ptr, alignment);
}

OWN void delete_array_aligned_nothrow(void *ptr, size_t alignment, const struct nothrow *tag)
{
    (void)tag;
    _ZdaPvSt11align_val_t(ptr, alignment);
}

#endif
