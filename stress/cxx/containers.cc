/* SPDX-License-Identifier: MIT */
/*
 * poolmalloc/allocator.hpp: standard containers over the allocator and over the memory resource.
 * Usage: containers [PROPERTY]
 */
#include "cxx.hpp"
#include "poolmalloc/allocator.hpp"

#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

using poolmalloc::allocator;
using std::size_t;

using text = std::basic_string<char, std::char_traits<char>, allocator<char>>;

static uint64_t mallocs()
{
    pm_stats stats;
    CHECK(pm_stats_get(&stats), "no statistics");
    return stats.mallocs;
}

static text number_text(int number)
{
    text result = "a text that is longer than what a string has room for, number ";
    for (; number > 0; number /= 10)
        result += static_cast<char>('0' + number % 10);
    return result;
}

static void containers_hold_what_was_put_into_them()
{
    constexpr int elements = 5000;
    uint64_t before = mallocs();
    std::vector<text, allocator<text>> vector;
    std::list<text, allocator<text>> list;
    std::deque<text, allocator<text>> deque;
    std::map<int, text, std::less<int>, allocator<std::pair<const int, text>>> map;
    std::unordered_map<int, text, std::hash<int>, std::equal_to<int>,
                       allocator<std::pair<const int, text>>>
        hashes;
    for (int i = 0; i < elements; i++) {
        vector.push_back(number_text(i));
        list.push_front(number_text(i));
        deque.push_back(number_text(i));
        map[i] = hashes[i] = number_text(i);
    }
    CHECK(mallocs() - before >= 8 * elements, "too few blocks are poolmalloc's");
    auto first = list.rbegin();
    for (int i = 0; i < elements; i++, ++first) {
        text wanted = number_text(i);
        CHECK(vector[static_cast<size_t>(i)] == wanted && *first == wanted &&
                  deque[static_cast<size_t>(i)] == wanted && map[i] == wanted &&
                  hashes[i] == wanted,
              "element %d is damaged", i);
    }
}

template <typename T> struct alignas(64) line {
    T value;
};
struct alignas(8192) pages {
    char bytes[3 * 8192];
};

template <typename T> static void check_aligned(size_t count)
{
    allocator<T> source;
    T *rooms[5];
    for (T *&room : rooms) {
        room = source.allocate(count);
        CHECK(reinterpret_cast<uintptr_t>(room) % alignof(T) == 0, "%p is not aligned to %zu",
              static_cast<void *>(room), alignof(T));
        std::memset(static_cast<void *>(room), 1, count * sizeof(T));
    }
    for (T *room : rooms)
        source.deallocate(room, count);
}

static void rooms_are_aligned_for_their_type()
{
    for (size_t count : {0, 1, 2, 3, 100, 3000}) {
        check_aligned<char>(count);
        check_aligned<long double>(count);
        check_aligned<line<int>>(count);
        check_aligned<pages>(count % 10);
    }
}

static void all_allocators_are_equal_and_move_along()
{
    using traits = std::allocator_traits<allocator<int>>;
    static_assert(traits::is_always_equal::value);
    static_assert(traits::propagate_on_container_copy_assignment::value);
    static_assert(traits::propagate_on_container_move_assignment::value);
    static_assert(traits::propagate_on_container_swap::value);
    static_assert(std::is_same_v<traits::rebind_alloc<char>, allocator<char>>);
    static_assert(std::is_empty_v<allocator<int>>);
    CHECK(allocator<int>() == allocator<char>() && !(allocator<int>() != allocator<char>()),
          "they differ");
    std::vector<int, allocator<int>> one(1000, 1), other;
    const int *place = one.data();
    other = std::move(one);
    CHECK(other.data() == place, "a move copied");
    allocator<int>(allocator<char>()).deallocate(allocator<int>().allocate(7), 7);
}

template <typename ERROR, typename CALL> static bool throws(CALL call)
{
    try {
        call();
        return false;
    } catch (const ERROR &) {
        return true;
    }
}

static void too_much_is_bad_alloc_and_what_no_size_holds_bad_array_new_length()
{
    allocator<int> source;
    size_t most = opaque(SIZE_MAX) / sizeof(int);
    CHECK(
        throws<std::bad_array_new_length>([&] { source.deallocate(source.allocate(most + 1), 1); }),
        "SIZE_MAX / 4 + 1");
    CHECK(throws<std::bad_alloc>([&] { source.deallocate(source.allocate(most), 1); }),
          "SIZE_MAX / 4");
    CHECK(!throws<std::bad_array_new_length>([&] {
        try {
            source.deallocate(source.allocate(most), 1);
        } catch (const std::bad_array_new_length &) {
            throw;
        } catch (const std::bad_alloc &) {
        }
    }),
          "the wrong exception");
    CHECK(throws<std::bad_alloc>([&] {
              allocator<line<int>> lines;
              lines.deallocate(lines.allocate(too_much() / 64), 1);
          }),
          "aligned");
}

#if POOLMALLOC_HAS_MEMORY_RESOURCE

static void memory_resources_serve_polymorphic_containers()
{
    std::pmr::memory_resource *resource = poolmalloc::process_resource();
    uint64_t before = mallocs();
    {
        std::pmr::map<int, std::pmr::string> map(resource);
        for (int i = 0; i < 3000; i++)
            map[i] = std::pmr::string(200, 'z');
        CHECK(mallocs() - before >= 6000, "too few blocks are poolmalloc's");
        for (int i = 0; i < 3000; i++)
            CHECK(map[i].size() == 200 && map[i].get_allocator().resource() == resource, "%d", i);
    }
    for (size_t alignment = 1; alignment <= 1 << 16; alignment *= 2) {
        for (size_t size : {0, 1, 100, 5000, 100000}) {
            void *block = resource->allocate(size, alignment);
            CHECK(reinterpret_cast<uintptr_t>(block) % alignment == 0, "%p", block);
            std::memset(block, 1, size);
            resource->deallocate(block, size, alignment);
        }
    }
    CHECK(throws<std::bad_alloc>([&] { resource->deallocate(resource->allocate(too_much()), 1); }),
          "too much");
}

static void memory_resources_are_equal_to_their_kind()
{
    poolmalloc::memory_resource other;
    std::pmr::memory_resource *resource = poolmalloc::process_resource();
    CHECK(poolmalloc::process_resource() == resource, "there are two");
    CHECK(resource->is_equal(other) && other.is_equal(*resource), "they differ");
    CHECK(!resource->is_equal(*std::pmr::new_delete_resource()), "another kind is equal");
    std::pmr::set_default_resource(resource);
    CHECK(std::pmr::vector<int>(10).get_allocator().resource() == resource, "not the default");
}

/* Made before main, and so destroyed after what main was the first to use. */
static struct last_object {
    std::pmr::vector<int> *numbers = nullptr;
    ~last_object()
    {
        delete numbers;
    }
} last_object;

static void the_process_resource_outlives_static_objects()
{
    last_object.numbers = new std::pmr::vector<int>(1000, poolmalloc::process_resource());
}
#endif

static void another_thread_may_free()
{
    std::vector<text, allocator<text>> texts;
    for (int i = 0; i < 10000; i++)
        texts.push_back(number_text(i));
    std::thread([taken = std::move(texts)]() mutable { taken.clear(); }).join();
}

int main(int count, char **arguments)
{
    static const property properties[] = {
        PROPERTY(containers_hold_what_was_put_into_them),
        PROPERTY(rooms_are_aligned_for_their_type),
        PROPERTY(all_allocators_are_equal_and_move_along),
        PROPERTY(too_much_is_bad_alloc_and_what_no_size_holds_bad_array_new_length),
#if POOLMALLOC_HAS_MEMORY_RESOURCE
        PROPERTY(memory_resources_serve_polymorphic_containers),
        PROPERTY(memory_resources_are_equal_to_their_kind),
        PROPERTY(the_process_resource_outlives_static_objects),
#endif
        PROPERTY(another_thread_may_free),
    };
    return run(count, arguments, properties, sizeof properties / sizeof *properties);
}
