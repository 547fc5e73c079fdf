# SPDX-License-Identifier: MIT
# Strings beyond what fits into an object, arrays, hashes and threads.

needs ruby

run()
{
    cat >"$folder/work.rb" <<'END'
text = (1..60_000).map { |i| "word#{i * 7919 % 6000} and a tail that is long enough #{i}" }
puts text.map { |line| line.split(/ /).map(&:capitalize).join("-") }.sum(&:length)
count = Hash.new(0)
text.each { |line| line.scan(/[a-z]+\d+/) { |word| count[word] += 1 } }
puts count.size, count.values.sum, count.keys.min, count.keys.max
big = (1..200).reduce(1) { |product, i| product * i ** 20 }
puts big.to_s.length
lists = (0...4).map do |n|
  Thread.new { (0...15_000).map { |i| ("%08d" % (i * n)) * 5 }.select { |s| s.hash != 0 }.length }
end
puts lists.sum(&:value)
puts Marshal.load(Marshal.dump(text)).length, text.join.unpack("C*").sum
END
    under ruby --disable-gems "$folder/work.rb"
}
