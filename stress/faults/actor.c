/* SPDX-License-Identifier: MIT */
/*
 * What one thread of the scenario does (run.h): every way to get, resize and give a block, of every
 * kind that the allocator keeps apart. Each block carries its pattern and is checked when it goes;
 * each refusal is looked at as a caller would: NULL, ENOMEM, and nothing else changed.
 */
#include "check.h"
#include "marks.h"
#include "run.h"

#include "poolmalloc/poolmalloc.h"

#include <errno.h>

/* pm_thread_idle() came later than this program: the build looks into the header for it. */
#ifndef SWEEP_HAVE_THREAD_IDLE
#define SWEEP_HAVE_THREAD_IDLE 0
#endif

enum { small_top = 1024, streak_blocks = 40, errno_before = 77 };

/* What a thread may hold, in bytes: small windows fill up, resident memory stays modest. */
#define LIVE_MAX (5 * PM_ARENA_BYTES)

/* More arenas than are added only to reach an aligned one: a window of its own. */
#define FAR_ALIGNMENT (64 * PM_ARENA_BYTES)

void actor_begin(struct actor *actor, uint64_t seed, uint64_t stream)
{
    actor->rng = rng_make(seed, stream);
    actor->next_id = stream << 32;
    actor->refused = 0;
    actor->live_bytes = actor->count = 0;
}

/* Small, medium, spans inside an arena, spans of whole arenas. */
static size_t choose_size(struct actor *actor)
{
    struct rng *rng = &actor->rng;
    uint64_t kind = rng_below(rng, 100);
    if (kind < 60 || actor->live_bytes > LIVE_MAX)
        return kind == 0 ? 0 : random_size(rng, 1, small_top);
    if (kind < 80)
        return random_size(rng, small_top, PM_BLOCK_MAX);
    if (kind < 94)
        return PM_BLOCK_MAX + 1 + rng_below(rng, PM_ARENA_BYTES / 4);
    return PM_ARENA_BYTES - PM_UNIT_BYTES + rng_below(rng, 2 * PM_ARENA_BYTES);
}

/* Mostly within pools; else from half a unit to two arenas. */
static size_t choose_alignment(struct rng *rng)
{
    if (rng_below(rng, 4) != 0)
        return sizeof(void *) << rng_below(rng, 8);
    return PM_UNIT_BYTES / 2 << rng_below(rng, 9);
}

static void *call_posix_memalign(size_t alignment, size_t size)
{
    char untouched;
    void *result = &untouched;
    errno = errno_before;
    int code = pm_posix_memalign(&result, alignment, size);
    CHECK(errno == errno_before, "posix_memalign set errno to %d", errno);
    CHECK(code == 0 || code == ENOMEM, "posix_memalign(%zu, %zu) returned %d", alignment, size,
          code);
    CHECK(code == 0 || result == &untouched, "posix_memalign failed and changed the pointer");
    errno = code; /* for the caller, who looks at it when there is no block */
    return code == 0 ? result : NULL;
}

static void *call_calloc(struct actor *actor, struct block *block)
{
    size_t each = 1 + rng_below(&actor->rng, 64), count = block->size_bytes / each;
    block->size_bytes = count * each;
    block->address = pm_calloc(count, each);
    if (block->address != NULL)
        marks_check_zero(block);
    return block->address;
}

static void *call_some_maker(struct actor *actor, struct block *block)
{
    size_t size = block->size_bytes;
    switch (rng_below(&actor->rng, 12)) {
    case 0:
    case 1:
    case 2:
        return call_calloc(actor, block);
    case 3:
        block->alignment = choose_alignment(&actor->rng);
        return call_posix_memalign(block->alignment, size);
    case 4:
        block->alignment = choose_alignment(&actor->rng);
        return pm_aligned_alloc(block->alignment, size);
    case 5:
        return pm_realloc(NULL, size);
    case 6:
        return pm_reallocarray(NULL, size, 1);
    case 7:
        return rng_below(&actor->rng, 2) ? pm_valloc(size) : pm_pvalloc(size);
    default:
        return pm_malloc(size);
    }
}

static void note_refusal(struct actor *actor, size_t size)
{
    CHECK(errno == ENOMEM, "no %zu bytes, and errno is %d", size, errno);
    actor->refused++;
}

/* A new block, or a refusal. There is room for one more. */
static void hold(struct actor *actor, const struct block *block)
{
    if (block->address == NULL) {
        note_refusal(actor, block->size_bytes);
        return;
    }
    size_t usable = pm_malloc_usable_size(block->address);
    CHECK(usable >= block->size_bytes, "%zu of %zu bytes are usable", usable, block->size_bytes);
    marks_add(block);
    actor->live_bytes += block->size_bytes;
    actor->held[actor->count++] = *block;
}

static void make_block(struct actor *actor, size_t size)
{
    struct block block = {.size_bytes = size, .id = actor->next_id++};
    errno = 0;
    block.address = call_some_maker(actor, &block);
    hold(actor, &block);
}

static void free_block(const struct block *block)
{
    marks_remove(block);
    errno = errno_before;
    if (block->id % 8 != 0)
        pm_free(block->address);
    else
        CHECK(pm_realloc(block->address, 0) == NULL, "realloc to 0 frees");
    CHECK(errno == errno_before, "free set errno to %d", errno);
}

static struct block take_out(struct actor *actor)
{
    size_t index = rng_below(&actor->rng, actor->count);
    struct block block = actor->held[index];
    actor->held[index] = actor->held[--actor->count];
    actor->live_bytes -= block.size_bytes;
    return block;
}

/* To some thread, or nobody. */
static void give_away(struct actor *actor)
{
    struct block block = take_out(actor);
    uint64_t to = rng_below(&actor->rng, run_threads + 2);
    if (to >= run_threads || !mailbox_put(&mailboxes[to], &block, rng_next(&actor->rng)))
        free_block(&block);
}

void actor_make_far_aligned(struct actor *actor)
{
    struct block block = {.size_bytes = 1, .alignment = FAR_ALIGNMENT, .id = actor->next_id++};
    if (actor->count == actor_slots)
        give_away(actor);
    block.address = call_posix_memalign(block.alignment, block.size_bytes);
    hold(actor, &block);
}

/* A little or a lot, up or down, or to any other size. */
static size_t choose_resize(struct actor *actor, size_t size)
{
    switch (rng_below(&actor->rng, 5)) {
    case 0:
        return size / 2 + 1;
    case 1:
        return actor->live_bytes > LIVE_MAX ? size / 4 + 1 : 2 * size + 1;
    case 2:
        return size + size / 16 + 1;
    case 3:
        return size - size / 16 + (size == 0);
    default:
        return choose_size(actor) + 1; /* 0 would free */
    }
}

static void resize_block(struct actor *actor)
{
    struct block *block = &actor->held[rng_below(&actor->rng, actor->count)];
    struct block now = {.size_bytes = choose_resize(actor, block->size_bytes),
                        .id = actor->next_id++};
    marks_remove(block);
    errno = 0;
    now.address = pm_realloc(block->address, now.size_bytes);
    if (now.address == NULL) {
        note_refusal(actor, now.size_bytes);
        marks_restore(block);
        return;
    }
    marks_resized(block, &now);
    actor->live_bytes += now.size_bytes - block->size_bytes;
    *block = now;
}

/* What no system can give is refused like anything else, whatever the system says just then. */
static void ask_too_much(struct actor *actor)
{
    struct block *some = actor->count ? &actor->held[actor->count - 1] : NULL;
    size_t size = rng_below(&actor->rng, 2) ? PM_WINDOW_MAX_BYTES + 1 : (size_t)PTRDIFF_MAX + 1;
    errno = 0;
    CHECK(pm_malloc(size) == NULL && errno == ENOMEM, "malloc(%zu), errno %d", size, errno);
    errno = 0;
    CHECK(pm_calloc(size, size) == NULL && errno == ENOMEM, "calloc, errno %d", errno);
    CHECK(call_posix_memalign(2 * PM_WINDOW_MAX_BYTES, 1) == NULL, "an alignment of terabytes");
    if (some == NULL)
        return;
    marks_remove(some);
    errno = 0;
    CHECK(pm_realloc(some->address, size) == NULL && errno == ENOMEM, "realloc, errno %d", errno);
    marks_restore(some);
}

/* A run of equal blocks fills whole pools, which single random calls rarely do. */
static void make_streak(struct actor *actor)
{
    size_t size = random_size(&actor->rng, 1, rng_below(&actor->rng, 4) ? small_top : 4096);
    for (int i = 0; i < streak_blocks && actor->count < actor_slots; i++)
        make_block(actor, size);
}

static void give_streak(struct actor *actor)
{
    for (int i = 0; i < streak_blocks && actor->count > 0; i++)
        give_away(actor);
}

static void look_after_memory(struct actor *actor)
{
    switch (rng_below(&actor->rng, 6)) {
    case 0:
        pm_purge();
        break;
    case 1:
        pm_malloc_trim(0);
        break;
    case 2:
        check_stats_sane();
        break;
    case 3:
        ask_too_much(actor);
        break;
    case 4:
#if SWEEP_HAVE_THREAD_IDLE
        pm_thread_idle();
        break;
#endif
    default:
        CHECK(pm_check(), "while threads run");
    }
}

bool actor_free_mail(struct actor *actor, struct mailbox *mailbox)
{
    struct block block;
    if (!mailbox_take(mailbox, &block, rng_next(&actor->rng)))
        return false;
    free_block(&block);
    return true;
}

void actor_step(struct actor *actor)
{
    uint64_t which = rng_below(&actor->rng, 100);
    if (actor->count == actor_slots)
        give_streak(actor);
    else if (which < 42 || (actor->count == 0 && which < 90))
        make_block(actor, choose_size(actor));
    else if (which < 46)
        make_streak(actor);
    else if (which < 64)
        give_away(actor);
    else if (which < 67)
        give_streak(actor);
    else if (which < 82)
        resize_block(actor);
    else if (which < 97)
        actor_free_mail(actor, &mailboxes[rng_below(&actor->rng, run_threads)]);
    else
        look_after_memory(actor);
}

void actor_release(struct actor *actor, size_t left)
{
    while (actor->count > left)
        give_away(actor);
}
