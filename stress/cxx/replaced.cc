/* SPDX-License-Identifier: MIT */
/*
 * A program that replaces some forms of operator new and delete: the others must come to these, as
 * the standard has it, whoever defines them. CXX_REPLACED says which forms: the single ones, plain
 * and aligned, as most programs do; or the arrays', plain only. Run with the runtime's own
 * operators, too.
 * Usage: replaced [PROPERTY]
 */
#include "cxx.hpp"

#include <cstdlib>
#include <cstring>

using std::size_t;

#define CXX_ONE 1
#define CXX_ARRAY 2

/* Calls of the program's own forms. */
static unsigned news, deletes, aligned_news, aligned_deletes;
static bool refuse;

/* Blocks of static memory: an allocator's free that came to see one would end the program. */
static unsigned char room[1 << 16];
static size_t used;

static void *own_block(size_t size, size_t alignment)
{
    if (refuse)
        throw std::bad_alloc();
    used = (used + alignment - 1) & ~(alignment - 1);
    CHECK(size <= sizeof room - used, "no room");
    void *block = room + used;
    used += size;
    return block;
}

#if CXX_REPLACED == CXX_ONE
void *operator new(size_t size)
{
    news++;
    return own_block(size, 16);
}

void operator delete(void *) noexcept
{
    deletes++;
}

void *operator new(size_t size, std::align_val_t alignment)
{
    aligned_news++;
    return own_block(size, static_cast<size_t>(alignment));
}

void operator delete(void *, std::align_val_t) noexcept
{
    aligned_deletes++;
}

static bool is_replaced(bool, bool)
{
    return true;
}
#else
void *operator new[](size_t size)
{
    news++;
    return own_block(size, 16);
}

void operator delete[](void *) noexcept
{
    deletes++;
}

static bool is_replaced(bool array, bool aligned)
{
    return array && !aligned;
}
#endif

static void check_calls(const char *name, unsigned of_new, unsigned of_aligned_new,
                        unsigned of_delete, unsigned of_aligned_delete)
{
    CHECK(news == of_new && aligned_news == of_aligned_new && deletes == of_delete &&
              aligned_deletes == of_aligned_delete,
          "%s: %u, %u aligned calls of new, %u, %u aligned of delete reached the program", name,
          news, aligned_news, deletes, aligned_deletes);
    news = aligned_news = deletes = aligned_deletes = 0;
}

static void all_forms_come_to_the_replaced_ones()
{
    news = aligned_news = deletes = aligned_deletes = 0; /* of the time before main */
    for (const maker &maker : makers) {
        for (const taker &taker : takers) {
            if (!fits(maker, taker))
                continue;
            used = 0;
            unsigned calls = is_replaced(maker.array, maker.aligned);
            unsigned plain = maker.aligned ? 0 : calls, aligned = maker.aligned ? calls : 0;
            void *block = maker.make(100, 64);
            CHECK(block, "%s gave nothing", maker.name);
            std::memset(block, 1, 100);
            check_calls(maker.name, plain, aligned, 0, 0);
            taker.take(block, 100, 64);
            check_calls(taker.name, 0, 0, plain, aligned);
        }
    }
}

static void what_the_replaced_ones_throw_is_null_of_nothrow_forms()
{
    refuse = true;
    for (const maker &maker : makers) {
        if (!is_replaced(maker.array, maker.aligned))
            continue;
        bool thrown = false;
        void *block = nullptr;
        try {
            block = maker.make(100, 64);
        } catch (const std::bad_alloc &) {
            thrown = true;
        }
        CHECK(block == nullptr && thrown != maker.nothrow, "%s", maker.name);
    }
    news = aligned_news = 0;
    refuse = false;
}

int main(int count, char **arguments)
{
    static const property properties[] = {
        PROPERTY(all_forms_come_to_the_replaced_ones),
        PROPERTY(what_the_replaced_ones_throw_is_null_of_nothrow_forms),
    };
    return run(count, arguments, properties, sizeof properties / sizeof *properties);
}
