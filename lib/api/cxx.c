/* SPDX-License-Identifier: MIT */
/*
 * operator new and delete, under the names that the C++ ABI gives them, where PM_OVERRIDE says so.
 * All of them are in this file, so that a static link takes all or nothing: a program that refers
 * to none stays without. They do what the standard asks of the default ones ([new.delete],
 * docs/cxx.md). Any thread.
 *
 *   new, new[] -+-> pm_thread_malloc_at_hand
 *               +-> new_slow -> new_failed: the program's handler, std::bad_alloc
 *   new[], nothrow forms -> the form that the standard has them call
 *   delete, aligned delete -> pm_thread_free; the others -> the form that the standard names
 *
 * A program may replace some of the forms, and the others must then come to these. So a form calls
 * another by its public name, which the linkers bind to the program's if there is one; and all are
 * weak, so that a static link takes the program's beside the others of this file.
 */
#include "api/blocks.h"
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
    enum pm_maker maker;
    const struct pm_cxx_runtime *runtime;
    void *(*plain_form)(size_t size); /* the program's, of nothrow forms */
    void *(*aligned_form)(size_t size, size_t alignment);
};

/* Blocks are told of to valgrind where pm_malloc does that. */
PM_INLINE void *plain(size_t size)
{
    return PM_VALGRIND ? pm_malloc(size) : pm_thread_malloc(size);
}

static PM_COLD void *attempt_watched(const struct pm_watch *watch, const struct request *request)
{
    struct pm_request how = {.bytes = request->size,
                             .align = request->alignment,
                             .maker = request->maker,
                             .function = "operator new"};
    return pm_is_pow2(how.align) ? pm_watch_make(watch, &how) : fail(EINVAL);
}

static inline void *attempt(const struct request *request)
{
    const struct pm_watch *watch = pm_watch_asked();
    if (pm_unlikely(watch != NULL))
        return attempt_watched(watch, request);
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

static PM_COLD void *new_throwing(struct request request, const void *caller)
{
    struct pm_cxx_runtime runtime = pm_cxx_runtime_of(caller);
    request.runtime = &runtime;
    return new_failed(&request);
}

static inline void *new_or_throw(const struct request *request, const void *caller)
{
    void *block = attempt(request);
    return pm_likely(block != NULL) ? block : new_throwing(*request, caller);
}

static PM_NOINLINE void *new_slow(size_t size, const void *caller)
{
    struct request request = {.size = size, .alignment = 1, .maker = PM_MAKER_NEW};
    return new_or_throw(&request, caller);
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
    struct request request = {
        .size = size, .alignment = alignment, .aligned = true, .maker = PM_MAKER_NEW};
    return new_or_throw(&request, __builtin_return_address(0));
}

static PM_NOINLINE void *new_array_slow(size_t size, const void *caller)
{
    struct request request = {.size = size, .alignment = 1, .maker = PM_MAKER_NEW_ARRAY};
    return new_or_throw(&request, caller);
}

/* As the form for one, but that a watch is told which of them it was. */
OWN FAST void *new_array(size_t size)
{
    if (pm_unlikely(!IS_OWN(_Znwm, new_one)))
        return _Znwm(size);
    void *block = pm_thread_malloc_at_hand(size);
    if (pm_likely(block != NULL))
        return block;
    return new_array_slow(size, __builtin_return_address(0));
}

OWN void *new_array_aligned(size_t size, size_t alignment)
{
    if (pm_unlikely(!IS_OWN(_ZnwmSt11align_val_t, new_one_aligned)))
        return _ZnwmSt11align_val_t(size, alignment);
    struct request request = {
        .size = size, .alignment = alignment, .aligned = true, .maker = PM_MAKER_NEW_ARRAY};
    return new_or_throw(&request, __builtin_return_address(0));
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
    struct request request = {
        .size = size, .alignment = 1, .maker = PM_MAKER_NEW, .plain_form = _Znwm};
    return new_nothrow(&request, IS_OWN(_Znwm, new_one), __builtin_return_address(0));
}

OWN void *new_array_nothrow(size_t size, const struct nothrow *tag)
{
    (void)tag;
    struct request request = {
        .size = size, .alignment = 1, .maker = PM_MAKER_NEW_ARRAY, .plain_form = _Znam};
    bool own = IS_OWN(_Znam, new_array) && IS_OWN(_Znwm, new_one);
    return new_nothrow(&request, own, __builtin_return_address(0));
}

OWN void *new_one_aligned_nothrow(size_t size, size_t alignment, const struct nothrow *tag)
{
    (void)tag;
    struct request request = {.size = size,
                              .alignment = alignment,
                              .aligned = true,
                              .maker = PM_MAKER_NEW,
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
                              .maker = PM_MAKER_NEW_ARRAY,
                              .aligned_form = _ZnamSt11align_val_t};
    bool own = IS_OWN(_ZnamSt11align_val_t, new_array_aligned) &&
               IS_OWN(_ZnwmSt11align_val_t, new_one_aligned);
    return new_nothrow(&request, own, __builtin_return_address(0));
}

/* ---- delete ----
 *
 * Where nothing is replaced, check builds compare the sizes, as pm_free_sized does, and a watch is
 * told them. Else the size that the caller knows spares nothing. */

OWN FAST PM_NOINLINE void delete_one(void *ptr)
{
    pm_thread_free(ptr, "operator delete");
}

OWN FAST void delete_array(void *ptr)
{
    if (pm_unlikely(!IS_OWN(_ZdlPv, delete_one)))
        _ZdlPv(ptr);
    else
        pm_thread_free(ptr, "operator delete[]");
}

OWN void delete_one_aligned(void *ptr, size_t alignment)
{
    (void)alignment;
    delete_one(ptr);
}

OWN void delete_array_aligned(void *ptr, size_t alignment)
{
    if (pm_unlikely(!IS_OWN(_ZdlPvSt11align_val_t, delete_one_aligned)))
        _ZdlPvSt11align_val_t(ptr, alignment);
    else
        pm_thread_free(ptr, "operator delete[]");
}

/* Compilers call this form where they know the type. So it asks nothing: it goes on by one jump,
 * as to the public name of another form, to what start-up chose. */
static void sized_forward(void *ptr, size_t size)
{
    (void)size;
    _ZdlPv(ptr);
}

static FAST void sized_ignored(void *ptr, size_t size)
{
    (void)size;
    pm_thread_free(ptr, "operator delete");
}

static void sized_told(void *ptr, size_t size)
{
    free_told(ptr, 1, size, PM_MAKER_NEW, "operator delete");
}

/* Written by the constructor only. */
static void (*sized_delete)(void *ptr, size_t size) = sized_forward;

static __attribute__((constructor(102))) void choose_sized(void)
{
    if (IS_OWN(_ZdlPv, delete_one))
        sized_delete = PM_CHECK || pm_watch_asked() != NULL ? sized_told : sized_ignored;
}

OWN void delete_one_sized(void *ptr, size_t size)
{
    sized_delete(ptr, size);
}

static inline bool sizes_count(void)
{
    return PM_CHECK || pm_watch_asked() != NULL;
}

OWN void delete_array_sized(void *ptr, size_t size)
{
    if (IS_OWN(_ZdaPv, delete_array) && IS_OWN(_ZdlPv, delete_one) && sizes_count())
        free_told(ptr, 1, size, PM_MAKER_NEW_ARRAY, "operator delete[]");
    else
        _ZdaPv(ptr);
}

OWN void delete_one_sized_aligned(void *ptr, size_t size, size_t alignment)
{
    if (IS_OWN(_ZdlPvSt11align_val_t, delete_one_aligned) && sizes_count())
        free_told(ptr, alignment, size, PM_MAKER_NEW, "operator delete");
    else
        _ZdlPvSt11align_val_t(ptr, alignment);
}

OWN void delete_array_sized_aligned(void *ptr, size_t size, size_t alignment)
{
    if (IS_OWN(_ZdaPvSt11align_val_t, delete_array_aligned) &&
        IS_OWN(_ZdlPvSt11align_val_t, delete_one_aligned) && sizes_count())
        free_told(ptr, alignment, size, PM_MAKER_NEW_ARRAY, "operator delete[]");
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
