/* SPDX-License-Identifier: MIT */
/*
 * poolmalloc for C++17: an allocator for the standard containers, and a std::pmr::memory_resource,
 * each over the heap of the process and over a user heap (heap.h).
 *
 *   std::vector<int, poolmalloc::allocator<int>> numbers;
 *   std::pmr::vector<int> others(poolmalloc::process_resource());
 *
 *   poolmalloc::heap heap(1 << 20);
 *   std::vector<int, poolmalloc::heap_allocator<int>> bounded(heap);
 *   poolmalloc::heap_resource resource(heap);
 *
 * All serve by the pm_ names, so they work where operator new and malloc are somebody else's, too
 * (poolmalloc::pm). Common to all:
 *   - any thread may allocate, and any may deallocate what another got;
 *   - alignments up to __STDCPP_DEFAULT_NEW_ALIGNMENT__ are those of pm_malloc, larger ones cost
 *     pm_aligned_alloc;
 *   - failure is std::bad_alloc; the new-handler, which is operator new's, is not called. Where
 *     exceptions are off (-fno-exceptions) it is std::abort();
 *   - check builds end the program when a block comes back with another size or alignment than it
 *     was asked for with; others do not look.
 * Without <memory_resource> (libc++ before 16) there is the allocator only.
 */
#ifndef POOLMALLOC_ALLOCATOR_HPP
#define POOLMALLOC_ALLOCATOR_HPP

#include "poolmalloc/heap.h"
#include "poolmalloc/poolmalloc.h"

#include <cstddef>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>
#if __has_include(<memory_resource>)
#include <memory_resource>
#define POOLMALLOC_HAS_MEMORY_RESOURCE 1
#else
#define POOLMALLOC_HAS_MEMORY_RESOURCE 0
#endif

namespace poolmalloc
{

/* What the classes below share; not for others. */
namespace detail
{

template <typename EXCEPTION> [[noreturn]] inline void fail()
{
#if defined(__cpp_exceptions)
    throw EXCEPTION();
#else
    std::abort();
#endif
}

constexpr bool is_overaligned(std::size_t alignment) noexcept
{
    return alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__;
}

inline void *checked(void *block)
{
    if (block == nullptr)
        fail<std::bad_alloc>();
    return block;
}

inline void *allocate(std::size_t bytes, std::size_t alignment)
{
    return checked(is_overaligned(alignment) ? pm_aligned_alloc(alignment, bytes)
                                             : pm_malloc(bytes));
}

inline void *allocate(pm_user_heap *heap, std::size_t bytes, std::size_t alignment)
{
    return checked(is_overaligned(alignment) ? pm_heap_aligned_alloc(heap, alignment, bytes)
                                             : pm_heap_malloc(heap, bytes));
}

template <typename T> std::size_t bytes_of(std::size_t count)
{
    std::size_t bytes = 0;
    if (__builtin_mul_overflow(count, sizeof(T), &bytes))
        fail<std::bad_array_new_length>();
    return bytes;
}

inline void deallocate(void *block, std::size_t bytes, std::size_t alignment) noexcept
{
    if (is_overaligned(alignment))
        pm_free_aligned_sized(block, alignment, bytes);
    else
        pm_free_sized(block, bytes);
}

} // namespace detail

/*
 * An allocator of the standard's kind ([allocator.requirements]), without state: all are equal,
 * whatever their type, so containers swap and move in constant time, and one may free what another
 * allocated.
 */
template <typename T> class allocator
{
  public:
    using value_type = T;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using propagate_on_container_copy_assignment = std::true_type;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;
    using is_always_equal = std::true_type;

    constexpr allocator() noexcept = default;
    template <typename U> constexpr allocator(const allocator<U> &) noexcept {}

    /* Room for `count` objects, aligned for T; the caller owns it and constructs them. A count of 0
     * gives a pointer of its own. Throws std::bad_array_new_length when the size overflows, else
     * std::bad_alloc when there is no memory. */
    [[nodiscard]] T *allocate(std::size_t count)
    {
        return static_cast<T *>(detail::allocate(detail::bytes_of<T>(count), alignof(T)));
    }

    /* The room goes back; `count` is what was asked for. */
    void deallocate(T *room, std::size_t count) noexcept
    {
        detail::deallocate(room, count * sizeof(T), alignof(T));
    }
};

template <typename T, typename U>
constexpr bool operator==(const allocator<T> &, const allocator<U> &) noexcept
{
    return true;
}

template <typename T, typename U>
constexpr bool operator!=(const allocator<T> &, const allocator<U> &) noexcept
{
    return false;
}

/*
 * A user heap with one owner, which destroys it, and so all blocks in it at once. Whatever uses it
 * (containers, resources) must be gone by then, or never be touched again: then it costs nothing to
 * leave a container without its destructor. Any thread may use a heap that another made; moving and
 * destroying one is for its owner.
 */
class heap
{
  public:
    /* As pm_heap_new: 0 is no limit. Throws std::bad_alloc. */
    explicit heap(std::size_t limit_bytes = 0) : handle_(pm_heap_new(limit_bytes))
    {
        if (handle_ == nullptr)
            detail::fail<std::bad_alloc>();
    }

    ~heap()
    {
        pm_heap_destroy(handle_);
    }

    heap(const heap &) = delete;
    heap &operator=(const heap &) = delete;

    /* What is moved from has no heap any more: its handle is NULL, and only assignment and
     * destruction are for it. The blocks stay where they are, and so do allocators over them. */
    heap(heap &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    heap &operator=(heap &&other) noexcept
    {
        heap(std::move(other)).swap(*this);
        return *this;
    }

    void swap(heap &other) noexcept
    {
        std::swap(handle_, other.handle_);
    }

    /* For the functions of heap.h. */
    pm_user_heap *handle() const noexcept
    {
        return handle_;
    }

    /* pm_heap_bytes, pm_heap_set_limit. */
    std::size_t bytes() const noexcept
    {
        return pm_heap_bytes(handle_);
    }
    void set_limit(std::size_t limit_bytes) noexcept
    {
        pm_heap_set_limit(handle_, limit_bytes);
    }

  private:
    pm_user_heap *handle_;
};

/*
 * An allocator over a user heap, which it does not own. Two are equal when their heap is the same.
 * Containers stay in the heap that they were made in: assigning, by copy or by move, does not bring
 * the other's allocator along (between two heaps a move then moves the elements one by one); only
 * swap exchanges the heaps with the contents, since it would be undefined else. A copy-constructed
 * container is in the heap of what it was copied from. Throws std::bad_alloc also beyond the heap's
 * limit.
 */
template <typename T> class heap_allocator
{
  public:
    using value_type = T;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using propagate_on_container_copy_assignment = std::false_type;
    using propagate_on_container_move_assignment = std::false_type;
    using propagate_on_container_swap = std::true_type;
    using is_always_equal = std::false_type;

    heap_allocator(heap &source) noexcept : handle_(source.handle()) {}
    heap_allocator(pm_user_heap *source) noexcept : handle_(source) {}
    template <typename U>
    heap_allocator(const heap_allocator<U> &other) noexcept : handle_(other.handle())
    {
    }

    /* As those of `allocator` above. */
    [[nodiscard]] T *allocate(std::size_t count)
    {
        return static_cast<T *>(detail::allocate(handle_, detail::bytes_of<T>(count), alignof(T)));
    }
    void deallocate(T *room, std::size_t count) noexcept
    {
        detail::deallocate(room, count * sizeof(T), alignof(T));
    }

    pm_user_heap *handle() const noexcept
    {
        return handle_;
    }

  private:
    pm_user_heap *handle_;
};

template <typename T, typename U>
bool operator==(const heap_allocator<T> &one, const heap_allocator<U> &other) noexcept
{
    return one.handle() == other.handle();
}

template <typename T, typename U>
bool operator!=(const heap_allocator<T> &one, const heap_allocator<U> &other) noexcept
{
    return !(one == other);
}

#if POOLMALLOC_HAS_MEMORY_RESOURCE

/*
 * The heap of the process as a std::pmr::memory_resource ([mem.res.class]). All objects of this
 * class are equal (without RTTI, -fno-rtti, only each to itself).
 */
class memory_resource : public std::pmr::memory_resource
{
  protected:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        return detail::allocate(bytes, alignment);
    }

    void do_deallocate(void *block, std::size_t bytes, std::size_t alignment) override
    {
        detail::deallocate(block, bytes, alignment);
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
#if defined(__cpp_rtti)
        return dynamic_cast<const memory_resource *>(&other) != nullptr;
#else
        return this == &other;
#endif
    }
};

/* One memory_resource for all, as std::pmr::new_delete_resource() is; never NULL. It is never
 * destroyed: what is static may use it to the end of the process, so it can be the default resource
 * (std::pmr::set_default_resource). Any thread. */
inline memory_resource *process_resource() noexcept
{
    alignas(memory_resource) static unsigned char place[sizeof(memory_resource)];
    static memory_resource *const resource = ::new (static_cast<void *>(place)) memory_resource;
    return resource;
}

/* A user heap, which it does not own, as a std::pmr::memory_resource. Two are equal when their heap
 * is the same (without RTTI, each only to itself). */
class heap_resource : public std::pmr::memory_resource
{
  public:
    explicit heap_resource(heap &source) noexcept : handle_(source.handle()) {}
    explicit heap_resource(pm_user_heap *source) noexcept : handle_(source) {}

    pm_user_heap *handle() const noexcept
    {
        return handle_;
    }

  protected:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        return detail::allocate(handle_, bytes, alignment);
    }

    void do_deallocate(void *block, std::size_t bytes, std::size_t alignment) override
    {
        detail::deallocate(block, bytes, alignment);
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
#if defined(__cpp_rtti)
        const auto *same = dynamic_cast<const heap_resource *>(&other);
        return same != nullptr && same->handle_ == handle_;
#else
        return this == &other;
#endif
    }

  private:
    pm_user_heap *handle_;
};

#endif

} // namespace poolmalloc

#endif
