/* SPDX-License-Identifier: MIT */
/*
 * templates.cc, with COPIES: containers and variants of the standard library, each for
 * many types. It is compiled, never run.
 *
 * Stands for the compilation of C++ programs: the compiler's trees come from its own collector's
 * pages, but its vectors, hash tables, bitmaps and strings from malloc. Source: 502.gcc_r of SPEC
 * CPU 2017 and the build of a large program, which mimalloc-bench has in its suite as the
 * compiler's share; written anew.
 */
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#ifndef COPIES
#define COPIES 1
#endif

template <int N> struct key {
    int number;
    std::string name;

    bool operator<(const key &other) const
    {
        return std::tie(number, name) < std::tie(other.number, other.name);
    }
};

template <int N> using value = std::variant<int, double, std::string, std::vector<key<N>>>;

template <int N> struct store {
    std::map<key<N>, value<N>> ordered;
    std::map<std::string, std::shared_ptr<value<N>>> by_name;
    std::vector<int (*)(const key<N> &)> watchers;

    int add(key<N> at, value<N> what)
    {
        by_name[at.name] = std::make_shared<value<N>>(what);
        ordered.emplace(at, std::move(what));
        int sum = 0;
        for (auto &watcher : watchers)
            sum += watcher(at);
        return sum;
    }

    int total() const
    {
        std::vector<int> sizes;
        for (auto &[at, what] : ordered)
            sizes.push_back(std::visit([](auto &held) { return int(sizeof(held)) + N; }, what));
        return sizes.empty() ? 0 : sizes.front();
    }
};

template <int... N> int all(std::integer_sequence<int, N...>)
{
    std::tuple<store<N>...> stores;
    (std::get<N>(stores).watchers.push_back([](const key<N> &at) { return at.number + N; }), ...);
    (std::get<N>(stores).add({N, "name"}, std::string("text")), ...);
    return (std::get<N>(stores).total() + ...);
}

int main()
{
    return all(std::make_integer_sequence<int, COPIES>());
}
