# SPDX-License-Identifier: MIT
# Templates, and much of the standard library.

needs g++ cksum

run()
{
    cat >"$folder/work.cc" <<'END'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

template <int N> struct number {
    static constexpr int value = number<N - 1>::value + N % 3;
};
template <> struct number<0> {
    static constexpr int value = 0;
};
template <int... I> std::vector<int> numbers(std::integer_sequence<int, I...>)
{
    return {number<I>::value...};
}
template <int N> struct box {
    using value = std::variant<int, std::string, std::unique_ptr<box<N - 1>>>;
    std::map<std::string, std::vector<value>> in;
    int sum() const
    {
        int total = N;
        for (const auto &[name, values] : in)
            for (const auto &value : values)
                std::visit([&](const auto &v) { total += sizeof v + name.size(); }, value);
        return total;
    }
};
template <> struct box<0> {
};

int main()
{
    auto all = numbers(std::make_integer_sequence<int, 300>());
    std::sort(all.begin(), all.end(), std::greater<>());
    std::regex words("([a-z]+)=([0-9]+)");
    std::smatch match;
    std::string text = "abc=12";
    box<12> a;
    box<7> b;
    std::unordered_map<std::string, std::function<int()>> calls = {
        {"a", [&] { return a.sum(); }}, {"b", [&] { return b.sum(); }}};
    std::cout << all[0] << std::regex_match(text, match, words) << calls["a"]() << calls["b"]();
}
END
    # the assembly code is what the compiler computed; the driver and the
    # compiler proper are both under the library
    under g++ -std=c++17 -O0 -S -frandom-seed=1 -o "$folder/work.s" "$folder/work.cc" || return 1
    cksum <"$folder/work.s"
}
