/* SPDX-License-Identifier: MIT */
/* Calls that must fail, with the error that is documented, and change nothing (calls.h). */
#include "calls.h"
#include "check.h"
#include "model.h"
#include "names.h"

#include <errno.h>

/* Hidden from the compiler, which warns of such sizes. */
static size_t opaque(size_t size)
{
    __asm__ volatile("" : "+r"(size));
    return size;
}

static void refused(const void *address, int error, const char *call, size_t size)
{
    CHECK(!address, "%s(%zu) gave %p", call, size, address);
    CHECK(errno == error, "%s(%zu) failed with errno %d, not %d", call, size, errno, error);
    errno = errno_before;
}

void call_too_much(void)
{
    size_t size = opaque(feed_too_much(&model.feed));
    refused(api_malloc(size), ENOMEM, "malloc", size);
    refused(api_calloc(1, size), ENOMEM, "calloc", size);
    refused(api_valloc(size), ENOMEM, "valloc", size);
    refused(api_pvalloc(size), ENOMEM, "pvalloc", size);
}

/* Factors whose product does not fit; the wrapped product often does. */
void call_overflow(void)
{
    unsigned bits = 1 + feed_byte(&model.feed) % 63;
    size_t count = opaque((size_t)1 << bits), more = feed_number(&model.feed);
    size_t each = opaque(SIZE_MAX / count + 1 + (bits > 16 ? more : 0));
    refused(api_calloc(count, each), ENOMEM, "calloc", count);
    refused(api_calloc(each, count), ENOMEM, "calloc", each);
    refused(api_reallocarray(NULL, count, each), ENOMEM, "reallocarray", count);
}

void call_realloc_too_much(void)
{
    struct slot *slot = model_slot_used();
    size_t size = opaque(feed_too_much(&model.feed));
    if (!slot)
        return;
    struct block before = slot->block;
    shadow_remove(&before);
    if (model.variation)
        refused(api_reallocarray(before.address, size, 2), ENOMEM, "reallocarray", size);
    else
        refused(api_realloc(before.address, size), ENOMEM, "realloc", size);
    model_not_resized(&before);
}

static void refused_posix(size_t alignment, size_t size, int error)
{
    void *const untouched = &model;
    void *address = untouched;
    int code = api_posix_memalign(&address, alignment, size);
    CHECK(code == error, "posix_memalign(%zu, %zu) returned %d", alignment, size, code);
    CHECK(address == untouched, "posix_memalign failed and stored %p", address);
    model_errno_kept("posix_memalign");
}

/* Volatile: compilers know what these functions return for good alignments. */
static void *(*const volatile aligned_makers[])(size_t, size_t) = {api_memalign, api_aligned_alloc};

void call_wrong_alignment(void)
{
    size_t alignment = opaque(feed_wrong_alignment(&model.feed)), size = feed_byte(&model.feed);
    for (int i = 0; i < 2; i++) {
        refused(aligned_makers[i](alignment, size), EINVAL, "memalign", alignment);
        refused(aligned_makers[i](opaque(0), size), EINVAL, "memalign", 0);
    }
    refused_posix(alignment, size, EINVAL);
    refused_posix(alignment % sizeof(void *), size, EINVAL);
}

void call_aligned_too_much(void)
{
    size_t alignment = feed_alignment(&model.feed), size = opaque(feed_too_much(&model.feed));
    for (int i = 0; i < 2; i++)
        refused(aligned_makers[i](alignment, size), ENOMEM, "memalign", size);
    if (alignment >= sizeof(void *))
        refused_posix(alignment, size, ENOMEM);
}
