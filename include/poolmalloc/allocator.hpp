/* SPDX-License-Identifier: MIT */
/*
 * poolmalloc for C++17: an allocator for the standard containers, and a std::pmr::memory_resource.
 *
 *   std::vector<int, poolmalloc::allocator<int>> numbers;
 *   std::pmr::vector<int> others(poolmalloc::process_resource());
 *
 * Both serve from the heap of the process by the pm_ names, so they work where operator new and
 * malloc are somebody else's, too (poolmalloc::pm). Common to both:
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

#include "poolmalloc/poolmalloc.h"

#include <cstddef>
#include <cstdlib>
#include <new>
#include <type_traits>
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

inline void *allocate(std::size_t bytes, std::size_t alignment)
{
    void *block = is_overaligned(alignment) ? pm_aligned_alloc(alignment, bytes) : pm_malloc(bytes);
    if (block == nullptr)
        fail<std::bad_alloc>();
    return block;
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
        std::size_t bytes = 0;
        if (__builtin_mul_overflow(count, sizeof(T), &bytes))
            detail::fail<std::bad_array_new_length>();
        return static_cast<T *>(detail::allocate(bytes, alignof(T)));
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

#endif

} // namespace poolmalloc

#endif
