-- SPDX-License-Identifier: MIT
--
-- For wrk: asks for the pages of nginx.py in turn, COUNT of them, and then ends.
--
-- wrk is bounded by time: a thread that stops itself still leaves the main thread asleep until the
-- time is over. The signal of Ctrl-C wakes it, and what it reports then is of the time until then.

local ffi = require("ffi")
ffi.cdef("int getpid(void); int kill(int pid, int signal);")
local SIGINT = 2

local paths = {
    "/static/small.html", "/parts/parts.html", "/changed/large.html", "/list/", "/proxy/large.html",
    "/static/large.html", "/changed/small.html", "/proxy/small.html",
}
local requests = {}
local left, turn = 0, 0

function init(args)
    left = tonumber(args[1])
    for i, path in ipairs(paths) do
        requests[i] = wrk.format("GET", path, {["Accept-Encoding"] = i % 4 == 0 and "" or "gzip"})
    end
end

function request()
    left = left - 1
    if left < 0 then
        wrk.thread:stop()
        ffi.C.kill(ffi.C.getpid(), SIGINT)
    end
    turn = turn % #requests + 1
    return requests[turn]
end

function done(summary, latency)
    local errors = summary.errors
    print(string.format("requests %d us %d p99_us %d errors %d", summary.requests, summary.duration,
                        latency:percentile(99), errors.connect + errors.read + errors.write +
                        errors.status + errors.timeout))
end
