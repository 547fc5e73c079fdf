-- SPDX-License-Identifier: MIT
--
-- strings.lua COUNT: strings built, split and kept in tables; trees built and dropped.
--
-- Stands for scripts inside games and servers: Lua takes every string, table and closure from
-- malloc through one function (lua_Alloc), with realloc for tables that grow. Sources: binary-trees
-- and k-nucleotide of the Computer Language Benchmarks Game, and GCBench (Ellis, Kovac, Boehm), by
-- their descriptions; written anew.

local count = tonumber(arg[1])

-- A linear congruence: Lua's own generator is seeded by the clock.
local state = 42
local function draw(n)
    state = (state * 1103515245 + 12345) % 2147483648
    return state // 65536 % n
end

local function tree(depth)
    if depth == 0 then
        return {leaf = true}
    end
    return {left = tree(depth - 1), right = tree(depth - 1)}
end

local function nodes(of)
    if of.leaf then
        return 1
    end
    return 1 + nodes(of.left) + nodes(of.right)
end

local function sentence(words)
    local parts = {}
    for i = 1, words do
        local letters = {}
        for k = 1, 3 + draw(8) do
            letters[k] = string.char(97 + draw(26))
        end
        parts[i] = table.concat(letters)
    end
    return table.concat(parts, " ")
end

local total = 0
local kept = {}
for turn = 1, count do
    local long_lived = tree(11)
    local seen = {}
    for _ = 1, 160 do
        local text = sentence(20)
        for word in text:gmatch("%a+") do
            local start = word:sub(1, 2)
            local entry = seen[start]
            if not entry then
                entry = {words = {}, longest = ""}
                seen[start] = entry
            end
            entry.words[#entry.words + 1] = word .. "/" .. turn
            if #word > #entry.longest then
                entry.longest = word
            end
        end
        kept[draw(300)] = text:upper():reverse()
    end
    for _ = 1, 12 do
        total = total + nodes(tree(7))
    end
    local order = {}
    for start in pairs(seen) do
        order[#order + 1] = start
    end
    table.sort(order)
    for _, start in ipairs(order) do
        total = total + #table.concat(seen[start].words, ",") + #seen[start].longest
    end
    total = total + nodes(long_lived)
end
print(total)
