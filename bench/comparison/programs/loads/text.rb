# SPDX-License-Identifier: MIT
#
# text.rb COUNT: log lines parsed into hashes, pages rendered from them as strings.
#
# Stands for a web application in ruby: objects themselves lie in pages of ruby's own collector, but
# every string above 23 bytes, array and hash has its contents from malloc. Sources: N. Berkopec,
# "Malloc Can Double Multi-threaded Ruby Program Memory Usage" (2017), and H. Lai, "What causes Ruby
# memory bloat?" (2019), who describe such programs; written anew.

count = ARGV.fetch(0).to_i
STATES = %w[ok moved missing failed].freeze

# A page of a list, of one table row for each entry.
def page(entries)
  rows = entries.map do |entry|
    cells = entry.map { |key, value| "<td class=\"#{key}\">#{value.to_s.gsub('&', '&amp;')}</td>" }
    "<tr>#{cells.join("\n")}</tr>"
  end
  "<table>\n#{rows.join("\n")}\n</table>\n"
end

def log_line(turn, number)
  "2020-01-01T00:#{number % 60}:#{turn % 60} GET /items/#{number * 7919 % 5000}?q=a&page=#{turn} " \
    "#{STATES[number % 4]} #{number * 31 % 977} agent/#{number % 40} (a rather long name of a browser)"
end

total = 0
cache = {}
count.times do |turn|
  threads = Array.new(2) do |part|
    Thread.new do
      entries = Array.new(900) do |number|
        time, verb, path, state, bytes, *agent = log_line(turn, number + part).split(' ')
        { time: time, verb: verb, path: path.to_sym, state: state, bytes: bytes.to_i,
          agent: agent.join(' ') }
      end
      by_state = entries.group_by { |entry| entry[:state] }
      by_state.sort.map { |state, group| [state, page(group)] }
    end
  end
  threads.each_with_index do |thread, part|
    thread.value.each do |state, html|
      cache["#{part}/#{state}/#{turn % 3}"] = html # replaces one of three turns ago
      total += html.bytesize
    end
  end
end
puts total, cache.size, cache.keys.sort.map { |key| cache[key].sum }.join(' ')
