/* SPDX-License-Identifier: MIT */
/*
 * Every form of operator new and delete, served by poolmalloc itself and not by way of malloc:
 * blocks of every kind of size, aligned, disjoint, taken by every form that the standard allows.
 * Usage: operators [PROPERTY]
 */
#include "cxx.hpp"

#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using std::size_t;

static const size_t sizes[] = {0,    1,    8,     16,    17,    100,     512,     1000,   1024,
                               1025, 3000, 16000, 32768, 70000, 1 << 20, 3 << 20, 5000000};
static const size_t alignments[] = {1, 8, 16, 32, 64, 256, 4096, 1 << 16, 1 << 21};

static void operators_are_poolmallocs()
{
    constexpr unsigned calls = 1000;
    check_that_operators_are_ours();
    for (const maker &maker : makers) {
        void *blocks[calls];
        uint64_t before = counters().mallocs;
        for (void *&block : blocks)
            block = maker.make(100, 64);
        uint64_t after = counters().mallocs;
        for (void *block : blocks)
            take(maker, block, 100, 64);
        CHECK(after - before >= calls, "poolmalloc counted %llu of %u calls of %s",
              static_cast<unsigned long long>(after - before), calls, maker.name);
    }
}

static void check_block(const maker &maker, const taker &taker, size_t size, size_t alignment)
{
    constexpr int at_once = 20;
    unsigned char *blocks[at_once];
    int number = size < 100000 ? at_once : 2;
    size_t wanted = maker.aligned && alignment > 16 ? alignment : 16;
    for (int i = 0; i < number; i++) {
        blocks[i] = static_cast<unsigned char *>(maker.make(size, alignment));
        CHECK(blocks[i], "%s of %zu bytes gave nothing", maker.name, size);
        CHECK(reinterpret_cast<uintptr_t>(blocks[i]) % wanted == 0,
              "%s of %zu bytes: %p is not aligned to %zu", maker.name, size,
              static_cast<void *>(blocks[i]), wanted);
        std::memset(blocks[i], i + 1, size);
    }
    for (int i = 0; i < number; i++) {
        for (size_t at = 0; at < size; at += size / 100 + 1)
            CHECK(blocks[i][at] == i + 1, "a block of %zu bytes of %s changed", size, maker.name);
        for (int j = 0; j < i; j++)
            CHECK(blocks[i] != blocks[j], "one block of %zu bytes twice", size);
    }
    for (int i = 0; i < number; i++)
        taker.take(blocks[i], size, alignment);
}

static void every_form_of_new_goes_with_every_form_of_delete_that_fits()
{
    for (const maker &maker : makers)
        for (const taker &taker : takers)
            for (size_t size : sizes)
                for (size_t alignment : alignments)
                    if (fits(maker, taker) && (maker.aligned || alignment == 1))
                        check_block(maker, taker, size, alignment);
}

static void deletes_of_null_do_nothing()
{
    for (const taker &taker : takers)
        taker.take(nullptr, 0, 64);
}

/* Every block is counted once when it comes and once when it goes. */
static void what_is_deleted_is_counted_as_freed()
{
    for (const maker &maker : makers) {
        for (const taker &taker : takers) {
            if (!fits(maker, taker))
                continue;
            pm_stats before = counters();
            for (int i = 0; i < 1000; i++)
                taker.take(maker.make(200000, 64), 200000, 64);
            pm_stats after = counters();
            CHECK(after.mallocs - before.mallocs == 1000 && after.frees - before.frees == 1000,
                  "%s and %s: %llu and %llu of 1000 were counted", maker.name, taker.name,
                  static_cast<unsigned long long>(after.mallocs - before.mallocs),
                  static_cast<unsigned long long>(after.frees - before.frees));
        }
    }
}

struct alignas(128) wide {
    unsigned char bytes[200];
    static int alive;
    wide()
    {
        alive++;
    }
    ~wide()
    {
        alive--;
    }
};
int wide::alive;

static void expressions_construct_and_destroy()
{
    wide *one = new wide, *array = new wide[7];
    std::string *texts = new std::string[50];
    CHECK(reinterpret_cast<uintptr_t>(one) % 128 == 0, "%p", static_cast<void *>(one));
    CHECK(reinterpret_cast<uintptr_t>(array) % 128 == 0, "%p", static_cast<void *>(array));
    CHECK(wide::alive == 8, "%d are alive", wide::alive);
    for (int i = 0; i < 50; i++)
        texts[i].assign(static_cast<size_t>(i) * 30, 'x');
    delete one;
    delete[] array;
    delete[] texts;
    CHECK(wide::alive == 0, "%d are alive", wide::alive);
}

/* The containers' own calls, some of them in the C++ library, freed by another thread. */
static void containers_pass_from_thread_to_thread()
{
    std::vector<std::unique_ptr<std::string>> texts;
    for (int i = 0; i < 20000; i++)
        texts.push_back(std::make_unique<std::string>(static_cast<size_t>(i % 300), 'y'));
    std::thread([taken = std::move(texts)]() mutable {
        for (size_t i = 0; i < taken.size(); i++)
            CHECK(taken[i]->size() == i % 300, "text %zu is damaged", i);
        taken.clear();
    }).join();
}

int main(int count, char **arguments)
{
    static const property properties[] = {
        PROPERTY(operators_are_poolmallocs),
        PROPERTY(every_form_of_new_goes_with_every_form_of_delete_that_fits),
        PROPERTY(deletes_of_null_do_nothing),
        PROPERTY(what_is_deleted_is_counted_as_freed),
        PROPERTY(expressions_construct_and_destroy),
        PROPERTY(containers_pass_from_thread_to_thread),
    };
    return run(count, arguments, properties, sizeof properties / sizeof *properties);
}
