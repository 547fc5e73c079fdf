/* SPDX-License-Identifier: MIT */
/*
 * poolmalloc/allocator.hpp over user heaps: containers and memory resources in heaps that are
 * bounded, and destroyed at once.
 * Usage: heaps [PROPERTY]
 */
#include "cxx.hpp"
#include "poolmalloc/allocator.hpp"

#include <cstring>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

using poolmalloc::heap;
using poolmalloc::heap_allocator;
using std::size_t;

using text = std::basic_string<char, std::char_traits<char>, heap_allocator<char>>;
using numbers = std::vector<int, heap_allocator<int>>;

static size_t live_blocks(const heap &of)
{
    size_t count = 0;
    auto add = [](void *, size_t, void *to) { return ++*static_cast<size_t *>(to) > 0; };
    CHECK(pm_heap_walk(of.handle(), add, &count), "the walk ended early");
    return count;
}

static bool is_in(const void *block, const heap &of)
{
    return pm_heap_of(block) == of.handle();
}

static text long_text(heap &where, int number)
{
    text result("a text that is longer than what a string has room for, number ", where);
    for (; number > 0; number /= 10)
        result += static_cast<char>('0' + number % 10);
    return result;
}

static void containers_hold_what_was_put_into_them_and_are_in_their_heap()
{
    constexpr int elements = 2000;
    heap where;
    {
        std::vector<text, heap_allocator<text>> vector(where);
        std::list<text, heap_allocator<text>> list(where);
        std::deque<text, heap_allocator<text>> deque(where);
        std::set<int, std::less<int>, heap_allocator<int>> set(where);
        std::map<int, text, std::less<int>, heap_allocator<std::pair<const int, text>>> map(where);
        std::unordered_map<int, text, std::hash<int>, std::equal_to<int>,
                           heap_allocator<std::pair<const int, text>>>
            hashes(where);
        for (int i = 0; i < elements; i++) {
            vector.push_back(long_text(where, i));
            list.push_front(long_text(where, i));
            deque.push_back(long_text(where, i));
            set.insert(i);
            map.emplace(i, long_text(where, i));
            hashes.emplace(i, long_text(where, i));
        }
        CHECK(live_blocks(where) >= 8 * elements, "too few blocks are in the heap");
        auto first = list.rbegin();
        for (int i = 0; i < elements; i++, ++first) {
            text wanted = long_text(where, i);
            CHECK(vector[static_cast<size_t>(i)] == wanted && *first == wanted &&
                      deque[static_cast<size_t>(i)] == wanted && map.at(i) == wanted &&
                      hashes.at(i) == wanted && set.count(i) == 1,
                  "element %d is damaged", i);
            CHECK(is_in(&*first, where) && is_in(first->data(), where), "element %d is elsewhere",
                  i);
        }
        auto shared = std::allocate_shared<int>(heap_allocator<int>(where), 7);
        CHECK(*shared == 7 && live_blocks(where) > 0, "shared");
    }
    CHECK(live_blocks(where) == 0, "%zu blocks are left", live_blocks(where));
}

static void allocators_are_equal_when_their_heap_is()
{
    using traits = std::allocator_traits<heap_allocator<int>>;
    static_assert(!traits::is_always_equal::value);
    static_assert(!traits::propagate_on_container_copy_assignment::value);
    static_assert(!traits::propagate_on_container_move_assignment::value);
    static_assert(traits::propagate_on_container_swap::value);
    static_assert(std::is_same_v<traits::rebind_alloc<char>, heap_allocator<char>>);
    static_assert(!std::is_copy_constructible_v<heap> && !std::is_copy_assignable_v<heap>);
    static_assert(std::is_nothrow_move_constructible_v<heap>);
    heap one, two;
    heap_allocator<int> ints(one);
    heap_allocator<char> chars(ints);
    CHECK(ints == chars && !(ints != chars) && heap_allocator<int>(chars) == ints, "rebound");
    CHECK(ints != heap_allocator<int>(two) && ints == heap_allocator<int>(one.handle()), "heaps");
}

static void assigned_containers_stay_in_their_heap_and_swapped_ones_change()
{
    heap one, two;
    numbers first(1000, 1, one), second(2000, 2, two), copy(first);
    CHECK(is_in(copy.data(), one), "a copy is elsewhere");
    second = first;
    CHECK(is_in(second.data(), two) && second == first, "assigned by copy");
    numbers third(3000, 3, two);
    first = std::move(third);
    CHECK(is_in(first.data(), one) && first.size() == 3000 && first[2999] == 3, "moved");
    numbers fourth(10, 4, one);
    const int *place = first.data();
    fourth = std::move(first);
    CHECK(fourth.data() == place, "a move within a heap copied");
    fourth.swap(second);
    CHECK(second.data() == place && is_in(second.data(), one) && is_in(fourth.data(), two) &&
              fourth.get_allocator() == heap_allocator<int>(two),
          "swapped");
    second.push_back(5);
    fourth.push_back(6);
    CHECK(is_in(second.data(), one) && is_in(fourth.data(), two), "grown after the swap");
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

static void beyond_the_limit_is_bad_alloc_and_nothing_is_lost()
{
    heap where(4 << 20);
    numbers kept(1000, 7, where);
    for (int round = 0; round < 3; round++) {
        std::list<text, heap_allocator<text>> list(where);
        CHECK(throws<std::bad_alloc>([&] {
                  for (;;)
                      list.push_back(long_text(where, round));
              }),
              "no end");
        CHECK(where.bytes() <= 4 << 20 && list.size() > 1000, "%zu elements", list.size());
        CHECK(throws<std::bad_alloc>([&] { kept.resize(2 << 20); }), "resized");
    }
    CHECK(kept.size() == 1000 && kept[999] == 7, "damaged");
    where.set_limit(0);
    kept.resize(4 << 20);
    CHECK(throws<std::bad_array_new_length>([&] {
              heap_allocator<int> source(where);
              source.deallocate(source.allocate(opaque(SIZE_MAX) / 2), 1);
          }),
          "more than there is");
}

struct alignas(256) line {
    char bytes[300];
};

static void rooms_are_aligned_for_their_type()
{
    heap where;
    heap_allocator<line> lines(where);
    line *rooms[20];
    for (line *&room : rooms) {
        room = lines.allocate(3);
        CHECK(reinterpret_cast<uintptr_t>(room) % alignof(line) == 0 && is_in(room, where), "%p",
              static_cast<void *>(room));
        std::memset(static_cast<void *>(room), 1, 3 * sizeof(line));
    }
    for (line *room : rooms)
        lines.deallocate(room, 3);
    CHECK(live_blocks(where) == 0, "some are left");
}

static uint64_t in_use()
{
    pm_stats stats;
    CHECK(pm_stats_get(&stats), "no statistics");
    return stats.pool_bytes + stats.span_bytes;
}

static void a_heap_that_ends_takes_all_along()
{
    heap outer;
    uint64_t before = in_use();
    {
        heap where;
        for (int i = 0; i < 1000; i++) { /* without their destructors */
            void *place = pm_heap_malloc(where.handle(), sizeof(numbers));
            ::new (place) numbers(1000, i, where);
        }
        CHECK(in_use() > before + 1000 * 1000 * sizeof(int), "where are they?");
    }
    CHECK(in_use() == before, "%llu bytes are left",
          static_cast<unsigned long long>(in_use() - before));
    heap moved(std::move(outer));
    CHECK(outer.handle() == nullptr && moved.handle() != nullptr, "moved");
    numbers some(100, 1, moved);
    outer = std::move(moved);
    some.push_back(2);
    CHECK(is_in(some.data(), outer), "blocks do not stay");
    heap(1 << 20).swap(outer); /* the first one ends here, and what is in it */
    ::new (static_cast<void *>(&some)) numbers(outer);
}

#if POOLMALLOC_HAS_MEMORY_RESOURCE

static void memory_resources_serve_polymorphic_containers()
{
    heap where(1 << 20), other;
    poolmalloc::heap_resource resource(where), same(where.handle()), different(other);
    CHECK(resource == same && resource != different, "equal");
    CHECK(resource != *std::pmr::new_delete_resource() &&
              *poolmalloc::process_resource() != resource,
          "another kind is equal");
    {
        std::pmr::map<int, std::pmr::string> map(&resource);
        for (int i = 0; i < 1000; i++)
            map[i] = std::pmr::string(200, 'z');
        CHECK(live_blocks(where) >= 2000 && is_in(map[5].data(), where), "they are elsewhere");
        CHECK(throws<std::bad_alloc>([&] {
                  for (int i = 1000;; i++)
                      map[i] = std::pmr::string(200, 'z');
              }),
              "no end");
        for (int i = 0; i < 1000; i++)
            CHECK(map[i].size() == 200, "%d", i);
    }
    void *block = resource.allocate(100, 4096);
    CHECK(reinterpret_cast<uintptr_t>(block) % 4096 == 0, "%p", block);
    resource.deallocate(block, 100, 4096);
    CHECK(live_blocks(where) == 0, "some are left");
}
#endif

static void another_thread_may_use_it_and_free()
{
    heap where;
    std::list<text, heap_allocator<text>> texts(where);
    std::thread([&] {
        for (int i = 0; i < 5000; i++)
            texts.push_back(long_text(where, i));
    }).join();
    CHECK(texts.back() == long_text(where, 4999), "damaged");
    std::thread([&] { texts.clear(); }).join();
    CHECK(live_blocks(where) == 0, "some are left");
}

int main(int count, char **arguments)
{
    static const property properties[] = {
        PROPERTY(containers_hold_what_was_put_into_them_and_are_in_their_heap),
        PROPERTY(allocators_are_equal_when_their_heap_is),
        PROPERTY(assigned_containers_stay_in_their_heap_and_swapped_ones_change),
        PROPERTY(beyond_the_limit_is_bad_alloc_and_nothing_is_lost),
        PROPERTY(rooms_are_aligned_for_their_type),
        PROPERTY(a_heap_that_ends_takes_all_along),
#if POOLMALLOC_HAS_MEMORY_RESOURCE
        PROPERTY(memory_resources_serve_polymorphic_containers),
#endif
        PROPERTY(another_thread_may_use_it_and_free),
    };
    return run(count, arguments, properties, sizeof properties / sizeof *properties);
}
