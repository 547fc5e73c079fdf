# SPDX-License-Identifier: MIT
# Tables, closures, coroutines and strings; lua asks its allocator for each.

needs lua5.4

run()
{
    cat >"$folder/work.lua" <<'END'
local function tree(depth)
  if depth == 0 then return {} end
  return {tree(depth - 1), tree(depth - 1)}
end
local function size(node)
  local n = 1
  for _, child in ipairs(node) do n = n + size(child) end
  return n
end
local total = 0
for _ = 1, 12 do total = total + size(tree(14)) end
print(total)
local parts, seen = {}, {}
for i = 1, 200000 do
  local key = string.format("%d-%s", i % 5000, string.rep("x", i % 37))
  seen[key] = (seen[key] or 0) + #key
  if i % 100 == 0 then parts[#parts + 1] = key:upper():gsub("X", "yz") end
end
local keys = {}
for key in pairs(seen) do keys[#keys + 1] = key end
table.sort(keys)
print(#keys, keys[1], keys[#keys], #table.concat(parts, ","))
local made = 0
for i = 1, 20000 do
  local co = coroutine.wrap(function() for k = 1, 3 do coroutine.yield(k * i) end end)
  made = made + co() + co()
end
print(made)
END
    under lua5.4 "$folder/work.lua"
}
